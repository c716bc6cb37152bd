"""Running a program on uvloop."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

__all__ = ["new_event_loop", "run"]

T = TypeVar("T")


def new_event_loop() -> asyncio.AbstractEventLoop:
    """A uvloop event loop; for `asyncio.Runner(loop_factory=...)` and tests."""
    import uvloop  # imported late: commands that serve nothing start without it

    return uvloop.new_event_loop()


def run(main: Coroutine[Any, Any, T], *, debug: bool = False) -> T:
    """Run `main` on uvloop to its end, as `asyncio.run` does on the standard loop."""
    with asyncio.Runner(debug=debug, loop_factory=new_event_loop) as runner:
        return runner.run(main)
