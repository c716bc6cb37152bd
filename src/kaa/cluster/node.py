"""The machine's own node: its container runtime, pod network and images; put together, and taken away again."""

import subprocess
from dataclasses import dataclass
from pathlib import Path

from kaa.cluster.cni import PodNetwork
from kaa.cluster.containerd import Containerd, ContainerdSettings
from kaa.cluster.home import ClusterState, Home
from kaa.cluster.image_store import ImageStore
from kaa.cluster.remains import snapshotter_for

__all__ = ["Node", "node_of"]


@dataclass(frozen=True)
class Node:
    """What `kaa up` starts on the machine besides Kaa's own processes."""

    containerd: Containerd
    network: PodNetwork
    root: Path
    state: ClusterState

    @property
    def images(self) -> ImageStore:
        """What its pods can run."""
        return ImageStore(self.containerd.socket, snapshotter_for(self.containerd.dir))

    def ensure_bridge(self) -> None:
        """Make the pods' bridge before there is a pod, for machines that have no other address. Idempotent."""
        bridge, address = self.network.bridge, self.state.bridge_ip
        length = self.state.node_pod_cidr.partition("/")[2]
        if not Path(f"/sys/class/net/{bridge}").exists():
            subprocess.run(["ip", "link", "add", bridge, "type", "bridge"], check=True, timeout=10)
        subprocess.run(["ip", "addr", "replace", f"{address}/{length}", "dev", bridge], check=True, timeout=10)
        subprocess.run(["ip", "link", "set", bridge, "up"], check=True, timeout=10)


def node_of(home: Home, state: ClusterState) -> Node:
    """The node of a cluster; nothing is started. Its paths are short, whatever KAA_HOME is: sockets are below."""
    root = home.short(state) / "node"
    network = PodNetwork(state.id, [state.node_pod_cidr], root / "cni", root / "ipam")
    containerd = Containerd(ContainerdSettings(root / "c", root / "cni", state.cgroup_root))
    return Node(containerd, network, root, state)
