"""What probes and lifecycle hooks do: run a command, ask over HTTP, open a connection, ask a gRPC health service.

Plain sockets: the kubelet's process is in its node's network namespace, from where pods are reached.
"""

import asyncio
import ssl
from dataclasses import dataclass
from urllib.parse import urljoin, urlsplit

from kaa.kinds.views.core import Container, Handler, HttpGetAction
from kaa.kubelet.cri import api

__all__ = ["Outcome", "perform", "port_of"]

OUTPUT_BYTES_MAX = 10 * 1024
REDIRECTS_MAX = 10
USER_AGENT = "kube-probe/1.36"


@dataclass(frozen=True, slots=True)
class Outcome:
    """How it went. `error` is set when it could not be tried at all (which counts as neither success nor failure)."""

    ok: bool
    output: str = ""
    error: str = ""


def port_of(container: Container, port: int | str) -> int:
    """A port number or the name of one of the container's ports. Raises ValueError."""
    if isinstance(port, int):
        return port
    for each in container.ports:
        if each.name == port:
            return each.container_port
    if port.isdigit():
        return int(port)
    raise ValueError(f"couldn't find port: {port!r} in container {container.name!r}")


async def perform(
    handler: Handler,
    container: Container,
    container_id: str,
    pod_ip: str,
    runtime: api.Runtime,
    timeout_seconds: float,
    *,
    any_status: bool = False,
) -> Outcome:
    """Do it once. `any_status`: for hooks, any HTTP answer is a success."""
    try:
        if handler.exec is not None:
            return await _exec(runtime, container_id, handler.exec.command, timeout_seconds)
        if handler.http_get is not None:
            return await _http(handler.http_get, container, pod_ip, timeout_seconds, any_status)
        if handler.tcp_socket is not None:
            port = port_of(container, handler.tcp_socket.port)
            return await _tcp(handler.tcp_socket.host or pod_ip, port, timeout_seconds)
        if handler.grpc is not None:
            return await _grpc(pod_ip, handler.grpc.port, handler.grpc.service, timeout_seconds)
    except ValueError as error:
        return Outcome(False, error=str(error))
    return Outcome(False, error="missing probe handler")


async def _exec(runtime: api.Runtime, container_id: str, command: tuple[str, ...], timeout_seconds: float) -> Outcome:
    try:
        result = await runtime.exec_sync(container_id, command, timeout_seconds)
    except api.DeadlineExceeded:
        text = " ".join(command)
        return Outcome(False, f'command timed out: "{text}" timed out after {timeout_seconds:g}s')
    except api.RuntimeFailed as error:
        return Outcome(False, error=f"rpc error: {error.message}")
    output = (result.stdout + result.stderr)[:OUTPUT_BYTES_MAX].decode("utf-8", "replace")
    return Outcome(result.exit_code == 0, output)


def _address(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _dial_error(host: str, port: int, error: OSError) -> str:
    address = _address(host, port)
    if isinstance(error, ConnectionRefusedError):
        return f"dial tcp {address}: connect: connection refused"
    return f"dial tcp {address}: {error.strerror or error}"


async def _tcp(host: str, port: int, timeout_seconds: float) -> Outcome:
    try:
        async with asyncio.timeout(timeout_seconds):
            _, writer = await asyncio.open_connection(host, port)
    except TimeoutError:
        return Outcome(False, f"dial tcp {_address(host, port)}: i/o timeout")
    except OSError as error:
        return Outcome(False, _dial_error(host, port, error))
    writer.close()
    return Outcome(True)


async def _http(
    action: HttpGetAction, container: Container, pod_ip: str, timeout_seconds: float, any_status: bool
) -> Outcome:
    host, port = action.host or pod_ip, port_of(container, action.port)
    scheme = (action.scheme or "HTTP").lower()
    path = action.path or "/"
    url = f"{scheme}://{_address(host, port)}{path if path.startswith('/') else '/' + path}"
    headers = {"User-Agent": USER_AGENT, "Accept": "*/*"}
    named = {header.name.title(): header.value for header in action.http_headers}
    headers.update(named)
    at = url
    try:
        async with asyncio.timeout(timeout_seconds):
            for _ in range(REDIRECTS_MAX):
                status, location, body = await _get(at, headers)
                following = urljoin(at, location) if location and 300 <= status < 400 else ""
                if not following or any_status or urlsplit(following).hostname != urlsplit(at).hostname:
                    break
                at = following
    except TimeoutError:
        text = "context deadline exceeded (Client.Timeout exceeded while awaiting headers)"
        return Outcome(False, f'Get "{at}": {text}')
    except OSError as error:
        return Outcome(False, f'Get "{at}": {_dial_error(host, port, error)}')
    except (ValueError, asyncio.IncompleteReadError, asyncio.LimitOverrunError) as error:
        return Outcome(False, f'Get "{at}": malformed HTTP response: {error}')
    if any_status or 200 <= status < 400:
        return Outcome(True, body)
    return Outcome(False, f"HTTP probe failed with statuscode: {status}")


async def _get(url: str, headers: dict[str, str]) -> tuple[int, str, str]:
    """(status, location, the beginning of the body). Whose certificate it is is not checked, as in the original."""
    parts = urlsplit(url)
    context = None
    if parts.scheme == "https":
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    port = parts.port or (443 if context else 80)
    reader, writer = await asyncio.open_connection(parts.hostname, port, ssl=context)
    try:
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        lines = [f"GET {target} HTTP/1.1", f"Host: {headers.get('Host', parts.netloc)}"]
        lines += [f"{name}: {value}" for name, value in headers.items() if name != "Host"]
        writer.write(("\r\n".join([*lines, "Connection: close"]) + "\r\n\r\n").encode())
        words = (await reader.readline()).split(None, 2)
        if len(words) < 2 or not words[0].startswith(b"HTTP/"):
            raise ValueError("no HTTP status line")
        status, location = int(words[1]), ""
        while (line := await reader.readline()) not in (b"\r\n", b"\n", b""):
            name, _, value = line.partition(b":")
            if name.strip().lower() == b"location":
                location = value.strip().decode("latin-1")
        body = await reader.read(OUTPUT_BYTES_MAX) if status >= 400 else b""
        return status, location, body.decode("utf-8", "replace")
    finally:
        writer.close()


_SERVING = {0: "UNKNOWN", 1: "SERVING", 2: "NOT_SERVING", 3: "SERVICE_UNKNOWN"}


async def _grpc(host: str, port: int, service: str, timeout_seconds: float) -> Outcome:
    import grpc  # late: only nodes that probe by gRPC pay for it here

    name = service.encode()
    if len(name) > 127:
        return Outcome(False, error="the gRPC service name is over 127 bytes")
    request = bytes((0x0A, len(name))) + name if name else b""
    address = _address(host, port)
    async with grpc.aio.insecure_channel(address) as channel:
        check = channel.unary_unary("/grpc.health.v1.Health/Check")
        try:
            reply = await check(request, timeout=timeout_seconds)
        except grpc.aio.AioRpcError as error:
            if error.code() == grpc.StatusCode.UNIMPLEMENTED:
                text = "error: this server does not implement the grpc health protocol (grpc.health.v1.Health)"
                return Outcome(False, f"{text}: {error.details()}")
            if error.code() in (grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.UNAVAILABLE):
                text = f'timeout: failed to connect service "{address}" within {timeout_seconds:g}s: {error.details()}'
                return Outcome(False, text)
            return Outcome(False, f"error: health rpc probe failed: {error.details()}")
    status = reply[1] if len(reply) > 1 and reply[0] == 0x08 else 0
    if status == 1:
        return Outcome(True)
    return Outcome(False, f'service unhealthy (responded with "{_SERVING.get(status, status)}")')
