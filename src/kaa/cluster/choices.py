"""What a new cluster chooses: its id, ports nobody uses, ranges nobody uses, the node's address."""

import ipaddress
import re
import socket
import struct
from collections.abc import Iterable
from pathlib import Path

from kaa.cluster.home import ClusterState, Home, new_id, other_clusters
from kaa.cluster.settings import UpOptions

__all__ = ["NoChoice", "choose_state", "free_port", "used_networks"]

_POD_RANGES = [f"10.{n}.0.0/16" for n in (*range(244, 255), *range(200, 244))]
_SERVICE_RANGES = [f"10.{n}.0.0/16" for n in range(96, 128)]
_PORT_TRIES = 200


class NoChoice(ValueError):
    """What was asked for can't be had; the message says why."""


def free_port(wanted: int, taken: Iterable[int] = ()) -> int:
    """`wanted`, or the next port on which nobody listens and which no other cluster has claimed."""
    claimed = set(taken)
    for port in range(wanted, min(65536, wanted + _PORT_TRIES)):
        if port in claimed:
            continue
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("0.0.0.0", port))
                return port
            except OSError:
                continue
    raise NoChoice(f"no port is free from {wanted} to {wanted + _PORT_TRIES - 1}")


def used_networks() -> list[ipaddress.IPv4Network]:
    """What the machine has routes to, default routes left out."""
    found = []
    for line in Path("/proc/net/route").read_text().splitlines()[1:]:
        words = line.split()
        to, mask = (socket.inet_ntoa(struct.pack("<L", int(words[n], 16))) for n in (1, 7))
        network = ipaddress.IPv4Network((to, mask), strict=False)
        if network.prefixlen:
            found.append(network)
    return found


def _range(wanted: str, candidates: list[str], used: list[ipaddress.IPv4Network], what: str) -> str:
    if wanted:
        try:
            network = ipaddress.ip_network(wanted)
        except ValueError as error:
            raise NoChoice(f"{wanted!r} is not a range of {what} addresses: write it like 10.96.0.0/16") from error
        if network.version != 4 or network.prefixlen > 24:
            raise NoChoice(f"the range of {what} addresses must be IPv4 and a /24 or larger, not {wanted}")
        if clash := [each for each in used if each.overlaps(network)]:
            raise NoChoice(f"{wanted} overlaps {clash[0]}, which this machine or another of its clusters uses")
        return str(network)
    for candidate in candidates:
        if not any(each.overlaps(ipaddress.IPv4Network(candidate)) for each in used):
            return candidate
    raise NoChoice(f"every range Kaa would take for {what} addresses is in use: name one")


def choose_state(home: Home, options: UpOptions) -> ClusterState:
    """The choices of a new cluster. Raises NoChoice."""
    if options.simulated < 0:
        raise NoChoice("--simulated takes the number of nodes")
    others = other_clusters(home)
    name = options.node_name or re.sub(r"[^a-z0-9.-]", "-", socket.gethostname().lower()).strip("-.") or "node"
    used = used_networks() if not options.simulated else []
    for other in others:
        if other.containers:
            used += [ipaddress.IPv4Network(other.service_cidr), ipaddress.IPv4Network(other.pod_cidr)]
    service = _range(options.service_cluster_ip_range, _SERVICE_RANGES, used, "service")
    used.append(ipaddress.IPv4Network(service))
    return ClusterState(
        id=new_id(),
        node_name=name,
        service_cidr=service,
        pod_cidr=_range(options.cluster_cidr, _POD_RANGES, used, "pod"),
        containers=not options.simulated,
        simulated_nodes=options.simulated,
        proxy_mode=options.proxy_mode,
        secure_port=options.secure_port or 6443,
    )


def settle_ports(state: ClusterState, home: Home, *, running: Iterable[str], exact: int = 0) -> bool:
    """Move ports that somebody else has taken meanwhile; True when one was. Those of running parts are left alone."""
    alive = set(running)
    taken = {port for other in other_clusters(home) for port in (other.secure_port, other.kubelet_port, other.dns_port)}
    before = (state.secure_port, state.kubelet_port, state.dns_port, state.node_ip)
    if "server" not in alive:
        wanted = exact or state.secure_port
        state.secure_port = free_port(wanted, () if exact else taken)
        if exact and state.secure_port != exact:
            raise NoChoice(f"port {exact} is taken: free it, or let Kaa choose one")
    if state.containers and "agent" not in alive:
        state.kubelet_port = free_port(state.kubelet_port, {*taken, state.secure_port})
        state.dns_port = free_port(state.dns_port, {*taken, state.secure_port, state.kubelet_port})
    return before != (state.secure_port, state.kubelet_port, state.dns_port, state.node_ip)


def choose_address(state: ClusterState) -> str:
    """The node's address: the machine's own, or, where it has none but loopback, that of the pods' bridge."""
    if not state.containers:
        return "127.0.0.1"
    from kaa.network.addresses import node_addresses

    addresses = [each for each in node_addresses() if ":" not in each]
    if not addresses or addresses[0].startswith("127."):
        return state.bridge_ip
    # The one it had stays as long as the machine has it: the cluster's objects name it.
    return state.node_ip if state.node_ip in addresses else addresses[0]
