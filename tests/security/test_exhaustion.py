"""What costs the sender little costs the server little, too: however large, deep, repeated or slow."""

import asyncio
import gzip
import json
import time
from collections.abc import Awaitable, Callable
from typing import Any

import orjson
import pytest
from tests.security.town import GROUP, MINE, RBAC, grant, rule
from tests.server.hooks import hook
from tests.server.samples import SAMPLES, sample
from tests.server.world import Answered, Api, World, config_map, obj, pod

#: Time has to pass: not in the quick part.
pytestmark = pytest.mark.slow

#: What an attack may take, on a machine that is busy otherwise. Those that compare all with all take minutes.
SECONDS_MAX = 4.0
JSON_PATCH, STRATEGIC = "application/json-patch+json", "application/strategic-merge-patch+json"
Json = dict[str, Any]


async def soon(asking: Awaitable[Answered]) -> Answered:
    """The answer, which is quick."""
    began = time.perf_counter()
    answered = await asking
    took = time.perf_counter() - began
    assert took < SECONDS_MAX, f"{took:.1f} s: {answered.code} {answered.body[:200]!r}"
    return answered


def many(count: int, make: Callable[[int], Any]) -> list[Any]:
    return [make(number) for number in range(count)]


OWNER = {"apiVersion": "v1", "kind": "Pod"}
#: Bodies of namespaced users, of about a megabyte: the path, and what is sent.
LARGE: dict[str, tuple[str, Callable[[], Json]]] = {
    "labels": ("configmaps", lambda: obj("ConfigMap", "x", labels={f"k{i}": "v" for i in range(100_000)})),
    "annotations": ("configmaps", lambda: obj("ConfigMap", "x", metadata={"annotations": {"a": "x" * 900_000}})),
    "keys": ("configmaps", lambda: config_map("x", **{f"k{i}": "" for i in range(90_000)})),
    "fields nobody knows": ("configmaps", lambda: {**config_map("x"), **{f"f{i}": 1 for i in range(100_000)}}),
    "owners": ("configmaps", lambda: obj("ConfigMap", "x", metadata={
        "ownerReferences": many(14_000, lambda i: {**OWNER, "name": f"n{i}", "uid": f"u{i}"})})),
    "the same owner": ("configmaps", lambda: obj("ConfigMap", "x", metadata={
        "ownerReferences": many(14_000, lambda i: {**OWNER, "name": "n", "uid": "u"})})),
    "finalizers": ("configmaps", lambda: obj("ConfigMap", "x", metadata={
        "finalizers": many(60_000, lambda i: f"a/{i}")})),
    "managers": ("configmaps", lambda: obj("ConfigMap", "x", metadata={"managedFields": many(5000, lambda i: {
        "manager": f"m{i}", "operation": "Apply", "apiVersion": "v1", "fieldsType": "FieldsV1",
        "time": "2026-01-01T00:00:00Z", "fieldsV1": {"f:data": {f"f:k{i}": {}}}})})),
    "ports alike": ("pods", lambda: pod("x", containers=[
        {"name": "c", "image": "i", "ports": many(20_000, lambda i: {"containerPort": 80})}])),
    "ports that differ on the host": ("pods", lambda: pod("x", containers=[
        {"name": "c", "image": "i", "ports": many(20_000, lambda i: {"containerPort": 80, "hostPort": i + 1})}])),
    "ports that differ in their address": ("pods", lambda: pod("x", containers=[
        {"name": "c", "image": "i", "ports": many(15_000, lambda i: {
            "containerPort": 80, "hostPort": 9, "hostIP": f"10.0.{i // 250}.{i % 250}"})}])),
    "paths of a volume": ("pods", lambda: pod("x", volumes=[{"name": "v", "configMap": {
        "name": "c", "items": many(20_000, lambda i: {"key": f"k{i}", "path": f"p{i}"})}}])),
    "deep paths of a volume": ("pods", lambda: pod("x", volumes=[{"name": "v", "configMap": {
        "name": "c", "items": many(400, lambda i: {"key": f"k{i}", "path": "a/" * 1000 + str(i)})}}])),
    "containers": ("pods", lambda: pod("x", containers=many(10_000, lambda i: {"name": f"c{i}", "image": "i"}))),
    "variables": ("pods", lambda: pod("x", containers=[
        {"name": "c", "image": "i", "env": many(20_000, lambda i: {"name": f"E{i}", "value": "v"})}])),
    "volumes and mounts": ("pods", lambda: pod("x", volumes=many(8000, lambda i: {"name": f"v{i}", "emptyDir": {}}),
        containers=[{"name": "c", "image": "i",
                     "volumeMounts": many(8000, lambda i: {"name": f"v{i}", "mountPath": f"/{i}"})}])),
    "tolerations": ("pods", lambda: pod("x", tolerations=many(
        20_000, lambda i: {"key": f"k{i}", "operator": "Exists"}))),
    "ports of a service": ("services", lambda: obj("Service", "x", spec={
        "ports": many(20_000, lambda i: {"name": f"p{i}", "port": i + 1})})),
    "addresses": ("endpoints", lambda: obj("Endpoints", "x", subsets=[{"addresses": many(
        25_000, lambda i: {"ip": f"10.{i // 62500}.{i // 250 % 250}.{i % 250}"}), "ports": [{"port": 80}]}])),
    "rules of a role": (f"{RBAC}/namespaces/mine/roles", lambda: obj(
        "Role", "x", f"{GROUP}/v1", rules=many(10_000, lambda i: rule("get", f"r{i}")))),
    "words of one rule": (f"{RBAC}/namespaces/mine/roles", lambda: obj("Role", "x", f"{GROUP}/v1", rules=[
        {"verbs": many(20_000, lambda i: f"v{i}"), "apiGroups": many(20_000, lambda i: f"g{i}"),
         "resources": many(20_000, lambda i: f"r{i}"), "resourceNames": many(20_000, lambda i: f"n{i}")}])),
    "subjects": (f"{RBAC}/namespaces/mine/rolebindings", lambda: obj("RoleBinding", "x", f"{GROUP}/v1",
        subjects=many(15_000, lambda i: {"kind": "User", "name": f"u{i}", "apiGroup": GROUP}),
        roleRef={"kind": "Role", "name": "of-mallory", "apiGroup": GROUP})),
}  # fmt: skip


@pytest.mark.parametrize("what", LARGE)
async def test_large_bodies_take_their_length(world: World, mallory: Api, what: str) -> None:
    where, make = LARGE[what]
    path = where if where.startswith("/") else f"{MINE}/{where}"
    body = make()
    answered = await soon(mallory.post(f"{path}?dryRun=All", body))
    assert answered.code in (201, 403, 413, 422), (answered.code, answered.body[:300])
    assert sum(len(value) for value in answered.headers.values()) < 16_000
    assert len(answered.body) < 16 << 20
    if answered.code == 201:  # what stands is changed as quickly, in every way
        (await soon(mallory.post(path, body))).ok()
        for media in ("application/merge-patch+json", STRATEGIC, "application/apply-patch+yaml"):
            query = "?fieldManager=m&force=true" if "apply" in media else ""
            answered = await soon(mallory.ask("PATCH", f"{path}/x{query}", body, media=media))
            assert answered.code < 500
        await soon(mallory.get(f"{path}/x"))
        await soon(mallory.delete(f"{path}/x"))


async def test_a_rule_too_large_to_compare_is_refused_by_name(world: World, mallory: Api) -> None:
    """Of somebody who does not hold everything: the comparison itself is what is attacked."""
    jane = await grant(world, "mine", "jane", rule("get list", "pods configmaps"), rule("create", "roles", GROUP))
    words = {"verbs": many(3000, lambda i: f"v{i}"), "apiGroups": many(3000, lambda i: f"g{i}"),
             "resources": many(3000, lambda i: f"r{i}")}  # fmt: skip
    refused = await soon(jane.post(f"{RBAC}/namespaces/mine/roles", obj("Role", "x", f"{GROUP}/v1", rules=[words])))
    assert refused.code == 403 and "write fewer at a time" in refused.message
    # Holding everything needs no comparison; and what is of a usual size is compared word by word.
    (await soon(mallory.post(f"{RBAC}/namespaces/mine/roles", obj("Role", "x", f"{GROUP}/v1", rules=[words])))).ok(201)
    usual = obj("Role", "usual", f"{GROUP}/v1", rules=[rule("get list", "pods configmaps")])
    (await jane.post(f"{RBAC}/namespaces/mine/roles", usual)).ok(201)


async def test_patches_do_not_multiply(world: World, mallory: Api) -> None:
    at = f"{MINE}/configmaps/it"
    (await mallory.post(f"{MINE}/configmaps", config_map("it", a="x" * 10_000))).ok()
    doubling = many(40, lambda i: {"op": "copy", "from": "/data", "path": f"/data/{i}"})
    answered = await soon(mallory.ask("PATCH", at, doubling, media=JSON_PATCH))
    assert answered.code in (400, 413, 422)
    wide = many(9000, lambda i: {"op": "copy", "from": "/data/a", "path": f"/data/k{i}"})
    answered = await soon(mallory.ask("PATCH", at, wide, media=JSON_PATCH))
    assert answered.code in (400, 413, 422), answered.code
    endless = many(20_000, lambda i: {"op": "add", "path": "/data/b", "value": ""})
    assert (await soon(mallory.ask("PATCH", at, endless, media=JSON_PATCH))).code in (413, 422)
    moves = many(9999, lambda i: {"op": "add", "path": "/metadata/finalizers/0", "value": f"a/{i}"})
    moves.insert(0, {"op": "add", "path": "/metadata/finalizers", "value": []})
    assert (await soon(mallory.ask("PATCH", at, moves[:10_000], media=JSON_PATCH))).code < 500
    deep = [{"op": "add", "path": "/data" + "/a" * 200_000, "value": ""}]
    assert (await soon(mallory.ask("PATCH", at, deep, media=JSON_PATCH))).code in (400, 422)
    (await mallory.ask("PATCH", at, [{"op": "copy", "from": "/data/a", "path": "/data/b"}], media=JSON_PATCH)).ok()


async def test_lists_merge_by_key_without_comparing_all(world: World, mallory: Api) -> None:
    """Strategic merges and applies of long keyed lists over long keyed lists."""
    count = 8000
    env = many(count, lambda i: {"name": f"E{i}", "value": "v"})
    made = obj("Deployment", "it", "apps/v1", spec={
        "selector": {"matchLabels": {"a": "b"}}, "template": {"metadata": {"labels": {"a": "b"}}, "spec": {
            "containers": [{"name": "c", "image": "i", "env": env}]}}})  # fmt: skip
    at = "/apis/apps/v1/namespaces/mine/deployments"
    (await soon(mallory.post(at, made))).ok()

    def changed(part: list, **more: Any) -> Json:
        return {"spec": {"template": {"spec": {"containers": [{"name": "c", "env": part, **more}]}}}}

    turned = [{**each, "value": "w"} for each in reversed(env)]
    order = {"$setElementOrder/env": [{"name": each["name"]} for each in turned]}
    for patch in (changed(turned), changed(turned, **order), changed([{"$patch": "delete", "name": each["name"]}
                  for each in env]), changed([{"name": f"N{i}", "value": ""} for i in range(count)])):  # fmt: skip
        assert (await soon(mallory.ask("PATCH", f"{at}/it?dryRun=All", patch, media=STRATEGIC))).code in (200, 400, 422)
    for manager in ("one", "two", "three"):
        body = {
            **made,
            "spec": {**made["spec"], "template": {**made["spec"]["template"], **changed(turned)["spec"]["template"]}},
        }
        body["spec"]["template"]["metadata"] = {"labels": {"a": "b"}}
        body["spec"]["template"]["spec"]["containers"][0]["image"] = "i"
        assert (await soon(mallory.apply(f"{at}/it", body, manager=manager, force="true"))).code in (200, 413, 422)


async def test_many_managers_of_one_object(world: World, mallory: Api) -> None:
    at = f"{MINE}/configmaps/it"
    for number in range(300):
        answered = await mallory.apply(at, config_map("it", **{f"k{number}": ""}), manager=f"m{number}")
        assert answered.code in (200, 201), answered.body
    for number in range(60):
        answered = await mallory.ask("PATCH", f"{at}?fieldManager=u{number}", {"data": {f"u{number}": ""}},
                                     media="application/merge-patch+json")  # fmt: skip
        answered.ok()
    await soon(mallory.apply(at, config_map("it", last=""), manager="last"))
    managers = (await mallory.get(at)).json["metadata"]["managedFields"]
    # Those of updates are kept to a few, as in the original; the oldest share one entry.
    assert len([each for each in managers if each["operation"] == "Update"]) <= 11


async def test_bodies_are_not_unpacked(world: World, mallory: Api) -> None:
    bomb = gzip.compress(b'{"a":"' + b"x" * 50_000_000 + b'"}')
    for coding in ("gzip", "deflate", "br", "zstd", "gzip, gzip"):
        answered = await soon(mallory.post(f"{MINE}/configmaps", bomb, headers={"Content-Encoding": coding}))
        assert answered.code in (400, 415), coding
    small = gzip.compress(json.dumps(config_map("x")).encode())
    assert (await mallory.post(f"{MINE}/configmaps", small, headers={"Content-Encoding": "gzip"})).code in (400, 415)
    (await mallory.post(f"{MINE}/configmaps", config_map("x"))).ok(201)


LAUGHS = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{new}: &{new} [{','.join(f'*{old}' for _ in range(9))}]\n"
    for old, new in zip("abcdefgh", "bcdefghi", strict=True)
)
YAML = {
    "a billion laughs": LAUGHS, "laughs in data": "kind: ConfigMap\napiVersion: v1\nmetadata: {name: x}\n" + LAUGHS,
    "an anchor in itself": "kind: ConfigMap\nmetadata: &m {name: x, a: *m}\n",
    "nesting": "{a: " * 50_000, "lists": "[" * 50_000, "dashes": "- " * 100_000, "indentation": "".join(
        f"{' ' * i}a:\n" for i in range(1200)), "merge keys": "a: &a {x: y}\n" + "b: {<<: [" + "*a," * 50_000 + "]}\n",
    "tags": "!!python/object/apply:os.system ['id']", "documents": "---\n" * 100_000, "a scalar": "x" * 1_000_000,
    "keys that are maps": "? {a: b}\n: c\n", "base 60": "a: " + "1:" * 50_000 + "0", "digits": "a: " + "9" * 500_000,
    "comments": "# x\n" * 200_000, "anchors": "".join(f"a{i}: &a{i} x\n" for i in range(20_000)),
}  # fmt: skip


@pytest.mark.parametrize("what", YAML)
async def test_yaml_bombs(world: World, mallory: Api, what: str) -> None:
    body = YAML[what].encode()
    for answered in (await soon(mallory.post(f"{MINE}/configmaps", body, media="application/yaml")),
                     await soon(mallory.ask("PATCH", f"{MINE}/configmaps/x?fieldManager=m", body,
                                            media="application/apply-patch+yaml"))):  # fmt: skip
        assert 400 <= answered.code < 500, (answered.code, answered.body[:200])
        assert len(answered.body) < 100_000


CATASTROPHIC = ["^(a+)+$", "^(a|a)*$", "^(a*)*b$", "^([a-z]+)*[0-9]$", "(x+x+)+y", "^(.*)*$", "(a{0,100}){0,100}b"]
EVIL = "a" * 50_000


def definition(schema: Json, **version: Any) -> Json:
    return obj("CustomResourceDefinition", "evils.example.com", "apiextensions.k8s.io/v1", spec={
        "group": "example.com", "scope": "Namespaced", "names": {"plural": "evils", "kind": "Evil"},
        "versions": [{"name": "v1", "served": True, "storage": True, **version, "schema": {"openAPIV3Schema": {
            "type": "object", "properties": {"spec": schema}}}}]})  # fmt: skip


DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
EVILS = "/apis/example.com/v1/namespaces/mine/evils"


async def served(api: Api) -> None:
    """The custom kind has arrived."""
    for _ in range(300):
        if (await api.get(EVILS)).code == 200:
            return
        await asyncio.sleep(0.01)
    raise AssertionError("the definition is not established")


@pytest.mark.parametrize("pattern", CATASTROPHIC)
async def test_patterns_of_custom_kinds_do_not_explode(world: World, mallory: Api, pattern: str) -> None:
    made = await soon(world.admin.post(DEFINITIONS, definition({"type": "string", "pattern": pattern})))
    assert made.code in (201, 422)
    if made.code == 422:
        return
    await served(mallory)
    for value in (EVIL + "!", EVIL, "x" * 50_000):
        answered = await soon(mallory.post(EVILS, obj("Evil", "", "example.com/v1", spec=value,
                                                      metadata={"generateName": "e-"})))  # fmt: skip
        assert answered.code in (201, 422)
    assert (await mallory.get(EVILS)).code == 200


def deep(levels: int) -> Json:
    schema: Json = {"type": "string"}
    for _ in range(levels):
        schema = {"type": "object", "properties": {"a": schema}}
    return schema


def nested(levels: int) -> bytes:
    """A definition deeper than writers of JSON go."""
    inner = b'{"type":"object","properties":{"a":' * levels + b'{"type":"string"}' + b"}}" * levels
    return orjson.dumps(definition({"type": "INNER"})).replace(b'{"type":"INNER"}', inner)


SCHEMAS: dict[str, Json] = {
    "deep": definition(deep(60)), "very deep": {},
    "wide": definition({"type": "object", "properties": {f"p{i}": {"type": "string"} for i in range(20_000)}}),
    "columns": definition({"type": "string"}, additionalPrinterColumns=many(
        5000, lambda i: {"name": f"c{i}", "type": "string", "jsonPath": f".spec.a{i}"})),
    "recursive columns": definition({"type": "string"}, additionalPrinterColumns=many(
        200, lambda i: {"name": f"c{i}", "type": "string", "jsonPath": "." + ".." * 50 + "a"})),
    "choices": definition({"type": "string", "enum": many(50_000, lambda i: f"v{i}")}),
    "all of": definition({"type": "string", "allOf": many(5000, lambda i: {"minLength": i})}),
    "rules": definition({"type": "object", "x-kubernetes-preserve-unknown-fields": True,
                         "x-kubernetes-validations": many(500, lambda i: {"rule": "has(self.a)", "message": str(i)})}),
    "a rule that costs": definition({"type": "array", "items": {"type": "string"}, "x-kubernetes-validations": [
        {"rule": "self.all(x, self.all(y, self.all(z, x == y || y == z || x.matches('(a+)+$'))))"}]}),
    "a long rule": definition({"type": "string", "x-kubernetes-validations": [
        {"rule": " || ".join(["self == 'a'"] * 4000)}]}),
    "a deep rule": definition({"type": "string", "x-kubernetes-validations": [
        {"rule": "(" * 5000 + "true" + ")" * 5000}]}),
    "versions": {**definition({"type": "string"}), "spec": {**definition({"type": "string"})["spec"], "versions": many(
        3000, lambda i: {"name": f"v{i + 1}", "served": True, "storage": i == 0, "schema": {"openAPIV3Schema": {
            "type": "object"}}})}},
}  # fmt: skip


@pytest.mark.parametrize("what", SCHEMAS)
async def test_definitions_of_monsters(world: World, mallory: Api, what: str) -> None:
    body = orjson.dumps(SCHEMAS[what]) if what != "very deep" else nested(2000)
    made = await soon(world.admin.post(DEFINITIONS, body))
    assert made.code in (201, 400, 422), made.body[:300]
    if made.code == 201:
        await served(mallory)
        for path in (EVILS, "/apis/example.com/v1", "/apis/example.com", "/openapi/v3/apis/example.com/v1"):
            assert (await soon(mallory.get(path))).code == 200, path
        answered = await soon(mallory.post(EVILS, obj("Evil", "x", "example.com/v1", spec={"a": "b"})))
        assert answered.code in (201, 422)
    assert (await soon(mallory.get(f"{MINE}/configmaps"))).code == 200  # the others are served on


async def test_selectors_of_any_length(world: World, mallory: Api) -> None:
    for start in range(0, 600, 50):
        made = [obj("ConfigMap", f"c{start + i}", labels={"a": str(i)}) for i in range(50)]
        await asyncio.gather(*(mallory.post(f"{MINE}/configmaps", each) for each in made))
    values = ",".join(f"v{i}" for i in range(3000))
    for query in (f"labelSelector=a+in+({values})", f"labelSelector=a+notin+({values})",
                  "labelSelector=" + ",".join(f"k{i}%3Dv" for i in range(2000)),
                  "labelSelector=" + ",".join(f"!k{i}" for i in range(2000)),
                  "labelSelector=" + "(" * 5000, "labelSelector=a+in+(" + "," * 10_000 + ")",
                  "fieldSelector=" + ",".join(f"metadata.name!%3Dx{i}" for i in range(1000)),
                  "fieldSelector=" + "metadata.name%3Dx," * 1000, "limit=1&continue=" + "A" * 12_000,
                  "limit=99999999999999999999", "limit=-1"):  # fmt: skip
        answered = await soon(mallory.get(f"{MINE}/configmaps?{query}"))
        assert answered.code in (200, 400), query[:60]
    assert len((await mallory.get(f"{MINE}/configmaps?labelSelector=a%3D7")).names) == 12


async def test_words_that_clients_make_up_are_not_kept(world: World, mallory: Api) -> None:
    """Methods, paths, groups and resources that are nothing: what is remembered of requests stays as it is."""
    authorize = world.server.authorization
    assert authorize is not None and authorize.rbac is not None
    for number in range(1500):
        await mallory.ask(f"BREW{number}", f"{MINE}/pods")
        await mallory.get(f"/apis/g{number}/v{number}/namespaces/mine/r{number}/n")
        await world.nobody().get(f"/p{number}")
    assert len(world.server.app.counts) < 20
    assert all(len(rules.questions) <= 512 for rules in authorize.rbac._by_subject.values())
    text = (await world.admin.get("/metrics")).body.decode()
    assert "BREW" not in text and 'verb="OTHER"' in text


async def test_a_flood_of_watches_that_nobody_reads(world: World, mallory: Api) -> None:
    watches = [await mallory.transport.stream("GET", f"{MINE}/configmaps", query="watch=1") for _ in range(400)]
    for number in range(10):
        (await soon(mallory.post(f"{MINE}/configmaps", config_map(f"c{number}", a="x" * 20_000)))).ok()
    assert len((await soon(mallory.get(f"{MINE}/configmaps"))).names) == 10
    revision = (await mallory.get(f"{MINE}/configmaps")).revision
    async with await mallory.watch(f"{MINE}/configmaps", resourceVersion=revision) as reading:
        (await mallory.post(f"{MINE}/configmaps", config_map("last"))).ok()
        assert await reading.take(1) == [("ADDED", "last")]
    for each in watches:
        await each.aclose()


def webhook(config: Json, timeout: int = 1, resources: tuple[str, ...] = ("configmaps",)) -> Json:
    rules = [{"operations": ["*"], "apiGroups": ["*"], "apiVersions": ["*"], "resources": list(resources)}]
    return obj("ValidatingWebhookConfiguration", "slow", "admissionregistration.k8s.io/v1", webhooks=[
        {"name": "slow.example.com", "clientConfig": config, "rules": rules, "timeoutSeconds": timeout,
         "failurePolicy": "Fail", "sideEffects": "None", "admissionReviewVersions": ["v1"]}])  # fmt: skip


async def test_slow_webhooks_hold_up_what_they_are_asked_about_alone(world: World, mallory: Api, tmp_path) -> None:
    at = "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations"

    async def never(question: Json) -> Json:
        await asyncio.sleep(30)
        return {}

    async with hook(tmp_path, never) as slow:
        (await world.admin.post(at, webhook(slow.client_config()))).ok()
        held = [asyncio.ensure_future(mallory.post(f"{MINE}/configmaps", config_map(f"c{i}"))) for i in range(150)]
        await asyncio.sleep(0.2)
        assert not any(each.done() for each in held)
        (await soon(mallory.post(f"{MINE}/secrets", obj("Secret", "x")))).ok(201)
        (await soon(mallory.get(f"{MINE}/secrets/x"))).ok()
        assert (await soon(mallory.get("/version"))).code == 200
        for answered in await asyncio.gather(*held):
            assert answered.code == 500 and "failed calling webhook" in answered.message, answered.body
        assert (await mallory.get(f"{MINE}/configmaps")).names == []
        # It can be taken away, however broad it is: configurations are never subject to webhooks.
        wide = webhook(slow.client_config(), resources=("*/*",))
        wide["metadata"]["name"] = "wide"
        (await world.admin.post(at, wide)).ok()
        (await soon(world.admin.delete(f"{at}/wide"))).ok()
        (await soon(world.admin.delete(f"{at}/slow"))).ok()
        (await soon(mallory.post(f"{MINE}/configmaps", config_map("free")))).ok(201)


async def test_a_webhook_that_calls_back_is_not_asked_without_end(world: World, mallory: Api, tmp_path) -> None:
    """It writes in turn what it is asked about: each round waits for the next, and the outermost gives up in time."""
    calls = 0

    async def again(question: Json) -> Json:
        nonlocal calls
        calls += 1
        await mallory.post(f"{MINE}/configmaps", config_map(f"inner-{calls}"))
        return {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview",
                "response": {"uid": question["request"]["uid"], "allowed": True}}  # fmt: skip

    at = "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations"
    async with hook(tmp_path, again) as looping:
        (await world.admin.post(at, webhook(looping.client_config()))).ok()
        answered = await soon(mallory.post(f"{MINE}/configmaps", config_map("outer")))
        assert answered.code == 500
        (await soon(world.admin.delete(f"{at}/slow"))).ok()
        await asyncio.sleep(1.2)  # those within have given up, too
        done = calls
        (await soon(mallory.post(f"{MINE}/configmaps", config_map("after")))).ok(201)
        assert calls == done < 2000


async def test_one_of_each_sample_is_left_alone_by_all_this(world: World) -> None:
    """The twin: usual objects, of the kinds that were attacked, are taken."""
    for api_version, plural, kind, namespaced, content in SAMPLES[:12]:
        if namespaced:
            made = sample(api_version, kind, "usual", json.loads(json.dumps(content)))
            assert (await world.admin.post(f"{MINE}/{plural}", made)).code in (201, 404, 409), kind
