"""What is wrong with the rules of a schema when its definition is written: their words, expressions and costs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from kaa import cel
from kaa.kinds.custom.expressions import BadPath, environment_of, steps_of
from kaa.kinds.custom.structural import LIST_TYPE, MAP_TYPE, RULES
from kaa.meta.problems import Path, Problem, forbidden_field, internal_problem, invalid, not_supported, required

__all__ = ["check", "check_words"]

Json = dict[str, Any]

REASONS = ("FieldValueDuplicate", "FieldValueForbidden", "FieldValueInvalid", "FieldValueRequired")
#: An unbounded list can have as many items as fit into a request.
_REQUEST_BYTES = 3 * 1024 * 1024


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
            steps_of(where, raw)
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
    environment = environment_of(raw, root, optional_old=optional_old)
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
