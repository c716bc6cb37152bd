"""What volumes and claims have in common: access modes and the class."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from kaa.meta.problems import Path, Problem, forbidden_field, not_supported, required

__all__ = ["CLASS_ANNOTATION", "access_modes", "modes_text", "storage_class"]

Json = dict[str, Any]
#: Access mode -> how tables abbreviate it, in the order of the table.
_SHORT = {"ReadWriteOnce": "RWO", "ReadOnlyMany": "ROX", "ReadWriteMany": "RWX", "ReadWriteOncePod": "RWOP"}
CLASS_ANNOTATION = "volume.beta.kubernetes.io/storage-class"


def access_modes(spec: Json, path: Path, missing: str = "") -> Iterator[Problem]:
    """At least one, all known, and ReadWriteOncePod alone."""
    modes = spec.get("accessModes") or ()
    if not modes:
        yield required(path / "accessModes", missing)
    yield from unknown_modes(modes, path / "accessModes")


def unknown_modes(modes: Iterable[str], path: Path) -> Iterator[Problem]:
    """Modes that are not known, or not together."""
    modes = tuple(modes)
    for mode in modes:
        if mode not in _SHORT:
            yield not_supported(path, mode, _SHORT)
    if "ReadWriteOncePod" in modes and any(mode != "ReadWriteOncePod" and mode in _SHORT for mode in modes):
        yield forbidden_field(path, "may not use ReadWriteOncePod with other access modes")


def modes_text(modes: Iterable[str] | None) -> str:
    """`RWO,ROX`."""
    found = set(modes or ())
    return ",".join(short for mode, short in _SHORT.items() if mode in found)


def storage_class(obj: Json, *, annotation_only: bool = False) -> str | None:
    """The class, by the old annotation or the field."""
    noted: str | None = (obj["metadata"].get("annotations") or {}).get(CLASS_ANNOTATION)
    if noted is not None or annotation_only:
        return noted
    found: str | None = (obj.get("spec") or {}).get("storageClassName")
    return found
