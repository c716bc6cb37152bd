"""Namespaces: born active with the server's finalizer, and labelled with their own name."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from kaa.kinds import printing
from kaa.kinds.spec import AGE_COLUMN, NAME_COLUMN, Column, Rules, Subwrite
from kaa.meta import names
from kaa.meta.problems import Path, Problem, invalid

__all__ = ["RULES"]

Json = dict[str, Any]
NAME_LABEL = "kubernetes.io/metadata.name"
FINALIZER = "kubernetes"
STANDARD_FINALIZERS = ("kubernetes", "orphan", "foregroundDeletion")


def _default(obj: Json) -> None:
    meta = obj.setdefault("metadata", {})
    if meta.get("name"):
        meta.setdefault("labels", {})[NAME_LABEL] = meta["name"]


def _prepare_create(obj: Json) -> None:
    _default(obj)  # a generated name is known only now
    obj["status"] = {"phase": "Active"}
    finalizers = obj.setdefault("spec", {}).setdefault("finalizers", [])
    if FINALIZER not in finalizers:
        finalizers.append(FINALIZER)


def _prepare_update(new: Json, old: Json) -> None:
    # Only the finalize subresource takes finalizers away.
    new.setdefault("spec", {})
    if "finalizers" in old.get("spec", {}):
        new["spec"]["finalizers"] = old["spec"]["finalizers"]
    else:
        new["spec"].pop("finalizers", None)


def _finalize(new: Json, old: Json) -> None:
    """The finalize subresource changes the finalizers of the spec, and nothing else of it."""
    finalizers = (new.get("spec") or {}).get("finalizers")
    new["spec"] = {"finalizers": finalizers} if finalizers else {}
    if "status" in old:
        new["status"] = old["status"]


def _validate(obj: Json) -> Iterator[Problem]:
    path = Path() / "spec" / "finalizers"
    for each in (obj.get("spec") or {}).get("finalizers") or ():
        yield from _finalizer(each, path)


def _finalizer(name: str, path: Path) -> Iterator[Problem]:
    for wrong in names.qualified_name(name):
        yield invalid(path, name, wrong)
    if "/" not in name and name not in STANDARD_FINALIZERS:
        yield invalid(path, name, "name is neither a standard finalizer name nor is it fully qualified")


def _validate_finalize(new: Json, _old: Json) -> Iterator[Problem]:
    path = Path() / "spec" / "finalizers"
    for at, each in enumerate((new.get("spec") or {}).get("finalizers") or ()):
        yield from _finalizer(each, path[at])


def _validate_status(new: Json, _old: Json) -> Iterator[Problem]:
    phase = (new.get("status") or {}).get("phase")
    path = Path() / "status" / "Phase"
    if not new["metadata"].get("deletionTimestamp"):
        if phase != "Active":
            yield invalid(path, phase, "may only be 'Active' if `deletionTimestamp` is empty")
    elif phase != "Terminating":
        yield invalid(path, phase, "may only be 'Terminating' if `deletionTimestamp` is not empty")


def _phase(obj: Json) -> str:
    return str(obj.get("status", {}).get("phase", ""))


RULES = Rules(
    default=_default,
    prepare_create=_prepare_create,
    prepare_update=_prepare_update,
    validate=_validate,
    validate_status=_validate_status,
    subwrites={"finalize": Subwrite(_finalize, _validate_finalize)},
    name_check=names.dns1123_label,
    selectable={"status.phase": _phase, "name": lambda obj: str(obj.get("metadata", {}).get("name", ""))},
    columns=(NAME_COLUMN, Column("Status"), AGE_COLUMN),
    cells=lambda obj, now: [obj["metadata"].get("name", ""), _phase(obj), printing.age(obj, now)],
)
