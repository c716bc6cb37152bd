"""VolumeAttachments: the wish that a volume be attached to a node, and what came of it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from kaa.kinds import checks, formats, printing
from kaa.kinds.spec import AGE_COLUMN, NAME_COLUMN, Column, Rules
from kaa.kinds.volumes.volume import validate_inline_spec
from kaa.meta import names
from kaa.meta.problems import Path, Problem, forbidden_field, invalid, required, too_long

__all__ = ["RULES"]

Json = dict[str, Any]
_SPEC = Path() / "spec"
_STATUS = Path() / "status"
METADATA_BYTES_MAX = 256 * 1024
MESSAGE_BYTES_MAX = 1024
_ONE_OF = "must specify exactly one of inlineVolumeSpec and persistentVolumeName"


def _validate(obj: Json) -> Iterator[Problem]:
    spec = obj.get("spec") or {}
    source = spec.get("source") or {}
    volume, inline = source.get("persistentVolumeName"), source.get("inlineVolumeSpec")
    here = _SPEC / "source"
    if volume is None and inline is None:
        yield required(here, _ONE_OF)
    elif volume is not None and inline is not None:
        yield forbidden_field(here, _ONE_OF)
    elif inline is not None:
        yield from validate_inline_spec(inline, here / "inlineVolumeSpec")
    elif not volume:
        yield required(here / "persistentVolumeName", "must specify non empty persistentVolumeName")
    yield from formats.node_name(spec.get("nodeName", ""), _SPEC / "nodeName")
    yield from formats.driver_name(spec.get("attacher", ""), _SPEC / "attacher")
    if volume:
        yield from formats.each_wrong(names.dns1123_subdomain, volume, here / "persistentVolumeName")
    yield from _status(obj.get("status") or {})


def _status(status: Json) -> Iterator[Problem]:
    found = status.get("attachmentMetadata") or {}
    if sum(len(key.encode()) + len(value.encode()) for key, value in found.items()) > METADATA_BYTES_MAX:
        yield too_long(_STATUS / "attachmentMetadata", METADATA_BYTES_MAX)
    for field in ("attachError", "detachError"):
        error = status.get(field)
        if error is None:
            continue
        if len(error.get("message", "").encode()) > MESSAGE_BYTES_MAX:
            # The original names the other limit in this message.
            yield too_long(_STATUS / field / "message", METADATA_BYTES_MAX)
        code = error.get("errorCode")
        if code is not None and code < 0:
            for wrong in names.in_range(code, 0, 2**31 - 1):
                yield invalid(_STATUS / field / "errorCode", code, wrong)


def _update(new: Json, old: Json) -> Iterator[Problem]:
    yield from checks.immutable(new, old, "spec", Path())


def _validate_status(new: Json, _old: Json) -> Iterator[Problem]:
    yield from _status(new.get("status") or {})


def _cells(obj: Json, now: float) -> list[Any]:
    spec = obj.get("spec") or {}
    return [
        obj["metadata"].get("name", ""),
        spec.get("attacher", ""),
        (spec.get("source") or {}).get("persistentVolumeName", ""),
        spec.get("nodeName", ""),
        bool((obj.get("status") or {}).get("attached")),
        printing.age(obj, now),
    ]


RULES = Rules(
    validate=_validate,
    complete=True,
    validate_update=_update,
    validate_status=_validate_status,
    columns=(
        NAME_COLUMN,
        Column("Attacher", format="name", description="the CSI driver that attaches it"),
        Column("PV", description="the volume"),
        Column("Node", description="where it is to be attached"),
        Column("Attached", "boolean", description="whether it is attached"),
        AGE_COLUMN,
    ),
    cells=_cells,
)
