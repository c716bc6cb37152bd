"""What is known of one request. Filled on the loop; read by the thread that writes when nothing changes any more."""

from typing import TYPE_CHECKING, Any

import orjson

from kaa.http.api import Request
from kaa.kinds.spec import KindSpec
from kaa.server.audit.policy import NOTHING, Ruling
from kaa.server.request import RequestInfo, User

if TYPE_CHECKING:
    from kaa.server.app import Decision
    from kaa.server.audit.auditor import Auditor

__all__ = ["LEVEL_METADATA", "LEVEL_REQUEST", "LEVEL_RESPONSE", "Trail"]

Json = dict[str, Any]

LEVEL_METADATA, LEVEL_REQUEST, LEVEL_RESPONSE = 1, 2, 3
_NOBODY = User("")
#: An annotation that is set twice keeps its first value, as in the original; one request has so many at most.
ANNOTATIONS_MAX = 100


class Trail:
    """One request, from its arrival to its end."""

    __slots__ = (
        "annotations",
        "answered",
        "auditor",
        "code",
        "explanation",
        "id",
        "impersonated",
        "info",
        "over",
        "received",
        "reference",
        "request",
        "ruling",
        "sent",
        "user",
    )  # fmt: skip

    def __init__(self, auditor: "Auditor", request: Request, audit_id: str, received: float) -> None:
        self.auditor = auditor
        self.request = request
        self.id = audit_id
        self.received = received
        self.ruling: Ruling = NOTHING
        self.user = _NOBODY
        self.impersonated: User | None = None
        self.info: RequestInfo | None = None
        self.annotations: dict[str, str] = {}
        #: JSON of what was sent, at level Request.
        self.sent: bytes | None = None
        #: What the object that was sent says of itself, where the path does not: name, namespace, uid, resourceVersion.
        self.reference: Json = {}
        #: The answer's code; 0 while there is none.
        self.code = 0
        #: The answer's body and what it is: (pieces, content type, whether it is compressed). Statuses and, at level
        #: RequestResponse, whatever was answered.
        self.answered: tuple[Any, str, bool] | None = None
        #: The last event has been told.
        self.over = False
        #: What goes into the status where no answer says it.
        self.explanation = ""

    @property
    def level(self) -> int:
        """How much is told: 0 is nothing."""
        return self.ruling.level

    # --- for those who handle the request

    def decided(self, user: User, decision: "Decision") -> None:
        """Authorization has spoken. `user` is whom the request counts as: with impersonation not who sent it."""
        if user.impersonator is not None:
            self.impersonated = user
        if self.ruling.level:
            self.annotate("authorization.k8s.io/decision", "allow" if decision.allowed else "forbid")
            self.annotate("authorization.k8s.io/reason", decision.reason)

    def panicked(self, error: BaseException) -> None:
        """Handling the request has failed in a way that is ours to mend."""
        self.auditor.panicked(self, error)

    def annotate(self, key: str, value: str) -> None:
        """Put something into the event that the log should know. What is there stays."""
        if self.ruling.level and len(self.annotations) < ANNOTATIONS_MAX:
            self.annotations.setdefault(key, value)

    def note_sent(self, spec: KindSpec, obj: Json) -> None:
        """What was sent has been read: an object, or options. Its form is kept as it is now, with the kind's
        defaults."""
        level = self.ruling.level
        if not level:
            return
        meta = obj.get("metadata") or {}
        for name in ("name", "namespace", "uid", "resourceVersion"):
            if meta.get(name) and name not in self.reference:
                self.reference[name] = meta[name]
        if level >= LEVEL_REQUEST:
            copy = orjson.loads(orjson.dumps(obj))
            spec.default(copy)
            self.sent = orjson.dumps(copy)
