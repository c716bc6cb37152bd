"""What is said of an expression that is no program: cel-go's report, with the place."""

import pytest

from kaa import cel

SPEC = cel.object_of("spec", {"name": cel.STRING, "n": cel.INT})
ENV = cel.Environment({"self": cel.object_of("object", {"spec": SPEC, "m": cel.map_of(cel.STRING, cel.INT)})})

ISSUES: list[tuple[str, int, str]] = [
    # expression, column, message
    ("x", 1, "undeclared reference to 'x' (in container '')"),
    ("1 + x", 5, "undeclared reference to 'x' (in container '')"),
    ("self.specs", 5, "undefined field 'specs'"),
    ("has(self.spec.nope)", 14, "undefined field 'nope'"),
    ("self.spec.n.deeper", 12, "type 'int' does not support field selection"),
    ("self.spec.n == 'a'", 13, "found no matching overload for '_==_' applied to '(int, string)'"),
    ("self.spec.name == null", 16, "found no matching overload for '_==_' applied to '(string, null)'"),
    ("1 == 1.0", 3, "found no matching overload for '_==_' applied to '(int, double)'"),
    ("1 + 'a'", 3, "found no matching overload for '_+_' applied to '(int, string)'"),
    ("!1", 1, "found no matching overload for '!_' applied to '(int)'"),
    ("1 && true", 3, "found no matching overload for '_&&_' applied to '(int, bool)'"),
    ("'a'.nope()", 9, "undeclared reference to 'nope' (in container '')"),
    ("nope('a')", 5, "undeclared reference to 'nope' (in container '')"),
    ("'a'.startsWith(1)", 15, "found no matching overload for 'startsWith' applied to 'string.(int)'"),
    ("self.m['a'] + 'x'", 13, "found no matching overload for '_+_' applied to '(int, string)'"),
    ("self.m[1]", 7, "found no matching overload for '_[_]' applied to '(map(string, int), int)'"),
    ("[1, 'a']", 5, "expected type 'int' but found 'string'"),
    ("{'a': 1, 'b': 'c'}", 15, "expected type 'int' but found 'string'"),
    (
        "self.spec.n.all(i, true)",
        10,
        "expression of type 'int' cannot be range of a comprehension (must be list, map, or dynamic)",
    ),
    ("[1].all(i, i)", 8, "found no matching overload for '_&&_' applied to '(bool, int)'"),
    ("[1].all(i.j, true)", 10, "argument must be a simple name"),
    ("has(self)", 5, "invalid argument to has() macro"),
    ("true ? 1 : 'a'", 6, "found no matching overload for '_?_:_' applied to '(bool, int, string)'"),
    ("duration('x')", 10, "invalid duration argument"),
    ("timestamp('x')", 11, "invalid timestamp argument"),
    ("'a'.matches('(')", 13, "invalid matches argument"),
    ("9223372036854775808", 1, "invalid int literal"),
    ("18446744073709551616u", 1, "invalid uint literal"),
    ("Object{a: 1}", 7, "undeclared reference to 'Object' (in container '')"),
    ("for + 1", 1, "reserved identifier: for"),
    ("(1 + 2", 7, "Syntax error: mismatched input '<EOF>' expecting ')'"),
    ("1 + ", 5, "Syntax error: mismatched input '<EOF>' expecting {'[', '{', '(', '.', '-', '!', 'true', 'false', "
     "'null', NUM_FLOAT, NUM_INT, NUM_UINT, STRING, BYTES, IDENTIFIER}"),
    ("1 )", 3, "Syntax error: extraneous input ')' expecting <EOF>"),
    ("self.spec.k! == 1", 12, "Syntax error: mismatched input '!' expecting <EOF>"),
    ("self.true == 1", 6, "Syntax error: mismatched input 'true' expecting IDENTIFIER"),
    ("self.spec['n'] == 1", 10, "found no matching overload for '_[_]' applied to '(spec, string)'"),
    ("self.spec == {'n': 1}", 11, "found no matching overload for '_==_' applied to '(spec, map(string, int))'"),
    ("string(type(self.spec))", 7, "found no matching overload for 'string' applied to '(type(spec))'"),
    ("1 # 2", 3, "Syntax error: token recognition error at: '#'"),
    ("'a", 1, "Syntax error: token recognition error at: ''a'"),
    ("self.?spec.n + 1", 14, "found no matching overload for '_+_' applied to '(optional_type(int), int)'"),
]  # fmt: skip


@pytest.mark.parametrize(("expression", "column", "message"), ISSUES)
def test_issue(expression: str, column: int, message: str) -> None:
    with pytest.raises(cel.CompileError) as caught:
        ENV.compile(expression)
    caret = "." * (column - 1) + "^"
    assert str(caught.value) == (
        f"compilation failed: ERROR: <input>:1:{column}: {message}\n | {expression}\n | {caret}"
    )


def test_every_issue_is_reported_in_order() -> None:
    with pytest.raises(cel.CompileError) as caught:
        ENV.compile("self.a +\n  b")
    assert str(caught.value) == (
        "compilation failed: ERROR: <input>:1:5: undefined field 'a'\n | self.a +\n | ....^\n"
        "ERROR: <input>:2:3: undeclared reference to 'b' (in container '')\n |   b\n | ..^"
    )


def test_wide_characters_keep_the_caret_in_its_column() -> None:
    with pytest.raises(cel.CompileError) as caught:
        ENV.compile("'👑' + x")
    assert str(caught.value).endswith(" | '👑' + x\n | .．....^")


@pytest.mark.parametrize("expression", ["1", "self.spec.name", "dyn(true)"])
def test_the_result_is_of_the_type_asked_for(expression: str) -> None:
    with pytest.raises(cel.WrongResult, match="must evaluate to bool"):
        ENV.compile(expression, cel.BOOL)


def test_a_value_that_is_not_as_its_schema_says() -> None:
    program = ENV.compile("self.spec.n + 1")
    with pytest.raises(cel.EvaluationError, match="no such overload"):
        program.evaluate({"self": {"spec": {"n": "text"}}})
    with pytest.raises(cel.EvaluationError, match="no such overload"):
        program.evaluate({"self": {"spec": "text"}})
    with pytest.raises(cel.EvaluationError, match="no such key: spec"):
        program.evaluate({"self": {}})
