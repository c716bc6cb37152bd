"""Service account tokens bound to a pod: asked for once, renewed when 80 % of their life is over."""

from dataclasses import dataclass

from kaa.base.clock import Clock, parse_seconds
from kaa.base.ids import jitter
from kaa.client.client import Client
from kaa.kinds.views import Pod, ServiceAccount
from kaa.kubelet.mounts.payload import TokenWanted

__all__ = ["Tokens"]

_LIFE_FRACTION = 0.8
_LIFE_SECONDS_MAX = 24 * 3600.0
_RETRY_SECONDS = 30.0


@dataclass(slots=True)
class _Held:
    text: str
    renew_at: float
    expires_at: float


class Tokens:
    """Those of one pod."""

    def __init__(self, client: Client, clock: Clock) -> None:
        self._client, self._clock = client, clock
        self._held: dict[TokenWanted, _Held] = {}

    @property
    def renew_at(self) -> float:
        """When the next one is due (seconds since the epoch); infinite when none is held."""
        return min((each.renew_at for each in self._held.values()), default=float("inf"))

    async def get(self, pod: Pod, wanted: TokenWanted) -> str:
        """A token with enough life left. Raises what the client raises, unless an older one still serves."""
        now = self._clock.now()
        held = self._held.get(wanted)
        if held is not None and now < held.renew_at:
            return held.text
        audience, seconds = wanted
        request = {
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenRequest",
            "spec": {
                "audiences": [audience] if audience else [],
                "expirationSeconds": seconds,
                "boundObjectRef": {"kind": "Pod", "apiVersion": "v1", "name": pod.name, "uid": pod.uid},
            },
        }
        account = pod.spec.service_account_name or "default"
        try:
            answer = await self._client.create(
                ServiceAccount.resource, request, namespace=pod.namespace, name=account, subresource="token"
            )
        except Exception:
            if held is not None and now < held.expires_at:
                held.renew_at = now + _RETRY_SECONDS
                return held.text
            raise
        status = answer["status"]
        expires_at = parse_seconds(status["expirationTimestamp"])
        life = expires_at - now
        # As the original: at 80 % of its life or after a day, whichever comes first; not all pods at once.
        renew_at = now + min(life * _LIFE_FRACTION, _LIFE_SECONDS_MAX) - min(10.0, life * 0.05) * (jitter(1.0, 1.0) - 1)
        self._held[wanted] = _Held(str(status["token"]), renew_at, expires_at)
        return self._held[wanted].text
