"""What every service backend offers, and which one a node uses."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Protocol

from kaa.network.netns import Netns
from kaa.network.services import Model, ServicePort

__all__ = ["Backend", "BackendUnsupported", "ProxySettings", "SyncReport", "choose", "udp_endpoints_gone"]

MASQUERADE_MARK = 0x4000


class BackendUnsupported(RuntimeError):
    """The kernel or the tools of this machine can't do it; the message names what is missing and the mend."""


@dataclass(frozen=True, slots=True)
class ProxySettings:
    """How one node serves services."""

    cluster_id: str
    """Names the tables and chains, so that clusters on one machine don't collide."""

    node: str = ""
    """This node's name: endpoints on it are the local ones."""

    pod_cidrs: tuple[str, ...] = ()
    """The pod ranges of the whole cluster. What reaches a service from elsewhere is masqueraded, and what pods send
    elsewhere is too. Empty: nothing is masqueraded but hairpins and node ports."""

    local_pod_cidrs: tuple[str, ...] = ()
    """The pod range of this node. Needed only where pods share a bridge and the kernel lacks br_netfilter: answers
    between two of them would then bypass translation, so such connections are masqueraded."""

    service_cidrs: tuple[str, ...] = ()
    """The ranges that cluster IPs come from: the iptables backend rejects what nobody serves there, and on a node
    without a default route `addresses.ensure_service_route` lets local programs begin to talk to them."""

    netns: Netns = field(default_factory=Netns)
    """Where the rules go."""

    egress_masquerade: bool = True
    """Masquerade what pods send out of the cluster. Off where the CNI plugin does it (`ipMasq`)."""

    localhost_node_ports: bool = True
    """Serve node ports on 127.0.0.1 too. The original does with iptables and refuses with nftables; here both backends
    do, because on a single machine that is where people look. It sets net.ipv4.conf.all.route_localnet, and a guard
    rule drops what comes from a wire for 127.0.0.0/8, so that nothing else becomes reachable. IPv4 only: IPv6 has no
    such routing."""

    node_port_cidrs: tuple[str, ...] = ()
    """Serve node ports only on node addresses in these ranges; empty means on all of them."""

    masquerade_mark: int = MASQUERADE_MARK
    """The bit of the packet mark that asks for masquerading."""


@dataclass(frozen=True, slots=True)
class SyncReport:
    """What one sync did."""

    full: bool
    """The whole table was written, not only a difference."""
    changed: int
    """How many service ports differed."""
    commands: int
    """How many lines went to the kernel's tool; zero means that it was not run."""


class Backend(Protocol):
    """Renders models into the kernel. Not reentrant; its methods block, so call them from one worker thread."""

    name: str

    def sync(self, model: Model) -> SyncReport:
        """Make the kernel serve `model`: all of it at the first call, then only what changed, as one transaction.

        The first call adopts what an earlier process left: the rules are replaced in one step, and connections and
        affinities live on. After an error the kernel still has the earlier rules, and the next call writes everything.
        """

    def intact(self) -> bool:
        """What was written is still there; False makes the next sync write everything."""

    def cleanup(self) -> None:
        """Remove every trace from the kernel. Safe to call when there is none."""


def choose(settings: ProxySettings, wanted: str = "auto") -> Backend:
    """The backend for this machine: `nftables`, `iptables`, or `auto` for the first that works.

    Raises BackendUnsupported, which says for each what is missing.
    """
    from kaa.network.iptables import IptablesBackend
    from kaa.network.nftables import NftablesBackend

    makers: dict[str, Callable[[ProxySettings], Backend]] = {
        "nftables": NftablesBackend.probed,
        "iptables": IptablesBackend.probed,
    }
    if wanted != "auto" and wanted not in makers:
        raise BackendUnsupported(f"no backend is called {wanted!r}: use auto, nftables or iptables")
    problems = []
    for name, make in makers.items():
        if wanted not in ("auto", name):
            continue
        try:
            return make(settings)
        except BackendUnsupported as error:
            problems.append(f"{name}: {error}")
    raise BackendUnsupported("; ".join(problems))


def udp_endpoints_gone(before: ServicePort | None, after: ServicePort | None) -> Iterable[tuple[str, int, str]]:
    """(original address or "", node port or 0, endpoint address) of UDP flows whose endpoint has gone.

    An endpoint address "" stands for flows that were never translated: a service that had no endpoints got some.
    """
    port = before or after
    if port is None or port.protocol != "UDP":
        return
    old = {e.ip for e in before.endpoints if e.ready or (e.serving and e.terminating)} if before else set()
    new = {e.ip for e in after.endpoints if e.ready or (e.serving and e.terminating)} if after else set()
    addresses = (*port.cluster_ips, *port.external_ips, *port.load_balancer_ips)
    gone = sorted(old - new) + ([""] if new and not old else [])
    for endpoint in gone:
        for address in addresses:
            if not endpoint or (":" in endpoint) == (":" in address):
                yield (address, 0, endpoint)
        if port.node_port:
            yield ("", port.node_port, endpoint)
