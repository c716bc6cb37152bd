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
from kaa.kinds.custom.structural import LIST_TYPE, MAP_TYPE, RULES
from kaa.kinds.custom.values import correlated, same
from kaa.meta.problems import (
    Path,
    Problem,
    duplicate,
    forbidden_field,
    internal_problem,
    invalid,
    not_supported,
    required,
)

__all__ = ["BadPath", "Rules", "check", "check_words", "compile_rules", "evaluate", "field_path"]

Json = dict[str, Any]

REASONS = ("FieldValueDuplicate", "FieldValueForbidden", "FieldValueInvalid", "FieldValueRequired")
MESSAGE_BYTES_MAX = 5 * 1024
OUT_OF_BUDGET = "validation failed due to running out of cost budget, no further validation rules will be run"
#: An unbounded list can have as many items as fit into a request.
_REQUEST_BYTES = 3 * 1024 * 1024


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


def _environment(raw: Json, root: bool, *, optional_old: bool) -> cel.Environment | None:
    kind = cel.type_of_openapi(raw, name="selfType", resource_root=root)
    if kind is None:
        return None
    return cel.Environment({"self": kind, "oldSelf": cel.optional_of(kind) if optional_old else kind})


def _compiled(raw: Json, rule: Json, root: bool) -> _Rule:
    optional_old = bool(rule.get("optionalOldSelf"))
    environment = _environment(raw, root, optional_old=optional_old)
    if environment is None:
        raise BadPath("expressions cannot see this part of the schema")
    program = environment.compile(rule["rule"], cel.BOOL)
    message = environment.compile(rule["messageExpression"], cel.STRING) if rule.get("messageExpression") else None
    path = tuple(_steps(rule["fieldPath"].strip(), raw)[0]) if rule.get("fieldPath") else ()
    return _Rule(rule, program, message, path, optional_old)


class BadPath(ValueError):
    """A path leads nowhere in a schema; `str()` says why, in the original's words."""


def field_path(text: str, raw: Json, *, lists: bool = True) -> tuple[tuple[str, ...], Json]:
    """The names that a path such as `.spec['a.b'].c` goes by, and the schema it leads to. Raises BadPath.

    `lists`: brackets may be used."""
    steps, node = _steps(text, raw, lists=lists)
    return tuple(name for name, _ in steps), node


def _steps(text: str, raw: Json, *, lists: bool = True) -> tuple[list[tuple[str, bool]], Json]:
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


# --- checking a definition


class _Total:
    """What all expressions of a schema cost together, and which of them cost most."""

    def __init__(self) -> None:
        self.cost = 0
        self._parts: list[tuple[int, Path]] = []

    def add(self, cost: int, path: Path) -> None:
        """One more expression."""
        self.cost += cost
        if cost >= cel.TOTAL_LIMIT // 100:
            self._parts.append((cost, path))

    def greatest(self) -> list[Path]:
        """The few that are worth changing."""
        return [path for _, path in sorted(self._parts, key=lambda part: -part[0])[:4]]


def check_words(raw: Json, path: Path) -> Iterator[Problem]:
    """Every problem of a schema's rules beside their expressions."""
    for at, rule in enumerate(raw.get(RULES) or ()):
        yield from _check_rule_words(raw, rule, (path / RULES)[at])
    for below, inner in _below(raw, path):
        yield from check_words(inner, below)


def _below(raw: Json, path: Path) -> Iterator[tuple[Path, Json]]:
    for name, child in (raw.get("properties") or {}).items():
        yield (path / "properties")[name], child
    for word in ("items", "additionalProperties"):
        if isinstance(raw.get(word), dict):
            yield path / word, raw[word]


def _check_rule_words(raw: Json, rule: Json, path: Path) -> Iterator[Problem]:
    text, message = (rule.get("rule") or "").strip(), rule.get("message") or ""
    if not text:
        yield required(path / "rule", "rule is not specified")
    elif message and not message.strip():
        yield invalid(path / "message", message, "message must be non-empty if specified")
    elif _has_breaks(message.strip()):
        yield invalid(path / "message", message, "message must not contain line breaks")
    elif _has_breaks(text) and not message:
        yield required(path / "message", "message must be specified if rule contains line breaks")
    if rule.get("messageExpression") and not rule["messageExpression"].strip():
        yield required(path / "messageExpression", "messageExpression must be non-empty if specified")
    if rule.get("reason") and rule["reason"] not in REASONS:
        yield not_supported(path / "reason", rule["reason"], REASONS)
    where = rule.get("fieldPath") or ""
    if where:
        if not where.strip():
            yield invalid(path / "fieldPath", where, "fieldPath must be non-empty if specified")
        if _has_breaks(where):
            yield invalid(path / "fieldPath", where, "fieldPath must not contain line breaks")
        try:
            _steps(where, raw)
        except BadPath:
            yield invalid(path / "fieldPath", where, "fieldPath must be a valid path")


def _has_breaks(text: str) -> bool:
    return "\n" in text or "\r" in text


def check(schema: Json, path: Path) -> Iterator[Problem]:
    """Every problem of the expressions of a schema's rules, which `check_words` has found in order."""
    total = _Total()
    yield from _check(schema, path, root=True, times=1, lost=None, total=total)
    over = cel.over_budget(
        total.cost, cel.TOTAL_LIMIT, "x-kubernetes-validations estimated rule cost total for entire OpenAPIv3 schema"
    )
    if over:
        for each in total.greatest():
            yield forbidden_field(
                each, "contributed to estimated rule cost total exceeding cost limit for entire OpenAPIv3 schema"
            )
        yield forbidden_field(path, over)


def _check(raw: Json, path: Path, *, root: bool, times: int | None, lost: Path | None, total: _Total) -> (
        Iterator[Problem]):  # fmt: skip
    """`times`: how often this part can stand in an object; None where nothing bounds it. `lost`: the part above from
    which on an old value cannot be found."""
    for name, child in (raw.get("properties") or {}).items():
        gone = path if lost is None and raw.get(MAP_TYPE) == "atomic" else lost
        yield from _check(child, (path / "properties")[name], root=False, times=times, lost=gone, total=total)
    items, additional = raw.get("items"), raw.get("additionalProperties")
    if isinstance(items, dict):
        gone = path if lost is None and raw.get(LIST_TYPE) != "map" else lost
        yield from _check(items, path / "items", root=False, times=_times(times, raw.get("maxItems")), lost=gone,
                          total=total)  # fmt: skip
    if isinstance(additional, dict):
        yield from _check(additional, path / "additionalProperties", root=False,
                          times=_times(times, raw.get("maxProperties")), lost=lost, total=total)  # fmt: skip
    for at, rule in enumerate(raw.get(RULES) or ()):
        yield from _check_rule(raw, rule, (path / RULES)[at], root, times, lost, total)


def _times(times: int | None, most: int | None) -> int | None:
    return None if times is None or most is None else times * most


def _unbounded(raw: Json) -> int:
    """How often a value can stand in a request of the largest size."""
    kind = cel.type_of_openapi(raw)
    return _REQUEST_BYTES // ((kind.min_size if kind is not None else 1) + 1)


def _check_rule(raw: Json, rule: Json, path: Path, root: bool, times: int | None, lost: Path | None,
                total: _Total) -> Iterator[Problem]:  # fmt: skip
    optional_old = bool(rule.get("optionalOldSelf"))
    environment = _environment(raw, root, optional_old=optional_old)
    if environment is None:
        yield internal_problem(path, "internal error: failed to retrieve type information for x-kubernetes-validations")
        return
    try:
        program = environment.compile(rule["rule"].strip(), cel.BOOL)
    except cel.CompileError as error:
        yield invalid(path / "rule", _told(rule), str(error))
        return
    often = _unbounded(raw) if times is None else times
    cost = min(program.cost_estimate().most * often, (1 << 64) - 1)
    if over := cel.over_budget(cost, cel.PER_RULE_LIMIT):
        yield forbidden_field(path / "rule", over)
    total.add(cost, path / "rule")
    if rule.get("messageExpression"):
        yield from _check_message(environment, rule, path, total)
    if "oldSelf" in program.used:
        if lost is not None:
            yield invalid(path / "rule", rule["rule"], "oldSelf cannot be used on the uncorrelatable portion of the "
                          f"schema within {lost}")  # fmt: skip
    elif rule.get("optionalOldSelf") is not None:
        yield invalid(path / "optionalOldSelf", optional_old, "may not be set if oldSelf is not used in rule")


def _told(rule: Json) -> Json:
    """A rule as the original prints its own form of it."""
    return {"Rule": rule.get("rule") or "", "Message": rule.get("message") or "",
            "MessageExpression": rule.get("messageExpression") or "", "Reason": rule.get("reason"),
            "FieldPath": rule.get("fieldPath") or "", "OptionalOldSelf": rule.get("optionalOldSelf")}  # fmt: skip


def _check_message(environment: cel.Environment, rule: Json, path: Path, total: _Total) -> Iterator[Problem]:
    try:
        program = environment.compile(rule["messageExpression"], cel.STRING)
    except cel.CompileError as error:
        yield invalid(path / "messageExpression", _told(rule), str(error))
        return
    # A message is made once, however often its rule is asked.
    cost = program.cost_estimate().most
    if over := cel.over_budget(cost, cel.PER_RULE_LIMIT, "estimated messageExpression cost"):
        yield forbidden_field(path / "messageExpression", over)
    total.add(cost, path / "messageExpression")


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
