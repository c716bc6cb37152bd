"""The newest status is written, whenever it comes."""

import asyncio
from types import SimpleNamespace
from typing import Any

from kaa.base.clock import REAL
from kaa.kinds.views import ObjectMeta, Pod
from kaa.kubelet.statuswriter import StatusWriter

Json = dict[str, Any]


def ready(status: str) -> Json:
    return {"phase": "Running", "conditions": [{"type": "Ready", "status": status}]}


async def test_what_is_published_between_the_end_of_a_write_and_its_callback_is_not_lost() -> None:
    written: list[str] = []

    class Client:
        async def patch(self, _resource: Any, _name: str, body: Json, **_: Any) -> Json:
            written.append(body["status"]["conditions"][0]["status"])
            if len(written) == 1:
                # Nothing is awaited after this, so it runs when the task has returned, and before anyone is told.
                asyncio.get_running_loop().call_soon(writer.publish, ready("True"))
            return {}

    parts: Any = SimpleNamespace(client=Client(), clock=REAL, writes=asyncio.Semaphore(1))
    writer = StatusWriter(parts, Pod(metadata=ObjectMeta(name="p", namespace="default", uid="u")))
    writer.publish(ready("False"))
    async with asyncio.timeout(2):
        while written != ["False", "True"]:
            await asyncio.sleep(0.01)
