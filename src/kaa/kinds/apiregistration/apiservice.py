"""APIServices: who serves the version of a group."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Any

from kaa.kinds import formats
from kaa.kinds.row import name as _name
from kaa.kinds.row import row as _row
from kaa.kinds.row import spec as _spec
from kaa.kinds.row import status as _status
from kaa.kinds.spec import AGE_COLUMN, NAME_COLUMN, Column, Rules
from kaa.meta import names
from kaa.meta.problems import Path, Problem, invalid, not_supported, required

__all__ = ["RULES"]

Json = dict[str, Any]
_SPEC = Path() / "spec"
_STATUSES = ("True", "False", "Unknown")


def _default(obj: Json) -> None:
    service = _spec(obj).get("service")
    if service is not None:
        service.setdefault("port", 443)


def _validate(obj: Json) -> Iterator[Problem]:
    spec, name = _spec(obj), _name(obj)
    group, version = spec.get("group", ""), spec.get("version", "")
    wanted = f"{version}.{group}"
    if name and name != wanted and not names.path_segment(name):
        yield invalid(Path() / "metadata" / "name", name, f'must be `spec.version+"."+spec.group`: "{wanted}"')
    if group:
        yield from formats.each_wrong(names.dns1123_subdomain, group, _SPEC / "group")
    elif version != "v1":
        yield required(_SPEC / "group", "only v1 may have an empty group and it better be legacy kube")
    yield from formats.each_wrong(names.dns1035_label, version, _SPEC / "version")
    for field, most in (("groupPriorityMinimum", 20000), ("versionPriority", 1000)):
        value = spec.get(field, 0)
        if not 0 < value <= most:
            yield invalid(_SPEC / field, value, f"must be positive and less than {most}")
    service, bundle, lax = spec.get("service"), spec.get("caBundle"), spec.get("insecureSkipTLSVerify")
    if service is None:
        if bundle:
            size = len(base64.b64decode(bundle))
            yield invalid(_SPEC / "caBundle", f"{size} bytes", "local APIServices may not have a caBundle")
        if lax:
            here = _SPEC / "insecureSkipTLSVerify"
            yield invalid(here, True, "local APIServices may not have insecureSkipTLSVerify")
        return
    for field in ("namespace", "name"):
        if not service.get(field):
            yield required(_SPEC / "service" / field)
    if lax and bundle:
        yield invalid(_SPEC / "insecureSkipTLSVerify", True, "may not be true if caBundle is present")


def _validate_status(new: Json, _old: Json) -> Iterator[Problem]:
    for at, each in enumerate(_status(new).get("conditions") or ()):
        if each.get("status") not in _STATUSES:
            here = (Path() / "status" / "conditions")[at] / "status"
            yield not_supported(here, each.get("status", ""), _STATUSES, as_given=True)


def _available(obj: Json) -> str:
    for each in _status(obj).get("conditions") or ():
        if each.get("type") == "Available":
            state = str(each.get("status", ""))
            return state if state == "True" else f"{state} ({each.get('reason', '')})"
    return "Unknown"


def _service(obj: Json) -> str:
    service = _spec(obj).get("service")
    return f"{service.get('namespace', '')}/{service.get('name', '')}" if service else "Local"


RULES = Rules(
    default=_default,
    validate=_validate,
    complete=True,
    validate_status=_validate_status,
    name_check=names.path_segment,
    columns=(
        NAME_COLUMN,
        Column("Service", description="the service that serves it, or Local"),
        Column("Available", description="whether it can be reached"),
        AGE_COLUMN,
    ),
    cells=_row(_service, _available),
)
