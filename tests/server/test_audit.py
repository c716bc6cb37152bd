"""The audit log: which requests the policy picks, what their events hold, and where they are written."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import orjson
import pytest
import yaml
from tests.server.world import CM, PODS, TABLE, World, config_map, obj, pod, running

from kaa.base import clock as clocks
from kaa.base.clock import Clock
from kaa.cluster.pki import Authority
from kaa.http.api import Peer, Request, Response
from kaa.http.inprocess import InProcess
from kaa.http.serve import serve
from kaa.http.tls import TlsServer
from kaa.server.audit.event import Record, render
from kaa.server.audit.logfile import LogFile, Rotation
from kaa.server.audit.policy import LEVELS, AuditPolicyError, load_policy, parse_policy
from kaa.server.audit.queue import Batching, Queue
from kaa.server.audit.settings import AuditSettings
from kaa.server.audit.trail import Trail
from kaa.server.request import RequestInfo, User, parse

Json = dict[str, Any]


def policy(*rules: Json, **more: Any) -> bytes:
    return yaml.safe_dump({"apiVersion": "audit.k8s.io/v1", "kind": "Policy", "rules": list(rules), **more}).encode()


class Audited:
    """A server whose log is read back."""

    def __init__(self, world: World, log: Path) -> None:
        self.world, self.log = world, log

    @property
    def admin(self) -> Any:
        return self.world.admin

    async def events(self, *, count: int = 0, **fields: Any) -> list[Json]:
        """What has been written about requests that have these fields."""
        for _ in range(200):
            for queue in self.world.server.auditor.queues:
                await queue.through()
            lines = [orjson.loads(each) for each in self.log.read_text().splitlines()] if self.log.exists() else []
            found = [each for each in lines if all(_at(each, name) == value for name, value in fields.items())]
            if len(found) >= count:
                return found
            await asyncio.sleep(0.01)
        raise AssertionError(f"{len(found)} events of {count}: {lines}")


def _at(event: Json, path: str) -> Any:
    found: Any = event
    for name in path.split("__"):
        found = (found or {}).get(name)
    return found


async def audited(tmp_path: Path, content: bytes, *, mode: str = "blocking", **settings: Any) -> AsyncIterator[Audited]:
    file, log = tmp_path / "policy.yaml", tmp_path / "audit.log"
    file.write_bytes(content)
    audit = AuditSettings(policy_file=file, log_path=str(log), log_mode=mode)
    async for world in running(audit=audit, **settings):
        yield Audited(world, log)


# --- the policy

ALICE = User("alice", ("devs", "system:authenticated"))


def asks(method: str, path: str, query: str = "") -> RequestInfo:
    return parse(Request(method, path, query))


@pytest.mark.parametrize(
    ("rule", "method", "path", "fits"),
    [
        ({}, "GET", "/version", True),
        ({"users": ["alice"]}, "GET", "/version", True),
        ({"users": ["bob"]}, "GET", "/version", False),
        ({"userGroups": ["ops", "devs"]}, "GET", PODS, True),
        ({"userGroups": ["ops"]}, "GET", PODS, False),
        ({"verbs": ["get"]}, "GET", f"{PODS}/x", True),
        ({"verbs": ["get"]}, "GET", PODS, False),
        ({"namespaces": ["default"]}, "GET", PODS, True),
        ({"namespaces": ["kube-system"]}, "GET", PODS, False),
        ({"namespaces": [""]}, "GET", "/api/v1/nodes/n", True),
        ({"namespaces": ["default"]}, "GET", "/version", False),
        ({"resources": [{"group": ""}]}, "GET", PODS, True),
        ({"resources": [{"group": "apps"}]}, "GET", PODS, False),
        ({"resources": [{"group": "", "resources": ["pods"]}]}, "GET", f"{PODS}/x", True),
        ({"resources": [{"group": "", "resources": ["pods"]}]}, "GET", f"{PODS}/x/log", False),
        ({"resources": [{"group": "", "resources": ["pods/log"]}]}, "GET", f"{PODS}/x/log", True),
        ({"resources": [{"group": "", "resources": ["pods/*"]}]}, "GET", f"{PODS}/x/log", True),
        ({"resources": [{"group": "", "resources": ["*/log"]}]}, "GET", f"{PODS}/x/log", True),
        ({"resources": [{"group": "", "resources": ["*/log"]}]}, "GET", f"{PODS}/x", False),
        ({"resources": [{"group": "", "resources": ["*"]}]}, "GET", f"{PODS}/x/log", True),
        ({"resources": [{"group": "", "resources": ["pods"], "resourceNames": ["x"]}]}, "GET", f"{PODS}/x", True),
        ({"resources": [{"group": "", "resources": ["pods"], "resourceNames": ["y"]}]}, "GET", f"{PODS}/x", False),
        ({"nonResourceURLs": ["/healthz*"]}, "GET", "/healthz/ping", True),
        ({"nonResourceURLs": ["/version"]}, "GET", "/version", True),
        ({"nonResourceURLs": ["/version"]}, "GET", "/versions", False),
        ({"nonResourceURLs": ["*"]}, "GET", "/anything", True),
        ({"nonResourceURLs": ["*"]}, "GET", PODS, False),
    ],
)
def test_which_rules_fit(rule: Json, method: str, path: str, fits: bool):
    made = parse_policy(policy({"level": "Request", **rule}))
    assert made.of(ALICE, asks(method, path)).level == (2 if fits else 0)


def test_the_first_rule_that_fits_decides():
    made = parse_policy(policy(
        {"level": "None", "users": ["bob"]},
        {"level": "Metadata", "verbs": ["get"], "omitStages": ["RequestReceived"], "omitManagedFields": False},
        {"level": "RequestResponse"},
        omitStages=["Panic"], omitManagedFields=True,
    ))  # fmt: skip
    one, other = made.of(ALICE, asks("GET", f"{PODS}/x")), made.of(ALICE, asks("DELETE", f"{PODS}/x"))
    assert (LEVELS[one.level], one.omit_stages, one.omit_managed_fields) == (
        "Metadata", {"Panic", "RequestReceived"}, False)  # fmt: skip
    assert (LEVELS[other.level], other.omit_stages, other.omit_managed_fields) == ("RequestResponse", {"Panic"}, True)
    assert made.of(User("bob"), asks("GET", "/version")).level == 0


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        ({}, "rules[0].level: Required value"),
        ({"level": "All"}, 'rules[0].level: Unsupported value: "All": supported values: "None", "Metadata", "Request", '
                           '"RequestResponse"'),
        ({"level": "None", "nonResourceURLs": ["x"]},
         'rules[0].nonResourceURLs[0]: Invalid value: "x": non-resource URL rules must begin with a \'/\' character'),
        ({"level": "None", "nonResourceURLs": ["/a*b"]},
         'rules[0].nonResourceURLs[0]: Invalid value: "/a*b": non-resource URL wildcards \'*\' must be the final '
         "character of the rule"),
        ({"level": "None", "nonResourceURLs": ["/a"], "namespaces": ["b"]},
         'rules[0].nonResourceURLs: Invalid value: ["/a"]: rules cannot apply to both regular resources and '
         "non-resource URLs"),
        ({"level": "None", "resources": [{"group": "", "resourceNames": ["a"]}]},
         'rules[0].resources.resourceNames: Invalid value: ["a"]: using resourceNames requires at least one resource'),
        ({"level": "None", "omitStages": ["Later"]},
         'rules[0].omitStages[0]: Invalid value: "Later": allowed stages are '
         "RequestReceived,ResponseStarted,ResponseComplete,Panic"),
        ({"level": "None", "user": ["x"]}, "unknown field"),
        ({"level": "None", "verbs": "get"}, "must be a list of strings"),
    ],
)  # fmt: skip
def test_a_policy_with_a_mistake(tmp_path: Path, rule: Json, message: str):
    path = tmp_path / "policy.yaml"
    path.write_bytes(policy(rule))
    with pytest.raises(AuditPolicyError) as error:
        load_policy(path)
    assert message in str(error.value)
    assert str(path) in str(error.value)


def test_files_that_are_no_policies(tmp_path: Path):
    path = tmp_path / "policy.yaml"
    for content, words in (
        (None, "failed to read file path"),
        (policy(), "loaded illegal policy with 0 rules"),
        (b"kind: Policy\napiVersion: audit.k8s.io/v1beta1\n", "unknown group version field audit.k8s.io/v1beta1"),
        (b"kind: Pod\napiVersion: v1\n", "failed decoding"),
        (b"a: [", "failed decoding"),
    ):
        if content is not None:
            path.write_bytes(content)
        with pytest.raises(AuditPolicyError, match=words):
            load_policy(path)


# --- what events hold


async def test_a_write_at_each_level(tmp_path: Path):
    rules = [
        {"level": level, "users": [level.lower()], "resources": [{"group": "", "resources": ["configmaps"]}]}
        for level in LEVELS
    ]
    async for audit in audited(tmp_path, policy(*rules)):
        for level in LEVELS:
            api = audit.world.as_user(level.lower(), "system:masters")
            made = await api.post(CM, config_map(level.lower(), a="1"), headers={"User-Agent": "tester/1"})
            made.ok(201)
            assert made.headers["audit-id"]
            events = await audit.events(auditID=made.headers["audit-id"])
            assert [each["stage"] for each in events] == (
                [] if level == "None" else ["RequestReceived", "ResponseComplete"]
            )
            if level == "None":
                continue
            first, last = events
            assert list(first) == ["kind", "apiVersion", "level", "auditID", "stage", "requestURI", "verb", "user",
                                   "userAgent", "objectRef", "requestReceivedTimestamp", "stageTimestamp"]  # fmt: skip
            assert first["objectRef"] == {"resource": "configmaps", "namespace": "default", "apiVersion": "v1"}
            assert "responseStatus" not in first
            assert "annotations" not in first
            assert (last["kind"], last["apiVersion"], last["level"]) == ("Event", "audit.k8s.io/v1", level)
            assert last["requestURI"] == CM
            assert last["verb"] == "create"
            assert last["user"]["username"] == level.lower()
            assert last["user"]["groups"] == ["system:masters", "system:authenticated"]
            (fingerprint,) = last["user"]["extra"]["authentication.kubernetes.io/credential-id"]
            assert fingerprint.startswith("X509SHA256=")
            assert last["userAgent"] == "tester/1"
            assert last["objectRef"] == {"resource": "configmaps", "namespace": "default", "name": level.lower(),
                                         "apiVersion": "v1"}  # fmt: skip
            assert last["responseStatus"] == {"metadata": {}, "code": 201}
            assert last["annotations"]["authorization.k8s.io/decision"] == "allow"
            assert "authorization.k8s.io/reason" in last["annotations"]
            assert len(last["requestReceivedTimestamp"]) == len("2026-01-02T03:04:05.678901Z")
            assert last["requestReceivedTimestamp"] <= last["stageTimestamp"]
            assert ("requestObject" in last) == (level in ("Request", "RequestResponse"))
            assert ("responseObject" in last) == (level == "RequestResponse")
            if level == "RequestResponse":
                assert last["requestObject"]["data"] == {"a": "1"}
                assert last["responseObject"] == made.json


async def test_what_was_sent_shows_defaults_and_patches_as_they_came(tmp_path: Path):
    async for audit in audited(tmp_path, policy({"level": "Request", "verbs": ["create", "patch", "delete"]})):
        api = audit.admin
        (await api.post(PODS, pod("p"))).ok(201)
        (created,) = await audit.events(verb="create", objectRef__name="p", stage="ResponseComplete")
        assert created["requestObject"]["spec"]["containers"][0]["terminationMessagePath"] == "/dev/termination-log"
        (await api.merge(f"{PODS}/p", {"metadata": {"labels": {"a": "b"}}})).ok()
        (patched,) = await audit.events(verb="patch", stage="ResponseComplete")
        assert patched["requestObject"] == {"metadata": {"labels": {"a": "b"}}}
        yaml_body = b"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\ndata: {x: word}\n"
        (await api.ask("PATCH", f"{CM}/c", yaml_body, media="application/apply-patch+yaml", fieldManager="me")).ok()
        (applied,) = await audit.events(verb="patch", objectRef__resource="configmaps", stage="ResponseComplete")
        assert applied["requestObject"]["data"] == {"x": "word"}
        assert applied["requestURI"] == f"{CM}/c?fieldManager=me"
        (await api.delete(f"{PODS}/p", {"kind": "DeleteOptions", "apiVersion": "v1", "gracePeriodSeconds": 0})).ok()
        (deleted,) = await audit.events(verb="delete", stage="ResponseComplete")
        assert deleted["requestObject"]["gracePeriodSeconds"] == 0


async def test_answers_in_other_forms_and_without_managed_fields(tmp_path: Path):
    async for audit in audited(tmp_path, policy({"level": "RequestResponse", "omitStages": ["RequestReceived"]},
                                                omitManagedFields=True)):  # fmt: skip
        api = audit.admin
        made = (await api.post(CM, config_map("c", a="1"))).ok(201)
        assert made["metadata"]["managedFields"]
        (event,) = await audit.events(verb="create", objectRef__name="c")
        assert "managedFields" not in event["responseObject"]["metadata"]
        await api.get(f"{CM}/c", accept="application/vnd.kubernetes.protobuf")
        (event,) = await audit.events(verb="get", objectRef__name="c")
        assert (event["responseObject"]["kind"], event["responseObject"]["data"]) == ("ConfigMap", {"a": "1"})
        await api.get(CM, accept=TABLE)
        (event,) = await audit.events(verb="list", objectRef__resource="configmaps")
        assert event["responseObject"]["kind"] == "Table"
        for n in range(40):
            await api.post(CM, config_map(f"big-{n}", a="x" * 5000))
        listed = await api.ask("GET", CM, headers={"Accept-Encoding": "gzip"})
        assert listed.code == 200
        event = (await audit.events(count=2, verb="list", objectRef__resource="configmaps"))[-1]
        assert len(event["responseObject"]["items"]) == 41


async def test_refusals(tmp_path: Path):
    async for audit in audited(tmp_path, policy({"level": "Metadata"})):
        world = audit.world
        refused = await world.as_user("mallory").get(f"{CM}/c")
        (event,) = await audit.events(user__username="mallory", stage="ResponseComplete")
        assert event["annotations"] == {"authorization.k8s.io/decision": "forbid", "authorization.k8s.io/reason": ""}
        status = refused.json
        assert event["responseStatus"] == {
            "metadata": {},
            "status": "Failure",
            "message": status["message"],
            "reason": "Forbidden",
            "details": status["details"],
            "code": 403,
        }
        assert (await world.admin.get(f"{CM}/none")).code == 404
        (event,) = await audit.events(objectRef__name="none", stage="ResponseComplete")
        assert event["responseStatus"]["reason"] == "NotFound"

        wrong = await world.with_token("nonsense").get(CM)
        assert wrong.code == 401
        events = await audit.events(auditID=wrong.headers["audit-id"])
        assert [each["stage"] for each in events] == ["ResponseStarted", "ResponseComplete"]
        assert events[0]["user"] == {}
        assert events[0]["responseStatus"]["message"] == "Authentication failed, attempted: bearer"
        assert events[0]["responseStatus"]["code"] == 401
        assert "annotations" not in events[0]


async def test_a_watch_starts_and_completes(tmp_path: Path):
    async for audit in audited(tmp_path, policy({"level": "RequestResponse"}), mode="batch"):
        async with await audit.admin.watch(CM) as watch:
            await audit.admin.post(CM, config_map("c"))
            assert (await watch.next())["type"] == "ADDED"
            events = await audit.events(count=2, verb="watch")
            assert [each["stage"] for each in events] == ["RequestReceived", "ResponseStarted"]
            assert events[1]["responseStatus"]["code"] == 200
        events = await audit.events(count=3, verb="watch")
        assert events[2]["stage"] == "ResponseComplete"
        assert "responseObject" not in events[2]


async def test_the_audit_id_of_the_client_and_the_way_of_a_request(tmp_path: Path):
    async for audit in audited(tmp_path, policy({"level": "Metadata", "omitStages": ["RequestReceived"]})):
        transport = InProcess(audit.world.server.app, Peer("10.0.0.9:4711"))
        audit.world.opened.append(transport)
        reply = await transport.call("GET", "/version", headers=[
            ("Audit-ID", "my-own-id"), ("X-Forwarded-For", "192.168.1.1, nonsense, 10.1.1.1"),
            ("X-Real-Ip", "172.16.0.1"), ("User-Agent", "a" * 2000)])  # fmt: skip
        assert reply.headers["audit-id"] == "my-own-id"
        (event,) = await audit.events(auditID="my-own-id")
        assert event["sourceIPs"] == ["192.168.1.1", "10.1.1.1", "172.16.0.1", "10.0.0.9"]
        assert event["userAgent"] == "a" * 1024 + "...TRUNCATED"
        assert (event["verb"], event["requestURI"]) == ("get", "/version")
        assert "objectRef" not in event
        assert event["user"]["username"] == "system:anonymous"


async def test_impersonation_tells_both(tmp_path: Path):
    async for audit in audited(tmp_path, policy({"level": "Metadata"})):
        await audit.admin.ask("GET", CM, headers={"Impersonate-User": "alice", "Impersonate-Group": "devs"})
        (event,) = await audit.events(verb="list", stage="ResponseComplete", objectRef__resource="configmaps")
        assert event["user"]["username"] == "admin"
        assert event["impersonatedUser"]["username"] == "alice"
        assert "devs" in event["impersonatedUser"]["groups"]


async def test_a_handler_that_breaks(tmp_path: Path):
    async for audit in audited(tmp_path, policy({"level": "Metadata"})):

        def broken(request: Any, user: Any) -> Any:
            raise RuntimeError("out of order")

        audit.world.server.app.routes["/broken"] = broken
        answered = await audit.admin.get("/broken")
        assert answered.code == 500
        events = await audit.events(requestURI="/broken")
        assert [each["stage"] for each in events] == ["RequestReceived", "Panic"]
        assert events[1]["responseStatus"]["message"] == "APIServer panic'd: out of order"


async def test_what_admission_tells(tmp_path: Path):
    async for audit in audited(tmp_path, policy({"level": "Metadata"})):
        (await audit.admin.post("/api/v1/namespaces", obj("Namespace", "strict", labels={
            "pod-security.kubernetes.io/enforce": "baseline"}))).ok(201)  # fmt: skip
        (await audit.admin.post("/api/v1/namespaces/strict/serviceaccounts", obj("ServiceAccount", "default"))).ok(201)
        (await audit.admin.post("/api/v1/namespaces/strict/pods", pod("p"))).ok(201)
        (event,) = await audit.events(objectRef__namespace="strict", objectRef__resource="pods",
                                      stage="ResponseComplete")  # fmt: skip
        assert event["annotations"]["pod-security.kubernetes.io/enforce-policy"] == "baseline:latest"


async def test_figures(tmp_path: Path):
    async for audit in audited(tmp_path, policy({"level": "Metadata", "users": ["admin"]})):
        await audit.admin.get(CM)
        await audit.world.as_user("other").get(CM)
        metrics = (await audit.admin.get("/metrics")).body.decode()
        assert 'apiserver_audit_level_total{level="None"} 1' in metrics
        assert "apiserver_audit_event_total" in metrics
        assert 'apiserver_audit_error_total{plugin="log"} 0' in metrics


async def test_without_a_policy_there_is_nothing(tmp_path: Path):
    async for world in running():
        answered = await world.admin.get(CM)
        assert "audit-id" not in answered.headers
        assert world.server.auditor is None


# --- where events are written


class ManualClock(Clock):
    """Stands still."""

    def __init__(self, at: float) -> None:
        self.at = at

    def now(self) -> float:
        return self.at


def record(path: str = "/version") -> Record:
    request = Request("GET", path)
    trail = Trail(None, request, "id", 0.0)  # type: ignore[arg-type]
    trail.info, trail.ruling = parse(request), parse_policy(policy({"level": "Metadata"})).of(User("x"), parse(request))
    trail.code = 200
    return Record(trail, "ResponseComplete", 0.0)


async def test_a_log_file_is_exchanged_and_old_ones_go(tmp_path: Path):
    clock = ManualClock(1_750_000_000.0)
    path = tmp_path / "audit.log"
    log = LogFile(str(path), Rotation(size_mb_max=1, backups_max=2, age_days_max=7), clock)
    size = len(render(record("/" + "x" * 1000)))
    per_file = 1024 * 1024 // (size + 1)
    for _ in range(4):
        await log.write([record("/" + "x" * 1000)] * per_file)
        clock.at += 60
    assert _names(tmp_path) == ["audit-2025-06-15T15-08-40.000.log", "audit-2025-06-15T15-09-40.000.log", "audit.log"]
    assert path.stat().st_mode & 0o777 == 0o600
    for name in _names(tmp_path):
        lines = (tmp_path / name).read_text().splitlines()
        assert len(lines) == per_file
        json.loads(lines[-1])
    clock.at += 8 * 86400
    await log.write([record("/" + "x" * 1000)] * per_file)
    assert len(_names(tmp_path)) == 2  # the others are too old
    await log.close()


async def test_old_log_files_are_compressed(tmp_path: Path):
    import gzip

    log = LogFile(str(tmp_path / "audit.log"), Rotation(size_mb_max=1, compress=True), ManualClock(1_750_000_000.0))
    for _ in range(2):
        await log.write([record("/" + "x" * 100_000)] * 8)
    await log.close()
    (old,) = (name for name in _names(tmp_path) if name.endswith(".gz"))
    assert len(gzip.decompress((tmp_path / old).read_bytes()).splitlines()) > 1


def _names(directory: Path) -> list[str]:
    return sorted(each.name for each in directory.iterdir())


class Slow:
    name = "slow"

    def __init__(self) -> None:
        self.go = asyncio.Event()
        self.batches: list[int] = []
        self.fails = False

    async def write(self, records: Any) -> None:
        await self.go.wait()
        if self.fails:
            raise OSError("disk full")
        self.batches.append(len(records))

    async def close(self) -> None:
        pass


async def test_a_full_queue_drops_and_counts():
    backend = Slow()
    queue = Queue(backend, Batching(buffer_size=10, batch_size_max=4, wait_seconds=0.01), clocks.REAL)
    task = asyncio.ensure_future(queue.run())
    for _ in range(25):
        queue.put(record())
    assert queue.lost == 15
    backend.go.set()
    await asyncio.wait_for(queue.through(), 5)
    assert backend.batches == [4, 4, 2]
    backend.fails = True
    queue.put(record())
    await asyncio.wait_for(queue.through(), 5)
    assert queue.lost == 16
    task.cancel()
    await asyncio.wait([task])
    backend.fails = False
    queue.put(record())
    await queue.close()
    assert backend.batches[-1] == 1


@pytest.mark.parametrize("mode", ["batch", "blocking"])
async def test_a_webhook_gets_lists_of_events(tmp_path: Path, mode: str):
    authority = Authority(tmp_path, "ca", "test")
    certificate, key = authority.server_files("hook", "hook", ["127.0.0.1"])
    bodies: list[Json] = []
    failures = [503, 503]

    def hook(request: Request) -> Response:
        if failures:
            return Response(failures.pop())
        bodies.append(orjson.loads(request.body))
        return Response(200, b"{}")

    listener = await serve(hook, port=0, tls=TlsServer(certificate, key))
    kubeconfig = tmp_path / "hook.kubeconfig"
    kubeconfig.write_text(yaml.safe_dump({
        "apiVersion": "v1", "kind": "Config", "current-context": "hook",
        "contexts": [{"name": "hook", "context": {"cluster": "hook"}}],
        "clusters": [{"name": "hook", "cluster": {
            "server": f"https://127.0.0.1:{listener.port}/audit",
            "certificate-authority": str(authority.certificate_path)}}],
    }))  # fmt: skip
    file = tmp_path / "policy.yaml"
    file.write_bytes(policy({"level": "Metadata", "omitStages": ["RequestReceived"],
                             "resources": [{"group": "", "resources": ["configmaps"]}]}))  # fmt: skip
    audit = AuditSettings(policy_file=file, webhook_config_file=kubeconfig, webhook_mode=mode,
                          webhook_batch_max_wait=0.1, webhook_initial_backoff=0.01)  # fmt: skip
    try:
        async for world in running(audit=audit):
            for n in range(3):
                (await world.admin.post(CM, config_map(f"c{n}"))).ok(201)
            if mode == "blocking":
                assert sum(len(each["items"]) for each in bodies) == 3
        assert {each["kind"] for each in bodies} == {"EventList"}
        assert {each["apiVersion"] for each in bodies} == {"audit.k8s.io/v1"}
        items = [item for each in bodies for item in each["items"]]
        assert [item["objectRef"]["name"] for item in items] == ["c0", "c1", "c2"]
        if mode == "batch":
            assert len(bodies) == 1
    finally:
        await listener.close(0.2)


async def test_modes_that_are_not_served(tmp_path: Path):
    file = tmp_path / "policy.yaml"
    file.write_bytes(policy({"level": "Metadata"}))
    with pytest.raises(ValueError, match='--audit-log-mode "blocking-strict" is not served'):
        async for _ in running(audit=AuditSettings(policy_file=file, log_path="-", log_mode="blocking-strict")):
            pass
