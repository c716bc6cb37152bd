"""The proxy subresources of nodes, pods and services: any request, to any of them, as if it had been asked directly.

The name in the path is `NAME`, `NAME:PORT` or `SCHEME:NAME:PORT`. Paths, queries, bodies and answers pass unchanged;
what passes for a link to the answerer's root (Location, links in HTML) is changed so that it leads through the proxy.
A request's body is read whole first, within the server's limit for bodies.
"""

import ipaddress
from collections.abc import Iterable
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from kaa.base import ids
from kaa.base.log import Logger
from kaa.http.api import Answer, CallError, Header, Request, Response, StreamingResponse, Transport
from kaa.kinds.spec import KindSpec
from kaa.meta import errors
from kaa.server.call import Call
from kaa.server.endpoints import endpoints_of
from kaa.server.objects import served_form
from kaa.server.subresources.forward import (
    HOP_BY_HOP,
    Dial,
    closed_soon,
    dial_error,
    direct,
    forward_upgrade,
    forwarded_headers,
    join_path,
    pass_body,
)
from kaa.server.subresources.html import PageRewriter

__all__ = ["Proxies", "split_target"]

Json = dict[str, Any]

_log = Logger("apiserver")
_ANSWER_SECONDS = 4 * 3600.0  # for the first byte of an answer: the caller's own limit is what counts
_CORS = frozenset({"access-control-allow-credentials", "access-control-allow-headers",
                   "access-control-allow-methods", "access-control-allow-origin"})  # fmt: skip


class Proxies:
    """Forwards: to kubelets by `dial`, which shows them who asks; to all others directly, as nobody."""

    def __init__(self, dial: Dial) -> None:
        self._dial = dial

    # --- who is meant

    def node(self, call: Call) -> Any:
        """A node's kubelet, or another port of its address."""
        scheme, name, port = split_target(call, "node")
        host, kubelet_port = self.kubelet_of(call, name)
        if port in ("", str(kubelet_port)):
            return self._forward(call, (host, kubelet_port, True), f"/api/v1/nodes/{call.info.name}/proxy", self._dial)
        _check_address(host)
        place = (host, _number(port), scheme == "https")
        return self._forward(call, place, f"/api/v1/nodes/{call.info.name}/proxy")

    def pod(self, call: Call) -> Any:
        """A port of a pod; the first one that its containers name, when none is asked for."""
        scheme, name, port = split_target(call, "pod")
        pod = served_form(call.spec, call.objects.get(call.spec, call.namespace, name))
        ip = (pod.get("status") or {}).get("podIP") or ""
        _check_address(ip)
        return self._forward(call, (ip, _pod_port(pod, port), scheme == "https"), _prefix(call))

    def service(self, call: Call) -> Any:
        """A ready endpoint of a service's port, chosen by chance."""
        scheme, name, port = split_target(call, "service")
        ip, number = self._endpoint(call, name, port)
        _check_address(ip)  # a node tells the addresses of its pods, and could tell the server's own
        return self._forward(call, (ip, number, scheme == "https"), _prefix(call))

    def kubelet_of(self, call: Call, name: str) -> tuple[str, int]:
        """Where a node's kubelet listens, by its status; raises 404 and 503."""
        node = call.objects.get(_spec(call, "", "v1", "nodes"), "", name).decode()
        status = node.get("status") or {}
        addresses = {each["type"]: each["address"] for each in reversed(status.get("addresses") or ())}
        # Not the host name first, as the original does by default: ours resolves nowhere.
        host = addresses.get("InternalIP") or addresses.get("ExternalIP") or addresses.get("Hostname") or ""
        port = ((status.get("daemonEndpoints") or {}).get("kubeletEndpoint") or {}).get("Port", 0)
        if not host or not port:
            raise errors.service_unavailable(
                f"node {name} has no address or no port in its status: is its agent running?"
            )
        return host, port

    def _endpoint(self, call: Call, name: str, port: str) -> tuple[str, int]:
        service = served_form(call.spec, call.objects.get(call.spec, call.namespace, name))
        ports = service["spec"].get("ports") or []
        if port.isdigit():
            found = next((each for each in ports if each.get("port") == int(port)), None)
            if found is None:
                raise errors.service_unavailable(f'no service port {port} found for service "{name}"')
            port = found.get("name", "")
        ready, known = endpoints_of(call.objects, call.namespace, name, port)
        while ready:
            ip, number, target = ready.pop(ready.index(ids.choice(ready)))
            if self._is_pods_own(call, ip, target):
                return ip, number
        shown = call.info.name if known else name
        raise errors.service_unavailable(f'no endpoints available for service "{shown}"')

    def _is_pods_own(self, call: Call, ip: str, target: Json) -> bool:
        """Whether an endpoint is what it says it is: who may write endpoints must not reach just any address."""
        if target.get("kind") != "Pod" or target.get("namespace") != call.namespace:
            return False
        try:
            pod = call.objects.get(_spec(call, "", "v1", "pods"), call.namespace, target.get("name", "")).decode()
        except errors.StatusError:
            return False
        status = pod.get("status") or {}
        return ip == status.get("podIP") or ip in [each.get("ip") for each in status.get("podIPs") or ()]

    # --- passing on

    def _forward(self, call: Call, place: tuple[str, int, bool], prefix: str, dial: Dial | None = None) -> Any:
        dial = dial or direct
        host, port, _ = place
        request = call.request
        path = join_path(call.info.rest)
        if not request.headers.get("upgrade"):
            if not path and request.method in ("GET", "HEAD"):
                # Relative links of a page at the root work only behind a slash.
                query = f"?{request.query}" if request.query else ""
                return Response(301, b"", "", [("Location", f"{request.path}/{query}")])
            return self._ask(call, dial(*place), host, port, path or "/", prefix)
        more = _told(request, prefix + path)
        return forward_upgrade(dial(*place), request, path, f"{host}:{port}", more)

    async def _ask(self, call: Call, transport: Transport, host: str, port: int, path: str, prefix: str) -> Answer:
        request = call.request
        headers = [*forwarded_headers(request), *_told(request, prefix + path)]
        try:
            reply = await transport.stream(
                request.method,
                path,
                query=request.query,
                headers=headers,
                body=request.body,
                timeout_seconds=_ANSWER_SECONDS,
            )
        except CallError as error:
            await transport.close()
            raise errors.service_unavailable(
                f"error trying to reach service: {dial_error(host, port, error)}"
            ) from error
        except BaseException:
            await transport.close()
            raise
        named = {each.strip().lower() for each in reply.headers.get("connection", "").split(",")}
        kept = {name: value for name, value in reply.headers.items()
                if name not in HOP_BY_HOP and name not in _CORS and name not in named and name != "date"}  # fmt: skip
        content_type = kept.pop("content-type", "")
        links = _Links(prefix, f"{host}:{port}", request.headers.get("host", ""))
        if "location" in kept:
            kept["location"] = links.through(kept["location"])
        length = int(reply.headers["content-length"]) if "content-length" in reply.headers else None
        change = None
        if content_type.partition(";")[0].strip().lower() == "text/html" and "location" not in kept:
            try:
                change = PageRewriter(links.through, kept.get("content-encoding", "").lower())
                kept.pop("content-encoding", None)
                length = None
            except ValueError as error:
                _log.info("a proxied page is passed on as it is", error=str(error))
        if reply.status in (204, 304) or (request.method != "HEAD" and length == 0):
            await reply.aclose()
            await transport.close()
            return Response(reply.status, b"", content_type, list(kept.items()))
        return StreamingResponse(
            pass_body(reply, transport, change),
            reply.status,
            content_type,
            list(kept.items()),
            closed_soon(transport),
            length,
        )


class _Links:
    """Which links lead back to the answerer, and how they lead through the proxy."""

    def __init__(self, prefix: str, backend: str, asked: str) -> None:
        self._prefix = prefix
        self._hosts = ("", backend, backend.removesuffix(":80").removesuffix(":443"), asked)

    def through(self, link: str) -> str:
        """The link through the proxy; as it is when it is relative, or leads elsewhere."""
        try:
            parts = urlsplit(link)
        except ValueError:
            return link
        if parts.netloc not in self._hosts or not parts.path.startswith("/"):
            return link
        path = parts.path if parts.path.startswith(self._prefix) else self._prefix + join_path(parts.path)
        return urlunsplit(("", "", path, parts.query, parts.fragment))


def _told(request: Request, uri: str) -> list[Header]:
    """Who asked for what, for the answerer."""
    address = request.peer.address.rpartition(":")[0].strip("[]") or request.peer.address
    before = request.headers.get("x-forwarded-for", "")
    told = [("X-Forwarded-For", f"{before}, {address}" if before else address), ("X-Forwarded-Uri", uri)]
    if host := request.headers.get("host"):
        told += [("X-Forwarded-Host", host), ("X-Forwarded-Proto", "https")]
    return told


def _prefix(call: Call) -> str:
    return f"/api/v1/namespaces/{call.namespace}/{call.info.resource}/{call.info.name}/proxy"


def _spec(call: Call, group: str, version: str, plural: str) -> KindSpec:
    spec = call.parts.registry.get(group, version, plural)
    assert spec is not None
    return spec


def split_target(call: Call, kind: str) -> tuple[str, str, str]:
    """Scheme ("" is http), name and port ("" is none) of the name in the path; raises 400."""
    parts: Iterable[str] = call.info.name.split(":")
    match list(parts):
        case [name] if name:
            return "", name, ""
        case [name, port] if name:
            return "", name, port
        case ["" | "http" | "https" as scheme, name, port] if name:
            return scheme, name, port
    raise errors.bad_request(f'invalid {kind} request "{call.info.name}"')


def _check_address(text: str) -> None:
    """A pod or node may not say that it is the server itself, or a link: raises 400."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        raise errors.bad_request("address not allowed") from None
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped  # ::ffff:127.0.0.1 is as much of a loopback
    if address.is_loopback or address.is_link_local or address.is_multicast or address.is_unspecified:
        raise errors.bad_request("address not allowed")


def _pod_port(pod: Json, port: str) -> int:
    ports = [each for container in pod["spec"]["containers"] for each in container.get("ports") or ()]
    if not port:
        return int(ports[0]["containerPort"]) if ports else 80
    if not port.isdigit():
        for each in ports:
            if each.get("name") == port:
                return int(each["containerPort"])
    return _number(port)


def _number(port: str) -> int:
    if not port.isdigit() or not 0 < int(port) < 65536:
        raise errors.service_unavailable(f"error trying to reach service: dial tcp: address {port}: invalid port")
    return int(port)
