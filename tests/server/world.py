"""A real API server on a store of its own, spoken to in this process, and small builders of what is sent to it."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any
from urllib.parse import urlencode

import orjson
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from kaa.base.clock import REAL, Clock
from kaa.http.api import Peer, StreamReply
from kaa.http.inprocess import InProcess
from kaa.server.server import ApiServer, ServerSettings
from kaa.store.api import Store
from kaa.store.memory import MemoryStore

Json = dict[str, Any]

TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"


class StoppedClock(Clock):
    """Real time, plus what a test adds: for what expires."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def now(self) -> float:
        return REAL.now() + self.ahead


@dataclass
class Answered:
    """What came back."""

    code: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Json:
        decoded: Json = orjson.loads(self.body)
        return decoded

    @property
    def message(self) -> str:
        return str(self.json.get("message", ""))

    @property
    def reason(self) -> str:
        return str(self.json.get("reason", ""))

    @property
    def names(self) -> list[str]:
        return [each["metadata"]["name"] for each in self.json["items"]]

    @property
    def revision(self) -> str:
        return str(self.json["metadata"]["resourceVersion"])

    def ok(self, code: int | None = None) -> Json:
        """The object, once the code is as it should be."""
        assert self.code == code if code else self.code < 300, (self.code, self.body[:2000])
        return self.json


@lru_cache
def certificate_of(user: str, groups: tuple[str, ...]) -> bytes:
    """A certificate as the listener would have verified it."""
    key = ec.generate_private_key(ec.SECP256R1())
    attributes = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, each) for each in groups]
    if user:
        attributes.append(x509.NameAttribute(NameOID.COMMON_NAME, user))
    import datetime

    now = datetime.datetime.fromtimestamp(REAL.now(), datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(x509.Name(attributes))
        .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test")]))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now)
        .not_valid_after(now + datetime.timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    return made.public_bytes(serialization.Encoding.DER)


class Watching:
    """An open watch, read event by event."""

    def __init__(self, reply: StreamReply) -> None:
        self.reply = reply
        self._lines = reply.lines()
        self._coming: asyncio.Task[bytes] | None = None

    async def _line(self, seconds: float) -> bytes:
        """The next line; a reader that gives up leaves it to the next one."""
        if self._coming is None:
            self._coming = asyncio.ensure_future(anext(self._lines))
        await asyncio.wait([self._coming], timeout=seconds)
        if not self._coming.done():
            raise TimeoutError
        coming, self._coming = self._coming, None
        return coming.result()

    async def next(self, seconds: float = 5.0) -> Json:
        """The next event."""
        event: Json = orjson.loads(await self._line(seconds))
        return event

    async def take(self, count: int) -> list[tuple[str, str]]:
        """The types and names of the next events."""
        found = []
        for _ in range(count):
            event = await self.next()
            found.append((event["type"], event["object"].get("metadata", {}).get("name", "")))
        return found

    async def quiet(self, seconds: float = 0.05) -> bool:
        """Nothing comes."""
        try:
            await self._line(seconds)
        except TimeoutError:
            return True
        return False

    async def ended(self, seconds: float = 5.0) -> bool:
        """The server has ended it."""
        try:
            await self._line(seconds)
        except StopAsyncIteration:
            return True
        return False

    async def __aenter__(self) -> "Watching":
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._coming is not None:
            self._coming.cancel()
            await asyncio.wait([self._coming])
        await self.reply.aclose()


class Api:
    """One user's way in."""

    def __init__(self, transport: InProcess) -> None:
        self.transport = transport

    async def ask(self, method: str, path: str, body: Any = None, *, media: str = "application/json",
                  accept: str = "", headers: Mapping[str, str] | None = None, **query: Any) -> Answered:  # fmt: skip
        """One request. `body` is JSON, unless it is bytes already."""
        raw = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
        fields = list((headers or {}).items())
        if raw:
            fields.append(("Content-Type", media))
        if accept:
            fields.append(("Accept", accept))
        path, _, given = path.partition("?")
        text = "&".join(each for each in (given, urlencode(query, doseq=True)) if each)
        reply = await self.transport.call(method, path, query=text, headers=fields, body=raw, timeout_seconds=20)
        return Answered(reply.status, reply.headers, reply.body)

    async def get(self, path: str, **more: Any) -> Answered:
        return await self.ask("GET", path, **more)

    async def post(self, path: str, body: Any, **more: Any) -> Answered:
        return await self.ask("POST", path, body, **more)

    async def put(self, path: str, body: Any, **more: Any) -> Answered:
        return await self.ask("PUT", path, body, **more)

    async def delete(self, path: str, body: Any = None, **more: Any) -> Answered:
        return await self.ask("DELETE", path, body, **more)

    async def merge(self, path: str, body: Any, **more: Any) -> Answered:
        return await self.ask("PATCH", path, body, media="application/merge-patch+json", **more)

    async def apply(self, path: str, body: Any, manager: str = "tester", **more: Any) -> Answered:
        return await self.ask("PATCH", path, body, media="application/apply-patch+yaml", fieldManager=manager, **more)

    async def watch(self, path: str, accept: str = "", **query: Any) -> Watching:
        fields = [("Accept", accept)] if accept else []
        reply = await self.transport.stream("GET", path, query=urlencode({"watch": "1", **query}), headers=fields)
        assert reply.status == 200, await reply.read()
        return Watching(reply)


@dataclass
class World:
    """A server, and everybody's ways in."""

    server: ApiServer
    clock: Clock
    opened: list[InProcess] = field(default_factory=list)

    def as_user(self, name: str, *groups: str) -> Api:
        """With a client certificate."""
        return self._open(Peer("test", certificate_of(name, groups)))

    def with_token(self, token: str) -> Api:
        """With a bearer token."""
        return self.with_header("Authorization", f"Bearer {token}")

    def with_header(self, name: str, value: str) -> Api:
        """Without a certificate, with a header on each request."""
        transport = InProcess(self.server.app, Peer("test"), headers=lambda: ((name, value),))
        self.opened.append(transport)
        return Api(transport)

    def nobody(self) -> Api:
        """Without credentials."""
        return self._open(Peer("test"))

    def _open(self, peer: Peer) -> Api:
        transport = InProcess(self.server.app, peer)
        self.opened.append(transport)
        return Api(transport)

    @property
    def admin(self) -> Api:
        """A member of system:masters."""
        return self.as_user("admin", "system:masters")


async def running(store: Store | None = None, clock: Clock | None = None, account: bool = True,
                  **settings: Any) -> AsyncIterator[World]:  # fmt: skip
    """A server that has started; stopped and its store closed afterwards."""
    clock = clock or StoppedClock()
    store = store or MemoryStore(clock)
    server = ApiServer(store, ServerSettings(secure_port=0, **settings), clock=clock)
    await server.start(listen=False)
    world = World(server, clock)
    if account:
        await world.admin.post("/api/v1/namespaces/default/serviceaccounts", obj("ServiceAccount", "default"))
    try:
        yield world
    finally:
        for transport in world.opened:
            await transport.close()
        await server.stop()
        await store.close()


def obj(kind: str, name: str, api_version: str = "v1", /, *, labels: Json | None = None, **rest: Any) -> Json:
    """An object of any kind."""
    metadata: Json = {"name": name} if name else {}
    if labels:
        metadata["labels"] = labels
    metadata.update(rest.pop("metadata", {}))
    return {"kind": kind, "apiVersion": api_version, "metadata": metadata, **rest}


def config_map(name: str, **data: str) -> Json:
    return obj("ConfigMap", name, data=data)


def pod(name: str, *, labels: Json | None = None, metadata: Json | None = None, **spec: Any) -> Json:
    return obj("Pod", name, labels=labels, metadata=metadata or {},
               spec={"containers": [{"name": "c", "image": "busybox"}], **spec})  # fmt: skip


def service(name: str, *ports: Json, **spec: Any) -> Json:
    return obj("Service", name, spec={"ports": list(ports) or [{"port": 80}], **spec})


def deployment(name: str, replicas: int = 1, image: str = "nginx", **spec: Any) -> Json:
    return obj("Deployment", name, "apps/v1", spec={
        "replicas": replicas, "selector": {"matchLabels": {"app": name}},
        "template": {"metadata": {"labels": {"app": name}}, "spec": {"containers": [{"name": "c", "image": image}]}},
        **spec,
    })  # fmt: skip


#: The plugins by which users have their say: off where objects are made at random.
EXTENSIBLE = ("MutatingAdmissionPolicy", "MutatingAdmissionWebhook", "ValidatingAdmissionPolicy",
              "ValidatingAdmissionWebhook")  # fmt: skip

CM = "/api/v1/namespaces/default/configmaps"
PODS = "/api/v1/namespaces/default/pods"
SERVICES = "/api/v1/namespaces/default/services"
DEPLOYMENTS = "/apis/apps/v1/namespaces/default/deployments"
ACCOUNTS = "/api/v1/namespaces/default/serviceaccounts"
