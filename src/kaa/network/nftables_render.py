"""The model as nftables text. Pure: each service port becomes one `Piece`, and `base` is what every node has.

How a packet goes, by hook and priority (dstnat is -100):

- `guard`, -110: drops what the source ranges of load balancers forbid, and what comes from a wire for 127.0.0.0/8.
- `nat-prerouting`, `nat-output`, -100: `services` looks the destination up in two verdict maps, by address and port or
  by node port, and goes to the chain of the service port, which rewrites the destination.
- `unserved`, -90: what was not rewritten though it was for a service: rejected where there is no endpoint anywhere,
  dropped where a Local policy leaves none on this node. Here and not in forward, so that it works without a route.
- `nat-postrouting`, 100: masquerades what was marked, hairpins, and what pods send out of the cluster.

Chains per service port: `svc-` picks among all endpoints, `loc-` among those of the node, `ext-` is where external
addresses enter, `fw-` holds source ranges; with affinity each endpoint has an `ep-` chain and an `aff-` set of clients.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from kaa.network.backend import ProxySettings
from kaa.network.ledger import Piece
from kaa.network.services import Endpoint, Selection, ServicePort, is_ipv6, select

__all__ = ["LAYOUT", "STATIC_SETS", "Family", "base", "render"]

TURNS_MAX = 12
"""Up to so many endpoints take turns by one rule each; more by a map. A map is one lookup, but the kernel keeps the
maps of a table in a plain list: ten thousand of them take ten seconds to write, as many rules a quarter of a second."""

LAYOUT = "layout-1"
"""An empty chain of this name says which arrangement of base chains a table has; raise it when `base` changes."""

STATIC_SETS = {
    "service-ips": "map", "service-nodeports": "map", "unserved-ips": "map", "unserved-nodeports": "map",
    "firewall-ips": "map", "cluster-ips": "set", "hairpin": "set", "pod-cidrs": "set",
}  # fmt: skip
"""What every table has, by nft's word for it."""


@dataclass(frozen=True, slots=True)
class Family:
    """The words that differ between IPv4 and IPv6."""

    name: str
    """`ip` or `ip6`: nft's table family and also the header it matches."""

    @property
    def ipv6(self) -> bool:
        """This is IPv6."""
        return self.name == "ip6"

    @property
    def type(self) -> str:
        """nft's type of an address."""
        return "ipv6_addr" if self.ipv6 else "ipv4_addr"

    def mine(self, addresses: Iterable[str]) -> tuple[str, ...]:
        """Those addresses, or CIDRs, that are of this family."""
        return tuple(a for a in addresses if is_ipv6(a) == self.ipv6)

    def target(self, endpoint: Endpoint) -> str:
        """`address:port`."""
        return f"[{endpoint.ip}]:{endpoint.port}" if self.ipv6 else f"{endpoint.ip}:{endpoint.port}"


def base(family: Family, settings: ProxySettings, *, same_bridge: bool = False) -> tuple[list[str], list[str]]:
    """(declarations, rules) that do not depend on services, each without the table's name: `{t}` stands for it.

    `same_bridge` masquerades connections between two pods of this node.
    """
    f, addr = family.name, family.type
    pods = family.mine(settings.pod_cidrs)
    locals_ = family.mine(settings.local_pod_cidrs) if same_bridge else ()
    mark = settings.masquerade_mark
    local_v4 = not family.ipv6
    declare = [
        f"add map {{t}} service-ips {{ type {addr} . inet_proto . inet_service : verdict; }}",
        "add map {t} service-nodeports { type inet_proto . inet_service : verdict; }",
        f"add map {{t}} unserved-ips {{ type {addr} . inet_proto . inet_service : verdict; }}",
        "add map {t} unserved-nodeports { type inet_proto . inet_service : verdict; }",
        f"add map {{t}} firewall-ips {{ type {addr} . inet_proto . inet_service : verdict; }}",
        f"add set {{t}} cluster-ips {{ type {addr}; }}",
        f"add set {{t}} hairpin {{ type {addr} . {addr}; }}",
        f"add set {{t}} pod-cidrs {{ type {addr}; flags interval; auto-merge; }}",
        f"add chain {{t}} {LAYOUT}",
        *(f"add chain {{t}} {name}" for name in ("services", "mark-it", "reject-it", "guard", "unserved")),
        "add chain {t} guard-prerouting { type filter hook prerouting priority -110; }",
        "add chain {t} guard-output { type filter hook output priority -110; }",
        "add chain {t} nat-prerouting { type nat hook prerouting priority -100; }",
        "add chain {t} nat-output { type nat hook output priority -100; }",
        "add chain {t} unserved-prerouting { type filter hook prerouting priority -90; }",
        "add chain {t} unserved-output { type filter hook output priority -90; }",
        "add chain {t} nat-postrouting { type nat hook postrouting priority 100; }",
    ]
    rules: list[str] = []

    def rule(chain: str, text: str) -> None:
        rules.append(f"add rule {{t}} {chain} {text}")

    if pods:
        rules.append(f"add element {{t}} pod-cidrs {{ {', '.join(pods)} }}")
    if local_v4 and settings.localhost_node_ports:
        rule("guard-prerouting", 'iifname != "lo" ip daddr 127.0.0.0/8 drop')
    rule("guard-prerouting", "ct state new jump guard")
    rule("guard-output", "ct state new jump guard")
    rule("guard", f"{f} daddr . meta l4proto . th dport vmap @firewall-ips")
    rule("nat-prerouting", "jump services")
    rule("nat-output", "jump services")
    if pods:
        rule("services", f"{f} daddr @cluster-ips {f} saddr != @pod-cidrs jump mark-it")
    rule("services", f"{f} daddr . meta l4proto . th dport vmap @service-ips")
    where = _node_port_match(family, settings)
    rule("services", f"{where} meta l4proto . th dport vmap @service-nodeports")
    rule("mark-it", f"meta mark set meta mark or {mark:#x}")
    rule("unserved-prerouting", "ct state new jump unserved")
    rule("unserved-output", "ct state new jump unserved")
    rule("unserved", f"{f} daddr . meta l4proto . th dport vmap @unserved-ips")
    rule("unserved", f"{f} daddr @cluster-ips goto reject-it")
    rule("unserved", f"{where} meta l4proto . th dport vmap @unserved-nodeports")
    rule("reject-it", "reject")
    keep = 0xFFFFFFFF ^ mark
    rule(
        "nat-postrouting",
        f"meta mark and {mark:#x} == {mark:#x} meta mark set meta mark and {keep:#x} masquerade fully-random",
    )
    rule("nat-postrouting", f"ct status dnat {f} saddr . {f} daddr @hairpin masquerade fully-random")
    for cidr in locals_:
        rule("nat-postrouting", f"ct status dnat {f} saddr {cidr} {f} daddr {cidr} masquerade fully-random")
    if pods and settings.egress_masquerade:
        multicast = "ff00::/8" if family.ipv6 else "224.0.0.0/4"
        rule(
            "nat-postrouting",
            f"{f} saddr @pod-cidrs {f} daddr != @pod-cidrs {f} daddr != {multicast} masquerade fully-random",
        )
    return declare, rules


def _node_port_match(family: Family, settings: ProxySettings) -> str:
    match = "fib daddr type local"
    if cidrs := family.mine(settings.node_port_cidrs):
        match += f" {family.name} daddr {{ {', '.join(cidrs)} }}"
    if family.ipv6:
        return match + " ip6 daddr != ::1"
    return match if settings.localhost_node_ports else match + " ip daddr != 127.0.0.0/8"


def render(port: ServicePort, family: Family, settings: ProxySettings) -> Piece:
    """What `port` needs in the table of `family`."""
    piece = Piece()
    f = family.name
    cluster_ips = family.mine(port.cluster_ips)
    outside = dict.fromkeys(family.mine((*port.external_ips, *port.load_balancer_ips)))
    if not cluster_ips and not outside:
        return piece
    chosen = select(port, ipv6=family.ipv6)
    name = f"{port.namespace}/{port.name}/{port.protocol.lower()}/{port.port_name}"
    proto = port.protocol.lower()
    for ip in cluster_ips:
        piece.elements["cluster-ips", ip] = ""
    if ranges := family.mine(port.source_ranges):
        piece.chains[f"fw-{name}"] = (f"{f} saddr != {{ {', '.join(ranges)} }} drop",)
        for ip in family.mine(port.load_balancer_ips):
            piece.elements["firewall-ips", f"{ip} . {proto} . {port.port}"] = f"goto fw-{name}"
    elif port.source_ranges:
        # Ranges of the other family only: nobody of this family may come in.
        for ip in family.mine(port.load_balancer_ips):
            piece.elements["firewall-ips", f"{ip} . {proto} . {port.port}"] = "drop"
    unserved = "drop" if chosen.anywhere else "goto reject-it"
    local = port.internal_local or (port.external_local and port.external)
    pickers: dict[bool, str] = {}
    for is_local, endpoints in ((False, chosen.cluster), (True, _local_of(port, chosen))):
        used = local if is_local else (not port.internal_local or port.external)
        if endpoints and used:
            pickers[is_local] = f"{'loc' if is_local else 'svc'}-{name}"
            _pick(piece, pickers[is_local], name, endpoints, port, family)

    inside = pickers.get(port.internal_local)
    for ip in cluster_ips:
        at = f"{ip} . {proto} . {port.port}"
        if inside:
            piece.elements["service-ips", at] = f"goto {inside}"
        else:
            piece.elements["unserved-ips", at] = unserved
    if port.external:
        entry = _enter(piece, name, port, pickers, family, settings)
        for ip in outside:
            at = f"{ip} . {proto} . {port.port}"
            if entry:
                piece.elements["service-ips", at] = f"goto {entry}"
            if not chosen.external:
                piece.elements["unserved-ips", at] = unserved
        if port.node_port:
            at = f"{proto} . {port.node_port}"
            if entry:
                piece.elements["service-nodeports", at] = f"goto {entry}"
            if not chosen.external:
                piece.elements["unserved-nodeports", at] = unserved
    for endpoint in (*chosen.cluster, *chosen.internal, *chosen.external):
        if endpoint.local:
            piece.elements["hairpin", f"{endpoint.ip} . {endpoint.ip}"] = ""
    return piece


def _local_of(port: ServicePort, chosen: Selection) -> tuple[Endpoint, ...]:
    if port.external_local and port.external:
        return chosen.external
    return chosen.internal if port.internal_local else ()


def _enter(
    piece: Piece, name: str, port: ServicePort, pickers: dict[bool, str], family: Family, settings: ProxySettings
) -> str | None:
    """The chain where external addresses enter, or None when nothing of it leads anywhere."""
    everywhere, local = pickers.get(False), pickers.get(True)
    rules: list[str] = []
    if not port.external_local:
        if everywhere:
            rules = ["jump mark-it", f"goto {everywhere}"]
    else:
        if everywhere:
            # From inside the cluster an external address is only another name of the service.
            if family.mine(settings.pod_cidrs):
                rules.append(f"{family.name} saddr @pod-cidrs goto {everywhere}")
            rules += ["fib saddr type local jump mark-it", f"fib saddr type local goto {everywhere}"]
        if local:
            rules.append(f"goto {local}")
    if not rules:
        return None
    piece.chains[f"ext-{name}"] = tuple(rules)
    return f"ext-{name}"


def _pick(
    piece: Piece, chain: str, name: str, endpoints: tuple[Endpoint, ...], port: ServicePort, family: Family
) -> None:
    """Fill `chain` so that it rewrites to one of the endpoints, each in its turn."""
    f, proto, count = family.name, port.protocol.lower(), len(endpoints)
    to = f"meta l4proto {proto} dnat"
    if port.affinity_seconds is None:
        if count <= TURNS_MAX:
            targets = [f"{to} to {family.target(e)}" for e in endpoints]
            piece.chains[chain] = _turns(targets)
            return
        table = ", ".join(f"{i} : {e.ip} . {e.port}" for i, e in enumerate(endpoints))
        piece.chains[chain] = (f"{to} {f} addr . port to numgen inc mod {count} map {{ {table} }}",)
        return
    rules: list[str] = []
    targets = []
    for endpoint in endpoints:
        tail = f"{name}/{endpoint.ip.replace(':', '.')}/{endpoint.port}"
        # The time is part of the name, because a set can't change its own.
        clients = f"aff-{port.affinity_seconds}-{tail}"
        piece.sets[clients] = f"{{ type {family.type}; flags dynamic,timeout; timeout {port.affinity_seconds}s; }}"
        piece.chains[f"ep-{tail}"] = (f"update @{clients} {{ {f} saddr }}", f"{to} to {family.target(endpoint)}")
        rules.append(f"{f} saddr @{clients} goto ep-{tail}")
        targets.append(f"goto ep-{tail}")
    if count <= TURNS_MAX:
        rules += _turns(targets)
    else:
        table = ", ".join(f"{i} : {target}" for i, target in enumerate(targets))
        rules.append(f"numgen inc mod {count} vmap {{ {table} }}")
    piece.chains[chain] = tuple(rules)


def _turns(targets: list[str]) -> tuple[str, ...]:
    # Every n-th connection, then every (n-1)-th of the rest, and so on.
    count = len(targets)
    return (*(f"numgen inc mod {count - i} 0 {t}" for i, t in enumerate(targets[:-1])), targets[-1])
