"""Streams to a pod's node: `log`, `exec`, `attach`, `port-forward`, and the proxies of nodes, pods and services.

The server finds the node, and forwards: a log as a stream of bytes, an upgrade as a pipe whose bytes it does not read.
"""

import asyncio
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

from kaa.base import ids
from kaa.http.api import (
    Answer,
    CallError,
    Connection,
    Request,
    Response,
    StreamingResponse,
    Transport,
    Upgrade,
    UpgradeRefused,
    Writer,
)
from kaa.meta import errors
from kaa.server.call import Call
from kaa.server.objects import served_form

__all__ = ["NodeStreams"]

Json = dict[str, Any]

#: `(host, port, tls)` to a transport with the server's client certificate: "https" for kubelets, plain for proxies.
Dial = Callable[[str, int, bool], Transport]

_HOP_BY_HOP = frozenset({"connection", "keep-alive", "transfer-encoding", "te", "trailer", "content-length", "host",
                         "proxy-authorization", "authorization", "upgrade", "date"})  # fmt: skip
LOG_OPTIONS = ("follow", "previous", "sinceSeconds", "sinceTime", "timestamps", "tailLines", "limitBytes", "stream")


class NodeStreams:
    """Forwards what only a node can answer."""

    def __init__(self, dial: Dial) -> None:
        self._dial = dial

    # --- pods

    def log(self, call: Call) -> Any:
        """GET of a container's log."""
        if call.info.verb != "get":
            raise errors.method_not_allowed(call.spec.resource, call.info.verb)
        return self._log(call)

    async def _log(self, call: Call) -> Answer:
        pod = self._pod(call)
        request = call.request
        container = _container(call, pod, request.param("container"), "the log of")
        _check_log_options(call)
        node = pod["spec"].get("nodeName")
        if not node:
            return Response(200, b"", "text/plain")
        waiting = _why_not_started(pod, container)
        options = [(name, request.param(name)) for name in LOG_OPTIONS if request.param(name)]
        transport = self._node(call, node)
        path = f"/containerLogs/{call.namespace}/{call.info.name}/{container}"
        try:
            reply = await transport.stream("GET", path, query=urlencode(options))
        except CallError as error:
            await transport.close()
            raise _unreachable(node, error) from error
        if reply.status != 200:
            text = (await reply.read()).decode(errors="replace").strip()
            await reply.aclose()
            await transport.close()
            raise errors.bad_request(waiting or text or f"the node answered {reply.status}")

        async def run(writer: Writer) -> None:
            try:
                async for chunk in reply.chunks():
                    writer.write(chunk)
                    await writer.drain()
                    if writer.closed.is_set():
                        return
            finally:
                await reply.aclose()
                await transport.close()

        return StreamingResponse(run, 200, "text/plain")

    def upgrade(self, call: Call) -> Any:
        """exec, attach and port-forward, over WebSocket or SPDY: a pipe to the node."""
        if call.info.verb not in ("get", "create"):
            raise errors.method_not_allowed(call.spec.resource, call.info.verb)
        return self._upgrade(call)

    async def _upgrade(self, call: Call) -> Answer:
        pod = self._pod(call)
        request, info = call.request, call.info
        node = pod["spec"].get("nodeName")
        if not node:
            raise errors.bad_request(f"pod {info.name} does not have a host assigned")
        if info.subresource == "portforward":
            path = f"/portForward/{call.namespace}/{info.name}"
        else:
            container = _container(call, pod, request.param("container"), "a container of")
            if (pod.get("status") or {}).get("phase") in ("Succeeded", "Failed"):
                raise errors.bad_request(f"cannot exec into a container in a completed pod; current phase is "
                                         f"{pod['status']['phase']}")  # fmt: skip
            path = f"/{info.subresource}/{call.namespace}/{info.name}/{container}"
        return await self._pipe(self._node(call, node), request, path, request.query, node)

    # --- proxies

    def proxy_node(self, call: Call) -> Any:
        """Any request to the node's own endpoint."""
        self._node(call, call.info.name)
        return self._forward(call, self._node(call, call.info.name.partition(":")[0]), "/" + call.info.rest)

    def proxy_pod(self, call: Call) -> Any:
        """Any request to a port of a pod: `NAME`, `NAME:PORT` or `SCHEME:NAME:PORT`."""
        scheme, name, port = _split_target(call.info.name)
        pod = served_form(call.spec, call.objects.get(call.spec, call.namespace, name))
        ip = (pod.get("status") or {}).get("podIP")
        if not ip:
            raise errors.bad_request("address not allowed: the pod has no IP yet")
        number = _pod_port(pod, port)
        return self._forward(call, self._dial(ip, number, scheme == "https"), "/" + call.info.rest)

    def proxy_service(self, call: Call) -> Any:
        """Any request to a ready endpoint of a service's port."""
        scheme, name, port = _split_target(call.info.name)
        service = served_form(call.spec, call.objects.get(call.spec, call.namespace, name))
        ip, number = self._endpoint(call, service, port)
        return self._forward(call, self._dial(ip, number, scheme == "https"), "/" + call.info.rest)

    def _endpoint(self, call: Call, service: Json, port: str) -> tuple[str, int]:
        name = service["metadata"]["name"]
        ports = service["spec"].get("ports") or []
        chosen = [each for each in ports if not port or port in (each.get("name"), str(each.get("port")))]
        if not chosen or (not port and len(ports) > 1):
            raise errors.service_unavailable(f'no service port "{port}" found for service "{name}"')
        port_name = chosen[0].get("name", "")
        slices = call.parts.registry.get("discovery.k8s.io", "v1", "endpointslices")
        assert slices is not None
        found: list[tuple[str, int]] = []
        for entry in call.objects.of(slices).in_namespace(service["metadata"]["namespace"]):
            if entry.labels.get("kubernetes.io/service-name") != name:
                continue
            each = entry.decode()
            numbers = [p["port"] for p in each.get("ports") or () if p.get("name", "") == port_name and p.get("port")]
            for endpoint in each.get("endpoints") or ():
                if numbers and (endpoint.get("conditions") or {}).get("ready", True):
                    found += [(ip, numbers[0]) for ip in endpoint["addresses"]]
        if not found:
            raise errors.service_unavailable(f'no endpoints available for service "{name}"')
        return ids.choice(found)

    async def _forward(self, call: Call, transport: Transport, path: str) -> Answer:
        request = call.request
        if request.headers.get("upgrade"):
            return await self._pipe(transport, request, path, request.query, call.info.name)
        headers = [(name, value) for name, value in request.headers.items() if name not in _HOP_BY_HOP]
        try:
            reply = await transport.stream(
                request.method, path, query=request.query, headers=headers, body=request.body
            )
        except CallError as error:
            await transport.close()
            raise errors.service_unavailable(
                f"error trying to reach {call.info.resource} {call.info.name}: {error}"
            ) from error
        kept = tuple((name, value) for name, value in reply.headers.items()
                     if name not in _HOP_BY_HOP and name != "content-type")  # fmt: skip

        async def run(writer: Writer) -> None:
            try:
                async for chunk in reply.chunks():
                    writer.write(chunk)
                    await writer.drain()
            finally:
                await reply.aclose()
                await transport.close()

        return StreamingResponse(run, reply.status, reply.headers.get("content-type", "application/octet-stream"), kept)

    # --- shared

    def _pod(self, call: Call) -> Json:
        return served_form(call.spec, call.objects.get(call.spec, call.namespace, call.info.name))

    def _node(self, call: Call, name: str) -> Transport:
        nodes = call.parts.registry.get("", "v1", "nodes")
        assert nodes is not None
        node = call.objects.get(nodes, "", name).decode()
        status = node.get("status") or {}
        addresses = {each["type"]: each["address"] for each in status.get("addresses") or ()}
        host = addresses.get("InternalIP") or addresses.get("ExternalIP") or addresses.get("Hostname")
        port = ((status.get("daemonEndpoints") or {}).get("kubeletEndpoint") or {}).get("Port", 0)
        if not host or not port:
            raise errors.service_unavailable(
                f"node {name} has no address or no port in its status: is its agent running?"
            )
        return self._dial(host, port, True)

    async def _pipe(self, transport: Transport, request: Request, path: str, query: str, node: str) -> Answer:
        protocol = request.headers.get("upgrade", "")
        if not protocol:
            await transport.close()
            raise errors.bad_request(
                "Upgrade request required: this subresource is a stream, use kubectl or a WebSocket"
            )
        headers = [
            (name, value)
            for name, value in request.headers.items()
            if name.startswith(("sec-websocket-", "x-stream-protocol")) or name in ("origin", "user-agent")
        ]
        try:
            upgraded = await transport.upgrade(request.method, path, query=query, headers=headers, protocol=protocol)
        except UpgradeRefused as refused:
            await transport.close()
            text = refused.reply.body.decode(errors="replace").strip()
            return Response(refused.reply.status, refused.reply.body if text.startswith("{") else
                            _status_body(refused.reply.status, text))  # fmt: skip
        except CallError as error:
            await transport.close()
            raise _unreachable(node, error) from error
        kept = tuple((name, value) for name, value in upgraded.headers.items()
                     if name.startswith(("sec-websocket-", "x-stream-protocol")))  # fmt: skip

        async def run(connection: Connection) -> None:
            try:
                await _join(connection, upgraded.connection)
            finally:
                upgraded.connection.close()
                await transport.close()

        return Upgrade(protocol, run, kept)


def _status_body(code: int, text: str) -> bytes:
    import orjson

    return orjson.dumps(errors.StatusError(code, "BadRequest" if code == 400 else "InternalError", text).to_status())


async def _join(left: Connection, right: Connection) -> None:
    """Pass bytes both ways until either side ends."""

    async def carry(source: Connection, sink: Connection) -> None:
        while data := await source.read():
            sink.write(data)
            await sink.drain()

    from kaa.base.tasks import Scope

    async with Scope("pipe") as scope:
        there = scope.spawn(carry(left, right), name="there")
        back = scope.spawn(carry(right, left), name="back")
        await asyncio.wait({there, back}, return_when=asyncio.FIRST_COMPLETED)


def _container(call: Call, pod: Json, asked: str, what: str) -> str:
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
    default = (pod["metadata"].get("annotations") or {}).get("kubectl.kubernetes.io/default-container")
    if default in containers and what != "the log of":
        return str(default)
    choices = " ".join(containers)
    text = f"a container name must be specified for pod {name}, choose one of: [{choices}]"
    if spec.get("initContainers"):
        text += " or one of the init containers: [" + " ".join(each["name"] for each in spec["initContainers"]) + "]"
    raise errors.bad_request(text)


def _why_not_started(pod: Json, container: str) -> str:
    status = pod.get("status") or {}
    for part in ("containerStatuses", "initContainerStatuses", "ephemeralContainerStatuses"):
        for each in status.get(part) or ():
            if each["name"] == container and (waiting := (each.get("state") or {}).get("waiting")):
                name = pod["metadata"]["name"]
                reason = waiting.get("reason", "")
                if reason in ("ImagePullBackOff", "ErrImagePull", "ErrImageNeverPull"):
                    return (
                        f'container "{container}" in pod "{name}" is waiting to start: trying and failing to pull image'
                    )
                return f'container "{container}" in pod "{name}" is waiting to start: {reason}'
    return ""


def _check_log_options(call: Call) -> None:
    request = call.request
    for name, least in (("tailLines", 0), ("limitBytes", 1), ("sinceSeconds", 1)):
        text = request.param(name)
        if not text:
            continue
        try:
            value = int(text)
        except ValueError as error:
            raise errors.bad_request(f'{name} "{text}" is not a number') from error
        if value < least:
            raise errors.StatusError(
                422, "Invalid", f'PodLogOptions "{call.info.name}" is invalid: {name}: Invalid value: {value}: must be '
                f"greater than {'or equal to ' if least == 0 else ''}0",
            )  # fmt: skip


def _split_target(text: str) -> tuple[str, str, str]:
    parts = text.split(":")
    match len(parts):
        case 1:
            return "http", parts[0], ""
        case 2:
            return "http", parts[0], parts[1]
        case 3:
            return parts[0] or "http", parts[1], parts[2]
        case _:
            raise errors.bad_request(f'invalid proxy target "{text}": use NAME, NAME:PORT or SCHEME:NAME:PORT')


def _pod_port(pod: Json, port: str) -> int:
    if port.isdigit():
        return int(port)
    ports = [each for container in pod["spec"]["containers"] for each in container.get("ports") or ()]
    for each in ports:
        if not port or each.get("name") == port:
            return int(each["containerPort"])
    if not port:
        return 80
    raise errors.bad_request(f'the pod has no port named "{port}"')


def _unreachable(node: str, error: CallError) -> errors.StatusError:
    return errors.StatusError(
        500, "InternalError", f"error dialing backend: node {node} cannot be reached: {error}: is its agent running?"
    )
