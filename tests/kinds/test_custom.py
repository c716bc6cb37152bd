"""Custom kinds without a server: what is wrong with definitions, and with objects of them. The cases and the wording
are those of the original's own tests of its validation."""

# ruff: noqa: E501 - the sentences are long, and easier to compare in one piece

from typing import Any

import pytest

from kaa.kinds.custom.kind import CustomKind
from kaa.kinds.registry import builtin

Json = dict[str, Any]

SPEC = builtin().get("apiextensions.k8s.io", "v1", "customresourcedefinitions")
HERE = "spec.validation.openAPIV3Schema.properties[spec]"


def define(schema: Json | None, *, group: str = "example.com", annotations: Json | None = None, version: Json | None = None,
           **spec: Any) -> Json:  # fmt: skip
    """A definition whose objects have `schema` as their spec."""
    root = {"type": "object", "properties": {"spec": schema}} if schema is not None else {"type": "object"}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"widgets.{group}", "annotations": annotations or {}, "uid": "1"},
        "spec": {
            "group": group,
            "scope": "Namespaced",
            "names": {"kind": "Widget", "plural": "widgets"},
            "versions": [{"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": root},
                          **(version or {})}],
            **spec,
        },
    }  # fmt: skip


def refused(crd: Json) -> list[str]:
    """What is wrong with a definition."""
    assert SPEC is not None
    SPEC.default(crd)
    SPEC.prepare_create(crd)
    return [str(each) for each in SPEC.validate_create(crd)]


def of(**words: Any) -> Json:
    return {"type": "object", "properties": words}


def array(items: Json, **more: Any) -> Json:
    return {"type": "array", "items": items, **more}


TEXT, NUMBER = {"type": "string"}, {"type": "integer"}
LIST_TYPE, KEYS, MAP_TYPE = "x-kubernetes-list-type", "x-kubernetes-list-map-keys", "x-kubernetes-map-type"
EMBEDDED, OPEN, RULES = (
    "x-kubernetes-embedded-resource",
    "x-kubernetes-preserve-unknown-fields",
    "x-kubernetes-validations",
)

SCHEMAS: list[tuple[Json, list[str]]] = [
    (of(a={"type": "array"}), [".properties[a].items: Required value: must be specified"]),
    (of(a={}), [".properties[a].type: Required value: must not be empty for specified object fields"]),
    (of(a=array({})), [".properties[a].items.type: Required value: must not be empty for specified array items"]),
    (of(a={"type": "strange"}), ['.properties[a].type: Unsupported value: "strange": supported values: "array", '
                                 '"boolean", "integer", "number", "object", "string"']),
    (of(a={"type": "object", EMBEDDED: True}), [
        ".properties[a].properties: Required value: must not be empty if x-kubernetes-embedded-resource is true without "
        "x-kubernetes-preserve-unknown-fields"]),
    (of(a={"type": "string", EMBEDDED: True, OPEN: True}), [
        '.properties[a].type: Invalid value: "string": must be object if x-kubernetes-embedded-resource is true']),
    (of(a={"type": "string", "anyOf": [{"type": "string"}]}), [
        ".properties[a].anyOf[0].type: Forbidden: must be empty to be structural"]),
    (of(a={"x-kubernetes-int-or-string": True, "anyOf": [{"type": "integer"}, {"type": "string"}]}), []),
    (of(a={"type": "object", "allOf": [{"properties": {"b": {"minimum": 1}}}]}), [
        ".properties[a].properties[b]: Required value: because it is defined in "
        f"{HERE}.properties[a].allOf[0].properties[b]"]),
    (of(a={"type": "string", "nullable": True, "not": {"nullable": True, "description": "x"}}), [
        ".properties[a].not.description: Forbidden: must be empty to be structural",
        ".properties[a].not.nullable: Forbidden: must be false to be structural"]),
    (of(a={"type": "string", "pattern": "(?!x)"}), [
        '.properties[a].pattern: Invalid value: "(?!x)": must be a valid regular expression, but isn\'t: error parsing '
        "regexp: invalid or unsupported Perl syntax: `(?!`"]),
    (of(a=array(TEXT, uniqueItems=True)), [
        ".properties[a].uniqueItems: Forbidden: uniqueItems cannot be set to true since the runtime complexity becomes "
        "quadratic"]),
    (of(a={"type": "object", "properties": {"b": TEXT}, "additionalProperties": TEXT}), [
        ".properties[a].additionalProperties: Forbidden: additionalProperties and properties are mutual exclusive"]),
    (of(a=array(TEXT, **{LIST_TYPE: "bag"})), [
        '.properties[a].x-kubernetes-list-type: Unsupported value: "bag": supported values: "atomic", "set", "map"']),
    (of(a={"type": "object", LIST_TYPE: "set"}), [
        '.properties[a].type: Invalid value: "object": must be array if x-kubernetes-list-type is specified']),
    (of(a=array(of(b=TEXT), **{LIST_TYPE: "set"})), [
        '.properties[a].items.x-kubernetes-map-type: Invalid value: "null": must be atomic as item of a list with '
        "x-kubernetes-list-type=set"]),
    (of(a=array(TEXT, **{KEYS: ["b"]})), [
        ".properties[a].x-kubernetes-list-type: Required value: must be map if x-kubernetes-list-map-keys is non-empty"]),
    (of(a=array(of(b=TEXT), **{LIST_TYPE: "map"})), [
        ".properties[a].x-kubernetes-list-map-keys: Required value: must not be empty if x-kubernetes-list-type is map"]),
    (of(a=array(of(b=TEXT), **{LIST_TYPE: "map", KEYS: ["b", "c"]})), [
        '.properties[a].x-kubernetes-list-map-keys: Invalid value: ["b","c"]: entries must all be names of item '
        "properties",
        ".properties[a].items.properties[b].default: Required value: this property is in x-kubernetes-list-map-keys, so "
        "it must have a default or be a required property"]),
    (of(a=array({**of(b={**TEXT, "nullable": True}), "required": ["b"], "nullable": True},
                **{LIST_TYPE: "map", KEYS: ["b"]})), [
        ".properties[a].items.nullable: Forbidden: cannot be nullable when x-kubernetes-list-type is map",
        ".properties[a].items.properties[b].nullable: Forbidden: this property is in x-kubernetes-list-map-keys, so it "
        "cannot be nullable"]),
    (of(a={"type": "object", MAP_TYPE: "round"}), [
        '.properties[a].x-kubernetes-map-type: Unsupported value: "round": supported values: "atomic", "granular"']),
    (of(a={"type": "object", OPEN: False}), [
        ".properties[a].x-kubernetes-preserve-unknown-fields: Invalid value: false: must be true or undefined"]),
    # Defaults.
    (of(a={"type": "string", "default": 1}), [
        '.properties[a].default: Invalid value: "integer":  in body must be of type string: "integer"']),
    (of(a={**of(b=NUMBER), "default": {"b": 1, "c": 2}}), [
        '.properties[a].default: Invalid value: {"b":1,"c":2}: must not have unknown fields']),
    (of(a={**of(b={**NUMBER, "maximum": 5}), "required": ["c"], "default": {"b": 6}}), [
        ".properties[a].default.b: Invalid value: 6: b in body should be less than or equal to 5",
        ".properties[a].default.c: Required value"]),
    (of(a={"type": "string", "nullable": True, "default": None}), []),
    (of(a={"type": "object", EMBEDDED: True, OPEN: True, "default": {"kind": "A B"}}), [
        ".properties[a].default.apiVersion: Required value",
        '.properties[a].default.kind: Invalid value: "A B": may have mixed case, but should otherwise match: a DNS-1035 '
        "label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, and end "
        "with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is "
        "'[a-z]([-a-z0-9]*[a-z0-9])?')"]),
    (of(a={**of(metadata=of(name={"type": "string", "default": "a/b"}), kind=TEXT, apiVersion=TEXT), EMBEDDED: True}), [
        '.properties[a].properties[metadata].properties[name].default: Invalid value: "a/b": must result in valid '
        "metadata: metadata.name: Invalid value: \"a/b\": may not contain '/'"]),
    (of(a={"type": "integer", "default": 3, RULES: [{"rule": "self < 3"}]}), [
        '.properties[a].default: Invalid value: "integer": failed rule: self < 3']),
    # Rules.
    (of(a={**NUMBER, RULES: [{"rule": "self >"}]}), None),
    (of(a={**NUMBER, RULES: [{"rule": "true", "message": " "}]}), [
        '.properties[a].x-kubernetes-validations[0].message: Invalid value: " ": message must be non-empty if specified']),
    (of(a=array({**NUMBER, RULES: [{"rule": "self >= oldSelf"}]})), [
        '.properties[a].items.x-kubernetes-validations[0].rule: Invalid value: "self >= oldSelf": oldSelf cannot be used '
        f"on the uncorrelatable portion of the schema within {HERE}.properties[a]"]),
    (of(a={**NUMBER, RULES: [{"rule": "self > 1", "optionalOldSelf": True}]}), [
        ".properties[a].x-kubernetes-validations[0].optionalOldSelf: Invalid value: true: may not be set if oldSelf is "
        "not used in rule"]),
    (of(a={**NUMBER, RULES: [{"rule": "self > 1", "reason": "Odd", "fieldPath": ".x"}]}), [
        '.properties[a].x-kubernetes-validations[0].reason: Unsupported value: "Odd": supported values: '
        '"FieldValueDuplicate", "FieldValueForbidden", "FieldValueInvalid", "FieldValueRequired"',
        '.properties[a].x-kubernetes-validations[0].fieldPath: Invalid value: ".x": fieldPath must be a valid path']),
    # What a bounded list multiplies, an unbounded one takes from the size of a request.
    (of(a=array({**of(b=array(TEXT)), RULES: [{"rule": "self.b.all(x, x == 'a')"}]}, maxItems=1000)), None),
]  # fmt: skip


@pytest.mark.parametrize(("schema", "wrong"), SCHEMAS)
def test_schemas(schema: Json, wrong: list[str] | None) -> None:
    found = refused(define(schema))
    if wrong is None:
        assert len(found) >= 1
        return
    assert found == [HERE + each for each in wrong]


def test_a_rule_that_does_not_compile_is_shown_as_the_original_holds_it() -> None:
    found = refused(define(of(a={**NUMBER, RULES: [{"rule": "self.x == 1", "message": "m"}]})))
    assert found == [
        f"{HERE}.properties[a].x-kubernetes-validations[0].rule: Invalid value: "
        '{"Rule":"self.x == 1","Message":"m","MessageExpression":"","Reason":null,"FieldPath":"","OptionalOldSelf":null}: '
        "compilation failed: ERROR: <input>:1:5: type 'int' does not support field selection\n | self.x == 1\n | ....^"
    ]


def test_costs_multiply_by_what_bounds_them() -> None:
    rule = [{"rule": "self.matches('a')"}]
    bounded = of(a=array({"type": "string", "maxLength": 10, RULES: rule}, maxItems=10))
    assert refused(define(bounded)) == []
    # Without a bound above, it is how many of them fit in a request: the same for one level as for three.
    text = {"type": "string", "maxLength": 1000, RULES: rule}
    one, three = refused(define(of(a=array(text)))), refused(define(of(a=array(array(array(text))))))
    assert one[0].partition("rule: ")[2] == three[0].partition("rule: ")[2]
    assert "estimated rule cost exceeds budget by factor of" in one[0]
    assert one[-1] == three[-1]
    assert one[-1].startswith(
        "spec.validation.openAPIV3Schema: Forbidden: x-kubernetes-validations estimated rule cost "
    )


TOPS: list[tuple[Json, list[str]]] = [
    (define(TEXT, scope=""), ["spec.scope: Required value"]),
    (define(TEXT, version={"deprecationWarning": "x"}),
     ['spec.versions[0].deprecationWarning: Invalid value: "x": can only be set for deprecated versions']),
    (define(TEXT, version={"deprecated": True, "deprecationWarning": "a\tb"}),
     ['spec.versions[0].deprecationWarning: Invalid value: "a\\tb": must only contain printable UTF-8 characters; '
      "non-printable character found at index 1"]),
    (define(TEXT, version={"deprecated": True, "deprecationWarning": ""}),
     ['spec.versions[0].deprecationWarning: Invalid value: "": must not be an empty string']),
    (define(TEXT, version={"selectableFields": [{"jsonPath": ".spec"}, {"jsonPath": ".spec"}]}),
     ['spec.selectableFields[1].jsonPath: Duplicate value: ".spec"']),
    (define(of(a=NUMBER), version={"selectableFields": [{"jsonPath": ".spec"}, {"jsonPath": ".spec.x"}, {"jsonPath": ""},
                                                        {"jsonPath": ".spec['a']"}]}),
     ['spec.selectableFields[0].jsonPath: Invalid value: ".spec": must point to a field of type string, boolean or '
      "integer. Enum string fields and strings with formats are allowed.",
      'spec.selectableFields[1].jsonPath: Invalid value: ".spec.x": is an invalid path: does not refer to a valid field',
      "spec.selectableFields[2].jsonPath: Required value",
      'spec.selectableFields[3].jsonPath: Invalid value: ".spec[\'a\']": is an invalid path: expected . but got: '
      "['a']"]),
    (define(TEXT, version={"additionalPrinterColumns": [{"name": "", "type": "date", "jsonPath": "x", "format": "odd"}]}),
     ["spec.additionalPrinterColumns[0].name: Required value",
      'spec.additionalPrinterColumns[0].format: Invalid value: "odd": must be one of byte,date,date-time,double,float,'
      "int32,int64,password",
      'spec.additionalPrinterColumns[0].JSONPath: Invalid value: "x": must be a simple json path starting with .']),
    (define(TEXT, version={"subresources": {"scale": {"specReplicasPath": "spec", "statusReplicasPath": ".x"}}}),
     ['spec.subresources.scale.specReplicasPath: Invalid value: "spec": must be a simple json path starting with .',
      'spec.subresources.scale.statusReplicasPath: Invalid value: ".x": should be a json path under .status']),
    (define(TEXT, conversion={"strategy": "Webhook", "webhook": {
        "clientConfig": {"url": "http://x"}, "conversionReviewVersions": ["v1", "v1", "V2"]}}),
     ["spec.conversion.webhookClientConfig.url: Invalid value: \"http\": 'https' is the only allowed URL scheme; desired "
      "format: https://host[/path]",
      'spec.conversion.conversionReviewVersions[1]: Invalid value: "v1": duplicate version',
      'spec.conversion.conversionReviewVersions[2]: Invalid value: "V2": a DNS-1035 label must consist of lower case '
      "alphanumeric characters or '-', start with an alphabetic character, and end with an alphanumeric character (e.g. "
      "'my-name',  or 'abc-123', regex used for validation is '[a-z]([-a-z0-9]*[a-z0-9])?')"]),
    (define(TEXT, conversion={"strategy": "None", "webhook": {"conversionReviewVersions": ["v1"]}}),
     ["spec.conversion.conversionReviewVersions: Forbidden: should not be set when strategy is not set to Webhook"]),
    (define(TEXT, group="x.k8s.io"),
     ["metadata.annotations[api-approved.kubernetes.io]: Required value: protected groups must have approval annotation "
      '"api-approved.kubernetes.io", see https://github.com/kubernetes/enhancements/pull/1111']),
    (define(TEXT, group="x.k8s.io", annotations={"api-approved.kubernetes.io": "yes"}),
     ['metadata.annotations[api-approved.kubernetes.io]: Invalid value: "yes": protected groups must have approval '
      'annotation "api-approved.kubernetes.io" with either a URL or a reason starting with "unapproved", see '
      "https://github.com/kubernetes/enhancements/pull/1111"]),
    (define(TEXT, group="x.k8s.io", annotations={"api-approved.kubernetes.io": "unapproved, a trial"}), []),
]  # fmt: skip


@pytest.mark.parametrize(("crd", "wrong"), TOPS)
def test_definitions(crd: Json, wrong: list[str]) -> None:
    assert refused(crd) == wrong


def test_the_root_of_a_schema_with_a_status() -> None:
    crd = define(TEXT, version={"subresources": {"status": {}}})
    root = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    root.update(nullable=True)
    assert "spec.validation.openAPIV3Schema.nullable: Forbidden: nullable cannot be true at the root" in refused(crd)
    root.pop("nullable")
    root["oneOf"] = [{"required": ["spec"]}]
    assert "only [Description Type Format Title Maximum" in refused(crd)[0]
    root.pop("oneOf")
    root["properties"]["metadata"] = {"type": "object", "properties": {"labels": {"type": "object"}}}
    assert refused(crd) == [
        "spec.validation.openAPIV3Schema.properties[metadata]: Forbidden: must not specify anything other than name and "
        "generateName, but metadata is implicitly specified"
    ]
    root["properties"]["metadata"] = {"type": "object", "properties": {"name": {"type": "string", "default": "a"}}}
    assert refused(crd) == [
        "spec.validation.openAPIV3Schema.properties[metadata].properties[name].default: Forbidden: must not be set in "
        "top-level metadata"
    ]


def test_a_schema_of_any_depth_is_refused_in_time() -> None:
    schema: Json = dict(TEXT)
    for _ in range(240):
        schema = of(a=schema)
    assert refused(define(schema))[0].startswith(
        "spec.versions[0].schema.openAPIV3Schema.properties[spec].properties[a]"
    )
    assert refused(define(schema))[0].endswith("must not nest deeper than 200 levels")


def test_a_definition_that_says_nothing() -> None:
    found = refused(
        {"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": {"name": "a"}}
    )
    assert found[:4] == [
        'metadata.name: Invalid value: "a": must be spec.names.plural+"."+spec.group', "spec.group: Required value",
        "spec.scope: Required value",
        "spec.versions: Invalid value: []: must have exactly one version marked as storage version",
    ]  # fmt: skip


def test_two_versions_that_share_and_differ() -> None:
    crd = define(TEXT)
    first = crd["spec"]["versions"][0]
    column = {"name": "A", "type": "odd", "jsonPath": ".spec"}
    first["additionalPrinterColumns"] = [column]
    second = {**first, "name": "v2", "storage": False, "additionalPrinterColumns": [{**column, "name": "B"}]}
    second["schema"] = {"openAPIV3Schema": {"type": "object", "properties": {"spec": {}}}}
    crd["spec"]["versions"].append(second)
    odd = "must be one of boolean,date,integer,number,string"
    assert refused(crd) == [
        f'spec.versions[0].additionalPrinterColumns[0].type: Invalid value: "odd": {odd}',
        "spec.versions[1].schema.openAPIV3Schema.properties[spec].type: Required value: must not be empty for specified "
        "object fields",
        f'spec.versions[1].additionalPrinterColumns[0].type: Invalid value: "odd": {odd}',
    ]


# --- objects


def kind(schema: Json, **version: Any) -> CustomKind:
    crd = define(schema, version=version)
    assert refused(crd) == []
    return CustomKind(crd, crd["spec"]["versions"][0])


def made(spec: Any, **more: Any) -> Json:
    return {"apiVersion": "example.com/v1", "kind": "Widget", "spec": spec,
            "metadata": {"name": "a", "namespace": "default"}, **more}  # fmt: skip


def wrong(found: CustomKind, spec: Any) -> list[str]:
    obj, _ = found.decode(made(spec))
    found.default(obj)
    return [str(each) for each in found.validate_create(obj)]


VALUES: list[tuple[Json, Any, list[str]]] = [
    (NUMBER, 1.0, []),
    (NUMBER, 1.5, ['spec: Invalid value: "number": spec in body must be of type integer: "number"']),
    (NUMBER, 2**63 - 1, []),
    (NUMBER, 2**63, ['spec: Invalid value: "number": spec in body must be of type integer: "number"']),
    (NUMBER, float(2**60), ['spec: Invalid value: "number": spec in body must be of type integer: "number"']),
    ({**NUMBER, "format": "int32"}, 2**40, []),
    ({"type": "number"}, 1, []),
    ({**NUMBER, "maximum": 1000000}, 1000001,
     ["spec: Invalid value: 1000001: spec in body should be less than or equal to 1e+06"]),
    ({**NUMBER, "minimum": 1, "exclusiveMinimum": True, "multipleOf": 2}, 1, [
        "spec: Invalid value: 1: spec in body should be a multiple of 2",
        "spec: Invalid value: 1: spec in body should be greater than 1"]),
    ({**TEXT, "enum": ["a", "b"]}, 5, [
        'spec: Invalid value: "integer": spec in body must be of type string: "integer"',
        'spec: Unsupported value: 5: supported values: "a", "b"']),
    ({**TEXT, "minLength": 2, "pattern": "^b"}, "a", [
        'spec: Invalid value: "a": spec in body should be at least 2 chars long',
        "spec: Invalid value: \"a\": spec in body should match '^b'"]),
    ({**TEXT, "format": "date-time"}, "now", [
        'spec: Invalid value: "now": spec in body must be of type date-time: "now"']),
    ({**TEXT, "format": "k8s-short-name"}, "A", [
        'spec: Invalid value: "A": spec in body must be of type k8s-short-name: "A"']),
    ({**TEXT, "format": "k8s-long-name"}, "a" * 70 + ".b", []),
    ({**TEXT, "format": "made-up"}, "anything", []),
    (array(NUMBER, minItems=2), [1.5], [
        'spec[0]: Invalid value: "number": spec[0] in body must be of type integer: "number"',
        "spec: Invalid value: 1: spec in body should have at least 2 items"]),
    (array(TEXT, **{LIST_TYPE: "set"}), ["a", "b", "a", "a"], ['spec[2]: Duplicate value: "a"']),
    (array({**of(k=TEXT), "required": ["k"]}, **{LIST_TYPE: "map", KEYS: ["k"]}), [{"k": "a"}, {"k": "a"}],
     ['spec[1]: Duplicate value: {"k":"a"}']),
    ({**of(a=NUMBER), "minProperties": 1, "required": ["a"]}, {}, [
        "spec: Invalid value: 0: spec in body should have at least 1 properties"]),
    ({"type": "object", "additionalProperties": TEXT, "maxProperties": 1}, {"a": "1", "b": "2"}, [
        "spec: Too many: 2: must have at most 1 items"]),
    ({**of(a=TEXT, b=TEXT), "required": ["a"]}, {"b": 1}, [
        'spec.b: Invalid value: "integer": spec.b in body must be of type string: "integer"', "spec.a: Required value"]),
    ({**of(a=TEXT, b=TEXT), "oneOf": [{"required": ["a"]}, {"required": ["b"]}]}, {}, [
        '<nil>: Invalid value: "": "spec" must validate one and only one schema (oneOf). Found none valid',
        "spec.a: Required value"]),
    ({**of(a=TEXT, b=TEXT), "oneOf": [{"required": ["a"]}, {"required": ["b"]}]}, {"a": "", "b": ""}, [
        '<nil>: Invalid value: "": "spec" must validate one and only one schema (oneOf). Found 2 valid alternatives']),
    ({**NUMBER, "anyOf": [{"minimum": 5}, {"maximum": 1}]}, 3, [
        '<nil>: Invalid value: "": "spec" must validate at least one schema (anyOf)',
        "spec: Invalid value: 3: spec in body should be greater than or equal to 5"]),
    ({**NUMBER, "allOf": [{"minimum": 5}, {"maximum": 10}]}, 3, [
        "spec: Invalid value: 3: spec in body should be greater than or equal to 5",
        '<nil>: Invalid value: "": "spec" must validate all the schemas (allOf)']),
    ({**NUMBER, "not": {"enum": [3]}}, 3, [
        '<nil>: Invalid value: "": "spec" must not validate the schema (not)']),
    ({"x-kubernetes-int-or-string": True}, 1.5, [
        'spec: Invalid value: "number": spec in body must be of type integer,string: "number"']),
    ({"type": "object", EMBEDDED: True, OPEN: True}, {"kind": "Pod", "metadata": {"name": "x", "labels": {"a": "b c"}}}, [
        "spec.apiVersion: Required value",
        'spec.metadata.labels: Invalid value: "b c": a valid label must be an empty string or consist of alphanumeric '
        "characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or "
        "'my_value',  or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')"]),
    # Rules wait for what they count on; other problems do not keep them from running.
    ({**of(a=TEXT), "required": ["a"], RULES: [{"rule": "false"}]}, {}, [
        "spec.a: Required value",
        '<nil>: Invalid value: "null": some validation rules were not checked because the object was invalid; correct '
        "the existing errors to complete validation"]),
    ({**of(a={**TEXT, "minLength": 2}), RULES: [{"rule": "false", "message": "no"}]}, {"a": "x"}, [
        'spec.a: Invalid value: "x": spec.a in body should be at least 2 chars long', 'spec: Invalid value: "object": no']),
]  # fmt: skip


@pytest.mark.parametrize(("schema", "value", "problems"), VALUES)
def test_values(schema: Json, value: Any, problems: list[str]) -> None:
    assert wrong(kind(schema), value) == problems


def test_what_is_open_stays_open_in_lists() -> None:
    found = kind(of(a={OPEN: True}, b={"type": "array", "items": of(c=NUMBER), OPEN: True}, d=of(e=NUMBER)))
    spec = {"a": [1, {"x": [{"y": None}]}], "b": [{"c": 1, "x": 2}], "d": {"e": 1, "x": 2}}
    obj, unknown = found.decode(made(spec))
    assert obj["spec"] == {"a": [1, {"x": [{"y": None}]}], "b": [{"c": 1, "x": 2}], "d": {"e": 1}}
    assert unknown == ['unknown field "spec.d.x"']


def test_names_may_be_restricted() -> None:
    crd = define(TEXT)
    crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["metadata"] = {
        "type": "object", "properties": {"name": {"type": "string", "maxLength": 3}}}  # fmt: skip
    found = CustomKind(crd, crd["spec"]["versions"][0])
    assert wrong(found, "") == []
    obj = made("")
    obj["metadata"]["name"] = "long-name"
    assert [str(each) for each in found.validate_create(obj)] == [
        "metadata.name: Too long: may not be more than 3 bytes"
    ]


def test_metadata_of_embedded_objects_is_read_as_such() -> None:
    found = kind(of(inner={"type": "object", EMBEDDED: True, OPEN: True}))
    inner = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "p", "odd": 1, "creationTimestamp": None},
        "free": 1,
    }
    obj, unknown = found.decode(made({"inner": inner}))
    assert obj["spec"]["inner"] == {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "free": 1}
    assert unknown == ['unknown field "spec.inner.metadata.odd"']
    with pytest.raises(Exception, match=r"spec\.inner\.kind: Invalid value: 1: must be a string"):
        found.decode(made({"inner": {"kind": 1}}))
    with pytest.raises(
        Exception, match=r'Widget in version "v1" cannot be handled as a Widget: spec\.inner\.metadata: Inv'
    ):
        found.decode(made({"inner": {"metadata": {"labels": 1}}}))


RATCHETED = of(
    list=array({**of(k=TEXT, v={**NUMBER, "maximum": 5}), "required": ["k"]}, **{LIST_TYPE: "map", KEYS: ["k"]}),
    atomic=array({**NUMBER, "maximum": 5}),
    set=array(TEXT, **{LIST_TYPE: "set"}),
    map={"type": "object", "additionalProperties": {**NUMBER, "maximum": 5}},
    other=TEXT,
)


def test_what_did_not_change_is_forgiven() -> None:
    found = kind(RATCHETED)
    old = made({"list": [{"k": "a", "v": 9}], "atomic": [9], "set": ["x", "x"], "map": {"a": 9}, "other": "1"})

    def problems(**spec: Any) -> list[str]:
        new = made({**old["spec"], **spec})
        return [str(each) for each in found.rules.validate_update(new, old)]  # type: ignore[misc]

    assert problems(other="2") == []
    assert problems(list=[{"k": "b", "v": 1}, {"k": "a", "v": 9}]) == []
    assert problems(map={"b": 1, "a": 9}) == []
    assert problems(set=["x", "x", "x"]) == []  # sets that were broken before are not looked at
    assert problems(list=[{"k": "a", "v": 8}]) == [
        "spec.list[0].v: Invalid value: 8: spec.list[0].v in body should be less than or equal to 5"]  # fmt: skip
    assert problems(atomic=[9, 1]) == [
        "spec.atomic[0]: Invalid value: 9: spec.atomic[0] in body should be less than or equal to 5"]  # fmt: skip


def test_a_status_is_checked_by_its_own_part_of_the_schema() -> None:
    crd = define(
        NUMBER,
        version={
            "subresources": {
                "status": {},
                "scale": {
                    "specReplicasPath": ".spec",
                    "statusReplicasPath": ".status.replicas",
                    "labelSelectorPath": ".status.sel",
                },
            }
        },
    )
    crd["spec"]["versions"][0]["subresources"]["scale"]["specReplicasPath"] = ".spec.replicas"
    root = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    root["properties"] = {
        "spec": of(replicas={OPEN: True}),
        "status": of(phase=TEXT, replicas=NUMBER, sel={OPEN: True}),
    }
    assert refused(crd) == []
    found = CustomKind(crd, crd["spec"]["versions"][0])
    old = made({"replicas": 1})
    new = made({"replicas": 1}, status={"phase": 1, "replicas": -1, "sel": 3})
    assert [str(each) for each in found.rules.validate_status(new, old)] == [  # type: ignore[misc]
        'status.phase: Invalid value: "integer": phase in body must be of type string: "integer"',
        ".status.replicas: Invalid value: -1: should be a non-negative integer",
        '.status.sel: Invalid value: "": .status.sel accessor error: 3 is of the type int64, expected string',
    ]
    assert [str(each) for each in found.rules.validate_update(made({"replicas": "x"}), old)] == [  # type: ignore[misc]
        ".spec.replicas: Invalid value: 0: .spec.replicas accessor error: x is of the type string, expected int64",
    ]
    assert [str(each) for each in found.rules.validate_update(made({"replicas": 2**31}), old)] == [  # type: ignore[misc]
        ".spec.replicas: Invalid value: 2147483648: should be less than or equal to 2147483647",
    ]


def test_formats_and_finalizers_that_are_warned_of() -> None:
    assert SPEC is not None
    new = define(of(a={**TEXT, "format": "odd"}, b={**NUMBER, "format": "x"}, c={**TEXT, "format": "date"}))
    assert SPEC.warnings(new, None) == ['unrecognized format "odd"']
    assert SPEC.warnings(new, new) == []
    obj = made("")
    obj["metadata"]["finalizers"] = ["mine.example.com", "orphan", "example.com/x"]
    found = kind(TEXT)
    assert list(found.validate_create(obj)) == []
    assert found.warnings(obj, None) == [
        'metadata.finalizers: "mine.example.com": prefer a domain-qualified finalizer name including a path (/) to avoid '
        "accidental conflicts with other finalizer writers"
    ]
