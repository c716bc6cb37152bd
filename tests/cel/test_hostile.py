"""What nobody should write, answered in bounded time and memory."""

import random
import resource
import time
from typing import Any

import pytest

from kaa import cel
from kaa.cel.lexer import tokens

ENV = cel.Environment({"self": cel.DYN, "items": cel.list_of(cel.INT), "s": cel.STRING})
#: The slowest answer allowed, in seconds: a whole per-call budget is about a third of this on a slow machine.
SECONDS_MAX = 5.0
BYTES_MAX = 512 * 1024 * 1024

_TEN = "[0,1,2,3,4,5,6,7,8,9]"


def _nest(template: str, times: int, inner: str) -> str:
    for number in range(times):
        inner = template.replace("@", f"v{number}").replace("#", inner)
    return inner


def _binds(first: str, step: str, times: int, result: str) -> str:
    """cel.bind(v0, first, cel.bind(v1, step of v0, ...))."""
    text = result.replace("@", f"v{times}")
    for number in range(times, 0, -1):
        text = f"cel.bind(v{number}, {step.replace('@', f'v{number - 1}')}, {text})"
    return f"cel.bind(v0, {first}, {text})"


UNCOMPILABLE = {
    "parentheses": "(" * 10_000 + "1" + ")" * 10_000,
    "open parentheses": "(" * 50_000,
    "lists": "[" * 10_000 + "]" * 10_000,
    "maps": "{1:" * 10_000 + "1" + "}" * 10_000,
    "mixed signs": "-!" * 20_000 + "1",
    "ternaries": "true ? " * 10_000 + "1" + " : 1" * 10_000,
    "indices": "self" + "[0]" * 10_000,
    "fields": "self" + ".a" * 20_000,
    "sums": "1" + " + 1" * 20_000,
    "nested macros": _nest("[1].all(@, #)", 1_000, "true"),
    "calls": "size(" * 10_000 + "''" + ")" * 10_000,
    "a huge text": "'" + "a" * 200_000 + "'",
    "an unclosed text": "'" + "\\\\" * 49_000,
    "unclosed triple quotes": "'''" + "\\'" * 49_000,
    "a huge number": "9" * 90_000,
    "a pattern too large": "'a'.matches('((a{1000}){1000}){1000}')",
    "nothing but tokens": "#" * 90_000,
    "commas": "[" + "," * 50_000,
}


@pytest.mark.parametrize("name", UNCOMPILABLE)
def test_refused_at_once(name: str) -> None:
    start = time.monotonic()
    with pytest.raises(cel.CompileError) as caught:
        ENV.compile(UNCOMPILABLE[name])
    assert time.monotonic() - start < SECONDS_MAX
    assert len(str(caught.value)) < 500_000


STOPPED: dict[str, str] = {
    "nested loops": _nest(f"{_TEN}.all(@, #)", 12, "true"),
    "nested loops of results": _nest(f"{_TEN}.map(@, #)", 8, "1"),
    "nested loops with two names": _nest(f"{_TEN}.all(@, @x, #)", 12, "true"),
    "a long list, squared": "items.all(a, items.all(b, a == a))",
    "a text doubled": _binds("'0123456789'", "@ + @", 60, "size(@)"),
    "a text doubled by join": _binds("'0123456789'", "[@, @, @, @].join(@)", 20, "size(@)"),
    "a text replaced": _binds("s", "@.replace('a', @)", 10, "size(@)"),
    "a text between each of its characters": "s.replace('', s).replace('', s).size()",
    "a text formatted": _binds("'0123456789'", "'%s%s%s%s'.format([@, @, @, @])", 40, "size(@)"),
    "a list shown": _binds("[dyn('0123456789')]", "[dyn(@), dyn(@)]", 60, "'%s'.format([@])"),
    "lists compared": _binds("[dyn(1)]", "[dyn(@), dyn(@)]", 60, "@ == [@[0], @[0]]"),
    "maps compared": _binds("{'a': dyn(1)}", "{'a': dyn(@), 'b': dyn(@)}", 60, "@ == {'a': @.b, 'b': @.a}"),
    "sets of long lists": "sets.equivalent(items, items.map(i, i + 1))",
    "long lists joined in a loop": "items.map(i, (items + items).size()).sum() > 0 && items.all(i, i in (items + [i]))",
    "a pattern over a long text": "items.exists(i, s.matches('(a|b|c|d|e|f|g)*x'))",
    "a precision": "'%.999999f'.format([1.0])",
}  # fmt: skip


@pytest.mark.parametrize("name", STOPPED)
def test_stopped_in_time(name: str) -> None:
    bindings: dict[str, Any] = {"items": list(range(20_000)), "s": "a" * 20_000, "self": {}}
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = time.monotonic()
    with pytest.raises((cel.BudgetExceeded, cel.EvaluationError)):
        ENV.compile(STOPPED[name]).evaluate(bindings)
    assert time.monotonic() - start < SECONDS_MAX
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024
    assert grown < BYTES_MAX


BOMBS = ["(a+)+$", "(a|a)*$", "(a|aa)+$", "(.*a){25}", "([a-zA-Z]+)*$", "(x+x+)+y"]


@pytest.mark.parametrize("pattern", BOMBS)
def test_patterns_do_not_explode(pattern: str) -> None:
    start = time.monotonic()
    program = ENV.compile(f"s.matches('{pattern}') || true")
    assert program.evaluate({"s": "a" * 50_000 + "!"}) is True
    assert time.monotonic() - start < SECONDS_MAX


def test_long_chains_of_terms_are_fine() -> None:
    text = " || ".join(f"self.name == 'n{number}'" for number in range(2_000))
    assert ENV.compile(text).evaluate({"self": {"name": "n1999"}}) is True
    assert ENV.compile(" && ".join(["true"] * 10_000)).evaluate({}) is True


def test_nesting_within_reason_is_fine() -> None:
    assert ENV.compile("(" * 100 + "1" + ")" * 100).evaluate({}) == 1
    assert ENV.compile("1" + " + 1" * 100).evaluate({}) == 101


def test_deep_values_are_no_crash() -> None:
    deep: Any = 1
    for _ in range(5_000):
        deep = [deep]
    with pytest.raises(cel.EvaluationError, match="value is nested too deeply"):
        ENV.compile("self.a == self.b").evaluate({"self": {"a": deep, "b": [deep[0]]}})


def test_joined_lists_cost_no_copies() -> None:
    text = _binds("items", "@ + @", 50, "@.size()")
    start = time.monotonic()
    assert ENV.compile(text).evaluate({"items": [1, 2, 3]}) == 3 * 2**50
    assert time.monotonic() - start < 1


def test_a_whole_budget_is_bounded_in_time() -> None:
    budget = cel.Budget()
    program = ENV.compile("items.all(a, items.all(b, a == a))")
    start = time.monotonic()
    runs = 0
    while not budget.spent_out and runs < 3:
        with pytest.raises(cel.BudgetExceeded):
            program.evaluate({"items": list(range(2_000))}, budget)
        runs += 1
    assert budget.remaining <= cel.BUDGET - 3 * cel.PER_CALL_LIMIT
    assert time.monotonic() - start < SECONDS_MAX


_SEEDS = [
    "self.list.filter(i, i > 1).map(i, i * 2) == [4, 6]",
    "self.?a.b.orValue({'x': [1, 2.5, 'y', null]}) != {}",
    "has(self.a.b) && self.a['b'] in ['c', \"d\"] || !(s.matches('^a+$') ? true : false)",
    "cel.bind(v, items, v.all(i, j, i < j) && sets.contains(v, [1u]))",
    "timestamp('2020-01-01T00:00:00Z') + duration('1h') < timestamp(0)",
    "'%s %d'.format([dyn(s), -1]).split(' ')[?0].optMap(x, x + 'a').value()",
    "{1: b'x', ?2: optional.of(b'y')}.transformMap(k, v, size(v) + k)",
    "quantity('1Gi').add(5).isGreaterThan(quantity(s)) && ip('::1').family() == 6",
]


def test_words_thrown_together_crash_nothing() -> None:
    """Programs and non-programs alike end in a value or in one of the package's own errors."""
    chance = random.Random(20260)
    texts = [[token.text for token in tokens(seed)[:-1]] for seed in _SEEDS]
    words = [word for text in texts for word in text]
    compiled = 0
    for _ in range(8_000):
        text = list(chance.choice(texts))
        for _ in range(chance.randint(1, 2)):
            at = chance.randrange(len(text) + 1)
            match chance.randrange(3):
                case 0:
                    text[at : at + 1] = [chance.choice(words)]
                case 1:
                    text[at:at] = ["(", *chance.choice(texts), ")"]
                case _:
                    del text[at : at + chance.randint(1, 3)]
        try:
            program = ENV.compile(" ".join(text))
            compiled += 1
            program.cost_estimate()
            program.evaluate({"self": {"list": [1, 2], "a": {"b": "c"}}, "items": [1, 2], "s": "aa"}, cel.Budget())
        except (cel.CompileError, cel.EvaluationError, cel.BudgetExceeded):
            pass
    assert compiled > 100
