"""ResourceQuota: what a write uses is counted before it is done, exactly, also when many write at once.

Writes into one namespace are judged together: whoever comes first takes everyone who waits, one after the other,
against the quotas' `status.used`, and writes each quota once for all of them by compare-and-swap. What is refused
costs nothing; what fails after it was counted is given back. What goes away is found by the quota controller, which
also repairs what a crash between counting and writing has left behind.
"""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from kaa.base.clock import REAL, Clock
from kaa.base.log import Logger
from kaa.kinds.core.usage import (
    Amounts,
    add,
    amounts,
    covers,
    exceeded,
    missing,
    scopes_of,
    shown,
    subtract,
    texts,
    tracks,
    usage_of,
)
from kaa.kinds.spec import KindSpec
from kaa.meta import errors
from kaa.server.admission.api import Attributes, Operation, Plugin
from kaa.server.admission.lookup import ByNamespace, kind
from kaa.server.cache import Cached, encode
from kaa.server.objects import Objects
from kaa.store.api import Put

__all__ = ["ResourceQuota"]

Json = dict[str, Any]
_log = Logger("apiserver")

#: A quota that others keep changing is written again this often.
TRIES = 10
#: Kinds that no quota counts: what is told of others, and what is not kept.
_IGNORED = frozenset({"events", "events.events.k8s.io", "bindings", "componentstatuses"})
#: Kinds whose use can grow by an update.
_GROWING = frozenset({"services", "persistentvolumeclaims"})


@dataclass(frozen=True)
class _Quota:
    """A quota as admission reads it: bounds are those its controller has acknowledged."""

    name: str
    scopes: tuple[Json, ...]
    hard: Amounts


def _compiled(obj: Json) -> _Quota:
    return _Quota(obj["metadata"]["name"], tuple(scopes_of(obj)), amounts((obj.get("status") or {}).get("hard")))


@dataclass(eq=False)
class _Asked:
    """One write that waits to be judged: by the name of each quota it counts for, what it adds there."""

    attributes: Attributes
    added: dict[str, Amounts]
    judged: bool = False
    #: Nobody waits for the answer any more.
    gone: bool = False
    error: errors.StatusError | None = None


@dataclass
class _Line:
    """Those who wait in one namespace."""

    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    waiting: list[_Asked] = field(default_factory=list)
    users: int = 0


class ResourceQuota(Plugin):
    """Counts what is made against the namespace's quotas, and refuses what exceeds them."""

    name = "ResourceQuota"

    def __init__(self, objects: Objects, clock: Clock = REAL) -> None:
        self._objects = objects
        self._clock = clock
        self._spec = kind(objects, "", "v1", "resourcequotas")
        self._quotas = ByNamespace(objects.of(self._spec), _compiled)
        self._lines: dict[str, _Line] = {}

    def handles(self, spec: KindSpec, subresource: str, operation: Operation) -> bool:
        """Creates; and updates of what can grow."""
        qualified = spec.resource.qualified
        if not spec.namespaced or not spec.storable or qualified in _IGNORED:
            return False
        if operation == "CREATE":
            return not subresource
        if operation != "UPDATE":
            return False
        if qualified == "pods":
            return subresource == "resize"
        return qualified in _GROWING and (not subresource or (subresource, qualified) == (
            "status", "persistentvolumeclaims"))  # fmt: skip

    def validate(self, attributes: Attributes) -> Any:
        """Raise 403 where a quota is exceeded, or does not know what the write uses."""
        quotas = self._quotas.of(attributes.namespace)
        if not quotas:
            return None
        added = self._added(attributes, quotas)
        if not added:
            return None
        return self._judge(_Asked(attributes, added))

    def _added(self, attributes: Attributes, quotas: Iterable[_Quota]) -> dict[str, Amounts]:
        qualified, obj, old = attributes.resource, attributes.object or {}, attributes.old
        used: Amounts | None = None
        before: Amounts = {}
        found: dict[str, Amounts] = {}
        for quota in quotas:
            tracked = tracks(qualified, quota.hard)
            if not tracked or not covers(quota.scopes, qualified, obj):
                continue
            if why := missing(qualified, obj, tracked):
                raise attributes.forbidden(f"failed quota: {quota.name}: {why}")
            if used is None:
                now = self._clock.now()
                used = usage_of(qualified, obj, now)
                before = usage_of(qualified, old, now) if old is not None else {}
            # An object that comes into a quota's scope by this update is new to it as a whole.
            counted = old is not None and covers(quota.scopes, qualified, old)
            more = subtract(used, before) if counted else used
            more = {name: more[name] for name in tracked if more.get(name)}
            if more:
                found[quota.name] = more
        return found

    # --- many at once

    async def _judge(self, asked: _Asked) -> None:
        namespace = asked.attributes.namespace
        line = self._lines.setdefault(namespace, _Line())
        line.users += 1
        line.waiting.append(asked)
        try:
            async with line.lock:
                if not asked.judged:
                    await self._judge_all(namespace, line)
        finally:
            asked.gone = True
            if asked in line.waiting:
                line.waiting.remove(asked)
            line.users -= 1
            if not line.users:
                self._lines.pop(namespace, None)
            if asked.judged and asked.error is None and not asked.attributes.dry_run:
                asked.attributes.undo.append(partial(self._give_back, namespace, asked.added))
        if asked.error is not None:
            raise asked.error

    async def _judge_all(self, namespace: str, line: _Line) -> None:
        """Judge everyone who waits, and write what they use together; again where a quota has changed meanwhile."""
        batch, line.waiting = line.waiting, []
        done = False
        try:
            for _ in range(TRIES):
                standing = {entry.name: entry for entry in self._objects.of(self._spec).in_namespace(namespace)}
                quotas = {name: entry.decode() for name, entry in standing.items()}
                used = {name: amounts((each.get("status") or {}).get("used")) for name, each in quotas.items()}
                grown = dict(used)
                for asked in batch:
                    asked.error = _take(asked, quotas, grown)
                changed = [name for name in quotas if grown[name] != used[name]]
                for name in changed:
                    quotas[name].setdefault("status", {})["used"] = texts(grown[name])
                if await self._write([(standing[name], quotas[name]) for name in changed]):
                    done = True
                    break
        finally:
            if not done:  # cancelled, or failed: whoever comes next judges them
                line.waiting = [each for each in batch if not each.gone] + line.waiting
        if not done:
            raise errors.internal(f"the quotas of namespace {namespace} keep changing, please try again")
        for asked in batch:
            asked.judged = True
        for asked in batch:
            if asked.gone and asked.error is None and not asked.attributes.dry_run:
                await self._give_back(namespace, asked.added)

    async def _write(self, changed: list[tuple[Cached, Json]]) -> bool:
        """Write quotas in one commit; False, and nothing is written, when one of them is no longer what it was."""
        if not changed:
            return True
        (entry, quota), *others = changed
        also = [Put(self._spec.storage_prefix + each.key, encode(obj), each.revision) for each, obj in others]
        return await self._objects.replace(self._spec, quota, entry, also=also) is not None

    async def _give_back(self, namespace: str, added: dict[str, Amounts]) -> None:
        """Take off again what was counted for a write that was not done."""
        for name, more in added.items():
            for _ in range(TRIES):
                entry = self._objects.find(self._spec, namespace, name)
                if entry is None:
                    break
                quota = entry.decode()
                used = amounts((quota.get("status") or {}).get("used"))
                quota.setdefault("status", {})["used"] = texts(subtract(used, more))
                try:
                    if await self._objects.replace(self._spec, quota, entry) is not None:
                        break
                except errors.StatusError as error:
                    _log.warning(
                        "a quota counts what was not made, until it is recounted", quota=name, error=str(error)
                    )
                    break


def _take(asked: _Asked, quotas: dict[str, Json], used: dict[str, Amounts]) -> errors.StatusError | None:
    """Count one write: `used` grows by it in every quota, or in none, and what refuses it is returned."""
    attributes, new = asked.attributes, {}
    for name, more in asked.added.items():
        if name not in quotas:
            continue  # gone meanwhile
        hard, have = amounts((quotas[name].get("status") or {}).get("hard")), used[name]
        tracked = tracks(attributes.resource, hard)
        if any(each not in have for each in tracked):
            return attributes.forbidden(f"status unknown for quota: {name}, resources: {','.join(sorted(tracked))}")
        more = {each: amount for each, amount in more.items() if each in hard}
        new[name] = add(have, more)
        if attributes.subresource != "status" and (over := exceeded({each: new[name][each] for each in more}, hard)):
            requested, standing, limited = (shown({each: some[each] for each in over}) for some in (more, have, hard))
            return attributes.forbidden(
                f"exceeded quota: {name}, requested: {requested}, used: {standing}, limited: {limited}"
            )
    if not attributes.dry_run:
        used.update(new)
    return None
