"""Writing one pod's status: the newest wins, one patch in flight, small changes in quick succession become one."""

import asyncio
from typing import Any

from kaa.base import tasks
from kaa.base.log import Logger
from kaa.base.retry import Backoff
from kaa.http.api import CallError
from kaa.kinds.views import Pod
from kaa.kubelet.parts import Parts
from kaa.kubelet.status import changes
from kaa.meta.errors import StatusError

__all__ = ["StatusWriter"]

Json = dict[str, Any]
_log = Logger("kubelet")
SOFT_SECONDS = 0.25
"""How long a change waits for others while its worker is still at work."""


class StatusWriter:
    """One pod's. `gone` is set when the API says that the pod isn't there any more (or is another by that name)."""

    def __init__(self, parts: Parts, pod: Pod) -> None:
        self._parts = parts
        self._name, self._namespace, self._uid = pod.name, pod.namespace, pod.uid
        self.gone = False
        self._base: Json | None = None if pod.status.start_time else _base_of(pod)
        """What the API has, as far as we write it; None until it was read (a pod of an earlier kubelet)."""
        self._wanted: Json | None = None
        self._task: asyncio.Task[None] | None = None
        self._hurry = asyncio.Event()
        self._wrote = asyncio.Event()

    @property
    def current(self) -> Json | None:
        """The status last asked for."""
        return self._wanted

    def publish(self, status: Json, *, soft: bool = False) -> None:
        """Make the API say this, at once or (`soft`) together with what follows shortly."""
        self._wanted = status
        if not soft:
            self._hurry.set()
        # A task that has returned is still held until its callback runs: what is published in between must not be lost.
        idle = self._task is None or self._task.done()
        if idle and not self.gone and (self._base is None or changes(self._base, status) is not None):
            self._wrote.clear()
            self._task = tasks.spawn(self._write(), name=f"status-{self._namespace}/{self._name}")
            self._task.add_done_callback(self._ended)
        elif idle:
            self._hurry.clear()

    async def flush(self) -> None:
        """Until what was published has been written, or the pod is gone."""
        while self._task is not None and not self.gone:
            self._hurry.set()
            await asyncio.wait((self._task,))
            await self._parts.clock.sleep(0)

    def close(self) -> None:
        """Write no more."""
        self.gone = True
        if self._task is not None:
            self._task.cancel()

    def _ended(self, task: "asyncio.Task[None]") -> None:
        if self._task is task:
            self._task = None

    async def _write(self) -> None:
        backoff = Backoff(first_seconds=0.2, seconds_max=10.0)
        if not self._hurry.is_set():
            try:
                async with asyncio.timeout(SOFT_SECONDS):
                    await self._hurry.wait()
            except TimeoutError:
                pass
        while not self.gone:
            self._hurry.clear()
            try:
                if self._base is None:
                    await self._read_base()
                wanted = self._wanted
                assert wanted is not None
                assert self._base is not None
                patch = changes(self._base, wanted)
                if patch is None:
                    return
                async with self._parts.writes:
                    await self._patch(patch)
                self._base = _merged(self._base, wanted)
                backoff.reset()
                if self._wanted is wanted:
                    return
            except StatusError as error:
                if error.code == 404:
                    self.gone = True
                    return
                if error.code == 409:
                    # The name may be another pod's by now (the uid is in the patch): look.
                    self._base = None
                else:
                    _log.warning("status not written", pod=f"{self._namespace}/{self._name}", error=error.message)
                await self._parts.clock.sleep(backoff.next_seconds())
            except (CallError, TimeoutError) as error:
                _log.warning("status not written", pod=f"{self._namespace}/{self._name}", error=str(error))
                await self._parts.clock.sleep(backoff.next_seconds())

    async def _read_base(self) -> None:
        obj = await self._parts.client.get_json(Pod.resource, self._name, self._namespace)
        if obj["metadata"].get("uid") != self._uid:
            raise StatusError(404, "NotFound", "the pod has been replaced")
        self._base = dict(obj.get("status") or {})

    async def _patch(self, patch: Json) -> None:
        await self._parts.client.patch(
            Pod.resource,
            self._name,
            {"metadata": {"uid": self._uid}, "status": patch},
            namespace=self._namespace,
            kind="strategic",
            subresource="status",
        )


def _base_of(pod: Pod) -> Json:
    """The status of a pod that no kubelet has touched: a phase and the scheduler's condition."""
    base: Json = {"phase": pod.status.phase, "qosClass": pod.status.qos_class}
    base["conditions"] = [
        {"type": each.type, "status": each.status, "reason": each.reason, "message": each.message,
         "observedGeneration": each.observed_generation}
        for each in pod.status.conditions
    ]  # fmt: skip
    return base


def _merged(base: Json, wanted: Json) -> Json:
    """What the API has after the patch: ours, and the conditions of others."""
    ours = {each["type"] for each in wanted.get("conditions") or ()}
    others = [each for each in base.get("conditions") or () if each["type"] not in ours]
    return {**wanted, "conditions": [*wanted.get("conditions", ()), *others]}
