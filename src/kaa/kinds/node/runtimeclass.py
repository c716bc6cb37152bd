"""RuntimeClasses: which runtime a pod's containers are started with."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from kaa.kinds import checks, formats
from kaa.kinds.core.affinity import validate_tolerations
from kaa.kinds.metadata import labels
from kaa.kinds.row import row as _row
from kaa.kinds.spec import AGE_COLUMN, NAME_COLUMN, Column, Rules
from kaa.meta import names, quantity
from kaa.meta.problems import Path, Problem, invalid

__all__ = ["RULES"]

Json = dict[str, Any]
_ROOT = Path()
_CONTAINER_RESOURCES = {"cpu", "memory", "ephemeral-storage"}


def _validate(obj: Json) -> Iterator[Problem]:
    yield from formats.each_wrong(names.dns1123_label, obj.get("handler", ""), _ROOT / "handler")
    fixed = (obj.get("overhead") or {}).get("podFixed") or {}
    # The original checks the overhead as the limits of a container, and calls it so.
    for name, amount in fixed.items():
        yield from _amount(name, amount, (_ROOT / "overhead" / "limits")[name])
    scheduling = obj.get("scheduling")
    if scheduling is not None:
        here = _ROOT / "scheduling"
        yield from labels(scheduling.get("nodeSelector") or {}, here / "nodeSelector")
        yield from validate_tolerations(scheduling.get("tolerations") or [], here / "tolerations")


def _amount(name: str, amount: Any, path: Path) -> Iterator[Problem]:
    yield from formats.label_name(name, path)
    if "/" not in name and name not in _CONTAINER_RESOURCES and not name.startswith("hugepages-"):
        yield invalid(path, name, "must be a standard resource for containers")
    if quantity.parse(amount).nano < 0:
        yield invalid(path, amount, checks.NON_NEGATIVE)


def _update(new: Json, old: Json) -> Iterator[Problem]:
    yield from checks.immutable(new, old, "handler", _ROOT)


RULES = Rules(
    validate=_validate,
    complete=True,
    validate_update=_update,
    columns=(NAME_COLUMN, Column("Handler", description="what the node's runtime calls this class"), AGE_COLUMN),
    cells=_row(lambda obj: obj.get("handler", "")),
)
