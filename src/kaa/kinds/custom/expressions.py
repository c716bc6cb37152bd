"""Validation rules in CEL (`x-kubernetes-validations`): checked when a definition is written, run when an object is.

Each described value has an environment of its own: `self`, and `oldSelf` where there is an old value to compare with.
Costs are bounded as in the original: by estimate when the definition is written, and by account when rules run.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from kaa import cel
from kaa.kinds.custom.schema import MISSING
from kaa.kinds.custom.structural import LIST_TYPE, RULES
from kaa.kinds.custom.values import correlated, same
from kaa.meta.problems import (
    Path,
    Problem,
    duplicate,
    forbidden_field,
    internal_problem,
    invalid,
    required,
)

__all__ = ["BadPath", "Rules", "compile_rules", "environment_of", "evaluate", "field_path", "steps_of"]

Json = dict[str, Any]

MESSAGE_BYTES_MAX = 5 * 1024
OUT_OF_BUDGET = "validation failed due to running out of cost budget, no further validation rules will be run"


@dataclass(slots=True)
class _Rule:
    raw: Json
    program: cel.Program
    #: None where there is no expression for the message.
    message: cel.Program | None
    path: tuple[tuple[str, bool], ...]
    optional_old: bool

    @property
    def uses_old(self) -> bool:
        return "oldSelf" in self.program.used


@dataclass(slots=True)
class Rules:
    """The compiled rules at a value and below; None stands for a part that has none."""

    type: str
    rules: list[_Rule]
    properties: dict[str, Rules]
    items: Rules | None
    values: Rules | None
    list_type: str
    list_keys: tuple[str, ...]

    @property
    def empty(self) -> bool:
        """Nothing to run here or below."""
        return not (self.rules or self.properties or self.items or self.values)


# --- compiling


def compile_rules(raw: Json, *, root: bool = False) -> Rules | None:
    """The rules of a schema; None where it has none. The definition has been checked before."""
    return _compile(raw, root=root)


def _compile(raw: Json, *, root: bool = False) -> Rules | None:
    made: list[_Rule] = []
    for each in raw.get(RULES) or ():
        try:
            made.append(_compiled(raw, each, root))
        except (cel.CompileError, BadPath):
            continue  # stored before rules were checked as they are now: nothing that can be run
    properties = {}
    for name, child in (raw.get("properties") or {}).items():
        below = _compile(child)
        if below is not None:
            properties[name] = below
    items, additional = raw.get("items"), raw.get("additionalProperties")
    rules = Rules(
        raw.get("type") or "",
        made,
        properties,
        _compile(items) if isinstance(items, dict) else None,
        _compile(additional) if isinstance(additional, dict) else None,
        raw.get(LIST_TYPE) or "",
        tuple(raw.get("x-kubernetes-list-map-keys") or ()),
    )
    return None if rules.empty else rules


def environment_of(raw: Json, root: bool, *, optional_old: bool) -> cel.Environment | None:
    kind = cel.type_of_openapi(raw, name="selfType", resource_root=root)
    if kind is None:
        return None
    return cel.Environment({"self": kind, "oldSelf": cel.optional_of(kind) if optional_old else kind})


def _compiled(raw: Json, rule: Json, root: bool) -> _Rule:
    optional_old = bool(rule.get("optionalOldSelf"))
    environment = environment_of(raw, root, optional_old=optional_old)
    if environment is None:
        raise BadPath("expressions cannot see this part of the schema")
    program = environment.compile(rule["rule"], cel.BOOL)
    message = environment.compile(rule["messageExpression"], cel.STRING) if rule.get("messageExpression") else None
    path = tuple(steps_of(rule["fieldPath"].strip(), raw)[0]) if rule.get("fieldPath") else ()
    return _Rule(rule, program, message, path, optional_old)


class BadPath(ValueError):
    """A path leads nowhere in a schema; `str()` says why, in the original's words."""


def field_path(text: str, raw: Json, *, lists: bool = True) -> tuple[tuple[str, ...], Json]:
    """The names that a path such as `.spec['a.b'].c` goes by, and the schema it leads to. Raises BadPath.

    `lists`: brackets may be used."""
    steps, node = steps_of(text, raw, lists=lists)
    return tuple(name for name, _ in steps), node


def steps_of(text: str, raw: Json, *, lists: bool = True) -> tuple[list[tuple[str, bool]], Json]:
    """The steps of a path: a name, and whether it is a key of a map; and the schema it leads to."""
    at, node, steps = 0, raw, []
    if not text:
        raise BadPath("must not be empty")
    while at < len(text):
        if text[at] == ".":
            end = at + 1
            while end < len(text) and text[end] not in ".[":
                end += 1
            name = text[at + 1 : end]
            child = (node.get("properties") or {}).get(name)
            if not name or child is None:
                raise BadPath("does not refer to a valid field")
            steps.append((name, False))
        elif text.startswith("['", at) and lists:
            close = text.find("']", at)
            if close < 0:
                raise BadPath("unexpected end of JSON path")
            name, end = text[at + 2 : close].replace("\\'", "'"), close + 2
            child = (node.get("properties") or {}).get(name)
            keyed = child is None and isinstance(node.get("additionalProperties"), dict)
            if keyed:
                child = node["additionalProperties"]
            if child is None:
                raise BadPath("does not refer to a valid field")
            steps.append((name, keyed))
        else:
            raise BadPath(f"expected [ or . but got: {text[at:]}" if lists else f"expected . but got: {text[at:]}")
        at, node = end, child
    return steps, node


# --- running


def evaluate(rules: Rules | None, new: Any, old: Any) -> Iterator[Problem]:
    """The rules a value breaks. `old` is MISSING at a create. Rules may count on a value being as its schema says: this
    is to be asked of such values only."""
    if rules is None:
        return
    budget = cel.Budget()
    yield from _run(rules, new, old, Path(), budget, False)


def _run(rules: Rules, value: Any, old: Any, path: Path, budget: cel.Budget, unchanged: bool) -> Iterator[Problem]:
    if value is None:
        return
    unchanged = unchanged or (old is not MISSING and same(value, old))
    for rule in rules.rules:
        if budget.spent_out:
            return
        yield from _judge(rule, rules.type, value, old, path, budget, unchanged)
    if isinstance(value, dict):
        was = old if isinstance(old, dict) else {}
        for name, inner in value.items():
            below = rules.properties.get(name, rules.values)
            if below is not None and not budget.spent_out:
                where = path / name if name in rules.properties else path[name]
                yield from _run(below, inner, was.get(name, MISSING), where, budget, unchanged)
    elif isinstance(value, list) and rules.items is not None:
        olds = correlated(old, rules.list_type, rules.list_keys)
        for at, item in enumerate(value):
            if budget.spent_out:
                return
            yield from _run(rules.items, item, olds(item, at), path[at], budget, unchanged)


def _judge(rule: _Rule, kind: str, value: Any, old: Any, path: Path, budget: cel.Budget,
           unchanged: bool) -> Iterator[Problem]:  # fmt: skip
    there = old is not MISSING and old is not None
    if rule.uses_old and not there and not rule.optional_old:
        return  # a rule of transition, with nothing to come from
    bindings = {"self": value, "oldSelf": old if there else None}
    shown = _shown(rule)
    try:
        passed = rule.program.evaluate(bindings, budget)
    except cel.BudgetExceeded as error:
        budget.remaining = -1
        yield invalid(path, kind, f"'{error}': no further validation rules will be run due to call cost exceeds limit "
                      f"for rule: {shown}")  # fmt: skip
        return
    except cel.EvaluationError as error:
        if str(error).startswith("no such overload"):
            why = "call arguments did not match a supported operator, function or macro signature"
            yield invalid(path, kind, f"'{error}': {why} for rule: {shown}")
        else:
            yield invalid(path, kind, f"{error} evaluating rule: {shown}")
        return
    if budget.spent_out:
        yield invalid(path, kind, OUT_OF_BUDGET)
        return
    if passed is True or (unchanged and not rule.uses_old):
        return
    for name, keyed in rule.path:
        path = path[name] if keyed else path / name
    detail = _message(rule, bindings, budget) or rule.raw.get("message", "").strip() or f"failed rule: {shown}"
    yield _problem(path, kind, detail, rule.raw.get("reason") or "")


def _message(rule: _Rule, bindings: Json, budget: cel.Budget) -> str:
    """What the message expression says; "" where there is none, or it says nothing usable."""
    if rule.message is None:
        return ""
    try:
        text = rule.message.evaluate(bindings, budget)
    except (cel.BudgetExceeded, cel.EvaluationError):
        return ""
    usable = isinstance(text, str) and text.strip() and "\n" not in text and len(text.encode()) <= MESSAGE_BYTES_MAX
    return text.strip() if usable else ""


def _shown(rule: _Rule) -> str:
    return str(rule.raw.get("message", "").strip() or rule.raw["rule"].strip())


def _problem(path: Path, kind: str, detail: str, reason: str) -> Problem:
    match reason:
        case "FieldValueForbidden":
            return forbidden_field(path, detail)
        case "FieldValueRequired":
            return required(path, detail)
        case "FieldValueDuplicate":
            return duplicate(path, kind) if not detail else duplicate(path, kind, detail)
        case "":
            return invalid(path, kind, detail)
        case "FieldValueInvalid":
            return invalid(path, kind, detail)
        case _:
            return internal_problem(path, f"unknown reason {reason}")
