"""PriorityClasses: how important pods are, and whether they may push others out."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from kaa.kinds import checks, printing
from kaa.kinds.spec import AGE_COLUMN, NAME_COLUMN, Column, Rules
from kaa.meta.problems import Path, Problem, forbidden_field, not_supported, required

__all__ = ["RULES", "SYSTEM_PRIORITIES"]

Json = dict[str, Any]
_ROOT = Path()
USER_PRIORITY_MAX = 1_000_000_000
SYSTEM_PRIORITIES = {"system-node-critical": 2_000_001_000, "system-cluster-critical": 2_000_000_000}
PREEMPTION_POLICIES = ("PreemptLowerPriority", "Never")


def _default(obj: Json) -> None:
    obj.setdefault("preemptionPolicy", "PreemptLowerPriority")


def _of_system(name: str, obj: Json) -> str:
    """Why a name with the prefix of the system is not one of its classes; "" where it is."""
    wanted = SYSTEM_PRIORITIES.get(name)
    if wanted is None:
        return f"{name} is not a known system priority class"
    if obj.get("value", 0) != wanted:
        return f"value of {name} PriorityClass must be {wanted}"
    if obj.get("globalDefault"):
        return f"globalDefault of {name} PriorityClass must be false"
    return ""


def _validate(obj: Json) -> Iterator[Problem]:
    name, policy = obj["metadata"].get("name", ""), obj.get("preemptionPolicy")
    if name.startswith("system-"):
        wrong = _of_system(name, obj)
        if wrong:
            yield forbidden_field(
                _ROOT / "metadata" / "name",
                f"priority class names with 'system-' prefix are reserved for system use only. error: {wrong}",
            )
    elif obj.get("value", 0) > USER_PRIORITY_MAX:
        yield forbidden_field(
            _ROOT / "value", f"maximum allowed value of a user defined priority is {USER_PRIORITY_MAX}"
        )
    if policy == "":
        yield required(_ROOT / "preemptionPolicy")
    elif policy is not None and policy not in PREEMPTION_POLICIES:
        yield not_supported(_ROOT / "preemptionPolicy", policy, PREEMPTION_POLICIES, as_given=True)


def _update(new: Json, old: Json) -> Iterator[Problem]:
    if new.get("value", 0) != old.get("value", 0):
        yield forbidden_field(_ROOT / "value", "may not be changed in an update.")
    yield from checks.immutable(new, old, "preemptionPolicy", _ROOT)


RULES = Rules(
    default=_default,
    validate=_validate,
    complete=True,
    validate_update=_update,
    generation=True,
    columns=(
        NAME_COLUMN,
        Column("Value", "integer", description="the priority pods of this class have"),
        Column("Global-Default", "boolean", description="whether pods without a class belong to this one"),
        AGE_COLUMN,
        Column("PreemptionPolicy", description="whether its pods may push out others"),
    ),
    cells=lambda obj, now: [
        obj["metadata"].get("name", ""),
        obj.get("value", 0),
        bool(obj.get("globalDefault")),
        printing.age(obj, now),
        obj.get("preemptionPolicy", ""),
    ],
)
