"""What a container sees of the pod's volumes, and the files the kubelet adds: /etc/hosts, the termination message."""

import os
import stat
from collections.abc import Mapping
from pathlib import Path

from kaa.kinds.views import Pod
from kaa.kinds.views.core import Container, VolumeMount
from kaa.kubelet.containers import propagation
from kaa.kubelet.cri import api
from kaa.kubelet.env import expand
from kaa.kubelet.errors import CannotStart, ConfigError
from kaa.kubelet.mounts import kernel
from kaa.kubelet.mounts.volumes import VolumePath, pod_dir, termination_file
from kaa.kubelet.settings import Settings

__all__ = ["container_mounts"]


def container_mounts(
    pod: Pod,
    container: Container,
    attempt: int,
    volumes: Mapping[str, VolumePath],
    environment: Mapping[str, str],
    settings: Settings,
    features: api.Features,
    hosts: Path | None,
) -> list[api.Mount]:
    """The container's mounts, parents before children. `hosts` is the pod's hosts file, None to leave the image's.
    Raises ConfigError or CannotStart."""
    if container.volume_devices:
        raise ConfigError("volumeDevices are not supported by this node", 300.0)
    result: list[api.Mount] = []
    for index, mount in enumerate(container.volume_mounts):
        volume = volumes.get(mount.name)
        if volume is None:
            raise ConfigError(f"cannot find volume {mount.name!r} to mount into container {container.name!r}")
        sub_path = expand_strict(mount.sub_path_expr, environment) if mount.sub_path_expr else mount.sub_path
        path = str(volume.path)
        if sub_path:
            path = _sub_path(pod, container, index, mount, volume, sub_path, settings)
        read_only = mount.read_only or volume.read_only
        recursive = mount.recursive_read_only in ("Enabled", "IfPossible") and features.recursive_read_only_mounts
        if mount.recursive_read_only == "Enabled" and not recursive:
            raise ConfigError(
                f"volumeMounts[{index}].recursiveReadOnly: this node's runtime does not support it", 300.0
            )
        result.append(
            api.Mount(
                container_path=mount.mount_path if mount.mount_path.startswith("/") else "/" + mount.mount_path,
                host_path=path,
                readonly=read_only,
                propagation=propagation(mount.mount_propagation),
                recursive_read_only=recursive and read_only,
            )
        )
    taken = {mount.container_path for mount in result}
    if hosts is not None and "/etc/hosts" not in taken:
        result.append(api.Mount("/etc/hosts", str(hosts)))
    if container.termination_message_path and container.termination_message_path not in taken:
        file = termination_file(settings, pod, container, attempt)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch(mode=0o666)
        # The container may run as anyone.
        os.chmod(file, 0o666)
        result.append(api.Mount(container.termination_message_path, str(file)))
    return result


def expand_strict(text: str, environment: Mapping[str, str]) -> str:
    """As `expand`, for subPathExpr: an unknown name is an error there. Raises ConfigError."""
    result = expand(text, environment)
    if "$(" in result:
        raise ConfigError(f"failed to expand subPathExpr {text!r}: it names a variable that is not set")
    return result


def _sub_path(
    pod: Pod,
    container: Container,
    index: int,
    mount: VolumeMount,
    volume: VolumePath,
    relative: str,
    settings: Settings,
) -> str:
    """A path in the volume that a container can't change into another while it is being mounted: it is opened without
    following links out of the volume, and what was opened is bound to a place of the kubelet's own."""
    if relative.startswith("/") or ".." in relative.split("/"):
        raise ConfigError(f"subPath {relative!r} must be a relative path without '..'")
    try:
        opened = kernel.open_beneath(volume.path, relative, create=not volume.read_only)
    except OSError as error:
        message = f"failed to prepare subPath for volumeMount {mount.name!r} of container {container.name!r}: {error}"
        raise CannotStart("CreateContainerConfigError", message) from error
    try:
        if not settings.manage_mounts:
            return os.path.realpath(volume.path / relative)
        target = pod_dir(settings, pod.uid) / "volume-subpaths" / mount.name / container.name / str(index)
        kernel_clear(target)
        target.parent.mkdir(parents=True, exist_ok=True)
        if stat.S_ISDIR(os.fstat(opened).st_mode):
            target.mkdir()
        else:
            target.touch()
        kernel.bind(f"/proc/self/fd/{opened}", target)
        return str(target)
    except OSError as error:
        message = f"failed to prepare subPath for volumeMount {mount.name!r} of container {container.name!r}: {error}"
        raise CannotStart("CreateContainerConfigError", message) from error
    finally:
        os.close(opened)


def kernel_clear(target: Path) -> None:
    """Undo an earlier try at the same place."""
    if target.exists():
        kernel.unmount(target)
        if target.is_dir():
            target.rmdir()
        else:
            target.unlink()
