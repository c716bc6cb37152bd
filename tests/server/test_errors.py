"""Whatever comes in, a Status goes out that says why: never a 5xx, never a hang."""

import random

import orjson
import pytest
from tests.server.world import (
    CM,
    DEPLOYMENTS,
    PODS,
    SERVICES,
    TABLE,
    Api,
    World,
    config_map,
    deployment,
    obj,
    pod,
    service,
)

from kaa.store.api import StoreFull

GARBAGE = [
    b"{",
    b"",
    b"null",
    b"[]",
    b"5",
    b'"x"',
    b"true",
    b"\xff\xfe",
    b'{"metadata":',
    b"{}" * 2,
    b"\0",
    b'{"kind":5,"apiVersion":{}}',
    b'{"kind":"ConfigMap","apiVersion":"v1"}',
    b'{"metadata":5}',
    b'{"metadata":[]}',
    b'{"metadata":{"name":5}}',
    b'{"metadata":{"name":"a","labels":5}}',
    b'{"metadata":{"name":"a","labels":{"a":5}}}',
    b'{"metadata":{"name":"a","ownerReferences":5}}',
    b'{"metadata":{"name":"a","ownerReferences":[5]}}',
    b'{"metadata":{"name":"a","managedFields":[5]}}',
    b'{"metadata":{"name":"a","managedFields":[{}]}}',
    b'{"metadata":{"name":"a","managedFields":[{"fieldsV1":5}]}}',
    b'{"metadata":{"name":"a","finalizers":{}}}',
    b'{"metadata":{"name":"a","managedFields":[{"manager":"m","operation":"Update","apiVersion":"v1","fieldsType":'
    b'"FieldsV1","fieldsV1":{"f:data":5}}]}}',
    b'{"metadata":{"name":"\\ud800"}}',
    b'{"metadata":{"name":"a"},"data":{"\\u0000":"x"}}',
    b'{"metadata":{"name":"a","creationTimestamp":5}}',
    b'{"metadata":{"name":"a","creationTimestamp":"x"}}',
    b'{"metadata":{"name":"a","generation":1e400}}',
    b'{"metadata":{"name":"a","generation":99999999999999999999999}}',
    b'{"metadata":{"name":"a","annotations":{"x":null}}}',
    b'{"metadata":{"name":"' + b"a" * 5000 + b'"}}',
    b'{"metadata":{"name":"a/b"}}',
    b'{"metadata":{"name":".."}}',
    b'{"metadata":{"name":"a%2f"}}',
    b"[" * 100_000,
    b'{"a":' * 50_000,
    b'{"metadata":{"name":"a"},"data":' + b"[" * 5000 + b"]" * 5000 + b"}",
    b'{"metadata":{"name":"a"},"x":' + b'{"a":' * 5000 + b"1" + b"}" * 5000 + b"}",
]


@pytest.mark.parametrize(
    "path",
    [
        CM,
        PODS,
        SERVICES,
        DEPLOYMENTS,
        "/api/v1/namespaces",
        "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews",
        "/apis/rbac.authorization.k8s.io/v1/clusterroles",
    ],
)
async def test_garbage(api: Api, path: str) -> None:
    for body in GARBAGE:
        for media in ("application/json", "application/yaml"):
            if media == "application/yaml" and len(body) > 20_000:
                continue
            answer = await api.ask("POST", path, body or b" ", media=media)
            assert answer.code < 500, (media, body[:100], answer.body)
            assert answer.json["kind"]
    for body in GARBAGE:
        for media in (
            "application/json-patch+json",
            "application/merge-patch+json",
            "application/strategic-merge-patch+json",
            "application/apply-patch+yaml",
        ):
            if len(body) > 20_000 and "yaml" in media:
                continue
            answer = await api.ask("PATCH", f"{path}/a", body or b" ", media=media, fieldManager="x")
            assert answer.code < 500, (media, body[:100], answer.body)
        answer = await api.ask("PUT", f"{path}/a", body or b" ")
        assert answer.code < 500, body[:100]
        answer = await api.ask("DELETE", f"{path}/none", body or b" ")
        assert answer.code < 500, body[:100]


async def test_yaml_that_grows(api: Api) -> None:
    bomb = b"a: &a [x,x]\n" + b"".join(b"%c: &%c [*%c,*%c]\n" % (c + 1, c + 1, c, c) for c in range(97, 120))
    answer = await api.ask("POST", CM, bomb, media="application/yaml")
    assert answer.code == 400 and "yaml: document contains excessive aliasing" in answer.message
    deep = b"metadata: {name: a}\ndata: " + b"[" * 3000
    assert (await api.ask("POST", CM, deep, media="application/yaml")).code == 400
    for odd in (
        b"a: 2020-01-01",
        b"? [x]\n: y",
        b"a: .nan",
        b"!!python/object:os.system x",
        b"a: !!binary aGk=",
        b"a: 0x1f",
        b"1: 2",
        b"a: !!set {x, y}",
        b"- 1\n---\n- 2",
        b"a: 1e999",
    ):
        answer = await api.ask(
            "POST", CM, b"kind: ConfigMap\napiVersion: v1\nmetadata: {name: y}\n" + odd, media="application/yaml"
        )
        assert answer.code in (201, 400, 409, 422), (odd, answer.body)


VALUES = [
    None,
    5,
    -1,
    1.5,
    1e300,
    2**63,
    -(2**70),
    "",
    "x",
    "\u0000",
    "é" * 300,
    True,
    [],
    {},
    [None],
    [5],
    ["x"],
    [{}],
    [[]],
    {"x": 5},
    {"": ""},
    {"a": {"b": {"c": 1}}},
    "1Ki",
    "2001-01-01T00:00:00Z",
]


def mutate(rng: random.Random, value, depth: int = 0):
    """A copy with something somewhere put out of place."""
    if isinstance(value, dict) and value and rng.random() < 0.85:
        key = rng.choice(sorted(value))
        out = dict(value)
        out[key] = mutate(rng, value[key], depth + 1)
        return out
    if isinstance(value, list) and value and rng.random() < 0.85:
        at = rng.randrange(len(value))
        return [mutate(rng, each, depth + 1) if index == at else each for index, each in enumerate(value)]
    return rng.choice(VALUES)


async def test_values_out_of_place(world: World) -> None:
    """Every create, update, patch and apply of an object with a wrong value somewhere is answered, and not by a 5xx."""
    api, rng = world.admin, random.Random(7)
    seeds = [
        (CM, config_map("m", a="b")),
        (
            PODS,
            pod(
                "m",
                labels={"a": "b"},
                nodeSelector={"x": "y"},
                tolerations=[{"key": "a", "operator": "Exists"}],
                volumes=[{"name": "v", "emptyDir": {}}],
                affinity={"nodeAffinity": {}},
                securityContext={"runAsUser": 5},
                hostAliases=[{"ip": "1.2.3.4", "hostnames": ["x"]}],
            ),
        ),
        (SERVICES, service("m", {"port": 80, "name": "a", "targetPort": 80}, selector={"a": "b"}, type="NodePort")),
        (DEPLOYMENTS, deployment("m", strategy={"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1}})),
        ("/api/v1/namespaces/default/secrets", obj("Secret", "m", data={"a": "Yg=="}, type="Opaque")),
        (
            "/apis/batch/v1/namespaces/default/jobs",
            obj(
                "Job",
                "m",
                "batch/v1",
                spec={"template": {"spec": {"restartPolicy": "Never", "containers": [{"name": "c", "image": "i"}]}}},
            ),
        ),
        (
            "/apis/networking.k8s.io/v1/namespaces/default/networkpolicies",
            obj(
                "NetworkPolicy",
                "m",
                "networking.k8s.io/v1",
                spec={
                    "podSelector": {"matchLabels": {"a": "b"}},
                    "ingress": [{"from": [{"podSelector": {}}], "ports": [{"port": 80}]}],
                },
            ),
        ),
        (
            "/apis/policy/v1/namespaces/default/poddisruptionbudgets",
            obj(
                "PodDisruptionBudget",
                "m",
                "policy/v1",
                spec={"minAvailable": 1, "selector": {"matchLabels": {"a": "b"}}},
            ),
        ),
        (
            "/apis/autoscaling/v2/namespaces/default/horizontalpodautoscalers",
            obj(
                "HorizontalPodAutoscaler",
                "m",
                "autoscaling/v2",
                spec={
                    "maxReplicas": 3,
                    "scaleTargetRef": {"kind": "Deployment", "name": "d"},
                    "metrics": [
                        {
                            "type": "Resource",
                            "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 5}},
                        }
                    ],
                },
            ),
        ),
        (
            "/apis/autoscaling/v1/namespaces/default/horizontalpodautoscalers",
            obj(
                "HorizontalPodAutoscaler",
                "m1",
                "autoscaling/v1",
                spec={
                    "maxReplicas": 3,
                    "targetCPUUtilizationPercentage": 5,
                    "scaleTargetRef": {"kind": "Deployment", "name": "d"},
                },
            ),
        ),
        (
            "/apis/rbac.authorization.k8s.io/v1/clusterroles",
            obj(
                "ClusterRole",
                "m",
                "rbac.authorization.k8s.io/v1",
                rules=[{"verbs": ["get"], "apiGroups": [""], "resources": ["pods"]}],
            ),
        ),
        ("/api/v1/nodes", obj("Node", "m", spec={"taints": [{"key": "a", "effect": "NoSchedule"}]})),
        (
            "/apis/events.k8s.io/v1/namespaces/default/events",
            obj(
                "Event",
                "m",
                "events.k8s.io/v1",
                reason="R",
                action="A",
                eventTime="2024-01-01T00:00:00.000000Z",
                reportingController="a/b",
                reportingInstance="i",
                type="Normal",
                regarding={"kind": "Pod", "name": "p"},
            ),
        ),
        (
            "/apis/coordination.k8s.io/v1/namespaces/default/leases",
            obj("Lease", "m", "coordination.k8s.io/v1", spec={"holderIdentity": "x", "leaseDurationSeconds": 5}),
        ),
    ]
    for path, seed in seeds:
        (await api.post(path, seed)).ok(201)
        for _ in range(60):
            body = mutate(rng, seed)
            verb = rng.choice(["POST", "PUT", "merge", "strategic", "apply", "status"])
            at = f"{path}/{seed['metadata']['name']}"
            if verb == "POST":
                renamed = (
                    {**body, "metadata": {**body["metadata"], "name": "m2"}}
                    if isinstance(body, dict) and isinstance(body.get("metadata"), dict)
                    else body
                )
                answer = await api.post(path, renamed, dryRun="All")
            elif verb == "PUT":
                answer = await api.put(at, body)
            elif verb == "status":
                answer = await api.merge(
                    f"{at}/status",
                    {
                        "status": rng.choice(
                            [
                                *VALUES,
                                {"conditions": rng.choice(VALUES)},
                                {"phase": rng.choice(VALUES)},
                                {"replicas": rng.choice(VALUES)},
                            ]
                        )
                    },
                )
            elif verb == "apply":
                answer = await api.apply(at, body, force="true")
            else:
                media = "application/merge-patch+json" if verb == "merge" else "application/strategic-merge-patch+json"
                answer = await api.ask("PATCH", at, body, media=media)
            assert answer.code < 500, (verb, path, orjson.dumps(body)[:1500], answer.body[:500])
            table = await api.get(path, accept=TABLE)
            assert table.code == 200, (verb, orjson.dumps(body)[:1500], table.body[:500])


PATHS = [
    ("/nothing", 404),
    ("/api/v2", 404),
    ("/api/v1/nothing", 404),
    ("/apis/none/v1", 404),
    ("/apis/apps/v9/deployments", 404),
    ("/apis/apps/v1/nothing", 404),
    (f"{PODS}/a/nothing", 404),
    ("/api/v1/namespaces/default/nodes", 404),
    ("/api/v1/namespaces/default/nothing/x", 404),
    ("//api/v1/pods", 404),
    ("/api/v1//pods", 404),
    ("/api/v1/pods/", 200),
    ("/apis/apps/v1/", 200),
    ("/api/", 200),
    ("/apis/", 200),
    ("/api/v1/namespaces/default/pods/%2e%2e", 404),
    ("/api/v1/namespaces/%20/pods", 200),
    (f"{CM}/%ff", 404),
    ("/openapi/v3/nothing", 404),
    ("/version/x", 404),
    ("/healthz/nothing", 404),
    ("/api/v1/namespaces/default/pods/a/b/c/d/e", 404),
    ("/" + "a/" * 2000, 404),
    ("", 404),
    ("/api/v1/watch", 404),
    ("/api/v1/watch/nothing", 404),
    ("/api/v1/proxy/x", 404),
    (f"{CM}/a/status", 404),
]


@pytest.mark.parametrize(("path", "code"), PATHS)
async def test_unknown_paths(api: Api, path: str, code: int) -> None:
    answer = await api.get(path)
    assert answer.code == code, answer.body
    if code == 404 and not path.startswith("/healthz"):
        assert answer.reason == "NotFound"


VERBS = [
    ("POST", f"{CM}/a"),
    ("PUT", CM),
    ("PATCH", CM),
    ("TRACE", CM),
    ("OPTIONS", CM),
    ("PUT", "/api/v1/namespaces"),
    ("DELETE", "/apis/authentication.k8s.io/v1/tokenreviews/x"),
    ("GET", "/apis/authentication.k8s.io/v1/tokenreviews"),
    ("POST", f"{PODS}/a/status"),
    ("DELETE", f"{PODS}/a/status"),
    ("GET", f"{PODS}/a/binding"),
    ("PUT", f"{PODS}/a/eviction"),
    ("DELETE", "/api/v1/namespaces"),
    ("PUT", "/api/v1/bindings"),
    ("BREW", PODS),
]


@pytest.mark.parametrize(("method", "path"), VERBS)
async def test_unknown_verbs(api: Api, method: str, path: str) -> None:
    answer = await api.ask(method, path, {} if method in ("POST", "PUT", "PATCH") else None)
    assert answer.code == 405 and answer.reason == "MethodNotAllowed", answer.body


async def test_forms_nobody_reads_or_writes(api: Api) -> None:
    for media in ("text/plain", "application/xml", "multipart/form-data", "application/cbor"):
        answer = await api.ask("POST", CM, b"x", media=media)
        assert (answer.code, answer.reason) == (415, "UnsupportedMediaType"), media
    for accept in (
        "text/html",
        "application/xml",
        "application/json;as=Nothing;g=meta.k8s.io;v=v1",
        "application/cbor",
    ):
        answer = await api.get(CM, accept=accept)
        assert (answer.code, answer.reason) == (406, "NotAcceptable"), accept
    before = (await api.get(CM)).names
    refused = await api.post(CM, config_map("never"), accept="text/html")
    assert refused.code == 406 and (await api.get(CM)).names == before


async def test_too_large(api: Api) -> None:
    big = await api.post(CM, config_map("big", x="a" * 2_000_000))
    assert (big.code in (413, 422) and "large" in big.message.lower()) or "long" in big.message.lower()
    half = await api.post(CM, config_map("half", x="a" * 900_000))
    assert half.code == 201
    (await api.post("/api/v1/namespaces/default/secrets", obj("Secret", "s"))).ok()
    long = {**config_map("notes"), "metadata": {"name": "notes", "annotations": {"a": "x" * 300_000}}}
    assert (await api.post(CM, long)).code == 422


QUERIES = [
    "?limit=-1",
    "?limit=99999999999999999999",
    "?continue=x",
    "?labelSelector=%00",
    "?labelSelector=" + "a," * 3000 + "a",
    "?fieldSelector=%ff",
    "?resourceVersion=99999999999999999999",
    "?resourceVersion=1e3",
    "?watch=0",
    "?dryRun=x",
    "?fieldSelector=metadata.name%3D",
    "?fieldSelector=%3D%3D",
    "?timeoutSeconds=x",
    "?pretty=x",
    "?=&&=",
    "?%",
    "?x=%zz",
    "?watch=1&resourceVersion=x",
    "?watch=1&timeoutSeconds=x",
    "?labelSelector=a+in+(",
    "?watch=1&timeoutSeconds=1&resourceVersion=18446744073709551615",
    "?limit=1&continue=eyJ2IjoibWV0YS5rOHMuaW8vdjEiLCJydiI6MSwic3RhcnQiOiJhIn0",
]


@pytest.mark.parametrize("query", QUERIES)
async def test_odd_queries(api: Api, query: str) -> None:
    answer = await api.get(CM + query)
    assert answer.code < 500, answer.body


NUMBERS = [
    (b"9223372036854775808", 400), (b"-9223372036854775809", 400), (b"1e400", 400), (b"1.5", 400), (b"NaN", 400),
    (b"Infinity", 400), (b"0x10", 400), (b"1_000", 400), (b"3000000000", 400), (b"-1", 422), (b"007", 400),
    (b"2147483647", 201), (b'"3"', 400), (b"true", 400), (b"9" * 5000, 400), (b"1e2", 400),
]  # fmt: skip


@pytest.mark.parametrize(("number", "code"), NUMBERS, ids=[repr(each[0])[:24] for each in NUMBERS])
async def test_numbers_no_field_holds(api: Api, number: bytes, code: int) -> None:
    body = orjson.dumps(deployment("d")).replace(b'"replicas":1', b'"replicas":' + number)
    for more in ({}, {"fieldValidation": "Strict"}):
        answer = await api.post(DEPLOYMENTS, body, dryRun="All", **more)
        assert answer.code == code, answer.body
        if code == 400:
            assert answer.reason == "BadRequest" and "Deployment" in answer.message


@pytest.mark.parametrize("levels", [100, 199, 1000, 10_000, 100_000])
async def test_nesting(api: Api, levels: int) -> None:
    """However deep, an answer comes: fields nobody knows may nest as far as the reader goes."""
    (await api.post(CM, config_map("b"))).ok()
    for start, end in ((b'{"a":', b"}"), (b"[", b"]")):
        deep = start * levels + b"1" + end * levels
        body = b'{"metadata":{"name":"a"},"x":' + deep + b"}"
        for more in ({}, {"fieldValidation": "Strict"}, {"fieldValidation": "Ignore"}):
            answer = await api.post(CM, body, dryRun="All", **more)
            assert answer.code in (201, 400), answer.body[:300]
        patch = b'{"x":' + deep + b"}"
        for media in ("application/merge-patch+json", "application/strategic-merge-patch+json"):
            answer = await api.ask("PATCH", f"{CM}/b", patch, media=media)
            assert answer.code in (200, 400, 422), answer.body[:300]
        operations = b'[{"op":"add","path":"/x","value":' + deep + b"}]"
        answer = await api.ask("PATCH", f"{CM}/b", operations, media="application/json-patch+json")
        assert answer.code in (200, 400, 422), answer.body[:300]
        if levels <= 1000:
            answer = await api.post(CM, body, media="application/yaml", dryRun="All")
            assert answer.code == (201 if levels <= 199 else 400), answer.body[:300]


async def test_text_that_is_none(api: Api) -> None:
    for raw in (b"\xff", b"\xed\xa0\x80", b"\xc0\x80", b"\xf5\x80\x80\x80"):
        answer = await api.post(CM, b'{"metadata":{"name":"a"},"data":{"k":"' + raw + b'"}}')
        assert (answer.code, answer.reason) == (400, "BadRequest")
        assert answer.message.startswith("the object provided is unrecognized (must be of type ConfigMap): ")
        in_yaml = await api.post(CM, b"metadata: {name: a}\ndata: {k: " + raw + b"}", media="application/yaml")
        assert in_yaml.code == 400 and "must be of type ConfigMap" in in_yaml.message
    zero = await api.post(CM, b'{"metadata":{"name":"a"},"data":{"k":"\\u0000"}}')
    assert zero.ok(201)["data"] == {"k": "\0"}


async def test_odd_parameters_of_writes(api: Api) -> None:
    (await api.post(CM, config_map("a"))).ok()
    for query in (
        "?fieldManager=%00",
        "?fieldManager=" + "x" * 200,
        "?fieldValidation=x",
        "?dryRun=All&dryRun=x",
        "?force=x",
    ):
        for method in ("POST", "PUT", "PATCH", "DELETE"):
            at = CM if method == "POST" else f"{CM}/a"
            media = "application/merge-patch+json" if method == "PATCH" else "application/json"
            answer = await api.ask(
                method,
                at + query,
                config_map("b") if method == "POST" else {} if method == "DELETE" else config_map("a"),
                media=media,
            )
            assert answer.code < 500, (method, query, answer.body)


async def test_a_store_that_fails_is_told_and_recovers(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not ready while writes do not get through, alive all the same; ready again with the next one that does."""
    api, store = world.admin, world.server.store

    async def fail(*_ops: object) -> int:
        raise StoreFull("no room on the disk: free some")

    with monkeypatch.context() as broken:
        broken.setattr(store, "commit", fail)
        refused = await api.post(CM, config_map("a"))
        assert (refused.code, refused.reason) == (507, "InsufficientStorage")
        ready = await api.get("/readyz")
        assert ready.code == 500
        assert b"[-]store failed: no room on the disk: free some" in ready.body
        assert (await api.get("/livez")).code == 200
    (await api.post(CM, config_map("a"))).ok(201)
    assert (await api.get("/readyz")).code == 200
