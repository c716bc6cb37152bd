"""Who owns the replicas, seen from the object and seen from its `scale`.

A Scale has managed fields of its own, made from the object's: of each entry that owns the replica count, that alone,
under the Scale's version. What a write of the Scale makes of them goes back into the object's entries.
"""

from typing import Any

from kaa.meta.fieldset import FieldSet, difference, has, union
from kaa.meta.ownership import Entries, Entry, read_entries, write_entries

__all__ = ["to_object", "to_scale"]

Json = dict[str, Any]

SCALE_VERSION = "autoscaling/v1"
_REPLICAS = ("f:spec", "f:replicas")


def _only(path: tuple[str, ...]) -> FieldSet:
    made: FieldSet = {}
    for element in reversed(path):
        made = {element: made}
    return made


def to_scale(wire: list[Json], path: tuple[str, ...] = _REPLICAS) -> list[Json]:
    """The entries of the Scale of an object. `path` is where the object has its replica count."""
    made: Entries = {}
    for key, each in read_entries(wire, trusted=True).items():
        if has(each.fields, *path):
            made[key] = Entry(
                each.manager, each.operation, SCALE_VERSION, each.subresource, each.time, _only(_REPLICAS)
            )
    return write_entries(made)


def to_object(wire: list[Json], scale: list[Json], api_version: str, path: tuple[str, ...] = _REPLICAS) -> list[Json]:
    """The object's entries after a write of its Scale left it with these."""
    entries = read_entries(wire, trusted=True)
    left = read_entries(scale, trusted=True)
    # The same manager has the same name on both sides, but for the version that its updates carry.
    known = {_name(each): each for each in left.values()}
    made: Entries = {}
    for key, each in entries.items():
        if has(each.fields, *path) and known.pop(_name(each), None) is None:
            each = each.with_fields(difference(each.fields, _only(path)))
        if each.fields:
            made[key] = each
    for each in known.values():
        if not has(each.fields, *_REPLICAS):
            continue
        entry = Entry(each.manager, each.operation, api_version, each.subresource, each.time, _only(path))
        have = made.get(entry.id)
        made[entry.id] = entry if have is None else entry.with_fields(union(have.fields, entry.fields))
    return write_entries(made)


def _name(entry: Entry) -> tuple[str, str, str]:
    return entry.manager, entry.operation, entry.subresource
