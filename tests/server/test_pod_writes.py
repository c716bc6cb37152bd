"""Bindings, resizes and tokens: what each may say, and the words it is refused in."""

import asyncio
import base64
from typing import Any

import orjson
import pytest
from tests.server.world import ACCOUNTS, DEPLOYMENTS, PODS, Api, World, deployment, obj, pod

Json = dict[str, Any]
STRATEGIC = "application/strategic-merge-patch+json"
TOKEN = f"{ACCOUNTS}/default/token"


def binding(name: str, node: str = "n1", **meta: Any) -> Json:
    return obj("Binding", name, metadata=meta, target={"kind": "Node", "name": node})


# --- bindings


async def test_bindings_carry_annotations_and_labels(api: Api) -> None:
    (await api.post(PODS, pod("p", labels={"a": "1"}))).ok()
    body = binding("p", annotations={"x": "y"}, labels={"zone": "z", "a": "2"})
    (await api.post(f"{PODS}/p/binding", body)).ok(201)
    bound = (await api.get(f"{PODS}/p")).ok()
    assert bound["spec"]["nodeName"] == "n1" and bound["metadata"]["annotations"] == {"x": "y"}
    assert bound["metadata"]["labels"] == {"a": "2", "zone": "z"}


async def test_bindings_that_come_too_late(api: Api) -> None:
    (await api.post(PODS, pod("p", nodeName="n0"))).ok()
    taken = await api.post(f"{PODS}/p/binding", binding("p"))
    assert (taken.code, taken.reason) == (409, "Conflict")
    assert taken.message == (
        'Operation cannot be fulfilled on pods/binding "p": pod p is already assigned to node "n0"'
    )
    assert taken.json["details"] == {"name": "p", "kind": "pods/binding"}
    (await api.post(PODS, pod("g", schedulingGates=[{"name": "x.io/g"}]))).ok()
    gated = await api.post(f"{PODS}/g/binding", binding("g"))
    assert gated.message.endswith('"g": pod g has non-empty .spec.schedulingGates')
    (await api.post(PODS, pod("d", metadata={"finalizers": ["x.io/f"]}))).ok()
    (await api.delete(f"{PODS}/d")).ok()
    going = await api.post(f"{PODS}/d/binding", binding("d"))
    assert going.message.endswith('"d": pod d is being deleted, cannot be assigned to a host')


async def test_bindings_that_mean_another_pod(api: Api) -> None:
    (await api.post(PODS, pod("p"))).ok()
    wrong = await api.post(f"{PODS}/p/binding", binding("p", uid="other"))
    assert (
        wrong.code == 409 and "Precondition failed: UID in precondition: other, UID in object meta: " in wrong.message
    )
    assert (await api.post(f"{PODS}/p/binding", binding("p", resourceVersion="1"))).code == 409
    for body in (binding("q"), {"target": {"name": "n"}}):
        answer = await api.post(f"{PODS}/p/binding", body)
        assert (answer.code, answer.message) == (400, "name in URL does not match name in Binding object")
    target = await api.post(f"{PODS}/p/binding", {**binding("p"), "target": {"kind": "Pod", "name": ""}})
    assert target.code == 422 and [each["field"] for each in target.json["details"]["causes"]] == [
        "target.kind", "target.name"]  # fmt: skip
    assert 'Unsupported value: "Pod": supported values: "<empty>", "Node"' in target.message


async def test_one_binding_of_many_wins(both: World) -> None:
    api = both.admin
    (await api.post(PODS, pod("p"))).ok()
    answers = await asyncio.gather(*(api.post(f"{PODS}/p/binding", binding("p", f"n{n}")) for n in range(8)))
    assert sorted(each.code for each in answers) == [201] + [409] * 7
    winner = next(n for n, each in enumerate(answers) if each.code == 201)
    assert (await api.get(f"{PODS}/p")).ok()["spec"]["nodeName"] == f"n{winner}"


# --- resize


def sized(name: str, **more: Any) -> Json:
    body = pod(name, **more)
    body["spec"]["containers"][0]["resources"] = {
        "requests": {"cpu": "100m", "memory": "64Mi"}, "limits": {"cpu": "200m", "memory": "128Mi"}}  # fmt: skip
    return body


def wanted(**resources: Json) -> Json:
    return {"spec": {"containers": [{"name": "c", "resources": resources}]}}


async def test_a_pod_that_does_not_run_is_resized(api: Api) -> None:
    (await api.post(PODS, sized("p"))).ok()
    answer = await api.ask("PATCH", f"{PODS}/p/resize", wanted(requests={"cpu": "150m"}), media=STRATEGIC)
    assert answer.ok()["spec"]["containers"][0]["resources"]["requests"] == {"cpu": "150m", "memory": "64Mi"}
    assert answer.json["metadata"]["generation"] == 2 and "warning" not in answer.headers
    # Nothing else comes that way.
    sneaky = {
        "metadata": {"labels": {"x": "y"}},
        "spec": {
            "activeDeadlineSeconds": 5,
            "containers": [
                {
                    "name": "c",
                    "image": "other",
                    "resizePolicy": [{"resourceName": "cpu", "restartPolicy": "NotRequired"}],
                }
            ],
        },
    }
    spec = (await api.ask("PATCH", f"{PODS}/p/resize", sneaky, media=STRATEGIC)).ok()["spec"]
    assert spec["containers"][0]["image"] == "busybox" and "activeDeadlineSeconds" not in spec
    assert spec["containers"][0]["resizePolicy"] == [{"resourceName": "cpu", "restartPolicy": "NotRequired"}]
    assert (await api.get(f"{PODS}/p/resize")).ok()["kind"] == "Pod"
    whole = (await api.get(f"{PODS}/p")).ok()
    whole["spec"]["containers"][0]["resources"]["limits"]["cpu"] = "300m"
    assert (await api.put(f"{PODS}/p/resize", whole)).ok()["spec"]["containers"][0]["resources"]["limits"][
        "cpu"
    ] == "300m"
    assert (await api.post(f"{PODS}/p/resize", whole)).code == 405
    plain = await api.ask("PATCH", f"{PODS}/p", wanted(requests={"cpu": "160m"}), media=STRATEGIC)
    assert plain.code == 422 and "pod updates may not change fields other than" in plain.message


REFUSED: list[tuple[Json, str]] = [
    (wanted(limits={"memory": None}), "spec.containers[0].resources.limits: Forbidden: resource limits cannot be "
     "removed"),
    (wanted(requests={"ephemeral-storage": "1Gi"}), "spec: Forbidden: only cpu and memory resources are mutable"),
    (wanted(requests={"cpu": "200m", "memory": "128Mi"}), "Pod QOS Class may not change as a result of resizing"),
]  # fmt: skip


@pytest.mark.parametrize(("patch", "message"), REFUSED, ids=range(len(REFUSED)))
async def test_resizes_that_are_refused(api: Api, patch: Json, message: str) -> None:
    (await api.post(PODS, sized("p"))).ok()
    answer = await api.ask("PATCH", f"{PODS}/p/resize", patch, media=STRATEGIC)
    assert (answer.code, answer.reason) == (422, "Invalid") and message in answer.message


async def test_a_pod_that_runs_is_not_resized_and_that_is_said(api: Api) -> None:
    (await api.post(PODS, sized("p", nodeName="n"))).ok()
    late = await api.ask("PATCH", f"{PODS}/p/resize", wanted(requests={"cpu": "150m"}), media=STRATEGIC)
    assert late.code == 200 and "resize no running container" in late.headers["warning"]
    state = {"name": "c", "state": {"running": {}}, "ready": True, "restartCount": 0, "image": "i", "imageID": "i"}
    (await api.merge(f"{PODS}/p/status", {"status": {"phase": "Running", "containerStatuses": [state]}})).ok()
    refused = await api.ask("PATCH", f"{PODS}/p/resize", wanted(requests={"cpu": "160m"}), media=STRATEGIC)
    assert refused.code == 422
    assert "spec: Forbidden: Pod running on node without support for resize" in refused.message


# --- tokens


def claims(token: str) -> Json:
    part = token.split(".")[1]
    found: Json = orjson.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    return found


def asked(**spec: Any) -> Json:
    return {"kind": "TokenRequest", "apiVersion": "authentication.k8s.io/v1", "spec": spec}


async def test_a_token_says_for_whom_and_how_long(api: Api) -> None:
    (await api.post(PODS, pod("p"))).ok()
    uid = (await api.get(f"{PODS}/p")).json["metadata"]["uid"]
    reference = {"apiVersion": "v1", "kind": "Pod", "name": "p", "uid": uid}
    made = (await api.post(TOKEN, asked(expirationSeconds=600, audiences=["x"], boundObjectRef=reference))).ok(201)
    assert (made["metadata"]["name"], made["metadata"]["namespace"]) == ("default", "default")
    assert made["spec"] == {"expirationSeconds": 600, "audiences": ["x"], "boundObjectRef": reference}
    inside = claims(made["status"]["token"])
    assert inside["aud"] == ["x"] and inside["kubernetes.io"]["pod"] == {"name": "p", "uid": uid}
    assert inside["exp"] - inside["iat"] == 600
    plain = (await api.post(TOKEN, asked())).ok(201)["spec"]
    assert plain["expirationSeconds"] == 3600 and plain["audiences"] == [
        "https://kubernetes.default.svc.cluster.local"]  # fmt: skip


TOO_SHORT = (
    'TokenRequest.authentication.k8s.io "" is invalid: spec.expirationSeconds: Invalid value: {}: may not specify a '
    "duration {}"
)
WRONG: list[tuple[Json, int, str]] = [
    (asked(expirationSeconds=599), 422, TOO_SHORT.format(599, "less than 10 minutes")),
    (asked(expirationSeconds=0), 422, TOO_SHORT.format(0, "less than 10 minutes")),
    (asked(expirationSeconds=(1 << 32) + 1), 422, TOO_SHORT.format((1 << 32) + 1, "larger than 2^32 seconds")),
    ({**asked(), "metadata": {"name": "other"}}, 422, 'metadata.name: Invalid value: "other": must match the service '
     "account name if specified"),
    ({**asked(), "metadata": {"namespace": "other"}}, 422, "must match the service account namespace if specified"),
    ({**asked(), "metadata": {"uid": "u"}}, 409, "the UID in the token request (u) does not match the UID of "
     "the service account ("),
    (asked(boundObjectRef={"kind": "ConfigMap", "name": "a", "apiVersion": "v1"}), 400,
     "cannot bind token to object of type /v1, Kind=ConfigMap"),
    (asked(boundObjectRef={"kind": "Pod", "name": "a", "apiVersion": "apps/v1"}), 400,
     "cannot bind token to object of type apps/v1, Kind=Pod"),
    (asked(boundObjectRef={"kind": "Secret", "name": "a", "apiVersion": "v1"}), 404, 'secrets "a" not found'),
    (asked(boundObjectRef={"kind": "Node", "name": "a", "apiVersion": "v1"}), 404, 'nodes "a" not found'),
    (asked(boundObjectRef={"kind": "Pod", "name": "other", "apiVersion": "v1"}), 400, 'cannot bind token for '
     'serviceaccount "default" to pod running with different serviceaccount name.'),
    (asked(boundObjectRef={"kind": "Pod", "name": "ours", "apiVersion": "v1", "uid": "u"}), 409,
     'Operation cannot be fulfilled on Pod "ours": the UID in the bound object reference (u) does not match the UID in '
     "record. The object might have been deleted and then recreated"),
]  # fmt: skip


@pytest.mark.parametrize(("body", "code", "message"), WRONG, ids=range(len(WRONG)))
async def test_tokens_that_are_refused(api: Api, body: Json, code: int, message: str) -> None:
    (await api.post(ACCOUNTS, obj("ServiceAccount", "second"))).ok()
    (await api.post(PODS, pod("other", serviceAccountName="second"))).ok()
    (await api.post(PODS, pod("ours"))).ok()
    answer = await api.post(TOKEN, body)
    assert answer.code == code and message in answer.message, answer.body


# --- scale


async def test_what_a_scale_must_say(api: Api) -> None:
    (await api.post(DEPLOYMENTS, deployment("d", 2))).ok()
    at = f"{DEPLOYMENTS}/d/scale"
    scale = (await api.get(at)).ok()
    negative = await api.put(at, {**scale, "spec": {"replicas": -1}})
    assert (negative.code, negative.reason) == (422, "Invalid")
    assert negative.message == (
        'Scale.autoscaling "d" is invalid: spec.replicas: Invalid value: -1: must be greater than or equal to 0'
    )
    other = await api.put(at, {**scale, "metadata": {**scale["metadata"], "uid": "other"}})
    assert other.code == 409
    stale = await api.put(at, {**scale, "metadata": {**scale["metadata"], "resourceVersion": "1"}})
    assert (stale.code, stale.reason) == (409, "Conflict") and "the object has been modified" in stale.message
    free = {**scale, "metadata": {"name": "d", "namespace": "default"}, "spec": {"replicas": 7}}
    assert (await api.put(at, free)).ok()["spec"]["replicas"] == 7
