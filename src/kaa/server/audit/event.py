"""Events as JSON: fields and their order are the original's (`audit.k8s.io/v1`, Event). Runs in a thread."""

import ipaddress
import zlib
from collections.abc import Iterable
from functools import lru_cache
from typing import Any, NamedTuple

import orjson

from kaa.base.clock import format_micro
from kaa.base.lazy import Lazy
from kaa.http.api import Request
from kaa.kinds import protobuf
from kaa.server.audit.policy import LEVELS
from kaa.server.audit.trail import LEVEL_REQUEST, LEVEL_RESPONSE, Trail
from kaa.server.request import User

yaml = Lazy("yaml")

__all__ = ["Record", "render", "render_list"]

Json = dict[str, Any]

USER_AGENT_MAX = 1024
_CUT = "...TRUNCATED"
#: What of a Status goes into the event, in the order of its fields.
_STATUS_FIELDS = ("status", "message", "reason", "details", "code")
_PATCH = "PATCH"


class Record(NamedTuple):
    """One stage of a trail, to be told."""

    trail: Trail
    stage: str
    at: float


def render(record: Record) -> bytes:
    """The event as JSON."""
    trail, stage, at = record
    request, info = trail.request, trail.info
    assert info is not None
    first = stage == "RequestReceived"
    event: Json = {
        "kind": "Event",
        "apiVersion": "audit.k8s.io/v1",
        "level": LEVELS[trail.level],
        "auditID": trail.id,
        "stage": stage,
        "requestURI": f"{request.raw_path}?{request.query}" if request.query else request.raw_path,
        "verb": info.verb,
        "user": orjson.Fragment(_user(trail.user)),
    }
    if trail.impersonated is not None and not first:
        event["impersonatedUser"] = orjson.Fragment(_user(trail.impersonated))
    if sources := _source_ips(request):
        event["sourceIPs"] = sources
    if agent := request.headers.get("user-agent"):
        event["userAgent"] = agent if len(agent) <= USER_AGENT_MAX else agent[:USER_AGENT_MAX] + _CUT
    if info.is_resource:
        said = {} if first else trail.reference
        reference = {
            "resource": info.resource,
            "namespace": info.namespace or said.get("namespace"),
            "name": info.name or said.get("name"),
            "uid": said.get("uid"),
            "apiGroup": info.group,
            "apiVersion": info.version,
            "resourceVersion": said.get("resourceVersion"),
            "subresource": info.subresource,
        }
        event["objectRef"] = {name: value for name, value in reference.items() if value}
    if not first:
        answered = _answered(trail)
        event["responseStatus"] = _status(trail, answered)
        if trail.level >= LEVEL_REQUEST and (sent := _sent(trail)) is not None:
            event["requestObject"] = sent
        if trail.level >= LEVEL_RESPONSE and answered is not None and stage == "ResponseComplete":
            event["responseObject"] = _shown(trail, answered)
    event["requestReceivedTimestamp"] = format_micro(trail.received)
    event["stageTimestamp"] = format_micro(at)
    if trail.annotations and not first:
        event["annotations"] = trail.annotations
    return orjson.dumps(event)


def render_list(events: Iterable[bytes]) -> bytes:
    """Events as the body of one call to a webhook."""
    items = b",".join(events)
    return b'{"kind":"EventList","apiVersion":"audit.k8s.io/v1","metadata":{},"items":[%b]}' % items


@lru_cache(maxsize=1024)
def _user(user: User) -> bytes:
    shown: Json = {"username": user.name, "uid": user.uid, "groups": user.groups,
                   "extra": {key: list(values) for key, values in user.extra.items()}}  # fmt: skip
    return orjson.dumps({key: value for key, value in shown.items() if value})


def _source_ips(request: Request) -> list[str]:
    """Whoever passed the request on, as they say, then who sent it to us, whom nobody can forge easily."""
    found: list[str] = []
    headers = request.headers
    if "x-forwarded-for" in headers:
        found = [ip for each in headers["x-forwarded-for"].split(",") if (ip := _ip(each))]
    if (real := _ip(headers.get("x-real-ip", ""))) and real not in found:
        found.append(real)
    address = request.peer.address
    remote = _ip(address.rpartition(":")[0].strip("[]")) or _ip(address)
    if remote and (not found or found[-1] != remote):
        found.append(remote)
    return found


@lru_cache(maxsize=4096)
def _ip(text: str) -> str:
    try:
        return str(ipaddress.ip_address(text.strip())) if text else ""
    except ValueError:
        return ""


# --- what was sent and what was answered


def _answered(trail: Trail) -> bytes | None:
    """The answer's body as JSON; None where it is none, or not kept."""
    if trail.answered is None:
        return None
    body, content_type, compressed = trail.answered
    raw = body if isinstance(body, bytes) else b"".join(body)
    if compressed:
        raw = zlib.decompress(raw, zlib.MAX_WBITS | 16)
    return _json(raw, content_type)


def _json(raw: bytes, content_type: str) -> bytes | None:
    media = content_type.partition(";")[0].strip()
    try:
        if media in ("application/json", ""):
            return raw if raw[:1] == b"{" else None
        if media == "application/vnd.kubernetes.protobuf":
            api_version, kind, inner = protobuf.decode_envelope(raw)
            obj = protobuf.decode(protobuf.message_of(api_version, kind), inner)
            return orjson.dumps({"kind": kind, "apiVersion": api_version, **obj})
        if media.endswith("yaml"):
            return orjson.dumps(yaml.safe_load(raw))
    except (ValueError, TypeError, yaml.YAMLError, protobuf.MalformedProtobuf):
        return None
    return None


def _status(trail: Trail, answered: bytes | None) -> Json:
    status: Json = {"metadata": {}}
    if answered is not None and b'"Status"' in answered[:64]:
        said = orjson.loads(answered)
        if said.get("kind") == "Status":
            status |= {name: said[name] for name in _STATUS_FIELDS if said.get(name)}
    if trail.explanation:
        status["message"] = trail.explanation
    status["code"] = trail.code
    return status


def _sent(trail: Trail) -> Any:
    raw = trail.sent
    if raw is None and trail.request.method == _PATCH:
        # A patch is told as it came; those in YAML as JSON.
        body = trail.request.body
        raw = body if body[:1] in (b"{", b"[") else _json(body, "application/yaml")
    if raw is None:
        return None
    return _shown(trail, raw)


def _shown(trail: Trail, raw: bytes) -> Any:
    if trail.ruling.omit_managed_fields and b'"managedFields"' in raw:
        obj = orjson.loads(raw)
        _strip(obj)
        return obj
    try:
        return orjson.Fragment(orjson.dumps(orjson.loads(raw))) if b"\n" in raw else orjson.Fragment(raw)
    except orjson.JSONDecodeError:
        return None


def _strip(obj: Any) -> None:
    if not isinstance(obj, dict):
        return
    if isinstance(obj.get("metadata"), dict):
        obj["metadata"].pop("managedFields", None)
    for each in obj.get("items") or ():
        _strip(each)
    for row in obj.get("rows") or ():
        _strip(row.get("object"))
