"""CRI over gRPC: the `Runtime` of any CRI v1 socket, in practice containerd's."""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Any, TypeVar

import grpc
import grpc.aio

from kaa.base.clock import REAL, Clock
from kaa.base.log import Logger
from kaa.kubelet.cri import api
from kaa.kubelet.cri import messages as m
from kaa.kubelet.cri.containerd_events import ContainerdEvents
from kaa.kubelet.cri.messages import Request, single
from kaa.kubelet.cri.wire import INT, STR, Message
from kaa.kubelet.cri.wire import repeated as many

__all__ = ["GrpcRuntime", "channel_to", "failure"]

_log = Logger("cri")
T = TypeVar("T")

SECONDS = 120.0
"""Of an ordinary call: the original's runtimeRequestTimeout."""
SECONDS_LONG = 240.0
"""Of run_sandbox, which waits for the network."""
SECONDS_PULL = 3600.0
MESSAGE_BYTES_MAX = 64 << 20

_RUNTIME, _IMAGE = "/runtime.v1.RuntimeService/", "/runtime.v1.ImageService/"


def channel_to(socket: str) -> grpc.aio.Channel:
    """A channel to a socket path; connects at the first call, and again after the peer was restarted."""
    return grpc.aio.insecure_channel(
        f"unix://{socket.removeprefix('unix://')}",
        options=[
            ("grpc.max_receive_message_length", MESSAGE_BYTES_MAX),
            ("grpc.max_send_message_length", MESSAGE_BYTES_MAX),
            ("grpc.enable_http_proxy", 0),
            # A restarted containerd must be found again at once, not after gRPC's two minutes.
            ("grpc.initial_reconnect_backoff_ms", 100),
            ("grpc.min_reconnect_backoff_ms", 100),
            ("grpc.max_reconnect_backoff_ms", 1000),
        ],
    )


def failure(error: grpc.aio.AioRpcError, doing: str) -> api.RuntimeFailed:
    """Our error for gRPC's."""
    code, message = error.code(), error.details() or "no details"
    if code is grpc.StatusCode.NOT_FOUND:
        return api.NotFound(message)
    if code is grpc.StatusCode.UNIMPLEMENTED:
        return api.Unsupported(f"the container runtime does not have {doing}: {message}")
    if code is grpc.StatusCode.DEADLINE_EXCEEDED:
        return api.DeadlineExceeded(message)
    return api.RuntimeFailed(message, code.name.lower())


class GrpcRuntime:
    """See `api.Runtime`. One channel, made at the first call in the running loop."""

    def __init__(self, socket: str, clock: Clock = REAL) -> None:
        self.socket = socket
        self._clock = clock
        self._channel: grpc.aio.Channel | None = None
        self._calls: dict[str, Callable[..., Any]] = {}
        self._features: api.Features | None = None
        self._cri_events = False

    def _connected(self) -> grpc.aio.Channel:
        if self._channel is None:
            self._channel = channel_to(self.socket)
        return self._channel

    async def _call(
        self, method: str, request: Message[Any], answer: Message[T], value: Any, seconds: float = SECONDS
    ) -> T:
        call = self._calls.get(method)
        if call is None:
            call = self._connected().unary_unary(
                method, request_serializer=request.encode, response_deserializer=answer.decode
            )
            self._calls[method] = call
        try:
            # wait_for_ready would hide a runtime that is down for the whole deadline; callers retry by their own rules.
            result: T = await call(value, timeout=seconds)
            return result
        except grpc.aio.AioRpcError as error:
            raise failure(error, method.rpartition("/")[2]) from error

    async def _runtime(
        self, name: str, request: Message[Any], answer: Message[T], value: Any, seconds: float = SECONDS
    ) -> T:
        return await self._call(_RUNTIME + name, request, answer, value, seconds)

    async def _image(
        self, name: str, request: Message[Any], answer: Message[T], value: Any, seconds: float = SECONDS
    ) -> T:
        return await self._call(_IMAGE + name, request, answer, value, seconds)

    # What the runtime is

    async def version(self) -> api.Version:
        """See Runtime."""
        return await self._runtime("Version", _VERSION_REQUEST, m.VERSION, m.Single("v1"), 10)

    async def status(self) -> api.RuntimeStatus:
        """See Runtime."""
        return (await self._runtime("Status", m.EMPTY, m.STATUS_ANSWER, m.Empty(), 10)).status

    async def features(self) -> api.Features:
        """See Runtime."""
        if self._features is None:
            self._features = await self._ask_features()
        return self._features

    async def _ask_features(self) -> api.Features:
        version = await self.version()
        status = await self._runtime("Status", m.EMPTY, m.STATUS_ANSWER, m.Empty(), 10)
        number = _number(version.runtime_version)
        containerd = version.runtime_name == "containerd"
        self._cri_events = await self._has_cri_events()
        driver = ""
        try:
            config = await self._runtime("RuntimeConfig", m.EMPTY, _DRIVER, m.Empty(), 10)
            driver = "cgroupfs" if (config.value or 0) == 1 else "systemd"
        except api.RuntimeFailed:
            pass  # older than the call: the driver is a setting then
        sandbox_stats = True
        try:
            await self.list_sandbox_stats()
        except api.RuntimeFailed:
            sandbox_stats = False
        handlers = [h.features for h in status.handlers if h.features is not None]
        return api.Features(
            events=self._cri_events or containerd,
            user_namespaces=any(h.user_namespaces for h in handlers),
            recursive_read_only_mounts=any(h.recursive_read_only_mounts for h in handlers),
            # The protocol has no word for these three: what is known is when containerd gained them.
            image_volumes=containerd and number >= (2, 1),
            stop_signal=containerd and number >= (2, 2),
            update_sandbox_resources=containerd and number >= (2, 1),
            sandbox_stats=sandbox_stats,
            supplemental_groups_policy=bool(status.supplemental_groups_policy),
            cgroup_driver=driver,
            runtime_handlers=tuple(h.name for h in status.handlers),
        )

    async def _has_cri_events(self) -> bool:
        call = self._connected().unary_stream(
            _RUNTIME + "GetContainerEvents", request_serializer=m.EMPTY.encode, response_deserializer=m.EVENT.decode
        )(m.Empty(), timeout=0.3)
        try:
            await call.read()
        except grpc.aio.AioRpcError as error:
            # An open stream that says nothing runs into our own deadline; one that isn't there says so at once.
            return error.code() is grpc.StatusCode.DEADLINE_EXCEEDED
        finally:
            call.cancel()
        return True

    # Sandboxes

    async def run_sandbox(self, config: api.SandboxConfig, runtime_handler: str = "") -> str:
        """See Runtime."""
        request = Request(config=config, handler=runtime_handler)
        return _text(await self._runtime("RunPodSandbox", m.RUN_SANDBOX, _ONE_STRING, request, SECONDS_LONG))

    async def stop_sandbox(self, sandbox_id: str) -> None:
        """See Runtime."""
        await self._gone_is_fine("StopPodSandbox", m.BY_ID, Request(sandbox_id))

    async def remove_sandbox(self, sandbox_id: str) -> None:
        """See Runtime."""
        await self._gone_is_fine("RemovePodSandbox", m.BY_ID, Request(sandbox_id))

    async def _gone_is_fine(self, name: str, request: Message[Any], value: Request, seconds: float = SECONDS) -> None:
        try:
            await self._runtime(name, request, m.EMPTY, value, seconds)
        except api.NotFound:
            pass

    async def sandbox_status(self, sandbox_id: str) -> api.SandboxStatus:
        """See Runtime."""
        status: api.SandboxStatus = (
            await self._runtime("PodSandboxStatus", m.BY_ID, _SANDBOX_STATUS, Request(sandbox_id))
        ).value
        return status

    async def list_sandboxes(self, labels: Mapping[str, str] | None = None) -> list[api.Sandbox]:
        """See Runtime."""
        value = m.Single(Request(labels=labels) if labels else None)
        return (await self._runtime("ListPodSandbox", _SANDBOX_FILTER, _SANDBOXES, value)).value or []

    async def update_sandbox_resources(
        self, sandbox_id: str, overhead: api.ContainerResources | None, resources: api.ContainerResources | None
    ) -> None:
        """See Runtime."""
        value = Request(sandbox_id, overhead=overhead, resources=resources)
        await self._runtime("UpdatePodSandboxResources", m.UPDATE_SANDBOX, m.EMPTY, value)

    # Containers

    async def create_container(self, sandbox_id: str, config: api.ContainerConfig, sandbox: api.SandboxConfig) -> str:
        """See Runtime."""
        request = Request(sandbox_id, config=config, sandbox=sandbox)
        return _text(await self._runtime("CreateContainer", m.CREATE_CONTAINER, _ONE_STRING, request))

    async def start_container(self, container_id: str) -> None:
        """See Runtime."""
        await self._runtime("StartContainer", m.BY_ID, m.EMPTY, Request(container_id))

    async def stop_container(self, container_id: str, timeout_seconds: float) -> None:
        """See Runtime. The protocol counts whole seconds; a part of one is rounded up."""
        whole = -int(-timeout_seconds // 1)
        await self._gone_is_fine(
            "StopContainer", m.STOP_CONTAINER, Request(container_id, timeout=whole), whole + SECONDS
        )

    async def remove_container(self, container_id: str) -> None:
        """See Runtime."""
        await self._gone_is_fine("RemoveContainer", m.BY_ID, Request(container_id))

    async def list_containers(
        self, sandbox_id: str = "", labels: Mapping[str, str] | None = None
    ) -> list[api.Container]:
        """See Runtime."""
        wanted = Request(sandbox_id=sandbox_id, labels=labels or {}) if sandbox_id or labels else None
        return (await self._runtime("ListContainers", _CONTAINER_FILTER, _CONTAINERS, m.Single(wanted))).value or []

    async def container_status(self, container_id: str) -> api.ContainerStatus:
        """See Runtime."""
        status: api.ContainerStatus = (
            await self._runtime("ContainerStatus", m.BY_ID, _CONTAINER_STATUS, Request(container_id))
        ).value
        return status

    async def update_container_resources(self, container_id: str, resources: api.ContainerResources) -> None:
        """See Runtime."""
        value = Request(container_id, resources=resources)
        await self._runtime("UpdateContainerResources", m.UPDATE_RESOURCES, m.EMPTY, value)

    async def exec_sync(self, container_id: str, argv: Sequence[str], timeout_seconds: float = 0) -> api.ExecResult:
        """See Runtime. The protocol counts whole seconds; a part of one is rounded up."""
        whole = -int(-timeout_seconds // 1)
        value = Request(container_id, argv=argv, timeout=whole)
        seconds = whole + 30.0 if whole else SECONDS_PULL
        try:
            return await self._runtime("ExecSync", m.EXEC_SYNC, m.EXEC_RESULT, value, seconds)
        except api.RuntimeFailed as error:
            # containerd before 1.7 reports its own deadline as an unknown error.
            if error.code == "unknown" and "timeout" in error.message and "exceeded" in error.message:
                raise api.DeadlineExceeded(error.message) from error
            raise

    async def exec(
        self,
        container_id: str,
        argv: Sequence[str],
        *,
        tty: bool = False,
        stdin: bool = False,
        stdout: bool = True,
        stderr: bool = True,
    ) -> str:
        """See Runtime."""
        # A terminal has one output stream; the protocol refuses a request for both.
        value = Request(container_id, argv=argv, tty=tty, stdin=stdin, stdout=stdout, stderr=stderr and not tty)
        return _text(await self._runtime("Exec", m.EXEC, _ONE_STRING, value))

    async def attach(
        self, container_id: str, *, tty: bool = False, stdin: bool = False, stdout: bool = True, stderr: bool = True
    ) -> str:
        """See Runtime."""
        value = Request(container_id, tty=tty, stdin=stdin, stdout=stdout, stderr=stderr and not tty)
        return _text(await self._runtime("Attach", m.ATTACH, _ONE_STRING, value))

    async def port_forward(self, sandbox_id: str, ports: Sequence[int] = ()) -> str:
        """See Runtime."""
        return _text(await self._runtime("PortForward", m.PORT_FORWARD, _ONE_STRING, Request(sandbox_id, ports=ports)))

    async def reopen_log(self, container_id: str) -> None:
        """See Runtime."""
        await self._runtime("ReopenContainerLog", m.BY_ID, m.EMPTY, Request(container_id))

    # Statistics

    async def container_stats(self, container_id: str) -> api.ContainerStats:
        """See Runtime."""
        stats: api.ContainerStats = (
            await self._runtime("ContainerStats", m.BY_ID, _CONTAINER_STATS, Request(container_id))
        ).value
        return stats

    async def list_container_stats(self) -> list[api.ContainerStats]:
        """See Runtime."""
        return (await self._runtime("ListContainerStats", m.EMPTY, _CONTAINERS_STATS, m.Empty())).value or []

    async def list_sandbox_stats(self) -> list[api.SandboxStats]:
        """See Runtime."""
        answer = await self._runtime("ListPodSandboxStats", m.EMPTY, _SANDBOXES_STATS, m.Empty())
        return [stats.flatten() for stats in answer.value or []]

    # Images

    async def list_images(self) -> list[api.Image]:
        """See Runtime."""
        return (await self._image("ListImages", m.EMPTY, _IMAGES, m.Empty())).value or []

    async def image_status(self, ref: str) -> api.Image | None:
        """See Runtime."""
        image: api.Image | None = (
            await self._image("ImageStatus", m.BY_IMAGE, _IMAGE_ANSWER, Request(image=api.ImageSpec(ref)))
        ).value
        return image

    async def pull_image(self, ref: str, auth: api.Auth | None = None, sandbox: api.SandboxConfig | None = None) -> str:
        """See Runtime."""
        value = Request(image=api.ImageSpec(ref), auth=auth, sandbox=sandbox)
        try:
            return _text(await self._image("PullImage", m.PULL_IMAGE, _ONE_STRING, value, SECONDS_PULL))
        except api.RuntimeFailed as error:
            raise api.ImagePullFailed(error.message, error.code) from error

    async def remove_image(self, ref: str) -> None:
        """See Runtime."""
        try:
            await self._image("RemoveImage", m.BY_IMAGE, m.EMPTY, Request(image=api.ImageSpec(ref)))
        except api.NotFound:
            pass

    async def image_fs_info(self) -> list[api.ImageFilesystem]:
        """See Runtime."""
        used = (await self._image("ImageFsInfo", m.EMPTY, _FILESYSTEMS, m.Empty())).value or []
        return [api.ImageFilesystem(u.mountpoint, u.used_bytes or 0, u.inodes_used or 0, u.at) for u in used]

    # Events

    async def events(self) -> AsyncIterator[api.RuntimeEvent]:
        """See Runtime. By CRI where it has them, by containerd's own stream where it doesn't."""
        features = await self.features()
        if self._cri_events:
            source = self._events_of_cri()
        elif features.events:
            source = ContainerdEvents(self._connected(), self, self._clock).events()
        else:
            raise api.Unsupported("the container runtime has no event stream: poll list_containers instead")
        async for event in source:
            yield event

    async def _events_of_cri(self) -> AsyncIterator[api.RuntimeEvent]:
        call = self._connected().unary_stream(
            _RUNTIME + "GetContainerEvents", request_serializer=m.EMPTY.encode, response_deserializer=m.EVENT.decode
        )(m.Empty())
        try:
            while (line := await call.read()) is not grpc.aio.EOF:
                sandbox_id = line.sandbox.id if line.sandbox else ""
                yield api.RuntimeEvent(line.kind, line.container_id, sandbox_id, line.at)
        except grpc.aio.AioRpcError as error:
            raise failure(error, "GetContainerEvents") from error
        finally:
            call.cancel()
        raise api.RuntimeFailed("the container runtime closed its event stream", "unavailable")

    async def close(self) -> None:
        """See Runtime."""
        channel, self._channel = self._channel, None
        self._calls.clear()
        if channel is not None:
            await channel.close()


def _text(answer: m.Single) -> str:
    return answer.value or ""


def _number(version: str) -> tuple[int, ...]:
    """`1.6.20~ds1` -> (1, 6)."""
    parts = version.removeprefix("v").split(".")[:2]
    return tuple(int("".join(c for c in part if c.isdigit()) or 0) for part in parts)


_ONE_STRING = single(1, STR)
_VERSION_REQUEST = single(1, STR)
_DRIVER = single(1, m.wrapped(1, INT))
_SANDBOX_STATUS = single(1, m.SANDBOX_STATUS.kind)
_SANDBOX_FILTER = single(1, m.SANDBOX_FILTER.kind)
_SANDBOXES = single(1, many(m.SANDBOX.kind))
_CONTAINER_FILTER = single(1, m.CONTAINER_FILTER.kind)
_CONTAINERS = single(1, many(m.CONTAINER.kind))
_CONTAINER_STATUS = single(1, m.CONTAINER_STATUS.kind)
_CONTAINER_STATS = single(1, m.CONTAINER_STATS.kind)
_CONTAINERS_STATS = single(1, many(m.CONTAINER_STATS.kind))
_SANDBOXES_STATS = single(1, many(m.SANDBOX_STATS.kind))
_IMAGES = single(1, many(m.IMAGE.kind))
_IMAGE_ANSWER = single(1, m.IMAGE.kind)
_FILESYSTEMS = single(1, many(m.FILESYSTEM_USAGE.kind))
