"""patch: JSON patch, merge patch, strategic merge patch and apply, each through the one read-modify-write loop."""

from typing import Any

import orjson

from kaa.base.clock import format_seconds
from kaa.http.api import Answer
from kaa.meta import errors, managed, patch
from kaa.server.call import Call
from kaa.server.verbs import writes
from kaa.server.verbs.bodies import decode_body, object_of

__all__ = ["apply_patch", "patch_object"]

Json = dict[str, Any]

JSON_PATCH = "application/json-patch+json"
MERGE_PATCH = "application/merge-patch+json"
STRATEGIC_PATCH = "application/strategic-merge-patch+json"
APPLY_PATCH = "application/apply-patch+yaml"
ACCEPTED = (JSON_PATCH, MERGE_PATCH, STRATEGIC_PATCH, APPLY_PATCH)
#: The reason that goes with each code of a patch that cannot be carried out.
_REASONS = {400: "BadRequest", 413: "RequestEntityTooLarge", 422: "Invalid"}


def media_type(call: Call) -> str:
    """The kind of patch the client sent; raises 415."""
    media = call.request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media not in ACCEPTED:
        raise errors.unsupported_media_type(media, ACCEPTED)
    return media


async def patch_object(call: Call) -> Answer:
    """PATCH of an object or its status."""
    media = media_type(call)
    call.form()
    if media == APPLY_PATCH:
        return await _apply(call)
    body = _body(call)
    spec, info = call.spec, call.info
    if media == STRATEGIC_PATCH and spec.custom:
        raise errors.unsupported_media_type(media, (JSON_PATCH, MERGE_PATCH, APPLY_PATCH))

    def change(old: Json) -> Json:
        stated_before = old["metadata"]["resourceVersion"]
        uid = old["metadata"]["uid"]
        new = _decoded(call, apply_patch(call, media, old, body))
        meta = new["metadata"]
        if meta.get("name") not in (None, info.name):
            raise errors.bad_request(
                f"the name of the object ({meta['name']}) does not match the name on the URL ({info.name})"
            )
        if (meta.get("resourceVersion") or stated_before) != stated_before:
            raise errors.conflict(spec.resource, info.name, writes.MODIFIED)
        if (meta.get("uid") or uid) != uid:
            raise errors.conflict(
                spec.resource, info.name,
                f"Precondition failed: UID in precondition: {meta['uid']}, UID in object meta: {uid}",
            )  # fmt: skip
        return new

    return writes.answer(call, await writes.change_object(call, change))


def apply_patch(call: Call, media: str, old: Json, body: Any) -> Json:
    """The patched object. `old` may be shared with the result, and is not changed."""
    resource, name = call.spec.resource, call.info.name
    try:
        if media == JSON_PATCH:
            if not isinstance(body, list):
                raise errors.bad_request("a JSON patch is a list of operations")
            result = patch.json_patch(old, body)
        elif not isinstance(body, dict):
            raise errors.bad_request("a merge patch is an object")
        elif media == MERGE_PATCH:
            result = patch.merge_patch(old, body)
        else:
            result = patch.strategic_merge(old, body, call.spec.schema)
    except patch.PatchError as error:
        text = str(error) if media == JSON_PATCH else f'{resource.kind} "{name}" cannot be patched: {error}'
        raise errors.StatusError(
            error.code, _REASONS[error.code], text, {"name": name, "kind": resource.kind}
        ) from error
    if not isinstance(result, dict):
        raise errors.bad_request("the patched document is not an object")
    return result


def _decoded(call: Call, patched: Json) -> Json:
    # The patch may have put anything anywhere: read the result as strictly as a body.
    return object_of(call, call.spec, orjson.loads(orjson.dumps(patched)))


def _body(call: Call) -> Any:
    try:
        return orjson.loads(call.request.body)
    except orjson.JSONDecodeError as error:
        raise errors.bad_request(f"error decoding the patch as JSON: {error}") from error


async def _apply(call: Call) -> Answer:
    """Server-side apply: fields are merged by who owns them; a name that is free is created."""
    spec, info, request = call.spec, call.info, call.request
    manager = request.param("fieldManager")
    if not manager:
        raise errors.StatusError(
            422,
            "Invalid",
            'PatchOptions.meta.k8s.io "" is invalid: fieldManager: Required value: is required for apply patch',
        )
    force = request.param("force") in ("true", "1", "True")
    request.headers["content-type"] = "application/yaml"
    applied = object_of(call, spec, decode_body(request))
    meta = applied["metadata"]
    if meta.get("managedFields"):
        raise errors.bad_request("metadata.managedFields must be nil")
    if meta.get("name", info.name) != info.name:
        raise errors.bad_request(
            f"the name of the object ({meta['name']}) does not match the name on the URL ({info.name})"
        )
    meta["name"] = info.name
    if spec.namespaced:
        if meta.get("namespace", call.namespace) != call.namespace:
            raise errors.bad_request(
                "the namespace of the provided object does not match the namespace sent on the request"
            )
        meta["namespace"] = call.namespace

    def merged(live: Json | None) -> Json:
        return managed.apply(live, applied, spec.schema, manager=call.manager, force=force,
                             api_version=spec.api_version, subresource=info.subresource,
                             time_text=format_seconds(call.clock.now()))  # fmt: skip

    if call.objects.find(spec, call.namespace, info.name) is None:
        if info.subresource:
            raise errors.not_found(spec.resource, info.name)
        if meta.get("uid"):
            raise errors.conflict(spec.resource, info.name, f"uid mismatch: the provided object specified uid "
                                  f"{meta['uid']}, and no existing object was found")  # fmt: skip
        created = await writes.create_object(call, merged(None), owner="Apply")
        return writes.answer(call, created, 201)

    def change(old: Json) -> Json:
        stated = meta.get("resourceVersion")
        if stated and stated != old["metadata"]["resourceVersion"]:
            raise errors.conflict(spec.resource, info.name, writes.MODIFIED)
        return merged(old)

    return writes.answer(call, await writes.change_object(call, change, owner="Apply"))
