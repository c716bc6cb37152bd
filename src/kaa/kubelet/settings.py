"""What can be set about a kubelet."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

__all__ = ["Settings"]


@dataclass(frozen=True)
class Settings:
    """One node's kubelet. Paths are the node's own: several nodes of one kernel must not share any of them."""

    node_name: str
    """The name of the Node object, and `spec.nodeName` of the pods to run."""

    node_ip: str = "127.0.0.1"
    """The node's address: InternalIP, `status.hostIP`, and where host-network pods are reached."""

    root_dir: Path = Path("/var/lib/kubelet")
    """Volumes, hosts files and termination messages of pods, under `pods/<uid>/`."""

    log_dir: Path = Path("/var/log/pods")
    """Container logs: `<namespace>_<name>_<uid>/<container>/<restart>.log`."""

    cgroup_root: str = "/"
    """The cgroup below which `kubepods` is made, in each hierarchy. Give each node of one kernel its own."""

    manage_cgroups: bool = True
    """Make QoS and pod cgroups with their limits. Off for runtimes without containers (simulated)."""

    manage_mounts: bool = True
    """Make tmpfs and bind mounts (secrets, emptyDir in memory, subPath). Off where the kubelet isn't root: they become
    plain directories then."""

    capacity: Mapping[str, str] = field(default_factory=dict)
    """Declared capacity by resource name; what is not named here is measured."""

    reserved: Mapping[str, str] = field(default_factory=dict)
    """Taken off capacity to give allocatable: `{"cpu": "100m", "memory": "200Mi"}`."""

    pods_max: int = 110
    """How many pods the node takes."""

    cluster_dns: Sequence[str] = ()
    """Name servers of pods with dnsPolicy ClusterFirst; empty: such pods get the node's, with a warning event."""

    cluster_domain: str = "cluster.local"
    """The domain of services."""

    resolv_conf: Path = Path("/etc/resolv.conf")
    """The node's resolver configuration, for dnsPolicy Default."""

    labels: Mapping[str, str] = field(default_factory=dict)
    """More labels of the Node object."""

    taints: Sequence[Mapping[str, str]] = ()
    """Taints the node registers with."""

    provider_id: str = ""
    """`spec.providerID` of the Node object."""

    pod_cidr: str = ""
    """Registered as `spec.podCIDR` when the node is made with a known range; empty: a controller gives one."""

    port: int = 10250
    """Where the node's HTTPS endpoint is said to listen."""

    prefer_local_images: bool = False
    """Treat imagePullPolicy Always as IfNotPresent for images that were loaded on the node and never pulled from a
    registry (they have no repository digest). Clusters that `kaa up` makes set it: their images are made locally."""

    pulls_max: int = 5
    """Image pulls at one time."""

    starts_max: int = 8
    """Sandboxes made at one time, and containers made at one time; others wait their turn. More than a few make the
    runtime slower for all on small machines."""

    status_writes_max: int = 8
    """Status patches in flight at one time."""

    relist_seconds: float = 1.0
    """How often the runtime is listed at rest when it has no events; with events, every `relist_seconds_max`."""

    relist_seconds_max: float = 60.0
    """How often the runtime is listed when it has events."""

    log_bytes_max: int = 10 * 1024 * 1024
    """A container's log is rotated beyond this (containerLogMaxSize)."""

    log_files_max: int = 5
    """Log files kept per container, the current one included (containerLogMaxFiles)."""

    lease_seconds: int = 40
    """leaseDurationSeconds of the node's lease; it is renewed every quarter of it."""

    status_report_seconds: float = 300.0
    """The Node's status is written at least this often, and when it changes."""

    register_node: bool = True
    """Make the Node object if it isn't there."""

    seccomp_dir: Path | None = None
    """Localhost seccomp profiles; None: `<root_dir>/seccomp`."""

    @property
    def memory_dir(self) -> Path:
        """Where files are that must not reach a disk: one file system in memory for all pods, since each mount makes
        the start of every later container a little slower."""
        return self.root_dir / "memory"

    @property
    def pods_dir(self) -> Path:
        """Where pods' directories are."""
        return self.root_dir / "pods"
