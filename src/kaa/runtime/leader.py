"""One of several processes acts: the one that holds a Lease and keeps renewing it.

Clocks of different machines are never compared. A candidate measures, on its own clock, how long it has seen the
lease unchanged; only when that is longer than the lease lasts does it take over. The holder stops acting when it
could not renew for `renew_seconds`, which is shorter, so two never act at once as long as clocks run at about the
same speed.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from kaa.base.clock import REAL, Clock, format_micro
from kaa.base.ids import jitter
from kaa.base.log import Logger
from kaa.base.tasks import spawn
from kaa.client.client import Client
from kaa.http.api import CallError
from kaa.kinds.views.net import Lease
from kaa.meta.errors import StatusError

__all__ = ["Election", "LeaderElector"]

Json = dict[str, Any]
_JITTER = 1.2
_RELEASE_SECONDS = 5.0


@dataclass(frozen=True)
class Election:
    """Which lease, as whom, and how fast."""

    name: str
    #: Unique among the candidates; host name and a random tail.
    identity: str
    namespace: str = "kube-system"
    #: A candidate waits this long after the last renewal it saw.
    lease_seconds: float = 15.0
    #: The holder gives up when it could not renew this long.
    renew_seconds: float = 10.0
    #: Between tries, of either.
    retry_seconds: float = 2.0
    #: Give the lease back on a clean stop, so that the next one need not wait.
    release: bool = True

    def __post_init__(self) -> None:
        if not self.lease_seconds > self.renew_seconds > self.retry_seconds * _JITTER > 0:
            raise ValueError("an election needs lease_seconds > renew_seconds > 1.2 * retry_seconds > 0")


class LeaderElector:
    """A candidate. `run` campaigns; while it leads, `lead()` runs."""

    def __init__(
        self,
        client: Client,
        election: Election,
        *,
        clock: Clock = REAL,
        on_new_leader: Callable[[str], None] | None = None,
    ) -> None:
        self.election = election
        self.leader = ""  #: who holds the lease, as last seen
        self._client = client
        self._clock = clock
        self._on_new_leader = on_new_leader
        self._observed: Json | None = None  # the lease as last seen
        self._observed_at = float("-inf")  # when it was first seen so
        self._renewed_at = float("-inf")
        self._leading = False
        self._log = Logger("leader", lease=f"{election.namespace}/{election.name}", identity=election.identity)
        self._last_error = ""

    @property
    def leading(self) -> bool:
        """Between winning and losing; `lead()` runs only then."""
        return self._leading

    async def run(self, lead: Callable[[], Awaitable[object]]) -> None:
        """Wait for the lease, then run `lead()` while renewing it.

        Returns when the lease is lost, after `lead` has been cancelled and has ended; call again to campaign again.
        If `lead` ends by itself, its error (or the return) ends this. The lease is given back when `lead` has ended
        by itself or by cancelling `run`; a lost one is not touched.
        """
        await self._acquire()
        self._leading = True
        self._log.info("became leader")
        work = spawn(_call(lead), name=f"lead/{self.election.name}")
        renewal = spawn(self._renew(), name=f"renew/{self.election.name}")
        try:
            await asyncio.wait({work, renewal}, return_when=asyncio.FIRST_COMPLETED)
            if work.done():
                work.result()
            else:
                self._log.warning("lost the lease; stopping what needs it")
        finally:
            lost = renewal.done()
            renewal_error = await _stopped(renewal)
            await _stopped(work)
            self._leading = False
            if not lost and self.election.release:
                await self._release()
            if renewal_error is not None:
                raise renewal_error

    async def _acquire(self) -> None:
        while not await self._try_timed(self.election.renew_seconds):
            await self._clock.sleep(jitter(self.election.retry_seconds, _JITTER - 1.0))

    async def _renew(self) -> None:
        """Until the lease could not be renewed in time."""
        while True:
            await self._clock.sleep(self.election.retry_seconds)
            left = self._renewed_at + self.election.renew_seconds - self._clock.monotonic()
            if left <= 0:
                return
            if not await self._try_timed(left) and self.leader != self.election.identity:
                return  # somebody else holds it

    async def _try_timed(self, seconds: float) -> bool:
        try:
            async with asyncio.timeout(seconds):
                held = await self._try()
            self._last_error = ""
            return held
        except (StatusError, CallError, TimeoutError) as error:
            text = str(error) or "timed out"
            if text != self._last_error:
                self._last_error = text
                self._log.warning("cannot get or renew the lease; trying again", error=text)
            return False

    async def _try(self) -> bool:
        """One attempt to get or keep the lease."""
        election, resource = self.election, Lease.resource
        # The time of the attempt, not of its answer, counts as the time of the renewal: others may have seen it then.
        asked_at = self._clock.monotonic()
        if self._leading and self._observed is not None and self._holder(self._observed) == election.identity:
            # The usual case: one request. Whoever changed the lease meanwhile makes it conflict.
            try:
                self._saw(await self._client.update(resource, self._claimed(self._observed)), asked_at)
                self._renewed_at = asked_at
                return True
            except StatusError as error:
                if error.code not in (404, 409):
                    raise
        try:
            present = await self._client.get_json(resource, election.name, election.namespace)
        except StatusError as error:
            if error.code != 404:
                raise
            made = await self._client.create(resource, self._claimed(None))
            self._saw(made, asked_at)
            self._renewed_at = asked_at
            return True
        self._saw(present, self._clock.monotonic())
        holder = self._holder(present)
        if holder and holder != election.identity and self._clock.monotonic() < self._free_at(present):
            return False
        self._saw(await self._client.update(resource, self._claimed(present)), asked_at)
        self._renewed_at = asked_at
        return True

    def _free_at(self, lease: Json) -> float:
        # What the holder promised counts, if it is a longer time than ours.
        promised = float((lease.get("spec") or {}).get("leaseDurationSeconds") or 0)
        return self._observed_at + max(self.election.lease_seconds, promised)

    def _claimed(self, present: Json | None) -> Json:
        """The lease as ours, from what is there."""
        election = self.election
        now = format_micro(self._clock.now())
        metadata: Json = {"name": election.name, "namespace": election.namespace}
        spec: Json = {"leaseTransitions": 0}
        if present is not None:
            metadata, spec = present["metadata"], dict(present.get("spec") or {})
        if self._holder(present) != election.identity:
            spec["acquireTime"] = now
            if present is not None:
                spec["leaseTransitions"] = int(spec.get("leaseTransitions") or 0) + 1
        spec.setdefault("acquireTime", now)
        spec["holderIdentity"] = election.identity
        spec["leaseDurationSeconds"] = max(1, int(election.lease_seconds))
        spec["renewTime"] = now
        return {**(present or {}), "metadata": metadata, "spec": spec}

    def _saw(self, lease: Json, at: float) -> None:
        if self._observed is None or lease.get("spec") != self._observed.get("spec"):
            self._observed_at = at
        self._observed = lease
        holder = self._holder(lease)
        if holder != self.leader:
            self.leader = holder
            if self._on_new_leader is not None and holder:
                self._on_new_leader(holder)

    @staticmethod
    def _holder(lease: Json | None) -> str:
        return str(((lease or {}).get("spec") or {}).get("holderIdentity") or "")

    async def _release(self) -> None:
        """Give the lease back, so that the next candidate can take it at once. Best effort."""
        lease = self._observed
        if lease is None or self._holder(lease) != self.election.identity:
            return
        now = format_micro(self._clock.now())
        spec = {**lease["spec"], "leaseDurationSeconds": 1, "renewTime": now, "acquireTime": now}
        del spec["holderIdentity"]  # an empty one is refused
        try:
            async with asyncio.timeout(_RELEASE_SECONDS):
                self._saw(await self._client.update(Lease.resource, {**lease, "spec": spec}), self._clock.monotonic())
        except (StatusError, CallError, TimeoutError) as error:
            self._log.info("the lease could not be given back; it will expire", error=str(error))


async def _call(lead: Callable[[], Awaitable[object]]) -> None:
    await lead()


async def _stopped(task: "asyncio.Task[None]") -> BaseException | None:
    """Cancel a task and wait for its end; its error, if it had one."""
    task.cancel()
    await asyncio.wait({task})
    return None if task.cancelled() else task.exception()
