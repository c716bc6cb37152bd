"""The control groups of QoS classes and pods, cgroup v1 and v2: made before a sandbox, removed after it.

`<root>/kubepods` holds guaranteed pods; `besteffort` and `burstable` in it hold the others. Containers' own groups
are made by the runtime below the pod's. Files of /sys are written in place: each takes microseconds.
"""

import errno
import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from kaa.base.log import Logger
from kaa.kinds.views import Pod
from kaa.kubelet.amounts import QUOTA_PERIOD_US, cpu_quota, cpu_shares, pod_sums, qos_class

__all__ = ["Cgroups", "NoCgroups", "weight_of"]

_log = Logger("kubelet")
SYSTEM_ROOT = Path("/sys/fs/cgroup")
_V2_CONTROLLERS = ("cpu", "memory", "pids", "cpuset", "io", "hugetlb")
_NOT_HIERARCHIES = ("unified",)


def weight_of(shares: int) -> int:
    """cgroup v2 cpu.weight (1..10000) of v1 shares (2..262144)."""
    return 1 + ((max(2, shares) - 2) * 9999) // 262142


class NoCgroups:
    """For runtimes without containers: nothing is made, the runtime is told nothing."""

    def parent(self, pod: Pod) -> str:
        """The pod's cgroup as CRI wants it; "" leaves the choice to the runtime."""
        return ""

    def ensure(self, pod: Pod) -> str:
        """Make it; its name."""
        return ""

    def remove(self, uid: str) -> bool:
        """Remove a pod's, whatever its class; True when it is gone."""
        return True

    def update_qos(self, pods: Iterable[Pod]) -> None:
        """Bring the classes' shares up to date with these pods."""

    def pod_uids(self) -> set[str]:
        """Pods that have one."""
        return set()


class Cgroups(NoCgroups):
    """The real ones. `root` is the cgroup (path from the hierarchy's root) below which `kubepods` is made."""

    def __init__(self, root: str = "/", *, system_root: Path = SYSTEM_ROOT) -> None:
        self.base = "/" + root.strip("/") + ("/" if root.strip("/") else "") + "kubepods"
        self.system_root = system_root
        self.unified = (system_root / "cgroup.controllers").exists()
        self.hierarchies = self._find_hierarchies()
        self._burstable_shares = 0

    def setup(self) -> None:
        """Make the classes' groups. Raises OSError when the hierarchy can't be written."""
        for name in (self.base, f"{self.base}/besteffort", f"{self.base}/burstable"):
            self._make(name)
        self._set_shares(f"{self.base}/besteffort", 2)

    def teardown(self) -> None:
        """Remove the classes' groups; they stay when pods are still in them."""
        for name in (f"{self.base}/besteffort", f"{self.base}/burstable", self.base):
            self._remove(name)

    def parent(self, pod: Pod) -> str:
        match pod.status.qos_class or qos_class(pod):
            case "Guaranteed":
                return f"{self.base}/pod{pod.uid}"
            case "Burstable":
                return f"{self.base}/burstable/pod{pod.uid}"
        return f"{self.base}/besteffort/pod{pod.uid}"

    def ensure(self, pod: Pod) -> str:
        name = self.parent(pod)
        self._make(name)
        cpu, cpu_max, _, memory_max = pod_sums(pod)
        self._set_shares(name, cpu_shares(cpu))
        quota = cpu_quota(cpu_max)
        if self.unified:
            self._write("", name, "cpu.max", f"{quota or 'max'} {QUOTA_PERIOD_US}")
            self._write("", name, "memory.max", str(memory_max or "max"))
        else:
            if quota:
                self._write("cpu", name, "cpu.cfs_period_us", str(QUOTA_PERIOD_US))
                self._write("cpu", name, "cpu.cfs_quota_us", str(quota))
            if memory_max:
                self._write("memory", name, "memory.limit_in_bytes", str(memory_max))
        return name

    def remove(self, uid: str) -> bool:
        gone = True
        for parent in (self.base, f"{self.base}/burstable", f"{self.base}/besteffort"):
            gone = self._remove(f"{parent}/pod{uid}") and gone
        return gone

    def update_qos(self, pods: Iterable[Pod]) -> None:
        requested = sum(pod_sums(pod)[0] for pod in pods if (pod.status.qos_class or qos_class(pod)) == "Burstable")
        shares = cpu_shares(requested)
        if shares != self._burstable_shares:
            self._burstable_shares = shares
            self._set_shares(f"{self.base}/burstable", shares)

    def pod_uids(self) -> set[str]:
        found: set[str] = set()
        for controller in self.hierarchies:
            for parent in (self.base, f"{self.base}/burstable", f"{self.base}/besteffort"):
                try:
                    entries = os.listdir(self._path(controller, parent))
                except OSError:
                    continue
                found.update(entry[3:] for entry in entries if entry.startswith("pod"))
        return found

    def _find_hierarchies(self) -> list[str]:
        if self.unified:
            return [""]
        found: dict[str, str] = {}
        for entry in sorted(self.system_root.iterdir()):
            # cpu,cpuacct and the links cpu and cpuacct are one hierarchy: each is used once.
            real = os.path.realpath(entry)
            if os.path.isdir(real) and entry.name not in _NOT_HIERARCHIES and (Path(real) / "tasks").exists():
                kept = found.get(real)
                if kept is None or entry.name == "cpu":
                    found[real] = entry.name
        return list(found.values())

    def _path(self, controller: str, name: str) -> Path:
        return self.system_root / controller / name.lstrip("/")

    def _make(self, name: str) -> None:
        for controller in self.hierarchies:
            path = self._path(controller, name)
            try:
                os.mkdir(path)
            except FileExistsError:
                continue
            except FileNotFoundError:
                os.makedirs(path, exist_ok=True)
            if controller == "cpuset":
                self._inherit_cpuset(path)
            if self.unified:
                self._enable_controllers(path)

    def _enable_controllers(self, path: Path) -> None:
        """cgroup v2: children have a controller only where their parents pass it on."""
        chain = [*reversed(path.parents), path]
        for each in chain:
            if each != self.system_root and self.system_root not in each.parents:
                continue
            for controller in _V2_CONTROLLERS:
                try:
                    (each / "cgroup.subtree_control").write_text(f"+{controller}")
                except OSError:
                    continue

    def _inherit_cpuset(self, path: Path) -> None:
        """cgroup v1: a new cpuset is empty, and nothing can be put into an empty one."""
        missing = [path]
        while not (missing[-1] / "cpuset.cpus").read_text().strip() and missing[-1] != self.system_root / "cpuset":
            missing.append(missing[-1].parent)
        for each in reversed(missing[:-1]):
            for file in ("cpuset.cpus", "cpuset.mems"):
                (each / file).write_text((each.parent / file).read_text())

    def _set_shares(self, name: str, shares: int) -> None:
        if self.unified:
            self._write("", name, "cpu.weight", str(weight_of(shares)))
        else:
            self._write("cpu", name, "cpu.shares", str(shares))

    def _write(self, controller: str, name: str, file: str, value: str) -> None:
        if controller and controller not in self.hierarchies:
            return
        path = self._path(controller, name) / file
        try:
            path.write_text(value)
        except OSError as error:
            _log.warning("cgroup value not set", file=str(path), value=value, error=str(error))

    def _remove(self, name: str) -> bool:
        gone = True
        # Beside v1 hierarchies, runtimes make groups in the hybrid v2 one, which we don't use.
        for controller in self.hierarchies if self.unified else (*self.hierarchies, "unified"):
            path = self._path(controller, name)
            if path.exists():
                gone = _remove_tree(path) and gone
        return gone


def _remove_tree(path: Path) -> bool:
    for child in _children(path):
        _remove_tree(child)
    try:
        os.rmdir(path)
    except FileNotFoundError:
        return True
    except OSError as error:
        if error.errno != errno.EBUSY:
            _log.warning("cgroup not removed", path=str(path), error=str(error))
        return False
    return True


def _children(path: Path) -> list[Path]:
    try:
        return [Path(each.path) for each in os.scandir(path) if each.is_dir(follow_symlinks=False)]
    except OSError:
        return []


def limits_of(pod: Pod) -> Mapping[str, int]:
    """The pod's limits, for its statistics."""
    cpu, cpu_max, memory, memory_max = pod_sums(pod)
    return {"cpu_milli": cpu, "cpu_milli_max": cpu_max, "memory": memory, "memory_max": memory_max}
