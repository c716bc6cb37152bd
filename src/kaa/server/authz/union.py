"""Several authorizers in order: the first that decides, decides; one without an opinion leaves its reason behind."""

from collections.abc import Awaitable, Sequence

from kaa.server.app import Authorize, Decision
from kaa.server.request import RequestInfo, User

__all__ = ["Union", "always_allow", "always_deny"]

MASTERS = "system:masters"
_ALLOWED = Decision(True)
_NO_OPINION = Decision(False)
_NOTHING_ALLOWED = Decision(False, "Everything is forbidden.")


def always_allow(user: User, info: RequestInfo) -> Decision:
    """`AlwaysAllow`."""
    return _ALLOWED


def always_deny(user: User, info: RequestInfo) -> Decision:
    """`AlwaysDeny`: no opinion, in fact, so that an authorizer behind it still may allow."""
    return _NOTHING_ALLOWED


class Union:
    """Asks one after another. Members of system:masters may do anything, whatever the authorizers say."""

    def __init__(self, authorizers: Sequence[Authorize]) -> None:
        self.authorizers = tuple(authorizers)

    def __call__(self, user: User, info: RequestInfo) -> Decision | Awaitable[Decision]:
        """The decision; awaited only where a webhook has to be asked."""
        if MASTERS in user.groups:
            return _ALLOWED
        kept: Decision | None = None
        for number, authorizer in enumerate(self.authorizers):
            decision = authorizer(user, info)
            if not isinstance(decision, Decision):
                return self._go_on(user, info, self.authorizers[number + 1 :], decision, kept)
            if decision.allowed or decision.denied:
                return decision
            if decision.reason or decision.error:
                kept = decision if kept is None else _both(kept, decision)
        return kept or _NO_OPINION

    async def _go_on(self, user: User, info: RequestInfo, others: Sequence[Authorize], coming: Awaitable[Decision],
                     kept: Decision | None) -> Decision:  # fmt: skip
        decision = await coming
        for authorizer in (*others, None):
            if decision.allowed or decision.denied:
                return decision
            if decision.reason or decision.error:
                kept = decision if kept is None else _both(kept, decision)
            if authorizer is None:
                break
            answer = authorizer(user, info)
            decision = answer if isinstance(answer, Decision) else await answer
        return kept or _NO_OPINION


def _both(one: Decision, other: Decision) -> Decision:
    reasons = "\n".join(each.reason for each in (one, other) if each.reason)
    return Decision(False, reasons, error=", ".join(each.error for each in (one, other) if each.error))
