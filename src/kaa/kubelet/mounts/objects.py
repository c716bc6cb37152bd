"""The config maps and secrets that pods of this node refer to: each watched by itself, shared by its pods.

A node is allowed to see only objects that its pods name, so each is listed and watched by its name. One that is
immutable isn't watched any longer once it has been read.
"""

import asyncio
from collections.abc import Callable
from typing import Any

from kaa.base.clock import Clock
from kaa.base.log import Logger
from kaa.base.tasks import Scope
from kaa.client.client import Client
from kaa.client.informers import Informer
from kaa.client.reflector import Reflector
from kaa.kinds.views import ConfigMap, Pod, Secret
from kaa.kinds.views.core import Volume

__all__ = ["ObjectCache", "References", "referenced"]

_log = Logger("kubelet")
Key = tuple[type[Any], str, str]
SYNC_SECONDS_MAX = 30.0


class _Followed:
    """One object."""

    def __init__(self, informer: Informer[Any]) -> None:
        self.informer = informer
        self.users: dict[int, Callable[[], None]] = {}
        self.task: asyncio.Task[None] | None = None


class ObjectCache:
    """All of them. One watch per object in use, none for others."""

    def __init__(self, client: Client, clock: Clock, scope: Scope) -> None:
        self._client, self._clock, self._scope = client, clock, scope
        self._followed: dict[Key, _Followed] = {}

    def acquire(self, key: Key, user: int, on_change: Callable[[], None]) -> None:
        """Follow an object on behalf of `user`; idempotent."""
        followed = self._followed.get(key)
        if followed is None:
            view, namespace, name = key
            informer: Informer[Any] = Informer(
                view, namespace=namespace, fields=f"metadata.name={name}", clock=self._clock
            )
            followed = self._followed[key] = _Followed(informer)
            informer.on_change(lambda _old, new: self._changed(key, new))
            reflector: Reflector[Any] = Reflector(
                self._client, view, informer, clock=self._clock, namespace=namespace, fields=f"metadata.name={name}"
            )
            followed.task = self._scope.spawn(reflector.run(), name=f"follow-{view.__name__}-{namespace}/{name}")
        followed.users[user] = on_change

    def release(self, key: Key, user: int) -> None:
        """Stop following on behalf of `user`; the last one ends the watch."""
        followed = self._followed.get(key)
        if followed is not None:
            followed.users.pop(user, None)
            if not followed.users:
                del self._followed[key]
                if followed.task is not None:
                    followed.task.cancel()

    async def ready(self, key: Key) -> None:
        """Until the object has been looked for at least once. Raises TimeoutError after thirty seconds."""
        async with asyncio.timeout(SYNC_SECONDS_MAX):
            await self._followed[key].informer.wait_synced()

    def get(self, key: Key) -> Any:
        """The object, or None."""
        followed = self._followed.get(key)
        return followed.informer.lister.get(key[2], key[1]) if followed else None

    def _changed(self, key: Key, new: Any) -> None:
        followed = self._followed.get(key)
        if followed is None:
            return
        if new is not None and new.immutable and followed.task is not None:
            # It can't change. Not from within the reflector's own call: it is still filling the informer.
            task, followed.task = followed.task, None
            asyncio.get_running_loop().call_later(1.0, task.cancel)
        for on_change in list(followed.users.values()):
            on_change()


class References:
    """Those of one pod; also the `Sources` its environment and volumes are made from."""

    def __init__(self, cache: ObjectCache, on_change: Callable[[], None]) -> None:
        self._cache = cache
        self._on_change = on_change
        self._held: set[Key] = set()
        self._namespace = ""

    async def sync(self, pod: Pod) -> None:
        """Follow what the pod refers to, and nothing else. Raises TimeoutError."""
        wanted = referenced(pod)
        self._namespace = pod.namespace
        for key in self._held - wanted:
            self._cache.release(key, id(self))
        for key in wanted - self._held:
            self._cache.acquire(key, id(self), self._on_change)
        self._held = wanted
        for key in wanted:
            await self._cache.ready(key)

    def config_map(self, name: str) -> ConfigMap | None:
        """See env.Sources."""
        found: ConfigMap | None = self._cache.get((ConfigMap, self._namespace, name))
        return found

    def secret(self, name: str) -> Secret | None:
        """See env.Sources."""
        found: Secret | None = self._cache.get((Secret, self._namespace, name))
        return found

    def close(self) -> None:
        """Follow nothing any more."""
        for key in self._held:
            self._cache.release(key, id(self))
        self._held = set()


def referenced(pod: Pod) -> set[Key]:
    """Every config map and secret the pod names."""
    found: set[Key] = set()

    def add(view: type[Any], name: str) -> None:
        if name:
            found.add((view, pod.namespace, name))

    for each in pod.spec.image_pull_secrets:
        add(Secret, each.name)
    for container in (*pod.spec.init_containers, *pod.spec.containers, *pod.spec.ephemeral_containers):
        for source in container.env_from:
            add(ConfigMap, source.config_map_ref.name if source.config_map_ref else "")
            add(Secret, source.secret_ref.name if source.secret_ref else "")
        for variable in container.env:
            value_from = variable.value_from
            if value_from is not None:
                add(ConfigMap, value_from.config_map_key_ref.name if value_from.config_map_key_ref else "")
                add(Secret, value_from.secret_key_ref.name if value_from.secret_key_ref else "")
    for volume in pod.spec.volumes:
        _of_volume(volume, add)
    return found


def _of_volume(volume: Volume, add: Callable[[type[Any], str], None]) -> None:
    if volume.config_map is not None:
        add(ConfigMap, str(volume.config_map.get("name") or ""))
    if volume.secret is not None:
        add(Secret, str(volume.secret.get("secretName") or ""))
    for source in (volume.projected or {}).get("sources") or ():
        add(ConfigMap, str((source.get("configMap") or {}).get("name") or ""))
        add(Secret, str((source.get("secret") or {}).get("name") or ""))
