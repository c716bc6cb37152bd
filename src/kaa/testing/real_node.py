"""A containerd of the tests' own, with a pod network and the built-in images; and the check that nothing of it is left.

```
async with real_node(directory) as node:
    runtime = GrpcRuntime(node.containerd.socket)
```
"""

import itertools
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from kaa.base import ids
from kaa.cluster.builtin_images import builtin_images
from kaa.cluster.cni import PodNetwork
from kaa.cluster.containerd import Containerd, ContainerdSettings
from kaa.cluster.image_store import ImageStore

__all__ = ["RealNode", "leftovers", "make_node", "real_node"]

# Nodes that live at one time, also those of another test session on this machine, must not share a pod network: routes
# to the same addresses by two bridges lead to the wrong pods.
_thirds = itertools.count(ids.choice(range(256)))


@dataclass
class RealNode:
    """What a test has to do with."""

    containerd: Containerd
    network: PodNetwork
    dir: Path

    @property
    def cgroup_root(self) -> str:
        """Where its pods' cgroups belong: give sandboxes a `cgroup_parent` below it."""
        return self.containerd.settings.cgroup_root


def make_node(directory: Path, pod_cidr: str = "") -> RealNode:
    """A node in a directory (a short one: sockets are below it), with a pod network of its own unless one is given.
    The network is written, nothing is started.
    """
    pod_cidr = pod_cidr or f"10.231.{next(_thirds) % 256}.0/24"
    id_ = ids.token(4).lower().replace("_", "x").replace("-", "y")
    network = PodNetwork(id_, [pod_cidr], directory / "cni", directory / "ipam")
    network.write()
    settings = ContainerdSettings(directory / "c", directory / "cni", f"/kaa-{id_}")
    return RealNode(Containerd(settings), network, directory)


@asynccontextmanager
async def real_node(directory: Path, pod_cidr: str = "") -> AsyncIterator[RealNode]:
    """A running one; at the end all of it is gone, or AssertionError says what isn't."""
    node = make_node(directory, pod_cidr)
    try:
        await node.containerd.start()
        await ImageStore(node.containerd.socket).load_images(builtin_images())
        yield node
    finally:
        await node.containerd.stop(delete=True)
        node.network.remove()
    assert leftovers(node) == []


def leftovers(node: RealNode) -> list[str]:
    """What is still on the machine of a node that was deleted: mounts, links, processes, rules, cgroups."""
    found = []
    for argv, word in (
        (["mount"], str(node.dir)),
        (["ip", "link"], node.network.bridge),
        (["ps", "axo", "args"], str(node.containerd.dir)),
        (["iptables", "-t", "nat", "-S"], node.network.name),
        (["find", "/sys/fs/cgroup", "-maxdepth", "2", "-name", node.cgroup_root.strip("/")], node.cgroup_root),
    ):
        output = subprocess.run(argv, capture_output=True, text=True, check=False).stdout
        found += [line for line in output.splitlines() if word in line]
    return found
