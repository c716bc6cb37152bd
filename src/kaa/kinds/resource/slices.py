"""ResourceSlices: the devices a driver has, on a node or for many."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from kaa.kinds import checks, formats
from kaa.kinds.core.affinity import validate_node_selector
from kaa.kinds.resource import common
from kaa.kinds.resource.devices import device_problems
from kaa.kinds.row import row as _row
from kaa.kinds.row import spec as _spec
from kaa.kinds.spec import AGE_COLUMN, NAME_COLUMN, Column, Rules
from kaa.meta.problems import Path, Problem, invalid, required

__all__ = ["RULES"]

Json = dict[str, Any]
_SPEC = Path() / "spec"
DEVICES_MAX = 128
#: Devices with taints or shared counters are larger.
DEVICES_MAX_IF_LARGE = 64
COUNTER_SETS_MAX = 8
COUNTERS_MAX = 32
_ONE_OF = "exactly one of `nodeName`, `nodeSelector`, `allNodes`, `perDeviceNodeSelection` is required"


def _validate(obj: Json) -> Iterator[Problem]:
    spec = _spec(obj)
    yield from formats.driver_name(spec.get("driver", ""), _SPEC / "driver")
    yield from _pool(spec.get("pool") or {}, _SPEC / "pool")
    yield from _place(spec)
    devices, counters = spec.get("devices"), spec.get("sharedCounters")
    if devices is not None and counters is not None:
        yield invalid(_SPEC, "", "only one of `sharedCounters` or `devices` is allowed")
    large = any(each.get("taints") or each.get("consumesCounters") for each in devices or ())
    per_device = bool(spec.get("perDeviceNodeSelection"))
    yield from common.some_unique(
        devices or (),
        DEVICES_MAX_IF_LARGE if large else DEVICES_MAX,
        lambda each, path: device_problems(each, path, per_device=per_device),
        _name_of,
        _SPEC / "devices",
    )
    yield from common.some_unique(counters or (), COUNTER_SETS_MAX, _counter_set, _name_of, _SPEC / "sharedCounters")


def _name_of(found: Json) -> str:
    return str(found.get("name", ""))


def _pool(pool: Json, path: Path) -> Iterator[Problem]:
    yield from common.pool_name(pool.get("name", ""), path / "name")
    count, generation = pool.get("resourceSliceCount", 0), pool.get("generation", 0)
    if count <= 0:
        yield invalid(path / "resourceSliceCount", count, "must be greater than zero")
    if generation < 0:
        yield invalid(path / "generation", generation, "must be greater than or equal to zero")


def _place(spec: Json) -> Iterator[Problem]:
    """Where the devices can be used: said in exactly one way."""
    said = []
    node, selector = spec.get("nodeName"), spec.get("nodeSelector")
    if node is not None:
        if node:
            said.append("`nodeName`")
            yield from formats.node_name(node, _SPEC / "nodeName")
        else:
            yield invalid(_SPEC / "nodeName", node, "must be either unset or set to a non-empty string")
    if selector is not None:
        said.append("`nodeSelector`")
        yield from validate_node_selector(selector, _SPEC / "nodeSelector")
        terms = selector.get("nodeSelectorTerms")
        if len(terms or ()) != 1:
            here = _SPEC / "nodeSelector" / "nodeSelectorTerms"
            yield invalid(here, terms, "must have exactly one node selector term")
    for field in ("allNodes", "perDeviceNodeSelection"):
        if spec.get(field):
            said.append(f"`{field}`")
        elif spec.get(field) is not None:
            yield invalid(_SPEC / field, False, "must be either unset or set to true")
    if not said:
        yield required(_SPEC, _ONE_OF)
    elif len(said) > 1:
        yield invalid(_SPEC, f"{{{', '.join(said)}}}", f"{_ONE_OF}, but multiple fields are set")


def _counter_set(found: Json, path: Path) -> Iterator[Problem]:
    if not found.get("name"):
        yield required(path / "name")
    else:
        yield from common.label(found["name"], path / "name")
    if not found.get("counters"):
        yield required(path / "counters")
    else:
        here = path / "counters"
        yield from common.some_in_map(found["counters"], COUNTERS_MAX, 63, common.label, _any_counter, here)


def _any_counter(_found: Json, _path: Path) -> Iterator[Problem]:
    """Any amount will do."""
    return iter(())


def _update(new: Json, old: Json) -> Iterator[Problem]:
    ours, theirs = _spec(new), _spec(old)
    yield from checks.immutable(ours.get("pool") or {}, theirs.get("pool") or {}, "name", _SPEC / "pool")
    for field in ("driver", "nodeName"):
        yield from checks.immutable(ours, theirs, field, _SPEC)


RULES = Rules(
    validate=_validate,
    complete=True,
    validate_update=_update,
    generation=True,
    selectable={
        "spec.nodeName": lambda obj: str(_spec(obj).get("nodeName", "")),
        "spec.driver": lambda obj: str(_spec(obj).get("driver", "")),
    },
    columns=(
        NAME_COLUMN,
        Column("Node", description="the node its devices are on, where it is one"),
        Column("Driver", description="the driver that publishes it"),
        Column("Pool", description="the pool it is a part of"),
        AGE_COLUMN,
    ),
    cells=_row(
        lambda obj: _spec(obj).get("nodeName"),
        lambda obj: _spec(obj).get("driver", ""),
        lambda obj: (_spec(obj).get("pool") or {}).get("name", ""),
    ),
)
