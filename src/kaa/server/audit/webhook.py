"""Events sent to a webhook: an EventList per call, tried again with growing pauses when it does not get through."""

import asyncio
from collections.abc import Sequence

from kaa.base.clock import Clock
from kaa.base.retry import Backoff
from kaa.http.api import CallError
from kaa.http.call import Caller
from kaa.server.audit.event import Record, render, render_list
from kaa.server.remote import Place

__all__ = ["WebhookBackend", "WebhookFailed"]

ATTEMPTS = 5
CALL_SECONDS = 30.0


class WebhookFailed(Exception):
    """A batch did not get through."""


class WebhookBackend:
    """POSTs batches to the place of a kubeconfig."""

    name = "webhook"

    def __init__(self, place: Place, clock: Clock, initial_backoff_seconds: float = 10.0) -> None:
        scheme, _, rest = place.url.partition("://")
        host, _, path = rest.partition("/")
        self._path, _, self._query = f"/{path}".partition("?")
        self._url = place.url
        self._clock = clock
        self._pause_seconds = initial_backoff_seconds
        self._caller = Caller(f"{scheme}://{host}", tls=place.tls, headers=lambda: place.headers, clock=clock,
                              user_agent="kube-apiserver")  # fmt: skip

    async def write(self, records: Sequence[Record]) -> None:
        body = await asyncio.to_thread(lambda: render_list([render(each) for each in records]))
        pauses = Backoff(first_seconds=self._pause_seconds, factor=1.5, seconds_max=10 * self._pause_seconds)
        for attempt in range(1, ATTEMPTS + 1):
            try:
                reply = await self._caller.call(
                    "POST", self._path, query=self._query, body=body, timeout_seconds=CALL_SECONDS,
                    headers=(("Content-Type", "application/json"),),
                )  # fmt: skip
                if 200 <= reply.status < 300:
                    return
                failure = f"it answered {reply.status}"
                if reply.status != 429 and reply.status < 500:
                    break
            except CallError as error:
                failure = str(error)
            if attempt < ATTEMPTS:
                await self._clock.sleep(pauses.next_seconds())
        raise WebhookFailed(f'Post "{self._url}": {failure}')

    async def close(self) -> None:
        await self._caller.close()
