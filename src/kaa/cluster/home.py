"""Where a cluster keeps what it has, and what it remembers of itself.

Everything is below one directory, `$KAA_HOME` (`~/.kaa`). Two things must be short or be known to the other clusters of
the machine: sockets, and ranges of addresses. So each cluster has a link `/run/kaa/ID` to its home, by which its
sockets are named and by which the others find what it has claimed.
"""

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from kaa.base import ids

__all__ = ["Busy", "ClusterState", "Home", "home_path", "other_clusters"]

RUN_DIR = Path("/run/kaa")
FORMAT = 1


class Busy(RuntimeError):
    """Another `kaa up` or `kaa down` works on the same cluster."""


def home_path() -> Path:
    """`$KAA_HOME`, or `~/.kaa`."""
    return Path(os.environ.get("KAA_HOME") or "~/.kaa").expanduser().absolute()


@dataclass
class ClusterState:
    """What was chosen when the cluster was made; kept in `cluster.json`. Ports may be chosen anew at a later start."""

    id: str
    """Names of links, tables and cgroups derive from it."""
    node_name: str = ""
    node_ip: str = ""
    secure_port: int = 6443
    kubelet_port: int = 10250
    dns_port: int = 10053
    service_cidr: str = "10.96.0.0/16"
    pod_cidr: str = "10.244.0.0/16"
    containers: bool = True
    """There is a node with real containers."""
    simulated_nodes: int = 0
    proxy_mode: str = "auto"
    options: dict[str, Any] = field(default_factory=dict)
    """Settings given to the first `kaa up` that later ones keep."""
    format: int = FORMAT

    @property
    def node_pod_cidr(self) -> str:
        """The range of the machine's own node: the first /24 of the cluster's."""
        import ipaddress

        network = ipaddress.ip_network(self.pod_cidr)
        return str(next(network.subnets(new_prefix=max(24, network.prefixlen))))

    @property
    def bridge_ip(self) -> str:
        """The node's address on its pods' bridge: reachable from pods and from the machine, whatever else there is."""
        import ipaddress

        return str(ipaddress.ip_network(self.node_pod_cidr)[1])

    @property
    def dns_ip(self) -> str:
        """The tenth address of the service range."""
        import ipaddress

        return str(ipaddress.ip_network(self.service_cidr)[10])

    @property
    def api_ip(self) -> str:
        """The first address of the service range."""
        import ipaddress

        return str(ipaddress.ip_network(self.service_cidr)[1])

    @property
    def cgroup_root(self) -> str:
        """Below it are all of its pods."""
        return f"/kaa-{self.id}"

    @property
    def service_link(self) -> str:
        """The link that routes the service range on a machine without a default route."""
        return f"kaa-s-{self.id}"


class Home:
    """The paths of one cluster."""

    def __init__(self, root: Path | None = None) -> None:
        self.root = (root or home_path()).resolve()

    @property
    def state_path(self) -> Path:
        """What the cluster remembers of itself."""
        return self.root / "cluster.json"

    @property
    def kubeconfig(self) -> Path:
        """The administrator's."""
        return self.root / "kubeconfig"

    @property
    def pki(self) -> Path:
        """Certificates and keys, and the kubeconfigs of the cluster's own parts."""
        return self.root / "pki"

    @property
    def data(self) -> Path:
        """The API server's store."""
        return self.root / "data"

    @property
    def store_url(self) -> str:
        """The store as the API server takes it."""
        return f"sqlite:{self.data / 'store.db'}"

    @property
    def logs(self) -> Path:
        """`COMPONENT.log` of each process."""
        return self.root / "logs"

    @property
    def pids(self) -> Path:
        """`COMPONENT.pid` of each process."""
        return self.root / "run"

    @property
    def node(self) -> Path:
        """What the node has: volumes, container logs, addresses given out."""
        return self.root / "node"

    def load(self) -> ClusterState | None:
        """What is remembered; None when there is no cluster. Raises ValueError when a newer Kaa wrote it."""
        try:
            raw = json.loads(self.state_path.read_text())
        except FileNotFoundError:
            return None
        if raw.get("format", 0) > FORMAT:
            raise ValueError(f"{self.state_path} was written by a newer Kaa: use that one")
        known = {each.name for each in fields(ClusterState)}
        return ClusterState(**{key: value for key, value in raw.items() if key in known})

    def save(self, state: ClusterState) -> None:
        """Remember it, all of it or nothing."""
        self.root.mkdir(parents=True, exist_ok=True)
        draft = self.state_path.with_suffix(".new")
        draft.write_text(json.dumps(asdict(state), indent=2) + "\n")
        draft.replace(self.state_path)

    def short(self, state: ClusterState) -> Path:
        """A short name of this home for sockets, known to the machine's other clusters. Needs root; idempotent."""
        link = RUN_DIR / state.id
        RUN_DIR.mkdir(parents=True, exist_ok=True)
        if not link.is_symlink() or Path(os.readlink(link)) != self.root:
            link.unlink(missing_ok=True)
            link.symlink_to(self.root)
        return link

    def forget_short(self, state: ClusterState) -> None:
        """Take the short name away. Idempotent."""
        (RUN_DIR / state.id).unlink(missing_ok=True)
        try:
            RUN_DIR.rmdir()  # only when no other cluster is known
        except OSError:
            pass

    @contextmanager
    def locked(self) -> Iterator[None]:
        """One `up` or `down` at a time. Raises Busy."""
        self.root.mkdir(parents=True, exist_ok=True)
        path = self.root / ".lock"
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise Busy(f"another kaa command works on {self.root}; wait until it has ended") from error
            yield
        finally:
            os.close(descriptor)


def new_id() -> str:
    """Six characters: short enough for the names of links."""
    return ids.suffix(6)


def other_clusters(home: Home) -> list[ClusterState]:
    """What the machine's other clusters have claimed. Unreadable ones are left out."""
    found = []
    for link in sorted(RUN_DIR.glob("*")) if RUN_DIR.is_dir() else ():
        try:
            target = Path(os.readlink(link))
            if target != home.root and (state := Home(target).load()) is not None:
                found.append(state)
        except (OSError, ValueError):
            continue
    return found
