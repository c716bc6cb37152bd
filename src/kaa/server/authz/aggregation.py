"""ClusterRoles that gather the rules of others by label: `admin`, `edit`, `view`, and those of users.

Done by the server itself rather than by a controller: a cluster whose controllers are not up yet has its `view`.
"""

import asyncio
from typing import Any

from kaa.base.log import Logger
from kaa.base.tasks import Scope
from kaa.http.api import Request
from kaa.meta import selectors
from kaa.meta.errors import StatusError
from kaa.server.cache import Cached, Change
from kaa.server.call import Call, Parts
from kaa.server.request import RequestInfo, User
from kaa.server.verbs import writes

__all__ = ["Aggregation"]

Json = dict[str, Any]
_log = Logger("apiserver")
SELF = User("system:apiserver", ("system:masters", "system:authenticated"))
GROUP = "rbac.authorization.k8s.io"
AGENT = "clusterrole-aggregation-controller"
#: Roles may gather roles that gather; one that is in a circle is settled long before.
ROUNDS_MAX = 16


class Aggregation:
    """Keeps `rules` of every ClusterRole with an aggregation rule. `start` follows changes; `settle` does it once."""

    def __init__(self, parts: Parts) -> None:
        spec = parts.registry.get(GROUP, "v1", "clusterroles")
        assert spec is not None
        self._parts, self._spec = parts, spec
        self._cache = parts.objects.of(spec)
        self._changed = asyncio.Event()
        self._scope = Scope("clusterrole-aggregation")
        self._cache.on_change(self._noticed)

    def start(self) -> None:
        """Go on until `close`."""
        self._scope.spawn(self._run(), name="run", eternal=True)

    async def close(self) -> None:
        """End it."""
        await self._scope.close()

    def _noticed(self, change: Change) -> None:
        self._changed.set()

    async def _run(self) -> None:
        while True:
            await self._changed.wait()
            try:
                await self.settle()
            except StatusError as error:
                _log.warning("roles could not be gathered; trying again", error=error.message)
                await self._parts.clock.sleep(1.0)
                self._changed.set()

    async def settle(self) -> None:
        """Bring every such role up to date."""
        for _ in range(ROUNDS_MAX):
            self._changed.clear()
            roles = [(entry, entry.decode()) for entry in self._cache.in_namespace("")]
            stale = [(entry, rules) for entry, role in roles if (rules := gathered(entry, role, roles)) is not None]
            if not stale:
                return
            for entry, rules in stale:
                await self._write(entry, rules)

    async def _write(self, entry: Cached, rules: list[Json]) -> None:
        info = RequestInfo("update", "", True, GROUP, "v1", self._spec.resource.plural, "", "", entry.name)
        call = Call(Request("PUT", f"{self._spec.resource.path()}/{entry.name}", headers={"user-agent": AGENT}), info,
                    SELF, self._spec, self._parts)  # fmt: skip

        def change(role: Json) -> Json:
            role["rules"] = rules
            return role

        try:
            await writes.change_object(call, change)
        except StatusError as error:
            if error.code != 404:  # deleted meanwhile
                raise


def gathered(entry: Cached, role: Json, roles: list[tuple[Cached, Json]]) -> list[Json] | None:
    """The rules a role should have; None where it has them, or gathers nothing. `roles` are in the order of names."""
    rule = role.get("aggregationRule")
    if not rule:
        return None
    wanted: list[Json] = []
    for selector in rule.get("clusterRoleSelectors") or ():
        try:
            matches = selectors.from_object(selector).matches
        except selectors.SelectorError:
            continue  # validation does not let it in
        for other, content in roles:
            if other.name != entry.name and matches(other.labels):
                wanted += [each for each in content.get("rules") or () if each not in wanted]
    return None if wanted == (role.get("rules") or []) else wanted
