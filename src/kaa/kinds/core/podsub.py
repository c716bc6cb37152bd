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
MIRROR = "kubernetes.io/config.mirror"


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
    if MIRROR in (old["metadata"].get("annotations") or {}):
        yield forbidden_field(Path(), "static pods cannot be resized")
        return
    if ((old["spec"].get("os") or {}).get("name")) == "windows":
        yield forbidden_field(Path(), "windows pods cannot be resized")
        return
    before, after = (old.get("status") or {}).get("qosClass"), quality_of_service(new["spec"])
    if after != (before or quality_of_service(old["spec"])):
        yield invalid(_SPEC, before or "", "Pod QOS Class may not change as a result of resizing")
    if not _resizable(old):
        yield forbidden_field(_SPEC, "Pod running on node without support for resize")
    yield from _kept(new["spec"].get("resources"), old["spec"].get("resources"), _SPEC / "resources", "pod-level ")
    if _other(new["spec"].get("resources")) != _other(old["spec"].get("resources")):
        yield forbidden_field(_SPEC, "only cpu and memory resources are mutable at pod-level")
    for kind in ("initContainers", "containers"):
        for at, (one, other) in enumerate(zip(new["spec"].get(kind) or (), old["spec"].get(kind) or (), strict=False)):
            here = (_SPEC / kind)[at]
            ours, theirs = one.get("resources"), other.get("resources")
            yield from _kept(ours, theirs, here / "resources", "")
            if _other(ours) != _other(theirs):
                if kind == "containers":
                    yield forbidden_field(_SPEC, "only cpu and memory resources are mutable")
                else:
                    yield forbidden_field(
                        here, "only cpu and memory resources for init or sidecar containers are mutable"
                    )
            if kind == "initContainers" and one != other and one.get("restartPolicy") != "Always" and any(
                each.get("restartPolicy") == "RestartContainer" for each in one.get("resizePolicy") or ()
            ):  # fmt: skip
                yield forbidden_field(
                    here, "non-sidecar init containers with a resize policy of RestartContainer cannot be resized"
                )
    yield from validate_spec(new["spec"], _SPEC)


def _resizable(pod: Json) -> bool:
    """A node that can resize tells the resources of the containers it runs; the first that runs answers for all."""
    for each in (pod.get("status") or {}).get("containerStatuses") or ():
        if (each.get("state") or {}).get("running") is not None:
            return each.get("resources") is not None
    return True


def _kept(ours: Json | None, theirs: Json | None, path: Path, prefix: str) -> Iterator[Problem]:
    """Amounts may change; none may be taken away."""
    for amounts in ("requests", "limits"):
        if ((theirs or {}).get(amounts) or {}).keys() - ((ours or {}).get(amounts) or {}).keys():
            yield forbidden_field(path / amounts, f"{prefix}resource {amounts} cannot be removed")


def _other(resources: Json | None) -> Json:
    """What of the resources is neither cpu nor memory, and so stays."""
    rest: Json = {}
    for name, value in (resources or {}).items():
        left = {each: it for each, it in value.items() if each not in ("cpu", "memory")} if name != "claims" else value
        if left:
            rest[name] = left
    return rest


SUBWRITES = {
    "ephemeralcontainers": Subwrite(_ephemeral_prepare, _ephemeral_validate),
    "resize": Subwrite(_resize_prepare, _resize_validate),
}
