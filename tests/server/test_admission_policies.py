"""Validating and mutating admission policies: written, bound, and felt by whoever writes next."""

from typing import Any

import orjson
import pytest
from tests.server.definitions import WIDGETS, define, definition, version, widget
from tests.server.test_operations import example, operations
from tests.server.world import CM, DEPLOYMENTS, PODS, Answered, Api, World, config_map, deployment, obj, pod

from kaa.base.clock import REAL
from kaa.server.admission.policies import ValidatingAdmissionPolicy
from kaa.server.app import Decision
from kaa.server.request import RequestInfo, User

Json = dict[str, Any]

GROUP = "admissionregistration.k8s.io/v1"
ROOT = f"/apis/{GROUP}"
POLICIES, BINDINGS = f"{ROOT}/validatingadmissionpolicies", f"{ROOT}/validatingadmissionpolicybindings"
MUTATING, MUTATING_BINDINGS = f"{ROOT}/mutatingadmissionpolicies", f"{ROOT}/mutatingadmissionpolicybindings"


def rule(*resources: str, operations: tuple[str, ...] = ("CREATE", "UPDATE"), groups: tuple[str, ...] = ("",),
         versions: tuple[str, ...] = ("v1",), **more: Any) -> Json:  # fmt: skip
    return {"operations": list(operations), "apiGroups": list(groups), "apiVersions": list(versions),
            "resources": list(resources), **more}  # fmt: skip


def policy(name: str, *validations: Json | str, rules: list[Json] | None = None, constraints: Json | None = None,
           **spec: Any) -> Json:  # fmt: skip
    made = [{"expression": each} if isinstance(each, str) else each for each in validations]
    return obj("ValidatingAdmissionPolicy", name, GROUP, spec={
        "matchConstraints": {"resourceRules": rules or [rule("configmaps")], **(constraints or {})},
        **({"validations": made} if made else {}), **spec,
    })  # fmt: skip


def binding(name: str, policy_name: str, *actions: str, **spec: Any) -> Json:
    return obj("ValidatingAdmissionPolicyBinding", name, GROUP,
               spec={"policyName": policy_name, "validationActions": list(actions or ("Deny",)), **spec})  # fmt: skip


async def bound(api: Api, made: Json, *actions: str, **spec: Any) -> None:
    """A policy `p` with a binding `b`."""
    (await api.post(POLICIES, made)).ok(201)
    (await api.post(BINDINGS, binding("b", made["metadata"]["name"], *actions, **spec))).ok(201)


def denied(answer: Answered, why: str, *, code: int = 422, reason: str = "Invalid", name: str = "a") -> None:
    message = f"ValidatingAdmissionPolicy 'p' with binding 'b' denied request: {why}"
    assert (answer.code, answer.reason) == (code, reason), answer.body
    assert answer.message == f'configmaps "{name}" is forbidden: {message}'
    assert answer.json["details"]["causes"] == [{"message": message}]


# --- what must hold


async def test_nothing_happens_without_a_binding(world: World) -> None:
    api = world.admin
    (await api.post(POLICIES, policy("p", "false"))).ok(201)
    (await api.post(CM, config_map("a"))).ok(201)
    (await api.post(BINDINGS, binding("b", "p"))).ok(201)
    denied(await api.post(CM, config_map("b")), "failed expression: false", name="b")
    (await api.delete(f"{BINDINGS}/b")).ok()
    (await api.post(CM, config_map("b"))).ok(201)


HOLDS: list[tuple[str, Json | str, str, int, str]] = [
    ("the expression", "object.metadata.name == 'b'", "failed expression: object.metadata.name == 'b'", 422, "Invalid"),
    ("a message", {"expression": "false", "message": "  not so  "}, "not so", 422, "Invalid"),
    ("an expression's message", {"expression": "false", "message": "x", "messageExpression": "'it is ' + object.kind"},
     "it is ConfigMap", 422, "Invalid"),
    ("an empty message", {"expression": "false", "message": "x", "messageExpression": "'  '"}, "x", 422, "Invalid"),
    ("two lines", {"expression": "false", "message": "x", "messageExpression": "'a\\nb'"}, "x", 422, "Invalid"),
    ("a message that fails", {"expression": "false", "message": "x", "messageExpression": "object.none"}, "x", 422,
     "Invalid"),
    ("a reason", {"expression": "false", "reason": "Forbidden"}, "failed expression: false", 403, "Forbidden"),
    ("too large", {"expression": "false", "reason": "RequestEntityTooLarge"}, "failed expression: false", 413,
     "RequestEntityTooLarge"),
    ("a failure", "object.none == 1", "expression 'object.none == 1' resulted in error: no such key: none", 422,
     "Invalid"),
    ("too dear", "range.all(a, range.all(b, range.all(c, range.all(d, true))))", "", 422, "Invalid"),
]  # fmt: skip


@pytest.mark.parametrize(("validation", "why", "code", "reason"), [each[1:] for each in HOLDS],
                         ids=[each[0] for each in HOLDS])  # fmt: skip
async def test_what_does_not_hold(world: World, validation: Json | str, why: str, code: int, reason: str) -> None:
    if isinstance(validation, str) and validation.startswith("range"):
        numbers = ", ".join(map(str, range(40)))
        validation = validation.replace("range", f"[{numbers}]")
        why = f"expression '{validation}' resulted in error: operation cancelled: actual cost limit exceeded"
    if isinstance(validation, dict) and validation.get("messageExpression") == "object.none":
        validation = {**validation, "messageExpression": "string(object.none)"}
    await bound(world.admin, policy("p", validation))
    denied(await world.admin.post(CM, config_map("a")), why, code=code, reason=reason)


async def test_failures_are_passed_over_where_the_policy_says_so(world: World) -> None:
    api = world.admin
    await bound(api, policy("p", "object.none == 1", "object.metadata.name != 'b'", failurePolicy="Ignore"))
    (await api.post(CM, config_map("a"))).ok(201)
    denied(await api.post(CM, config_map("b")), "failed expression: object.metadata.name != 'b'", name="b")


async def test_updates_see_both_and_deletions_the_old(world: World) -> None:
    api = world.admin
    (await api.post(CM, config_map("a", x="1"))).ok(201)
    rules = [rule("configmaps", operations=("UPDATE", "DELETE"))]
    await bound(api, policy("p", "request.operation == 'DELETE' ? oldObject.data.x == '2' && object == null : "
                                 "int(object.data.x) > int(oldObject.data.x)", rules=rules))  # fmt: skip
    assert (await api.merge(f"{CM}/a", {"data": {"x": "0"}})).code == 422
    assert (await api.delete(f"{CM}/a")).code == 422
    (await api.merge(f"{CM}/a", {"data": {"x": "2"}})).ok()
    (await api.delete(f"{CM}/a")).ok()


async def test_what_expressions_may_look_at(world: World) -> None:
    api = world.admin
    (await api.merge("/api/v1/namespaces/default", {"metadata": {"labels": {"team": "red"}}})).ok()
    await bound(api, policy(
        "p",
        "namespaceObject.metadata.labels['team'] == 'red' && namespaceObject.status.phase == 'Active'",
        "request.userInfo.username == 'admin' && 'system:masters' in request.userInfo.groups",
        "request.resource.resource == 'configmaps' && request.kind.kind == 'ConfigMap'",
        "request.namespace == 'default'",
        "request.options.kind == 'CreateOptions' && !request.dryRun && !has(request.subResource)",
        "authorizer.requestResource.check('create').allowed()",
        "authorizer.serviceAccount('default', 'default').group('').resource('secrets').namespace('default')"
        ".check('get').allowed() == false",
        "authorizer.path('/healthz').check('get').allowed()",
        "oldObject == null && object.metadata.name == request.name",
        variables=[],
    ))  # fmt: skip
    (await api.post(CM, config_map("a"))).ok(201)


@pytest.mark.conformance("ValidatingAdmissionPolicy")
async def test_variables(world: World) -> None:
    api = world.admin
    deployments = [rule("deployments", groups=("apps",))]
    await bound(api, policy(
        "p", {"expression": "variables.oddReplicas || variables.replicas == 0 || variables.never",
              "messageExpression": "'even: ' + string(variables.replicas)"},
        rules=deployments,
        variables=[{"name": "replicas", "expression": "object.spec.replicas"},
                   {"name": "oddReplicas", "expression": "variables.replicas % 2 == 1"},
                   {"name": "never", "expression": "object.spec.nowhere == 1 && false"}],
    ))  # fmt: skip
    (await api.post(DEPLOYMENTS, deployment("odd", 1))).ok(201)
    refused = await api.post(DEPLOYMENTS, deployment("even", 2))
    assert refused.message == (
        "deployments.apps \"even\" is forbidden: ValidatingAdmissionPolicy 'p' with binding 'b' denied request: even: 2"
    )


async def test_a_variable_that_fails_is_named(world: World) -> None:
    await bound(world.admin, policy("p", "variables.x == 1", variables=[{"name": "x", "expression": "object.none"}]))
    denied(await world.admin.post(CM, config_map("a")),
           "expression 'variables.x == 1' resulted in error: composited variable \"x\" fails to evaluate: no such key: "
           "none")  # fmt: skip


async def test_typed_variables_keep_their_values(world: World) -> None:
    api = world.admin
    variables = [
        {"name": "time", "expression": "timestamp(namespaceObject.metadata.creationTimestamp)"},
        {"name": "user", "expression": "request.userInfo"},
        {"name": "meta", "expression": "namespaceObject.metadata"},
        {"name": "names", "expression": "object.data.map(k, k)"},
        {"name": "amount", "expression": "quantity('1Gi')"},
        {"name": "maybe", "expression": "object.?spec.?none"},
        {"name": "span", "expression": "duration('1h')"},
    ]
    await bound(api, policy(
        "p", "variables.time < timestamp('2100-01-01T00:00:00Z')", "variables.user.username == 'admin'",
        "variables.meta.name == 'default' && variables.meta.creationTimestamp == variables.time",
        "variables.names == ['k']", "variables.amount.isGreaterThan(quantity('1Mi'))",
        "!variables.maybe.hasValue()", "variables.span == duration('60m')", variables=variables,
    ))  # fmt: skip
    (await api.post(CM, config_map("a", k="v"))).ok(201)


# --- to what effect


async def test_a_warning(world: World) -> None:
    await bound(world.admin, policy("p", {"expression": "false", "message": "no good"}), "Warn")
    made = await world.admin.post(CM, config_map("a"))
    made.ok(201)
    assert made.headers["warning"] == (
        "299 - \"Validation failed for ValidatingAdmissionPolicy 'p' with binding 'b': no good\""
    )


async def test_audit_annotations(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beside the answer: what the audit log is told."""
    from kaa.server.call import Call

    calls: list[Call] = []
    attributes = Call.attributes

    def remember(self: Call, *args: Any, **more: Any) -> Any:
        calls.append(self)
        return attributes(self, *args, **more)

    monkeypatch.setattr(Call, "attributes", remember)
    made = policy("p", {"expression": "object.data.x == '1'", "message": "not one"},
                  auditAnnotations=[{"key": "x", "valueExpression": "'x is ' + object.data.x"},
                                    {"key": "none", "valueExpression": "null"},
                                    {"key": "empty", "valueExpression": "' '"}])  # fmt: skip
    await bound(world.admin, made, "Audit")
    (await world.admin.post(CM, config_map("a", x="2"))).ok(201)
    audit = dict(calls[-1].audit)
    failure = orjson.loads(audit.pop("validation.policy.admission.k8s.io/validation_failure"))
    assert failure == [{"message": "not one", "policy": "p", "binding": "b", "expressionIndex": 0,
                        "validationActions": ["Audit"]}]  # fmt: skip
    assert {key: value for key, value in audit.items() if key.startswith("p/")} == {"p/x": "x is 2"}


async def test_an_annotation_that_fails_refuses(world: World) -> None:
    made = policy("p", auditAnnotations=[{"key": "x", "valueExpression": "'' + object.none"}])
    await bound(world.admin, made)
    denied(await world.admin.post(CM, config_map("a")),
           "expression ''' + object.none' resulted in error: no such key: none")  # fmt: skip


# --- where


@pytest.mark.parametrize(
    ("constraints", "resources", "holds"),
    [
        ({}, {}, True),
        ({"resourceRules": [rule("configmaps", resourceNames=["a"])]}, {}, True),
        ({"resourceRules": [rule("configmaps", resourceNames=["b"])]}, {}, False),
        ({"resourceRules": [rule("*", groups=("*",), versions=("*",), operations=("*",))]}, {}, True),
        ({"resourceRules": [rule("pods")]}, {}, False),
        ({"excludeResourceRules": [rule("configmaps")]}, {}, False),
        ({"excludeResourceRules": [rule("configmaps", resourceNames=["a"])]}, {}, False),
        ({"excludeResourceRules": [rule("configmaps", resourceNames=["b"])]}, {}, True),
        ({"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "other"}}}, {}, False),
        ({"objectSelector": {"matchLabels": {"app": "x"}}}, {}, True),
        ({"objectSelector": {"matchLabels": {"app": "y"}}}, {}, False),
        ({}, {"resourceRules": [rule("configmaps", operations=("UPDATE",))]}, False),
        ({}, {"resourceRules": [rule("configmaps", resourceNames=["a"])]}, True),
        ({}, {"excludeResourceRules": [rule("configmaps")]}, False),
        ({}, {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "default"}}}, True),
        ({}, {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "other"}}}, False),
    ],
)
async def test_where_it_holds(world: World, constraints: Json, resources: Json, holds: bool) -> None:
    spec = {"matchResources": resources} if resources else {}
    await bound(world.admin, policy("p", "false", constraints=constraints), **spec)
    answer = await world.admin.post(CM, obj("ConfigMap", "a", labels={"app": "x"}))
    assert answer.code == (422 if holds else 201)


@pytest.mark.parametrize(
    ("expression", "code"),
    [("object.metadata.name == 'a'", 422), ("object.metadata.name == 'b'", 201), ("object.none == 1", 422)],
)
async def test_conditions(world: World, expression: str, code: int) -> None:
    await bound(world.admin, policy("p", "false", matchConditions=[{"name": "c", "expression": expression}]))
    answer = await world.admin.post(CM, config_map("a"))
    assert answer.code == code
    if "none" in expression:
        denied(answer, "expression 'object.none == 1' resulted in error: no such key: none")


async def test_configurations_and_reviews_are_left_alone(world: World) -> None:
    rules = [rule("*", groups=("*",), versions=("*",), operations=("*",))]
    await bound(world.admin, policy("p", "false", rules=rules))
    (await world.admin.merge(f"{POLICIES}/p", {"metadata": {"labels": {"a": "b"}}})).ok()
    review = obj("SelfSubjectAccessReview", "", "authorization.k8s.io/v1",
                 spec={"resourceAttributes": {"verb": "get", "resource": "pods"}})  # fmt: skip
    (await world.admin.post("/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", review)).ok(201)
    (await world.admin.delete(f"{BINDINGS}/b")).ok()


async def test_connections_and_custom_resources(world: World) -> None:
    api = world.admin
    await define(api, definition(version("v1"), version("v2")))
    (await api.post(PODS, pod("p"))).ok()
    rules = [rule("pods/exec", operations=("CONNECT",)), rule("widgets", groups=("example.com",))]
    await bound(api, policy("p", "request.operation != 'CONNECT' || object.container != 'c'",
                            "request.kind.kind != 'Widget' || object.apiVersion == 'example.com/v1'",
                            "request.kind.kind != 'Widget' || object.spec.size < 3",
                            rules=rules))  # fmt: skip
    refused = await api.get(f"{PODS}/p/exec?container=c&command=sh")
    assert refused.message.startswith("pods \"p\" is forbidden: ValidatingAdmissionPolicy 'p' with binding 'b' denied")
    (await api.post(WIDGETS, widget("a", size=1))).ok(201)
    second = WIDGETS.replace("/v1/", "/v2/")
    (await api.post(second, widget("b", "example.com/v2", size=1))).ok(201)
    assert (await api.post(second, widget("c", "example.com/v2", size=5))).code == 422


# --- parameters


async def test_parameters_by_name_and_selector(world: World) -> None:
    api = world.admin
    (await api.post(CM, obj("ConfigMap", "limits", labels={"limits": "yes"}, data={"most": "3"}))).ok(201)
    (await api.post(CM, obj("ConfigMap", "more", labels={"limits": "yes"}, data={"most": "5"}))).ok(201)
    deployments = [rule("deployments", groups=("apps",))]
    made = policy("p", "object.spec.replicas <= int(params.data.most)", rules=deployments,
                  paramKind={"apiVersion": "v1", "kind": "ConfigMap"})  # fmt: skip
    by_name = {"name": "more", "namespace": "default", "parameterNotFoundAction": "Deny"}
    await bound(api, made, paramRef=by_name)
    (await api.post(DEPLOYMENTS, deployment("four", 4))).ok(201)
    assert (await api.post(DEPLOYMENTS, deployment("six", 6))).code == 422
    by_label = {"selector": {"matchLabels": {"limits": "yes"}}, "parameterNotFoundAction": "Deny"}
    (await api.ask("PATCH", f"{BINDINGS}/b", [{"op": "replace", "path": "/spec/paramRef", "value": by_label}],
                   media="application/json-patch+json")).ok()  # fmt: skip
    assert (await api.post(DEPLOYMENTS, deployment("another", 4))).code == 422
    (await api.merge(f"{CM}/limits", {"data": {"most": "10"}})).ok()
    (await api.post(DEPLOYMENTS, deployment("another", 4))).ok(201)


MISSING: list[tuple[str, Json, Json, str]] = [
    ("not there", {"name": "none", "parameterNotFoundAction": "Deny"}, {"apiVersion": "v1", "kind": "ConfigMap"},
     "failed to configure binding: no params found for policy binding with `Deny` parameterNotFoundAction"),
    ("not there, and it does not matter", {"name": "none", "parameterNotFoundAction": "Allow"},
     {"apiVersion": "v1", "kind": "ConfigMap"}, ""),
    ("of a namespace", {"name": "x", "namespace": "default", "parameterNotFoundAction": "Deny"},
     {"apiVersion": "v1", "kind": "Node"},
     "failed to configure binding: paramRef.namespace must not be provided for a cluster-scoped `paramKind`"),
]  # fmt: skip


@pytest.mark.parametrize(("reference", "kind", "why"), [each[1:] for each in MISSING],
                         ids=[each[0] for each in MISSING])  # fmt: skip
async def test_parameters_that_are_not_there(world: World, reference: Json, kind: Json, why: str) -> None:
    await bound(world.admin, policy("p", "false", paramKind=kind), paramRef=reference)
    answer = await world.admin.post(CM, config_map("a"))
    if why:
        denied(answer, why)
    else:
        answer.ok(201)


async def test_a_kind_of_parameters_that_nobody_serves(world: World) -> None:
    api = world.admin
    made = policy("p", "params.spec.ok == true", paramKind={"apiVersion": "example.com/v1", "kind": "Widget"})
    await bound(api, made, paramRef={"name": "w", "namespace": "default", "parameterNotFoundAction": "Deny"})
    refused = await api.post(CM, config_map("a"))
    assert refused.message == (
        "configmaps \"a\" is forbidden: ValidatingAdmissionPolicy 'p' denied request: failed to configure policy: "
        "failed to find resource referenced by paramKind: 'example.com/v1, Kind=Widget'"
    )
    await define(api, definition())
    (await api.post(WIDGETS, widget("w", ok=True))).ok(201)
    (await api.post(CM, config_map("a"))).ok(201)


async def test_a_policy_with_parameters_but_a_binding_without(world: World) -> None:
    await bound(world.admin, policy("p", "params == null", paramKind={"apiVersion": "v1", "kind": "ConfigMap"}))
    (await world.admin.post(CM, config_map("a"))).ok(201)


# --- what is refused when it is written


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({"validations": [{"expression": "object.x =="}]},
         'spec.validations[0].expression: Invalid value: "object.x ==": compilation failed: ERROR: <input>:1:12: '
         "Syntax error"),
        ({"validations": [{"expression": "1"}]},
         'spec.validations[0].expression: Invalid value: "1": must evaluate to bool but got int'),
        ({"validations": [{"expression": "params.x"}]}, "undeclared reference to 'params'"),
        ({"validations": [{"expression": "true", "messageExpression": "authorizer.path('/').check('get').reason()"}]},
         "undeclared reference to 'authorizer'"),
        ({"validations": [{"expression": "true"}], "auditAnnotations": [{"key": "a", "valueExpression": "1"}]},
         'spec.auditAnnotations[0].valueExpression: Invalid value: "1": must evaluate to one of '
         "[string null] but got int"),
        ({"validations": [{"expression": "variables.later"}],
          "variables": [{"name": "a", "expression": "variables.later"}, {"name": "later", "expression": "true"}]},
         "undefined field 'later'"),
    ],
)  # fmt: skip
async def test_what_does_not_compile_is_refused(world: World, spec: Json, message: str) -> None:
    refused = await world.admin.post(POLICIES, policy("p", **spec))
    assert refused.code == 422
    assert message in refused.message, refused.message


# --- changing


def mutation(name: str, *expressions: str, rules: list[Json] | None = None, again: str = "Never", **spec: Any) -> Json:
    made: list[Json] = [
        {"patchType": "JSONPatch", "jsonPatch": {"expression": each}} if each.strip().startswith("[")
        else {"patchType": "ApplyConfiguration", "applyConfiguration": {"expression": each}}
        for each in expressions
    ]  # fmt: skip
    return obj("MutatingAdmissionPolicy", name, GROUP, spec={
        "matchConstraints": {"resourceRules": rules or [rule("configmaps")]}, "reinvocationPolicy": again,
        "mutations": made, **spec,
    })  # fmt: skip


async def bind_mutation(api: Api, made: Json, **spec: Any) -> None:
    name = made["metadata"]["name"]
    (await api.post(MUTATING, made)).ok(201)
    (await api.post(MUTATING_BINDINGS, obj("MutatingAdmissionPolicyBinding", f"b-{name}", GROUP,
                                           spec={"policyName": name, **spec}))).ok(201)  # fmt: skip


DEPLOYED = [rule("deployments", groups=("apps",))]


@pytest.mark.conformance("MutatingAdmissionPolicy")
async def test_a_configuration_is_merged(world: World) -> None:
    api = world.admin
    await bind_mutation(api, mutation(
        "m", "Object{metadata: Object.metadata{annotations: {'my-key': 'my-value'}}, "
        "spec: Object.spec{replicas: object.spec.replicas + 100, template: Object.spec.template{spec: "
        "Object.spec.template.spec{containers: [Object.spec.template.spec.containers{name: 'sidecar', image: 'x'}]}}}}",
        rules=DEPLOYED,
    ))  # fmt: skip
    made = (await api.post(DEPLOYMENTS, deployment("d", 1))).ok(201)
    assert made["metadata"]["annotations"] == {"my-key": "my-value"}
    assert made["spec"]["replicas"] == 101
    first, second = made["spec"]["template"]["spec"]["containers"]
    assert (first["name"], second["name"], second["imagePullPolicy"]) == ("c", "sidecar", "Always")
    assert "f:metadata" not in made["metadata"]["managedFields"][0]["fieldsV1"]  # what policies add is nobody's


async def test_a_json_patch(world: World) -> None:
    api = world.admin
    await bind_mutation(api, mutation(
        "m", "[JSONPatch{op: 'test', path: '/metadata/name', value: object.metadata.name},"
        "JSONPatch{op: 'add', path: '/metadata/labels', value: {'a': 'b'}},"
        "JSONPatch{op: 'add', path: '/data/' + jsonpatch.escapeKey('x/y'), value: variables.text}]",
        "[JSONPatch{op: 'test', path: '/metadata/name', value: 'another'},"
        "JSONPatch{op: 'add', path: '/data/never', value: '1'}]",
        variables=[{"name": "text", "expression": "string(size(object.data))"}],
    ))  # fmt: skip
    refused = await api.post(CM, config_map("a", k="v"))  # a key with a slash is none
    assert refused.code == 422 and "data[x/y]" in refused.message
    (await api.delete(f"{MUTATING}/m")).ok()
    made = (await api.post(CM, config_map("a", k="v"))).ok(201)
    assert "labels" not in made["metadata"]


async def test_objects_in_json_patches(world: World) -> None:
    api = world.admin
    await bind_mutation(api, mutation(
        "m", "[JSONPatch{op: 'add', path: '/spec/template/spec/containers/-', "
        "value: Object.spec.template.spec.containers{name: 'sidecar', image: 'x'}}]", rules=DEPLOYED,
    ))  # fmt: skip
    made = (await api.post(DEPLOYMENTS, deployment("d", 1))).ok(201)
    assert [each["name"] for each in made["spec"]["template"]["spec"]["containers"]] == ["c", "sidecar"]


WRONG: list[tuple[str, str, str]] = [
    ("one value", "Object{spec: Object.spec{selector: Object.spec.selector{matchLabels: {'app': 'x'}}}}",
     "error applying patch: invalid ApplyConfiguration: may not mutate atomic arrays, maps or structs: .spec.selector"),
    ("another name", "Object{spec: Object.specx{replicas: 1}}",
     'type mismatch: unexpected type name "Object.specx", expected "Object.spec", which matches field name path from '
     "root Object type"),
    ("no such field", "Object{spec: Object.spec{replicasx: 1}}",
     "error applying patch: failed to convert patch object to typed object: .spec.replicasx: field not declared in "
     "schema"),
    ("a failure", "Object{spec: Object.spec{replicas: object.none}}",
     "expression 'Object{spec: Object.spec{replicas: object.none}}' resulted in error: no such key: none"),
    ("a path", "[JSONPatch{op: 'remove', path: '/spec/none'}]",
     "JSONPath: error in remove for path: '/spec/none': Unable to remove nonexistent key: none: missing value"),
]  # fmt: skip


@pytest.mark.parametrize("ignore", [False, True], ids=["fail", "ignore"])
@pytest.mark.parametrize(("expression", "why"), [each[1:] for each in WRONG], ids=[each[0] for each in WRONG])
async def test_mutations_that_fail(world: World, expression: str, why: str, ignore: bool) -> None:
    made = mutation("m", expression, rules=DEPLOYED, failurePolicy="Ignore" if ignore else "Fail")
    await bind_mutation(world.admin, made)
    answer = await world.admin.post(DEPLOYMENTS, deployment("d"))
    if ignore:
        answer.ok(201)
        return
    message = f"policy 'm' with binding 'b-m' denied request: {why}"
    assert (answer.code, answer.reason, answer.message) == (403, "Invalid", message)
    assert answer.json["details"]["causes"] == [{"message": message}]


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("'teapot'", "must evaluate to Object but got string"),
        ("['a']", "must evaluate to list(JSONPatch) but got list(string)"),
        ("Object{a: }", "compilation failed"),
    ],
)
async def test_mutations_that_are_refused_when_written(world: World, expression: str, message: str) -> None:
    refused = await world.admin.post(MUTATING, mutation("m", expression))
    assert refused.code == 422
    assert message in refused.message, refused.message


@pytest.mark.parametrize(("again", "wanted"), [("Never", "first "), ("IfNeeded", "first second first ")])
async def test_policies_run_again_where_something_has_changed(world: World, again: str, wanted: str) -> None:
    api = world.admin
    seen = "object.metadata.?annotations['seen'].orValue('')"
    add = "Object{metadata: Object.metadata{annotations: {'seen': " + seen + " + 'NAME '}}}"
    first = mutation("a", add.replace("NAME", "first"), again=again,
                     matchConditions=[{"name": "c", "expression": "true"}])  # fmt: skip
    await bind_mutation(api, first)
    if again == "IfNeeded":
        await bind_mutation(api, mutation("b", add.replace("NAME", "second")))
    made = (await api.post(CM, config_map("a"))).ok(201)
    assert made["metadata"]["annotations"]["seen"] == wanted


async def test_parameters_of_mutations(world: World) -> None:
    api = world.admin
    await define(api, definition(scope="Cluster"))
    path = "/apis/example.com/v1/widgets"
    (await api.post(path, widget("w", colour="red"))).ok(201)
    made = mutation("m", "Object{data: {'colour': params.spec.colour}}",
                    paramKind={"apiVersion": "example.com/v1", "kind": "Widget"})  # fmt: skip
    await bind_mutation(api, made, paramRef={"name": "w", "parameterNotFoundAction": "Deny"})
    refused = await api.post(CM, config_map("a"))
    assert refused.code == 201, refused.message
    assert refused.json["data"] == {"colour": "red"}
    (await api.delete(f"{path}/w")).ok()
    refused = await api.post(CM, config_map("b"))
    assert (refused.code, refused.reason) == (403, "Forbidden")
    assert refused.message == (
        "policy 'm' with binding 'b-m' denied request: failed to configure binding: no params found for policy binding "
        "with `Deny` parameterNotFoundAction"
    )


async def test_custom_resources_are_changed(world: World) -> None:
    api = world.admin
    schema = {"type": "object", "properties": {"size": {"type": "integer"}, "tags": {
        "type": "array", "x-kubernetes-list-type": "set", "items": {"type": "string"}}}}  # fmt: skip
    await define(api, definition(version(schema=schema)))
    await bind_mutation(api, mutation("m", "Object{spec: Object.spec{size: 7, tags: ['b']}}",
                                      rules=[rule("widgets", groups=("example.com",))]))  # fmt: skip
    made = (await api.post(WIDGETS, widget("a", size=1, tags=["a"]))).ok(201)
    assert made["spec"] == {"size": 7, "tags": ["a", "b"]}


async def test_what_is_changed_is_validated(world: World) -> None:
    """Mutating policies come before validating ones."""
    api = world.admin
    await bind_mutation(api, mutation("m", "Object{data: {'added': 'x'}}"))
    await bound(api, policy("p", "!has(object.data.added)"))
    denied(await api.post(CM, config_map("a", k="v")), "failed expression: !has(object.data.added)")


@pytest.mark.conformance("MutatingAdmissionPolicy API")
@pytest.mark.conformance("MutatingAdmissionPolicyBinding API")
@pytest.mark.parametrize("kind", ["mutatingadmissionpolicy", "mutatingadmissionpolicybinding"])
async def test_every_operation_on_them(world: World, kind: str) -> None:
    found = (await world.admin.get(ROOT)).ok()["resources"]
    plural = f"{kind[:-1]}ies" if kind.endswith("y") else f"{kind}s"
    (resource,) = [each for each in found if each["name"] == plural]
    assert {"create", "get", "list", "watch", "update", "patch", "delete", "deletecollection"} <= set(resource["verbs"])
    await operations(world.admin, example(kind))


async def test_authorizers_are_asked_from_beside_the_loop(world: World) -> None:
    """An expression that takes long goes to a thread; what it asks is still answered, and by the same rules."""
    numbers = ", ".join(map(str, range(30)))
    long = f"[{numbers}].all(a, [{numbers}].all(b, [{numbers}].exists(c, c == a || c == b)))"
    check = "authorizer.group('').resource('secrets').namespace('default').check('get')"
    await bound(world.admin, policy("p", {
        "expression": f"{long} && {check}.allowed() == (request.userInfo.username == 'admin')",
        "messageExpression": "'asked: ' + request.userInfo.username",
    }))  # fmt: skip
    (await world.admin.post(CM, config_map("a"))).ok(201)


async def test_an_authorizer_that_has_to_be_waited_for(world: World) -> None:
    plugin = next(each for each in world.server.parts.admission.plugins if isinstance(each, ValidatingAdmissionPolicy))

    async def ask(user: User, info: RequestInfo) -> Decision:
        await REAL.sleep(0.01)
        return Decision(info.verb == "get", "after a while")

    plugin.evaluator._ask = ask
    check = "authorizer.group('').resource('pods').check('{}')"
    await bound(world.admin, policy("p", check.format("get") + ".allowed()",
                                    check.format("get") + ".reason() == 'after a while'",
                                    "!" + check.format("list") + ".allowed()"))  # fmt: skip
    (await world.admin.post(CM, config_map("a"))).ok(201)
