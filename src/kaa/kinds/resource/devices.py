"""The devices of a ResourceSlice: attributes, capacities, taints, and what they consume of shared counters."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from kaa.kinds import formats
from kaa.kinds.core.affinity import validate_node_selector
from kaa.kinds.resource import common
from kaa.meta import quantity
from kaa.meta.problems import Path, Problem, forbidden_field, invalid, required, too_long

__all__ = ["device_problems"]

Json = dict[str, Any]
ATTRIBUTES_AND_CAPACITIES_MAX = 32
KEY_BYTES_MAX = common.DOMAIN_BYTES_MAX + 1 + common.ID_BYTES_MAX
VALUE_BYTES_MAX = 64
TAINTS_MAX = 16
CONSUMPTIONS_MAX = 2
COUNTERS_MAX = 32
CHOICES_MAX = 10

_NUMBER = r"(0|[1-9]\d*)"
_PRE = r"(0|[1-9]\d*|\d*[a-zA-Z-][0-9a-zA-Z-]*)"
_BUILD = "[0-9a-zA-Z-]+"
_SEMVER = re.compile(
    rf"{_NUMBER}\.{_NUMBER}\.{_NUMBER}(-{_PRE}(\.{_PRE})*)?(\+{_BUILD}(\.{_BUILD})*)?", re.ASCII
)  # fmt: skip


def device_problems(device: Json, path: Path, *, per_device: bool) -> Iterator[Problem]:
    """One device; `per_device` says that each device tells where it can be used."""
    yield from common.label(device.get("name", ""), path / "name")
    attributes, capacity = device.get("attributes") or {}, device.get("capacity") or {}
    count = len(attributes) + len(capacity)
    if count > ATTRIBUTES_AND_CAPACITIES_MAX:
        text = f"the total number of attributes and capacities must not exceed {ATTRIBUTES_AND_CAPACITIES_MAX}"
        yield invalid(path, count, text)
    here = path / "attributes"
    yield from common.some_in_map(attributes, -1, KEY_BYTES_MAX, common.qualified_name, _attribute, here)
    amount = _shared_amount if device.get("allowMultipleAllocations") else _single_amount
    here = path / "capacity"
    yield from common.some_in_map(capacity, -1, KEY_BYTES_MAX, common.qualified_name, amount, here)
    yield from common.some(device.get("taints") or (), TAINTS_MAX, common.taint, path / "taints")
    yield from common.some_unique(
        device.get("consumesCounters") or (),
        CONSUMPTIONS_MAX,
        _consumption,
        lambda each: each.get("counterSet", ""),
        path / "consumesCounters",
    )
    yield from _place(device, path) if per_device else _no_place(device, path)
    yield from common.binding_conditions(device, path)


_ONE_OF = (
    "exactly one of `nodeName`, `nodeSelector`, or `allNodes` is required when `perDeviceNodeSelection` is set to true "
    "in the ResourceSlice spec"
)


def _place(device: Json, path: Path) -> Iterator[Problem]:
    said = []
    node = device.get("nodeName")
    if node is not None:
        if node:
            said.append("`nodeName`")
            yield from formats.node_name(node, path / "nodeName")
        else:
            yield invalid(path / "nodeName", node, "must not be empty")
    if device.get("nodeSelector") is not None:
        said.append("`nodeSelector`")
        yield from validate_node_selector(device["nodeSelector"], path / "nodeSelector")
    if device.get("allNodes"):
        said.append("`allNodes`")
    elif device.get("allNodes") is not None:
        yield invalid(path / "allNodes", False, "must be either unset or set to true")
    if not said:
        yield required(path, _ONE_OF)
    elif len(said) > 1:
        yield invalid(path, f"{{{', '.join(said)}}}", _ONE_OF)


def _no_place(device: Json, path: Path) -> Iterator[Problem]:
    if any(device.get(field) is not None for field in ("nodeName", "nodeSelector", "allNodes")):
        yield invalid(
            path,
            "null",
            "`nodeName`, `nodeSelector` and `allNodes` can only be set if `perDeviceNodeSelection` is set to true in "
            "the ResourceSlice spec",
        )


def _attribute(found: Json, path: Path) -> Iterator[Problem]:
    text, version = found.get("string"), found.get("version")
    if text is not None and len(text.encode()) > VALUE_BYTES_MAX:
        yield too_long(path / "string", VALUE_BYTES_MAX)
    if version is not None:
        if not _SEMVER.fullmatch(version):
            yield invalid(path / "version", version, "must be a string compatible with semver.org spec 2.0.0")
        if len(version.encode()) > VALUE_BYTES_MAX:
            yield too_long(path / "version", VALUE_BYTES_MAX)
    values = [field for field in ("bool", "int", "string", "version") if found.get(field) is not None]
    if len(values) != 1:
        yield invalid(path, found if values else "", "exactly one value must be specified")


def _single_amount(found: Json, path: Path) -> Iterator[Problem]:
    if found.get("requestPolicy") is not None:
        yield forbidden_field(path / "requestPolicy", "allowMultipleAllocations must be true")


def _shared_amount(found: Json, path: Path) -> Iterator[Problem]:
    """A capacity that is given away in parts: in which ones, and how much where nothing is said."""
    policy, here = found.get("requestPolicy"), path / "requestPolicy"
    if policy is None:
        return
    most, usual = quantity.parse(found.get("value", 0)), policy.get("default")
    choices, bounds = policy.get("validValues") or [], policy.get("validRange")
    if choices and bounds is not None:
        text = 'exactly one policy can be specified, cannot specify "validValues" and "validRange" at the same time'
        yield forbidden_field(here, text)
    elif choices:
        if usual is None:
            yield required(here / "default", "required when validValues is defined")
        else:
            yield from _choices(choices, quantity.parse(usual), most, here / "validValues")
    elif bounds is not None:
        if usual is None:
            yield required(here / "default", "required when validRange is defined")
        else:
            yield from _range(bounds, quantity.parse(usual), most, here / "validRange")


def _choices(found: list[Any], usual: quantity.Quantity, most: quantity.Quantity, path: Path) -> Iterator[Problem]:
    values = [quantity.parse(each) for each in found]
    for at in range(1, len(values)):
        if values[at] < values[at - 1]:
            yield invalid(path[at], found[at], "values must be sorted in ascending order")

    def choice(each: quantity.Quantity, where: Path) -> Iterator[Problem]:
        if each > most:
            yield invalid(where, str(each), f"option is larger than capacity value: {most}")

    yield from common.some_unique(values, CHOICES_MAX, choice, lambda each: str(each.value), path)
    if usual not in values:
        yield invalid(path, str(usual), "default value is not valid according to the requestPolicy")


def _range(bounds: Json, usual: quantity.Quantity, most: quantity.Quantity, path: Path) -> Iterator[Problem]:
    if bounds.get("min") is None:
        yield required(path / "min", "required when validRange is defined")
        return
    low = quantity.parse(bounds["min"])
    high = quantity.parse(bounds["max"]) if bounds.get("max") is not None else None
    if low > most:
        yield invalid(path / "min", str(low), f"min is larger than capacity value: {most}")
    if usual < low:
        yield invalid(path / "min", str(usual), f"default is less than min: {low}")
    if high is not None:
        if low > high:
            yield invalid(path / "max", str(low), f"min is larger than max: {high}")
        if high > most:
            yield invalid(path / "max", str(high), f"max is larger than capacity value: {most}")
        if usual > high:
            yield invalid(path / "max", str(usual), f"default is more than max: {high}")
    if bounds.get("step") is not None:
        step, here = quantity.parse(bounds["step"]), path / "step"
        if low + step > most:
            yield invalid(here, str(step), f"one step {low + step} is larger than capacity value: {most}")
        for each in (usual, *(() if high is None else (high,))):
            if step.value == 0 or (each.value - low.value) % step.value:
                yield invalid(here, str(each), f"value is not a multiple of a given step ({step}) from ({low})")


def _consumption(found: Json, path: Path) -> Iterator[Problem]:
    if not found.get("counterSet"):
        yield required(path / "counterSet")
    else:
        yield from common.label(found["counterSet"], path / "counterSet")
    if not found.get("counters"):
        yield required(path / "counters")
    else:
        here = path / "counters"
        yield from common.some_in_map(found["counters"], COUNTERS_MAX, 63, common.label, _any_counter, here)


def _any_counter(_found: Json, _path: Path) -> Iterator[Problem]:
    """Any amount will do."""
    return iter(())
