"""patch: JSON patch, merge patch and strategic merge patch, each through the one read-modify-write loop.

Apply is a patch too, and has a module of its own (`kaa.server.verbs.applies`).
"""

from typing import Any

import orjson

from kaa.http.api import Answer
from kaa.kinds.duplicates import has_duplicates, strict_errors
from kaa.kinds.spec import KindSpec
from kaa.meta import errors, patch
from kaa.meta.gotext import go_text, json_kind
from kaa.meta.problems import Path, invalid
from kaa.meta.resource import Resource
from kaa.meta.unstructured import misfit
from kaa.server.call import Call
from kaa.server.verbs import applies, writeoptions, writes
from kaa.server.verbs.bodies import object_of
from kaa.server.verbs.identity import check_identity

__all__ = ["ACCEPTED", "APPLY_PATCH", "Patch", "media_type", "patch_object", "read_patch"]

Json = dict[str, Any]

JSON_PATCH = "application/json-patch+json"
MERGE_PATCH = "application/merge-patch+json"
STRATEGIC_PATCH = "application/strategic-merge-patch+json"
APPLY_PATCH = "application/apply-patch+yaml"
ACCEPTED = (JSON_PATCH, MERGE_PATCH, STRATEGIC_PATCH, APPLY_PATCH)
#: Custom resources have no merge keys.
ACCEPTED_CUSTOM = (JSON_PATCH, MERGE_PATCH, APPLY_PATCH)

_NOBODY = Resource("", "", "", "", False)
#: What the original's decoder calls the thing that each kind of patch is.
_GO_TYPES = {JSON_PATCH: "[]handlers.jsonPatchOp", MERGE_PATCH: "map[string]interface {}",
             STRATEGIC_PATCH: "map[string]interface {}"}  # fmt: skip
_OPERATION_FIELDS = ("op", "path", "from", "value")


def media_type(call: Call) -> str:
    """The kind of patch the client sent; raises 415."""
    media = call.request.headers.get("content-type", "").partition(";")[0]
    accepted = ACCEPTED_CUSTOM if call.spec.custom else ACCEPTED
    if media not in accepted:
        raise errors.unsupported_media_type(media, accepted)
    return media


async def patch_object(call: Call) -> Answer:
    """PATCH of an object or of a subresource that is written as the object."""
    media = media_type(call)
    call.form()
    writeoptions.check(call, "PatchOptions", apply=media == APPLY_PATCH)
    if media == APPLY_PATCH:
        return await applies.apply(call)
    given = read_patch(call, media)
    spec = call.spec

    def change(old: Json) -> Json:
        # What a patch may not change is read first: patches share what they leave alone, and the result is decoded.
        before = dict(old["metadata"])
        new = given.applied(call, spec, old)
        check_identity(call, new, before)
        return new

    return writes.answer(call, await writes.change_object(call, change))


class Patch:
    """A patch as it came, to be applied to one state of an object after the other until a write gets through."""

    def __init__(self, media: str, raw: bytes, body: Any, strict: list[str]) -> None:
        self.media = media
        self.strict = strict
        self._raw = raw
        self._body = body
        self._fresh = True

    def applied(self, call: Call, spec: KindSpec, old: Json) -> Json:
        """The patched object, read as strictly as a body. `old` may be changed, and shared with the result."""
        if not self._fresh:
            self._body = orjson.loads(self._raw)  # decoding the last result has changed what it took of the patch
        self._fresh = False
        patched = self._merged(spec, old)
        shown = go_text(self._body) if self.media == STRATEGIC_PATCH else orjson.dumps(patched).decode()
        try:
            if type(patched) is not dict:
                raise errors.bad_request(f"json: cannot unmarshal {json_kind(patched)} into Go value of type "
                                         f"{spec.resource.version}.{spec.kind}")  # fmt: skip
            return object_of(call, spec, patched, self.strict)
        except errors.StatusError as error:
            if error.code != 400:
                raise
            why = error.message.partition(f"cannot be handled as a {spec.kind}: ")[2] or error.message
            if self.media == STRATEGIC_PATCH and not why.startswith("strict decoding"):
                why = misfit(patched, spec.schema) or why
            raise errors.invalid(_NOBODY, "", [invalid(Path() / "patch", shown, why)]) from error

    def _merged(self, spec: KindSpec, old: Json) -> Any:
        body = self._body
        try:
            if self.media == JSON_PATCH:
                return patch.json_patch(old, [] if body is None else body)
            if self.media == MERGE_PATCH:
                return patch.merge_patch(old, body)
            merged = patch.strategic_merge(old, body or {}, spec.schema)
        except patch.PatchError as error:
            raise _refused(error) from error
        # The original merges into a value of the kind it knows: what the patch says of that is lost.
        merged["kind"], merged["apiVersion"] = spec.kind, spec.api_version
        return merged


def _refused(error: patch.PatchError) -> errors.StatusError:
    if error.code == 422:
        # The original keeps what went wrong to itself.
        return errors.StatusError(422, "Invalid", "the server rejected our request due to an error in our request")
    if error.code == 413:
        return errors.StatusError(413, "RequestEntityTooLarge", f"Request entity too large: {error}")
    return errors.bad_request(str(error))


def read_patch(call: Call, media: str) -> Patch:
    """The request's body as a patch; raises 400 where it is none."""
    raw = call.request.body
    lenient = "fieldValidation" in call.request.query and call.request.param("fieldValidation") == "Ignore"
    try:
        body = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        ends = not raw.strip() or error.pos >= len(error.doc)
        raise _unreadable(media, "unexpected end of JSON input" if ends else str(error), lenient) from error
    if media == JSON_PATCH:
        why = "" if body is None else _no_operations(body, lenient)
    else:
        why = "" if body is None or type(body) is dict else (
            f"json: cannot unmarshal {json_kind(body)} into Go value of type {_GO_TYPES[media]}"
        )  # fmt: skip
        if body is None and media == MERGE_PATCH:
            raise errors.bad_request("Invalid JSON Patch")
    if why:
        raise _unreadable(media, why, lenient)
    try:
        orjson.dumps(body)
    except TypeError as error:
        # What nests deeper than objects can be written is refused before anything walks it.
        raise _unreadable(media, "json: exceeded max depth", lenient) from error
    strict: list[str] = []
    if not lenient:
        unknown = _unknown_operation_fields(body) if media == JSON_PATCH and body else []
        if unknown or has_duplicates(raw, body):
            strict = strict_errors(raw, unknown)
            if media == JSON_PATCH:
                strict = [f"json patch {each}" for each in strict]
    return Patch(media, raw, body, strict)


def _unreadable(media: str, why: str, lenient: bool) -> errors.StatusError:
    if media == STRATEGIC_PATCH:
        return errors.bad_request(why)
    if lenient:
        return errors.bad_request(why if media == JSON_PATCH else "Invalid JSON Patch")
    return errors.bad_request(f"error decoding patch: {why}")


def _no_operations(body: Any, lenient: bool) -> str:
    """What keeps a JSON value from being a list of operations, or ""."""
    whole, part = ("jsonpatch.Patch", "jsonpatch.Operation") if lenient else (
        "[]handlers.jsonPatchOp", "handlers.jsonPatchOp")  # fmt: skip
    if type(body) is not list:
        return f"json: cannot unmarshal {json_kind(body)} into Go value of type {whole}"
    for each in body:
        if each is None:
            continue
        if type(each) is not dict:
            return f"json: cannot unmarshal {json_kind(each)} into Go value of type {part}"
        for name in ("op", "path", "from"):
            value = each.get(name)
            if value is not None and type(value) is not str and not lenient:
                return (f"json: cannot unmarshal {json_kind(value)} into Go struct field "
                        f"jsonPatchOp.{name} of type string")  # fmt: skip
    return ""


def _unknown_operation_fields(body: list[Any]) -> list[str]:
    return [
        f'unknown field "[{at}].{name}"'
        for at, each in enumerate(body)
        if each
        for name in each
        if name not in _OPERATION_FIELDS
    ]
