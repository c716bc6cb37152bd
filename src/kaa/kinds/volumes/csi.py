"""CSI drivers, what of them is on a node, and how much they can still give."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from kaa.kinds import checks, formats, printing
from kaa.kinds.spec import AGE_COLUMN, NAME_COLUMN, Column, Rules
from kaa.meta import names, quantity
from kaa.meta.problems import Path, Problem, duplicate, invalid, not_supported, required

__all__ = ["CAPACITY", "DRIVER", "NODE"]

Json = dict[str, Any]
_ROOT = Path()
_SPEC = _ROOT / "spec"
GROUP_POLICIES = ("File", "None", "ReadWriteOnceWithFSType")
LIFECYCLE_MODES = ("Persistent", "Ephemeral")
NODE_ID_BYTES_MAX = 256


def _default(obj: Json) -> None:
    spec = obj.setdefault("spec", {})
    for field, value in (
        ("attachRequired", True), ("podInfoOnMount", False), ("storageCapacity", False),
        ("fsGroupPolicy", "ReadWriteOnceWithFSType"), ("requiresRepublish", False), ("seLinuxMount", False),
    ):  # fmt: skip
        spec.setdefault(field, value)
    if not spec.get("volumeLifecycleModes"):
        spec["volumeLifecycleModes"] = ["Persistent"]


def _validate(obj: Json) -> Iterator[Problem]:
    spec = obj.get("spec") or {}
    policy = spec.get("fsGroupPolicy")
    if policy is not None and policy not in GROUP_POLICIES:
        yield not_supported(_SPEC / "fsGroupPolicy", policy, GROUP_POLICIES)
    yield from _tokens(spec.get("tokenRequests") or (), _SPEC / "tokenRequests")
    for mode in spec.get("volumeLifecycleModes") or ():
        if mode not in LIFECYCLE_MODES:
            yield not_supported(_SPEC / "volumeLifecycleModes", mode, LIFECYCLE_MODES, as_given=True)
    period = spec.get("nodeAllocatableUpdatePeriodSeconds")
    if period is not None and period < 10:
        here = _SPEC / "nodeAllocatableUpdatePeriodSeconds"
        yield invalid(here, period, "must be greater than or equal to 10 seconds")
    in_secrets = spec.get("serviceAccountTokenInSecrets")
    if in_secrets is not None and not spec.get("tokenRequests"):
        yield invalid(
            _SPEC / "serviceAccountTokenInSecrets",
            in_secrets,
            "serviceAccountTokenInSecrets is set but no tokenRequests are specified",
        )


def _tokens(requests: Any, path: Path) -> Iterator[Problem]:
    seen: set[str] = set()
    for at, each in enumerate(requests):
        audience, seconds = each.get("audience", ""), each.get("expirationSeconds")
        if audience in seen:
            yield duplicate(path[at] / "audience", audience)
            continue
        seen.add(audience)
        if seconds is None:
            continue
        here = path[at] / "expirationSeconds"
        if seconds < 600:
            yield invalid(here, seconds, "may not specify a duration less than 10 minutes")
        if seconds > 1 << 32:
            yield invalid(here, seconds, "may not specify a duration larger than 2^32 seconds")


def _update(new: Json, old: Json) -> Iterator[Problem]:
    ours, theirs = new.get("spec") or {}, old.get("spec") or {}
    # The original's path says "attachedRequired".
    if ours.get("attachRequired") != theirs.get("attachRequired"):
        yield invalid(_SPEC / "attachedRequired", ours.get("attachRequired"), checks.IMMUTABLE)
    yield from checks.immutable(ours, theirs, "volumeLifecycleModes", _SPEC)


def _cells(obj: Json, now: float) -> list[Any]:
    spec = obj.get("spec") or {}
    requests = spec.get("tokenRequests")
    return [
        obj["metadata"].get("name", ""),
        bool(spec.get("attachRequired", True)),
        bool(spec.get("podInfoOnMount")),
        bool(spec.get("storageCapacity")),
        "<unset>" if requests is None else ",".join(each.get("audience", "") for each in requests),
        bool(spec.get("requiresRepublish")),
        ",".join(spec.get("volumeLifecycleModes") or ()) or "<none>",
        printing.age(obj, now),
    ]


DRIVER = Rules(
    default=_default,
    validate=_validate,
    complete=True,
    validate_update=_update,
    generation=True,
    columns=(
        NAME_COLUMN,
        Column("AttachRequired", "boolean", description="whether its volumes are attached to a node before mounting"),
        Column("PodInfoOnMount", "boolean", description="whether it is told which pod a volume is mounted for"),
        Column("StorageCapacity", "boolean", description="whether it says how much room is left"),
        Column("TokenRequests", description="the audiences of the service account tokens it is given"),
        Column("RequiresRepublish", "boolean", description="whether it is asked to publish volumes again and again"),
        Column("Modes", description="which volumes it makes: persistent ones, those of a pod"),
        AGE_COLUMN,
    ),
    cells=_cells,
)


def _node_validate(obj: Json) -> Iterator[Problem]:
    seen: set[str] = set()
    for at, driver in enumerate((obj.get("spec") or {}).get("drivers") or ()):
        here = (_SPEC / "drivers")[at]
        name, node = driver.get("name", ""), driver.get("nodeID", "")
        yield from formats.driver_name(name, here / "name")
        if not node:
            yield required(here / "nodeID")
        if len(node.encode()) > NODE_ID_BYTES_MAX:
            yield invalid(here / "nodeID", node, f"must be {NODE_ID_BYTES_MAX} characters or less")
        yield from checks.non_negative(driver.get("allocatable") or {}, "count", here / "allocatable")
        if name in seen:
            yield duplicate(here / "name", name)
        seen.add(name)
        keys: set[str] = set()
        for key in driver.get("topologyKeys") or ():
            if not key:
                yield required(here)
            if key in keys:
                yield duplicate(here, key)
            keys.add(key)
            yield from formats.label_name(key, here)


def _node_update(new: Json, old: Json) -> Iterator[Problem]:
    """A driver on a node stays as it registered, but for how many volumes it takes."""
    ours = {each.get("name"): each for each in (new.get("spec") or {}).get("drivers") or ()}
    for before in (old.get("spec") or {}).get("drivers") or ():
        after = ours.get(before.get("name"))
        if after is not None and _without_count(after) != _without_count(before):
            yield invalid(_SPEC / "drivers", _without_count(after), checks.IMMUTABLE)


def _without_count(driver: Json) -> Json:
    return {name: value for name, value in driver.items() if name != "allocatable"}


NODE = Rules(
    validate=_node_validate,
    complete=True,
    validate_update=_node_update,
    columns=(NAME_COLUMN, Column("Drivers", "integer", description="how many CSI drivers the node has"), AGE_COLUMN),
    cells=lambda obj, now: [
        obj["metadata"].get("name", ""),
        len((obj.get("spec") or {}).get("drivers") or ()),
        printing.age(obj, now),
    ],
)


def _capacity_validate(obj: Json) -> Iterator[Problem]:
    yield from checks.label_selector(obj.get("nodeTopology"), _ROOT / "nodeTopology")
    name = obj.get("storageClassName", "")
    yield from formats.each_wrong(names.dns1123_subdomain, name, _ROOT / "storageClassName")
    if obj.get("capacity") is not None and quantity.parse(obj["capacity"]).nano < 0:
        yield invalid(_ROOT / "capacity", obj["capacity"], checks.NON_NEGATIVE)


def _capacity_update(new: Json, old: Json) -> Iterator[Problem]:
    for name in ("nodeTopology", "storageClassName"):
        yield from checks.immutable(new, old, name, _ROOT)


CAPACITY = Rules(
    validate=_capacity_validate,
    complete=True,
    validate_update=_capacity_update,
    columns=(
        NAME_COLUMN,
        Column("StorageClassName", description="the class the capacity is about"),
        Column("Capacity", description="how much room is left"),
    ),
    cells=lambda obj, _now: [
        obj["metadata"].get("name", ""),
        obj.get("storageClassName", ""),
        obj.get("capacity") if obj.get("capacity") is not None else "<unset>",
    ],
)
