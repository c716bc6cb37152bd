"""Security contexts in the words of CRI. Pure. What the pod states holds unless the container states otherwise."""

from pathlib import Path
from typing import Any

from kaa.kinds.views import Pod
from kaa.kinds.views.core import Container
from kaa.kubelet import names
from kaa.kubelet.cri import api
from kaa.kubelet.errors import ConfigError

__all__ = ["container_security", "sandbox_security", "sysctls"]

Json = dict[str, Any]

MASKED_PATHS = (
    "/proc/asound", "/proc/acpi", "/proc/kcore", "/proc/keys", "/proc/latency_stats", "/proc/timer_list",
    "/proc/timer_stats", "/proc/sched_debug", "/proc/scsi", "/sys/firmware", "/sys/devices/virtual/powercap",
)  # fmt: skip
READONLY_PATHS = ("/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger")


def namespaces(pod: Pod, target_id: str = "") -> api.NamespaceOptions:
    """Whose namespaces a container of the pod uses; `target_id` for an ephemeral container that joins another."""
    spec = pod.spec
    pid = api.NamespaceMode.CONTAINER
    if target_id:
        pid = api.NamespaceMode.TARGET
    elif spec.host_pid:
        pid = api.NamespaceMode.NODE
    elif spec.share_process_namespace:
        pid = api.NamespaceMode.POD
    return api.NamespaceOptions(
        network=api.NamespaceMode.NODE if spec.host_network else api.NamespaceMode.POD,
        pid=pid,
        ipc=api.NamespaceMode.NODE if spec.host_ipc else api.NamespaceMode.POD,
        target_id=target_id,
    )


def sandbox_security(pod: Pod, seccomp_dir: Path) -> api.SandboxSecurity:
    """The sandbox's own. It is privileged when one of its containers is."""
    context = pod.spec.security_context
    everyone = (*pod.spec.init_containers, *pod.spec.containers)
    privileged = any((c.security_context or {}).get("privileged") for c in everyone)
    groups = list(context.get("supplementalGroups") or ())
    if context.get("fsGroup") is not None:
        groups.append(context["fsGroup"])
    return api.SandboxSecurity(
        namespaces=namespaces(pod),
        run_as_user=context.get("runAsUser"),
        run_as_group=context.get("runAsGroup") if context.get("runAsUser") is not None else None,
        supplemental_groups=tuple(groups),
        privileged=privileged,
        seccomp=api.SecurityProfile(api.ProfileType.RUNTIME_DEFAULT)
        if not privileged
        else api.SecurityProfile(api.ProfileType.UNCONFINED),
    )


def sysctls(pod: Pod) -> dict[str, str]:
    """Kernel parameters of the pod's namespaces."""
    found = pod.spec.security_context.get("sysctls") or ()
    return {str(each["name"]).replace("/", "."): str(each["value"]) for each in found}


def container_security(
    pod: Pod, container: Container, image: api.Image | None, seccomp_dir: Path, target_id: str = ""
) -> api.ContainerSecurity:
    """One container's. Raises ConfigError when it must not run as root and would, or may."""
    own: Json = container.security_context or {}
    shared = pod.spec.security_context
    if own.get("windowsOptions") or shared.get("windowsOptions"):
        raise ConfigError("securityContext.windowsOptions is not supported: this is a Linux node")

    def effective(key: str) -> Any:
        value = own.get(key)
        return shared.get(key) if value is None else value

    user = effective("runAsUser")
    group = effective("runAsGroup")
    username = ""
    if user is None and image is not None:
        if image.uid is None and image.username:
            username = image.username
        else:
            user = image.uid or 0
    if effective("runAsNonRoot"):
        _verify_non_root(pod, container, effective("runAsUser"), image)
    privileged = bool(own.get("privileged"))
    caps = own.get("capabilities") or {}
    capabilities = api.Capabilities(
        add=tuple(str(each) for each in caps.get("add") or ()), drop=tuple(str(each) for each in caps.get("drop") or ())
    )
    allow = own.get("allowPrivilegeEscalation")
    groups = list(shared.get("supplementalGroups") or ())
    if shared.get("fsGroup") is not None:
        groups.append(shared["fsGroup"])
    unmasked = effective("procMount") == "Unmasked" or privileged
    return api.ContainerSecurity(
        capabilities=capabilities,
        privileged=privileged,
        namespaces=namespaces(pod, target_id),
        run_as_user=user,
        run_as_username=username,
        # CRI refuses a group without a user.
        run_as_group=group if user is not None or username else None,
        readonly_rootfs=bool(own.get("readOnlyRootFilesystem")),
        supplemental_groups=tuple(groups),
        no_new_privs=allow is False,
        masked_paths=() if unmasked else MASKED_PATHS,
        readonly_paths=() if unmasked else READONLY_PATHS,
        seccomp=_seccomp(effective("seccompProfile"), privileged, seccomp_dir),
        apparmor=_apparmor(effective("appArmorProfile"), privileged),
        supplemental_groups_policy=1 if shared.get("supplementalGroupsPolicy") == "Strict" else 0,
    )


def _verify_non_root(pod: Pod, container: Container, user: int | None, image: api.Image | None) -> None:
    where = f'(pod: "{names.pod_text(pod)}", container: {container.name})'
    if user is not None:
        if user == 0:
            raise ConfigError(f"container's runAsUser breaks non-root policy {where}")
        return
    if image is None:
        return
    if image.uid == 0 or (image.uid is None and not image.username):
        raise ConfigError(f"container has runAsNonRoot and image will run as root {where}")
    if image.uid is None and image.username:
        raise ConfigError(
            f"container has runAsNonRoot and image has non-numeric user ({image.username}), cannot verify user is "
            f"non-root {where}"
        )


def _seccomp(profile: Json | None, privileged: bool, directory: Path) -> api.SecurityProfile:
    kind = (profile or {}).get("type", "")
    if privileged or kind in ("", "Unconfined"):
        return api.SecurityProfile(api.ProfileType.UNCONFINED)
    if kind == "RuntimeDefault":
        return api.SecurityProfile(api.ProfileType.RUNTIME_DEFAULT)
    if kind == "Localhost":
        path = directory / str((profile or {}).get("localhostProfile") or "")
        if not path.is_file():
            raise ConfigError(f"cannot load seccomp profile {str(path)!r}: no such file on the node")
        return api.SecurityProfile(api.ProfileType.LOCALHOST, str(path))
    raise ConfigError(f"seccompProfile type {kind!r} is not supported")


def _apparmor(profile: Json | None, privileged: bool) -> api.SecurityProfile | None:
    kind = (profile or {}).get("type", "")
    if not kind or privileged:
        return None
    if kind == "RuntimeDefault":
        return api.SecurityProfile(api.ProfileType.RUNTIME_DEFAULT)
    if kind == "Unconfined":
        return api.SecurityProfile(api.ProfileType.UNCONFINED)
    return api.SecurityProfile(api.ProfileType.LOCALHOST, str((profile or {}).get("localhostProfile") or ""))
