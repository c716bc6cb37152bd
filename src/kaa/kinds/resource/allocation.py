"""The status of a ResourceClaim: what it was given, who uses it, and what drivers say of it."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterator
from typing import Any

from kaa.kinds import checks, formats
from kaa.kinds.core.affinity import validate_node_selector
from kaa.kinds.resource import common
from kaa.kinds.row import status as _status
from kaa.meta.problems import Path, Problem, forbidden_field, invalid, not_supported, required, too_long, too_many

__all__ = ["validate_status"]

Json = dict[str, Any]
Reference = Callable[[str, Path], Iterator[Problem]]
_STATUS = Path() / "status"
RESERVED_MAX = 256
RESULTS_MAX = 32
CONFIGURATIONS_MAX = 64
CONDITIONS_MAX = 8
DATA_BYTES_MAX = 10 * 1024
INTERFACE_BYTES_MAX = 256
HARDWARE_BYTES_MAX = 128
IPS_MAX = 16
SOURCES = ("FromClaim", "FromClass")


def validate_status(new: Json, old: Json, reference: Reference) -> Iterator[Problem]:
    """`reference` checks the name of a request of the claim."""
    status, before = _status(new), _status(old)
    reserved, allocation = status.get("reservedFor") or [], status.get("allocation")
    yield from common.some_unique(
        reserved, RESERVED_MAX, _consumer, lambda each: each.get("uid"), _STATUS / "reservedFor"
    )
    given = {_device_id(each) for each in ((allocation or {}).get("devices") or {}).get("results") or ()}

    def device(found: Json, path: Path) -> Iterator[Problem]:
        yield from _device_status(found, given, path)

    yield from common.some_unique(status.get("devices") or (), -1, device, _device_id, _STATUS / "devices")
    here = _STATUS / "reservedFor"
    if reserved and allocation is None:
        yield forbidden_field(here, "may not be specified when `allocated` is not set")
    elif new["metadata"].get("deletionTimestamp") and any(
        each not in (before.get("reservedFor") or ()) for each in reserved
    ):
        text = "new entries may not be added while `deallocationRequested` or `deletionTimestamp` are set"
        yield forbidden_field(here, text)
    if allocation is not None and before.get("allocation") is not None:
        yield from checks.immutable(status, before, "allocation", _STATUS)
    elif allocation is not None:
        yield from _allocation(allocation, reference, _STATUS / "allocation")


def _consumer(found: Json, path: Path) -> Iterator[Problem]:
    for field in ("resource", "name", "uid"):
        if not found.get(field):
            yield required(path / field)


def _device_id(found: Json) -> str:
    text = f"{found.get('driver', '')}/{found.get('pool', '')}/{found.get('device', '')}"
    return f"{text}/{found['shareID']}" if found.get("shareID") else text


def _allocation(found: Json, reference: Reference, path: Path) -> Iterator[Problem]:
    devices, here = found.get("devices") or {}, path / "devices"

    def result(each: Json, where: Path) -> Iterator[Problem]:
        yield from reference(each.get("request", ""), where / "request")
        yield from formats.driver_name(each.get("driver", ""), where / "driver")
        yield from common.pool_name(each.get("pool", ""), where / "pool")
        yield from common.label(each.get("device", ""), where / "device")
        yield from common.binding_conditions(each, where)
        if each.get("shareID") is not None:
            yield from common.uid(each["shareID"], where / "shareID")

    def configured(each: Json, where: Path) -> Iterator[Problem]:
        source = each.get("source", "")
        if not source:
            yield required(where / "source")
        elif source not in SOURCES:
            yield not_supported(where / "source", source, SOURCES, as_given=True)
        requests = each.get("requests") or ()
        yield from common.some_unique(requests, common.REQUESTS_MAX, reference, str, where / "requests")
        yield from common.configuration(each, where)

    yield from common.some(devices.get("results") or (), RESULTS_MAX, result, here / "results")
    yield from common.some(devices.get("config") or (), CONFIGURATIONS_MAX, configured, here / "config")
    if found.get("nodeSelector") is not None:
        yield from validate_node_selector(found["nodeSelector"], path / "nodeSelector")


def _device_status(found: Json, given: set[str], path: Path) -> Iterator[Problem]:
    yield from formats.driver_name(found.get("driver", ""), path / "driver")
    yield from common.pool_name(found.get("pool", ""), path / "pool")
    yield from common.label(found.get("device", ""), path / "device")
    if found.get("shareID") is not None:
        yield from common.uid(found["shareID"], path / "shareID")
    if _device_id(found) not in given:
        yield invalid(path, _device_id(found), "must be an allocated device in the claim")
    conditions = found.get("conditions") or ()
    if len(conditions) > CONDITIONS_MAX:
        yield too_many(path / "conditions", len(conditions), CONDITIONS_MAX)
    yield from formats.conditions(conditions, path / "conditions")
    if found.get("data") is not None:
        yield from common.raw_object(found["data"], path / "data", DATA_BYTES_MAX)
    network = found.get("networkData")
    if network is not None:
        yield from _network(network, path / "networkData")


def _network(found: Json, path: Path) -> Iterator[Problem]:
    for field, most in (("interfaceName", INTERFACE_BYTES_MAX), ("hardwareAddress", HARDWARE_BYTES_MAX)):
        if len(found.get(field, "").encode()) > most:
            yield too_long(path / field, most)
    yield from common.some_unique(found.get("ips") or (), IPS_MAX, _interface_address, str, path / "ips")


def _interface_address(value: str, path: Path) -> Iterator[Problem]:
    """An address with the length of its network, in the usual form."""
    if formats.parsed_cidr(value) is None:
        yield invalid(path, value, "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)")
        return
    try:
        usual = ipaddress.ip_interface(value).with_prefixlen
    except ValueError:
        usual = ""
    if usual != value:
        yield invalid(path, value, f'must be in canonical form ("{usual}")')
