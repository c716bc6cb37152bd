"""What came with a request, decoded: JSON, YAML or protobuf; an object of the right kind, as strictly as was asked."""

from collections.abc import Sequence
from typing import Any

import orjson

from kaa.http.api import Request
from kaa.kinds import protobuf
from kaa.kinds.duplicates import duplicate_fields
from kaa.kinds.spec import KindSpec
from kaa.meta import errors
from kaa.server.call import Call

__all__ = ["decode_body", "object_of", "read_object", "read_part"]

Json = dict[str, Any]

PROTOBUF_TYPE = "application/vnd.kubernetes.protobuf"
OPTIONS = "DeleteOptions"
ACCEPTED = ("application/json", "application/yaml", PROTOBUF_TYPE)
#: Deeper documents are refused: no object of the API comes near, and recursion is bounded.
DEPTH_MAX = 200


def decode_body(request: Request) -> Any:
    """The body as plain data. Raises 400 when it is malformed, 415 when its form is not read."""
    media = request.headers.get("content-type", "application/json").partition(";")[0].strip().lower()
    if media in ("application/json", "", "application/x-www-form-urlencoded"):
        try:
            return orjson.loads(request.body)
        except orjson.JSONDecodeError as error:
            raise errors.bad_request(f"error decoding the body as JSON: {error}") from error
    if media in ("application/yaml", "application/x-yaml", "text/yaml"):
        return _yaml(request.body)
    raise errors.unsupported_media_type(media, ACCEPTED)


def _yaml(body: bytes) -> Any:
    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        if any(isinstance(token, yaml.AliasToken) for token in yaml.scan(body)):
            # Aliases can make a small document enormous, and no manifest needs them.
            raise errors.bad_request(
                "error decoding the body as YAML: anchors and aliases are not accepted: spell it out"
            )
        data = yaml.load(body, Loader=loader)
        # Through JSON, so that dates and other YAML notions become what JSON has.
        return orjson.loads(orjson.dumps(data, default=str))
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError, TypeError) as error:
        raise errors.bad_request(f"error decoding the body as YAML: {error}") from error


def read_object(call: Call, spec: KindSpec) -> Json:
    """The body as an object of `spec`: checked for its kind, its fields, and nothing unknown by the caller's wish."""
    media = call.request.headers.get("content-type", "").partition(";")[0].strip().lower()
    data = _protobuf(call.request, spec) if media == PROTOBUF_TYPE else decode_body(call.request)
    doubled: list[str] = []
    if media in ("", "application/json") and call.request.param("fieldValidation") != "Ignore":
        doubled = duplicate_fields(call.request.body)
    return object_of(call, spec, data, doubled)


def read_part(call: Call, api_version: str, kind: str) -> Json:
    """The body as what a subresource or a deletion takes: a Binding, an Eviction, DeleteOptions. Its types are checked.

    Clients send DeleteOptions under the group version of what they delete; that is let pass.
    """
    spec = call.parts.registry.by_kind(api_version, kind)
    assert spec is not None, (api_version, kind)
    media = call.request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media == PROTOBUF_TYPE:
        data: Any = _protobuf(call.request, spec, any_version=kind == OPTIONS)
    else:
        data = decode_body(call.request)
        if kind == OPTIONS and isinstance(data, dict) and isinstance(data.get("apiVersion"), str):
            data["apiVersion"] = api_version
    return object_of(call, spec, data)


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
    resource = spec.resource
    if not isinstance(data, dict):
        raise errors.bad_request(f"the body is not an object: send a {resource.kind}")
    kind, api_version = data.get("kind"), data.get("apiVersion")
    if not kind and not api_version:
        data = {"kind": resource.kind, "apiVersion": resource.api_version, **data}
    elif not kind:
        raise errors.bad_request("Object 'Kind' is missing in the body")
    elif not api_version:
        data = {**data, "apiVersion": resource.api_version}
    if data["apiVersion"] != resource.api_version:
        raise errors.bad_request(
            f"the API version in the data ({data['apiVersion']}) does not match the expected API version "
            f"({resource.api_version})"
        )
    if data["kind"] != resource.kind:
        raise errors.bad_request(
            f'{data["kind"]} in version "{resource.version}" cannot be handled as a {resource.kind}: '
            f"the body is of another kind than the path: send it to the path of its own kind"
        )
    obj, unknown = spec.decode(data)
    unknown = [*doubled, *unknown]
    if unknown:
        level = call.request.param("fieldValidation") or "Warn"
        if level == "Strict":
            listing = ", ".join(str(each) for each in unknown)
            raise errors.bad_request(
                f'{resource.kind} in version "{resource.version}" cannot be handled as a {resource.kind}: '
                f"strict decoding error: {listing}"
            )
        if level == "Warn":
            call.warnings.extend(str(each) for each in unknown)
        elif level != "Ignore":
            raise errors.bad_request(f'fieldValidation "{level}" is not one of Ignore, Warn, Strict')
    if not isinstance(obj.get("metadata"), dict):
        obj["metadata"] = {}
    return obj
