"""A pod in the words of CRI: what to pass to run_sandbox and create_container. Pure."""

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path

from kaa.kinds.views import Pod
from kaa.kinds.views.core import Container
from kaa.kubelet import names, security
from kaa.kubelet.amounts import (
    QUOTA_PERIOD_US,
    cpu_quota,
    cpu_shares,
    limit_of,
    milli,
    oom_score_adj,
    pod_sums,
    request_of,
    whole,
)
from kaa.kubelet.cri import api
from kaa.kubelet.env import expand
from kaa.kubelet.settings import Settings

__all__ = ["container_config", "container_resources", "hostname_of", "sandbox_config"]

_PROPAGATION = {
    "HostToContainer": api.Propagation.HOST_TO_CONTAINER,
    "Bidirectional": api.Propagation.BIDIRECTIONAL,
}
HOSTNAME_LENGTH_MAX = 63


def hostname_of(pod: Pod, node_name: str, cluster_domain: str) -> tuple[str, str]:
    """(host name, fully qualified name or "") of a pod."""
    if pod.spec.host_network:
        return node_name, ""
    host = (pod.spec.hostname or pod.name)[:HOSTNAME_LENGTH_MAX].rstrip("-.")
    full = f"{host}.{pod.spec.subdomain}.{pod.namespace}.svc.{cluster_domain}" if pod.spec.subdomain else ""
    if pod.spec.set_hostname_as_fqdn and full:
        return full, full
    return host, full


def sandbox_config(
    pod: Pod, attempt: int, settings: Settings, dns: api.DNSConfig | None, cgroup_parent: str
) -> api.SandboxConfig:
    """The pod's shell. `cgroup_parent` is the pod's cgroup, "" to let the runtime choose."""
    spec = pod.spec
    host, _ = hostname_of(pod, settings.node_name, settings.cluster_domain)
    cpu, cpu_max, _, memory_max = pod_sums(pod)
    ports = tuple(
        api.PortMapping(
            container_port=port.container_port,
            host_port=port.host_port,
            protocol=api.PortProtocol[port.protocol or "TCP"],
            host_ip=port.host_ip,
        )
        for container in (*spec.init_containers, *spec.containers)
        for port in container.ports
        if port.host_port and not spec.host_network
    )
    return api.SandboxConfig(
        metadata=api.SandboxMetadata(pod.name, pod.uid, pod.namespace, attempt),
        hostname="" if spec.host_network else host,
        log_directory=str(log_directory(pod, settings)),
        dns=dns,
        port_mappings=ports,
        labels={**pod.labels, **names.pod_labels(pod)},
        annotations={**pod.annotations, "kubernetes.io/config.source": "api"},
        linux=api.LinuxSandbox(
            cgroup_parent=cgroup_parent,
            security=security.sandbox_security(pod, seccomp_dir(settings)),
            sysctls=security.sysctls(pod),
            resources=api.ContainerResources(
                cpu_period=QUOTA_PERIOD_US if cpu_max else 0,
                cpu_quota=cpu_quota(cpu_max),
                cpu_shares=cpu_shares(cpu),
                memory_limit=memory_max,
            ),
        ),
    )


def container_config(
    pod: Pod,
    container: Container,
    attempt: int,
    *,
    settings: Settings,
    image: api.Image | None,
    image_ref: str,
    environment: Mapping[str, str],
    mounts: Sequence[api.Mount],
    memory_capacity: int,
    target_id: str = "",
    stop_signal: bool = False,
) -> api.ContainerConfig:
    """One container to be made. `environment` is complete; command and args are expanded with it."""
    lifecycle = container.lifecycle
    return api.ContainerConfig(
        metadata=api.ContainerMetadata(container.name, attempt),
        image=api.ImageSpec(image_ref, user_specified_image=container.image),
        command=tuple(expand(each, environment) for each in container.command),
        args=tuple(expand(each, environment) for each in container.args),
        working_dir=container.working_dir,
        envs=tuple(environment.items()),
        mounts=tuple(mounts),
        labels={**names.pod_labels(pod), names.CONTAINER_NAME: container.name},
        annotations={
            names.HASH: names.container_hash(container),
            names.RESTART_COUNT: str(attempt),
            names.TERMINATION_PATH: container.termination_message_path,
            names.TERMINATION_POLICY: container.termination_message_policy,
            names.GRACE: str(pod.spec.termination_grace_period_seconds),
        },
        log_path=f"{container.name}/{attempt}.log",
        stdin=container.stdin,
        stdin_once=container.stdin_once,
        tty=container.tty,
        linux=api.LinuxContainer(
            resources=container_resources(pod, container, memory_capacity),
            security=security.container_security(pod, container, image, seccomp_dir(settings), target_id),
        ),
        stop_signal=(lifecycle.stop_signal or "") if lifecycle and stop_signal else "",
    )


def container_resources(pod: Pod, container: Container, memory_capacity: int) -> api.ContainerResources:
    """Requests and limits as cgroup values."""
    request = milli(request_of(container, "cpu") or 0)
    limit = milli(limit_of(container, "cpu") or 0)
    hugepages = tuple(
        api.HugepageLimit(_page_size(name), whole(amount))
        for name, amount in container.resources.limits.items()
        if name.startswith("hugepages-")
    )
    return api.ContainerResources(
        cpu_period=QUOTA_PERIOD_US if limit else 0,
        cpu_quota=cpu_quota(limit),
        cpu_shares=cpu_shares(request),
        memory_limit=whole(limit_of(container, "memory") or 0),
        oom_score_adj=oom_score_adj(pod, container, memory_capacity),
        hugepages=hugepages,
    )


def _page_size(name: str) -> str:
    """`hugepages-2Mi` -> `2MB`."""
    return name.removeprefix("hugepages-").replace("i", "B")


def propagation(value: str | None) -> api.Propagation:
    """Of a volume mount."""
    return _PROPAGATION.get(value or "", api.Propagation.PRIVATE)


def log_directory(pod: Pod, settings: Settings) -> Path:
    """Where the pod's logs are."""
    return settings.log_dir / names.log_directory_name(pod.namespace, pod.name, pod.uid)


def seccomp_dir(settings: Settings) -> Path:
    """Where Localhost profiles are."""
    return settings.seccomp_dir or settings.root_dir / "seccomp"


def command_text(command: Sequence[str]) -> str:
    """A command as people type it, for messages."""
    return shlex.join(command)
