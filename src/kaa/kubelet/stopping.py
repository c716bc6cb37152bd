"""Stopping containers as their pod asks: hook, signal, patience, and sidecars last. Effects of kills and endings."""

import asyncio
from collections.abc import Sequence

from kaa.base.log import Logger
from kaa.kinds.views import Pod
from kaa.kinds.views.core import Container
from kaa.kubelet.actions import perform
from kaa.kubelet.amounts import is_sidecar
from kaa.kubelet.cri import api
from kaa.kubelet.parts import Parts
from kaa.kubelet.seen import ContainerSeen, PodSeen

__all__ = ["spec_of", "stop_all", "stop_one"]

_log = Logger("kubelet")
GRACE_SECONDS_MIN = 2.0
"""What a container is left after its preStop hook has used up the pod's grace."""


def spec_of(pod: Pod, name: str) -> Container | None:
    """A container's spec, of any kind."""
    spec = pod.spec
    return next(
        (c for c in (*spec.containers, *spec.init_containers, *spec.ephemeral_containers) if c.name == name), None
    )


async def stop_one(
    parts: Parts,
    pod: Pod,
    container: ContainerSeen,
    grace: float,
    ip: str,
    message: str = "",
    hooks_begun: set[str] | None = None,
) -> None:
    """PreStop hook, then the stop signal, then SIGKILL when `grace` seconds are over. Raises RuntimeFailed.

    `hooks_begun` are the containers whose hook has begun in an earlier, interrupted try: it isn't run again.
    """
    parts.event(pod, "Normal", "Killing", message or f"Stopping container {container.name}", container.name)
    began = parts.clock.monotonic()
    spec = spec_of(pod, container.name)
    hook = spec.lifecycle.pre_stop if spec is not None and spec.lifecycle is not None else None
    left = grace
    if spec is not None and hook is not None and grace > 0 and container.running:
        if hooks_begun is None or container.id not in hooks_begun:
            if hooks_begun is not None:
                hooks_begun.add(container.id)
            try:
                async with asyncio.timeout(grace):
                    if hook.sleep is not None:
                        await parts.clock.sleep(hook.sleep.seconds)
                    else:
                        outcome = await perform(hook, spec, container.id, ip, parts.runtime, grace, any_status=True)
                        if not outcome.ok:
                            parts.event(pod, "Warning", "FailedPreStopHook", "PreStopHook failed", container.name)
            except TimeoutError:
                parts.event(pod, "Warning", "FailedPreStopHook", "PreStopHook failed", container.name)
        left = max(GRACE_SECONDS_MIN, grace - (parts.clock.monotonic() - began))
    await parts.runtime.stop_container(container.id, left)


async def stop_all(parts: Parts, pod: Pod, seen: PodSeen, grace: float, ip: str, hooks_begun: set[str]) -> None:
    """Every container of the pod within `grace` seconds: app containers together, then the sidecars one by one, the
    last first. Raises the first RuntimeFailed, after all have been tried."""
    began = parts.clock.monotonic()
    sidecar_names = [c.name for c in pod.spec.init_containers if is_sidecar(c)]
    running = seen.running
    first = [c for c in running if c.name not in sidecar_names]
    failures: list[BaseException] = []

    async def stop(containers: Sequence[ContainerSeen]) -> None:
        left = max(GRACE_SECONDS_MIN if grace > 1 else grace, grace - (parts.clock.monotonic() - began))
        done = await asyncio.gather(
            *(stop_one(parts, pod, each, min(left, grace), ip, hooks_begun=hooks_begun) for each in containers),
            return_exceptions=True,
        )
        failures.extend(each for each in done if isinstance(each, BaseException))

    if first:
        await stop(first)
    for name in reversed(sidecar_names):
        tries = [c for c in running if c.name == name]
        if tries:
            await stop(tries)
    for failure in failures:
        if not isinstance(failure, api.NotFound):
            raise failure
