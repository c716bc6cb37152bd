"""Custom resources: from a definition to objects that behave as built-in ones do."""

from typing import Any

import pytest
from tests.server.definitions import CRDS, WIDGETS, define, definition, until, version, widget
from tests.server.world import TABLE, Api, World

from kaa.base.clock import REAL

Json = dict[str, Any]

SIZED = {
    "type": "object",
    "required": ["size"],
    "properties": {
        "size": {"type": "integer", "minimum": 1, "maximum": 10},
        "color": {"type": "string", "enum": ["red", "green"], "default": "red"},
        "port": {"x-kubernetes-int-or-string": True},
        "note": {"type": "string", "nullable": True, "maxLength": 5},
        "parts": {
            "type": "array",
            "x-kubernetes-list-type": "map",
            "x-kubernetes-list-map-keys": ["name"],
            "items": {
                "type": "object",
                "required": ["name"],
                "properties": {"name": {"type": "string"}, "count": {"type": "integer", "default": 1}},
            },
        },
        "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
        "labels": {"type": "object", "additionalProperties": {"type": "string", "pattern": "^[a-z]+$"}},
        "inner": {
            "type": "object",
            "x-kubernetes-embedded-resource": True,
            "x-kubernetes-preserve-unknown-fields": True,
        },
    },
}


@pytest.mark.conformance("Custom Resource Definition, create")
async def test_a_definition_is_established_at_once_and_served(both: World) -> None:
    api = both.admin
    before = REAL.monotonic()
    found = await define(api, definition())
    assert REAL.monotonic() - before < 1.0
    assert found["status"]["acceptedNames"] == {
        "plural": "widgets", "singular": "widget", "kind": "Widget", "listKind": "WidgetList"}  # fmt: skip
    assert found["status"]["storedVersions"] == ["v1"]
    conditions = {
        each["type"]: (each["status"], each["reason"], each["message"]) for each in found["status"]["conditions"]
    }
    assert conditions == {
        "NamesAccepted": ("True", "NoConflicts", "no conflicts found"),
        "Established": ("True", "InitialNamesAccepted", "the initial names have been accepted"),
    }
    made = (await api.post(WIDGETS, widget("a", any={"thing": [1, "two"]}))).ok(201)
    assert made["spec"] == {"any": {"thing": [1, "two"]}}
    assert made["metadata"]["generation"] == 1
    listed = (await api.get(WIDGETS)).ok()
    assert (listed["kind"], listed["apiVersion"]) == ("WidgetList", "example.com/v1")
    assert [each["metadata"]["name"] for each in listed["items"]] == ["a"]
    merged = (await api.merge(f"{WIDGETS}/a", {"spec": {"any": None, "size": 3}})).ok()
    assert merged["spec"] == {"size": 3}
    assert merged["metadata"]["generation"] == 2
    gone = (await api.delete(f"{WIDGETS}/a")).ok()
    assert gone["status"] == "Success"
    assert gone["details"] == {"name": "a", "group": "example.com", "kind": "widgets", "uid": made["metadata"]["uid"]}


@pytest.mark.conformance("Custom Resource Definition, defaulting")
async def test_defaults_and_pruning(api: Api) -> None:
    await define(api, definition(version(schema=SIZED)))
    sent = widget("a", size=2, unknown=1, port="http", parts=[{"name": "x", "odd": 1}], free={"any": {"thing": 1}},
                  inner={"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": {"x": 1}},
                  note=None)  # fmt: skip
    answer = await api.post(WIDGETS, sent)
    made = answer.ok(201)
    assert made["spec"] == {
        "size": 2, "color": "red", "port": "http", "parts": [{"name": "x", "count": 1}],
        "free": {"any": {"thing": 1}}, "note": None,
        "inner": {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": {"x": 1}},
    }  # fmt: skip
    assert '299 - "unknown field \\"spec.parts[0].odd\\""' in answer.headers["warning"]
    assert '299 - "unknown field \\"spec.unknown\\""' in answer.headers["warning"]
    strict = await api.post(f"{WIDGETS}?fieldValidation=Strict", widget("b", size=2, unknown=1))
    assert (strict.code, strict.reason) == (400, "BadRequest")
    assert strict.message.endswith('strict decoding error: unknown field "spec.unknown"')


WRONG: list[tuple[Json, list[str]]] = [
    ({"size": "big"}, ['spec.size: Invalid value: "string": spec.size in body must be of type integer: "string"']),
    ({"size": True}, ['spec.size: Invalid value: "boolean": spec.size in body must be of type integer: "boolean"']),
    ({"size": 0}, ["spec.size: Invalid value: 0: spec.size in body should be greater than or equal to 1"]),
    ({"size": 11}, ["spec.size: Invalid value: 11: spec.size in body should be less than or equal to 10"]),
    ({}, ["spec.size: Required value"]),
    ({"size": 1, "color": "blue"}, ['spec.color: Unsupported value: "blue": supported values: "red", "green"']),
    ({"size": 1, "port": 1.5}, ['spec.port: Invalid value: "number": spec.port in body must be of type '
                                'integer,string: "number"']),
    ({"size": 1, "note": "too long"}, ["spec.note: Too long: may not be more than 5 bytes"]),
    ({"size": 1, "parts": [{"name": "x"}, {"name": "x"}]}, ['spec.parts[1]: Duplicate value: {"name":"x"}']),
    ({"size": 1, "labels": {"a": "B"}}, ["spec.labels.a: Invalid value: \"B\": spec.labels.a in body should match "
                                         "'^[a-z]+$'"]),
    ({"size": 0, "color": "blue"}, [
        "spec.size: Invalid value: 0: spec.size in body should be greater than or equal to 1",
        'spec.color: Unsupported value: "blue": supported values: "red", "green"']),
]  # fmt: skip


@pytest.mark.parametrize(("spec", "wrong"), WRONG)
async def test_values_are_validated_in_the_words_of_the_original(api: Api, spec: Json, wrong: list[str]) -> None:
    await define(api, definition(version(schema=SIZED)))
    answer = await api.post(WIDGETS, widget("a", **spec))
    assert (answer.code, answer.reason) == (422, "Invalid")
    listed = wrong[0] if len(wrong) == 1 else f"[{', '.join(wrong)}]"
    assert answer.message == f'Widget.example.com "a" is invalid: {listed}'
    details = answer.json["details"]
    assert (details["name"], details["group"], details["kind"]) == ("a", "example.com", "Widget")


async def test_what_a_stricter_schema_finds_is_forgiven_where_it_did_not_change(api: Api) -> None:
    crd = await define(api, definition(version(schema={"type": "object", "properties": {
        "size": {"type": "integer"}, "color": {"type": "string"}}})))  # fmt: skip
    (await api.post(WIDGETS, widget("a", size=50, color="blue"))).ok(201)
    properties = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]
    properties["size"]["maximum"] = 10
    crd.pop("status")
    (await api.put(f"{CRDS}/{crd['metadata']['name']}", crd)).ok()
    (await api.merge(f"{WIDGETS}/a", {"spec": {"color": "red"}})).ok()
    refused = await api.merge(f"{WIDGETS}/a", {"spec": {"size": 51}})
    assert refused.message.endswith(
        "spec.size: Invalid value: 51: spec.size in body should be less than or equal to 10"
    )


async def test_status_and_scale(api: Api) -> None:
    scale = {"specReplicasPath": ".spec.replicas", "statusReplicasPath": ".status.replicas",
             "labelSelectorPath": ".status.selector"}  # fmt: skip
    await define(api, definition(version(subresources={"status": {}, "scale": scale})))
    made = (await api.post(WIDGETS, {**widget("a", replicas=2), "status": {"replicas": 9}})).ok(201)
    assert "status" not in made
    changed = (await api.merge(f"{WIDGETS}/a/status", {"status": {"replicas": 1, "selector": "app=a"},
                                                       "spec": {"replicas": 7}})).ok()  # fmt: skip
    assert changed["spec"] == {"replicas": 2}
    assert changed["metadata"]["generation"] == 1
    found = (await api.get(f"{WIDGETS}/a/scale")).ok()
    assert (found["kind"], found["apiVersion"]) == ("Scale", "autoscaling/v1")
    assert found["spec"] == {"replicas": 2}
    assert found["status"] == {"replicas": 1, "selector": "app=a"}
    (await api.merge(f"{WIDGETS}/a/scale", {"spec": {"replicas": 5}})).ok()
    after = (await api.get(f"{WIDGETS}/a")).ok()
    assert after["spec"]["replicas"] == 5
    assert after["metadata"]["generation"] == 2
    assert after["status"] == {"replicas": 1, "selector": "app=a"}


async def test_columns_and_selectable_fields(api: Api) -> None:
    columns = [
        {"name": "Size", "type": "integer", "jsonPath": ".spec.size", "description": "How big"},
        {"name": "Ready", "type": "string", "jsonPath": '.status.conditions[?(@.type=="Ready")].status'},
        {"name": "Made", "type": "date", "jsonPath": ".metadata.creationTimestamp", "priority": 1},
    ]
    fields = [{"jsonPath": ".spec.color"}, {"jsonPath": ".spec.size"}]
    crd = definition(version(schema=SIZED, additionalPrinterColumns=columns, selectableFields=fields))
    await define(api, crd)
    for name, size, color in (("a", 1, "red"), ("b", 2, "green"), ("c", 2, "red")):
        (await api.post(WIDGETS, widget(name, size=size, color=color))).ok(201)
    status = {"status": {"conditions": [{"type": "Other", "status": "No"}, {"type": "Ready", "status": "True"}]}}
    (await api.merge(f"{WIDGETS}/b", status)).ok()
    table = (await api.get(WIDGETS, accept=TABLE)).ok()
    assert [(each["name"], each["type"], each["priority"]) for each in table["columnDefinitions"]] == [
        ("Name", "string", 0), ("Size", "integer", 0), ("Ready", "string", 0), ("Made", "date", 1)]  # fmt: skip
    assert [row["cells"][:3] for row in table["rows"]] == [["a", 1, None], ["b", 2, "True"], ["c", 2, None]]
    assert (await api.get(WIDGETS, fieldSelector="spec.color=red")).names == ["a", "c"]
    assert (await api.get(WIDGETS, fieldSelector="spec.size=2,spec.color!=red")).names == ["b"]
    wrong = await api.get(WIDGETS, fieldSelector="spec.port=1")
    assert wrong.code == 400
    assert "field label not supported: spec.port" in wrong.message


@pytest.mark.conformance("Custom Resource Definition, list", "Custom Resource Definition, watch")
async def test_lists_watches_and_applies(api: Api) -> None:
    await define(api, definition(version(schema=SIZED)))
    listed = (await api.get(CRDS)).ok()
    assert [each["metadata"]["name"] for each in listed["items"]] == ["widgets.example.com"]
    async with await api.watch(WIDGETS, resourceVersion="0") as watching:
        (await api.apply(f"{WIDGETS}/a", widget("a", size=1, parts=[{"name": "x", "count": 2}]))).ok(201)
        event = await watching.next()
        assert (event["type"], event["object"]["spec"]["size"]) == ("ADDED", 1)
        (await api.apply(f"{WIDGETS}/a", widget("a", size=1, parts=[{"name": "y"}]), manager="other")).ok()
        event = await watching.next()
        assert [each["name"] for each in event["object"]["spec"]["parts"]] == ["x", "y"]
        (await api.apply(f"{WIDGETS}/a", widget("a", size=1))).ok()
        event = await watching.next()
        assert [each["name"] for each in event["object"]["spec"]["parts"]] == ["y"]
        clash = await api.apply(f"{WIDGETS}/a", widget("a", size=2), manager="other")
        assert clash.code == 409
        assert clash.message == 'Apply failed with 1 conflict: conflict with "tester": .spec.size'
        (await api.delete(f"{WIDGETS}/a")).ok()
        assert (await watching.next())["type"] == "DELETED"


async def test_strategic_merge_is_not_for_custom_kinds(api: Api) -> None:
    await define(api, definition())
    (await api.post(WIDGETS, widget("a"))).ok(201)
    answer = await api.ask("PATCH", f"{WIDGETS}/a", {"spec": {}}, media="application/strategic-merge-patch+json")
    assert (answer.code, answer.reason) == (415, "UnsupportedMediaType")


async def test_versions_that_differ_in_name(both: World) -> None:
    api = both.admin
    crd = await define(api, definition(version("v1"), version("v1beta1", deprecated=True), version("v2")))
    (await api.post(WIDGETS, widget("a", size=1))).ok(201)
    old = await api.get("/apis/example.com/v1beta1/namespaces/default/widgets/a")
    assert old.ok()["apiVersion"] == "example.com/v1beta1"
    assert old.headers["warning"] == '299 - "example.com/v1beta1 Widget is deprecated"'
    listed = (await api.get("/apis/example.com/v2/namespaces/default/widgets")).ok()
    assert [each["apiVersion"] for each in listed["items"]] == ["example.com/v2"]
    (await api.merge("/apis/example.com/v2/namespaces/default/widgets/a", {"spec": {"size": 2}})).ok()
    again = (await api.get(f"{WIDGETS}/a")).ok()
    assert (again["apiVersion"], again["spec"]) == ("example.com/v1", {"size": 2})
    group = (await api.get("/apis/example.com")).ok()
    assert [each["version"] for each in group["versions"]] == ["v2", "v1", "v1beta1"]
    # Another version becomes the one that is stored; what is there stays readable in every version.
    for each in crd["spec"]["versions"]:
        each["storage"] = each["name"] == "v2"
    crd.pop("status")
    changed = (await api.put(f"{CRDS}/widgets.example.com", crd)).ok()
    assert changed["status"]["storedVersions"] == ["v1", "v2"]
    (await api.post(WIDGETS, widget("b", size=3))).ok(201)
    for path in ("v1", "v2", "v1beta1"):
        listed = (await api.get(f"/apis/example.com/{path}/namespaces/default/widgets")).ok()
        assert [(each["apiVersion"], each["spec"]["size"]) for each in listed["items"]] == [
            (f"example.com/{path}", 2), (f"example.com/{path}", 3)]  # fmt: skip
    # A version that still has objects may not leave storedVersions' list of versions.
    crd["spec"]["versions"] = [each for each in crd["spec"]["versions"] if each["name"] != "v1"]
    crd["metadata"].pop("resourceVersion")
    refused = await api.put(f"{CRDS}/widgets.example.com", {**crd, "metadata": {"name": "widgets.example.com"}})
    assert refused.code == 422, refused.message


async def test_names_belong_to_who_came_first(api: Api) -> None:
    await define(api, definition(names={"shortNames": ["wd"]}))
    second = definition(names={"plural": "gadgets", "singular": "widget", "kind": "Gadget", "listKind": "GadgetList",
                               "shortNames": ["wd"]})  # fmt: skip
    second["metadata"]["name"] = "gadgets.example.com"
    (await api.post(CRDS, second)).ok(201)
    found = await until(api, "gadgets.example.com", "Established", "False")
    conditions = {
        each["type"]: (each["status"], each["reason"], each["message"]) for each in found["status"]["conditions"]
    }
    assert conditions["NamesAccepted"] == ("False", "ShortNamesConflict", '"wd" is already in use')
    assert conditions["Established"] == ("False", "NotAccepted", "not all names are accepted")
    assert (await api.get("/apis/example.com/v1/gadgets")).code == 404
    (await api.delete(f"{CRDS}/widgets.example.com")).ok()
    await until(api, "gadgets.example.com", "Established", "True")
    assert (await api.get("/apis/example.com/v1/gadgets")).ok()["kind"] == "GadgetList"
    assert (await api.get("/apis/example.com/v1/widgets")).code == 404


@pytest.mark.conformance("Custom Resource Definition, discovery")
async def test_discovery_follows(api: Api) -> None:
    await define(
        api, definition(version(subresources={"status": {}}), names={"shortNames": ["wd"], "categories": ["all"]})
    )
    groups = (await api.get("/apis")).ok()["groups"]
    assert groups[-1]["name"] == "example.com"
    resources = (await api.get("/apis/example.com/v1")).ok()["resources"]
    assert [each["name"] for each in resources] == ["widgets", "widgets/status"]
    assert resources[0]["shortNames"] == ["wd"]
    assert resources[0]["categories"] == ["all"]
    assert sorted(resources[1]["verbs"]) == ["get", "patch", "update"]
    crds = (await api.get("/apis/apiextensions.k8s.io/v1")).ok()["resources"]
    assert crds[0]["name"] == "customresourcedefinitions"
    (await api.delete(f"{CRDS}/widgets.example.com")).ok()
    for _ in range(200):
        if (await api.get("/apis/example.com/v1")).code == 404:
            break
        await REAL.sleep(0.005)
    assert [each["name"] for each in (await api.get("/apis")).ok()["groups"]].count("example.com") == 0


async def test_a_definition_goes_with_its_objects(both: World) -> None:
    api = both.admin
    await define(api, definition())
    held = widget("held")
    held["metadata"]["finalizers"] = ["example.com/hold"]
    (await api.post(WIDGETS, held)).ok(201)
    (await api.post(WIDGETS, widget("free"))).ok(201)
    going = (await api.delete(f"{CRDS}/widgets.example.com")).ok()
    assert going["metadata"]["finalizers"] == ["customresourcecleanup.apiextensions.k8s.io"]
    found = await until(api, "widgets.example.com", "Terminating", "True")
    for _ in range(200):
        found = (await api.get(f"{CRDS}/widgets.example.com")).ok()
        reasons = {each["type"]: each["reason"] for each in found["status"]["conditions"]}
        if (await api.get(WIDGETS)).names == ["held"] and reasons["Terminating"] == "InstanceDeletionInProgress":
            break
        await REAL.sleep(0.005)
    assert reasons["Terminating"] == "InstanceDeletionInProgress"
    refused = await api.post(WIDGETS, widget("new"))
    assert (refused.code, refused.reason) == (405, "MethodNotAllowed")
    (await api.merge(f"{WIDGETS}/held", {"metadata": {"finalizers": None}})).ok()
    for _ in range(400):
        if (await api.get(f"{CRDS}/widgets.example.com")).code == 404:
            break
        await REAL.sleep(0.005)
    assert (await api.get(f"{CRDS}/widgets.example.com")).code == 404
    assert (await api.get(WIDGETS)).code == 404
    await define(api, definition())
    assert (await api.get(WIDGETS)).names == []


async def test_cluster_scoped(api: Api) -> None:
    await define(api, definition(scope="Cluster"))
    (await api.post("/apis/example.com/v1/widgets", widget("a"))).ok(201)
    assert (await api.get("/apis/example.com/v1/widgets")).names == ["a"]
    assert (await api.get(WIDGETS)).code == 404


DEFINITIONS: list[tuple[Json, str]] = [
    ({"spec": {"group": "example"}}, 'spec.group: Invalid value: "example": should be a domain with at least one dot'),
    ({"metadata": {"name": "x.example.com"}}, 'metadata.name: Invalid value: "x.example.com": must be '
     'spec.names.plural+"."+spec.group'),
    ({"spec": {"scope": "Everywhere"}}, 'spec.scope: Unsupported value: "Everywhere": supported values: "Cluster", '
     '"Namespaced"'),
    ({"spec": {"versions": [version("v1"), version("v1")]}}, "must contain unique version names"),
    ({"spec": {"versions": [version("v2")]}}, "must have exactly one version marked as storage version"),
    ({"spec": {"versions": [{"name": "v1", "served": True, "storage": True}]}},
     "spec.versions[0].schema.openAPIV3Schema: Required value: schemas are required"),
    ({"spec": {"versions": [version(schema={})]}},
     "spec.validation.openAPIV3Schema.properties[spec].type: Required value: must not be empty for specified object "
     "fields"),
    ({"spec": {"versions": [version(schema={"type": "array"})]}},
     "spec.validation.openAPIV3Schema.properties[spec].items: Required value: must be specified"),
    ({"spec": {"versions": [version(schema={"type": "object", "properties": {"a": {"$ref": "#/x"}}})]}},
     "spec.validation.openAPIV3Schema.properties[spec].properties[a].$ref: Forbidden: $ref is not supported"),
    ({"spec": {"versions": [version(schema={"type": "object", "properties": {
        "a": {"type": "string", "default": 1}}})]}},
     'spec.validation.openAPIV3Schema.properties[spec].properties[a].default: Invalid value: "integer":  in body must '
     'be of type string: "integer"'),
    ({"spec": {"versions": [version(schema={"type": "string", "pattern": "("})]}},
     "must be a valid regular expression, but isn't: error parsing regexp: missing closing ): `(`"),
    ({"spec": {"preserveUnknownFields": True}}, "spec.preserveUnknownFields: Invalid value: true: cannot set to true, "
     "set x-kubernetes-preserve-unknown-fields to true in spec.versions[*].schema instead"),
    ({"spec": {"versions": [version(subresources={"scale": {"specReplicasPath": ".metadata.x"}})]}},
     'spec.subresources.scale.specReplicasPath: Invalid value: ".metadata.x": should be a json path under .spec'),
    ({"spec": {"versions": [version(additionalPrinterColumns=[{"name": "A", "type": "text", "jsonPath": ".a"}])]}},
     'spec.additionalPrinterColumns[0].type: Invalid value: "text": must be one of boolean,date,integer,number,string'),
    ({"spec": {"conversion": {"strategy": "Webhook"}}},
     "[spec.conversion.webhookClientConfig: Required value: required when strategy is set to Webhook, "
     "spec.conversion.conversionReviewVersions: Required value]"),
]  # fmt: skip


@pytest.mark.parametrize(("change", "wrong"), DEFINITIONS)
async def test_definitions_are_validated(api: Api, change: Json, wrong: str) -> None:
    crd = definition()
    crd["metadata"].update(change.get("metadata", {}))
    crd["spec"].update(change.get("spec", {}))
    if "group" in change.get("spec", {}):
        crd["metadata"]["name"] = f"widgets.{crd['spec']['group']}"
    answer = await api.post(CRDS, crd)
    assert answer.code == 422, answer.message
    assert wrong in answer.message


RULED = {
    "type": "object",
    "x-kubernetes-validations": [
        {"rule": "self.low <= self.high", "messageExpression": "'low (%d) is over high'.format([self.low])"},
        {"rule": "!has(oldSelf.fixed) || has(self.fixed)", "message": "fixed may not be taken away",
         "reason": "FieldValueForbidden", "fieldPath": ".fixed"},
    ],
    "properties": {
        "low": {"type": "integer"},
        "high": {"type": "integer", "default": 10},
        "fixed": {"type": "string", "x-kubernetes-validations": [
            {"rule": "self == oldSelf", "message": "fixed is immutable"}]},
        "name": {"type": "string", "maxLength": 20, "x-kubernetes-validations": [
            {"rule": "self.startsWith('w-')"}]},
        "first": {"type": "string", "x-kubernetes-validations": [
            {"rule": "oldSelf.hasValue() || self == 'new'", "optionalOldSelf": True, "message": "begins as new"}]},
        "parts": {"type": "array", "maxItems": 5, "x-kubernetes-list-type": "map",
                  "x-kubernetes-list-map-keys": ["name"], "items": {
                      "type": "object", "required": ["name"], "properties": {
                          "name": {"type": "string", "maxLength": 10}, "count": {"type": "integer"}},
                      "x-kubernetes-validations": [
                          {"rule": "!has(oldSelf.count) || self.count >= oldSelf.count", "message": "may only grow"}]}},
    },
}  # fmt: skip


async def test_rules(api: Api) -> None:
    await define(api, definition(version(schema=RULED)))
    refused = await api.post(WIDGETS, widget("a", low=11))
    assert refused.message == 'Widget.example.com "a" is invalid: spec: Invalid value: "object": low (11) is over high'
    refused = await api.post(WIDGETS, widget("a", low=1, name="x", first="old"))
    assert refused.message == (
        'Widget.example.com "a" is invalid: [spec.name: Invalid value: "string": failed rule: '
        "self.startsWith('w-'), spec.first: Invalid value: \"string\": begins as new]"
    )
    sent = widget("a", low=1, fixed="x", name="w-1", first="new", parts=[{"name": "p", "count": 2}])
    (await api.post(WIDGETS, sent)).ok(201)
    refused = await api.merge(f"{WIDGETS}/a", {"spec": {"fixed": "y", "first": "old", "parts": [
        {"name": "q", "count": 1}, {"name": "p", "count": 1}]}})  # fmt: skip
    assert refused.message == (
        'Widget.example.com "a" is invalid: [spec.fixed: Invalid value: "string": fixed is immutable, '
        'spec.parts[1]: Invalid value: "object": may only grow]'
    )
    refused = await api.merge(f"{WIDGETS}/a", {"spec": {"fixed": None}})
    assert refused.message == ('Widget.example.com "a" is invalid: spec.fixed: Forbidden: fixed may not be taken away')
    (await api.merge(f"{WIDGETS}/a", {"spec": {"first": "later", "parts": [{"name": "p", "count": 3}]}})).ok()


BAD_RULES: list[tuple[Json, str]] = [
    ({"rule": "self.nothing == 1"}, "undefined field 'nothing'"),
    ({"rule": "self.low"}, "must evaluate to bool"),
    ({"rule": ""}, "rule: Required value: rule is not specified"),
    ({"rule": "true", "message": "a\nb"}, "message must not contain line breaks"),
    (
        {"rule": "true", "fieldPath": ".nothing"},
        '.fieldPath: Invalid value: ".nothing": fieldPath must be a valid path',
    ),
    ({"rule": "true", "reason": "Whatever"}, 'Unsupported value: "Whatever": supported values: "FieldValueDuplicate"'),
    ({"rule": "self.free.all(x, self.free.all(y, x == y))"}, "estimated rule cost exceeds budget by factor of"),
]


@pytest.mark.parametrize(("rule", "wrong"), BAD_RULES)
async def test_rules_that_cannot_be(api: Api, rule: Json, wrong: str) -> None:
    schema = {"type": "object", "x-kubernetes-validations": [rule], "properties": {
        "low": {"type": "integer"}, "free": {"type": "array", "items": {"type": "string"}}}}  # fmt: skip
    answer = await api.post(CRDS, definition(version(schema=schema)))
    assert answer.code == 422, answer.message
    assert "spec.validation.openAPIV3Schema.properties[spec].x-kubernetes-validations[0]." in answer.message
    assert wrong in answer.message


async def test_a_rule_that_would_run_for_ever_is_stopped(api: Api) -> None:
    schema = {"type": "object", "properties": {"words": {
        "type": "array", "maxItems": 400, "items": {"type": "string", "maxLength": 4},
        "x-kubernetes-validations": [{"rule": "self.all(a, self.all(b, a + b != 'zzzz'))"}]}}}  # fmt: skip
    await define(api, definition(version(schema=schema)))
    before = REAL.monotonic()
    answer = await api.post(WIDGETS, widget("a", words=["abcd"] * 400))
    assert REAL.monotonic() - before < 5
    assert answer.code == 422
    assert "no further validation rules will be run due to call cost exceeds limit" in answer.message


async def test_a_definition_that_was_never_established_goes_at_once(api: Api) -> None:
    await define(api, definition(names={"shortNames": ["wd"]}))
    second = definition(kind="Gadget", names={"shortNames": ["wd"]})
    made = await api.post(CRDS, second)
    assert made.ok(201)["status"]["storedVersions"] == ["v1"]
    assert "warning" not in made.headers
    await until(api, "gadgets.example.com", "Established", "False")
    async with await api.watch(
        CRDS, fieldSelector="metadata.name=gadgets.example.com", resourceVersion="0"
    ) as watching:
        await watching.next()
        (await api.delete(f"{CRDS}/gadgets.example.com")).ok()
        reasons = []
        while (event := await watching.next())["type"] != "DELETED":
            conditions = event["object"]["status"]["conditions"]
            reasons += [each["reason"] for each in conditions if each["type"] == "Terminating"]
        assert reasons[0] == "InstanceDeletionPending"
        assert reasons[-1] == "NeverEstablished"


async def test_objects_of_a_version_that_is_no_longer_served_go_too(api: Api) -> None:
    crd = await define(api, definition(version("v1"), version("v2")))
    (await api.post(WIDGETS, widget("a"))).ok(201)
    for each in crd["spec"]["versions"]:
        each["served"] = False
    (await api.put(f"{CRDS}/widgets.example.com", crd)).ok()
    assert (await api.get(WIDGETS)).code == 404
    (await api.delete(f"{CRDS}/widgets.example.com")).ok()
    for _ in range(400):
        if (await api.get(f"{CRDS}/widgets.example.com")).code == 404:
            break
        await REAL.sleep(0.005)
    await define(api, definition())
    assert (await api.get(WIDGETS)).names == []


async def test_what_may_change_of_a_definition(api: Api) -> None:
    crd = await define(api, definition())
    for change, field in (({"scope": "Cluster"}, "spec.scope"), ({"group": "other.com"}, "spec.group")):
        refused = await api.put(f"{CRDS}/widgets.example.com", {**crd, "spec": {**crd["spec"], **change}})
        assert refused.code == 422
        assert f"{field}: Invalid value: " in refused.message
        assert "field is immutable" in refused.message
    named = {**crd["spec"]["names"], "shortNames": ["wd"], "kind": "Other"}
    refused = await api.put(f"{CRDS}/widgets.example.com", {**crd, "spec": {**crd["spec"], "names": named}})
    assert 'spec.names.kind: Invalid value: "Other": field is immutable' in refused.message
    # Short names may come later; clients do not say what the server has observed.
    named["kind"] = "Widget"
    (await api.put(f"{CRDS}/widgets.example.com", {**crd, "spec": {**crd["spec"], "names": named}})).ok()
    for _ in range(200):
        if (await api.get("/apis/example.com/v1")).ok()["resources"][0].get("shortNames"):
            break
        await REAL.sleep(0.005)
    assert (await api.get("/apis/example.com/v1")).ok()["resources"][0]["shortNames"] == ["wd"]
    status = (await api.merge(f"{CRDS}/widgets.example.com/status", {"status": {"observedGeneration": 7}})).ok()[
        "status"
    ]
    assert "observedGeneration" not in status


async def test_a_custom_object_is_scaled_before_it_says_how_many(api: Api) -> None:
    scale = {"specReplicasPath": ".spec.replicas", "statusReplicasPath": ".status.replicas"}
    await define(api, definition(version(subresources={"scale": scale})))
    (await api.post(WIDGETS, widget("a", size=1))).ok(201)
    found = await api.get(f"{WIDGETS}/a/scale")
    assert (found.code, found.message) == (
        500, 'Internal error occurred: the spec replicas field ".spec.replicas" does not exist')  # fmt: skip
    refused = await api.merge(f"{WIDGETS}/a/scale", {"metadata": {"labels": {"x": "y"}}})
    assert (refused.code, refused.message) == (400, 'the spec replicas field ".spec.replicas" cannot be empty')
    assert (await api.merge(f"{WIDGETS}/a/scale", {"spec": {"replicas": 3}})).ok()["spec"] == {"replicas": 3}
    assert (await api.get(f"{WIDGETS}/a")).ok()["spec"] == {"size": 1, "replicas": 3}
