"""Authorization by others: webhooks by mode and by file, with conditions, memory and failures; reviews."""

from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import yaml
from tests.server.hooks import Hook, hook, slow
from tests.server.test_authorization import AUTHORIZATION, JANE, bind, rule
from tests.server.world import CM, World, obj, running

from kaa.server.configfile import ConfigError
from kaa.server.server import ApiServer, ServerSettings
from kaa.store.memory import MemoryStore

PODS = "/api/v1/namespaces/default/pods"


def kubeconfig(path: Path, each: Hook, route: str = "/authorize") -> Path:
    path.write_text(yaml.safe_dump({
        "kind": "Config", "apiVersion": "v1", "current-context": "c",
        "contexts": [{"name": "c", "context": {"cluster": "hook", "user": "me"}}],
        "clusters": [{"name": "hook", "cluster": {
            "server": f"https://127.0.0.1:{each.port}{route}", "certificate-authority-data": each.ca_bundle}}],
        "users": [{"name": "me", "user": {"token": "sesame"}}],
    }))  # fmt: skip
    return path


def decided(allowed: bool = False, denied: bool = False, **more) -> dict:
    return {"kind": "SubjectAccessReview", "apiVersion": "authorization.k8s.io/v1",
            "status": {"allowed": allowed, "denied": denied, **more}}  # fmt: skip


def webhook(name: str, config: Path, **more) -> dict:
    return {"type": "Webhook", "name": name, "webhook": {
        "timeout": "2s", "subjectAccessReviewVersion": "v1", "matchConditionSubjectAccessReviewVersion": "v1",
        "failurePolicy": "NoOpinion", "connectionInfo": {"type": "KubeConfigFile", "kubeConfigFile": str(config)},
        **more}}  # fmt: skip


def configuration(path: Path, *authorizers: dict) -> Path:
    path.write_text(yaml.safe_dump({
        "apiVersion": "apiserver.config.k8s.io/v1", "kind": "AuthorizationConfiguration",
        "authorizers": list(authorizers)}))  # fmt: skip
    return path


@asynccontextmanager
async def asked(tmp_path: Path, answer, *others: dict, before: tuple[dict, ...] = (), **more):
    """A server that asks one webhook, and authorizers around it; and the hook."""
    async with hook(tmp_path, answer) as each:
        config = kubeconfig(tmp_path / "hook.yaml", each)
        file = configuration(tmp_path / "authz.yaml", *before, webhook("one", config, **more), *others)
        async for world in running(authorization_config=file):
            yield world, each


RBAC_TOO = {"type": "RBAC", "name": "rbac"}


async def test_the_mode_webhook(tmp_path) -> None:
    async with hook(tmp_path, lambda question: decided(question["spec"]["user"] == "jane", reason="as told")) as each:
        config = kubeconfig(tmp_path / "hook.yaml", each)
        async for world in running(authorization_mode=("Webhook",), authorization_webhook_config_file=config):
            jane, joe = world.as_user("jane", "dev"), world.as_user("joe")
            path = f"{CM}?fieldSelector=metadata.name%3Da&labelSelector=x%3Dy,z"
            assert (await jane.get(path)).code == 200
            refused = await joe.get(CM)
            assert (refused.code, refused.message.rpartition(": ")[2]) == (403, "as told")
            assert (await world.admin.get(CM)).code == 200  # system:masters are asked nothing about
            assert [each["kind"] for each in each.asked] == ["SubjectAccessReview"] * 2
            spec = each.asked[0]["spec"]
            assert spec["extra"]["authentication.kubernetes.io/credential-id"][0].startswith("X509SHA256=")
            spec.pop("extra")
            assert spec == {
                "user": "jane", "groups": ["dev", "system:authenticated"],
                "resourceAttributes": {
                    "namespace": "default", "verb": "list", "version": "v1", "resource": "configmaps", "name": "a",
                    "fieldSelector": {"requirements": [{"key": "metadata.name", "operator": "In", "values": ["a"]}]},
                    "labelSelector": {"requirements": [{"key": "x", "operator": "In", "values": ["y"]},
                                                       {"key": "z", "operator": "Exists"}]},
                },
            }  # fmt: skip
            await jane.get("/metrics")
            assert each.asked[-1]["spec"]["nonResourceAttributes"] == {"path": "/metrics", "verb": "get"}


async def test_what_it_said_counts_for_a_while(tmp_path) -> None:
    said = {"allowed": True}
    async with asked(tmp_path, lambda question: decided(said["allowed"])) as (world, each):
        jane = world.as_user("jane")
        for _ in range(3):
            assert (await jane.get(CM)).code == 200
        assert len(each.asked) == 1
        assert (await jane.get(PODS)).code == 200  # another question
        said["allowed"] = False
        assert (await jane.get(CM)).code == 200
        assert (await jane.get(f"{CM}/a")).code == 403
        count = len(each.asked)
        assert (await jane.get(f"{CM}/a")).code == 403
        assert len(each.asked) == count
    (tmp_path / "b").mkdir()
    async with asked(tmp_path / "b", lambda question: decided(True), cacheAuthorizedRequests=False) as (world, each):
        for _ in range(3):
            assert (await world.as_user("jane").get(CM)).code == 200
        assert len(each.asked) == 3


async def test_several_in_order(tmp_path) -> None:
    """Who denies ends it; who has no opinion leaves it to the next."""

    def answer(question: dict) -> dict:
        verb = question["spec"].get("resourceAttributes", {}).get("verb")
        return decided(verb == "list", verb == "delete", reason=f"hook on {verb}")

    async with asked(tmp_path, answer, RBAC_TOO) as (world, _):
        await bind(world.admin, "all", [rule("*", "configmaps")], JANE, "default")
        jane = world.as_user("jane")
        assert (await jane.get(PODS)).code == 200  # the hook's word
        assert (await jane.get(f"{CM}/a")).code == 404  # RBAC's
        denied = await jane.delete(f"{CM}/a")
        assert denied.code == 403 and denied.message.endswith(": hook on delete")
        body = obj("SubjectAccessReview", "", "authorization.k8s.io/v1", spec={
            "user": "jane", "resourceAttributes": {"verb": "delete", "resource": "configmaps"}})  # fmt: skip
        review = await world.admin.post(f"{AUTHORIZATION}/subjectaccessreviews", body)
        assert review.ok(201)["status"] == {"allowed": False, "denied": True, "reason": "hook on delete"}
        # Rules are listed as far as they can be.
        rules = obj("SelfSubjectRulesReview", "", "authorization.k8s.io/v1", spec={"namespace": "default"})
        status = (await jane.post(f"{AUTHORIZATION}/selfsubjectrulesreviews", rules)).ok(201)["status"]
        assert status["incomplete"] and status["evaluationError"] == (
            "webhook authorizer does not support user rule resolution")  # fmt: skip
        assert {"verbs": ["*"], "apiGroups": [""], "resources": ["configmaps"]} in status["resourceRules"]


CONDITIONS = [
    (["request.user == 'jane'"], "jane", True),
    (["request.user == 'jane'"], "joe", False),
    (["has(request.resourceAttributes)", "request.resourceAttributes.namespace == 'default'"], "jane", True),
    (["has(request.resourceAttributes)", "request.resourceAttributes.namespace == 'kube-system'"], "jane", False),
    (["!('system:serviceaccounts' in request.groups)"], "jane", True),
    (["'dev' in request.groups", "request.resourceAttributes.resource == 'configmaps'"], "jane", True),
]


@pytest.mark.parametrize(("conditions", "user", "is_asked"), CONDITIONS)
async def test_match_conditions(tmp_path, conditions: list[str], user: str, is_asked: bool) -> None:
    listed = [{"expression": each} for each in conditions]
    async with asked(tmp_path, lambda question: decided(True), matchConditions=listed) as (world, each):
        assert (await world.as_user(user, "dev").get(CM)).code == (200 if is_asked else 403)
        assert len(each.asked) == int(is_asked)


@pytest.mark.parametrize(("policy", "code"), [("NoOpinion", 200), ("Deny", 403)])
async def test_failures(tmp_path, policy: str, code: int) -> None:
    """A hook that breaks, an answer that makes no sense, a condition that cannot be evaluated."""
    broken = [lambda question: decided(True, True), lambda question: slow(5, decided(True)),
              lambda question: 1 / 0]  # fmt: skip
    for number, answer in enumerate(broken):
        place = tmp_path / str(number)
        place.mkdir()
        more = {"failurePolicy": policy, "timeout": "300ms"}
        async with asked(place, answer, RBAC_TOO, **more) as (world, _):
            await bind(world.admin, "all", [rule("*", "configmaps")], JANE, "default")
            answered = await world.as_user("jane").get(CM)
            assert answered.code == code, (number, answered.body)
    place = tmp_path / "condition"
    place.mkdir()
    failing = [{"expression": "request.resourceAttributes.fieldSelector.requirements[3].key == 'x'"}]
    more = {"failurePolicy": policy, "matchConditions": failing}
    async with asked(place, lambda question: decided(False), RBAC_TOO, **more) as (world, each):
        await bind(world.admin, "all", [rule("*", "configmaps")], JANE, "default")
        assert (await world.as_user("jane").get(CM)).code == code
        assert not each.asked


async def test_the_file_is_read_again(tmp_path) -> None:
    async with asked(tmp_path, lambda question: decided(True)) as (world, _):
        jane, file = world.as_user("jane"), tmp_path / "authz.yaml"
        assert (await jane.get(CM)).code == 200
        good = file.read_text()
        file.write_text("nonsense: [")
        assert not world.server.authorization.refresh()  # reported, and the last good one counts
        assert (await jane.get(CM)).code == 200
        configuration(file, RBAC_TOO)
        assert world.server.authorization.refresh()
        assert (await jane.get(CM)).code == 403
        file.write_text(good)
        assert world.server.authorization.refresh()
        assert (await jane.get(CM)).code == 200


WRONG = [
    ([], "at least one authorization mode must be defined"),
    ([{"type": "ABAC", "name": "a"}], "ABAC is not served by this release"),
    ([{"type": "Magic", "name": "a"}], 'authorizers[0].type: Unsupported value: "Magic"'),
    ([RBAC_TOO, {"type": "RBAC", "name": "b"}], 'authorizers[1].type: Duplicate value: "RBAC"'),
    ([RBAC_TOO, {"type": "Node", "name": "rbac"}], 'authorizers[1].name: Duplicate value: "rbac"'),
    ([{"type": "RBAC"}], "authorizers[0].name: Required value"),
    ([{"type": "Webhook", "name": "w"}], "authorizers[0].webhook: Required value: required when type=Webhook"),
    ([{**RBAC_TOO, "webhook": {}}], "may only be specified when type=Webhook"),
    ([{**RBAC_TOO, "extra": 1}], 'authorizers[0]: unknown field "extra"'),
    ([webhook("w", Path("none"), timeout="31s")], "timeout: Invalid value: must be > 0s and <= 30s"),
    ([webhook("w", Path("none"), failurePolicy="Ignore")], 'failurePolicy: Unsupported value: "Ignore"'),
    ([webhook("w", Path("none"), connectionInfo={"type": "InClusterConfig"})], "InClusterConfig is not served"),
    ([webhook("w", Path("none"))], "not a usable kubeconfig"),
]


@pytest.mark.parametrize(("authorizers", "message"), WRONG, ids=[row[1][:40] for row in WRONG])
async def test_what_a_file_may_not_say(tmp_path, authorizers: list[dict], message: str) -> None:
    file = configuration(tmp_path / "authz.yaml", *authorizers)
    server = ApiServer(MemoryStore(), ServerSettings(authorization_config=file))
    with pytest.raises(ConfigError, match=r"authz\.yaml") as caught:
        await server.start(listen=False)
    await server.stop()
    assert message in str(caught.value)


async def test_a_condition_that_does_not_compile(tmp_path) -> None:
    async with hook(tmp_path, lambda question: decided()) as each:
        config = kubeconfig(tmp_path / "hook.yaml", each)
        for text in ("request.nothing == 'a'", "request.user", "1 +"):
            condition = [{"expression": text}]
            file = configuration(tmp_path / "authz.yaml", webhook("w", config, matchConditions=condition))
            server = ApiServer(MemoryStore(), ServerSettings(authorization_config=file))
            with pytest.raises(ConfigError, match="compilation failed"):
                await server.start(listen=False)
            await server.stop()


@pytest.mark.parametrize("mode", ["ABAC", "Magic", "Webhook"])
async def test_modes_that_cannot_be_served(mode: str) -> None:
    server = ApiServer(MemoryStore(), ServerSettings(authorization_mode=(mode,)))
    with pytest.raises(ConfigError, match=mode):
        await server.start(listen=False)
    await server.stop()


# --- reviews


SELECTORS = [
    ({"fieldSelector": {"requirements": [{"key": "spec.nodeName", "operator": "In", "values": ["n1"]}]}}, True, ""),
    ({"fieldSelector": {"rawSelector": "spec.nodeName=n1"}}, True, ""),
    ({"fieldSelector": {"rawSelector": "spec.nodeName=n2"}}, False, ""),
    ({"fieldSelector": {"requirements": [{"key": "spec.nodeName", "operator": "NotIn", "values": ["n2"]}]}}, False, ""),
    ({"fieldSelector": {"requirements": [{"key": "spec.nodeName", "operator": "In", "values": ["n1", "n2"]}]}}, False,
     "fieldSelectors do not yet support multiple values"),
    ({"fieldSelector": {"rawSelector": "spec.nodeName"}}, False, "fieldSelector ignored; parse error"),
    ({"labelSelector": {"rawSelector": "a in (b"}}, False, "labelSelector ignored; parse error"),
    ({"labelSelector": {"requirements": [{"key": "a", "operator": "Exists"}]}}, False, ""),
]  # fmt: skip


@pytest.mark.parametrize(("selector", "allowed", "doubt"), SELECTORS)
async def test_reviews_with_selectors(world: World, selector: dict, allowed: bool, doubt: str) -> None:
    """A node may list its own pods, so the answer depends on the field selector."""
    body = obj("SubjectAccessReview", "", "authorization.k8s.io/v1", spec={
        "user": "system:node:n1", "groups": ["system:nodes"],
        "resourceAttributes": {"verb": "list", "resource": "pods", "version": "v1", **selector}})  # fmt: skip
    status = (await world.admin.post(f"{AUTHORIZATION}/subjectaccessreviews", body)).ok(201)["status"]
    assert status["allowed"] == allowed
    assert doubt in status.get("evaluationError", "") and bool(doubt) == ("evaluationError" in status)


BAD_REVIEWS = [
    ("subjectaccessreviews", {"resourceAttributes": {}}, 422,
     'SubjectAccessReview.authorization.k8s.io "" is invalid: spec.user: Invalid value: "": at least one of user or '
     "group must be specified"),
    ("subjectaccessreviews", {"user": "a"}, 422,
     "exactly one of nonResourceAttributes or resourceAttributes must be specified"),
    ("subjectaccessreviews", {"user": "a", "resourceAttributes": {}, "nonResourceAttributes": {}}, 422,
     "cannot be specified in combination with resourceAttributes"),
    ("selfsubjectaccessreviews", {}, 422,
     "exactly one of nonResourceAttributes or resourceAttributes must be specified"),
    ("selfsubjectaccessreviews", {"resourceAttributes": {"fieldSelector": {}}}, 422,
     "spec.resourceAttributes.fieldSelector.requirements: Required value"),
    ("selfsubjectaccessreviews", {"resourceAttributes": {"labelSelector": {
        "requirements": [{"key": "a", "operator": "In"}]}}}, 422,
     "spec.resourceAttributes.labelSelector.requirements[0].values: Required value: must be specified when `operator` "
     "is 'In' or 'NotIn'"),
    ("selfsubjectaccessreviews", {"resourceAttributes": {"fieldSelector": {
        "rawSelector": "a=b", "requirements": [{"key": "a", "operator": "In", "values": ["b"]}]}}}, 422,
     "may not specified at the same time as requirements"),
    ("namespaces/default/localsubjectaccessreviews", {"user": "a", "resourceAttributes": {"namespace": "x"}}, 400,
     "spec.resourceAttributes.namespace must match namespace: default"),
    ("selfsubjectrulesreviews", {}, 400, "no namespace on request"),
]  # fmt: skip
KINDS = {"subjectaccessreviews": "SubjectAccessReview", "selfsubjectaccessreviews": "SelfSubjectAccessReview",
         "localsubjectaccessreviews": "LocalSubjectAccessReview",
         "selfsubjectrulesreviews": "SelfSubjectRulesReview"}  # fmt: skip


@pytest.mark.parametrize(("path", "spec", "code", "message"), BAD_REVIEWS)
async def test_reviews_that_ask_nothing(world: World, path: str, spec: dict, code: int, message: str) -> None:
    body = obj(KINDS[path.rpartition("/")[2]], "", "authorization.k8s.io/v1", spec=spec)
    answer = await world.admin.post(f"{AUTHORIZATION}/{path}", body)
    assert answer.code == code and message in answer.message, answer.body


async def test_always_allow_and_deny() -> None:
    async for world in running(authorization_mode=("AlwaysAllow",)):
        assert (await world.as_user("jane").get(CM)).code == 200
    async for world in running(authorization_mode=("AlwaysDeny",)):
        answer = await world.as_user("jane").get(CM)
        assert answer.code == 403 and answer.message.endswith(": Everything is forbidden.")
        assert (await world.admin.get(CM)).code == 200
