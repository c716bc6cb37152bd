"""`scale`: the replica count of anything that has one, under one kind."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import orjson

from kaa.base.clock import format_seconds
from kaa.http.api import Answer
from kaa.kinds.custom.kind import CustomKind, Scale
from kaa.kinds.custom.paths import find_dotted
from kaa.kinds.spec import KindSpec
from kaa.meta import errors, managed, scaling, selectors
from kaa.meta.problems import Path, invalid
from kaa.meta.resource import Resource
from kaa.server.cache import Cached
from kaa.server.call import Call
from kaa.server.objects import served_form
from kaa.server.verbs import applies, patches, writeoptions, writes
from kaa.server.verbs.bodies import read_part
from kaa.server.verbs.identity import check_identity

__all__ = ["handle"]

Json = dict[str, Any]

_SCALE = Resource("autoscaling", "v1", "scales", "Scale", True)


def handle(call: Call) -> Any:
    """get, update and patch of `scale`."""
    match call.info.verb:
        case "get":
            entry = call.objects.get(call.spec, call.namespace, call.info.name)
            return writes.answer_plain(call, scale_of(served_form(call.spec, entry), _places(call.spec)))
        case "update":
            return _update(call)
        case "patch":
            return _patch(call)
        case verb:
            raise errors.method_not_allowed(call.spec.resource, verb)


#: What a custom object that has no replica count yet is said to have while its Scale is written: no count at all.
_UNSET = -(2**31)


def scale_of(obj: Json, places: Scale | None = None, *, unset: int | None = None) -> Json:
    """The `autoscaling/v1 Scale` of an object; `places` says where a custom kind has its numbers.

    A custom object without a replica count has `unset` of them, or no Scale (500) where that is None."""
    meta = obj["metadata"]
    kept = {name: meta[name] for name in ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")
            if name in meta}  # fmt: skip
    if places is None:
        spec, status = obj.get("spec") or {}, obj.get("status") or {}
        selector = spec.get("selector")
        if isinstance(selector, dict) and not (selector.keys() & {"matchLabels", "matchExpressions"}):
            selector = {"matchLabels": selector}  # ReplicationController has a plain map
        text = str(selectors.from_object(selector)) if selector else ""
        replicas, running = spec.get("replicas"), status.get("replicas")
    else:
        replicas, running = find_dotted(obj, places.replicas), find_dotted(obj, places.status_replicas)
        if replicas is None:
            replicas = unset
        if replicas is None:
            path = "." + ".".join(places.replicas)
            raise errors.internal(f'the spec replicas field "{path}" does not exist')
        text = find_dotted(obj, places.selector) if places.selector is not None else ""
    scale: Json = {
        "kind": "Scale",
        "apiVersion": "autoscaling/v1",
        "metadata": kept,
        "spec": {"replicas": replicas} if replicas else {},
        "status": {"replicas": running or 0},
    }
    if text:
        scale["status"]["selector"] = text
    return scale


def _places(spec: KindSpec) -> Scale | None:
    """Where the kind has its numbers; None where that is the usual place."""
    return spec.scale if isinstance(spec, CustomKind) else None


def _put_replicas(obj: Json, path: tuple[str, ...], replicas: int) -> None:
    at = obj
    for name in path[:-1]:
        at = at.setdefault(name, {})
    at[path[-1]] = replicas


async def _update(call: Call) -> Answer:
    writeoptions.check(call, "UpdateOptions")
    body = read_part(call, "autoscaling/v1", "Scale")
    body["metadata"].pop("managedFields", None)
    return await _set(call, lambda old: {**body, "metadata": dict(body["metadata"])})


async def _patch(call: Call) -> Answer:
    media = patches.media_type(call)
    applying = media == patches.APPLY_PATCH
    writeoptions.check(call, "PatchOptions", apply=applying)
    kind = _kind(call)
    if not applying:
        given = patches.read_patch(call, media)
        return await _set(call, lambda old: given.applied(call, kind, old))
    configuration = applies.read_configuration(call)

    def merged(old: Json) -> Json:
        configuration.check_kind(kind)
        new = managed.apply(
            old, configuration.fresh(), kind.schema, manager=call.manager, api_version=kind.api_version,
            subresource="scale", force=bool(writeoptions.flag(call, "force")), reset={},
            time_text=format_seconds(call.clock.now()),
        )  # fmt: skip
        configuration.tell_duplicates(call)
        return new

    return await _set(call, merged, applied=True)


def _check_uid(call: Call, asked: str, uid: str) -> None:
    """Raise 409 where the Scale is another object's. The conflict names the subresource, as in the original."""
    if asked != uid:
        resource = replace(call.spec.resource, plural=f"{call.spec.resource.plural}/scale")
        why = f"Precondition failed: UID in precondition: {asked}, UID in object meta: {uid}"
        raise errors.conflict(resource, call.info.name, why)


def _kind(call: Call) -> KindSpec:
    kind = call.parts.registry.by_kind("autoscaling/v1", "Scale")
    assert kind is not None
    return kind


async def _set(call: Call, make: Callable[[Json], Json], *, applied: bool = False) -> Answer:
    """Change the replicas to what `make` makes of the Scale, and carry over who owns them."""
    kind, spec = _kind(call), call.spec
    places = _places(spec)
    path = places.replicas if places is not None else ("spec", "replicas")
    elements = tuple(f"f:{name}" for name in path)

    async def change(obj: Json) -> Json:
        was, meta = scale_of(obj, places, unset=_UNSET), obj["metadata"]
        stored = meta.get("managedFields") or []
        was["metadata"]["managedFields"] = scaling.to_scale(stored, elements)
        new = make(orjson.loads(orjson.dumps(was)))
        check_identity(call, new, meta)
        await _admit(call, new, was)
        _check_uid(call, new["metadata"].get("uid") or meta["uid"], meta["uid"])
        replicas = (new.get("spec") or {}).get("replicas") or 0
        if replicas == _UNSET and places is not None:
            raise errors.bad_request(f'the spec replicas field ".{".".join(path)}" cannot be empty')
        if replicas < 0:
            raise errors.invalid(_SCALE, call.info.name, [
                invalid(Path("spec") / "replicas", replicas, "must be greater than or equal to 0")])  # fmt: skip
        if not applied and stored:
            managed.update_ownership(
                was, new, kind.schema, manager=call.manager, api_version=kind.api_version, subresource="scale",
                reset={}, time_text=format_seconds(call.clock.now()),
            )  # fmt: skip
        theirs = new["metadata"].get("managedFields") or []
        if stored and theirs != was["metadata"]["managedFields"]:
            meta["managedFields"] = scaling.to_object(stored, theirs, spec.api_version, elements)
        _put_replicas(obj, path, replicas)
        return obj

    # Through the strategy of the object itself: a scale is an update of spec.replicas.
    result = await writes.change_object(call, change, subresource="scale", owner="Apply", admission=False)
    obj = result if isinstance(result, dict) else _decoded(call, result)
    return writes.answer_plain(call, scale_of(obj, places))


async def _admit(call: Call, new: Json, old: Json) -> None:
    """Admission is of the Scale: that is what the client writes."""
    attributes = call.attributes("UPDATE", new, old, options="UpdateOptions")
    await call.parts.admission.mutate(attributes)
    await call.parts.admission.validate(attributes)


def _decoded(call: Call, entry: Cached) -> Json:
    return served_form(call.spec, entry)
