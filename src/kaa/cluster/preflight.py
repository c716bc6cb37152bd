"""What a machine lacks to run real containers, in words that say what to do about it. Changes nothing."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from kaa.cluster.cni import BIN_DIRS, PLUGINS, plugin_dir

__all__ = ["Missing", "is_static", "preflight"]

# Command -> (Debian package, what for).
_COMMANDS = {
    "containerd": ("containerd", "runs containers and keeps images"),
    "containerd-shim-runc-v2": ("containerd", "keeps containers running while containerd restarts"),
    "ctr": ("containerd", "loads images without a registry"),
    "runc": ("runc", "starts containers"),
    "ip": ("iproute2", "sets up links and routes"),
    "iptables": ("iptables", "maps host ports to pods"),
    "nft": ("nftables", "carries the rules of Services"),
    "nsenter": ("util-linux", "enters a node's namespaces"),
}
_PROGRAMS = {"busybox": "busybox-static", "catatonit": "catatonit"}
_NAMESPACES = ("net", "mnt", "pid", "uts", "ipc")


@dataclass(frozen=True)
class Missing:
    """One thing that is not there."""

    what: str
    why: str
    mend_command: str
    """A command, or a sentence where no command mends it."""

    def __str__(self) -> str:
        return f"{self.what} is missing: {self.why}. {self.mend_command}"


def is_static(path: Path) -> bool:
    """Whether an ELF program needs no libraries, so that it runs in an image that holds nothing else."""
    try:
        data = path.read_bytes()
    except OSError:
        return False
    if data[:4] != b"\x7fELF" or data[4] != 2:
        return False
    order = "little" if data[5] == 1 else "big"
    offset, size, count = (int.from_bytes(data[a:b], order) for a, b in ((32, 40), (54, 56), (56, 58)))  # type: ignore[arg-type]
    kinds = {int.from_bytes(data[offset + n * size :][:4], order) for n in range(count)}  # type: ignore[arg-type]
    interpreter = 3
    return interpreter not in kinds


def preflight() -> list[Missing]:
    """What is missing on this machine; empty when a cluster with real containers can start."""
    return [*_privilege(), *_programs(), *_kernel()]


def _privilege() -> Iterator[Missing]:
    if os.geteuid() != 0:
        yield Missing("root", "containers, links and cgroups need it", "Run the same command with sudo.")


def _programs() -> Iterator[Missing]:
    for command, (package, why) in _COMMANDS.items():
        if find_program(command) is None:
            yield Missing(command, f"it {why}", f"apt-get install -y {package}")
    if plugin_dir() is None:
        names = ", ".join(PLUGINS)
        yield Missing(
            f"the CNI plugins ({names})",
            f"they give pods their addresses; looked in {', '.join(BIN_DIRS)}",
            "apt-get install -y containernetworking-plugins",
        )
    for program, package in _PROGRAMS.items():
        path = find_program(program)
        if path is None or not is_static(Path(path)):
            yield Missing(
                f"a static {program}", "the built-in images are made from it", f"apt-get install -y {package}"
            )


def find_program(name: str) -> str | None:
    """A program's path, also where a plain user's PATH does not look."""
    return shutil.which(name) or shutil.which(name, path="/usr/local/sbin:/usr/sbin:/sbin:/usr/local/bin:/usr/bin:/bin")


def _kernel() -> Iterator[Missing]:
    for namespace in _NAMESPACES:
        if not Path(f"/proc/self/ns/{namespace}").exists():
            yield Missing(
                f"the {namespace} namespace",
                "pods are made of namespaces",
                "Use a kernel with namespaces (CONFIG_NAMESPACES), or --simulated.",
            )
    if not _has_filesystem("overlay"):
        yield Missing(
            "the overlay file system", "images are layered with it", "modprobe overlay, or use a kernel that has it."
        )
    if not cgroup_controllers() >= {"cpu", "memory", "pids"}:
        yield Missing(
            "the cgroup controllers cpu, memory and pids",
            "pods are limited by them; in a container of your own they must be delegated",
            "mount -t cgroup2 none /sys/fs/cgroup",
        )
    if os.geteuid() == 0 and (nft := find_program("nft")):
        done = subprocess.run([nft, "list", "tables"], capture_output=True, timeout=10, check=False)
        if done.returncode != 0:
            yield Missing(
                "nftables in the kernel",
                f"Services are nftables rules; `nft list tables` says: {done.stderr.decode(errors='replace').strip()}",
                "modprobe nf_tables, or give this container CAP_NET_ADMIN.",
            )


def _has_filesystem(name: str) -> bool:
    def listed() -> bool:
        return name in Path("/proc/filesystems").read_text().split()

    if not listed() and os.geteuid() == 0 and (modprobe := find_program("modprobe")):
        subprocess.run([modprobe, "-q", name], capture_output=True, timeout=10, check=False)
    return listed()


def cgroup_controllers() -> set[str]:
    """The controllers that are mounted, of either version."""
    unified = Path("/sys/fs/cgroup/cgroup.controllers")
    if unified.exists():
        return set(unified.read_text().split())
    found: set[str] = set()
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        _, _, right = line.partition(" - ")
        kind, _, options = right.split(" ", 2)
        if kind == "cgroup":
            found |= set(options.split(","))
    return found
