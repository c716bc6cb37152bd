"""The audit of one server: its policy, its trails and its backends."""

from collections.abc import Awaitable, Callable, Sequence

from kaa.base import ids
from kaa.base.clock import Clock
from kaa.base.tasks import Scope
from kaa.http.api import Answer, Connection, Request, Response, StreamingResponse, Upgrade, Writer
from kaa.meta.errors import StatusError
from kaa.server.audit.event import Record
from kaa.server.audit.logfile import LogFile, Rotation
from kaa.server.audit.policy import LEVELS, Policy, load_policy
from kaa.server.audit.queue import Batching, Queue
from kaa.server.audit.settings import AuditSettings
from kaa.server.audit.trail import LEVEL_RESPONSE, Trail
from kaa.server.request import RequestInfo, User

__all__ = ["Auditor"]

#: Requests that go on for long: two events tell of their answer.
_LONG_VERBS = frozenset({"watch", "proxy"})
_LONG_SUBRESOURCES = frozenset({"attach", "exec", "proxy", "log", "portforward"})
#: Of an answer without level RequestResponse only a Status is kept, and those are short.
STATUS_BYTES_MAX = 256 * 1024


MODES = ("batch", "blocking")


class Auditor:
    """Begins trails and ends them. `start` before the first request, `close` after the last."""

    def __init__(self, policy: Policy, queues: Sequence[Queue], clock: Clock) -> None:
        self.policy = policy
        self.queues = tuple(queues)
        self.events = 0
        self.levels = [0] * len(LEVELS)
        self._clock = clock
        self._scope = Scope("audit")
        self._blocking = tuple(each for each in queues if each.blocking)
        self._patient = tuple(each for each in queues if each.patient)

    @classmethod
    def of(cls, settings: AuditSettings, clock: Clock) -> "Auditor":
        """By settings. Raises ValueError (AuditPolicyError, ConfigError) with what to mend."""
        assert settings.policy_file is not None
        queues: list[Queue] = []
        for flag, mode in (("log", settings.log_mode), ("webhook", settings.webhook_mode)):
            if mode not in MODES:
                raise ValueError(f'--audit-{flag}-mode "{mode}" is not served: use one of {", ".join(MODES)}')
        if settings.log_path:
            rotation = Rotation(
                settings.log_maxsize, settings.log_maxbackup, settings.log_maxage, settings.log_compress
            )
            queues.append(Queue(LogFile(settings.log_path, rotation, clock), Batching(wait_seconds=0.1), clock,
                                blocking=settings.log_mode == "blocking", patient=True))  # fmt: skip
        if settings.webhook_config_file is not None:
            from kaa.server.audit.webhook import WebhookBackend
            from kaa.server.remote import read_kubeconfig

            place = read_kubeconfig(settings.webhook_config_file)
            batching = Batching(
                settings.webhook_batch_buffer_size, settings.webhook_batch_max_size, settings.webhook_batch_max_wait,
                settings.webhook_batch_throttle_qps, settings.webhook_batch_throttle_burst,
            )  # fmt: skip
            queues.append(Queue(WebhookBackend(place, clock, settings.webhook_initial_backoff), batching, clock,
                                blocking=settings.webhook_mode == "blocking"))  # fmt: skip
        return cls(load_policy(settings.policy_file), queues, clock)

    def start(self) -> None:
        """Begin to write."""
        for queue in self.queues:
            self._scope.spawn(queue.run(), name=queue.backend.name, eternal=True)

    async def close(self) -> None:
        """Write what is left."""
        await self._scope.close()
        for queue in self.queues:
            await queue.close()

    def gauges(self) -> dict[str, Callable[[], float]]:
        """Figures for /metrics, under the original's names."""
        found: dict[str, Callable[[], float]] = {"apiserver_audit_event_total": lambda: float(self.events)}
        for at, level in enumerate(LEVELS):
            found[f'apiserver_audit_level_total{{level="{level}"}}'] = lambda at=at: float(self.levels[at])  # type: ignore[misc]
        for queue in self.queues:
            name = f'apiserver_audit_error_total{{plugin="{queue.backend.name}"}}'
            found[name] = lambda queue=queue: float(queue.lost)  # type: ignore[misc]
        return found

    # --- trails

    def begin(self, request: Request) -> Trail:
        """A request has come."""
        audit_id = request.headers.get("audit-id") or ids.uid()
        trail = request.trail = Trail(self, request, audit_id, self._clock.now())
        return trail

    def known(self, trail: Trail, user: User) -> None:
        """Who asks is known: the policy decides, and what it wants told is told."""
        trail.user = user
        assert trail.info is not None
        trail.ruling = ruling = self.policy.of(user, trail.info)
        self.levels[ruling.level] += 1
        if ruling.level:
            self._tell(trail, "RequestReceived", trail.received)

    def unknown(self, trail: Trail, error: StatusError) -> None:
        """Nobody knows who asks: the refusal is told."""
        assert trail.info is not None
        trail.ruling = self.policy.of(trail.user, trail.info)
        trail.explanation = _attempted(trail.request)

    def end(self, trail: Trail, answer: Answer) -> Answer | Awaitable[Answer]:
        """The answer is there. What is returned is to be sent instead of it."""
        named = (("Audit-Id", trail.id),)
        if isinstance(answer, Upgrade):
            answer = Upgrade(answer.protocol, answer.run, (*answer.headers, *named), answer.unused)
            trail.code = 101
        elif isinstance(answer, StreamingResponse):
            answer = StreamingResponse(answer.run, answer.status, answer.content_type, (*answer.headers, *named),
                                       answer.unused, answer.length)  # fmt: skip
            trail.code = answer.status
        else:
            answer = Response(answer.status, answer.body, answer.content_type, (*answer.headers, *named))
            trail.code = answer.status
        if not trail.ruling.level or trail.info is None or trail.over:
            return answer
        if isinstance(answer, Response):
            self._keep(trail, answer)
            if _long(trail.info) or trail.explanation:
                self._tell(trail, "ResponseStarted", self._clock.now())
            self._tell(trail, "ResponseComplete", self._clock.now())
        else:
            self._tell(trail, "ResponseStarted", self._clock.now())
            self._follow(trail, answer)
        if self._blocking or (self._patient and any(queue.crowded for queue in self._patient)):
            return self._when_written(answer)
        return answer

    def _keep(self, trail: Trail, answer: Response) -> None:
        whole = trail.ruling.level >= LEVEL_RESPONSE
        if not whole and (answer.length > STATUS_BYTES_MAX or (answer.status < 400 and trail.request.method == "GET")):
            return
        if not isinstance(answer.body, bytes):
            # Pieces are made while they are written, once: here two need them.
            answer.body = list(answer.body)
        compressed = any(name.lower() == "content-encoding" for name, _ in answer.headers)
        trail.answered = answer.body, answer.content_type, compressed

    def _follow(self, trail: Trail, answer: StreamingResponse | Upgrade) -> None:
        """Tell when what goes on has ended."""
        ended = False

        def end() -> None:
            nonlocal ended
            if not ended:
                ended = True
                self._tell(trail, "ResponseComplete", self._clock.now())

        run, unused = answer.run, answer.unused

        async def followed(sink: Writer | Connection) -> None:
            try:
                await run(sink)  # type: ignore[arg-type]
            finally:
                end()

        def let_go() -> None:
            end()
            if unused is not None:
                unused()

        answer.run, answer.unused = followed, let_go

    def panicked(self, trail: Trail, error: BaseException) -> None:
        """Handling the request has failed in a way that is ours to mend."""
        trail.code = 500
        trail.explanation = f"APIServer panic'd: {error}"
        if trail.ruling.level and trail.info is not None:
            self._tell(trail, "Panic", self._clock.now())
        trail.over = True

    def _tell(self, trail: Trail, stage: str, at: float) -> None:
        if stage in trail.ruling.omit_stages:
            return
        self.events += 1
        record = Record(trail, stage, at)
        for queue in self.queues:
            queue.put(record)

    async def _when_written(self, answer: Answer) -> Answer:
        for queue in self.queues:
            if queue.blocking or queue.crowded:
                await queue.through()
        return answer


def _long(info: RequestInfo) -> bool:
    return info.verb in _LONG_VERBS or info.subresource in _LONG_SUBRESOURCES


def _attempted(request: Request) -> str:
    """By what means somebody tried to be known, as the original says it."""
    given = []
    kind, _, rest = request.headers.get("authorization", "").strip().partition(" ")
    if kind.lower() == "basic" and rest:
        given.append("basic")
    if kind.lower() == "bearer" and rest:
        given.append("bearer")
    if request.query and request.param("access_token").strip():
        given.append("access_token")
    if request.peer.certificate_der is not None:
        given.append("x509")
    return f"Authentication failed, attempted: {', '.join(given)}" if given else (
        "Authentication failed, no credentials provided"
    )  # fmt: skip
