"""Calls to webhooks: questions that the server asks others over TLS, bounded in time, in number and in size.

Admission, conversion, and the webhooks of authentication and authorization all ask through here. Where a hook is, is
said as in the API: by a URL, or by a service of the cluster, whose ready endpoints are called directly, so that a hook
answers also where no service rules reach. The certificate is checked against the name of the service.
"""

import base64
import hashlib
import ssl
from collections import OrderedDict
from dataclasses import dataclass
from math import ceil
from typing import Any
from urllib.parse import urlsplit

import orjson

from kaa.base import ids
from kaa.base.clock import Clock
from kaa.base.tasks import Scope
from kaa.http.api import CallError, Disconnected, Reply, TimedOut
from kaa.http.call import Caller, CallLimits
from kaa.http.tls import TlsClient
from kaa.server.endpoints import endpoints_of
from kaa.server.objects import Objects

__all__ = ["NoEndpoints", "WebhookError", "WebhookTimedOut", "Webhooks", "service_address"]

Json = dict[str, Any]

#: Of an answer that is none, this much is shown.
SHOWN_MAX = 2048
#: Hooks whose connections are kept; the one unused for longest is closed for another.
CALLERS_MAX = 128
REPLY_BYTES_MAX = 16 << 20
#: The timeout of a call is that of connecting, too. No hook may hold up another question to it for long.
LIMITS = CallLimits(connections_max=32, connect_seconds=60.0, reply_bytes_max=REPLY_BYTES_MAX)


class WebhookError(Exception):
    """The hook gave no usable answer. The text says whom was asked, and what went wrong."""


class WebhookTimedOut(WebhookError):
    """It did not answer in time."""


class NoEndpoints(WebhookError):
    """The service is not there, or nothing that is ready is behind it."""


@dataclass(frozen=True, slots=True)
class _Place:
    host: str
    port: int
    #: The URL as messages show it: that of the service, not of the endpoint which happened to be asked.
    url: str
    path: str
    query: str
    server_name: str


class Webhooks:
    """Asks webhooks. One per server; `close` ends every connection."""

    def __init__(self, objects: Objects, clock: Clock) -> None:
        self._objects = objects
        self.clock = clock
        self._callers: OrderedDict[tuple[str, int, str, bytes], Caller] = OrderedDict()
        self._scope = Scope("webhooks")

    async def ask(self, client_config: Json, question: Json, *, timeout_seconds: float) -> Json:
        """POST `question` to where `client_config` says (its `url` or `service`, and `caBundle` in base64).

        Answers the decoded body of a 2xx. Raises WebhookError otherwise.
        """
        place = self._place(client_config, ceil(timeout_seconds))
        caller = self._caller(place, client_config)
        try:
            reply = await caller.call(
                "POST", place.path, query=place.query, timeout_seconds=timeout_seconds, body=orjson.dumps(question),
                headers=(("Content-Type", "application/json"), ("Accept", "application/json, */*")),
            )  # fmt: skip
        except TimedOut as error:
            raise WebhookTimedOut(f'Post "{place.url}": context deadline exceeded') from error
        except CallError as error:
            raise WebhookError(f'Post "{place.url}": {_why(error, place)}') from error
        return _decoded(reply)

    async def close(self) -> None:
        """Close every connection."""
        await self._scope.close()
        while self._callers:
            _, caller = self._callers.popitem()
            await caller.close()

    def _place(self, config: Json, timeout_seconds: int) -> _Place:
        query = f"timeout={timeout_seconds}s"
        if config.get("url"):
            parts = urlsplit(config["url"])
            query = f"{parts.query}&{query}" if parts.query else query
            base = f"{parts.scheme}://{parts.netloc}{parts.path}"
            return _Place(parts.hostname or "", parts.port or 443, f"{base}?{query}", parts.path or "/", query, "")
        service = config["service"]
        namespace, name, port = service["namespace"], service["name"], service.get("port") or 443
        path = service.get("path") or "/"
        dns = f"{name}.{namespace}.svc"
        url = f"https://{dns}:{port}{path}?{query}"
        try:
            host, number = service_address(self._objects, namespace, name, port)
        except NoEndpoints as error:
            raise NoEndpoints(f'Post "{url}": {error}') from error
        return _Place(host, number, url, path, query, dns)

    def _caller(self, place: _Place, config: Json) -> Caller:
        bundle = config.get("caBundle") or ""
        key = (place.host, place.port, place.server_name, hashlib.sha256(bundle.encode()).digest())
        caller = self._callers.get(key)
        if caller is not None:
            self._callers.move_to_end(key)
            return caller
        try:
            ca_pem = base64.b64decode(bundle) if bundle else None
            tls = TlsClient(ca_pem=ca_pem, server_name=place.server_name or None)
            host = f"[{place.host}]" if ":" in place.host else place.host
            caller = Caller(f"https://{host}:{place.port}", tls=tls, user_agent="kube-apiserver-admission",
                            clock=self.clock, limits=LIMITS)  # fmt: skip
        except ValueError as error:
            raise WebhookError(f'Post "{place.url}": unusable configuration: {error}') from error
        self._callers[key] = caller
        while len(self._callers) > CALLERS_MAX:
            _, oldest = self._callers.popitem(last=False)
            self._scope.spawn(oldest.close(), name="close")
        return caller


def service_address(objects: Objects, namespace: str, name: str, port: int) -> tuple[str, int]:
    """Host and port of a ready endpoint behind a port of a service; raises NoEndpoints."""
    services = objects.registry.get("", "v1", "services")
    assert services is not None
    entry = objects.find(services, namespace, name)
    if entry is None:
        raise NoEndpoints(f'service "{name}" not found')
    spec = entry.decode()["spec"]
    if spec.get("type") == "ExternalName":
        return str(spec["externalName"]), port
    chosen = next((each for each in spec.get("ports") or () if each["port"] == port), None)
    if chosen is None:
        raise NoEndpoints(f'no service port {port} found for service "{name}"')
    found, _ = endpoints_of(objects, namespace, name, chosen.get("name", ""))
    if not found:
        raise NoEndpoints(f'no endpoints available for service "{name}"')
    there = ids.choice(found)
    return there.address, there.port


#: OpenSSL's reasons for not trusting a certificate, in the words of Go. Every other one is told as OpenSSL says it.
_UNTRUSTED = dict.fromkeys((18, 19, 20, 21), "x509: certificate signed by unknown authority") | {
    9: "x509: certificate has expired or is not yet valid", 10: "x509: certificate has expired or is not yet valid",
}  # fmt: skip


def _why(error: CallError, place: _Place) -> str:
    """What went wrong with a connection, in the words that users of the original search for."""
    cause = error.__cause__
    if isinstance(cause, ssl.SSLCertVerificationError):
        told = _UNTRUSTED.get(cause.verify_code) or f"x509: {cause.verify_message}"
        return f"tls: failed to verify certificate: {told}"
    if isinstance(cause, ConnectionRefusedError):
        return f"dial tcp {place.host}:{place.port}: connect: connection refused"
    if isinstance(error, Disconnected):
        return "EOF"
    return str(error)


#: What a client of the original says of an answer that is none, by its code.
_REFUSED = {
    400: "the server rejected our request for an unknown reason",
    401: "the server has asked for the client to provide credentials",
    403: "the server does not allow access to the requested resource",
    404: "the server could not find the requested resource",
    405: "the server does not allow this method on the requested resource",
    429: "the server has received too many requests and has asked us to try again later",
    503: "the server is currently unable to handle the request",
    504: "the server was unable to return a response in the time allotted, but may still be processing the request",
}


def _decoded(reply: Reply) -> Json:
    if not 200 <= reply.status < 300:
        text = reply.body[:SHOWN_MAX].decode(errors="replace").strip()
        if reply.status in _REFUSED:
            raise WebhookError(_REFUSED[reply.status])
        if reply.status >= 500:
            raise WebhookError(f'an error on the server ("{text}") has prevented the request from succeeding')
        raise WebhookError(
            f"the server responded with the status code {reply.status} but did not return more information"
        )
    try:
        answer = orjson.loads(reply.body)
    except ValueError as error:
        raise WebhookError(f"couldn't get version/kind; json parse error: {error}") from error
    if not isinstance(answer, dict):
        raise WebhookError("couldn't get version/kind; json parse error: the answer is no object")
    return answer
