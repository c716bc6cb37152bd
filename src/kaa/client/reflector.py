"""Keeping a picture equal to the server's: fill, follow, resume where a stream broke, refill when that is too late.

The reflector knows no indexes and no subscribers: it calls a `Sink`. Nothing is lost or repeated: a broken watch
resumes after the last revision taken, and a refill is compared with what is there.
"""

import asyncio
from contextlib import aclosing
from typing import Generic, Protocol, TypeVar

import msgspec

from kaa.base.clock import Clock
from kaa.base.ids import jitter
from kaa.base.log import Logger
from kaa.base.retry import Backoff
from kaa.client.client import Client
from kaa.client.wire import WatchEvent
from kaa.http.api import CallError, ConnectFailed
from kaa.kinds.views.base import View
from kaa.meta.errors import StatusError

__all__ = ["PAGE_ITEMS", "Reflector", "Sink"]

V = TypeVar("V", bound=View)
PAGE_ITEMS = 500
"""Objects in one page of a list: decoding more at once would hold the loop too long."""

WATCH_SECONDS = 300
"""The least a watch lasts before it is renewed; up to twice that, so that watches do not renew together."""

_GRACE_SECONDS = 30.0  # beyond the time the watch was asked to last, before the connection is taken for dead
_FILL_SILENCE_SECONDS = 30.0  # a streamed list that sends nothing this long is not one: the server ignored the request
_FRUITLESS_MAX = 3
_EVENTS_PER_TURN = 200  # taken before other tasks get a turn


class Sink(Protocol[V]):
    """Where the picture is kept."""

    async def replace(self, objects: list[V], revision: int) -> None:
        """The whole picture at a revision. Called by one reflector, which waits until it is taken."""

    def apply(self, event: WatchEvent[V]) -> None:
        """One change; bookmarks too."""


class _ListAgain(Exception):
    """The revision to go on from is not there any more."""


class _NoStreamedLists(Exception):
    """The server does not stream lists."""


class Reflector(Generic[V]):
    """Fills and follows one collection. `run` never ends by itself; cancel it to stop, at any await."""

    def __init__(
        self,
        client: Client,
        view: type[V],
        sink: "Sink[V]",
        *,
        clock: Clock,
        namespace: str = "",
        labels: str = "",
        fields: str = "",
    ) -> None:
        self._client = client
        self._view = view
        self._sink = sink
        self._clock = clock
        self._scope = {"namespace": namespace, "labels": labels, "fields": fields}
        self._revision: int | None = None  # everything up to here has been given to the sink; None: nothing yet
        self._fruitless = 0  # watches in a row that broke without news
        self._backoff = Backoff(first_seconds=0.05, seconds_max=30.0, jitter_fraction=0.5)
        self._log = Logger("reflector", resource=view.resource.qualified)
        self._last_error = ""

    async def run(self) -> None:
        """Follow the collection until cancelled."""
        while True:
            started = self._clock.monotonic()
            before = self._revision
            try:
                if self._revision is None and not self._client.streams_lists:
                    await self._fill_by_pages()
                await self._follow()
            except _ListAgain:
                self._log.info("history is compacted beyond the last revision seen; listing again", revision=before)
                self._revision, self._fruitless = None, 0
                if before is not None and self._clock.monotonic() - started > 1.0:
                    continue
            except _NoStreamedLists:
                self._client.streams_lists = False
                continue
            except (CallError, StatusError, TimeoutError, msgspec.DecodeError) as error:
                self._complain(error)
                self._doubt(error)
                if isinstance(error, StatusError) and error.retry_after_seconds:
                    await self._clock.sleep(jitter(min(60, error.retry_after_seconds), 0.5))
                    continue
            else:
                # The server ended the watch, as it may. One that ends at once, without news, is not worth a rush.
                if self._revision != before or self._clock.monotonic() - started > 1.0:
                    continue
            await self._clock.sleep(self._backoff.next_seconds())

    async def _fill_by_pages(self) -> None:
        listing = await self._client.list(self._view, limit=PAGE_ITEMS, **self._scope)
        await self._sink.replace(listing.items, listing.revision)
        self._revision = listing.revision
        self._recovered()

    async def _follow(self) -> None:
        """One watch, from the last revision; from nothing, with the present state first."""
        filling: dict[str, V] | None = {} if self._revision is None else None
        seconds = int(jitter(WATCH_SECONDS, 1.0))
        events = self._client.watch(
            self._view, revision=self._revision or 0, send_initial_events=filling is not None, timeout_seconds=seconds,
            **self._scope,
        )  # fmt: skip
        taken = 0
        try:
            async with asyncio.timeout(seconds + _GRACE_SECONDS) as limit, aclosing(events):
                loop_time = asyncio.get_running_loop().time
                last_resort = limit.when()
                if filling is not None:
                    limit.reschedule(loop_time() + _FILL_SILENCE_SECONDS)
                async for event in events:
                    taken += 1
                    if taken % _EVENTS_PER_TURN == 0:
                        await self._clock.sleep(0)
                    if filling is None:
                        self._take(event)
                    elif event.initial_events_end:
                        await self._sink.replace(list(filling.values()), event.revision)
                        self._revision, filling = event.revision, None
                        self._recovered()
                        limit.reschedule(last_resort)
                    else:
                        _take_initial(filling, event)
                        if taken % _EVENTS_PER_TURN == 1:
                            limit.reschedule(loop_time() + _FILL_SILENCE_SECONDS)
        except StatusError as error:
            if error.code == 410 or error.reason in ("Expired", "Gone"):
                raise _ListAgain from error
            if filling is not None and error.code in (400, 422):
                raise _NoStreamedLists from error
            raise
        except TimeoutError:
            if filling is not None:
                raise _NoStreamedLists from None
            raise

    def _take(self, event: WatchEvent[V]) -> None:
        assert self._revision is not None
        if event.revision <= self._revision and event.type != "BOOKMARK":
            return  # had it already: servers may repeat the revision a watch starts from
        self._sink.apply(event)
        self._revision = max(self._revision, event.revision)
        if self._last_error:
            self._recovered()
        self._backoff.reset()
        self._fruitless = 0

    def _recovered(self) -> None:
        self._backoff.reset()
        self._fruitless = 0
        if self._last_error:
            self._last_error = ""
            self._log.info("following again", revision=self._revision)

    def _doubt(self, error: Exception) -> None:
        """A server that was restored or began anew does not know our revision: after some failures, list again."""
        if self._revision is None or isinstance(error, ConnectFailed):
            return
        self._fruitless += 1
        if self._fruitless >= _FRUITLESS_MAX:
            self._revision, self._fruitless = None, 0

    def _complain(self, error: Exception) -> None:
        text = str(error) or type(error).__name__
        if text != self._last_error:
            self._last_error = text
            self._log.warning("cannot follow; trying again", error=text)


def _take_initial(filling: dict[str, V], event: WatchEvent[V]) -> None:
    if event.object is None:
        return
    if event.type == "DELETED":
        filling.pop(event.object.key, None)
    else:
        filling[event.object.key] = event.object
