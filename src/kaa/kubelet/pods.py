"""All pods of the node: who has a worker, what the runtime reports to whom, and what nobody owns."""

import asyncio
from collections.abc import Iterable
from pathlib import Path

from kaa.base import tasks
from kaa.base.log import Logger
from kaa.base.retry import Backoff
from kaa.base.tasks import Scope
from kaa.client.informers import Informer
from kaa.kinds.views import Pod
from kaa.kubelet import names
from kaa.kubelet.containers import log_directory
from kaa.kubelet.cri import api
from kaa.kubelet.ending import remove_orphan
from kaa.kubelet.looking import look_at
from kaa.kubelet.mounts.volumes import remove_pod_dir
from kaa.kubelet.parts import Parts
from kaa.kubelet.worker import Worker

__all__ = ["Pods"]

_log = Logger("kubelet")
_IN_MOTION_SECONDS = 0.25


class Pods:
    """The node's pods."""

    def __init__(self, parts: Parts, informer: Informer[Pod]) -> None:
        self._parts = parts
        self._informer = informer
        self.workers: dict[str, Worker] = {}
        """By uid."""
        self._orphans: set[str] = set()
        self._relist_now = asyncio.Event()
        self._events_work = False
        self._last_listing: frozenset[tuple[str, str, int]] = frozenset()

    async def start(self, scope: Scope) -> None:
        """Take over what runs, then follow the API and the runtime. The informer must be synced."""
        await self._adopt()
        self._informer.on_change(self._changed)
        scope.spawn(self._follow_runtime(), name="runtime-events", eternal=True)
        scope.spawn(self._relist_for_ever(), name="relist", eternal=True)

    def wake(self, uid: str) -> None:
        """A probe has given its verdict."""
        if (worker := self.workers.get(uid)) is not None:
            worker.wake()

    def find(self, namespace: str, name: str) -> Worker | None:
        """By name; the one that isn't ending if there are two."""
        found = [w for w in self.workers.values() if w.pod.name == name and w.pod.namespace == namespace]
        return max(found, key=lambda w: not w.removed, default=None)

    def running_logs(self) -> Iterable[tuple[str, Path]]:
        """(container id, log file) of what runs."""
        for worker in self.workers.values():
            directory = log_directory(worker.pod, self._parts.settings)
            for container in worker.seen.running:
                yield container.id, directory / container.name / f"{container.attempt}.log"

    def close(self) -> None:
        """Stop all workers; containers run on."""
        for worker in list(self.workers.values()):
            worker.close()

    # The API's side -------------------------------------------------------------------------------------------------

    async def _adopt(self) -> None:
        """Look at what the runtime has before the first plan is made, so that nothing that runs is started again."""
        backoff = Backoff(first_seconds=0.1, seconds_max=5.0)
        while True:
            try:
                sandboxes, containers = await self._list()
                break
            except api.RuntimeFailed as error:
                _log.warning("container runtime does not answer; trying again", error=error.message)
                await self._parts.clock.sleep(backoff.next_seconds())
        uids = {each.labels.get(names.POD_UID, "") for each in sandboxes}
        uids |= {each.labels.get(names.POD_UID, "") for each in containers}
        uids -= {""}
        for pod in self._informer.lister.all():
            if pod.uid in uids:
                worker = self.workers[pod.uid] = Worker(self._parts, pod, self._ended)
                worker.looking.everything = True
        _log.info("took over what runs", pods=len(self.workers), others=len(uids - self.workers.keys()))
        self._route(sandboxes, containers)
        await self._clear_directories(uids)

    async def _clear_directories(self, uids: set[str]) -> None:
        """Directories and cgroups of pods that are neither in the API nor at the runtime."""
        known = {pod.uid for pod in self._informer.lister.all()} | uids
        directory = self._parts.settings.pods_dir
        found = [each.name for each in directory.iterdir()] if directory.is_dir() else []
        for uid in found:
            if uid not in known:
                await remove_pod_dir(self._parts.settings, uid)
        for uid in self._parts.cgroups.pod_uids() - known:
            self._parts.cgroups.remove(uid)

    def _changed(self, old: Pod | None, new: Pod | None) -> None:
        if new is None:
            assert old is not None
            if (worker := self.workers.get(old.uid)) is not None:
                worker.remove()
                if worker.ended and not worker.busy:
                    self._drop(old.uid)
            return
        worker = self.workers.get(new.uid)
        if worker is None:
            worker = self.workers[new.uid] = Worker(self._parts, new, self._ended)
            self._parts.cgroups.update_qos(w.pod for w in self.workers.values() if not w.pod.finished)
            worker.wake()
        elif old is None:
            # Adopted before this handler was there.
            worker.pod = new
            worker.wake()
        else:
            worker.update(new)

    def _ended(self, worker: Worker) -> None:
        if worker.removed and self.workers.get(worker.pod.uid) is worker:
            self._drop(worker.pod.uid)

    def _drop(self, uid: str) -> None:
        worker = self.workers.pop(uid, None)
        if worker is not None:
            worker.close()
            self._parts.cgroups.update_qos(w.pod for w in self.workers.values() if not w.pod.finished)

    # The runtime's side ---------------------------------------------------------------------------------------------

    async def _follow_runtime(self) -> None:
        backoff = Backoff(first_seconds=0.1, seconds_max=10.0)
        while True:
            try:
                if not self._parts.features.events:
                    raise api.Unsupported("the runtime has no events")
                self._events_work = True
                async for event in self._parts.runtime.events():
                    backoff.reset()
                    if event.kind in (api.EventKind.STOPPED, api.EventKind.OOM, api.EventKind.DELETED):
                        self._event(event)
            except api.Unsupported:
                self._events_work = False
                await asyncio.Event().wait()
            except api.RuntimeFailed as error:
                _log.warning("runtime events broke off; listing until they are back", error=error.message)
            self._events_work = False
            self._relist_now.set()
            await self._parts.clock.sleep(backoff.next_seconds())

    def _event(self, event: api.RuntimeEvent) -> None:
        for id_ in (event.container_id, event.sandbox_id):
            uid = self._parts.owners.get(id_)
            if uid is None:
                continue
            worker = self.workers.get(uid)
            if worker is not None and not worker.ended:
                worker.container_changed(event.container_id)
            return

    async def _relist_for_ever(self) -> None:
        settings = self._parts.settings
        while True:
            if self._events_work:
                seconds = settings.relist_seconds_max
            elif any(worker.busy for worker in self.workers.values()):
                seconds = min(_IN_MOTION_SECONDS, settings.relist_seconds)
            else:
                seconds = settings.relist_seconds
            await self._sleep(seconds)
            for uid in [uid for uid, w in self.workers.items() if w.ended and w.removed]:
                self._drop(uid)
            try:
                self._route(*await self._list())
            except api.RuntimeFailed as error:
                _log.warning("container runtime does not answer", error=error.message)

    async def _sleep(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._relist_now.wait()
        except TimeoutError:
            pass
        self._relist_now.clear()

    async def _list(self) -> tuple[list[api.Sandbox], list[api.Container]]:
        sandboxes, containers = await asyncio.gather(
            self._parts.runtime.list_sandboxes(), self._parts.runtime.list_containers()
        )
        return sandboxes, containers

    def _route(self, sandboxes: list[api.Sandbox], containers: list[api.Container]) -> None:
        """Wake whom the listing surprises."""
        by_uid: dict[str, dict[str, bool]] = {}
        whose: dict[str, tuple[str, str]] = {}
        for sandbox in sandboxes:
            uid = sandbox.labels.get(names.POD_UID, "")
            by_uid.setdefault(uid, {})[sandbox.id] = sandbox.state == api.SandboxState.READY
            whose[uid] = (sandbox.labels.get(names.POD_NAMESPACE, ""), sandbox.labels.get(names.POD_NAME, ""))
        for container in containers:
            uid = container.labels.get(names.POD_UID, "")
            by_uid.setdefault(uid, {})[container.id] = container.state == api.ContainerState.RUNNING
            whose.setdefault(
                uid, (container.labels.get(names.POD_NAMESPACE, ""), container.labels.get(names.POD_NAME, ""))
            )
        for uid, worker in self.workers.items():
            if worker.busy or worker.ended:
                continue
            known = {s.id: s.ready for s in worker.seen.sandboxes} | {c.id: c.running for c in worker.seen.each()}
            if known != by_uid.get(uid, {}):
                worker.look_again()
        for uid in by_uid.keys() - self.workers.keys() - self._orphans - {""}:
            if any(pod.uid == uid for pod in self._informer.lister.all()):
                continue
            self._orphans.add(uid)
            tasks.spawn(self._remove_orphan(uid, *whose[uid]), name=f"orphan-{uid}")

    async def _remove_orphan(self, uid: str, namespace: str, name: str) -> None:
        try:
            await remove_orphan(self._parts, namespace, name, uid, await look_at(self._parts, uid))
        except (api.RuntimeFailed, OSError) as error:
            # The next listing tries again.
            _log.warning("a pod that is not in the API could not be removed", uid=uid, error=str(error))
        finally:
            self._orphans.discard(uid)
