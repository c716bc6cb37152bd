"""Mutating and validating webhooks: real ones over TLS, asked by the real server."""

import base64
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import orjson
import pytest
from tests.server.definitions import WIDGETS, define, definition, version, widget
from tests.server.hooks import Hook, hook, slow
from tests.server.world import ACCOUNTS, CM, DEPLOYMENTS, PODS, Api, World, config_map, deployment, obj, pod

from kaa.base.clock import REAL
from kaa.server.admission.webhooks import ValidatingAdmissionWebhook
from kaa.server.call import Call

#: Time has to pass: not in the quick part.
pytestmark = pytest.mark.slow

Json = dict[str, Any]

MUTATING = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations"
VALIDATING = "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations"
EVERYTHING = {"operations": ["*"], "apiGroups": ["*"], "apiVersions": ["*"], "resources": ["*/*"]}


def rule(*resources: str, operations: tuple[str, ...] = ("*",), groups: tuple[str, ...] = ("",),
         versions: tuple[str, ...] = ("v1",), **more: Any) -> Json:  # fmt: skip
    return {"operations": list(operations), "apiGroups": list(groups), "apiVersions": list(versions),
            "resources": list(resources), **more}  # fmt: skip


def webhook(there: Hook | None, name: str = "hook.example.com", rules: list[Json] | None = None, **more: Any) -> Json:
    config = there.client_config() if there is not None else {"url": "https://127.0.0.1:1/none"}
    return {"name": name, "clientConfig": config, "rules": rules or [rule("configmaps")], "sideEffects": "None",
            "admissionReviewVersions": ["v1"], **more}  # fmt: skip


def mutating(name: str, *hooks: Json) -> Json:
    return obj("MutatingWebhookConfiguration", name, "admissionregistration.k8s.io/v1", webhooks=list(hooks))


def validating(name: str, *hooks: Json) -> Json:
    return obj("ValidatingWebhookConfiguration", name, "admissionregistration.k8s.io/v1", webhooks=list(hooks))


def reply(question: Json, **response: Any) -> Json:
    return {"apiVersion": question["apiVersion"], "kind": "AdmissionReview",
            "response": {"uid": question["request"]["uid"], **response}}  # fmt: skip


def allow(question: Json) -> Json:
    return reply(question, allowed=True)


def patching(*operations: Json, **more: Any) -> Callable[[Json], Json]:
    encoded = base64.b64encode(orjson.dumps(list(operations))).decode()
    return lambda question: reply(question, allowed=True, patch=encoded, patchType="JSONPatch", **more)


def denying(message: str = "", **status: Any) -> Callable[[Json], Json]:
    return lambda question: reply(
        question, allowed=False, status={**({"message": message} if message else {}), **status}
    )


@asynccontextmanager
async def hooked(api: Api, directory: Path, answer: Any, *, kind: str = "validating", name: str = "c",
                 **more: Any) -> AsyncIterator[Hook]:  # fmt: skip
    """A configuration of one webhook that answers, while it lasts."""
    directory = directory / name
    directory.mkdir(exist_ok=True)
    make, path = (validating, VALIDATING) if kind == "validating" else (mutating, MUTATING)
    async with hook(directory, answer) as there:
        (await api.post(path, make(name, webhook(there, **more)))).ok(201)
        try:
            yield there
        finally:
            (await api.delete(f"{path}/{name}")).ok()


# --- refusing


@pytest.mark.conformance("Admission webhook, deny create")
async def test_a_refusal_is_told_with_its_code(world: World, tmp_path: Path) -> None:
    async with hooked(world.admin, tmp_path, denying("no room", code=418, reason="Teapot")) as there:
        refused = await world.admin.post(CM, config_map("a"))
        assert (refused.code, refused.reason) == (418, "Teapot")
        assert refused.message == 'admission webhook "hook.example.com" denied the request: no room'
        assert (await world.admin.get(f"{CM}/a")).code == 404
        (asked,) = there.asked
    (await world.admin.post(CM, config_map("a"))).ok(201)
    request = asked["request"]
    assert asked["apiVersion"] == "admission.k8s.io/v1"
    assert asked["kind"] == "AdmissionReview"
    assert request.pop("uid")
    shown = request.pop("object")
    assert shown["metadata"]["name"] == "a"
    assert shown["kind"] == "ConfigMap"
    del request["userInfo"]["extra"]  # which certificate it was
    assert request == {
        "kind": {"group": "", "version": "v1", "kind": "ConfigMap"},
        "resource": {"group": "", "version": "v1", "resource": "configmaps"},
        "requestKind": {"group": "", "version": "v1", "kind": "ConfigMap"},
        "requestResource": {"group": "", "version": "v1", "resource": "configmaps"},
        "name": "a", "namespace": "default", "operation": "CREATE",
        "userInfo": {"username": "admin", "groups": ["system:masters", "system:authenticated"]},
        "oldObject": None, "dryRun": False, "options": {"kind": "CreateOptions", "apiVersion": "meta.k8s.io/v1"},
    }  # fmt: skip


REFUSALS: list[tuple[str, Json, int, str, str]] = [
    ("reason only", {"reason": "Forbidden"}, 400, "Forbidden", " denied the request: Forbidden"),
    ("nothing", {}, 400, "", " denied the request without explanation"),
    ("a code that is none", {"code": 200, "message": "x", "status": "Success"}, 400, "", " denied the request: x"),
]


@pytest.mark.parametrize(("status", "code", "reason", "text"), [each[1:] for each in REFUSALS],
                         ids=[each[0] for each in REFUSALS])  # fmt: skip
async def test_refusals_that_say_little(world: World, tmp_path: Path, status: Json, code: int, reason: str,
                                        text: str) -> None:  # fmt: skip
    async with hooked(world.admin, tmp_path, lambda question: reply(question, allowed=False, status=status)):
        refused = await world.admin.post(CM, config_map("a"))
    assert (refused.code, refused.reason) == (code, reason)
    assert refused.message == f'admission webhook "hook.example.com"{text}'


async def test_updates_and_deletions_show_what_is_there(world: World, tmp_path: Path) -> None:
    api = world.admin
    (await api.post(CM, config_map("a", x="1"))).ok()
    (await api.post(CM, config_map("b", x="1"))).ok()
    async with hooked(api, tmp_path, allow) as there:
        (await api.merge(f"{CM}/a", {"data": {"x": "2"}}, fieldManager="me", fieldValidation="Strict")).ok()
        (await api.delete(f"{CM}/a", {"gracePeriodSeconds": 0, "propagationPolicy": "Background"})).ok()
        (await api.delete(CM)).ok()
    told = [(each["request"]["operation"], each["request"]["name"]) for each in there.asked]
    assert told == [("UPDATE", "a"), ("DELETE", "a"), ("DELETE", "b")]
    update, delete = there.asked[0]["request"], there.asked[1]["request"]
    assert (update["object"]["data"], update["oldObject"]["data"]) == ({"x": "2"}, {"x": "1"})
    assert update["options"] == {"kind": "UpdateOptions", "apiVersion": "meta.k8s.io/v1", "fieldManager": "me",
                                 "fieldValidation": "Strict"}  # fmt: skip
    assert (delete["object"], delete["oldObject"]["data"]) == (None, {"x": "2"})
    assert delete["options"]["kind"] == "DeleteOptions"
    assert delete["options"]["propagationPolicy"] == "Background"


async def test_all_are_asked_at_once(world: World, tmp_path: Path) -> None:
    api = world.admin
    async with hook(tmp_path, lambda question: slow(0.3, allow(question))) as there:
        hooks = [webhook(there, f"h{at}.example.com") for at in range(4)]
        (await api.post(VALIDATING, validating("v", *hooks))).ok(201)
        before = REAL.monotonic()
        (await api.post(CM, config_map("a"))).ok(201)
        assert REAL.monotonic() - before < 0.9
        assert len(there.asked) == 4
        (await api.delete(f"{VALIDATING}/v")).ok()


# --- changing


async def test_changes_are_made_one_after_another(world: World, tmp_path: Path) -> None:
    api = world.admin

    def second(question: Json) -> Json:
        assert question["request"]["object"]["data"]["first"] == "1"
        return patching({"op": "add", "path": "/data/second", "value": "2"})(question)

    first = patching({"op": "add", "path": "/data/first", "value": "1"})
    async with (
        hooked(api, tmp_path, second, kind="mutating", name="b"),
        hooked(api, tmp_path, first, kind="mutating", name="a"),
    ):
        made = (await api.post(CM, config_map("a", given="0"))).ok(201)
    assert made["data"] == {"given": "0", "first": "1", "second": "2"}
    fields = made["metadata"]["managedFields"][0]["fieldsV1"]
    assert fields["f:data"] == {".": {}, "f:given": {}}  # what webhooks add is nobody's


async def test_what_is_changed_is_defaulted_and_checked(world: World, tmp_path: Path) -> None:
    api = world.admin
    add = {"op": "add", "path": "/spec/initContainers", "value": [{"name": "init", "image": "busybox"}]}
    async with hooked(api, tmp_path, patching(add), kind="mutating", rules=[rule("pods", operations=("CREATE",))]):
        made = (await api.post(PODS, pod("a"))).ok(201)
    (init,) = made["spec"]["initContainers"]
    assert init["terminationMessagePolicy"] == "File"
    assert init["imagePullPolicy"] == "Always"
    assert init["volumeMounts"][0]["name"].startswith("kube-api-access-")  # the account's, the second time
    wrong = {"op": "replace", "path": "/spec/containers/0/name", "value": "No Name"}
    async with hooked(api, tmp_path, patching(wrong), kind="mutating", rules=[rule("pods")]):
        refused = await api.post(PODS, pod("b"))
    assert (refused.code, refused.reason) == (422, "Invalid")


PATCHES: list[tuple[str, Json, int, str]] = [
    ("a type for a text", {"op": "add", "path": "/data", "value": {"a": 1}}, 500,
     "Internal error occurred: json: cannot unmarshal number into Go struct field ConfigMap.data of type string"),
    ("nothing there", {"op": "remove", "path": "/nope"}, 500,
     "Internal error occurred: error in remove for path: '/nope': Unable to remove nonexistent key: nope"),
    ("a test", {"op": "test", "path": "/kind", "value": "Pod"}, 500,
     "Internal error occurred: testing value /kind failed: test failed"),
    ("another kind", {"op": "replace", "path": "/kind", "value": "Secret"}, 500, "Internal error occurred: the patch"),
    ("another namespace", {"op": "add", "path": "/metadata/namespace", "value": "kube-system"}, 400,
     "the namespace of the provided object does not match"),
]  # fmt: skip


@pytest.mark.parametrize(("operation", "code", "message"), [each[1:] for each in PATCHES],
                         ids=[each[0] for each in PATCHES])  # fmt: skip
async def test_patches_that_cannot_be_applied(world: World, tmp_path: Path, operation: Json, code: int,
                                              message: str) -> None:  # fmt: skip
    async with hooked(world.admin, tmp_path, patching(operation), kind="mutating"):
        refused = await world.admin.post(CM, config_map("a"))
    assert refused.code == code
    assert refused.message.startswith(message), refused.message


async def test_an_update_stays_with_its_object(world: World, tmp_path: Path) -> None:
    api = world.admin
    (await api.post(CM, config_map("a"))).ok()
    rename = {"op": "replace", "path": "/metadata/name", "value": "b"}
    async with hooked(api, tmp_path, patching(rename), kind="mutating"):
        refused = await api.merge(f"{CM}/a", {"data": {"x": "y"}})
    assert refused.code == 422
    assert 'metadata.name: Invalid value: "b": field is immutable' in refused.message


async def test_nothing_can_be_changed_in_a_deletion(world: World, tmp_path: Path) -> None:
    api = world.admin
    (await api.post(CM, config_map("a"))).ok()
    add = patching({"op": "add", "path": "/data", "value": {}})
    async with hooked(api, tmp_path, add, kind="mutating"):
        refused = await api.delete(f"{CM}/a")
    assert (refused.code, refused.message) == (
        500, 'Internal error occurred: admission webhook "hook.example.com" attempted to modify the object, which is '
        "not supported for this operation",
    )  # fmt: skip


async def test_a_generated_name_comes_after_the_changes(world: World, tmp_path: Path) -> None:
    api, seen = world.admin, []

    def look(question: Json) -> Json:
        seen.append((question["request"].get("name"), question["request"]["object"]["metadata"]))
        return allow(question)

    async with (
        hooked(api, tmp_path, look, kind="mutating", name="m"),
        hooked(api, tmp_path, look, kind="validating", name="v"),
    ):
        made = (await api.post(CM, obj("ConfigMap", "", metadata={"generateName": "some-"}))).ok(201)
    (before, meta), (after, full) = seen
    assert before is None and "name" not in meta and "uid" not in meta
    assert after == full["name"] == made["metadata"]["name"]
    assert full["uid"] == made["metadata"]["uid"]


async def test_owners_of_fields_cannot_be_broken(world: World, tmp_path: Path) -> None:
    wrong = {"op": "replace", "path": "/metadata/managedFields/0/operation", "value": "Nonsense"}
    async with hooked(world.admin, tmp_path, patching(wrong), kind="mutating"):
        made = await world.admin.post(CM, config_map("a", x="1"))
    assert made.ok(201)["metadata"]["managedFields"][0]["operation"] == "Update"
    assert ".metadata.managedFields was in an invalid state after admission" in made.headers["warning"]


# --- asked once more


@pytest.mark.parametrize(("policy", "times"), [("Never", 1), ("IfNeeded", 2)])
async def test_who_was_asked_before_a_change_is_asked_again(world: World, tmp_path: Path, policy: str,
                                                            times: int) -> None:  # fmt: skip
    api = world.admin
    change = patching({"op": "add", "path": "/data/later", "value": "1"})
    async with (
        hooked(api, tmp_path, allow, kind="mutating", name="a", reinvocationPolicy=policy) as first,
        hooked(api, tmp_path, change, kind="mutating", name="b", reinvocationPolicy=policy) as second,
    ):
        (await api.post(CM, config_map("a", x="1"))).ok(201)
    assert len(first.asked) == times
    assert len(second.asked) == 1  # nothing has changed since it was asked
    if times == 2:
        assert first.asked[1]["request"]["object"]["data"] == {"x": "1", "later": "1"}


async def test_changing_again_and_again_ends(world: World, tmp_path: Path) -> None:
    api, count = world.admin, 0

    def more(question: Json) -> Json:
        nonlocal count
        count += 1
        return patching({"op": "add", "path": f"/data/n{count}", "value": "1"})(question)

    async with (
        hooked(api, tmp_path, more, kind="mutating", name="a", reinvocationPolicy="IfNeeded"),
        hooked(api, tmp_path, more, kind="mutating", name="b", reinvocationPolicy="IfNeeded"),
    ):
        made = (await api.post(CM, config_map("a", x="1"))).ok(201)
    assert 3 <= count <= 4
    assert len(made["data"]) == count + 1


# --- when a webhook does not answer


FAILURES: list[tuple[str, Any, str]] = [
    ("another uid", lambda question: {**allow(question), "response": {"uid": "x", "allowed": True}},
     'received invalid webhook response: expected response.uid="{uid}", got "x"'),
    ("no response", lambda question: {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview"},
     "received invalid webhook response: webhook response was absent"),
    ("another version", lambda question: {**allow(question), "apiVersion": "admission.k8s.io/v1beta1"},
     "received invalid webhook response: expected webhook response of admission.k8s.io/v1, Kind=AdmissionReview, got "
     "admission.k8s.io/v1beta1, Kind=AdmissionReview"),
    ("a patch", lambda question: reply(question, allowed=True, patch="W10="),
     "received invalid webhook response: validating webhook may not return response.patch"),
    ("a list", lambda question: [],
     "failed to call webhook: couldn't get version/kind; json parse error: the answer is no object"),
    ("an error", lambda question: 1 / 0,
     'failed to call webhook: an error on the server ("ZeroDivisionError(\'division by zero\')") has prevented the '
     "request from succeeding"),
]  # fmt: skip


@pytest.mark.parametrize("ignore", [False, True], ids=["fail", "ignore"])
@pytest.mark.parametrize(("answer", "message"), [each[1:] for each in FAILURES], ids=[each[0] for each in FAILURES])
async def test_an_answer_that_is_none(world: World, tmp_path: Path, answer: Any, message: str, ignore: bool) -> None:
    policy = "Ignore" if ignore else "Fail"
    async with hooked(world.admin, tmp_path, answer, failurePolicy=policy) as there:
        made = await world.admin.post(CM, config_map("a"))
        uid = there.asked[0]["request"]["uid"]
    if ignore:
        made.ok(201)
        return
    assert (made.code, made.reason) == (500, "InternalError")
    assert made.message == (
        'Internal error occurred: failed calling webhook "hook.example.com": ' + message.replace("{uid}", uid)
    )


MUTATING_FAILURES: list[tuple[str, Json, str]] = [
    ("no type", {"patch": "W10="}, "webhook returned response.patch but not response.patchType"),
    ("no patch", {"patchType": "JSONPatch"}, "webhook returned response.patchType but not response.patch"),
    ("an empty type", {"patch": "W10=", "patchType": ""}, 'webhook returned invalid response.patchType of ""'),
    ("no base64", {"patch": "???", "patchType": "JSONPatch"}, "response.patch is not in base64"),
]


@pytest.mark.parametrize(("response", "message"), [each[1:] for each in MUTATING_FAILURES],
                         ids=[each[0] for each in MUTATING_FAILURES])  # fmt: skip
async def test_a_patch_that_is_none(world: World, tmp_path: Path, response: Json, message: str) -> None:
    def answer(question: Json) -> Json:
        return reply(question, allowed=True, **response)

    async with hooked(world.admin, tmp_path, answer, kind="mutating"):
        refused = await world.admin.post(CM, config_map("a"))
    start = 'Internal error occurred: failed calling webhook "hook.example.com": received invalid webhook response: '
    assert refused.message.startswith(start + message), refused.message


async def test_another_type_of_patch_is_refused(world: World, tmp_path: Path) -> None:
    patch = base64.b64encode(b'{"data": {"a": "b"}}').decode()

    def answer(question: Json) -> Json:
        return reply(question, allowed=True, patch=patch, patchType="MergePatch")

    async with hooked(world.admin, tmp_path, answer, kind="mutating"):
        refused = await world.admin.post(CM, config_map("a"))
    assert refused.code == 500
    assert 'unsupported patch type "MergePatch"' in refused.message


@pytest.mark.conformance("Admission webhook, honor timeout")
async def test_a_slow_one_is_not_waited_for(world: World, tmp_path: Path) -> None:
    api = world.admin
    async with hook(tmp_path, lambda question: slow(3, allow(question))) as there:
        url = there.client_config()["url"]
        (await api.post(VALIDATING, validating("v", webhook(there, timeoutSeconds=1)))).ok(201)
        refused = await api.post(CM, config_map("a"))
        assert (refused.code, refused.reason) == (500, "InternalError")
        assert refused.message == (
            'Internal error occurred: failed calling webhook "hook.example.com": failed to call webhook: '
            f'Post "{url}?timeout=1s": context deadline exceeded'
        )
        (
            await api.merge(f"{VALIDATING}/v", {"webhooks": [webhook(there, timeoutSeconds=1, failurePolicy="Ignore")]})
        ).ok()
        (await api.post(CM, config_map("a"))).ok(201)
        (await api.delete(f"{VALIDATING}/v")).ok()


@pytest.mark.conformance("Admission webhook, fail closed")
async def test_nobody_there_and_nobody_trusted(world: World, tmp_path: Path) -> None:
    api = world.admin
    (await api.post(VALIDATING, validating("v", webhook(None)))).ok(201)
    refused = await api.post(CM, config_map("a"))
    assert refused.message == (
        'Internal error occurred: failed calling webhook "hook.example.com": failed to call webhook: Post '
        '"https://127.0.0.1:1/none?timeout=10s": dial tcp 127.0.0.1:1: connect: connection refused'
    )
    service = webhook(None, clientConfig={"service": {"namespace": "default", "name": "hook", "path": "/x"}})
    (await api.merge(f"{VALIDATING}/v", {"webhooks": [service]})).ok()
    refused = await api.post(CM, config_map("a"))
    assert refused.message.endswith('Post "https://hook.default.svc:443/x?timeout=10s": service "hook" not found')
    async with hook(tmp_path, allow) as there:
        (await api.merge(f"{VALIDATING}/v", {"webhooks": [
            webhook(None, clientConfig={"url": there.client_config()["url"]})]})).ok()  # fmt: skip
        refused = await api.post(CM, config_map("a"))
        assert refused.message.endswith(
            "tls: failed to verify certificate: x509: certificate signed by unknown authority"
        )
        assert there.asked == []
    (await api.delete(f"{VALIDATING}/v")).ok()


async def test_a_large_answer_is_read(world: World, tmp_path: Path) -> None:
    add = patching({"op": "add", "path": "/data/big", "value": "x" * (1 << 20)})
    async with hooked(world.admin, tmp_path, add, kind="mutating"):
        refused = await world.admin.post(CM, config_map("a", x="1"))
        assert refused.code == 422  # read and applied; a ConfigMap of that size is not allowed
        assert "Too long" in refused.message
    small = patching({"op": "add", "path": "/data/big", "value": "x" * 900_000})
    async with hooked(world.admin, tmp_path, small, kind="mutating"):
        made = (await world.admin.post(CM, config_map("a", x="1"))).ok(201)
    assert len(made["data"]["big"]) == 900_000


# --- whom they are asked about


async def test_the_older_review_is_spoken_where_only_that_is_offered(world: World, tmp_path: Path) -> None:
    def answer(question: Json) -> Json:
        patch = base64.b64encode(b'[{"op": "add", "path": "/data", "value": {"a": "b"}}]').decode()
        return {"response": {"uid": "whatever", "allowed": True, "patch": patch}}

    async with hooked(world.admin, tmp_path, answer, kind="mutating", admissionReviewVersions=["v1beta1"]) as there:
        made = (await world.admin.post(CM, config_map("a"))).ok(201)
    assert there.asked[0]["apiVersion"] == "admission.k8s.io/v1beta1"
    assert made["data"] == {"a": "b"}


async def test_dry_run(world: World, tmp_path: Path) -> None:
    api = world.admin
    async with hooked(api, tmp_path, allow, sideEffects="NoneOnDryRun") as there:
        (await api.post(CM, config_map("a"), dryRun="All")).ok(201)
        assert there.asked[0]["request"]["dryRun"] is True
        assert there.asked[0]["request"]["options"]["dryRun"] == ["All"]


@pytest.mark.parametrize(
    ("more", "asked"),
    [
        ({"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "default"}}}, True),
        ({"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "other"}}}, False),
        ({"objectSelector": {"matchLabels": {"app": "x"}}}, True),
        ({"objectSelector": {"matchLabels": {"app": "y"}}}, False),
        ({"rules": [rule("*")]}, True),
        ({"rules": [rule("*/*")]}, True),
        ({"rules": [rule("configmaps/*")]}, True),
        ({"rules": [rule("configmaps/status")]}, False),
        ({"rules": [rule("pods")]}, False),
        ({"rules": [rule("configmaps", groups=("apps",))]}, False),
        ({"rules": [rule("configmaps", operations=("UPDATE", "DELETE"))]}, False),
        ({"rules": [rule("configmaps", scope="Namespaced")]}, True),
        ({"rules": [rule("configmaps", scope="Cluster")]}, False),
        ({"matchConditions": [{"name": "a", "expression": "object.metadata.name == 'a'"}]}, True),
        ({"matchConditions": [{"name": "a", "expression": "object.metadata.name != 'a'"}]}, False),
        ({"matchConditions": [{"name": "a", "expression": "request.userInfo.username == 'admin'"}]}, True),
        ({"matchConditions": [
            {"name": "a", "expression": "authorizer.group('').resource('pods').check('list').allowed()"}]}, True),
        ({"matchConditions": [
            {"name": "a", "expression": "object.none == 1"}, {"name": "b", "expression": "false"}]}, False),
    ],
)  # fmt: skip
async def test_who_is_asked(world: World, tmp_path: Path, more: Json, asked: bool) -> None:
    async with hooked(world.admin, tmp_path, allow, **more) as there:
        (await world.admin.post(CM, obj("ConfigMap", "a", labels={"app": "x"}))).ok(201)
    assert bool(there.asked) == asked


@pytest.mark.conformance("Mutating Admission webhook, mutating webhook excluding object with specific name")
async def test_a_condition_leaves_out_by_name(world: World, tmp_path: Path) -> None:
    condition = {"name": "skip-me", "expression": "object.metadata.name != 'skip-me'"}
    add = patching({"op": "add", "path": "/data", "value": {"mutated": "yes"}})
    async with hooked(world.admin, tmp_path, add, kind="mutating", matchConditions=[condition]):
        skipped = (await world.admin.post(CM, config_map("skip-me"))).ok(201)
        changed = (await world.admin.post(CM, config_map("other"))).ok(201)
    assert "mutated" not in (skipped.get("data") or {})
    assert changed["data"] == {"mutated": "yes"}


async def test_conditions_that_fail(world: World, tmp_path: Path) -> None:
    api, conditions = world.admin, [{"name": "a", "expression": "object.none == 1"}]
    async with hooked(api, tmp_path, allow, matchConditions=conditions) as there:
        refused = await api.post(CM, config_map("a"))
        assert (refused.code, refused.reason) == (403, "Forbidden")
        assert refused.message == (
            "configmaps \"a\" is forbidden: expression 'object.none == 1' resulted in error: no such key: none"
        )
    async with hooked(api, tmp_path, allow, matchConditions=conditions, failurePolicy="Ignore") as there:
        (await api.post(CM, config_map("a"))).ok(201)
        assert there.asked == []


async def test_an_expensive_condition_is_worked_out_beside_the_loop(world: World, tmp_path: Path) -> None:
    api = world.admin
    names = ", ".join(f"'{at}'" for at in range(40))
    expression = f"[{names}].all(a, [{names}].all(b, [{names}].exists(c, c == a || c == b)))"
    async with hooked(api, tmp_path, allow, matchConditions=[{"name": "a", "expression": expression}]) as there:
        (await api.post(CM, config_map("a"))).ok(201)
        assert len(there.asked) == 1
    more = f"[{names}].all(d, {expression})"
    async with hooked(api, tmp_path, allow, matchConditions=[{"name": "a", "expression": more}]):
        refused = await api.post(CM, config_map("b"))
        assert refused.code == 403
        assert "cost limit exceeded" in refused.message


@pytest.mark.conformance(
    "Validing Admission webhook, reject validating webhook configurations with invalid matchConditions"
)
@pytest.mark.conformance(
    "Mutating Admission webhook, reject mutating webhook configurations with invalid matchConditions"
)
async def test_conditions_that_do_not_compile_are_refused(world: World) -> None:
    hooks = webhook(None, matchConditions=[{"name": "a", "expression": "... [] bad expression"}])
    for path, made in ((VALIDATING, validating("v", hooks)), (MUTATING, mutating("m", hooks))):
        refused = await world.admin.post(path, made)
        assert refused.code == 422
        assert 'webhooks[0].matchConditions[0].expression: Invalid value: "... [] bad expression": compilation failed' \
            in refused.message  # fmt: skip
    hooks = webhook(None, matchConditions=[{"name": "a", "expression": "params.x == variables.y"}])
    refused = await world.admin.post(VALIDATING, validating("v", hooks))
    assert "undeclared reference to 'params'" in refused.message
    assert "undeclared reference to 'variables'" in refused.message


async def test_another_version_of_the_resource_is_as_good(world: World, tmp_path: Path) -> None:
    """A rule for one version is about all; the webhook sees the object in the version it asks for."""
    api = world.admin
    rules = [rule("horizontalpodautoscalers", groups=("autoscaling",))]
    scaler = obj("HorizontalPodAutoscaler", "h", "autoscaling/v2",
                 spec={"maxReplicas": 3, "scaleTargetRef": {"kind": "Deployment", "name": "d", "apiVersion": "apps/v1"},
                       "metrics": [{"type": "Resource", "resource": {
                           "name": "cpu", "target": {"type": "Utilization", "averageUtilization": 70}}}]})  # fmt: skip
    path = "/apis/autoscaling/v2/namespaces/default/horizontalpodautoscalers"
    change = patching({"op": "replace", "path": "/spec/maxReplicas", "value": 7})
    async with hooked(api, tmp_path, change, kind="mutating", rules=rules) as there:
        made = (await api.post(path, scaler)).ok(201)
        (request,) = [each["request"] for each in there.asked]
    assert request["object"]["apiVersion"] == "autoscaling/v1"
    assert request["object"]["spec"]["targetCPUUtilizationPercentage"] == 70
    assert request["kind"]["version"] == request["resource"]["version"] == "v1"
    assert request["requestKind"]["version"] == request["requestResource"]["version"] == "v2"
    assert made["spec"]["maxReplicas"] == 7
    assert made["spec"]["metrics"][0]["resource"]["target"]["averageUtilization"] == 70
    async with hooked(api, tmp_path, allow, rules=rules, matchPolicy="Exact") as there:
        (await api.delete(f"{path}/h")).ok()
    assert there.asked == []


async def test_subresources(world: World, tmp_path: Path) -> None:
    api = world.admin
    (await api.post(DEPLOYMENTS, deployment("d"))).ok()
    (await api.post(PODS, pod("p"))).ok()
    (await api.post("/api/v1/nodes", obj("Node", "n"))).ok()
    rules = [rule("*/*", groups=("",)), rule("*/*", groups=("apps",))]
    async with hooked(api, tmp_path, allow, rules=rules) as there:
        (await api.merge(f"{DEPLOYMENTS}/d/scale", {"spec": {"replicas": 3}})).ok()
        (await api.merge(f"{DEPLOYMENTS}/d/status", {"status": {"replicas": 3}})).ok()
        (await api.post(f"{PODS}/p/binding", obj("Binding", "p", target={"kind": "Node", "name": "n"}))).ok()
        (await api.post(f"{PODS}/p/eviction", obj("Eviction", "p", "policy/v1"))).ok()
        (await api.post(f"{ACCOUNTS}/default/token", obj("TokenRequest", "", "authentication.k8s.io/v1", spec={}))).ok()
    told = [
        (
            each["request"]["resource"]["resource"],
            each["request"].get("subResource"),
            each["request"]["operation"],
            each["request"]["kind"]["kind"],
            (each["request"]["object"] or {}).get("kind"),
        )
        for each in there.asked
    ]
    assert told == [
        ("deployments", "scale", "UPDATE", "Scale", "Scale"),
        ("deployments", "status", "UPDATE", "Deployment", "Deployment"),
        ("pods", "binding", "CREATE", "Binding", "Binding"),
        ("pods", "eviction", "CREATE", "Eviction", "Eviction"),
        ("serviceaccounts", "token", "CREATE", "TokenRequest", "TokenRequest"),
    ]
    assert there.asked[0]["request"]["oldObject"]["spec"] == {"replicas": 1}
    assert there.asked[3]["request"]["oldObject"] is None


async def test_a_scale_is_changed_on_its_way(world: World, tmp_path: Path) -> None:
    api = world.admin
    (await api.post(DEPLOYMENTS, deployment("d"))).ok()
    most = patching({"op": "replace", "path": "/spec/replicas", "value": 5})
    async with hooked(api, tmp_path, most, kind="mutating", rules=[rule("deployments/scale", groups=("apps",))]):
        assert (await api.merge(f"{DEPLOYMENTS}/d/scale", {"spec": {"replicas": 100}})).ok()["spec"] == {"replicas": 5}
    assert (await api.get(f"{DEPLOYMENTS}/d")).ok()["spec"]["replicas"] == 5


@pytest.mark.conformance("Admission webhook, deny attach")
@pytest.mark.parametrize("subresource", ["attach", "exec", "portforward"])
async def test_connections_are_admitted(world: World, tmp_path: Path, subresource: str) -> None:
    api = world.admin
    (await api.post(PODS, pod("p"))).ok()
    rules = [rule(f"pods/{subresource}", operations=("CONNECT",))]
    async with hooked(api, tmp_path, denying("attaching to pod 'p' is not allowed"), rules=rules) as there:
        refused = await api.get(f"{PODS}/p/{subresource}?container=c&stdin=true&ports=80")
        assert refused.code == 400
        assert refused.message.endswith("denied the request: attaching to pod 'p' is not allowed")
        request = there.asked[0]["request"]
    assert (request["operation"], request["name"], request["oldObject"]) == ("CONNECT", "p", None)
    assert request["kind"]["kind"] == request["object"]["kind"]
    wanted = {"attach": {"stdin": True, "container": "c"}, "exec": {"stdin": True, "container": "c"},
              "portforward": {"ports": [80]}}[subresource]  # fmt: skip
    assert {**request["object"], **wanted} == request["object"]


async def test_reviews_are_admitted(world: World, tmp_path: Path) -> None:
    api = world.admin
    review = obj("SelfSubjectAccessReview", "", "authorization.k8s.io/v1",
                 spec={"resourceAttributes": {"verb": "get", "resource": "pods"}})  # fmt: skip
    rules = [rule("selfsubjectaccessreviews", groups=("authorization.k8s.io",))]
    async with hooked(api, tmp_path, denying("not now"), rules=rules):
        refused = await api.post("/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", review)
    assert refused.message.endswith("denied the request: not now")


@pytest.mark.conformance("Admission webhook, admission control not allowed on webhook configuration objects")
async def test_configurations_are_never_subject_to_webhooks(world: World, tmp_path: Path) -> None:
    api = world.admin
    async with (
        hooked(api, tmp_path, denying("no"), rules=[EVERYTHING], name="v") as refusing,
        hooked(api, tmp_path, patching({"op": "add", "path": "/metadata/labels", "value": {"a": "b"}}),
               kind="mutating", rules=[EVERYTHING], name="m") as changing,
    ):  # fmt: skip
        made = (await api.post(VALIDATING, validating("other", webhook(None)))).ok(201)
        assert "labels" not in made["metadata"]
        (await api.delete(f"{VALIDATING}/other")).ok()
        assert (refusing.asked, changing.asked) == ([], [])


@pytest.mark.conformance("Admission webhook, deny custom resource definition")
async def test_definitions_are_refused(world: World, tmp_path: Path) -> None:
    rules = [rule("customresourcedefinitions", groups=("apiextensions.k8s.io",), versions=("*",))]
    async with hooked(world.admin, tmp_path, denying("the crd contains unwanted label"), rules=rules):
        refused = await world.admin.post("/apis/apiextensions.k8s.io/v1/customresourcedefinitions", definition())
    assert refused.message.endswith("the crd contains unwanted label")


WIDGET_RULES = [rule("widgets", groups=("example.com",))]


async def test_custom_resources_are_refused(world: World, tmp_path: Path) -> None:
    api = world.admin
    await define(api, definition())
    (await api.post(WIDGETS, widget("old", size=1))).ok(201)
    async with hooked(api, tmp_path, denying("unwanted data"), rules=WIDGET_RULES):
        for refused in (await api.post(WIDGETS, widget("a", size=1)), await api.delete(f"{WIDGETS}/old"),
                        await api.merge(f"{WIDGETS}/old", {"spec": {"size": 2}})):  # fmt: skip
            assert refused.message == 'admission webhook "hook.example.com" denied the request: unwanted data'


@pytest.mark.conformance("Admission webhook, mutate custom resource with pruning")
async def test_custom_resources_are_changed_and_pruned(world: World, tmp_path: Path) -> None:
    api = world.admin
    schema = {"type": "object", "properties": {"size": {"type": "integer"}, "kept": {"type": "string"},
                                               "extra": {"type": "string", "default": "given"}}}  # fmt: skip
    await define(api, definition(version(schema=schema)))
    change = patching({"op": "add", "path": "/spec/kept", "value": "yes"},
                      {"op": "add", "path": "/spec/dropped", "value": "no"})  # fmt: skip
    async with hooked(api, tmp_path, change, kind="mutating", rules=WIDGET_RULES):
        made = (await api.post(WIDGETS, widget("a", size=1))).ok(201)
    assert made["spec"] == {"size": 1, "kept": "yes", "extra": "given"}


@pytest.mark.conformance("Admission webhook, mutate custom resource with different stored version")
async def test_custom_resources_in_the_version_that_is_asked_for(world: World, tmp_path: Path) -> None:
    api = world.admin
    await define(api, definition(version("v1"), version("v2")))
    (await api.post(WIDGETS, widget("a", size=1))).ok(201)
    second = WIDGETS.replace("/v1/", "/v2/")
    change = patching({"op": "add", "path": "/spec/changed", "value": "yes"})
    async with hooked(api, tmp_path, change, kind="mutating", rules=WIDGET_RULES) as there:
        made = (await api.merge(f"{second}/a", {"spec": {"dummy": "test"}})).ok()
    assert there.asked[0]["request"]["object"]["apiVersion"] == "example.com/v1"
    assert made["apiVersion"] == "example.com/v2"
    assert made["spec"] == {"size": 1, "dummy": "test", "changed": "yes"}


# --- what they say beside


async def test_warnings(world: World, tmp_path: Path) -> None:
    def warn(question: Json) -> Json:
        return reply(question, allowed=True, warnings=["mind the gap"], auditAnnotations={"k": "v"})

    async with hooked(world.admin, tmp_path, warn):
        made = await world.admin.post(CM, config_map("a"))
    assert made.headers["warning"] == '299 - "mind the gap"'


@pytest.mark.conformance("Admission webhook, discovery document")
async def test_discovery_knows_configurations(world: World) -> None:
    groups = (await world.admin.get("/apis")).ok()["groups"]
    (group,) = [each for each in groups if each["name"] == "admissionregistration.k8s.io"]
    assert "admissionregistration.k8s.io/v1" in [each["groupVersion"] for each in group["versions"]]
    found = (await world.admin.get("/apis/admissionregistration.k8s.io/v1")).ok()["resources"]
    assert {"mutatingwebhookconfigurations", "validatingwebhookconfigurations"} <= {each["name"] for each in found}


# --- configurations come, change and go


@pytest.mark.conformance("Admission webhook, update mutating webhook")
@pytest.mark.parametrize("kind", ["mutating", "validating"])
async def test_a_configuration_that_changes(world: World, tmp_path: Path, kind: str) -> None:
    api = world.admin
    make, path = (validating, VALIDATING) if kind == "validating" else (mutating, MUTATING)
    async with hook(tmp_path, allow) as there:
        made = make("c", webhook(there, rules=[rule("configmaps", operations=("CREATE",))]))
        (await api.post(path, made)).ok(201)
        (await api.post(CM, config_map("a"))).ok(201)
        assert len(there.asked) == 1
        current = (await api.get(f"{path}/c")).ok()
        current["webhooks"][0]["rules"][0]["operations"] = ["UPDATE"]
        (await api.put(f"{path}/c", current)).ok()
        (await api.post(CM, config_map("b"))).ok(201)
        assert len(there.asked) == 1
        patched = [{"op": "replace", "path": "/webhooks/0/rules/0/operations", "value": ["CREATE"]}]
        (await api.ask("PATCH", f"{path}/c", patched, media="application/json-patch+json")).ok()
        (await api.post(CM, config_map("d"))).ok(201)
        assert len(there.asked) == 2
        (await api.delete(f"{path}/c")).ok()


@pytest.mark.conformance("Admission webhook, list mutating webhooks")
@pytest.mark.parametrize("kind", ["mutating", "validating"])
async def test_many_configurations_go_together(world: World, tmp_path: Path, kind: str) -> None:
    api = world.admin
    make, path = (validating, VALIDATING) if kind == "validating" else (mutating, MUTATING)
    async with hook(tmp_path, allow) as there:
        for at in range(10):
            made = make(f"c{at}", webhook(there))
            made["metadata"]["labels"] = {"test": "x"}
            (await api.post(path, made)).ok(201)
        assert len((await api.get(path, labelSelector="test=x")).names) == 10
        (await api.post(CM, config_map("a"))).ok(201)
        assert len(there.asked) == 10
        (await api.delete(path, labelSelector="test=x")).ok()
        (await api.post(CM, config_map("b"))).ok(201)
        assert len(there.asked) == 10


@pytest.mark.conformance(
    "Mutating Admission webhook, create and update mutating webhook configuration with matchConditions"
)
@pytest.mark.conformance(
    "Validating Admission webhook, create and update validating webhook configuration with matchConditions"
)
@pytest.mark.parametrize("kind", ["mutating", "validating"])
async def test_conditions_are_kept_and_changed(world: World, kind: str) -> None:
    api = world.admin
    make, path = (validating, VALIDATING) if kind == "validating" else (mutating, MUTATING)
    first = [{"name": "expression-1", "expression": "object.metadata.namespace == 'production'"}]
    made = (await api.post(path, make("c", webhook(None, matchConditions=first)))).ok(201)
    assert made["webhooks"][0]["matchConditions"] == first
    second = [{"name": "expression-1", "expression": "object.metadata.namespace == 'staging'"},
              {"name": "expression-2", "expression": "object.metadata.name == 'test'"}]  # fmt: skip
    made["webhooks"][0]["matchConditions"] = second
    assert (await api.put(f"{path}/c", made)).ok()["webhooks"][0]["matchConditions"] == second


async def test_a_server_without_webhooks_asks_no_plugin(world: World) -> None:
    registry, chain = world.server.parts.registry, world.server.parts.admission
    spec = registry.get("", "v1", "configmaps")
    assert spec is not None
    mutates, validates = chain._of_key((spec, "", "UPDATE"))
    names = {each.name for each in (*mutates, *validates)}
    assert not names & {"MutatingAdmissionWebhook", "ValidatingAdmissionWebhook", "MutatingAdmissionPolicy",
                        "ValidatingAdmissionPolicy"}  # fmt: skip


async def told_to_the_log(world: World, monkeypatch: pytest.MonkeyPatch, write: Any) -> Json:
    """The audit annotations of one write."""
    calls: list[Call] = []
    attributes = Call.attributes

    def remember(self: Call, *args: Any, **more: Any) -> Any:
        calls.append(self)
        return attributes(self, *args, **more)

    with monkeypatch.context() as patched:
        patched.setattr(Call, "attributes", remember)
        (await write).ok()
    return dict(calls[-1].audit)


async def test_what_the_audit_log_is_told(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def answer(question: Json) -> Json:
        return patching({"op": "add", "path": "/data/k", "value": "v"}, auditAnnotations={"note": "taken"})(question)

    api = world.admin
    async with hooked(api, tmp_path, answer, kind="mutating"):
        told = await told_to_the_log(world, monkeypatch, api.post(CM, config_map("a", x="1")))
    assert told["hook.example.com/note"] == "taken"
    assert orjson.loads(told["mutation.webhook.admission.k8s.io/round_0_index_0"]) == {
        "configuration": "c", "webhook": "hook.example.com", "mutated": True,
    }  # fmt: skip
    assert orjson.loads(told["patch.webhook.admission.k8s.io/round_0_index_0"])["patch"][0]["path"] == "/data/k"
    for kind, word in (("mutating", "mutation"), ("validating", "validating")):
        async with hooked(api, tmp_path, lambda question: {}, kind=kind, failurePolicy="Ignore"):
            told = await told_to_the_log(world, monkeypatch, api.post(CM, config_map(kind, x="1")))
        assert told[f"failed-open.{word}.webhook.admission.k8s.io/round_0_index_0"] == "hook.example.com"


async def test_side_effects_and_dry_run(world: World, tmp_path: Path) -> None:
    """Configurations that say so are no longer accepted, but may have been stored."""
    api = world.admin
    async with hooked(api, tmp_path, allow) as there:
        (plugin,) = [
            each for each in world.server.parts.admission.plugins if isinstance(each, ValidatingAdmissionWebhook)
        ]
        plugin.hooks()[0].side_effects = "Some"
        refused = await api.post(CM, config_map("a"), dryRun="All")
        assert (refused.code, refused.reason) == (400, "BadRequest")
        assert refused.message == 'admission webhook "hook.example.com" does not support dry run'
        assert there.asked == []


async def test_a_namespace_is_in_itself(world: World, tmp_path: Path) -> None:
    api = world.admin
    selected = {"namespaceSelector": {"matchLabels": {"team": "red"}}, "rules": [rule("namespaces", scope="Cluster")]}
    async with hooked(api, tmp_path, allow, **selected) as there:
        (await api.post("/api/v1/namespaces", obj("Namespace", "blue"))).ok(201)
        assert there.asked == []
        (await api.post("/api/v1/namespaces", obj("Namespace", "red", labels={"team": "red"}))).ok(201)
        (request,) = [each["request"] for each in there.asked]
        assert (request["name"], request["namespace"]) == ("red", "red")
