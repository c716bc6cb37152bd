"""What the machine is: measured once at start, from /proc and /sys."""

import os
import platform
from dataclasses import dataclass, field
from pathlib import Path

__all__ = ["Machine", "measure"]

_GOARCH = {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "arm", "ppc64le": "ppc64le", "s390x": "s390x",
           "riscv64": "riscv64"}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Machine:
    """A node's hardware and system, in the words of `nodeInfo`."""

    cpus: int
    memory_bytes: int
    storage_bytes: int
    swap_bytes: int
    hugepages: dict[str, int] = field(default_factory=dict)
    """By size in the API's words (`2Mi`), in bytes."""
    architecture: str = ""
    kernel: str = ""
    os_image: str = ""
    machine_id: str = ""
    system_uuid: str = ""
    boot_id: str = ""


def measure(directory: Path) -> Machine:
    """Of this machine; `directory` is on the file system whose size is the node's ephemeral storage."""
    memory = _meminfo()
    while not directory.exists():
        directory = directory.parent
    disk = os.statvfs(directory)
    return Machine(
        cpus=len(os.sched_getaffinity(0)),
        memory_bytes=memory.get("MemTotal", 0),
        storage_bytes=disk.f_blocks * disk.f_frsize,
        swap_bytes=memory.get("SwapTotal", 0),
        hugepages=_hugepages(),
        architecture=_GOARCH.get(platform.machine(), platform.machine()),
        kernel=platform.release(),
        os_image=_os_image(),
        machine_id=_read("/etc/machine-id"),
        system_uuid=_read("/sys/class/dmi/id/product_uuid") or _read("/etc/machine-id"),
        boot_id=_read("/proc/sys/kernel/random/boot_id"),
    )


def available_memory() -> int:
    """Bytes that can be given out without swapping."""
    return _meminfo().get("MemAvailable", 0)


def available_disk(directory: Path) -> tuple[int, int]:
    """(free bytes, all bytes) of a directory's file system."""
    while not directory.exists():
        directory = directory.parent
    disk = os.statvfs(directory)
    return disk.f_bavail * disk.f_frsize, disk.f_blocks * disk.f_frsize


def available_pids() -> tuple[int, int]:
    """(process ids that are free, all)."""
    try:
        most = int(_read("/proc/sys/kernel/pid_max") or 0)
        running = int(_read("/proc/loadavg").split()[3].partition("/")[2])
    except (ValueError, IndexError):
        return 1, 1
    return max(0, most - running), most


def _meminfo() -> dict[str, int]:
    found = {}
    for line in _read("/proc/meminfo").splitlines():
        name, _, rest = line.partition(":")
        words = rest.split()
        if words and words[0].isdigit():
            found[name] = int(words[0]) * (1024 if len(words) > 1 else 1)
    return found


def _hugepages() -> dict[str, int]:
    found = {}
    root = Path("/sys/kernel/mm/hugepages")
    for each in root.glob("hugepages-*kB") if root.is_dir() else ():
        kibi = int(each.name.removeprefix("hugepages-").removesuffix("kB"))
        name = f"{kibi // 1048576}Gi" if kibi % 1048576 == 0 else f"{kibi // 1024}Mi" if kibi >= 1024 else f"{kibi}Ki"
        found[name] = int(_read(str(each / "nr_hugepages")) or 0) * kibi * 1024
    return found


def _os_image() -> str:
    for line in _read("/etc/os-release").splitlines():
        if line.startswith("PRETTY_NAME="):
            return line.partition("=")[2].strip('"')
    return "Linux"


def _read(path: str) -> str:
    try:
        return Path(path).read_text().strip()
    except OSError:
        return ""
