"""What the runtime says there is of a pod, as plain values: what `lifecycle` and `status` decide from."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from kaa.kubelet import names
from kaa.kubelet.cri import api

__all__ = ["ContainerSeen", "PodSeen", "SandboxSeen"]

CREATED, RUNNING, EXITED, UNKNOWN = "created", "running", "exited", "unknown"
_STATES = {
    api.ContainerState.CREATED: CREATED,
    api.ContainerState.RUNNING: RUNNING,
    api.ContainerState.EXITED: EXITED,
    api.ContainerState.UNKNOWN: UNKNOWN,
}


@dataclass(frozen=True, slots=True)
class ContainerSeen:
    """One try at a container. Times are seconds since the epoch; 0: not yet."""

    id: str
    name: str
    attempt: int = 0
    sandbox_id: str = ""
    state: str = RUNNING
    created_at: float = 0.0
    started_at: float = 0.0
    finished_at: float = 0.0
    exit_code: int = 0
    reason: str = ""
    message: str = ""
    image: str = ""
    image_id: str = ""
    hash: str = ""
    log_path: str = ""

    @property
    def running(self) -> bool:
        """It has been started and has not ended."""
        return self.state == RUNNING

    @property
    def exited(self) -> bool:
        """It has ended."""
        return self.state == EXITED

    @classmethod
    def of(cls, status: api.ContainerStatus, sandbox_id: str) -> "ContainerSeen":
        """From the runtime's status of it."""
        image = status.image.user_specified_image or status.image.image
        state = _STATES.get(status.state, UNKNOWN)
        exit_code = status.exit_code
        reason = status.reason
        if state == EXITED and not reason:
            reason = "Completed" if exit_code == 0 else "Error"
        return cls(
            id=status.id,
            name=status.labels.get(names.CONTAINER_NAME) or status.metadata.name,
            attempt=status.metadata.attempt,
            sandbox_id=sandbox_id,
            state=state,
            created_at=status.created_at / 1e9,
            started_at=status.started_at / 1e9,
            finished_at=status.finished_at / 1e9,
            exit_code=exit_code,
            reason=reason,
            message=status.message,
            image=image,
            image_id=status.image_ref or status.image_id,
            hash=status.annotations.get(names.HASH, ""),
            log_path=status.log_path,
        )


@dataclass(frozen=True, slots=True)
class SandboxSeen:
    """One try at the pod's sandbox."""

    id: str
    attempt: int = 0
    ready: bool = True
    ips: tuple[str, ...] = ()
    created_at: float = 0.0

    @classmethod
    def of(cls, status: api.SandboxStatus) -> "SandboxSeen":
        """From the runtime's status of it."""
        return cls(
            id=status.id,
            attempt=status.metadata.attempt,
            ready=status.state == api.SandboxState.READY,
            ips=tuple(status.ips),
            created_at=status.created_at / 1e9,
        )


@dataclass(slots=True)
class PodSeen:
    """A pod at the runtime. Owned and changed by the pod's worker; `lifecycle` and `status` only read it."""

    sandboxes: list[SandboxSeen] = field(default_factory=list)
    """Newest first."""
    containers: dict[str, list[ContainerSeen]] = field(default_factory=dict)
    """By name, the newest try first."""
    addresses: tuple[str, ...] = ()
    """Those of the sandbox that was ready last: what has ended keeps them."""

    @property
    def sandbox(self) -> SandboxSeen | None:
        """The newest sandbox."""
        return self.sandboxes[0] if self.sandboxes else None

    def latest(self, name: str, sandbox_id: str = "") -> ContainerSeen | None:
        """The newest try at a container, in that sandbox when one is given."""
        for container in self.containers.get(name, ()):
            if not sandbox_id or container.sandbox_id == sandbox_id:
                return container
        return None

    def each(self) -> Iterable[ContainerSeen]:
        """Every try at every container."""
        for tries in self.containers.values():
            yield from tries

    def find(self, container_id: str) -> ContainerSeen | None:
        """By runtime id."""
        return next((c for c in self.each() if c.id == container_id), None)

    def put(self, container: ContainerSeen) -> None:
        """Add or replace one try."""
        tries = [c for c in self.containers.get(container.name, ()) if c.id != container.id]
        tries.append(container)
        tries.sort(key=lambda c: (c.attempt, c.created_at), reverse=True)
        self.containers[container.name] = tries

    def put_sandbox(self, sandbox: SandboxSeen) -> None:
        """Add or replace one sandbox."""
        self.sandboxes = [s for s in self.sandboxes if s.id != sandbox.id] + [sandbox]
        self.sandboxes.sort(key=lambda s: (s.attempt, s.created_at), reverse=True)
        if sandbox.ready and sandbox.ips:
            self.addresses = sandbox.ips

    def drop(self, container_id: str) -> None:
        """Forget a container that the runtime no longer has."""
        for name, tries in list(self.containers.items()):
            kept = [c for c in tries if c.id != container_id]
            if kept:
                self.containers[name] = kept
            else:
                del self.containers[name]

    def drop_sandbox(self, sandbox_id: str) -> None:
        """Forget a sandbox that the runtime no longer has."""
        self.sandboxes = [s for s in self.sandboxes if s.id != sandbox_id]

    @property
    def running(self) -> list[ContainerSeen]:
        """Containers that run, or may."""
        return [c for c in self.each() if c.state in (RUNNING, UNKNOWN)]
