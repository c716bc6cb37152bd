"""ResourceClaims and their templates: the devices a pod asks for."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from kaa.kinds import checks, formats
from kaa.kinds.resource import common
from kaa.kinds.resource.allocation import validate_status
from kaa.kinds.row import row as _row
from kaa.kinds.row import spec as _spec
from kaa.kinds.row import status as _status
from kaa.kinds.spec import AGE_COLUMN, NAME_COLUMN, Column, Rules
from kaa.meta import names
from kaa.meta.problems import Path, Problem, invalid, not_supported, required

__all__ = ["CLAIM", "TEMPLATE"]

Json = dict[str, Any]
_SPEC = Path() / "spec"
CONSTRAINTS_MAX = 32
CONFIGURATIONS_MAX = 32
FIRST_AVAILABLE_MAX = 8
MODES = ("All", "ExactCount")


def _default_spec(spec: Json) -> None:
    for request in (spec.get("devices") or {}).get("requests") or ():
        for each in (request.get("exactly"), *(request.get("firstAvailable") or ())):
            if each is None:
                continue
            each["allocationMode"] = each.get("allocationMode") or "ExactCount"
            if each["allocationMode"] == "ExactCount":
                each["count"] = each.get("count") or 1
            for toleration in each.get("tolerations") or ():
                toleration["operator"] = toleration.get("operator") or "Equal"


def _default(obj: Json) -> None:
    _default_spec(_spec(obj))


def _default_template(obj: Json) -> None:
    _default_spec(_spec(obj).get("spec") or {})


def _names(devices: Json) -> dict[str, set[str]]:
    """Request -> its alternatives."""
    return {
        request.get("name", ""): {each.get("name", "") for each in request.get("firstAvailable") or ()}
        for request in devices.get("requests") or ()
    }


def _validate_spec(spec: Json, path: Path) -> Iterator[Problem]:
    devices, here = spec.get("devices") or {}, path / "devices"
    known = _names(devices)

    def reference(value: str, where: Path) -> Iterator[Problem]:
        yield from request_reference(value, known, where)

    def constraint(found: Json, where: Path) -> Iterator[Problem]:
        requests = found.get("requests") or ()
        yield from common.some_unique(requests, common.REQUESTS_MAX, reference, str, where / "requests")
        if found.get("matchAttribute") is not None:
            yield from common.fully_qualified_name(found["matchAttribute"], where / "matchAttribute")
        elif found.get("distinctAttribute") is not None:
            yield from common.fully_qualified_name(found["distinctAttribute"], where / "distinctAttribute")
        else:
            yield required(
                where,
                'exactly one of "matchAttribute" or "distinctAttribute" is required, but multiple fields are set',
            )

    def configured(found: Json, where: Path) -> Iterator[Problem]:
        requests = found.get("requests") or ()
        yield from common.some_unique(requests, common.REQUESTS_MAX, reference, str, where / "requests")
        yield from common.configuration(found, where)

    requests = devices.get("requests") or ()
    yield from common.some_unique(requests, common.REQUESTS_MAX, _request, _name_of, here / "requests")
    yield from common.some(devices.get("constraints") or (), CONSTRAINTS_MAX, constraint, here / "constraints")
    yield from common.some(devices.get("config") or (), CONFIGURATIONS_MAX, configured, here / "config")


def _name_of(found: Json) -> str:
    return str(found.get("name", ""))


def request_reference(value: str, known: dict[str, set[str]], path: Path) -> Iterator[Problem]:
    """`request` or `request/alternative`."""
    text = "must be the name of a request in the claim or the name of a request and a subrequest separated by '/'"
    parts = value.split("/")
    if len(parts) > 2:
        yield invalid(path, value, text)
        return
    for part in parts:
        yield from common.label(part, path)
    if parts[0] not in known or (len(parts) == 2 and parts[1] not in known[parts[0]]):
        yield invalid(path, value, text)


def _request(found: Json, path: Path) -> Iterator[Problem]:
    yield from common.label(found.get("name", ""), path / "name")
    exactly, alternatives = found.get("exactly"), found.get("firstAvailable") or ()
    one = "exactly one of `exactly` or `firstAvailable` is required"
    if exactly is None and not alternatives:
        yield required(path, one)
    elif exactly is not None and alternatives:
        # The original shows nothing as the value, and that as the word.
        yield invalid(path, "null", f"{one}, but multiple fields are set")
    elif exactly is not None:
        yield from _exact(exactly, path / "exactly")
    else:
        here = path / "firstAvailable"
        yield from common.some_unique(alternatives, FIRST_AVAILABLE_MAX, _alternative, _name_of, here)


def _alternative(found: Json, path: Path) -> Iterator[Problem]:
    yield from common.label(found.get("name", ""), path / "name")
    yield from _exact(found, path)


def _exact(found: Json, path: Path) -> Iterator[Problem]:
    name = found.get("deviceClassName", "")
    if not name:
        yield required(path / "deviceClassName")
    else:
        yield from formats.each_wrong(names.dns1123_subdomain, name, path / "deviceClassName")
    yield from common.selectors(found.get("selectors") or (), path / "selectors")
    mode, count = found.get("allocationMode", ""), found.get("count", 0)
    if mode == "All":
        if count:
            yield invalid(path / "count", count, "must not be specified when allocationMode is 'All'")
    elif mode == "ExactCount":
        if count <= 0:
            yield invalid(path / "count", count, "must be greater than zero")
    else:
        yield not_supported(path / "allocationMode", mode, MODES, as_given=True)
    for at, each in enumerate(found.get("tolerations") or ()):
        yield from common.toleration(each, (path / "tolerations")[at])


def _validate(obj: Json) -> Iterator[Problem]:
    yield from _validate_spec(_spec(obj), _SPEC)


def _update(new: Json, old: Json) -> Iterator[Problem]:
    yield from checks.immutable(new, old, "spec", Path())


def _validate_claim_status(new: Json, old: Json) -> Iterator[Problem]:
    known = _names(_spec(new).get("devices") or {})
    yield from validate_status(new, old, lambda value, path: request_reference(value, known, path))


def _state(obj: Json) -> str:
    deleted = bool(obj["metadata"].get("deletionTimestamp"))
    states = ["deleted"] if deleted else []
    if _status(obj).get("allocation") is not None:
        states.append("allocated")
        if _status(obj).get("reservedFor"):
            states.append("reserved")
    elif not deleted:
        states.append("pending")
    return ",".join(states)


CLAIM = Rules(
    default=_default,
    validate=_validate,
    complete=True,
    validate_update=_update,
    validate_status=_validate_claim_status,
    columns=(
        NAME_COLUMN,
        Column("State", description="whether devices were allocated, and whether a pod has reserved them"),
        AGE_COLUMN,
    ),
    cells=_row(_state),
)


def _validate_template(obj: Json) -> Iterator[Problem]:
    spec = _spec(obj)
    yield from formats.template_metadata(spec.get("metadata") or {}, _SPEC / "metadata")
    yield from _validate_spec(spec.get("spec") or {}, _SPEC / "spec")


TEMPLATE = Rules(
    default=_default_template,
    validate=_validate_template,
    complete=True,
    validate_update=_update,
    columns=(NAME_COLUMN, AGE_COLUMN),
    cells=_row(),
)
