"""Reviews by others: webhooks of authentication and authorization, told where they are by a kubeconfig file.

Questions are bounded in time and in number; an answer that does not come is asked for again, with growing pauses, as
the original does, since a hook that restarts should cost a moment and no refusals.
"""

import base64
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from kaa.base.clock import Clock
from kaa.base.lazy import Lazy
from kaa.base.retry import Backoff
from kaa.http.api import CallError, Header, Reply
from kaa.http.call import Caller, CallLimits
from kaa.http.tls import TlsClient
from kaa.server.configfile import ConfigError

yaml = Lazy("yaml")

__all__ = ["Remote", "RemoteError", "read_kubeconfig"]

Json = dict[str, Any]

ATTEMPTS = 5
REPLY_BYTES_MAX = 1 << 20


class RemoteError(Exception):
    """No usable answer; the text says from whom, and what went wrong."""


@dataclass(frozen=True)
class Place:
    """Whom to ask, and as whom."""

    url: str
    tls: TlsClient
    headers: tuple[Header, ...] = field(default=(), repr=False)


def read_kubeconfig(path: Path) -> Place:
    """The place a kubeconfig's current context leads to. Raises ConfigError."""
    try:
        config = yaml.safe_load(path.read_bytes())
        wanted = _named(config, "contexts", "context", config.get("current-context"))
        cluster = _named(config, "clusters", "cluster", wanted.get("cluster"))
        user = _named(config, "users", "user", wanted.get("user")) if wanted.get("user") else {}
        headers: list[Header] = []
        token = user.get("token")
        if user.get("tokenFile"):
            token = (path.parent / user["tokenFile"]).read_text().strip()
        if token:
            headers.append(("Authorization", f"Bearer {token}"))
        elif user.get("username"):
            pair = base64.b64encode(f"{user['username']}:{user.get('password', '')}".encode()).decode()
            headers.append(("Authorization", f"Basic {pair}"))
        if user.get("exec") or user.get("auth-provider"):
            raise ConfigError(f"{path}: users of exec and auth-provider plugins are not served here: use a certificate "
                              "or a token")  # fmt: skip
        tls = TlsClient(
            ca_pem=_material(cluster, "certificate-authority", path),
            certificate_pem=_material(user, "client-certificate", path),
            key_pem=_material(user, "client-key", path),
            server_name=cluster.get("tls-server-name"),
            insecure=bool(cluster.get("insecure-skip-tls-verify")),
        )
        return Place(str(cluster["server"]), tls, tuple(headers))
    except (OSError, yaml.YAMLError, AttributeError, KeyError, TypeError, ValueError) as error:
        if isinstance(error, ConfigError):
            raise
        raise ConfigError(f"{path}: not a usable kubeconfig: {error!r}") from error


def _named(config: Json, several: str, one: str, name: str | None) -> Json:
    for each in config.get(several) or ():
        if each.get("name") == name:
            found: Json = each[one]
            return found
    raise KeyError(f"{several} has no {name!r}")


def _material(section: Json, name: str, path: Path) -> bytes | None:
    if section.get(f"{name}-data"):
        return base64.b64decode(str(section[f"{name}-data"]))
    if section.get(name):
        return (path.parent / str(section[name])).read_bytes()
    return None


class Remote:
    """Asks one hook. `close` ends its connections."""

    def __init__(self, place: Place, clock: Clock, *, timeout_seconds: float = 30.0, attempts: int = ATTEMPTS) -> None:
        self._place = place
        self._clock = clock
        self._timeout = timeout_seconds
        self._attempts = attempts
        base, _, self._path = place.url.partition("://")[2].partition("/")
        scheme = place.url.partition("://")[0]
        limits = CallLimits(reply_bytes_max=REPLY_BYTES_MAX)
        self._caller = Caller(f"{scheme}://{base}", tls=place.tls, headers=lambda: place.headers, clock=clock,
                              user_agent="kube-apiserver", limits=limits)  # fmt: skip

    async def ask(self, question: Json) -> Json:
        """The answer to a review. Raises RemoteError."""
        body = orjson.dumps(question)
        deadline = self._clock.monotonic() + self._timeout
        pauses = Backoff(first_seconds=0.5, factor=1.5, seconds_max=5.0)
        attempt = 1
        while True:
            left = deadline - self._clock.monotonic()
            try:
                reply = await self._caller.call(
                    "POST", f"/{self._path}", query=f"timeout={self._timeout:g}s", body=body,
                    headers=(("Content-Type", "application/json"), ("Accept", "application/json, */*")),
                    timeout_seconds=max(0.05, left),
                )  # fmt: skip
                if 200 <= reply.status < 300:
                    return self._decoded(reply)
                failure = f"the server answered {reply.status}: {reply.body[:200].decode(errors='replace').strip()}"
                again = reply.status == 429 or reply.status >= 500
            except CallError as error:
                failure, again = str(error), True
            pause = pauses.next_seconds()
            if not again or attempt >= self._attempts or self._clock.monotonic() + pause >= deadline:
                raise RemoteError(f'Post "{self._place.url}": {failure}')
            attempt += 1
            await self._clock.sleep(pause)

    def _decoded(self, reply: Reply) -> Json:
        try:
            answer = orjson.loads(reply.body)
        except ValueError as error:
            raise RemoteError(f'Post "{self._place.url}": the answer is no JSON: {error}') from error
        if not isinstance(answer, dict) or not isinstance(answer.get("status") or {}, dict):
            raise RemoteError(f'Post "{self._place.url}": the answer is no review')
        return answer

    async def close(self) -> None:
        """End the connections."""
        await self._caller.close()
