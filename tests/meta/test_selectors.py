"""Selectors: what parses to what, what matches what, and how refusals read."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kaa.meta.selectors import (
    EVERYTHING,
    NOTHING,
    LabelSelector,
    Requirement,
    SelectorError,
    from_map,
    from_object,
    parse_fields,
    parse_labels,
)


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("", ""),
        (" ", ""),
        ("a=b", "a=b"),
        ("a==b", "a==b"),
        ("a = b , c!=d", "a=b,c!=d"),
        ("a=", "a="),
        ("a!=", "a!="),
        ("a", "a"),
        ("!a", "!a"),
        ("! a", "!a"),
        ("x in (b,a)", "x in (a,b)"),
        ("x notin ( a )", "x notin (a)"),
        ("x in ()", "x in ()"),
        ("x in (a,)", "x in (,a)"),
        ("x in (,a,,b)", "x in (,a,b)"),
        ("x>1", "x>1"),
        ("x < 7", "x<7"),
        ("z=1,a=2", "a=2,z=1"),
        ("in in (in)", "in in (in)"),
        ("notin=in", "notin=in"),
        ("example.com/app=web", "example.com/app=web"),
        ("a in (x),!b,c", "a in (x),!b,c"),
    ],
)
def test_label_forms(text: str, canonical: str) -> None:
    selector = parse_labels(text)
    assert str(selector) == canonical
    assert parse_labels(canonical) == selector
    assert selector.empty == (not canonical)


@pytest.mark.parametrize(
    ("text", "labels", "wanted"),
    [
        ("", {}, True),
        ("a=b", {"a": "b"}, True),
        ("a=b", {"a": "c"}, False),
        ("a=b", {}, False),
        ("a!=b", {}, True),
        ("a!=b", {"a": "b"}, False),
        ("a in (b,c)", {"a": "c"}, True),
        ("a in (b,c)", {}, False),
        ("a in ()", {"a": ""}, True),
        ("a notin (b)", {}, True),
        ("a notin (b)", {"a": "b"}, False),
        ("a", {"a": ""}, True),
        ("a", {}, False),
        ("!a", {}, True),
        ("!a", {"a": "1"}, False),
        ("a>1", {"a": "2"}, True),
        ("a>1", {"a": "1"}, False),
        ("a>1", {"a": "x"}, False),
        ("a>1", {}, False),
        ("a<1", {"a": "-5"}, True),
        ("a=b,c=d", {"a": "b", "c": "d"}, True),
        ("a=b,c=d", {"a": "b"}, False),
        ("a=b,c=d,!e", {"a": "b", "c": "d"}, True),
        ("a=b,c=d,!e", {"a": "b", "c": "d", "e": ""}, False),
    ],
)
def test_label_matches(text: str, labels: dict[str, str], wanted: bool) -> None:
    assert parse_labels(text).matches(labels) is wanted


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x in", "unable to parse requirement: found '' expected: '('"),
        (",", "found ',', expected: !, identifier, or 'end of string'"),
        ("a,", "found '', expected: identifier after ','"),
        ("a b", "unable to parse requirement: found 'b', expected: in, notin, =, ==, !=, gt, lt"),
        ("a=b c", "found 'c', expected: ',' or 'end of string'"),
        ("a==!b", "unable to parse requirement: found '!', expected: identifier"),
        ("!", "unable to parse requirement: found '', expected: identifier"),
        ("!a=b", "found '=', expected: ',' or 'end of string'"),
        ("x in (a b)", "unable to parse requirement: found 'b', expected: ',' or ')'"),
        ("x in (a", "unable to parse requirement: found '', expected: ',' or ')'"),
        ("x in (", "unable to parse requirement: found '', expected: ',', ')' or identifier"),
        (
            "x>y",
            'unable to parse requirement: values[0]: Invalid value: "y": '
            "for 'Gt', 'Lt' operators, the value must be an integer",
        ),
        (
            "a=-x",
            'unable to parse requirement: values[0][a]: Invalid value: "-x": a valid label must be an empty string or '
            "consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric "
            "character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is "
            "'(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')",
        ),
        (
            "_a=b",
            'unable to parse requirement: <nil>: Invalid value: "_a": name part must consist of alphanumeric '
            "characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or "
            "'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')",
        ),
    ],
)
def test_label_refusals(text: str, message: str) -> None:
    with pytest.raises(SelectorError) as caught:
        parse_labels(text)
    assert str(caught.value) == message


def test_selector_objects() -> None:
    assert from_object(None) is NOTHING and not NOTHING.matches({}) and not NOTHING.empty
    assert from_object({}) is EVERYTHING and EVERYTHING.matches({})
    assert from_object({"matchLabels": {}, "matchExpressions": []}).empty
    selector = from_object(
        {
            "matchLabels": {"app": "web"},
            "matchExpressions": [
                {"key": "tier", "operator": "In", "values": ["b", "a"]},
                {"key": "env", "operator": "NotIn", "values": ["dev"]},
                {"key": "owner", "operator": "Exists"},
                {"key": "legacy", "operator": "DoesNotExist"},
            ],
        }
    )
    assert str(selector) == "app=web,env notin (dev),!legacy,owner,tier in (a,b)"
    assert selector.matches({"app": "web", "tier": "a", "owner": "me"})
    assert not selector.matches({"app": "web", "tier": "a", "owner": "me", "legacy": ""})
    assert selector.exact("app") == "web" and selector.exact("tier") is None
    assert from_map({"b": "2", "a": "1"}) == parse_labels("a=1,b=2")
    assert len({from_map({"a": "1"}), parse_labels("a=1")}) == 1
    with pytest.raises(SelectorError, match='"Like" is not a valid label selector operator'):
        from_object({"matchExpressions": [{"key": "a", "operator": "Like"}]})
    with pytest.raises(SelectorError, match="values set can't be empty"):
        from_object({"matchExpressions": [{"key": "a", "operator": "In"}]})
    with pytest.raises(SelectorError, match="values set must be empty for exists"):
        from_object({"matchExpressions": [{"key": "a", "operator": "Exists", "values": ["x"]}]})


@pytest.mark.parametrize(
    ("text", "requirements"),
    [
        ("", []),
        ("metadata.name=a", [("metadata.name", "=", "a")]),
        ("a==b,c!=d", [("a", "=", "b"), ("c", "!=", "d")]),
        ("a=", [("a", "=", "")]),
        (",a=b,,", [("a", "=", "b")]),
        (r"a=x\,y\=z\\", [("a", "=", r"x,y=z" + "\\")]),
    ],
)
def test_field_forms(text: str, requirements: list[tuple[str, str, str]]) -> None:
    selector = parse_fields(text)
    assert [(each.field, each.operator, each.value) for each in selector.requirements] == requirements
    assert parse_fields(str(selector)) == selector


def test_field_matches() -> None:
    selector = parse_fields("spec.nodeName=,status.phase!=Failed")
    assert selector.matches({"status.phase": "Running"})
    assert selector.matches({})
    assert not selector.matches({"spec.nodeName": "a"})
    assert not selector.matches({"status.phase": "Failed"})
    assert selector.exact("spec.nodeName") == "" and selector.exact("status.phase") is None
    assert parse_fields("").empty and not selector.empty


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a", "invalid selector: 'a'; can't understand 'a'"),
        ("a=b,c", "invalid selector: 'a=b,c'; can't understand 'c'"),
        ("a=b=c", "invalid field selector: unescaped character in value: ="),
        (r"a=\x", r"invalid field selector: invalid escape sequence: \x"),
    ],
)
def test_field_refusals(text: str, message: str) -> None:
    with pytest.raises(SelectorError) as caught:
        parse_fields(text)
    assert str(caught.value) == message


_names = st.from_regex(r"\A[a-z][a-z0-9]{0,3}\Z")
_requirements = st.one_of(
    st.builds(lambda k, o, v: Requirement(k, o, (v,)), _names, st.sampled_from(["=", "==", "!="]), _names),
    st.builds(
        lambda k, o, v: Requirement(k, o, tuple(sorted(v))),
        _names,
        st.sampled_from(["in", "notin"]),
        st.sets(_names, min_size=1, max_size=3),
    ),
    st.builds(lambda k, o: Requirement(k, o), _names, st.sampled_from(["exists", "!"])),
    st.builds(lambda k, o, v: Requirement(k, o, (str(v),)), _names, st.sampled_from(["gt", "lt"]), st.integers(0, 99)),
)


@given(st.lists(_requirements, max_size=4))
def test_text_round_trip(requirements: list[Requirement]) -> None:
    selector = LabelSelector(requirements)
    assert parse_labels(str(selector)) == selector
