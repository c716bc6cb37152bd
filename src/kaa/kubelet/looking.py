"""Keeping what is seen of a pod true: by id after an event, all of it after doubt; and sweeping out old tries."""

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from kaa.base.log import Logger
from kaa.kubelet import names
from kaa.kubelet.containers import log_directory
from kaa.kubelet.cri import api
from kaa.kubelet.logs import last_lines
from kaa.kubelet.mounts.volumes import termination_file
from kaa.kubelet.parts import Parts
from kaa.kubelet.seen import ContainerSeen, PodSeen, SandboxSeen
from kaa.kubelet.stopping import spec_of

if TYPE_CHECKING:
    from kaa.kubelet.worker import Worker

__all__ = ["Looking", "look_at"]

_log = Logger("kubelet")
MESSAGE_BYTES_MAX = 4096
FALLBACK_BYTES_MAX = 2048
FALLBACK_LINES_MAX = 80
DEAD_KEPT = 1
_REMEMBERED_MAX = 100


async def look_at(parts: Parts, uid: str) -> PodSeen:
    """Everything the runtime has of a pod. Raises RuntimeFailed."""
    labels = {names.POD_UID: uid}
    sandboxes, containers = await asyncio.gather(
        parts.runtime.list_sandboxes(labels), parts.runtime.list_containers(labels=labels)
    )
    seen = PodSeen()
    for sandbox in sandboxes:
        try:
            seen.put_sandbox(SandboxSeen.of(await parts.runtime.sandbox_status(sandbox.id)))
            parts.owners[sandbox.id] = uid
        except api.NotFound:
            continue
    for container in containers:
        try:
            status = await parts.runtime.container_status(container.id)
            seen.put(ContainerSeen.of(status, container.sandbox_id))
            parts.owners[container.id] = uid
        except api.NotFound:
            continue
    return seen


class Looking:
    """Of one worker. `stale` ids, or `everything`, are looked at by the next `look`."""

    def __init__(self, parts: Parts, worker: "Worker") -> None:
        self._parts = parts
        self._worker = worker
        self.stale: set[str] = set()
        self.everything = False
        self._messages: dict[str, str] = {}

    async def look(self) -> None:
        """Bring `worker.seen` up to date. Raises RuntimeFailed."""
        for container in self._worker.seen.each():
            # One that had ended before its start was answered.
            if container.exited and container.id not in self._messages:
                self.stale.add(container.id)
        worker = self._worker
        if self.everything:
            self.everything = False
            self.stale.clear()
            try:
                found = await look_at(self._parts, worker.pod.uid)
            except BaseException:
                self.everything = True
                raise
            worker.seen = found
            self._messages = {id_: text for id_, text in self._messages.items() if found.find(id_)}
            for container in list(found.each()):
                self._ended(container)
            return
        while self.stale:
            id_ = self.stale.pop()
            try:
                await self._one(id_)
            except BaseException:
                self.stale.add(id_)
                raise

    async def _one(self, id_: str) -> None:
        seen = self._worker.seen
        if any(sandbox.id == id_ for sandbox in seen.sandboxes):
            try:
                seen.put_sandbox(SandboxSeen.of(await self._parts.runtime.sandbox_status(id_)))
            except api.NotFound:
                seen.drop_sandbox(id_)
            return
        before = seen.find(id_)
        if before is None:
            return
        try:
            status = await self._parts.runtime.container_status(id_)
        except api.NotFound:
            seen.drop(id_)
            return
        container = ContainerSeen.of(status, before.sandbox_id)
        seen.put(container)
        self._ended(container)

    def _ended(self, container: ContainerSeen) -> None:
        """Give a container that has ended its message: read once, the files may be gone later."""
        if not container.exited:
            return
        if container.id in self._messages:
            self._worker.seen.put(replace(container, message=self._messages[container.id]))
            return
        pod = self._worker.pod
        spec = spec_of(pod, container.name)
        if spec is None:
            self._messages[container.id] = container.message
            return
        message = _read(termination_file(self._parts.settings, pod, spec, container.attempt))
        if not message and spec.termination_message_policy == "FallbackToLogsOnError" and container.exit_code:
            path = log_directory(pod, self._parts.settings) / container.name / f"{container.attempt}.log"
            message = last_lines(path, FALLBACK_LINES_MAX, FALLBACK_BYTES_MAX)
        self._messages[container.id] = message or container.message
        self._worker.seen.put(replace(container, message=message or container.message))

    async def sweep(self) -> None:
        """Remove tries that nobody asks for any more: of each container, one that ended is kept beside the newest;
        and sandboxes before the newest."""
        seen = self._worker.seen
        for tries in list(seen.containers.values()):
            for container in tries[1 + DEAD_KEPT :]:
                await self._parts.runtime.remove_container(container.id)
                seen.drop(container.id)
                self._messages.pop(container.id, None)
                self._parts.owners.pop(container.id, None)
                _unlink_logs(log_directory(self._worker.pod, self._parts.settings), container)
        memo = self._worker.memo
        if len(memo.startup_passed) > _REMEMBERED_MAX or len(memo.ready) > _REMEMBERED_MAX:
            alive = {container.id for container in seen.each()}
            memo.startup_passed &= alive
            memo.ready = {id_: verdict for id_, verdict in memo.ready.items() if id_ in alive}
        used = {container.sandbox_id for container in seen.each()}
        for sandbox in list(seen.sandboxes[1:]):
            if sandbox.id not in used and not sandbox.ready:
                await self._parts.runtime.remove_sandbox(sandbox.id)
                seen.drop_sandbox(sandbox.id)
                self._parts.owners.pop(sandbox.id, None)


def _read(path: Path) -> str:
    try:
        with open(path, "rb") as file:
            return file.read(MESSAGE_BYTES_MAX).decode("utf-8", "replace")
    except OSError:
        return ""


def _unlink_logs(directory: Path, container: ContainerSeen) -> None:
    for path in (directory / container.name).glob(f"{container.attempt}.log*"):
        path.unlink(missing_ok=True)
