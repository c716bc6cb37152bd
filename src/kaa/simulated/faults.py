"""Errors by plan, for a runtime that has none of its own."""

import fnmatch
from dataclasses import dataclass, field

from kaa.base.clock import REAL, Clock
from kaa.kubelet.cri import api

__all__ = ["Faults"]


@dataclass(slots=True)
class _Fault:
    method: str
    error: api.RuntimeFailed | None
    times: int
    pattern: str
    seconds: float


@dataclass
class Faults:
    """What goes wrong. Empty: nothing does."""

    images_missing: list[str] = field(default_factory=list)
    """Patterns (`*/missing:*`) of images that are nowhere: not at the node, and not to be pulled."""
    clock: Clock = REAL

    def __post_init__(self) -> None:
        self._planned: list[_Fault] = []

    def inject(
        self,
        method: str,
        error: api.RuntimeFailed | None = None,
        *,
        times: int = 1,
        pattern: str = "*",
        seconds: float = 0.0,
    ) -> None:
        """The next `times` calls of `method` whose subject (a name, an id, an image) matches wait `seconds`, and raise
        `error` if there is one."""
        self._planned.append(_Fault(method, error, times, pattern, seconds))

    def clear(self) -> None:
        """All is well again."""
        self._planned.clear()
        self.images_missing.clear()

    async def strike(self, method: str, subject: str = "") -> None:
        """Called by the runtime at the start of each method."""
        if not self._planned:
            return
        for fault in self._planned:
            if fault.method == method and fnmatch.fnmatchcase(subject, fault.pattern):
                fault.times -= 1
                if fault.times <= 0:
                    self._planned.remove(fault)
                if fault.seconds:
                    await self.clock.sleep(fault.seconds)
                if fault.error is not None:
                    raise fault.error
                return
