"""One request on its way through the server: who, what, on which kind, and what it has gathered so far."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from kaa.base.clock import Clock
from kaa.http.api import Request
from kaa.kinds.registry import Registry
from kaa.kinds.spec import KindSpec
from kaa.meta import errors
from kaa.server import forms
from kaa.server.admission.api import Attributes, Authorizing, Chain, Operation
from kaa.server.cache import Cached
from kaa.server.objects import Objects
from kaa.server.request import RequestInfo, User
from kaa.server.webhooks import Webhooks

__all__ = ["Call", "Parts", "Reserve"]

Json = dict[str, Any]


#: Letters of all warnings of an answer, and of each where they are too many: headers have their bounds too.
WARNINGS_LENGTH_MAX, WARNING_LENGTH_MAX = 4096, 256


class Reserve(Protocol):
    """Takes something scarce for a write, such as a cluster IP, and puts it into the object.

    Returns what to call when the write is over, with whether it was done; on a dry run nothing stays taken.
    Raises StatusError when there is none left, or what was asked for is taken.
    """

    def __call__(self, new: Json, old: Json | None) -> Callable[[bool], None] | None: ...


@dataclass
class Parts:
    """What verbs work with; one per server."""

    objects: Objects
    admission: Chain
    clock: Clock
    #: Whom the server asks: admission, conversion and authorization by others.
    webhooks: Webhooks
    #: For verbs that come to do something else than what was asked for by name: an update that creates.
    authorize: Authorizing
    #: By storage prefix: what writes of that resource reserve.
    reservations: dict[str, Reserve] = field(default_factory=dict)
    #: By qualified name: kinds of which nothing is stored, and whose objects are worked out when they are read.
    computed: dict[str, Callable[[], Sequence[Cached]]] = field(default_factory=dict)

    @property
    def registry(self) -> Registry:
        """What is served."""
        return self.objects.registry


@dataclass(slots=True)
class Call:
    """What a verb gets. `spec` is the kind of the resource in the path, in the version of the path."""

    request: Request
    info: RequestInfo
    user: User
    spec: KindSpec
    parts: Parts
    #: Shown to the user as Warning headers.
    warnings: list[str] = field(default_factory=list)
    #: What admission has the audit log told, by `plugin.domain/key`.
    audit: dict[str, str] = field(default_factory=dict)
    _dry_run: bool | None = None

    @property
    def objects(self) -> Objects:
        """The cluster's objects."""
        return self.parts.objects

    @property
    def namespace(self) -> str:
        """Where the objects are: the namespace of the path, or "" for a kind that lives in none.

        (`info.namespace` of a Namespace is its own name: that is for authorization.)
        """
        return self.info.namespace if self.spec.namespaced else ""

    @property
    def clock(self) -> Clock:
        """The server's clock."""
        return self.parts.clock

    def form(self) -> forms.Form:
        """The form the client asked for; raises 406."""
        request, headers = self.request, self.request.headers
        return forms.choose(
            self.spec,
            self.info.verb,
            headers.get("accept", ""),
            headers.get("user-agent", ""),
            request.param,
            request.query,
            self.clock.now,
        )

    @property
    def dry_run(self) -> bool:
        """`dryRun=All` was given. Raises 422 for another value."""
        if self._dry_run is None:
            values = self.request.params.get("dryRun", []) if "dryRun" in self.request.query else []
            self._dry_run = _check_dry_run(values)
        return self._dry_run

    def ask_dry_run(self, values: list[str]) -> None:
        """Delete options say it in the body."""
        self._dry_run = self.dry_run or _check_dry_run(values)

    def attributes(self, operation: Operation, obj: Json | None, old: Json | None, *, subresource: str | None = None,
                   name: str | None = None, namespace: str | None = None, options: str = "",
                   raw_options: Json | None = None) -> Attributes:  # fmt: skip
        """This call as admission sees it. `options` is the kind of its options; `raw_options` come from its body."""
        return Attributes(
            operation, self.spec, self.namespace if namespace is None else namespace,
            self.info.name if name is None else name,
            self.info.subresource if subresource is None else subresource, obj, old, self.user, self.dry_run,
            raw_options or {}, self.warnings, self.audit,
            (lambda: self._options(options, raw_options)) if options else None,
        )  # fmt: skip

    def _options(self, kind: str, raw: Json | None) -> Json:
        found: Json = {"kind": kind, "apiVersion": "meta.k8s.io/v1"}
        if raw is not None:
            found.update((name, value) for name, value in raw.items() if name not in ("kind", "apiVersion", "metadata"))
        if self.dry_run:
            found["dryRun"] = ["All"]
        if raw is None:
            for name in ("fieldManager", "fieldValidation"):
                if value := self.request.param(name):
                    found[name] = value
        return found

    @property
    def manager(self) -> str:
        """Who owns the fields this call sets: `fieldManager`, or the first word of the user agent."""
        given = self.request.param("fieldManager") if "fieldManager" in self.request.query else ""
        if given:
            if len(given) > 128 or not given.isprintable():
                raise errors.bad_request(
                    f'fieldManager "{given[:40]}" is not valid: use at most 128 printable characters'
                )
            return given
        agent = self.request.headers.get("user-agent", "").partition("/")[0][:128]
        return agent if agent.isprintable() and agent else "unknown"

    def warning_headers(self) -> list[tuple[str, str]]:
        """The warnings as headers, each once; what no header can carry is left out, as in the original."""
        found = []
        for text in dict.fromkeys(_shortened(list(dict.fromkeys(self.warnings)))):
            if any(letter < " " or letter == "\x7f" for letter in text):
                continue
            quoted = text.replace("\\", "\\\\").replace('"', '\\"')
            found.append(("Warning", f'299 - "{quoted}"'))
        return found


def _shortened(texts: list[str]) -> list[str]:
    """At most 4,096 letters in all; where that does not do, each is cut to 256 and the last are left out."""
    if sum(map(len, texts)) <= WARNINGS_LENGTH_MAX:
        return texts
    kept, length = [], 0
    for text in texts:
        length += min(len(text), WARNING_LENGTH_MAX)
        if length > WARNINGS_LENGTH_MAX:
            break
        kept.append(text[:WARNING_LENGTH_MAX])
    return kept


def _check_dry_run(values: list[str]) -> bool:
    wrong = [value for value in values if value != "All"]
    if wrong:
        raise errors.StatusError(
            422, "Invalid", f'DryRun "" is invalid: dryRun: Unsupported value: "{wrong[0]}": supported values: "All"'
        )
    return bool(values)
