"""PriorityLevelConfigurations: how many requests of a level run at a time, and where the others wait."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from kaa.kinds import printing
from kaa.kinds.flowcontrol.fixed import LEVELS
from kaa.kinds.flowcontrol.status import validate_status
from kaa.kinds.row import name as _name
from kaa.kinds.row import spec as _spec
from kaa.kinds.spec import AGE_COLUMN, NAME_COLUMN, Column, Rules
from kaa.meta.problems import Path, Problem, forbidden_field, invalid, not_supported, required

__all__ = ["RULES"]

Json = dict[str, Any]
_SPEC = Path() / "spec"
QUEUES_MAX = 10_000_000
#: A hand of queues is dealt from the bits of one hash.
HASH_BITS_MAX = 60


def _default(obj: Json) -> None:
    spec = obj.setdefault("spec", {})
    exempt, limited = spec.get("exempt"), spec.get("limited")
    if exempt is None and spec.get("type") == "Exempt":
        exempt = spec["exempt"] = {}
    if exempt is not None:
        exempt.setdefault("nominalConcurrencyShares", 0)
        exempt.setdefault("lendablePercent", 0)
    if limited is not None:
        limited.setdefault("nominalConcurrencyShares", 30)
        limited.setdefault("lendablePercent", 0)
        queuing = (limited.get("limitResponse") or {}).get("queuing")
        if queuing is not None:
            for field, value in (("handSize", 8), ("queues", 64), ("queueLengthLimit", 50)):
                queuing[field] = queuing.get(field) or value


def _validate(obj: Json) -> Iterator[Problem]:
    spec, name = _spec(obj), _name(obj)
    kind, limited, exempt = spec.get("type", ""), spec.get("limited"), spec.get("exempt")
    if (name == "exempt") != (kind == "Exempt"):
        yield invalid(_SPEC / "type", kind, "type must be 'Exempt' if and only if name is 'exempt'")
    if kind == "Exempt":
        if limited is not None:
            yield forbidden_field(_SPEC / "limited", "must be nil if the type is not Limited")
        if exempt is None:
            yield required(_SPEC / "exempt", "must not be empty when type is Exempt")
        else:
            yield from _shares(exempt, _SPEC / "exempt")
            yield from _lendable(exempt, _SPEC / "exempt")
    elif kind == "Limited":
        if exempt is not None:
            yield forbidden_field(_SPEC / "exempt", "must be nil if the type is Limited")
        if limited is None:
            yield required(_SPEC / "limited", "must not be empty when type is Limited")
        else:
            yield from _limited(limited, _SPEC / "limited")
    else:
        yield not_supported(_SPEC / "type", kind, ("Exempt", "Limited"))
    if name in LEVELS and _fixed(spec, name) != LEVELS[name]:
        yield invalid(_SPEC, spec, f"spec of '{name}' must equal the fixed value")


def _fixed(spec: Json, name: str) -> Json:
    """Of the exempt level, how many seats it has and lends may be chosen."""
    return {**spec, "exempt": LEVELS["exempt"]["exempt"]} if name == "exempt" and spec.get("exempt") else spec


def _shares(found: Json, path: Path) -> Iterator[Problem]:
    shares = found.get("nominalConcurrencyShares")
    if shares is not None and shares < 0:
        yield invalid(path / "nominalConcurrencyShares", shares, "must be a non-negative integer")


def _lendable(found: Json, path: Path) -> Iterator[Problem]:
    percent = found.get("lendablePercent")
    if percent is not None and not 0 <= percent <= 100:
        yield invalid(path / "lendablePercent", percent, "must be between 0 and 100, inclusive")


def _limited(limited: Json, path: Path) -> Iterator[Problem]:
    yield from _shares(limited, path)
    yield from _response(limited.get("limitResponse") or {}, path / "limitResponse")
    yield from _lendable(limited, path)
    borrowing = limited.get("borrowingLimitPercent")
    if borrowing is not None and borrowing < 0:
        yield invalid(path / "borrowingLimitPercent", borrowing, "if specified, must be a non-negative integer")


def _response(response: Json, path: Path) -> Iterator[Problem]:
    kind, queuing = response.get("type", ""), response.get("queuing")
    if kind == "Reject":
        if queuing is not None:
            yield forbidden_field(path / "queuing", "must be nil if limited.limitResponse.type is not Limited")
    elif kind == "Queue":
        if queuing is None:
            yield required(path / "queuing", "must not be empty if limited.limitResponse.type is Limited")
        else:
            yield from _queuing(queuing, path / "queuing")
    else:
        yield not_supported(path / "type", kind, ("Queue", "Reject"))


def _queuing(found: Json, path: Path) -> Iterator[Problem]:
    queues, hand = found.get("queues", 0), found.get("handSize", 0)
    if found.get("queueLengthLimit", 0) <= 0:
        yield invalid(path / "queueLengthLimit", found.get("queueLengthLimit", 0), "must be positive")
    if queues <= 0:
        yield invalid(path / "queues", queues, "must be positive")
    elif queues > QUEUES_MAX:
        yield invalid(path / "queues", queues, f"must not be greater than {QUEUES_MAX}")
    if hand <= 0:
        yield invalid(path / "handSize", hand, "must be positive")
    elif hand > queues:
        yield invalid(path / "handSize", hand, f"should not be greater than queues ({queues})")
    elif math.ceil(math.log2(queues) * hand) > HASH_BITS_MAX:
        yield invalid(
            path / "handSize",
            hand,
            f"required entropy bits of deckSize {queues} and handSize {hand} should not be greater than "
            f"{HASH_BITS_MAX}",
        )


def _cells(obj: Json, now: float) -> list[Any]:
    spec = _spec(obj)
    limited = spec.get("limited") or {}
    queuing = (limited.get("limitResponse") or {}).get("queuing") or {}
    return [
        _name(obj),
        spec.get("type", ""),
        limited.get("nominalConcurrencyShares", "<none>"),
        queuing.get("queues", "<none>"),
        queuing.get("handSize", "<none>"),
        queuing.get("queueLengthLimit", "<none>"),
        printing.age(obj, now),
    ]


RULES = Rules(
    default=_default,
    validate=_validate,
    complete=True,
    validate_status=validate_status,
    generation=True,
    columns=(
        NAME_COLUMN,
        Column("Type", description="whether its requests are limited at all"),
        Column("NominalConcurrencyShares", description="its share of what the server can do at a time"),
        Column("Queues", description="how many queues its waiting requests stand in"),
        Column("HandSize", description="how many queues are looked at for a request"),
        Column("QueueLengthLimit", description="how many requests a queue holds"),
        AGE_COLUMN,
    ),
    cells=_cells,
)
