"""What is validated of every object's metadata, at create and at update, in the original's wording."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from kaa.meta import names
from kaa.meta.problems import Path, Problem, duplicate, forbidden_field, invalid, required, too_long

__all__ = ["finalizer_warnings", "keep_for_status", "labels", "validate", "validate_update"]

Json = dict[str, Any]

ANNOTATIONS_BYTES_MAX = 256 * 1024
#: Finalizers the server itself knows; others need a domain.
_STANDARD_FINALIZERS = {"kubernetes", "orphan", "foregroundDeletion"}

_PATH = Path() / "metadata"


def validate(obj: Json, *, namespaced: bool, name_check: Callable[[str], Iterable[str]], custom: bool = False,
             path: Path = _PATH) -> Iterator[Problem]:  # fmt: skip
    """Name, namespace, labels, annotations, owners, finalizers. `path` is where the metadata stands; finalizers of
    `custom` kinds, and of what is embedded in them, need no domain (they are warned of)."""
    meta: Json = obj.get("metadata") or {}
    if meta.get("generation", 0) < 0:
        yield invalid(path / "generation", meta["generation"], "must be greater than or equal to 0")
    generated = meta.get("generateName")
    if generated:
        # What follows the prefix is letters and digits, so the prefix may end in a hyphen or a dot.
        for wrong in name_check(generated.rstrip("-.") or generated):
            yield invalid(path / "generateName", generated, wrong)
    name = meta.get("name", "")
    if not name:
        yield required(path / "name", "name or generateName is required")
    else:
        for wrong in name_check(name):
            yield invalid(path / "name", name, wrong)
    namespace = meta.get("namespace", "")
    if namespaced:
        if not namespace:
            yield required(path / "namespace")
        else:
            for wrong in names.dns1123_label(namespace):
                yield invalid(path / "namespace", namespace, wrong)
    elif namespace:
        yield forbidden_field(path / "namespace", "not allowed on this type")
    if meta.get("labels"):
        yield from labels(meta["labels"], path / "labels")
    if meta.get("annotations"):
        yield from annotation_sizes(meta["annotations"], path / "annotations")
    if meta.get("ownerReferences"):
        yield from _owners(meta["ownerReferences"], path / "ownerReferences")
    if meta.get("finalizers"):
        yield from _finalizers(meta["finalizers"], path / "finalizers", custom or path is not _PATH)


def labels(found: Mapping[str, str], path: Path) -> Iterator[Problem]:
    """Keys and values of a set of labels. The path of every problem is the map's, as in the original."""
    for key, value in found.items():
        for wrong in names.qualified_name(key):
            yield invalid(path, key, wrong)
        for wrong in names.label_value(value):
            yield invalid(path, value, wrong)


def annotation_sizes(found: Mapping[str, str], path: Path) -> Iterator[Problem]:
    """Keys, and the size of all together."""
    size = 0
    for key, value in found.items():
        size += len(key.encode()) + len(value.encode())
        for wrong in names.qualified_name(key.lower()):
            yield invalid(path, key, wrong)
    if size > ANNOTATIONS_BYTES_MAX:
        yield too_long(path, ANNOTATIONS_BYTES_MAX)


def _owners(owners: list[Json], path: Path) -> Iterator[Problem]:
    """Each says whom it means, none is an event, one at most manages. The paths have no index, as in the original."""
    controller = ""
    for owner in owners:
        api_version = owner.get("apiVersion") or ""
        if not api_version.rpartition("/")[2]:
            yield invalid(path / "apiVersion", api_version, "version must not be empty")
        for name in ("kind", "name", "uid"):
            if not owner.get(name):
                yield invalid(path / name, owner.get(name) or "", "must not be empty")
        if api_version == "v1" and owner.get("kind") == "Event":
            yield invalid(path, owner, "/v1, Kind=Event is disallowed from being an owner")
        if owner.get("controller"):
            if controller:
                yield invalid(
                    path,
                    owners,
                    "Only one reference can have Controller set to true. "
                    f'Found "true" in references for {controller} and {owner.get("name", "")}',
                )
            controller = controller or owner.get("name", "")


def _finalizers(finalizers: list[str], path: Path, custom: bool) -> Iterator[Problem]:
    for each in finalizers:
        for wrong in names.qualified_name(each):
            yield invalid(path, each, wrong)
        if not custom and "/" not in each and each not in _STANDARD_FINALIZERS:
            yield invalid(path, each, "name is neither a standard finalizer name nor is it fully qualified")
    if "orphan" in finalizers and "foregroundDeletion" in finalizers:
        yield invalid(path, finalizers, "finalizer orphan and foregroundDeletion cannot be both set")


def finalizer_warnings(new: Json, old: Json | None) -> Iterator[str]:
    """What is said of finalizers that are new and could be anyone's, where a kind lets them pass."""
    known = (old["metadata"].get("finalizers") or ()) if old is not None else ()
    for each in sorted(set(new["metadata"].get("finalizers") or ()) - set(known)):
        if "/" not in each and each not in _STANDARD_FINALIZERS:
            yield (f'metadata.finalizers: "{each}": prefer a domain-qualified finalizer name including a path (/) to '
                   "avoid accidental conflicts with other finalizer writers")  # fmt: skip


_IMMUTABLE = ("name", "namespace", "uid", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds")


def validate_update(new: Json, old: Json) -> Iterator[Problem]:
    """What may not change, and finalizers, which may only be taken away once an object is being deleted."""
    meta: Json = new.get("metadata") or {}
    was: Json = old.get("metadata") or {}
    for name in _IMMUTABLE:
        if meta.get(name) != was.get(name):
            yield invalid(_PATH / name, meta.get(name), "field is immutable")
    if was.get("deletionTimestamp"):
        added = sorted(set(meta.get("finalizers") or ()) - set(was.get("finalizers") or ()))
        if added:
            yield forbidden_field(
                _PATH / "finalizers",
                f"no new finalizers can be added if the object is being deleted, found new finalizers {_quoted(added)}",
            )
    if meta.get("generation", 0) < was.get("generation", 0):
        yield invalid(_PATH / "generation", meta.get("generation", 0), "must not be decremented")


#: Kinds whose status subresource leaves all metadata as it is (who owns which field excepted), and what others keep.
#: Everywhere else a status write may change labels, annotations, finalizers and owners too.
_STATUS_KEEPS_ALL = frozenset({
    "customresourcedefinitions.apiextensions.k8s.io", "apiservices.apiregistration.k8s.io",
    "flowschemas.flowcontrol.apiserver.k8s.io", "prioritylevelconfigurations.flowcontrol.apiserver.k8s.io",
    "volumeattachments.storage.k8s.io", "validatingadmissionpolicies.admissionregistration.k8s.io",
    "resourceclaims.resource.k8s.io", "storageversionmigrations.storagemigration.k8s.io",
    "podcertificaterequests.certificates.k8s.io",
})  # fmt: skip
_STATUS_KEEPS = {"pods": ("ownerReferences",), "deployments.apps": ("labels",)}
_CLIENTS = ("labels", "annotations", "finalizers", "ownerReferences")


def keep_for_status(new: Json, old: Json, resource: str, *, custom: bool = False) -> None:
    """Put back what a write through `status` may not change of metadata. `resource` is `deployments.apps`."""
    kept = _CLIENTS if custom or resource in _STATUS_KEEPS_ALL else _STATUS_KEEPS.get(resource, ())
    meta, was = new["metadata"], old["metadata"]
    for name in kept:
        if name in was:
            meta[name] = was[name]
        else:
            meta.pop(name, None)


def _quoted(values: list[str]) -> str:
    """As the original prints a list of strings: `[]string{"a", "b"}`."""
    return "[]string{" + ", ".join(f'"{each}"' for each in values) + "}"


def unique(values: Iterable[str], path: Path) -> Iterator[Problem]:
    """Each value may stand once; the path is that of the second."""
    seen: set[str] = set()
    for at, value in enumerate(values):
        if value in seen:
            yield duplicate(path[at], value)
        seen.add(value)
