"""One pod's volumes: made before its first container, kept current while it runs, taken away after its end."""

import asyncio
import os
import shutil
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kaa.base.clock import Clock
from kaa.base.log import Logger
from kaa.http.api import CallError
from kaa.kinds.views import Pod
from kaa.kinds.views.core import Container, Volume
from kaa.kubelet.amounts import limit_of, whole
from kaa.kubelet.downward import PodFacts
from kaa.kubelet.env import Sources
from kaa.kubelet.errors import VolumeFailed
from kaa.kubelet.mounts import kernel
from kaa.kubelet.mounts.atomic import write_atomically
from kaa.kubelet.mounts.payload import files_of, tokens_of
from kaa.kubelet.mounts.tokens import Tokens
from kaa.kubelet.settings import Settings
from kaa.meta.errors import StatusError

__all__ = ["PodVolumes", "VolumePath", "pod_dir", "remove_pod_dir"]

Json = dict[str, Any]
_log = Logger("kubelet")
_HELD_KINDS = ("config_map", "secret", "projected", "downward_api")
_LATER = {
    "persistent_volume_claim": "persistentVolumeClaim",
    "ephemeral": "ephemeral",
    "csi": "csi",
    "nfs": "nfs",
    "iscsi": "iscsi",
    "image": "image",
}
_PLUGIN = {
    "empty_dir": "kubernetes.io~empty-dir",
    "config_map": "kubernetes.io~configmap",
    "secret": "kubernetes.io~secret",
    "projected": "kubernetes.io~projected",
    "downward_api": "kubernetes.io~downward-api",
}
UNSUPPORTED_RETRY_SECONDS = 300.0


@dataclass(frozen=True, slots=True)
class VolumePath:
    """Where a volume is on the node; `read_only` for those that hold what the API gave."""

    path: Path
    read_only: bool = False
    owned: bool = False
    """Its files are the kubelet's to own (not a hostPath)."""


def pod_dir(settings: Settings, uid: str) -> Path:
    """A pod's own directory."""
    return settings.pods_dir / uid


class PodVolumes:
    """The volumes of one pod, by name. Called by the pod's worker only, one call at a time."""

    def __init__(self, settings: Settings, tokens: Tokens, clock: Clock) -> None:
        self._settings, self._tokens, self._clock = settings, tokens, clock
        self.paths: dict[str, VolumePath] = {}

    @property
    def renew_at(self) -> float:
        """When `setup` must be called again although nothing has changed."""
        return self._tokens.renew_at

    async def setup(self, pod: Pod, sources: Sources, facts: PodFacts) -> bool:
        """Make every volume, or bring it up to date; True if a file changed. Raises VolumeFailed for the first that
        can't be made."""
        changed = False
        for volume in pod.spec.volumes:
            try:
                changed = await self._one(pod, volume, sources, facts) or changed
            except OSError as error:
                text = f"MountVolume.SetUp failed for volume {volume.name!r} : {error}"
                raise VolumeFailed(volume.name, text) from error
        return changed

    async def _one(self, pod: Pod, volume: Volume, sources: Sources, facts: PodFacts) -> bool:
        for attribute, wire in _LATER.items():
            if getattr(volume, attribute) is not None:
                text = f"volume {volume.name!r}: the volume source {wire} is not supported by this node"
                raise VolumeFailed(volume.name, text, UNSUPPORTED_RETRY_SECONDS)
        if volume.host_path is not None:
            if volume.name not in self.paths:
                path = _host_path(volume.name, volume.host_path)
                self.paths[volume.name] = VolumePath(path)
            return False
        group = pod.spec.security_context.get("fsGroup")
        kind = next((each for each in _PLUGIN if getattr(volume, each) is not None), "")
        if not kind:
            text = f"volume {volume.name!r}: its volume source is not supported by this node"
            raise VolumeFailed(volume.name, text, UNSUPPORTED_RETRY_SECONDS)
        directory = pod_dir(self._settings, pod.uid) / "volumes" / _PLUGIN[kind] / volume.name
        secret = kind == "secret" or bool(tokens_of(volume))
        if secret and self._settings.manage_mounts:
            directory = self._settings.memory_dir / pod.uid / volume.name
        if kind == "empty_dir":
            if volume.name not in self.paths:
                self._empty_dir(pod, volume, directory, group)
                self.paths[volume.name] = VolumePath(directory, owned=True)
            return False
        tokens = {}
        for wanted in tokens_of(volume):
            try:
                tokens[wanted] = await self._tokens.get(pod, wanted)
            except (StatusError, CallError, TimeoutError) as error:
                text = f"MountVolume.SetUp failed for volume {volume.name!r} : failed to fetch token: {error}"
                raise VolumeFailed(volume.name, text, 2.0) from error
        try:
            files = files_of(pod, volume, sources, facts, tokens)
        except VolumeFailed as error:
            text = f"MountVolume.SetUp failed for volume {volume.name!r} : {error.message}"
            raise VolumeFailed(volume.name, text, error.retry_seconds) from error
        if volume.name not in self.paths:
            directory.mkdir(mode=0o755, parents=True, exist_ok=True)
            os.chmod(directory, 0o1777 if group is None else 0o3777)
            self.paths[volume.name] = VolumePath(directory, read_only=True, owned=True)
        try:
            return write_atomically(directory, files, self._clock, group=group)
        except ValueError as error:
            raise VolumeFailed(volume.name, str(error), UNSUPPORTED_RETRY_SECONDS) from error

    def _empty_dir(self, pod: Pod, volume: Volume, directory: Path, group: int | None) -> None:
        assert volume.empty_dir is not None
        medium = str(volume.empty_dir.get("medium") or "")
        directory.mkdir(mode=0o777, parents=True, exist_ok=True)
        if medium == "Memory":
            if self._settings.manage_mounts:
                kernel.mount_tmpfs(directory, size_bytes=_memory_size(pod, volume.empty_dir))
        elif medium:
            text = f"volume {volume.name!r}: emptyDir.medium {medium} is not supported by this node"
            raise VolumeFailed(volume.name, text, UNSUPPORTED_RETRY_SECONDS)
        os.chmod(directory, 0o777)
        if group is not None:
            os.chown(directory, -1, group)
            os.chmod(directory, 0o2777)

    def teardown(self) -> None:
        """Forget the paths; `remove_pod_dir` takes the files away."""
        self.paths.clear()


def _memory_size(pod: Pod, source: Json) -> int:
    """A volume in memory is at most as large as its limit, and as all the memory the containers may use."""
    limits = [limit_of(container, "memory") for container in pod.spec.containers]
    total = sum(whole(each) for each in limits if each is not None) if all(each is not None for each in limits) else 0
    stated = whole(source["sizeLimit"]) if source.get("sizeLimit") else 0
    return min(stated, total) if stated and total else stated or total


_TYPES = {
    "Directory": (stat.S_ISDIR, "a directory"),
    "File": (stat.S_ISREG, "a file"),
    "Socket": (stat.S_ISSOCK, "a socket file"),
    "CharDevice": (stat.S_ISCHR, "a character device"),
    "BlockDevice": (stat.S_ISBLK, "a block device"),
}


def _host_path(volume: str, source: Json) -> Path:
    path = Path(str(source.get("path") or ""))
    kind = str(source.get("type") or "")
    if kind == "DirectoryOrCreate":
        if not path.exists():
            path.mkdir(mode=0o755, parents=True)
        kind = "Directory"
    elif kind == "FileOrCreate":
        if not path.exists():
            path.touch(mode=0o644)
        kind = "File"
    if kind:
        if kind not in _TYPES:
            raise VolumeFailed(volume, f"hostPath type {kind!r} is not known", UNSUPPORTED_RETRY_SECONDS)
        check, words = _TYPES[kind]
        try:
            right = check(path.stat().st_mode)
        except FileNotFoundError:
            right = False
        if not right:
            text = f"MountVolume.SetUp failed for volume {volume!r} : hostPath type check failed: {path} is not {words}"
            raise VolumeFailed(volume, text)
    return path


def termination_file(settings: Settings, pod: Pod, container: Container, attempt: int) -> Path:
    """Where a container's termination message is collected."""
    return pod_dir(settings, pod.uid) / "containers" / container.name / f"{attempt}.termination"


async def remove_pod_dir(settings: Settings, uid: str) -> bool:
    """Take away everything of a pod from the node's disk; False when something could not be (it is logged)."""
    directory = pod_dir(settings, uid)

    def work() -> None:
        shutil.rmtree(settings.memory_dir / uid, ignore_errors=True)
        if settings.manage_mounts:
            kernel.unmount_below(directory)
        # Never through a mount: one that is still there would be a host path or another pod's data.
        left = kernel.mounts_below(directory)
        if left:
            raise OSError(16, f"still mounted: {', '.join(left[:3])}")
        shutil.rmtree(directory)

    try:
        await asyncio.to_thread(work)
    except FileNotFoundError:
        return True
    except OSError as error:
        _log.warning("pod directory not removed", uid=uid, error=str(error))
        return False
    return True
