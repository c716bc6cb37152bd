"""What a worker remembers between plans that the runtime doesn't know: back-offs, failures, probe verdicts."""

from dataclasses import dataclass, field

__all__ = ["BACKOFF_FIRST_SECONDS", "BACKOFF_SECONDS_MAX", "Memo", "RestartBackoff", "Waiting"]

BACKOFF_FIRST_SECONDS = 10.0
BACKOFF_SECONDS_MAX = 300.0
BACKOFF_FORGET_SECONDS = 600.0


@dataclass(slots=True)
class RestartBackoff:
    """10 s, doubling to 300 s, per container; forgotten when it ran for ten minutes after its last restart."""

    seconds: float = 0.0
    updated_at: float = 0.0

    def until(self, finished_at: float, now: float) -> float:
        """When a container that ended at `finished_at` may be started again; 0: now."""
        if not self.seconds or finished_at - self.updated_at > BACKOFF_FORGET_SECONDS:
            return 0.0
        until = finished_at + self.seconds
        return until if now < until else 0.0

    def restarted(self, now: float, finished_at: float) -> None:
        """It is started again now."""
        if not self.seconds or finished_at - self.updated_at > BACKOFF_FORGET_SECONDS:
            self.seconds = BACKOFF_FIRST_SECONDS
        else:
            self.seconds = min(BACKOFF_SECONDS_MAX, self.seconds * 2)
        self.updated_at = now


@dataclass(frozen=True, slots=True)
class Waiting:
    """Why a container doesn't run, as its status says it. `until` is when to try again (0: when something changes)."""

    reason: str
    message: str = ""
    until: float = 0.0


@dataclass(slots=True)
class Memo:
    """One pod's."""

    backoffs: dict[str, RestartBackoff] = field(default_factory=dict)
    """By container name."""
    failures: dict[str, Waiting] = field(default_factory=dict)
    """By container name: why its last try could not be started. The name "" stands for the pod: volumes, sandbox."""
    startup_passed: set[str] = field(default_factory=set)
    """Container ids whose startup probe has succeeded (or that have none and ran their postStart hook)."""
    ready: dict[str, bool] = field(default_factory=dict)
    """Container id -> verdict of its readiness probe; only of containers that have one."""
    condemned: dict[str, tuple[str, int | None]] = field(default_factory=dict)
    """Container id -> (why it must be killed, the grace to use or None for the pod's)."""
    started_at: float = 0.0
    """When this kubelet (or one before it) first saw the pod: `status.startTime`."""
    finished: tuple[str, str, str] | None = None
    """(phase, reason, message) once it is decided that the pod never runs again."""

    def backoff(self, name: str) -> RestartBackoff:
        """Of a container; made on first use."""
        return self.backoffs.setdefault(name, RestartBackoff())
