"""Making a pod's sandbox and its containers: the effects of a plan's `create_sandbox` and `starts`."""

import os
from collections.abc import Mapping
from pathlib import Path

from kaa.base.log import Logger
from kaa.http.api import CallError
from kaa.kinds.views import Pod, Secret
from kaa.kinds.views.core import Container
from kaa.kubelet.actions import perform
from kaa.kubelet.containers import container_config, hostname_of, sandbox_config
from kaa.kubelet.cri import api
from kaa.kubelet.dns import hosts_file, pod_dns
from kaa.kubelet.env import environment, service_env
from kaa.kubelet.errors import CannotStart
from kaa.kubelet.lifecycle import Start
from kaa.kubelet.memo import Memo
from kaa.kubelet.mounts.binds import container_mounts
from kaa.kubelet.mounts.objects import References
from kaa.kubelet.mounts.volumes import VolumePath, pod_dir
from kaa.kubelet.parts import Parts
from kaa.kubelet.seen import ContainerSeen, PodSeen, SandboxSeen
from kaa.meta.errors import StatusError
from kaa.meta.resource import Resource

__all__ = ["HookFailed", "make_sandbox", "sandbox_config_of", "start_container"]

_log = Logger("kubelet")
_RUNTIME_CLASS = Resource("node.k8s.io", "v1", "runtimeclasses", "RuntimeClass", False, "runtimeclass")


class HookFailed(CannotStart):
    """The postStart hook failed: the container runs and must be killed."""

    def __init__(self, message: str, container: ContainerSeen) -> None:
        super().__init__("PostStartHookError", message, 0.0)
        self.container = container


def sandbox_config_of(parts: Parts, pod: Pod, attempt: int, *, warn: bool = False) -> api.SandboxConfig:
    """What the pod's sandbox is made with; the same for the same pod and attempt."""
    dns, warning = pod_dns(pod, parts.settings, parts.resolver)
    if warning and warn:
        parts.event(pod, "Warning", "MissingClusterDNS" if "ClusterDNS" in warning else "DNSConfigForming", warning)
    return sandbox_config(pod, attempt, parts.settings, dns, parts.cgroups.parent(pod))


async def make_sandbox(parts: Parts, pod: Pod, attempt: int) -> SandboxSeen:
    """Run a sandbox. Raises RuntimeFailed, or OSError from the cgroups; the event is recorded here."""
    try:
        handler = await _runtime_handler(parts, pod)
        if pod.spec.host_users is False and not parts.features.user_namespaces:
            raise api.Unsupported("spec.hostUsers=false: this node's runtime has no user namespaces")
        parts.cgroups.ensure(pod)
        config = sandbox_config_of(parts, pod, attempt, warn=True)
        os.makedirs(config.log_directory, exist_ok=True)
        async with parts.starts:
            id_ = await parts.runtime.run_sandbox(config, handler)
    except (api.RuntimeFailed, OSError) as error:
        parts.event(pod, "Warning", "FailedCreatePodSandBox", f"Failed to create pod sandbox: {error}")
        raise
    parts.owners[id_] = pod.uid
    return SandboxSeen.of(await parts.runtime.sandbox_status(id_))


async def _runtime_handler(parts: Parts, pod: Pod) -> str:
    name = pod.spec.runtime_class_name
    if not name:
        return ""
    try:
        return str((await parts.client.get_json(_RUNTIME_CLASS, name)).get("handler") or "")
    except (StatusError, CallError) as error:
        raise api.RuntimeFailed(f'failed to get RuntimeClass "{name}": {error}') from error


async def start_container(
    parts: Parts,
    pod: Pod,
    start: Start,
    sandbox: SandboxSeen,
    seen: PodSeen,
    memo: Memo,
    references: References,
    volumes: Mapping[str, VolumePath],
) -> None:
    """Make and start the next try at a container, up to and with its postStart hook; `seen` is kept up to date.

    Raises CannotStart with the reason that the container's status shows.
    """
    container, attempt = start.container, start.attempt
    config = sandbox_config_of(parts, pod, sandbox.attempt)
    secrets: list[Secret] = []
    for each in pod.spec.image_pull_secrets:
        secret = references.secret(each.name)
        if secret is not None:
            secrets.append(secret)
    image = await parts.images.ensure(pod, container, secrets, config)
    if start.finished_at:
        memo.backoff(container.name).restarted(parts.clock.now(), start.finished_at)
    made = _configure(parts, pod, container, attempt, sandbox, seen, references, volumes, image)
    async with parts.container_starts:
        try:
            id_ = await parts.runtime.create_container(sandbox.id, made, config)
        except api.RuntimeFailed as error:
            parts.event(pod, "Warning", "Failed", f"Error: {error.message}", container.name)
            raise CannotStart("CreateContainerError", error.message) from error
        parts.owners[id_] = pod.uid
        # Known from here on, so that a cancelled step finds it again.
        seen.put(ContainerSeen(id_, container.name, attempt, sandbox.id, "created", created_at=parts.clock.now()))
        parts.event(pod, "Normal", "Created", "Container created", container.name)
        try:
            await parts.runtime.start_container(id_)
        except api.RuntimeFailed as error:
            parts.event(pod, "Warning", "Failed", f"Error: {error.message}", container.name)
            seen.put(ContainerSeen.of(await parts.runtime.container_status(id_), sandbox.id))
            raise CannotStart("RunContainerError", error.message, 0.0) from error
    parts.event(pod, "Normal", "Started", "Container started", container.name)
    started = ContainerSeen.of(await parts.runtime.container_status(id_), sandbox.id)
    seen.put(started)
    await _post_start(parts, pod, container, started, seen)
    if container.startup_probe is None:
        memo.startup_passed.add(id_)


def _configure(
    parts: Parts,
    pod: Pod,
    container: Container,
    attempt: int,
    sandbox: SandboxSeen,
    seen: PodSeen,
    references: References,
    volumes: Mapping[str, VolumePath],
    image: api.Image,
) -> api.ContainerConfig:
    ips = (parts.settings.node_ip,) if pod.spec.host_network else sandbox.ips
    try:
        found = environment(pod, container, references, service_env(pod, parts.services()), parts.facts(ips))
        for message in found.skipped:
            parts.event(pod, "Warning", "InvalidEnvironmentVariableNames", message)
        mounts = container_mounts(
            pod,
            container,
            attempt,
            volumes,
            found.variables,
            parts.settings,
            parts.features,
            write_hosts(parts, pod, ips),
        )
        lifecycle = container.lifecycle
        if lifecycle is not None and lifecycle.stop_signal and not parts.features.stop_signal:
            message = (
                f"lifecycle.stopSignal {lifecycle.stop_signal} is not supported by this node's runtime: the image's "
                "own stop signal is used"
            )
            parts.event(pod, "Warning", "UnsupportedField", message, container.name)
        return container_config(
            pod,
            container,
            attempt,
            settings=parts.settings,
            image=image,
            image_ref=image.id or container.image,
            environment=found.variables,
            mounts=mounts,
            memory_capacity=parts.memory_capacity,
            target_id=_target_id(container, seen, sandbox.id),
            stop_signal=parts.features.stop_signal,
        )
    except CannotStart as error:
        parts.event(pod, "Warning", "Failed", f"Error: {error.message}", container.name)
        raise
    except OSError as error:
        parts.event(pod, "Warning", "Failed", f"Error: {error}", container.name)
        raise CannotStart("CreateContainerConfigError", str(error)) from error


def _target_id(container: Container, seen: PodSeen, sandbox_id: str) -> str:
    """The container whose processes an ephemeral container sees."""
    name = container.target_container_name
    if not name:
        return ""
    target = seen.latest(name, sandbox_id)
    if target is None or not target.running:
        raise CannotStart("CreateContainerConfigError", f"unable to find target container {name!r}: it is not running")
    return target.id


def write_hosts(parts: Parts, pod: Pod, ips: tuple[str, ...]) -> Path | None:
    """The pod's hosts file, written; None for a pod on the host's network without aliases (it gets the node's)."""
    host, full = hostname_of(pod, parts.settings.node_name, parts.settings.cluster_domain)
    text = hosts_file(pod, ips, host, full, Path("/etc/hosts"))
    path = pod_dir(parts.settings, pod.uid) / "etc-hosts"
    path.parent.mkdir(parents=True, exist_ok=True)
    # In place, not renamed over: containers have this very file mounted.
    if not path.exists() or path.read_text() != text:
        path.write_text(text)
        path.chmod(0o644)
    return path


async def _post_start(parts: Parts, pod: Pod, container: Container, started: ContainerSeen, seen: PodSeen) -> None:
    hook = container.lifecycle.post_start if container.lifecycle is not None else None
    if hook is None:
        return
    if hook.sleep is not None:
        await parts.clock.sleep(hook.sleep.seconds)
        return
    ip = parts.settings.node_ip if pod.spec.host_network else next(iter(seen.sandbox.ips if seen.sandbox else ()), "")
    # No limit of its own, as in the original: deleting the pod ends it. An hour is as good as none.
    outcome = await perform(hook, container, started.id, ip, parts.runtime, 3600.0, any_status=True)
    if not outcome.ok:
        parts.event(pod, "Warning", "FailedPostStartHook", "PostStartHook failed", container.name)
        raise HookFailed(outcome.error or outcome.output, started)
