"""Bearer tokens that others know: TokenReviews put to a webhook."""

from typing import Any

from kaa.base.clock import Clock
from kaa.base.log import Logger
from kaa.server.authn.remembered import Found
from kaa.server.remote import Place, Remote, RemoteError
from kaa.server.request import User

__all__ = ["TokenWebhook"]

Json = dict[str, Any]
_log = Logger("apiserver")


class TokenWebhook:
    """Asks the webhook of `--authentication-token-webhook-config-file`."""

    def __init__(self, place: Place, clock: Clock, audiences: tuple[str, ...], ttl_seconds: float) -> None:
        self._remote = Remote(place, clock)
        self._audiences = audiences
        self._ttl = ttl_seconds

    async def __call__(self, token: str) -> Found:
        """Whose token it is, as the hook says."""
        question = {
            "kind": "TokenReview",
            "apiVersion": "authentication.k8s.io/v1",
            "metadata": {"creationTimestamp": None},
            "spec": {"token": token, "audiences": list(self._audiences)},
            "status": {"user": {}},
        }
        try:
            answer = await self._remote.ask(question)
        except RemoteError as error:
            _log.warning("the authentication webhook gave no answer", error=str(error))
            return Found(None, 0.0, str(error))
        status = answer.get("status") or {}
        if status.get("authenticated") is not True:
            return Found(None, self._ttl, str(status.get("error") or ""))
        told = status.get("audiences") or []
        # A hook that says nothing of audiences means the server's own.
        if told and not any(each in self._audiences for each in told):
            return Found(None, self._ttl)
        user = status.get("user") or {}
        if not isinstance(user.get("username"), str):
            return Found(None, 0.0, "the webhook named no user")
        groups = [str(each) for each in user.get("groups") or ()]
        if "system:authenticated" not in groups:
            groups.append("system:authenticated")
        extra = {str(name): tuple(map(str, values)) for name, values in (user.get("extra") or {}).items()}
        return Found(User(user["username"], tuple(groups), str(user.get("uid") or ""), extra), self._ttl)

    async def close(self) -> None:
        """End its connections."""
        await self._remote.close()
