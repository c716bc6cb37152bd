"""Streams to a pod's node: `log`, `exec`, `attach` and `portforward`.

The server finds the node, and forwards: a log as a stream of bytes, an upgrade as a pipe whose bytes it does not read.
"""

import asyncio
import base64
from typing import Any
from urllib.parse import urlencode

from kaa.base.clock import parse_seconds
from kaa.base.tasks import Scope
from kaa.http.api import (
    Answer,
    CallError,
    Disconnected,
    Request,
    Response,
    StreamingResponse,
    StreamReply,
    Transport,
    Upgrade,
)
from kaa.http.pipes import let_go
from kaa.http.websocket import WebSocket, accept
from kaa.meta import errors
from kaa.meta.problems import Path, Problem, forbidden_field, invalid, not_supported
from kaa.meta.resource import Resource
from kaa.server.call import Call
from kaa.server.objects import served_form
from kaa.server.subresources.forward import Dial, closed_soon, dial_error, forward_upgrade, pass_body
from kaa.server.subresources.proxies import Proxies

__all__ = ["Dial", "NodeStreams"]

Json = dict[str, Any]

LOG_OPTIONS = ("follow", "previous", "sinceSeconds", "sinceTime", "timestamps", "tailLines", "limitBytes", "stream")
_OPTIONS = Resource("", "v1", "podlogoptions", "PodLogOptions", True)
_VERIFIED = '299 - "insecureSkipTLSVerifyBackend is not supported: the certificate of a node is always verified"'
_BINARY, _BASE64 = "binary.k8s.io", "base64.binary.k8s.io"
_ANSWER_BYTES_MAX = 10_000  # of a node's refusal, which becomes a message


class NodeStreams:
    """Forwards what only a node can answer. `proxies` serves the proxy subresources."""

    def __init__(self, dial: Dial) -> None:
        self._dial = dial
        self.proxies = Proxies(dial)
        self.proxy_node = self.proxies.node
        self.proxy_pod = self.proxies.pod
        self.proxy_service = self.proxies.service

    def log(self, call: Call) -> Any:
        """GET of a container's log."""
        if call.info.verb != "get":
            raise errors.method_not_allowed(call.spec.resource, call.info.verb)
        return self._log(call)

    async def _log(self, call: Call) -> Answer:
        request = call.request
        _check_log_options(call)
        pod = self._pod(call)
        container = _container(call, pod, request.param("container"))
        node = pod["spec"].get("nodeName")
        if not node:
            return Response(200, b"", "text/plain")
        options = [(name, request.param(name)) for name in LOG_OPTIONS if request.param(name)]
        host, port = self.proxies.kubelet_of(call, node)
        path = f"/containerLogs/{call.namespace}/{call.info.name}/{container}"
        transport = self._dial(host, port, True)
        try:
            reply = await transport.stream("GET", path, query=urlencode(options))
        except CallError as error:
            await transport.close()
            place = f"https://{host}:{port}{path}"
            raise errors.StatusError(500, "", f'Get "{place}": {dial_error(host, port, error)}') from error
        except BaseException:
            await transport.close()
            raise
        if reply.status != 200:
            try:
                text = (await reply.read())[:_ANSWER_BYTES_MAX].decode(errors="replace")
            finally:
                await reply.aclose()
                await transport.close()
            raise _of_the_node(call, reply.status, text)
        if "websocket" in request.headers.get("upgrade", "").lower():
            return _log_messages(request, reply, transport)
        unverified = request.param("insecureSkipTLSVerifyBackend").lower() in ("1", "t", "true")
        warned = [("Warning", _VERIFIED)] if unverified else []
        return StreamingResponse(pass_body(reply, transport), 200, "text/plain", warned, closed_soon(transport))

    def upgrade(self, call: Call) -> Any:
        """exec, attach and port-forward, over WebSocket or SPDY: a pipe to the node."""
        if call.info.verb not in ("get", "create"):
            raise errors.method_not_allowed(call.spec.resource, call.info.verb)
        return self._upgrade(call)

    async def _upgrade(self, call: Call) -> Answer:
        pod = self._pod(call)
        info = call.info
        if info.subresource == "portforward":
            path = f"/portForward/{call.namespace}/{info.name}"
        else:
            container = _container(call, pod, call.request.param("container"))
            path = f"/{info.subresource}/{call.namespace}/{info.name}/{container}"
        node = pod["spec"].get("nodeName")
        if not node:
            raise errors.bad_request(f"pod {info.name} does not have a host assigned")
        host, port = self.proxies.kubelet_of(call, node)
        if not call.request.headers.get("upgrade"):
            raise errors.bad_request("Upgrade request required")
        transport: Transport = self._dial(host, port, True)
        return await forward_upgrade(transport, call.request, path, f"{host}:{port}")

    def _pod(self, call: Call) -> Json:
        return served_form(call.spec, call.objects.get(call.spec, call.namespace, call.info.name))


def _log_messages(request: Request, reply: StreamReply, transport: Transport) -> Answer:
    """A log in WebSocket messages, for browsers: an empty one first, as the sign that the stream is there."""

    async def serve(socket: WebSocket) -> None:
        async def carry() -> None:
            as_text = socket.subprotocol == _BASE64
            try:
                await socket.send("" if as_text else b"")
                async for chunk in reply.chunks():
                    await socket.send(base64.b64encode(chunk).decode() if as_text else chunk)
            except Disconnected:
                pass  # the client, or the node, has gone

        async def listen() -> None:
            while await socket.receive() is not None:
                pass  # a client has nothing to say but goodbye

        try:
            async with Scope("log") as scope:
                ends = {scope.spawn(carry(), name="carry"), scope.spawn(listen(), name="listen")}
                await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        finally:
            await let_go(reply.aclose(), transport.close())

    offered = bool(request.headers.get("sec-websocket-protocol"))
    answer = accept(request, serve, subprotocols=(_BINARY, _BASE64), subprotocol_required=offered)
    if isinstance(answer, Upgrade):
        answer.unused = closed_soon(transport)
    else:
        closed_soon(transport)()
    return answer


def _of_the_node(call: Call, code: int, text: str) -> errors.StatusError:
    """A node's refusal in the API's form: what the original's response checker makes of it."""
    if code == 400:
        return errors.bad_request(text)
    if code == 500:
        return errors.internal(text)
    details = {"name": call.info.name, "kind": "pods/log"}
    where = f"( pods/log {call.info.name})"
    known = {
        404: ("NotFound", f"the server could not find the requested resource {where}"),
        401: ("Unauthorized", "the server has asked for the client to provide credentials " + where),
        403: ("Forbidden", text or "the server does not allow access to the requested resource"),
        503: ("ServiceUnavailable", "the server is currently unable to handle the request " + where),
    }
    reason, message = known.get(code, ("", f"the server responded with the status code {code} but did not return more "
                                           f"information {where}"))  # fmt: skip
    return errors.StatusError(code, reason, message, details)


def _container(call: Call, pod: Json, asked: str) -> str:
    """The container that is meant; raises 400 when it is not clear, or not there."""
    spec = pod["spec"]
    every = [each["name"] for part in ("containers", "initContainers", "ephemeralContainers")
             for each in spec.get(part) or ()]  # fmt: skip
    name = call.info.name
    if asked:
        if asked not in every:
            raise errors.bad_request(f"container {asked} is not valid for pod {name}")
        return asked
    containers = [each["name"] for each in spec["containers"]]
    if len(containers) == 1:
        return str(containers[0])
    text = f"a container name must be specified for pod {name}, choose one of: [{' '.join(containers)}]"
    if spec.get("initContainers"):
        text += " or one of the init containers: [" + " ".join(each["name"] for each in spec["initContainers"]) + "]"
    raise errors.bad_request(text)


def _number(call: Call, name: str) -> int | None:
    text = call.request.param(name)
    if not text:
        return None
    try:
        return int(text)
    except ValueError as error:
        raise errors.bad_request(f'strconv.ParseInt: parsing "{text}": invalid syntax') from error


def _check_log_options(call: Call) -> None:
    request = call.request
    tail, limit, since = (_number(call, name) for name in ("tailLines", "limitBytes", "sinceSeconds"))
    root = Path()
    found: list[Problem] = []
    if tail is not None and tail < 0:
        found.append(invalid(root / "tailLines", tail, "must be greater than or equal to 0"))
    if limit is not None and limit < 1:
        found.append(invalid(root / "limitBytes", limit, "must be greater than 0"))
    if since is not None and request.param("sinceTime"):
        found.append(forbidden_field(root, "at most one of `sinceTime` or `sinceSeconds` may be specified"))
    elif since is not None and since < 1:
        found.append(invalid(root / "sinceSeconds", since, "must be greater than 0"))
    if text := request.param("sinceTime"):
        try:
            parse_seconds(text)
        except ValueError as error:
            raise errors.bad_request(
                f'parsing time "{text}" as "2006-01-02T15:04:05Z07:00": cannot parse "{text}" as "2006"'
            ) from error
    stream = request.param("stream", "All")
    if stream not in ("All", "Stdout", "Stderr"):
        found.append(not_supported(root / "stream", stream, ["All", "Stderr", "Stdout"]))
    elif stream != "All" and tail is not None:
        found.append(forbidden_field(root, "`tailLines` and specific `stream` are mutually exclusive for now"))
    if found:
        raise errors.invalid(_OPTIONS, call.info.name, found)
