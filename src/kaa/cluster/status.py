"""`kaa status`: what runs, and how it does."""

from dataclasses import dataclass

from kaa.cluster.daemons import COMPONENTS, Daemon, pss_bytes, uptime_seconds
from kaa.cluster.home import ClusterState, Home

__all__ = ["ComponentStatus", "components"]


@dataclass(frozen=True)
class ComponentStatus:
    """One process."""

    name: str
    pid: int | None
    uptime_seconds: float = 0.0
    pss_bytes: int = 0
    expected: bool = True
    """It should be running."""


def components(home: Home, state: ClusterState) -> list[ComponentStatus]:
    """Every process of the cluster, those that do not run included."""
    pids = {name: Daemon(home, name).running() for name in COMPONENTS}
    wanted = {"server", "controllers"}
    if state.containers:
        from kaa.cluster.node import node_of

        wanted |= {"agent", "containerd"}
        pids["containerd"] = node_of(home, state).containerd.running()
    if state.simulated_nodes:
        wanted.add("simulated")
    return [
        ComponentStatus(name, pid, uptime_seconds(pid) if pid else 0.0, pss_bytes(pid) if pid else 0, name in wanted)
        for name, pid in pids.items()
        if pid or name in wanted
    ]
