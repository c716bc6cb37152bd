"""How long to wait before trying again."""

from dataclasses import dataclass

from kaa.base import ids

__all__ = ["Backoff"]


@dataclass
class Backoff:
    """Exponential waits with jitter, bounded above. Call `next_seconds` after each failure, `reset` after a success."""

    first_seconds: float = 0.05
    factor: float = 2.0
    seconds_max: float = 30.0
    jitter_fraction: float = 0.2
    failures: int = 0

    def next_seconds(self) -> float:
        """The wait before the next try; each call counts one more failure."""
        wait = min(self.seconds_max, self.first_seconds * self.factor ** min(self.failures, 62))
        self.failures += 1
        return min(self.seconds_max, ids.jitter(wait, self.jitter_fraction))

    def reset(self) -> None:
        """The last try succeeded."""
        self.failures = 0
