"""Getting a container's image: by its pull policy, a bounded number of pulls at once, with back-off per image."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from kaa.base import tasks
from kaa.base.clock import Clock
from kaa.kinds.views import Pod, Secret
from kaa.kinds.views.core import Container
from kaa.kubelet import names
from kaa.kubelet.cri import api
from kaa.kubelet.errors import CannotStart
from kaa.kubelet.secretdata import credentials

__all__ = ["Images"]

BACKOFF_FIRST_SECONDS = 10.0
BACKOFF_SECONDS_MAX = 300.0
Event = Callable[[dict[str, object], str, str, str], None]


@dataclass(slots=True)
class _Backoff:
    seconds: float
    until: float
    error: str


class Images:
    """The images of one node. Pulls of the same image are shared."""

    def __init__(
        self, runtime: api.Runtime, event: Event, clock: Clock, *, pulls_max: int = 5, prefer_local: bool = False
    ) -> None:
        self._runtime, self._event, self._clock = runtime, event, clock
        self._slots = asyncio.Semaphore(pulls_max)
        self._prefer_local = prefer_local
        self._backoffs: dict[str, _Backoff] = {}
        self._pulling: dict[tuple[str, tuple[api.Auth, ...]], asyncio.Task[str | api.RuntimeFailed]] = {}

    async def ensure(
        self, pod: Pod, container: Container, secrets: list[Secret], sandbox: api.SandboxConfig | None
    ) -> api.Image:
        """The image, at the node. Raises CannotStart with the reason the container's status shows."""
        image, policy = container.image, container.image_pull_policy or "IfNotPresent"
        ref = names.container_ref(pod, container.name)
        try:
            found = await self._runtime.image_status(image)
        except api.RuntimeFailed as error:
            message = f'Failed to inspect image "{image}": {error.message}'
            self._event(ref, "Warning", "InspectFailed", message)
            raise CannotStart("ImageInspectError", message) from error
        if policy == "Never":
            if found is None:
                message = f'Container image "{image}" is not present with pull policy of Never'
                self._event(ref, "Warning", "ErrImageNeverPull", message)
                raise CannotStart("ErrImageNeverPull", message)
            self._present(ref, image)
            return found
        if found is not None:
            if policy == "IfNotPresent":
                self._present(ref, image)
                return found
            if self._prefer_local and not found.repo_digests:
                message = (
                    f'Container image "{image}" was loaded on this machine and is used as it is: this node treats '
                    "imagePullPolicy Always as IfNotPresent for images that came from no registry"
                )
                self._event(ref, "Normal", "Pulled", message)
                return found
        return await self._pull(pod, container, ref, secrets, sandbox)

    def _present(self, ref: dict[str, object], image: str) -> None:
        message = f'Container image "{image}" already present on machine and can be accessed by the pod'
        self._event(ref, "Normal", "Pulled", message)

    async def _pull(
        self,
        pod: Pod,
        container: Container,
        ref: dict[str, object],
        secrets: list[Secret],
        sandbox: api.SandboxConfig | None,
    ) -> api.Image:
        image = container.image
        now = self._clock.now()
        backoff = self._backoffs.get(image)
        if backoff is not None and now < backoff.until:
            message = f'Back-off pulling image "{image}": ErrImagePull: {backoff.error}'
            self._event(ref, "Normal", "BackOff", f'Back-off pulling image "{image}"')
            raise CannotStart("ImagePullBackOff", message, backoff.until - now)
        auths = tuple(credentials(image, secrets))
        self._event(ref, "Normal", "Pulling", f'Pulling image "{image}"')
        began = self._clock.monotonic()
        waited = 0.0

        async def work() -> str | api.RuntimeFailed:
            # The error is a result: each pod that waits tells it, and one that nobody waits for needs no telling.
            nonlocal waited
            async with self._slots:
                waited = self._clock.monotonic() - began
                try:
                    return await self._try_each(image, auths, sandbox)
                except api.RuntimeFailed as error:
                    return error

        task = self._pulling.get((image, auths))
        if task is None:
            task = tasks.spawn(work(), name=f"pull-{image}")
            self._pulling[image, auths] = task
            task.add_done_callback(lambda _: self._pulling.pop((image, auths), None))
        try:
            # A pod that goes away must not stop a pull that others wait for.
            await asyncio.wait((task,))
            pulled = task.result()
            if isinstance(pulled, api.RuntimeFailed):
                raise pulled
            found = await self._runtime.image_status(image) or await self._runtime.image_status(pulled)
        except api.RuntimeFailed as error:
            seconds = BACKOFF_FIRST_SECONDS
            if backoff is not None and now - backoff.until < 2 * BACKOFF_SECONDS_MAX:
                seconds = min(BACKOFF_SECONDS_MAX, backoff.seconds * 2)
            now = self._clock.now()
            self._backoffs[image] = _Backoff(seconds, now + seconds, error.message)
            self._trim(now)
            self._event(ref, "Warning", "Failed", f'Failed to pull image "{image}": {error.message}')
            self._event(ref, "Warning", "Failed", "Error: ErrImagePull")
            # The status says ErrImagePull for a moment, then ImagePullBackOff: that is what the next try will say.
            raise CannotStart("ErrImagePull", error.message, min(seconds, 1.0)) from error
        self._backoffs.pop(image, None)
        if found is None:
            raise CannotStart("ErrImagePull", f'image "{image}" is not at the node after pulling it')
        whole = self._clock.monotonic() - began
        message = (
            f'Successfully pulled image "{image}" in {_duration(max(0.0, whole - waited))} '
            f"({_duration(whole)} including waiting). Image size: {found.size} bytes."
        )
        self._event(ref, "Normal", "Pulled", message)
        return found

    async def _try_each(self, image: str, auths: tuple[api.Auth, ...], sandbox: api.SandboxConfig | None) -> str:
        last: api.RuntimeFailed | None = None
        for auth in auths or (None,):
            try:
                return await self._runtime.pull_image(image, auth, sandbox)
            except api.RuntimeFailed as error:
                last = error
        assert last is not None
        raise last

    def _trim(self, now: float) -> None:
        if len(self._backoffs) > 1000:
            self._backoffs = {key: each for key, each in self._backoffs.items() if each.until > now}


def _duration(seconds: float) -> str:
    """`1.2s`, `350ms`: as the original prints durations rounded to milliseconds."""
    if seconds < 1:
        return f"{round(seconds * 1000)}ms"
    return f"{seconds:.3f}".rstrip("0").rstrip(".") + "s"
