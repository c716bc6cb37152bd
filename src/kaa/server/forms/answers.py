"""Answers made of forms: an object, a list, a refusal."""

import asyncio
from collections.abc import Awaitable, Iterable, Sequence
from typing import Any

import orjson

from kaa.http.api import Pieces, Response
from kaa.kinds import protobuf
from kaa.kinds.spec import KindSpec
from kaa.meta import errors
from kaa.server.cache import Cached
from kaa.server.forms.accept import JSON_TYPE, PROTOBUF_TYPE, YAML_TYPE, clauses
from kaa.server.forms.api import Form
from kaa.server.forms.people import to_yaml

__all__ = ["render", "render_list", "render_object", "render_status"]

Json = dict[str, Any]

#: Lists that have to be made and are up to this many steps long are made at once.
AT_ONCE_STEPS = 4


def render_object(form: Form, spec: KindSpec, cached: Cached, status: int = 200,
                  headers: Iterable[tuple[str, str]] = ()) -> Response:  # fmt: skip
    """An object of the cache as an answer."""
    return Response(status, form.one(spec, cached), form.content_type, tuple(headers))


def render_list(form: Form, spec: KindSpec, objects: Sequence[Cached], metadata: Json,
                headers: Iterable[tuple[str, str]] = ()) -> Response | Awaitable[Response]:  # fmt: skip
    """A list as an answer, in pieces. A long one that has to be made first is made in steps, so others get the loop."""
    pieces = form.listing(spec, objects, metadata)
    if isinstance(pieces, Pieces):
        return Response(200, pieces, form.content_type, tuple(headers))
    if len(objects) <= AT_ONCE_STEPS * form.step:
        return Response(200, list(pieces), form.content_type, tuple(headers))
    return _in_steps(pieces, form.content_type, tuple(headers))


async def _in_steps(pieces: Iterable[bytes], content_type: str, headers: tuple[tuple[str, str], ...]) -> Response:
    made = []
    for piece in pieces:
        made.append(piece)
        if piece != b",":
            await asyncio.sleep(0)
    return Response(200, made, content_type, headers)


def render(obj: Json, status: int = 200, headers: Iterable[tuple[str, str]] = ()) -> Response:
    """A plain object as JSON."""
    return Response(status, orjson.dumps(obj), JSON_TYPE, tuple(headers))


def render_status(error: errors.StatusError, accept: str = "") -> Response:
    """A refusal as an answer, in the form the client accepts, or in JSON: the one place where errors become bytes."""
    headers: list[tuple[str, str]] = []
    if error.retry_after_seconds:
        headers.append(("Retry-After", str(error.retry_after_seconds)))
    if error.code == 401:
        headers.append(("WWW-Authenticate", 'Bearer realm="kubernetes"'))
    status = error.to_status()
    media = next((each.encoding for each in clauses(accept) if not each.shape), "json") if accept else "json"
    if media == "protobuf":
        raw = protobuf.encode(protobuf.message_of("v1", "Status"), status)
        return Response(error.code, protobuf.encode_envelope("v1", "Status", raw), PROTOBUF_TYPE, tuple(headers))
    if media == "yaml":
        return Response(error.code, to_yaml(status), YAML_TYPE, tuple(headers))
    return render(status, error.code, headers)
