"""`scale`: the replica count of anything that has one, under one kind."""

from typing import Any

from kaa.http.api import Answer
from kaa.meta import errors, selectors
from kaa.server.cache import Cached
from kaa.server.call import Call
from kaa.server.objects import served_form
from kaa.server.verbs import patches, writes
from kaa.server.verbs.bodies import decode_body, object_of, read_part

__all__ = ["handle"]

Json = dict[str, Any]


def handle(call: Call) -> Any:
    """get, update and patch of `scale`."""
    match call.info.verb:
        case "get":
            entry = call.objects.get(call.spec, call.namespace, call.info.name)
            return writes.answer_plain(call, scale_of(served_form(call.spec, entry)))
        case "update":
            return _update(call)
        case "patch":
            return _patch(call)
        case verb:
            raise errors.method_not_allowed(call.spec.resource, verb)


def scale_of(obj: Json) -> Json:
    """The `autoscaling/v1 Scale` of an object."""
    meta = obj["metadata"]
    kept = {name: meta[name] for name in ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")
            if name in meta}  # fmt: skip
    spec, status = obj.get("spec") or {}, obj.get("status") or {}
    selector = spec.get("selector")
    if isinstance(selector, dict) and not (selector.keys() & {"matchLabels", "matchExpressions"}):
        selector = {"matchLabels": selector}  # ReplicationController has a plain map
    text = str(selectors.from_object(selector)) if selector else ""
    scale: Json = {
        "kind": "Scale",
        "apiVersion": "autoscaling/v1",
        "metadata": kept,
        "spec": {"replicas": spec.get("replicas", 0)} if spec.get("replicas") else {},
        "status": {"replicas": status.get("replicas", 0)},
    }
    if text:
        scale["status"]["selector"] = text
    return scale


async def _update(call: Call) -> Answer:
    body = read_part(call, "autoscaling/v1", "Scale")
    return await _set(call, lambda old: body)


async def _patch(call: Call) -> Answer:
    media = patches.media_type(call)
    if media == patches.APPLY_PATCH:
        applied = decode_body(call.request)
        return await _set(call, lambda old: patches.apply_patch(call, patches.MERGE_PATCH, old, applied))
    if media == patches.STRATEGIC_PATCH:
        media = patches.MERGE_PATCH  # a Scale has no lists, so the two are the same
    body = _json(call)
    return await _set(call, lambda old: patches.apply_patch(call, media, old, body))


def _json(call: Call) -> Any:
    import orjson

    try:
        return orjson.loads(call.request.body)
    except orjson.JSONDecodeError as error:
        raise errors.bad_request(f"error decoding the patch as JSON: {error}") from error


async def _set(call: Call, make: Any) -> Answer:
    kind = call.parts.registry.by_kind("autoscaling/v1", "Scale")
    assert kind is not None

    def change(obj: Json) -> Json:
        was = scale_of(obj)
        new = object_of(call, kind, make(was))
        replicas = (new.get("spec") or {}).get("replicas", 0)
        if replicas < 0:
            raise errors.StatusError(
                422, "Invalid",
                f'Scale.autoscaling "{call.info.name}" is invalid: spec.replicas: Invalid value: {replicas}: '
                "must be greater than or equal to 0",
            )  # fmt: skip
        stated = new["metadata"].get("resourceVersion")
        if stated and stated != obj["metadata"]["resourceVersion"]:
            raise errors.conflict(call.spec.resource, call.info.name, writes.MODIFIED)
        obj.setdefault("spec", {})["replicas"] = replicas
        return obj

    # Through admission and the strategy of the object itself: a scale is an update of spec.replicas.
    result = await writes.change_object(call, change, subresource="scale")
    obj = result if isinstance(result, dict) else _decoded(call, result)
    return writes.answer_plain(call, scale_of(obj))


def _decoded(call: Call, entry: Cached) -> Json:
    return served_form(call.spec, entry)
