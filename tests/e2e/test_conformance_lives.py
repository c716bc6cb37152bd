"""What changes in the life of a pod: files that follow their objects, probes, hooks, the identity it is given."""

import base64
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.e2e.seen import container, downward, env, pod, projected
from tests.e2e.test_conformance_pods import Json, until
from tests.e2e.world import Cluster

pytestmark = pytest.mark.e2e
SPACE = "lives"
LOOP = "trap 'exit 0' TERM; while true; do sleep 1 & wait $!; done"
MOUNT = "/var/run/secrets/kubernetes.io/serviceaccount"
CHOICES: tuple[bool | None, ...] = (None, True, False)


def word(choice: bool | None) -> str:
    return "unset" if choice is None else str(choice).lower()


def optional(kind: str, name: str) -> Json:
    if kind == "configMap":
        return {"configMap": {"name": name, "optional": True}}
    return {"secret": {"name": name, "optional": True}}


def content(kind: str, name: str, value: str) -> Json:
    plain = kind == "configMap"
    return {"apiVersion": "v1", "kind": "ConfigMap" if plain else "Secret",
            "metadata": {"name": name, "namespace": SPACE},
            "data": {"data-1": value if plain else base64.b64encode(value.encode()).decode()}}  # fmt: skip


def probe(**handler: Json) -> Json:
    return {"livenessProbe": {**handler, "periodSeconds": 1, "failureThreshold": 1, "initialDelaySeconds": 1}}


def objects() -> list[Json]:
    found: list[Json] = []
    volumes: dict[str, Json] = {}
    for kind in ("configMap", "secret"):
        for what in ("create", "update", "delete"):
            volumes[f"{kind.lower()}-{what}"] = projected(optional(kind, what))
            if what != "create":
                found.append(content(kind, what, "value-1"))
    items = [downward("labels", field="metadata.labels"), downward("annotations", field="metadata.annotations")]
    volumes |= {"down": {"downwardAPI": {"items": items}}, "pdown": projected({"downwardAPI": {"items": items}})}
    marked = {"labels": {"key1": "value1"}, "annotations": {"builder": "bar"}}
    found.append(pod("changing", [container("main", LOOP, {each: f"/v/{each}" for each in volumes})], volumes, marked))
    served = {"image": "kaa/demo:v1", "command": None, "ports": [{"containerPort": 8080}]}
    found.append(pod("probed", [
        {**container("web", ""), **served, **probe(httpGet={"path": "/", "port": 8080})},
        {**container("tcp", ""), **served, "env": [env("PORT", "8081")], **probe(tcpSocket={"port": 8081})},
        container("file", f"echo ok > /tmp/health; {LOOP}", **probe(exec={"command": ["cat", "/tmp/health"]})),
        container("fails", f"echo ok > /tmp/health; (sleep 2; rm /tmp/health) & {LOOP}",
                  **probe(exec={"command": ["cat", "/tmp/health"]})),
    ], restartPolicy="Always"))  # fmt: skip
    # A server that writes what it is sent into its log, one connection after the other.
    found.append(pod("server", [container("main", f"(while true; do echo | nc -l -p 8080; done) & {LOOP}")]))
    for account in CHOICES:
        name = f"account-{word(account)}"
        made: Json = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name, "namespace": SPACE}}
        found.append(made if account is None else {**made, "automountServiceAccountToken": account})
        for own in CHOICES:
            spec: Json = {"serviceAccountName": name} if own is None else {
                "serviceAccountName": name, "automountServiceAccountToken": own}  # fmt: skip
            found.append(pod(f"mount-{word(own)}-{word(account)}", [
                container("main", f"test -e {MOUNT}/token && echo mounted || echo nothing")], **spec))  # fmt: skip
    files = "; ".join(f"cat {MOUNT}/{each}; echo" for each in ("token", "ca.crt", "namespace"))
    token = projected({"serviceAccountToken": {"path": "token", "audience": "somebody", "expirationSeconds": 3600}})
    found.append(pod("identity", [container("main", files), container("own", "cat /v/token", {"token": "/v"})],
                     {"token": token}))  # fmt: skip
    for each in found:
        each["metadata"]["namespace"] = SPACE
    return found


class Lives:
    def __init__(self, cluster: Cluster, manifest: Path) -> None:
        self.cluster, self.manifest = cluster, manifest

    def kubectl(self, *words: str) -> str:
        return self.cluster.kubectl("-n", SPACE, *words)

    def pod(self, name: str) -> Json:
        found: Json = json.loads(self.kubectl("get", "pod", name, "-o", "json"))
        return found

    def running(self, name: str) -> Json:
        until(lambda: self.pod(name)["status"].get("phase") == "Running")
        return self.pod(name)

    def ended(self, name: str) -> Json:
        until(lambda: self.pod(name)["status"].get("phase") == "Succeeded")
        return self.pod(name)

    def apply(self, *made: Json) -> None:
        self.manifest.write_text(json.dumps({"apiVersion": "v1", "kind": "List", "items": list(made)}))
        self.kubectl("apply", "-f", str(self.manifest))

    def read(self, path: str) -> str:
        """A file of the pod `changing`, "" where there is none."""
        return self.kubectl("exec", "changing", "--", "sh", "-c", f"cat /v/{path} 2>/dev/null || true")


@pytest.fixture(scope="module")
def lives(real: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lives]:
    real.kubectl("create", "namespace", SPACE)
    try:
        made = Lives(real, tmp_path_factory.mktemp("lives") / "objects.json")
        until(lambda: "default" in made.kubectl("get", "serviceaccounts"))
        made.apply(*objects())
        yield made
    finally:
        real.kubectl("delete", "namespace", SPACE, "--timeout=90s")


@pytest.mark.conformance("Projected Volume, ConfigMap, create, update and delete",
                         "Projected Volume, ConfigMap, update",
                         "Projected Volume, Secrets, create, update delete")  # fmt: skip
def test_files_follow_their_objects(lives: Lives) -> None:
    lives.running("changing")
    for kind in ("configMap", "secret"):
        at = kind.lower()
        assert [lives.read(f"{at}-{what}/data-1") for what in ("create", "update", "delete")] == [
            "",
            "value-1",
            "value-1",
        ]
    for kind in ("configMap", "secret"):
        lives.apply(content(kind, "create", "value-1"), content(kind, "update", "value-2"))
        lives.kubectl("delete", kind.lower(), "delete")
    for at in ("configmap", "secret"):
        until(lambda at=at: lives.read(f"{at}-create/data-1") == "value-1", 90)
        until(lambda at=at: lives.read(f"{at}-update/data-1") == "value-2", 90)
        until(lambda at=at: lives.read(f"{at}-delete/data-1") == "", 90)


@pytest.mark.conformance("DownwardAPI volume, update annotations", "Projected Volume, DownwardAPI, update annotation",
                         "Projected Volume, DownwardAPI, update labels")  # fmt: skip
def test_files_follow_the_pod(lives: Lives) -> None:
    lives.running("changing")
    for of in ("down", "pdown"):
        assert 'key1="value1"' in lives.read(f"{of}/labels") and 'builder="bar"' in lives.read(f"{of}/annotations")
    lives.kubectl("label", "pod", "changing", "key3=value3")
    lives.kubectl("annotate", "pod", "changing", "builder=foo", "--overwrite")
    for of in ("down", "pdown"):
        until(lambda of=of: 'key3="value3"' in lives.read(f"{of}/labels"), 90)
        until(lambda of=of: 'builder="foo"' in lives.read(f"{of}/annotations"), 90)


@pytest.mark.conformance("Pod liveness probe, using local file, no restart",
                         "Pod liveness probe, using tcp socket, no restart",
                         "Pod liveness probe, using http endpoint, failure")  # fmt: skip
def test_containers_that_live_are_left_alone(lives: Lives) -> None:
    """They have been probed at least as often as the one beside them, which has been restarted for it."""

    def restarts() -> dict[str, int]:
        return {
            each["name"]: each["restartCount"] for each in lives.pod("probed")["status"].get("containerStatuses", ())
        }

    until(lambda: restarts().get("fails", 0) >= 1)
    assert restarts() | {"fails": 1} == {"web": 0, "tcp": 0, "file": 0, "fails": 1}


@pytest.mark.conformance("Pod Lifecycle, prestop exec hook", "Pod Lifecycle, prestop http hook", "Pods, prestop hook")
def test_hooks_run_before_the_end(lives: Lives) -> None:
    ip = lives.running("server")["status"]["podIP"]
    get = {"httpGet": {"host": ip, "port": 8080, "path": "/http-hook"}}
    run = {"exec": {"command": ["sh", "-c", f"echo exec-hook | nc -w 2 {ip} 8080"]}}
    for name, hook in (("by-exec", run), ("by-http", get)):
        made = pod(name, [container("main", LOOP, lifecycle={"preStop": hook})], terminationGracePeriodSeconds=15)
        made["metadata"]["namespace"] = SPACE
        lives.apply(made)
        lives.running(name)
        assert f"{name.removeprefix('by-')}-hook" not in lives.kubectl("logs", "server")
        lives.kubectl("delete", "pod", name, "--timeout=30s")
    said = lives.kubectl("logs", "server")
    assert "exec-hook" in said and "GET /http-hook HTTP/1.1" in said


@pytest.mark.conformance("Service account tokens auto mount optionally")
def test_tokens_are_mounted_unless_somebody_says_no(lives: Lives) -> None:
    for own in CHOICES:
        for account in CHOICES:
            name = f"mount-{word(own)}-{word(account)}"
            mounted = own if own is not None else account is not False
            assert any(each["mountPath"] == MOUNT for each in lives.ended(name)["spec"]["containers"][0].get(
                "volumeMounts", ())) == mounted  # fmt: skip
            assert lives.kubectl("logs", name).strip() == ("mounted" if mounted else "nothing"), name


@pytest.mark.conformance(
    "Service Account Tokens Must AutoMount",
    "TokenRequestProjection should mount a projected volume with token using TokenRequest API.",
)
def test_who_a_pod_is(lives: Lives) -> None:
    lives.ended("identity")

    def claims(token: str) -> Json:
        middle = token.strip().split(".")[1]
        found: Json = json.loads(base64.urlsafe_b64decode(middle + "=" * (-len(middle) % 4)))
        return found

    token, _, rest = lives.kubectl("logs", "identity", "-c", "main").partition("\n")
    who = claims(token)
    assert who["sub"] == f"system:serviceaccount:{SPACE}:default" and who["kubernetes.io"]["pod"]["name"] == "identity"
    assert "BEGIN CERTIFICATE" in rest and rest.split()[-1] == SPACE
    root = json.loads(lives.kubectl("get", "configmap", "kube-root-ca.crt", "-o", "json"))["data"]["ca.crt"]
    assert root.strip() in rest
    assert claims(lives.kubectl("logs", "identity", "-c", "own"))["aud"] == ["somebody"]
