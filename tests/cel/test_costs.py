"""What expressions cost, in the original's units: its own tables of costs that must not change between releases.

The figures are those of celcoststability_test.go (runtime) and compilation_test.go (estimates) of apiextensions.
"""

from typing import Any

import pytest

from kaa import cel

STRING: dict[str, Any] = {"type": "string"}
INT: dict[str, Any] = {"type": "integer"}
NUMBER: dict[str, Any] = {"type": "number"}
BYTE, DURATION, DATE, DATE_TIME = (
    {"type": "string", "format": form} for form in ("byte", "duration", "date", "date-time")
)
INT_OR_STRING: dict[str, Any] = {"x-kubernetes-int-or-string": True}


def array(items: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"type": "array", "items": items, **more}


def mapping(values: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"type": "object", "additionalProperties": values, **more}


def obj(**fields: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": fields}


def vals(*values: Any) -> dict[str, Any]:
    return {f"val{number}": value for number, value in enumerate(values, 1)}


def equal_to(literal: str) -> str:
    return f"self.val1 == self.val2 && self.val1 == {literal} && self.val2 == {literal}"


def environment(schema: dict[str, Any]) -> cel.Environment:
    kind = cel.type_of_openapi(schema, resource_root=False)
    assert kind is not None
    return cel.Environment({"self": kind, "oldSelf": kind})


_KV = obj(k=STRING, v=STRING)
_LIST_MAP = {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["k"]}
_CROWN = "Rook takes 👑"

RUNTIME: list[tuple[str, dict[str, Any], Any, dict[str, int]]] = [
    (
        "integers",
        obj(**vals(INT, INT, INT)),
        vals(2**63 - 1, 2**63 - 1, 2**31 - 1),
        {
            equal_to(str(2**63 - 1)): 11,
            "self.val1 == self.val2": 5,
            "type(self.val1) == int": 4,
            f"self.val3 + 1 == {2**31 - 1} + 1": 5,
        },
    ),
    (
        "numbers",
        obj(**vals(INT, NUMBER, NUMBER)),
        vals(5, 10.0, 10),
        {
            "double(self.val1) < self.val2": 6,
            "self.val1 < int(self.val2)": 6,
            "double(5) < 10.0": 1,
            "5 < int(10.0)": 1,
            "double(self.val1) < 10.0": 4,
            "type(self.val3) == double": 4,
            "self.val3 == 10.0": 3,
        },
    ),
    (
        "unicode strings",
        obj(**vals(STRING, STRING)),
        vals(_CROWN, _CROWN),
        {
            equal_to(f"'{_CROWN}'"): 14,
            "self.val1.startsWith('Rook')": 4,
            "!self.val1.startsWith('knight')": 5,
            "self.val1.matches('^[^0-9]*$')": 8,
            "!self.val1.matches('^[0-9]*$')": 7,
            "type(self.val1) == string": 4,
            "size(self.val1) == 12": 4,
            "self.val1.charAt(3) == 'k'": 4,
            "self.val1.indexOf('o') == 1": 4,
            "self.val1.indexOf('o', 2) == 2": 4,
            "self.val1.replace(' ', 'x') == 'Rookxtakesx👑'": 7,
            "self.val1.replace(' ', 'x', 1) == 'Rookxtakes 👑'": 7,
            "self.val1.split(' ') == ['Rook', 'takes', '👑']": 6,
            "self.val1.split(' ', 2) == ['Rook', 'takes 👑']": 6,
            "self.val1.substring(5) == 'takes 👑'": 5,
            "self.val1.substring(0, 4) == 'Rook'": 5,
            "self.val1.substring(4, 10).trim() == 'takes'": 6,
            "self.val1.upperAscii() == 'ROOK TAKES 👑'": 6,
            "self.val1.lowerAscii() == 'rook takes 👑'": 6,
        },
    ),
    (
        "escaped strings",
        obj(**vals(STRING, STRING)),
        vals("l1\nl2", "l1\nl2"),
        {equal_to("'l1\\nl2'"): 11, "self.val1 == '''l1\nl2'''": 3},
    ),
    (
        "bytes",
        obj(**vals(BYTE, BYTE)),
        vals("QUI=", "QUI="),
        {
            "self.val1 == self.val2": 5,
            "self.val1 == b'AB'": 3,
            "type(self.val1) == bytes": 4,
            "size(self.val1) == 2": 4,
        },
    ),
    (
        "durations",
        obj(**vals(DURATION, DURATION)),
        vals("1h2m3s4ms", "1h2m3s4ms"),
        {
            equal_to("duration('1h2m3s4ms')"): 11,
            "self.val1 == duration('1h2m') + duration('3s4ms')": 4,
            "self.val1.getHours() == 1": 4,
            "type(self.val1) == google.protobuf.Duration": 4,
        },
    ),
    (
        "dates",
        obj(**vals(DATE, DATE)),
        vals("1997-07-16", "1997-07-16"),
        {
            equal_to("timestamp('1997-07-16T00:00:00.000Z')"): 11,
            "self.val1.getDate() == 16": 4,
            "type(self.val1) == google.protobuf.Timestamp": 4,
        },
    ),
    (
        "date-times",
        obj(**vals(DATE_TIME, DATE_TIME)),
        vals("2011-08-18T19:03:37.010000000+01:00", "2011-08-18T19:03:37.010000000+01:00"),
        {
            equal_to("timestamp('2011-08-18T19:03:37.010+01:00')"): 11,
            "self.val1 == timestamp('2011-08-18T00:00:00.000+01:00') + duration('19h3m37s10ms')": 4,
            "self.val1.getDate('01:00') == 18": 4,
        },
    ),
    (
        "enums",
        obj(enumStr={"type": "string", "enum": ["Pending", "Available"]}),
        {"enumStr": "Pending"},
        {"self.enumStr == 'Pending'": 3, "self.enumStr in ['Pending', 'Available']": 2},
    ),
    (
        "conversions",
        obj(**vals(INT, NUMBER, NUMBER, STRING, BYTE, STRING, DURATION, STRING, DATE_TIME)),
        vals(10, 10.0, 10.5, "10", "MTA=", "3723.004s", "1h2m3s4ms", "2011-08-18T19:03:37.01+01:00",
             "2011-08-18T19:03:37.01+01:00"),
        {
            "int(self.val2) == self.val1": 6,
            "double(self.val1) == self.val2": 6,
            "bytes(self.val4) == self.val5": 6,
            "string(self.val1) == self.val4": 6,
            "string(self.val3) == '10.5'": 4,
            "string(self.val5) == self.val4": 6,
            "duration(self.val6) == self.val7": 6,
            "timestamp(self.val8) == self.val9": 6,
            "string(self.val9) == self.val8": 8,
        },
    ),
    (
        "lists",
        obj(**vals(array(INT), array(INT))),
        vals([1, 2, 3], [1, 2, 3]),
        {
            equal_to("[1, 2, 3]"): 11,
            "1 in self.val1": 5,
            "self.val2[0] in self.val1": 8,
            "!(0 in self.val1)": 6,
            "self.val1 + self.val2 == [1, 2, 3, 1, 2, 3]": 6,
            "self.val1 + [4, 5] == [1, 2, 3, 4, 5]": 4,
        },
    ),
    (
        "sets",
        obj(**vals(*[array(STRING, **{"x-kubernetes-list-type": "set"})] * 2)),
        vals(["a", "b", "c"], ["a", "c", "b"]),
        {
            "self.val1 == ['c', 'b', 'a']": 3,
            "self.val1 == self.val2": 5,
            "'a' in self.val1": 5,
            "self.val1 + self.val2 == ['a', 'b', 'c']": 6,
            "self.val1 + ['c', 'd'] == ['a', 'b', 'c', 'd']": 4,
        },
    ),
    (
        "lists that are maps",
        obj(objs=array(array(_KV, **_LIST_MAP))),
        {
            "objs": [
                [{"k": "a", "v": "1"}, {"k": "b", "v": "2"}],
                [{"k": "b", "v": "2"}, {"k": "a", "v": "1"}],
                [{"k": "b", "v": "3"}, {"k": "a", "v": "1"}],
                [{"k": "c", "v": "4"}],
            ]
        },
        {
            "self.objs[0] == self.objs[1]": 7,
            "self.objs[0] + self.objs[2] == self.objs[2]": 11,
            "self.objs[2] + self.objs[0] == self.objs[0]": 11,
            "self.objs[0] == [self.objs[0][0], self.objs[0][1]]": 22,
            "self.objs[0] == [self.objs[0][1], self.objs[0][0]]": 22,
            "self.objs[2] + [self.objs[0][0], self.objs[0][1]] == self.objs[0]": 26,
            "size(self.objs[0] + [self.objs[3][0]]) == 3": 20,
        },
    ),
    (
        "maps",
        obj(**vals(mapping(STRING), mapping(STRING))),
        vals({"k1": "a", "k2": "b"}, {"k2": "b", "k1": "a"}),
        {
            "self.val1 == self.val2": 5,
            "'k1' in self.val1": 3,
            "!('k3' in self.val1)": 4,
            "self.val1 == {'k1': 'a', 'k2': 'b'}": 3,
        },
    ),
    (
        "object access",
        obj(a=obj(b=INT, c=INT, d={"type": "integer", "nullable": True}),
            a1=obj(b1=obj(c1=INT), d2=obj(e2=INT))),
        {"a": {"b": 1, "d": None}, "a1": {"b1": {"c1": 4}}},
        {
            "has(self.a.b)": 2,
            "has(self.a1.b1.c1)": 3,
            "!(has(self.a1.d2) && has(self.a1.d2.e2))": 3,
            "!has(self.a1.d2)": 3,
            "!has(self.a.d)": 3,
        },
    ),
    (
        "map access",
        obj(val=mapping(INT)),
        {"val": {"b": 1, "d": 2}},
        {
            "!('a' in self.val)": 4,
            "'b' in self.val": 3,
            "!has(self.val.a)": 3,
            "has(self.val.b)": 2,
            "self.val.all(k, self.val[k] > 0)": 17,
            "self.val.exists_one(k, self.val[k] == 2)": 14,
            "!self.val.exists_one(k, self.val[k] > 0)": 17,
            "size(self.val) == 2": 4,
            "size(self.val.filter(k, self.val[k] > 1)) == 1": 26,
        },
    ),
    (
        "access to lists that are maps",
        obj(listMap=array(obj(k=STRING, v=STRING, v2=STRING), **_LIST_MAP)),
        {"listMap": [{"k": "a1", "v": "b1"}, {"k": "a2", "v": "b2"}, {"k": "a3", "v": "b3", "v2": "z"}]},
        {
            "has(self.listMap[0].v)": 3,
            "self.listMap.all(m, m.k.startsWith('a'))": 21,
            "self.listMap.all(m, !has(m.v2) || m.v2 == 'z')": 21,
            "self.listMap.exists(m, m.k.endsWith('1'))": 13,
            "self.listMap.exists_one(m, m.k == 'a3')": 15,
            "!self.listMap.all(m, m.k.endsWith('1'))": 18,
            "!self.listMap.exists(m, m.v == 'x')": 25,
            "!self.listMap.exists_one(m, m.k.startsWith('a'))": 20,
            "size(self.listMap.filter(m, m.k == 'a1')) == 1": 27,
            "self.listMap.exists(m, m.k == 'a1' && m.v == 'b1')": 16,
            "self.listMap.map(m, m.v).exists(v, v == 'b1')": 55,
            "self.listMap.exists(m, has(m.v2) && m.v2 == 'z')": 21,
            "!self.listMap.all(m, has(m.v2) && m.v2 != 'z')": 10,
            "self.listMap.exists_one(m, has(m.v2) && m.v2 == 'z')": 12,
            "self.listMap.filter(m, has(m.v2) && m.v2 == 'z').size() == 1": 24,
            "self.listMap.map(m, has(m.v2) && m.v2 == 'z', m.v2).size() == 1": 25,
            "self.listMap.filter(m, has(m.v2) && m.v2 == 'z').map(m, m.v2).size() == 1": 39,
        },
    ),
    (
        "list access",
        obj(array=array(INT)),
        {"array": [1, 1, 2, 2, 3, 3, 4, 5]},
        {
            "2 in self.array": 10,
            "self.array.all(e, e > 0)": 43,
            "self.array.exists(e, e > 2)": 36,
            "self.array.exists_one(e, e > 4)": 22,
            "!self.array.all(e, e < 2)": 21,
            "!self.array.exists(e, e < 0)": 52,
            "!self.array.exists_one(e, e == 2)": 25,
            "size(self.array.filter(e, e%2 == 0)) == 3": 68,
            "self.array.map(e, e * 20).filter(e, e > 50).exists(e, e == 60)": 194,
            "size(self.array) == 8": 4,
        },
    ),
    (
        "int or string",
        obj(something=INT_OR_STRING, min=INT_OR_STRING, current=INT, available=INT),
        {"something": "25%", "min": "50%", "current": 5, "available": 10},
        {
            "type(self.something) == int ? self.something == 1 : self.something == '25%'": 7,
            "type(self.something) == string && self.something == '25%'": 7,
            "self.something == '25%'": 3,
            "self.something != 1": 3,
            "self.something == 1 || self.something == '25%'": 6,
            "self.something == '25%' || self.something == 1": 3,
            "self.something != ['anything']": 3,
            r"type(self.min) == string && self.min.matches(r'(\d+(\.\d+)?%)')": 10,
            "type(self.min) == int ? self.current <= self.min : double(self.current) / double(self.available) >= "
            "double(self.min.replace('%', '')) / 100.0": 17,
        },
    ),
]  # fmt: skip


@pytest.mark.parametrize(
    ("schema", "self", "expression", "expected"),
    [
        pytest.param(schema, self, expression, expected, id=f"{name}: {expression}"[:90])
        for name, schema, self, table in RUNTIME
        for expression, expected in table.items()
    ],
)
def test_running(schema: dict[str, Any], self: Any, expression: str, expected: int) -> None:
    value, cost = environment(schema).compile(expression).evaluate_costing({"self": self})
    assert value is True
    assert cost == expected


def _rule(expression: str, schema: Any, without: int, most: int = 0, with_limit: int = 0) -> Any:
    return pytest.param(expression, schema, without, most, with_limit, id=f"{expression} {without}")


def _limited(schema: dict[str, Any], most: int) -> dict[str, Any]:
    name = {"array": "maxItems", "object": "maxProperties"}.get(str(schema.get("type")), "maxLength")
    return {**schema, name: most}


REQUIRED = {"type": "object", "properties": {"required": STRING, "optional": STRING}, "required": ["required"]}

STATIC = [
    _rule("self.all(x, true)", array(NUMBER), 4718591, 10, 32),
    _rule("self.all(x, true)", array(STRING), 3145727, 20, 62),
    _rule("self.all(x, true)", array({"type": "boolean"}), 1887437, 5, 17),
    _rule("self.all(x, true)", array(array(NUMBER)), 3145727, 100, 302),
    _rule("self.all(x, true)", array(REQUIRED), 555128, 50, 152),
    _rule("self.all(x, true)", mapping(NUMBER), 1348169, 10, 32),
    _rule("self.all(x, true)", mapping(STRING), 1179647, 3, 11),
    _rule("self.all(x, true)", mapping({"type": "boolean"}), 943718, 100, 302),
    _rule("self.contains('test')", STRING, 314574, 10, 5),
    _rule("self.startsWith('test')", STRING, 2, 15, 2),
    _rule("self.endsWith('test')", STRING, 2, 30, 2),
    _rule('size(self + "hello") > size("hello")', STRING, 314578, 4, 7),
    _rule("self[1] == 0.0", array(NUMBER), 2, 5000, 2),
    _rule("self[1] == self[1]", array(STRING), 314577, 8, 314577),
    _rule("self.all(x, self.all(y, true))", array(NUMBER), 0, 10, 352),
    _rule("self.all(x, self.all(y, self.all(z, true)))", array(NUMBER), 0, 10, 3552),
    _rule('self.matches("x")', STRING, 314574, 50, 22),
    _rule('"".matches("(((((((((())))))))))[0-9]")', STRING, 7, 10, 7),
    _rule('self.matches("")', STRING, 1, 100, 1),
    _rule("self[3] == 0.0", array(NUMBER), 2, 0, 2),
    _rule('self["x"] == 0.0', mapping(NUMBER), 2, 0, 2),
    _rule('self == "x"', STRING, 2, 0, 1),
    _rule('self == b"x"', BYTE, 2, 0, 1),
    _rule("self.all(x, x == 0.0)", array(NUMBER), 6291454, 3 * 1024 * 2048, 25165826),
    _rule('self.all(x, x["y"].required == "z")', array(mapping(REQUIRED)), 7340027, 10, 72),
    _rule("self.all(x, true)", array(INT_OR_STRING), 4718591, 10, 32),
    _rule("self[0] == 5", array(INT_OR_STRING), 3, 10, 3),
    _rule("self[0] == false", array({"type": "boolean"}), 2, 25, 2),
    _rule("self[0] == null", array(REQUIRED), 2, 422, 2),
    _rule("self[0][0] == -1.0", array(array(NUMBER)), 3, 51, 3),
    _rule("self.all(x, x.y == 25.2)", array(mapping(NUMBER)), 6291452, 12, 74),
    _rule("self[0].x > 2.0", array(mapping(NUMBER)), 4, 3000, 4),
    _rule("self.all(x, true)", array(DURATION), 2359295, 5, 17),
    _rule("self[0].getHours() == 2", array(DURATION), 4, 525, 4),
    _rule("self.all(x, true)", array(DATE), 725936, 15, 47),
    _rule("self[2].getDayOfMonth() == 13", array(DATE), 4, 42, 4),
    _rule("self.all(x, true)", array(DATE_TIME), 428963, 25, 77),
    _rule("self.all(x, true)", mapping(INT_OR_STRING), 1348169, 15, 47),
    _rule("self.all(x, true)", mapping(REQUIRED), 428963, 20, 62),
    _rule("self.all(x, true)", mapping(mapping(NUMBER)), 1179647, 10, 32),
    _rule("self.all(x, true)", mapping(array(NUMBER)), 1179647, 25, 77),
    _rule("self.all(x, true)", mapping(DURATION), 1048577, 5, 17),
    _rule("self.all(x, true)", mapping(DATE), 524288, 10, 32),
    _rule("self.all(x, true)", mapping(DATE_TIME), 349526, 25, 77),
    _rule("self.find('[0-9]+') == ''", STRING, 629147, 10, 11),
    _rule("self.lowerAscii() == 'lower!'", STRING, 314575, 10, 6),
    _rule("oldSelf.size() == self.size()", mapping(INT), 5, 10, 5),
    _rule('self["a"] == self["b"]', mapping(DATE_TIME), 8, 7, 8),
    _rule('self["c"] == self["d"]', mapping(DURATION), 8, 42, 8),
    _rule("self.contains('A')", {"type": "string", "enum": ["A", "B", "C", "LongValue"]}, 2, 1000, 401),
]


@pytest.mark.parametrize(("expression", "schema", "without", "most", "with_limit"), STATIC)
def test_estimate(expression: str, schema: dict[str, Any], without: int, most: int, with_limit: int) -> None:
    found = environment(schema).compile(expression, cel.BOOL).cost_estimate().most
    if without:
        assert found == without
    else:
        assert found > cel.PER_RULE_LIMIT
    assert environment(_limited(schema, most)).compile(expression, cel.BOOL).cost_estimate().most == with_limit


@pytest.mark.parametrize(
    ("expression", "schema", "expected"),
    [
        ("self.join(' ') == 'aa bb'", array(_limited(STRING, 10), maxItems=10), 43),
        ("self.join(' ') == 'aa bb'", array(STRING), 329853068905),
        ("self.isSorted() == true", array(_limited(STRING, 10), maxItems=10), 52),
        ("self.isSorted() == true", array(STRING), 329854432052),
        (
            "self.str.replace(self.before, self.after) == 'does not matter'",
            obj(str=_limited(STRING, 4), before=_limited(STRING, 2), after=_limited(STRING, 4)),
            12,
        ),
        ("self.str.split(self.separator) == []", obj(str=_limited(STRING, 10), separator=_limited(STRING, 10)), 22),
        ("self.str.split(self.separator) == []", obj(str=STRING, separator=STRING), 629160),
        ("self.all(x, x.contains(self[x]))", mapping(_limited(STRING, 10), maxProperties=10), 72),
        ("self.all(x, x.contains(self[x]))", mapping(STRING), 2752507),
    ],
)
def test_estimate_of_libraries(expression: str, schema: dict[str, Any], expected: int) -> None:
    assert environment(schema).compile(expression, cel.BOOL).cost_estimate().most == expected


def test_what_is_said_of_a_rule_that_is_too_expensive() -> None:
    tail = (
        "(try simplifying the rule, or adding maxItems, maxProperties, and maxLength where arrays, maps, and strings "
        "are declared)"
    )
    assert cel.over_budget(10**7, cel.PER_RULE_LIMIT) == ""
    start = "estimated rule cost exceeds budget by factor of"
    assert cel.over_budget(10**10, cel.PER_RULE_LIMIT) == f"{start} more than 100x {tail}"
    assert cel.over_budget(27 * 10**6, cel.PER_RULE_LIMIT) == f"{start} 2.7x {tail}"
    assert cel.over_budget(10**7 + 1, cel.PER_RULE_LIMIT) == f"{start} 1.000000x {tail}"


def test_budgets() -> None:
    program = environment(obj(array=array(INT))).compile("self.array.all(e, e >= 0)")
    small = {"self": {"array": list(range(10))}}
    budget = cel.Budget(remaining=100)
    assert program.evaluate(small, budget) is True
    assert budget.remaining == 100 - 53
    assert not budget.spent_out
    program.evaluate(small, budget)
    assert budget.spent_out
    with pytest.raises(cel.BudgetExceeded, match="operation cancelled: actual cost limit exceeded"):
        program.evaluate({"self": {"array": list(range(10))}}, cel.Budget(per_call=52))
    assert program.evaluate(small, cel.Budget(per_call=53)) is True
