"""containerd's own event stream, for versions whose CRI has none (before 1.7), so that nobody polls quickly."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any, Protocol

import grpc
import grpc.aio

from kaa.base.clock import REAL, Clock
from kaa.base.tasks import Scope
from kaa.kubelet.cri import api
from kaa.kubelet.cri.wire import BYTES, INT, STR, Message, fields_of, repeated

__all__ = ["ContainerdEvents"]

NAMESPACE = "k8s.io"
"""Where containerd's CRI keeps its containers."""
QUEUE_MAX = 4096
"""Events held for a slow reader. Beyond it the stream breaks, and the reader lists again, which is its contract."""
_SETTLE_SECONDS = (0.001, 0.002, 0.004, *([0.008] * 32), *([0.05] * 15))


@dataclass(frozen=True, slots=True)
class _Filters:
    filters: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Any:
    type_url: str = ""
    value: bytes = b""


@dataclass(frozen=True, slots=True)
class _Timestamp:
    seconds: int = 0
    nanos: int = 0


@dataclass(frozen=True, slots=True)
class _Envelope:
    timestamp: _Timestamp = _Timestamp()
    namespace: str = ""
    topic: str = ""
    event: _Any = _Any()


_FILTERS = Message(_Filters, {"filters": (1, repeated(STR))})
_ENVELOPE = Message(
    _Envelope,
    {
        "timestamp": (1, Message(_Timestamp, {"seconds": (1, INT), "nanos": (2, INT)}).kind),
        "namespace": (2, STR),
        "topic": (3, STR),
        "event": (4, Message(_Any, {"type_url": (1, STR), "value": (2, BYTES)}).kind),
    },
)
# topic -> (kind, field number of the container's id, of the process's id, of the exit status); 0: not there.
_TOPICS = {
    "/tasks/start": (api.EventKind.STARTED, 1, 0, 0),
    "/tasks/exit": (api.EventKind.STOPPED, 1, 2, 4),
    "/tasks/oom": (api.EventKind.OOM, 1, 0, 0),
    "/containers/create": (api.EventKind.CREATED, 1, 0, 0),
    "/containers/delete": (api.EventKind.DELETED, 1, 0, 0),
}


class _Statuses(Protocol):
    """What of a Runtime is needed to see that an end has been noticed."""

    async def container_status(self, container_id: str) -> api.ContainerStatus: ...
    async def sandbox_status(self, sandbox_id: str) -> api.SandboxStatus: ...


class ContainerdEvents:
    """An `api.EventSource` on containerd's socket.

    containerd tells the world of a task's end before its CRI part has written the exit down; an event is therefore
    held back until the status says the same (a second at most), so that a receiver who looks at once isn't misled.
    """

    def __init__(self, channel: grpc.aio.Channel, statuses: _Statuses, clock: Clock = REAL) -> None:
        self._channel = channel
        self._statuses = statuses
        self._clock = clock

    async def events(self) -> AsyncIterator[api.RuntimeEvent]:
        """See EventSource."""
        queue: asyncio.Queue[api.RuntimeEvent | api.RuntimeFailed] = asyncio.Queue(QUEUE_MAX)
        call = self._channel.unary_stream(
            "/containerd.services.events.v1.Events/Subscribe",
            request_serializer=_FILTERS.encode,
            response_deserializer=_ENVELOPE.decode,
        )(
            _Filters(tuple(f'namespace=="{NAMESPACE}",topic=="{topic}"' for topic in _TOPICS)),
            metadata=(("containerd-namespace", NAMESPACE),),
        )
        async with Scope("containerd-events") as scope:
            scope.spawn(self._read(call, queue, scope), name="read")
            try:
                while True:
                    event = await queue.get()
                    if isinstance(event, api.RuntimeFailed):
                        raise event
                    yield event
            finally:
                call.cancel()

    async def _read(self, call: Any, queue: "asyncio.Queue[Any]", scope: Scope) -> None:
        failed = api.RuntimeFailed("containerd closed its event stream", "unavailable")
        try:
            while (envelope := await call.read()) is not grpc.aio.EOF:
                event = _event(envelope)
                if event is None:
                    continue
                if event.kind is api.EventKind.STOPPED:
                    scope.spawn(self._settled(event, queue), name="settle")
                else:
                    queue.put_nowait(event)
        except asyncio.QueueFull:
            failed = api.RuntimeFailed(f"more than {QUEUE_MAX} container events were waiting", "resource_exhausted")
            queue.get_nowait()
        except grpc.aio.AioRpcError as error:
            failed = api.RuntimeFailed(error.details() or str(error.code()), error.code().name.lower())
        await queue.put(failed)

    async def _settled(self, event: api.RuntimeEvent, queue: "asyncio.Queue[Any]") -> None:
        for seconds in _SETTLE_SECONDS:
            try:
                if await self._ended(event.container_id):
                    break
            except api.RuntimeFailed:
                break
            await self._clock.sleep(seconds)
        await queue.put(event)

    async def _ended(self, id_: str) -> bool:
        try:
            status = await self._statuses.container_status(id_)
        except api.NotFound:
            return (await self._statuses.sandbox_status(id_)).state is not api.SandboxState.READY
        return status.state is not api.ContainerState.RUNNING


def _event(envelope: _Envelope) -> api.RuntimeEvent | None:
    """None for what is not ours to know: another namespace, the end of an exec'd process."""
    known = _TOPICS.get(envelope.topic)
    if known is None or envelope.namespace != NAMESPACE:
        return None
    kind, id_number, process_number, status_number = known
    values = {number: value for number, _, value in fields_of(envelope.event.value)}
    container_id = bytes(values.get(id_number, b"")).decode()
    if process_number and bytes(values.get(process_number, b"")).decode() != container_id:
        return None
    at = envelope.timestamp.seconds * 1_000_000_000 + envelope.timestamp.nanos
    return api.RuntimeEvent(kind, container_id, "", at, int(values.get(status_number, 0)) if status_number else None)
