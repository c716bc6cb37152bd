"""What came with a request, decoded: JSON, YAML or protobuf; an object of the right kind, as strictly as was asked."""

from collections.abc import Callable, Sequence
from typing import Any

import orjson

from kaa.http.api import Request
from kaa.kinds import protobuf
from kaa.kinds.duplicates import ERRORS_MAX, has_duplicates, strict_errors
from kaa.kinds.spec import KindSpec
from kaa.meta import errors
from kaa.meta.problems import Path, invalid
from kaa.meta.resource import Resource
from kaa.server.call import Call

__all__ = ["decode_body", "object_of", "patched_object", "read_object", "read_part", "tell_strictness"]

Json = dict[str, Any]

JSON_TYPES = ("application/json", "", "application/x-www-form-urlencoded")
YAML_TYPES = ("application/yaml", "application/x-yaml", "text/yaml")
PROTOBUF_TYPE = "application/vnd.kubernetes.protobuf"
OPTIONS = "DeleteOptions"
ACCEPTED = ("application/json", "application/yaml", PROTOBUF_TYPE)
#: As much of a body as a message shows.
SHOWN_MAX = 30
#: What Go's reader calls the place it looks for the kind in; part of the message users see for `[]` and `5`.
_TYPE_META = r'struct { APIVersion string "json:\"apiVersion,omitempty\""; Kind string "json:\"kind,omitempty\"" }'
_WORDS = {str: "string", bool: "bool", dict: "object", list: "array", int: "number", float: "number"}
#: Where the original registers its built-in types; messages about unknown ones say it.
_SCHEME = 'scheme "pkg/api/legacyscheme/scheme.go:30"'


class _Unreadable(ValueError):
    """The body is nothing an object can be read from; `str()` says why."""


def media_of(request: Request) -> str:
    """The content type without its parameters."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def decode_body(request: Request) -> Any:
    """The body as plain data. Raises 400 when it is malformed, 415 when its form is not read."""
    try:
        return _decode(request)[0]
    except _Unreadable as error:
        raise errors.bad_request(f"error decoding the body: {error}") from error


def _decode(request: Request) -> tuple[Any, list[str]]:
    """Plain data, and what YAML said twice. Raises _Unreadable, or 415."""
    media = media_of(request)
    if media in JSON_TYPES:
        try:
            return orjson.loads(request.body), []
        except orjson.JSONDecodeError as error:
            ends = error.pos >= len(error.doc) or not request.body.strip()
            why = "unexpected end of JSON input" if ends else str(error)
            raise _Unreadable(f"couldn't get version/kind; json parse error: {why}") from error
    if media in YAML_TYPES:
        from kaa.server.verbs import yamlbody  # not on the path of programs, so not at start

        try:
            document = yamlbody.read(request.body)
        except yamlbody.YamlProblem as error:
            raise _Unreadable(str(error)) from error
        try:
            # Through JSON: what an alias shared becomes each reader's own.
            return orjson.loads(orjson.dumps(document.data)), document.duplicates
        except (TypeError, orjson.JSONDecodeError) as error:
            raise _Unreadable(f"yaml: {error}") from error
    raise errors.unsupported_media_type(media, ACCEPTED)


def read_object(call: Call, spec: KindSpec) -> Json:
    """The body as an object of `spec`: checked for its kind, its fields, and nothing unknown by the caller's wish."""
    obj = _read(call, spec)
    if call.request.trail is not None:
        call.request.trail.note_sent(spec, obj)
    return obj


def read_part(call: Call, api_version: str, kind: str) -> Json:
    """The body as what a subresource or a deletion takes: a Binding, an Eviction, DeleteOptions. Its types are checked.

    Clients send DeleteOptions under the group version of what they delete; that is let pass.
    """
    spec = call.parts.registry.by_kind(api_version, kind)
    assert spec is not None, (api_version, kind)
    obj = _read(call, spec, any_version=kind == OPTIONS)
    if call.request.trail is not None:
        call.request.trail.note_sent(spec, obj)
    return obj


def _read(call: Call, spec: KindSpec, *, any_version: bool = False) -> Json:
    request = call.request
    if media_of(request) == PROTOBUF_TYPE:
        return object_of(call, spec, _protobuf(request, spec, any_version=any_version))
    try:
        data, doubled = _decode(request)
        if data is None:
            data = {}  # Go leaves the object as it was: empty
        elif type(data) is not dict:
            word = _WORDS[type(data)]
            raise _Unreadable(f"couldn't get version/kind; json parse error: json: cannot unmarshal {word} into Go "
                              f"value of type {_TYPE_META}")  # fmt: skip
        if wrong := _wrong_meta(data):
            raise _Unreadable(f"couldn't get version/kind; json parse error: {wrong}")
    except _Unreadable as error:
        raise _unrecognized(spec, error, request.body) from error
    if any_version and data.get("apiVersion"):
        data["apiVersion"] = spec.api_version
    if not data.get("kind") and spec.custom:
        why = f"Object 'Kind' is missing in '{request.body[:500].decode(errors='replace')}'"
        raise _unrecognized(spec, why, request.body)
    in_yaml = media_of(request) in YAML_TYPES
    strict = _level(call) != "Ignore"
    # Decoding changes the data: what the strict reader sees is kept, where it is not the body itself.
    try:
        written = orjson.dumps(data, option=orjson.OPT_SORT_KEYS if in_yaml else 0)
    except TypeError as error:
        # The writer nests 254 levels: what is deeper could not be stored, and recursion is bounded.
        raise _unrecognized(spec, "json: exceeded max depth", request.body) from error
    raw = written if in_yaml else request.body
    twice = strict and not in_yaml and has_duplicates(raw, data, written)

    def tell(unknown: list[str]) -> list[str]:
        if spec.custom:  # the original reads them first, and holds them against their schema then
            return [*(strict_errors(raw) if twice else ()), *unknown] if strict else []
        return strict_errors(raw, unknown) if strict and (unknown or twice) else []

    return _checked(call, spec, data, tell, doubled)


def _wrong_meta(data: Json) -> str:
    """What is wrong with the types of kind and apiVersion, or ""."""
    for name in ("kind", "apiVersion"):
        value = data.get(name)
        if value is not None and type(value) is not str:
            return f"json: cannot unmarshal {_WORDS[type(value)]} into Go struct field .{name} of type string"
    return ""


def _unrecognized(spec: KindSpec, why: object, body: bytes) -> errors.StatusError:
    """400 about a body of which not even the kind can be told, with the start of it."""
    if not body:
        shown = "<empty>"
    else:
        start = body[:SHOWN_MAX]
        shown = start.decode(errors="replace") if body[:1] == b"{" else start.hex()
        if len(body) > SHOWN_MAX:
            shown += " ..."
    return errors.bad_request(f"the object provided is unrecognized (must be of type {spec.kind}): {why} ({shown})")


def _protobuf(request: Request, spec: KindSpec, *, any_version: bool = False) -> Json:
    """A built-in kind's object from its envelope; raises 415 for kinds without a message, 400 when it is malformed."""
    if not spec.protobuf:
        raise errors.unsupported_media_type(PROTOBUF_TYPE, ACCEPTED)
    try:
        api_version, kind, raw = protobuf.decode_envelope(request.body)
        if any_version:
            api_version = spec.api_version
        if (api_version or spec.api_version, kind or spec.kind) != (spec.api_version, spec.kind):
            return {"kind": kind, "apiVersion": api_version}  # what does not fit is said where all forms meet
        obj = protobuf.decode(spec.protobuf, raw)
    except protobuf.MalformedProtobuf as error:
        raise errors.bad_request(f"error decoding the body as protobuf: {error}") from error
    return {"kind": spec.kind, "apiVersion": spec.api_version, **obj}


def object_of(call: Call, spec: KindSpec, data: Any, doubled: Sequence[str] = ()) -> Json:
    """Plain data as an object of `spec`. Unknown fields are dropped with a warning, or refused, or dropped silently.

    `doubled` is what was found wrong before, to be told the same way.
    """
    if not isinstance(data, dict):
        raise errors.bad_request(f"the body is not an object: send a {spec.kind}")
    return _checked(call, spec, data, lambda unknown: unknown, doubled)


def patched_object(call: Call, spec: KindSpec, data: Any, doubled: Sequence[str] = ()) -> Json:
    """The outcome of a patch as an object of `spec`. What does not fit is the patch's fault, and so 422.

    `doubled` is what the patch itself said twice. The data is taken over and changed.
    """
    patched = orjson.dumps(data)
    try:
        if not isinstance(data, dict):
            raise errors.bad_request(f"json: cannot unmarshal {_WORDS.get(type(data), 'null')} into Go value of type "
                                     f"{spec.resource.version}.{spec.kind}")  # fmt: skip
        return _checked(call, spec, data, lambda unknown: unknown, doubled)
    except errors.StatusError as error:
        if error.code != 400:
            raise
        why = error.message.partition(f"cannot be handled as a {spec.kind}: ")[2] or error.message
        nobody = Resource("", "", "", "", False)
        problem = invalid(Path() / "patch", patched.decode(errors="replace"), why)
        raise errors.invalid(nobody, "", [problem]) from error


def _checked(call: Call, spec: KindSpec, data: Json, tell: Callable[[list[str]], list[str]],
             doubled: Sequence[str]) -> Json:  # fmt: skip
    """Kind and version are those of the path, types are right, and what is unknown is told as was asked."""
    resource = spec.resource
    if wrong := _wrong_meta(data):
        raise errors.bad_request(wrong)
    kind, api_version = data.get("kind") or resource.kind, data.get("apiVersion") or resource.api_version
    if api_version != resource.api_version or kind != resource.kind:
        _refuse_kind(call, spec, kind, api_version)
    if "kind" not in data or "apiVersion" not in data or data["kind"] != kind or data["apiVersion"] != api_version:
        data = {**data, "kind": kind, "apiVersion": api_version}
    obj, unknown = spec.decode(data)
    tell_strictness(call, resource, tell(unknown), doubled)
    if not isinstance(obj.get("metadata"), dict):
        obj["metadata"] = {}
    return obj


def _refuse_kind(call: Call, spec: KindSpec, kind: str, api_version: str) -> None:
    """Raise for a body of another kind or version than the path's, in the words of the step that finds it out."""
    expected = (
        f"the API version in the data ({api_version}) does not match the expected API version ({spec.api_version})"
    )
    if spec.custom:
        if api_version != spec.api_version:
            raise errors.bad_request(expected)
        raise errors.invalid(spec.resource, "", [invalid(Path() / "kind", kind, f"must be {spec.kind}")])
    version = api_version.rpartition("/")[2]
    given = call.parts.registry.by_kind(api_version, kind)
    if given is None or given.custom:
        why = f'no kind "{kind}" is registered for version "{api_version}" in {_SCHEME}'
    elif kind != spec.kind:
        inner = spec.resource.group.partition(".")[0] or "core"
        why = f"converting ({version}.{kind}) to ({inner}.{spec.kind}): unknown conversion"
    else:
        raise errors.bad_request(expected)
    raise errors.bad_request(f'{kind} in version "{version}" cannot be handled as a {spec.kind}: {why}')


def _level(call: Call) -> str:
    if "fieldValidation" not in call.request.query:
        return "Warn"
    return call.request.param("fieldValidation") or "Warn"


def tell_strictness(call: Call, resource: Resource, found: Sequence[str], in_yaml: Sequence[str] = ()) -> None:
    """Warn of what a strict reader refuses, refuse it (400), or say nothing: as `fieldValidation` asks.

    `in_yaml` are keys that stood twice in a YAML body: the original tells them as one error of many lines.
    """
    if not found and not in_yaml:
        return
    level = _level(call)
    if level == "Warn":
        call.warnings.extend([*in_yaml, *found][:ERRORS_MAX])
    elif level == "Strict":
        ours = [each for each in in_yaml if each.startswith("line ")]
        texts = [each for each in in_yaml if not each.startswith("line ")]
        if ours:
            texts.insert(0, "yaml: unmarshal errors:\n  " + "\n  ".join(ours))
        raise errors.bad_request(
            f'{resource.kind} in version "{resource.version}" cannot be handled as a {resource.kind}: '
            f"strict decoding error: {', '.join([*texts, *found][:ERRORS_MAX])}"
        )
    elif level != "Ignore":
        raise errors.bad_request(f'fieldValidation "{level}" is not one of Ignore, Warn, Strict')
