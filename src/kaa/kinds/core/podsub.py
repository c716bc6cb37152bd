"""Writes to pods through `ephemeralcontainers` and `resize`: each changes one thing and keeps the rest."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import orjson

from kaa.kinds.core.podcheck import validate_spec
from kaa.kinds.core.quality import quality_of_service
from kaa.kinds.spec import Subwrite
from kaa.meta.problems import Path, Problem, forbidden_field, invalid

__all__ = ["SUBWRITES"]

Json = dict[str, Any]
_SPEC = Path() / "spec"


def _only(new: Json, old: Json, spec: Json) -> None:
    """Make `new` the old object with another spec, at the revision the writer asked for."""
    revision = new["metadata"].get("resourceVersion")
    managed = new["metadata"].get("managedFields")
    new.clear()
    new.update(orjson.loads(orjson.dumps(old)))
    new["spec"] = spec
    for name, value in (("resourceVersion", revision), ("managedFields", managed)):
        if value is not None:
            new["metadata"][name] = value
        else:
            new["metadata"].pop(name, None)


def _ephemeral_prepare(new: Json, old: Json) -> None:
    spec = dict(old["spec"])
    asked = (new.get("spec") or {}).get("ephemeralContainers")
    if asked:
        spec["ephemeralContainers"] = asked
    else:
        spec.pop("ephemeralContainers", None)
    _only(new, old, spec)


def _ephemeral_validate(new: Json, old: Json) -> Iterator[Problem]:
    yield from validate_spec(new["spec"], _SPEC)
    path = _SPEC / "ephemeralContainers"
    now = {each.get("name"): each for each in new["spec"].get("ephemeralContainers") or ()}
    for each in old["spec"].get("ephemeralContainers") or ():
        name = each.get("name")
        if name not in now:
            yield forbidden_field(path, f'existing ephemeral containers "{name}" may not be removed\n')
        elif now[name] != each:
            yield forbidden_field(path, f'existing ephemeral containers "{name}" may not be changed\n')


def _resize_prepare(new: Json, old: Json) -> None:
    spec = dict(old["spec"])
    asked = new.get("spec") or {}
    for kind in ("containers", "initContainers"):
        wanted = {each.get("name"): each for each in asked.get(kind) or ()}
        if kind in spec:
            spec[kind] = [_resized(each, wanted.get(each.get("name"))) for each in spec[kind]]
    if "resources" in asked:
        spec["resources"] = asked["resources"]
    _only(new, old, spec)


def _resized(container: Json, wanted: Json | None) -> Json:
    if wanted is None:
        return container
    out = {**container, "resources": wanted.get("resources") or {}}
    if "resizePolicy" in wanted:
        out["resizePolicy"] = wanted["resizePolicy"]
    return out


def _resize_validate(new: Json, old: Json) -> Iterator[Problem]:
    yield from validate_spec(new["spec"], _SPEC)
    before = (old.get("status") or {}).get("qosClass") or quality_of_service(old["spec"])
    if quality_of_service(new["spec"]) != before:
        yield invalid(_SPEC, before, "Pod QOS Class may not change as a result of resizing")
    for kind in ("containers", "initContainers"):
        for at, (one, other) in enumerate(zip(new["spec"].get(kind) or (), old["spec"].get(kind) or (), strict=False)):
            here = (_SPEC / kind)[at] / "resources"
            for amounts in ("requests", "limits"):
                ours = (one.get("resources") or {}).get(amounts) or {}
                theirs = (other.get("resources") or {}).get(amounts) or {}
                for name in sorted(ours.keys() | theirs.keys()):
                    if name not in ("cpu", "memory") and ours.get(name) != theirs.get(name):
                        yield forbidden_field(here / amounts, "only cpu and memory resources are mutable")
                    elif name in theirs and name not in ours:
                        yield forbidden_field(here / amounts, "resource " + amounts + " cannot be removed")


SUBWRITES = {
    "ephemeralcontainers": Subwrite(_ephemeral_prepare, _ephemeral_validate),
    "resize": Subwrite(_resize_prepare, _resize_validate),
}
