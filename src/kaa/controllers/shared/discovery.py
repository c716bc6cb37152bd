"""What the server serves, read from its discovery documents: the aggregated ones, or the classic ones per group."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from kaa.client.client import Client
from kaa.client.wire import RawReply, read_json, status_error
from kaa.meta.errors import StatusError
from kaa.meta.resource import Resource

__all__ = ["Discovered", "DiscoveryReader", "Served"]

Json = dict[str, Any]

_AGGREGATED = (
    "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json"
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Served:
    """One resource, in the version its group prefers, and what can be done with it."""

    resource: Resource
    verbs: frozenset[str]


@dataclass(frozen=True)
class Discovered:
    """Everything that is served, and the group versions that could not be asked."""

    served: tuple[Served, ...] = ()
    failures: tuple[str, ...] = ()
    #: Every version of every kind: (apiVersion, kind) to its resource.
    kinds: dict[tuple[str, str], Resource] = field(default_factory=dict)

    def kind(self, api_version: str, kind: str) -> Resource | None:
        """The resource of a kind as references name it."""
        return self.kinds.get((api_version, kind))


class DiscoveryReader:
    """Reads discovery again and again; what did not change costs two requests without bodies."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._held: dict[str, tuple[str, Json]] = {}  # by path: ETag and document
        self._last: Discovered | None = None

    async def read(self) -> Discovered:
        """What is served now: the same object as the last time when nothing changed. Raises what requests raise."""
        documents: list[Json] = []
        changed = self._last is None
        for path in ("/api", "/apis"):
            document, is_new = await self._get(path, _AGGREGATED)
            documents.append(document)
            changed = changed or is_new
        classic = any(each.get("kind") != "APIGroupDiscoveryList" for each in documents)
        if not changed and not classic and self._last is not None:
            return self._last
        found = await self._classic(*documents) if classic else _aggregated(documents)
        if self._last is None or found != self._last:
            self._last = found
        return self._last

    async def _get(self, path: str, accept: str = "application/json") -> tuple[Json, bool]:
        tag, document = self._held.get(path, ("", {}))
        headers = [("accept", accept)]
        if tag:
            headers.append(("if-none-match", tag))
        reply: RawReply = await self._client.raw("GET", path, headers=headers)
        if reply.status == 304:
            return document, False
        if reply.status >= 400:
            raise status_error(reply.status, reply.headers, reply.body)
        fresh = read_json(reply.body)
        self._held[path] = (reply.headers.get("etag", ""), fresh)
        return fresh, True

    async def _classic(self, core: Json, groups: Json) -> Discovered:
        wanted = [("", version, number == 0) for number, version in enumerate(core.get("versions") or ())]
        for group in groups.get("groups") or ():
            preferred = (group.get("preferredVersion") or {}).get("version")
            for each in group.get("versions") or ():
                wanted.append((group["name"], each["version"], each["version"] == preferred))
        builder = _Builder()
        for group, version, preferred in wanted:
            path = f"/apis/{group}/{version}" if group else f"/api/{version}"
            try:
                document, _ = await self._get(path)
            except StatusError as error:
                builder.failures.append(f"{path}: {error}")
                continue
            for each in document.get("resources") or ():
                if "/" not in each["name"]:
                    resource = Resource(
                        group,
                        version,
                        each["name"],
                        each["kind"],
                        bool(each["namespaced"]),
                        each.get("singularName", ""),
                    )
                    builder.add(resource, each.get("verbs") or (), preferred)
        return builder.build()


class _Builder:
    def __init__(self) -> None:
        self.served: dict[tuple[str, str], Served] = {}
        self.failures: list[str] = []
        self.kinds: dict[tuple[str, str], Resource] = {}

    def add(self, resource: Resource, verbs: Iterable[str], preferred: bool) -> None:
        self.kinds.setdefault((resource.api_version, resource.kind), resource)
        key = (resource.group, resource.plural)
        if preferred or key not in self.served:
            self.served[key] = Served(resource, frozenset(verbs))

    def build(self) -> Discovered:
        return Discovered(tuple(self.served.values()), tuple(self.failures), self.kinds)


def _aggregated(documents: Iterable[Json]) -> Discovered:
    builder = _Builder()
    for document in documents:
        for item in document.get("items") or ():
            group = (item.get("metadata") or {}).get("name", "")
            for number, version in enumerate(item.get("versions") or ()):
                if version.get("freshness") == "Stale":
                    builder.failures.append(f"{group}/{version['version']}: stale")
                for each in version.get("resources") or ():
                    if not each.get("verbs"):
                        continue
                    kind = (each.get("responseKind") or {}).get("kind", "")
                    namespaced = each.get("scope") == "Namespaced"
                    resource = Resource(
                        group, version["version"], each["resource"], kind, namespaced, each.get("singularResource", "")
                    )
                    builder.add(resource, each["verbs"], number == 0)
    return builder.build()
