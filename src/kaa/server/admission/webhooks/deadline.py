"""How long one write may wait for all its webhooks together."""

from dataclasses import dataclass

from kaa.base.clock import Clock
from kaa.meta import errors
from kaa.server.admission.api import Attributes

__all__ = ["REQUEST_SECONDS", "Deadline"]

#: The original's limit for a request that is no watch.
REQUEST_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Deadline:
    """A moment, the same for all plugins of one write."""

    at: float
    clock: Clock

    @classmethod
    def of(cls, attributes: Attributes, clock: Clock) -> "Deadline":
        """The write's own, from its first webhook on."""
        made = cls(clock.monotonic() + REQUEST_SECONDS, clock)
        found: Deadline = attributes.memory.setdefault("deadline", made)
        return found

    def seconds(self, wanted: float) -> float:
        """What a hook gets: whole seconds, as it is told. Raises 504 where nothing is left."""
        self.check()
        return min(wanted, max(0.1, self.at - self.clock.monotonic()))

    def check(self) -> None:
        """Raises 504 when the time is over."""
        if self.clock.monotonic() >= self.at:
            raise errors.timeout("request timed out or canceled")
