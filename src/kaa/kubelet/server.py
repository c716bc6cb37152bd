"""The node's HTTPS endpoint: what the API server asks nodes for. Only the API server (and health checks) may ask."""

import re
from collections.abc import Awaitable, Callable
from typing import Any

import orjson
from cryptography import x509
from cryptography.x509.oid import NameOID

from kaa.base.clock import parse_seconds
from kaa.base.log import Logger
from kaa.http.api import Answer, Request, Response, StreamingResponse, Writer
from kaa.kubelet.containers import log_directory
from kaa.kubelet.cri import api
from kaa.kubelet.kubelet import Kubelet
from kaa.kubelet.logs import LogOptions, read_logs
from kaa.kubelet.seen import ContainerSeen
from kaa.kubelet.stats import metrics_text, summary
from kaa.kubelet.streams import StreamOptions, command_stream, port_stream
from kaa.kubelet.worker import Worker

__all__ = ["NodeServer"]

Json = dict[str, Any]
_log = Logger("kubelet")
RUN_BYTES_MAX = 4 * 1024 * 1024
_Answering = Answer | Awaitable[Answer]


class NodeServer:
    """A `kaa.http` handler.

    `allowed_names` are the common names of client certificates that may ask (the API server's); the listener has
    verified that the cluster's CA signed them. `extra_authorize` may let others in, by request (None: nobody).
    """

    def __init__(
        self,
        kubelet: Kubelet,
        *,
        allowed_names: frozenset[str] = frozenset({"kube-apiserver-kubelet-client"}),
        extra_authorize: Callable[[Request], Awaitable[bool]] | None = None,
    ) -> None:
        self._kubelet = kubelet
        self._allowed_names = allowed_names
        self._extra_authorize = extra_authorize

    def __call__(self, request: Request) -> _Answering:
        """Answer one request."""
        path = request.path
        if path in ("/healthz", "/healthz/ping", "/livez", "/readyz"):
            return Response(200, b"ok", "text/plain; charset=utf-8")
        if self._known(request):
            return self._route(request, path)
        if self._extra_authorize is not None:
            return self._route_authorized(request, path)
        return Response(403 if request.peer.certificate_der else 401, b"Unauthorized", "text/plain")

    async def _route_authorized(self, request: Request, path: str) -> Answer:
        assert self._extra_authorize is not None
        if not await self._extra_authorize(request):
            return Response(403, b"Forbidden", "text/plain")
        answer = self._route(request, path)
        return answer if isinstance(answer, Answer) else await answer

    def _known(self, request: Request) -> bool:
        der = request.peer.certificate_der
        if der is None:
            return False
        names = x509.load_der_x509_certificate(der).subject.get_attributes_for_oid(NameOID.COMMON_NAME)
        return any(name.value in self._allowed_names for name in names)

    def _route(self, request: Request, path: str) -> _Answering:
        head, *rest = path.strip("/").split("/")
        match head, len(rest):
            case "pods", 0:
                return self._pods()
            case "containerLogs", 3:
                return self._logs(request, *rest)
            case (("exec" | "attach"), (3 | 4)):
                return self._command(request, head, rest)
            case "portForward", (2 | 3):
                return self._port_forward(request, rest[0], rest[1])
            case "run", (3 | 4):
                return self._run(request, rest)
            case "stats", 1 if rest == ["summary"]:
                return self._summary()
            case "metrics", 0:
                return Response(200, metrics_text(self._kubelet).encode(), "text/plain; version=0.0.4")
        return Response(404, b"404 page not found\n", "text/plain")

    # --- what there is ------------------------------------------------------------------------------------------------

    def _pods(self) -> Response:
        pods = self._kubelet.pods
        items = [
            {
                "metadata": {"name": w.pod.name, "namespace": w.pod.namespace, "uid": w.pod.uid,
                             "labels": w.pod.labels},
                "status": w.writer.current or {"phase": w.pod.status.phase},
            }
            for w in (pods.workers.values() if pods else ())
        ]  # fmt: skip
        return Response(200, orjson.dumps({"kind": "PodList", "apiVersion": "v1", "metadata": {}, "items": items}))

    async def _summary(self) -> Answer:
        return Response(200, orjson.dumps(await summary(self._kubelet)))

    def _find(self, namespace: str, name: str) -> Worker | None:
        return self._kubelet.pods.find(namespace, name) if self._kubelet.pods else None

    # --- logs ---------------------------------------------------------------------------------------------------------

    async def _logs(self, request: Request, namespace: str, name: str, container: str) -> Answer:
        worker = self._find(namespace, name)
        if worker is None:
            return Response(404, f'pod "{name}" does not exist\n'.encode(), "text/plain")
        try:
            options, previous = _log_options(request, self._kubelet.clock.now())
        except ValueError as error:
            return Response(400, str(error).encode(), "text/plain")
        tries = worker.seen.containers.get(container, [])
        begun = [each for each in tries if each.state != "created"]
        index = 1 if previous else 0
        if len(begun) <= index:
            text = _why_no_log(worker.writer.current or {}, container, name)
            if previous:
                text = f'previous terminated container "{container}" in pod "{name}" not found'
            return Response(400, text.encode(), "text/plain")
        wanted = begun[index]
        path = log_directory(worker.pod, self._kubelet.settings) / container / f"{wanted.attempt}.log"
        if not path.exists():
            return Response(500, f"failed to open the log of {container}: {path} is not there".encode(), "text/plain")

        def running() -> bool:
            now: ContainerSeen | None = worker.seen.find(wanted.id)
            return now is not None and now.running and not worker.ended

        async def run(writer: Writer) -> None:
            async for data in read_logs(path, options, self._kubelet.clock, running):
                writer.write(data)
                await writer.drain()
                if writer.closed.is_set():
                    return

        return StreamingResponse(run, 200, "text/plain")

    # --- commands -----------------------------------------------------------------------------------------------------

    async def _command(self, request: Request, verb: str, rest: list[str]) -> Answer:
        found = self._running(rest)
        if isinstance(found, Response):
            return found
        options = StreamOptions(request)
        if verb == "attach":
            # Whether there is a terminal was decided when the container was made.
            options.use_terminal(self._has_terminal(rest))
        runtime = self._kubelet.runtime

        async def url() -> str:
            if verb == "exec":
                return await runtime.exec(
                    found.id,
                    options.command,
                    tty=options.tty,
                    stdin=options.stdin,
                    stdout=options.stdout,
                    stderr=options.stderr,
                )
            return await runtime.attach(
                found.id, tty=options.tty, stdin=options.stdin, stdout=options.stdout, stderr=options.stderr
            )

        if verb == "exec" and not options.command:
            return Response(400, b"you must specify a command", "text/plain")
        return await command_stream(request, options, url)

    async def _port_forward(self, request: Request, namespace: str, name: str) -> Answer:
        worker = self._find(namespace, name)
        sandbox = worker.seen.sandbox if worker is not None else None
        if sandbox is None or not sandbox.ready:
            return Response(500, f'pod not found ("{name}_{namespace}")'.encode(), "text/plain")
        return await port_stream(request, lambda: self._kubelet.runtime.port_forward(sandbox.id))

    async def _run(self, request: Request, rest: list[str]) -> Answer:
        found = self._running(rest)
        if isinstance(found, Response):
            return found
        command = request.param("cmd").split() or request.params.get("command", [])
        try:
            result = await self._kubelet.runtime.exec_sync(found.id, command, 60.0)
        except api.RuntimeFailed as error:
            return Response(500, error.message.encode(), "text/plain")
        return Response(200, (result.stdout + result.stderr)[:RUN_BYTES_MAX], "text/plain")

    def _has_terminal(self, rest: list[str]) -> bool:
        worker = self._find(rest[0], rest[1])
        spec = worker.pod.spec if worker is not None else None
        every = (*spec.containers, *spec.init_containers, *spec.ephemeral_containers) if spec is not None else ()
        return any(each.tty for each in every if each.name == rest[-1])

    def _running(self, rest: list[str]) -> "ContainerSeen | Response":
        """The container of /namespace/pod[/uid]/container."""
        worker = self._find(rest[0], rest[1])
        if worker is None:
            return Response(404, b"pod does not exist", "text/plain")
        container = rest[-1]
        latest = worker.seen.latest(container)
        if latest is None or not latest.running:
            return Response(500, f'container not found ("{container}")'.encode(), "text/plain")
        return latest


_BOOLEAN = re.compile(r"^(1|t|true)$", re.IGNORECASE)


_PULLING = {"ErrImagePull": "image can't be pulled", "ImagePullBackOff": "trying and failing to pull image"}


def _why_no_log(status: Json, container: str, pod: str) -> str:
    """The original's words for a container that has not begun."""
    where = f'container "{container}" in pod "{pod}"'
    for part in ("containerStatuses", "initContainerStatuses", "ephemeralContainerStatuses"):
        for each in status.get(part) or ():
            if each["name"] == container and (waiting := (each.get("state") or {}).get("waiting")):
                reason = waiting.get("reason", "")
                known = {
                    "ErrImagePull": "image can't be pulled",
                    "ImagePullBackOff": "trying and failing to pull image",
                }
                return f"{where} is waiting to start: {known.get(reason, reason)}"
    return f"{where} is not available"


def _log_options(request: Request, now: float) -> tuple[LogOptions, bool]:
    """From a query; raises ValueError."""

    def flag(name: str) -> bool:
        return bool(_BOOLEAN.match(request.param(name)))

    since = 0.0
    if text := request.param("sinceSeconds"):
        since = now - int(text)
    if text := request.param("sinceTime"):
        since = parse_seconds(text)
    stream = request.param("stream", "All")
    options = LogOptions(
        follow=flag("follow"),
        tail_lines=int(request.param("tailLines")) if request.param("tailLines") else None,
        since=since,
        timestamps=flag("timestamps"),
        bytes_max=int(request.param("limitBytes")) if request.param("limitBytes") else None,
        stream="" if stream == "All" else stream.lower(),
    )
    return options, flag("previous")
