"""What to do next about a pod: pure decisions from what it should be, what is seen of it, and the time.

The plan is made anew after every step that was carried out, so it states only what can be done now; the order of its
parts is the order in which they are carried out: kills, the sandbox, then starts.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

from kaa.base.clock import parse_seconds
from kaa.kinds.views import Pod
from kaa.kinds.views.core import Container
from kaa.kubelet import names
from kaa.kubelet.amounts import is_sidecar
from kaa.kubelet.memo import Memo, Waiting
from kaa.kubelet.seen import CREATED, ContainerSeen, PodSeen

__all__ = ["DEADLINE_MESSAGE", "Kill", "Plan", "Start", "plan", "should_restart"]

NEVER = float("inf")
DEADLINE_MESSAGE = "Pod was active on the node longer than the specified deadline"


@dataclass(frozen=True, slots=True)
class Kill:
    """Stop one container; `message` is for the Killing event, `grace` overrides the pod's."""

    container: ContainerSeen
    message: str
    grace: int | None = None


@dataclass(frozen=True, slots=True)
class Start:
    """Make and start the next try at a container."""

    container: Container
    attempt: int
    finished_at: float = 0.0
    """When the try before it ended; 0 for the first: what the back-off counts from."""


@dataclass(slots=True)
class Plan:
    """What can be done now. An empty plan with `wake_at` infinite means: nothing until something changes."""

    replace_sandbox: bool = False
    """The sandbox is there but of no use: stop what is left in it before making another."""
    create_sandbox: bool = False
    sandbox_attempt: int = 0
    kills: list[Kill] = field(default_factory=list)
    starts: list[Start] = field(default_factory=list)
    waiting: dict[str, Waiting] = field(default_factory=dict)
    """By container name: in back-off, with the reason and message that its status shows."""
    wake_at: float = NEVER
    """When to plan again although nothing has changed."""
    initialized: bool = False
    finished: tuple[str, str, str] | None = None
    """(phase, reason, message): the pod will never run (again). Stop what is left, then say so."""

    @property
    def idle(self) -> bool:
        """Nothing to carry out now."""
        return not (self.create_sandbox or self.kills or self.starts or self.finished)


def plan(pod: Pod, seen: PodSeen, memo: Memo, now: float) -> Plan:
    """The next steps of a pod that is not being deleted."""
    made = Plan()
    if memo.finished or pod.finished:
        made.finished = memo.finished or (pod.status.phase, pod.status.reason, pod.status.message)
        return made
    deadline = _deadline(pod, memo)
    if now >= deadline:
        made.finished = ("Failed", "DeadlineExceeded", DEADLINE_MESSAGE)
        return made
    made.wake_at = deadline

    sandbox = seen.sandbox
    usable = sandbox is not None and sandbox.ready and (pod.spec.host_network or bool(sandbox.ips))
    if not usable:
        if sandbox is not None and (finished := _finished(pod, seen)):
            made.finished = finished
            return made
        held = memo.failures.get("")
        if held and now < held.until:
            made.wake_at = min(made.wake_at, held.until)
            return made
        made.create_sandbox = True
        made.replace_sandbox = sandbox is not None
        made.sandbox_attempt = sandbox.attempt + 1 if sandbox else 0
        return made

    assert sandbox is not None
    step = _Step(pod, seen, memo, now, sandbox.id, made)
    failed = step.init()
    if failed:
        made.finished = failed
        return made
    if made.initialized:
        step.ephemeral()
        step.app()
        if not made.starts and not made.kills and (finished := _finished(pod, seen)):
            made.finished = finished
    return made


class _Step:
    """One plan in the making."""

    def __init__(self, pod: Pod, seen: PodSeen, memo: Memo, now: float, sandbox_id: str, made: Plan) -> None:
        self.pod, self.seen, self.memo, self.now, self.sandbox_id, self.made = pod, seen, memo, now, sandbox_id, made

    def init(self) -> tuple[str, str, str] | None:
        """Init containers in their order; returns how the pod failed if one did for good."""
        begun = any(self.seen.latest(c.name, self.sandbox_id) for c in self.pod.spec.containers)
        for container in self.pod.spec.init_containers:
            latest = self.seen.latest(container.name, self.sandbox_id)
            if is_sidecar(container):
                if latest is None or not latest.running:
                    self._start(container, latest)
                    if not begun:
                        return None
                elif self._doomed(container, latest):
                    if not begun:
                        return None
                elif not begun and latest.id not in self.memo.startup_passed:
                    return None
                continue
            if begun:
                continue
            if latest is None:
                self._start(container, None)
                return None
            if latest.running:
                self._doomed(container, latest)
                return None
            if latest.exited and latest.exit_code == 0:
                continue
            if latest.exited and not should_restart(self.pod, container, latest, init=True):
                return ("Failed", "", "")
            self._start(container, latest)
            return None
        self.made.initialized = True
        return None

    def app(self) -> None:
        """App containers: start what should run, kill what must not go on."""
        for container in self.pod.spec.containers:
            latest = self.seen.latest(container.name)
            if latest is not None and latest.running and latest.sandbox_id == self.sandbox_id:
                self._doomed(container, latest)
            elif latest is None or latest.running or should_restart(self.pod, container, latest):
                self._start(container, latest)

    def ephemeral(self) -> None:
        """Started once, never again."""
        for container in self.pod.spec.ephemeral_containers:
            if self.seen.latest(container.name) is None:
                self._start(container, None)

    def _doomed(self, container: Container, latest: ContainerSeen) -> bool:
        name = container.name
        if verdict := self.memo.condemned.get(latest.id):
            self.made.kills.append(Kill(latest, verdict[0], verdict[1]))
            return True
        if latest.hash and latest.hash != names.container_hash(container):
            message = f"Container {name} definition changed, will be restarted"
            self.made.kills.append(Kill(latest, message))
            return True
        return False

    def _start(self, container: Container, latest: ContainerSeen | None) -> None:
        name = container.name
        held = self.memo.failures.get(name)
        if held and (self.now < held.until):
            self.made.wake_at = min(self.made.wake_at, held.until)
            return
        changed = latest is not None and latest.hash and latest.hash != names.container_hash(container)
        if latest is not None and latest.exited and not changed:
            backoff = self.memo.backoff(name)
            until = backoff.until(latest.finished_at, self.now)
            if until:
                message = (
                    f"back-off {_go_duration(backoff.seconds)} restarting failed container={name} "
                    f"pod={names.pod_text(self.pod)}"
                )
                self.made.waiting[name] = Waiting("CrashLoopBackOff", message, until)
                self.made.wake_at = min(self.made.wake_at, until)
                return
        finished_at = latest.finished_at if latest is not None and latest.exited and not changed else 0.0
        self.made.starts.append(Start(container, next_attempt(self.pod, self.seen, name), finished_at))


def next_attempt(pod: Pod, seen: PodSeen, name: str) -> int:
    """The restart count of the next try: one more than the last seen, or than the API remembers when nothing of it
    is left at the runtime."""
    if latest := seen.latest(name):
        return latest.attempt + 1
    for status in (*pod.status.init_container_statuses, *pod.status.container_statuses):
        if status.name == name and status.container_id:
            return status.restart_count + 1
    return 0


def should_restart(pod: Pod, container: Container, latest: ContainerSeen, *, init: bool = False) -> bool:
    """Whether a container that isn't running is to be started again, by its own policy or the pod's.

    Init containers under pod policy Always restart on failure only (they are done when they succeed).
    """
    if latest.state == CREATED or not latest.exited:
        return True
    for rule in container.restart_policy_rules:
        codes = rule.get("exitCodes") or {}
        listed = latest.exit_code in (codes.get("values") or ())
        if listed == (codes.get("operator") == "In") and rule.get("action") == "Restart":
            return True
    policy = container.restart_policy or pod.spec.restart_policy
    if policy == "Never":
        return False
    if policy == "OnFailure" or init:
        return latest.exit_code != 0
    return True


def _finished(pod: Pod, seen: PodSeen) -> tuple[str, str, str] | None:
    """The final phase when each app container has ended and none is to be started again."""
    succeeded = True
    if not pod.spec.containers:
        return None
    for container in pod.spec.containers:
        latest = seen.latest(container.name)
        if latest is None or not latest.exited or should_restart(pod, container, latest):
            return _init_failed(pod, seen)
        succeeded = succeeded and latest.exit_code == 0
    return ("Succeeded" if succeeded else "Failed", "", "")


def _init_failed(pod: Pod, seen: PodSeen) -> tuple[str, str, str] | None:
    """A pod that ends before its app containers began: an init container failed for good (in a sandbox now gone)."""
    for container in pod.spec.init_containers:
        latest = seen.latest(container.name)
        if (
            latest is not None
            and latest.exited
            and latest.exit_code != 0
            and not is_sidecar(container)
            and not should_restart(pod, container, latest, init=True)
        ):
            return ("Failed", "", "")
    return None


def _deadline(pod: Pod, memo: Memo) -> float:
    seconds = pod.spec.active_deadline_seconds
    if seconds is None:
        return NEVER
    started = memo.started_at
    if pod.status.start_time:
        started = parse_seconds(pod.status.start_time)
    return started + seconds if started else NEVER


def _go_duration(seconds: float) -> str:
    """`10s`, `1m20s`, `5m0s`: how the original prints durations."""
    whole = int(seconds)
    return f"{whole}s" if whole < 60 else f"{whole // 60}m{whole % 60}s"


def started_containers(pod: Pod, seen: PodSeen) -> Iterable[tuple[Container, ContainerSeen]]:
    """Running containers with their specs: the ones to probe."""
    for container in (*pod.spec.init_containers, *pod.spec.containers):
        latest = seen.latest(container.name)
        if latest is not None and latest.running:
            yield container, latest
