"""Authorization by others: SubjectAccessReviews put to a webhook, with what it answered kept for a while."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import orjson

from kaa import cel
from kaa.base.clock import Clock
from kaa.base.log import Logger
from kaa.meta.selectors import SelectorError, parse_fields, parse_labels
from kaa.server.app import Decision
from kaa.server.remote import Place, Remote, RemoteError
from kaa.server.request import RequestInfo, User

__all__ = ["WebhookAuthorizer", "WebhookSettings", "match_environment", "review_spec"]

Json = dict[str, Any]
_log = Logger("apiserver")

KEPT_MAX = 8192
#: Questions longer than this are put each time: what is kept must be bounded.
KEPT_BYTES_MAX = 10_000

_NO_OPINION = Decision(False)


def _object(name: str, /, **fields: cel.Type) -> cel.Type:
    return cel.object_of(f"kubernetes.{name}", fields)


@cache
def match_environment() -> cel.Environment:
    """What the match conditions of an authorizer may mention."""
    requirement = _object("SelectorRequirement", key=cel.STRING, operator=cel.STRING, values=cel.list_of(cel.STRING))
    selector = _object("Selector", rawSelector=cel.STRING, requirements=cel.list_of(requirement))
    resource = _object(
        "ResourceAttributes", namespace=cel.STRING, verb=cel.STRING, group=cel.STRING, version=cel.STRING,
        resource=cel.STRING, subresource=cel.STRING, name=cel.STRING, fieldSelector=selector, labelSelector=selector,
    )  # fmt: skip
    request = _object(
        "SubjectAccessReviewSpec",
        resourceAttributes=resource,
        nonResourceAttributes=_object("NonResourceAttributes", path=cel.STRING, verb=cel.STRING),
        user=cel.STRING,
        groups=cel.list_of(cel.STRING),
        extra=cel.map_of(cel.STRING, cel.list_of(cel.STRING)),
        uid=cel.STRING,
    )
    return cel.Environment({"request": request})


@dataclass(frozen=True)
class WebhookSettings:
    """One webhook authorizer."""

    #: Where it is asked, and as whom.
    place: Place
    #: What an authorizer of the configuration file is called; for logs.
    name: str = "default"
    #: How long an answer "allowed" counts, and any other; 0 keeps none.
    authorized_ttl_seconds: float = 300.0
    unauthorized_ttl_seconds: float = 30.0
    #: How long it may take to answer, all attempts together.
    timeout_seconds: float = 30.0
    #: Whether a webhook that does not answer means no (`Deny`), or nothing (`NoOpinion`).
    deny_on_failure: bool = False
    #: It is asked only where all of these are true.
    match_conditions: tuple[cel.Program, ...] = field(default=())


class WebhookAuthorizer:
    """One webhook."""

    def __init__(self, settings: WebhookSettings, clock: Clock) -> None:
        self._settings = settings
        self._clock = clock
        self._remote = Remote(settings.place, clock, timeout_seconds=settings.timeout_seconds)
        self._kept: OrderedDict[bytes, tuple[float, Decision]] = OrderedDict()

    def __call__(self, user: User, info: RequestInfo) -> Decision | Awaitable[Decision]:
        """What it says, from memory where it has said so lately."""
        spec = review_spec(user, info)
        if self._settings.match_conditions:
            unmatched = self._unmatched(spec)
            if unmatched is not None:
                return unmatched
        key = orjson.dumps(spec)
        kept = self._kept.get(key)
        if kept is not None and kept[0] > self._clock.monotonic():
            return kept[1]
        return self._ask(spec, key)

    def _unmatched(self, spec: Json) -> Decision | None:
        """The decision where it is not to be asked."""
        budget = cel.Budget(cel.MATCH_CONDITIONS_BUDGET)
        failure = ""
        for program in self._settings.match_conditions:
            try:
                if program.evaluate({"request": spec}, budget) is not True:
                    return _NO_OPINION  # one that is false settles it, whatever went wrong with others
            except (cel.EvaluationError, cel.BudgetExceeded) as error:
                failure = failure or f"cel evaluation error: expression '{program.source}' resulted in error: {error}"
        return self._failed(failure) if failure else None

    def _failed(self, why: str) -> Decision:
        _log.warning("an authorization webhook did not decide", webhook=self._settings.name, error=why)
        return Decision(False, "", denied=self._settings.deny_on_failure, error=why)

    async def _ask(self, spec: Json, key: bytes) -> Decision:
        question = {
            "kind": "SubjectAccessReview",
            "apiVersion": "authorization.k8s.io/v1",
            "metadata": {"creationTimestamp": None},
            "spec": spec,
            "status": {"allowed": False},
        }
        try:
            answer = await self._remote.ask(question)
        except RemoteError as error:
            return self._failed(str(error))
        status = answer.get("status") or {}
        allowed, denied = status.get("allowed") is True, status.get("denied") is True
        if allowed and denied:
            return self._failed("the webhook answered that it is both allowed and denied")
        decision = Decision(allowed, str(status.get("reason") or ""), denied=denied,
                            error=str(status.get("evaluationError") or ""))  # fmt: skip
        ttl = self._settings.authorized_ttl_seconds if allowed else self._settings.unauthorized_ttl_seconds
        if ttl > 0 and len(key) <= KEPT_BYTES_MAX:
            self._kept[key] = (self._clock.monotonic() + ttl, decision)
            self._kept.move_to_end(key)
            while len(self._kept) > KEPT_MAX:
                self._kept.popitem(last=False)
        return decision

    async def close(self) -> None:
        """End its connections."""
        await self._remote.close()


_OPERATORS = {
    "=": "In",
    "==": "In",
    "in": "In",
    "!=": "NotIn",
    "notin": "NotIn",
    "exists": "Exists",
    "!": "DoesNotExist",
}


def review_spec(user: User, info: RequestInfo) -> Json:
    """What is asked, as the spec of a SubjectAccessReview."""
    spec: Json = {}
    if info.is_resource:
        attributes: Json = {
            name: value
            for name, value in (
                ("namespace", info.namespace), ("verb", info.verb), ("group", info.group), ("version", info.version),
                ("resource", info.resource), ("subresource", info.subresource), ("name", info.name),
            )
            if value
        }  # fmt: skip
        for name, text, read in (
            ("fieldSelector", info.field_selector, _fields),
            ("labelSelector", info.label_selector, _labels),
        ):
            requirements = read(text) if text else []
            if requirements:
                attributes[name] = {"requirements": requirements}
        spec["resourceAttributes"] = attributes
    else:
        spec["nonResourceAttributes"] = {"path": info.path, "verb": info.verb}
    if user.name:
        spec["user"] = user.name
    if user.groups:
        spec["groups"] = list(user.groups)
    if user.extra:
        spec["extra"] = {name: list(values) for name, values in user.extra.items()}
    if user.uid:
        spec["uid"] = user.uid
    return spec


def _fields(text: str) -> Sequence[Json]:
    try:
        return [{"key": each.field, "operator": _OPERATORS[each.operator], "values": [each.value]}
                for each in parse_fields(text).requirements]  # fmt: skip
    except SelectorError:
        return ()  # the verb says what is wrong with it


def _labels(text: str) -> Sequence[Json]:
    try:
        found = []
        for each in parse_labels(text).requirements:
            operator = _OPERATORS.get(each.operator)
            if operator is None:
                continue  # comparisons have no form in a review; leaving one out asks for more, not for less
            found.append({"key": each.key, "operator": operator,
                          **({"values": list(each.values)} if each.values else {})})  # fmt: skip
        return found
    except SelectorError:
        return ()
