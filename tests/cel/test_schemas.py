"""Types from schemas, and JSON read as they say."""

from typing import Any

import pytest

from kaa import cel
from kaa.meta.schema import Schema

STRING = {"type": "string"}
SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "spec": {
            "type": "object",
            "required": ["replicas"],
            "properties": {
                "replicas": {"type": "integer"},
                "maxReplicas": {"type": "integer"},
                "ratio": {"type": "number"},
                "port": {"x-kubernetes-int-or-string": True},
                "when": {"type": "string", "format": "date-time"},
                "day": {"type": "string", "format": "date"},
                "wait": {"type": "string", "format": "duration"},
                "data": {"type": "string", "format": "byte"},
                "note": {"type": "string", "nullable": True},
                "labels": {"type": "object", "additionalProperties": STRING},
                "times": {"type": "array", "items": {"type": "string", "format": "date-time"}},
                "timeOf": {"type": "object", "additionalProperties": {"type": "string", "format": "date-time"}},
                "ratios": {"type": "array", "items": {"type": "number"}},
                "a-b": STRING,
                "a.b": STRING,
                "a/b": STRING,
                "a__b": STRING,
                "namespace": STRING,
                "1st": STRING,
                "open": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
                "anything": {"x-kubernetes-preserve-unknown-fields": True},
                "embedded": {"type": "object", "x-kubernetes-embedded-resource": True},
                "set": {"type": "array", "items": STRING, "x-kubernetes-list-type": "set"},
                "set2": {"type": "array", "items": STRING, "x-kubernetes-list-type": "set"},
                "list": {"type": "array", "items": STRING},
                "entries": {
                    "type": "array",
                    "x-kubernetes-list-type": "map",
                    "x-kubernetes-list-map-keys": ["name", "na-me"],
                    "items": {
                        "type": "object",
                        "properties": {"name": STRING, "na-me": STRING, "at": {"type": "string", "format": "date"}},
                    },
                },
                "others": {
                    "type": "array",
                    "items": {"type": "object", "properties": {"name": STRING, "na-me": STRING}},
                },
            },
        }
    },
}
SPEC: dict[str, Any] = {
    "replicas": 2,
    "maxReplicas": 3,
    "ratio": 2,
    "port": "http",
    "when": "2020-01-02T03:04:05Z",
    "day": "2020-01-02",
    "wait": "1h",
    "data": "aGVsbG8=",
    "note": None,
    "labels": {"app": "web", "a-b": "c"},
    "times": ["2020-01-01T00:00:00Z", "2021-01-01T00:00:00+01:00"],
    "timeOf": {"a": "2020-01-01T00:00:00Z"},
    "ratios": [1, 2.5],
    "a-b": "dash",
    "a.b": "dot",
    "a/b": "slash",
    "a__b": "underscores",
    "namespace": "ns",
    "open": {"x": 1},
    "anything": [1],
    "embedded": {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}},
    "set": ["a", "b"],
    "set2": ["b", "a"],
    "list": ["b", "a"],
    "entries": [
        {"name": "x", "na-me": "1", "at": "2020-01-01"},
        {"name": "y", "na-me": "1", "at": "2020-01-02"},
    ],
    "others": [{"name": "x", "na-me": "1"}],
}
OBJECT = {"apiVersion": "v1", "kind": "Thing", "metadata": {"name": "t"}, "spec": SPEC}
ROOT = cel.type_of_openapi(SCHEMA, resource_root=True)
assert ROOT is not None
ENV = cel.Environment({"self": ROOT, "oldSelf": ROOT})

VALUES: list[tuple[str, Any]] = [
    ("self.spec.replicas <= self.spec.maxReplicas", True),
    ("self.metadata.name == 't' && self.kind == 'Thing' && self.apiVersion == 'v1'", True),
    ("has(self.metadata.generateName)", False),
    ("self.spec.ratio / 4.0", 0.5),
    ("type(self.spec.ratio) == double", True),
    ("self.spec.ratios == [1.0, 2.5]", True),
    ("self.spec.ratios.map(r, r * 2.0)", [2.0, 5.0]),
    ("type(dyn(self.spec.ratios)[0]) == double", True),
    ("type(self.spec.port) == string && self.spec.port == 'http'", True),
    ("self.spec.port == 80", False),
    ("self.spec.when.getFullYear()", 2020),
    ("self.spec.day == timestamp('2020-01-02T00:00:00Z')", True),
    ("self.spec.when > self.spec.day", True),
    ("self.spec.wait == duration('60m')", True),
    ("self.spec.data == b'hello'", True),
    ("size(self.spec.data)", 5),
    ("self.spec.times[1] == timestamp('2020-12-31T23:00:00Z')", True),
    ("self.spec.times.all(t, t.getFullYear() == 2020)", True),
    ("timestamp('2020-01-01T00:00:00Z') in self.spec.times", True),
    ("self.spec.timeOf['a'].getFullYear()", 2020),
    ("self.spec.timeOf.a.getFullYear()", 2020),
    ("self.spec.timeOf.all(k, v, v.getFullYear() == 2020)", True),
    ("has(self.spec.note)", False),
    ("self.spec.?note.hasValue()", False),
    ("self.spec.labels['a-b']", "c"),
    ("self.spec.labels.app", "web"),
    ("self.spec.labels.exists(k, k == 'app')", True),
    ("self.spec.a__dash__b", "dash"),
    ("self.spec.a__dot__b", "dot"),
    ("self.spec.a__slash__b", "slash"),
    ("self.spec.a__underscores__b", "underscores"),
    ("self.spec.__namespace__", "ns"),
    ("has(self.spec.a__dash__b)", True),
    ("dyn(self.spec).a__dash__b", "dash"),
    ("has(self.spec.open)", True),
    ("self.spec.open == self.spec.open", True),
    ("self.spec.embedded.metadata.name", "p"),
    ("self.spec.set == ['b', 'a']", True),
    ("self.spec.set == self.spec.set2", True),
    ("self.spec.set + ['a', 'c'] == ['c', 'b', 'a']", True),
    ("(self.spec.set + ['a', 'c'])[2]", "c"),
    ("self.spec.list == ['a', 'b']", False),
    ("self.spec.list + ['a'] == ['b', 'a', 'a']", True),
    ("self.spec.entries == [self.spec.entries[1], self.spec.entries[0]]", True),
    ("self.spec.entries[0].na__dash__me", "1"),
    ("self.spec.entries.filter(e, e.at > timestamp('2020-01-01T12:00:00Z'))[0].name", "y"),
    ("size(self.spec.entries + self.spec.entries)", 2),
    ("self.spec.entries.map(e, e.name)", ["x", "y"]),
    ("self.spec == oldSelf.spec", True),
    ("self.spec.?when.orValue(timestamp(0)).getFullYear()", 2020),
    ("string(self.spec.day)", "2020-01-02T00:00:00Z"),
]


@pytest.mark.parametrize(("expression", "expected"), VALUES)
def test_value(expression: str, expected: Any) -> None:
    found = ENV.compile(expression).evaluate({"self": OBJECT, "oldSelf": OBJECT})
    assert (list(found) if isinstance(expected, list) else found) == expected


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("self.spec.anything", "undefined field 'anything'"),
        ("self.spec.open.x", "undefined field 'x'"),
        ("self.spec.replicas == 'a'", "found no matching overload for '_==_' applied to '(int, string)'"),
        ("self.metadata.labels", "undefined field 'labels'"),
        ("self.spec.when == 'x'", "found no matching overload for '_==_' applied to '(timestamp, string)'"),
        ("self.spec.ratio + 1", "found no matching overload for '_+_' applied to '(double, int)'"),
    ],
)
def test_types_are_checked(expression: str, message: str) -> None:
    with pytest.raises(cel.CompileError) as caught:
        ENV.compile(expression)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("field", "text", "message"),
    [
        ("when", "yesterday", "parsing time"),
        ("wait", "soon", 'time: invalid duration "soon"'),
        ("data", "%%", "Invalid byte formatted string %%: illegal base64 data"),
    ],
)
def test_texts_that_are_not_of_their_format(field: str, text: str, message: str) -> None:
    program = ENV.compile(f"self.spec.{field} == self.spec.{field}")
    with pytest.raises(cel.EvaluationError) as caught:
        program.evaluate({"self": {"spec": {field: text}}})
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize(
    ("name", "identifier"),
    [
        ("plain", "plain"),
        ("a_b", "a_b"),
        ("a__b", "a__underscores__b"),
        ("a-b", "a__dash__b"),
        ("a.b/c", "a__dot__b__slash__c"),
        ("namespace", "__namespace__"),
        ("in", "__in__"),
        ("1a", None),
        ("", None),
        ("a b", None),
        ("é", None),
    ],
)
def test_escaping(name: str, identifier: str | None) -> None:
    assert cel.escape(name) == identifier
    if identifier is not None:
        assert cel.unescape(identifier) == name


@pytest.mark.parametrize("identifier", ["a__nope__b", "a__in__b"])
def test_no_escape(identifier: str) -> None:
    assert cel.unescape(identifier) is None


def test_nulls() -> None:
    """Absent in fields that a schema names; null in maps and lists."""
    nullable = {"type": "string", "nullable": True}
    kind = cel.type_of_openapi(
        {
            "type": "object",
            "properties": {
                "f": nullable,
                "m": {"type": "object", "additionalProperties": nullable},
                "l": {"type": "array", "items": nullable},
            },
        }
    )
    assert kind is not None
    env = cel.Environment({"self": kind})
    value = {"self": {"f": None, "m": {"a": None}, "l": [None]}}
    for expression in (
        "!has(self.f)",
        "'a' in self.m && self.m.size() == 1 && type(self.m['a']) == null_type",
        "self.l.size() == 1 && type(self.l[0]) == null_type",
    ):
        assert env.compile(expression, cel.BOOL).evaluate(value) is True
    with pytest.raises(cel.EvaluationError, match="no such key: f"):
        env.compile("self.f == ''").evaluate(value)


def test_nothing_is_copied_or_changed() -> None:
    before = repr(OBJECT)
    made = ENV.compile("self.spec.labels").evaluate({"self": OBJECT})
    assert made is SPEC["labels"]
    ENV.compile("self.spec.set + ['z'] == self.spec.set").evaluate({"self": OBJECT})
    assert repr(OBJECT) == before


def test_built_in_kinds_and_recursive_schemas() -> None:
    text, number = Schema(type="string"), Schema(type="integer", format="int32")
    node = Schema(type="object", ref="io.example.Node")
    node.fields = {
        "name": text,
        "weight": number,
        "children": Schema(type="array", items=node),
        "since": Schema(type="string", format="date-time"),
        "limits": Schema(type="object", values=Schema(type="string", format="quantity")),
        "raw": Schema(preserve_unknown=True),
    }
    kind = cel.type_of_definition(node)
    assert kind is not None
    env = cel.Environment({"object": kind})
    program = env.compile(
        "object.children[0].children.all(c, c.weight > 1 && c.since.getFullYear() == 2020) && "
        "quantity(object.limits['cpu']).isLessThan(quantity('2')) && object.limits.memory == '1024' && "
        "object.raw.x == 1"
    )
    value = {
        "children": [{"children": [{"weight": 2, "since": "2020-05-01T00:00:00Z"}]}],
        "limits": {"cpu": "500m", "memory": 1024},
        "raw": {"x": 1},
    }
    assert program.evaluate({"object": value}) is True
    with pytest.raises(cel.CompileError, match="undefined field 'nope'"):
        env.compile("object.children[0].nope")


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("self.spec.when", "2020-01-02T03:04:05Z"),
        ("self.spec.wait", "3600s"),
        ("self.spec.data", "aGVsbG8="),
        ("{'a': self.spec.replicas, 'b': [self.spec.day]}",
         None),
        ("self.spec.entries[0]", {"name": "x", "na-me": "1", "at": "2020-01-01"}),
    ],
)  # fmt: skip
def test_results_as_json(expression: str, expected: Any) -> None:
    if expected is None:
        with pytest.raises(cel.CompileError):
            ENV.compile(expression)
        return
    assert cel.to_json(ENV.compile(expression).evaluate({"self": OBJECT})) == expected
