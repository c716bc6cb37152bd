"""The model as iptables rules. Pure; the same behaviour as `nftables_render`, with what iptables has.

Shared chains (after the cluster's prefix): in nat `PRE` leads to `SERVICES` and, for local addresses, to `NODEPORTS`;
`MARK` asks for masquerading and `POST` does it. In mangle `GUARD` runs before translation. In filter `UNSERVED`
rejects or drops what was not translated though it was for a service. Elements of a service port are rules of the shared
chains: key = match, value = where it leads.
"""

import base64
import hashlib

from kaa.network.backend import ProxySettings
from kaa.network.ledger import Piece
from kaa.network.services import Endpoint, ServicePort, is_ipv6, select

__all__ = ["Names", "base", "hooks", "render"]

REJECT = "REJECT --reject-with icmp-port-unreachable"
REJECT6 = "REJECT --reject-with icmp6-port-unreachable"


class Names:
    """Chain names: at most 28 characters, so that service ports go by a digest of their name."""

    def __init__(self, cluster_id: str) -> None:
        self.prefix = "KAA-" + hashlib.sha256(cluster_id.encode()).hexdigest()[:6].upper()

    def shared(self, word: str) -> str:
        """A chain that all service ports share."""
        return f"{self.prefix}-{word}"

    def own(self, kind: str, name: str) -> str:
        """A chain of one service port; `kind` has three letters."""
        digest = base64.b32encode(hashlib.sha256(name.encode()).digest())[:13].decode()
        return f"{self.prefix}-{kind}-{digest}"


def hooks(names: Names) -> list[tuple[str, str, str]]:
    """(table, built-in chain, rule) that lead from the kernel's chains to ours."""
    new = "-m conntrack --ctstate NEW"
    return [
        ("nat", "PREROUTING", f"-j {names.shared('PRE')}"),
        ("nat", "OUTPUT", f"-j {names.shared('PRE')}"),
        ("nat", "POSTROUTING", f"-j {names.shared('POST')}"),
        ("mangle", "PREROUTING", f"-j {names.shared('GUARD')}"),
        ("mangle", "OUTPUT", f"{new} -j {names.shared('FIREWALL')}"),
        *(("filter", chain, f"{new} -j {names.shared('UNSERVED')}") for chain in ("INPUT", "FORWARD", "OUTPUT")),
    ]


def base(
    names: Names, settings: ProxySettings, *, ipv6: bool, same_bridge: bool = False
) -> dict[str, dict[str, list[str]]]:
    """Table -> shared chain -> its rules that come before those of services."""
    pods = [c for c in settings.pod_cidrs if is_ipv6(c) == ipv6]
    locals_ = [c for c in settings.local_pod_cidrs if is_ipv6(c) == ipv6] if same_bridge else []
    mark = settings.masquerade_mark
    local = "-m addrtype --dst-type LOCAL"
    node_ports = [f"{local} -j {names.shared('NODEPORTS')}"]
    if cidrs := [c for c in settings.node_port_cidrs if is_ipv6(c) == ipv6]:
        node_ports = [f"-d {c} {local} -j {names.shared('NODEPORTS')}" for c in cidrs]
    if ipv6 or not settings.localhost_node_ports:
        node_ports.insert(0, f"-d {'::1/128' if ipv6 else '127.0.0.0/8'} -j RETURN")
    guard = [f"-m conntrack --ctstate NEW -j {names.shared('FIREWALL')}"]
    if not ipv6 and settings.localhost_node_ports:
        guard.insert(0, "! -i lo -d 127.0.0.0/8 -j DROP")
    post = [
        f"-m mark --mark {mark:#x}/{mark:#x} -j {names.shared('MASQ')}",
        f"-m conntrack --ctstate DNAT -j {names.shared('HAIRPIN')}",
        *(f"-s {c} -d {c} -m conntrack --ctstate DNAT -j MASQUERADE --random-fully" for c in locals_),
    ]
    if pods and settings.egress_masquerade:
        post.append(f"-j {names.shared('EGRESS')}")
    outside = [f"-s {c} -j {names.shared('EGRESS-TO')}" for c in pods]
    inside = [f"-d {c} -j RETURN" for c in (*pods, "ff00::/8" if ipv6 else "224.0.0.0/4")]
    reject = REJECT6 if ipv6 else REJECT
    ranges = [c for c in settings.service_cidrs if is_ipv6(c) == ipv6]
    return {
        "nat": {
            names.shared("PRE"): [f"-j {names.shared('SERVICES')}", *node_ports],
            names.shared("SERVICES"): [],
            names.shared("NODEPORTS"): [],
            names.shared("MARK"): [f"-j MARK --set-xmark {mark:#x}/{mark:#x}"],
            # Pods reach cluster IPs as themselves; everybody else through this node.
            names.shared("MARK-OUT"): [*(f"-s {c} -j RETURN" for c in pods), f"-j {names.shared('MARK')}"],
            names.shared("MASQ"): [f"-j MARK --set-xmark 0x0/{mark:#x}", "-j MASQUERADE --random-fully"],
            names.shared("HAIRPIN"): [],
            names.shared("EGRESS"): outside,
            names.shared("EGRESS-TO"): [*inside, "-j MASQUERADE --random-fully"],
            names.shared("POST"): post,
        },
        "mangle": {names.shared("FIREWALL"): [], names.shared("GUARD"): guard},
        "filter": {
            names.shared("REJECTS"): [],
            names.shared("UNSERVED"): [
                f"-j {names.shared('REJECTS')}",
                *(f"-d {c} -m conntrack ! --ctstate DNAT -j {reject}" for c in ranges),
            ],
        },
    }


def render(port: ServicePort, names: Names, settings: ProxySettings, *, ipv6: bool, recent: bool = True) -> Piece:
    """What `port` needs. Chains and elements are keyed `table chain`."""
    piece = Piece()
    cluster_ips = [a for a in port.cluster_ips if is_ipv6(a) == ipv6]
    outside = [a for a in dict.fromkeys((*port.external_ips, *port.load_balancer_ips)) if is_ipv6(a) == ipv6]
    if not cluster_ips and not outside:
        return piece
    chosen = select(port, ipv6=ipv6)
    proto = port.protocol.lower()
    name = f"{port.namespace}/{port.name}/{proto}/{port.port_name}"
    bits = 128 if ipv6 else 32
    pods = [c for c in settings.pod_cidrs if is_ipv6(c) == ipv6]
    services, node_ports = f"nat {names.shared('SERVICES')}", f"nat {names.shared('NODEPORTS')}"
    rejects, firewall = f"filter {names.shared('REJECTS')}", f"mangle {names.shared('FIREWALL')}"
    reject = REJECT6 if ipv6 else REJECT
    unserved = "DROP" if chosen.anywhere else reject

    def at(ip: str) -> str:
        return f"-d {ip}/{bits} -p {proto} -m {proto} --dport {port.port}"

    if port.source_ranges:
        chain = names.own("FWL", name)
        ranges = [r for r in port.source_ranges if is_ipv6(r) == ipv6]
        piece.chains[f"mangle {chain}"] = (*(f"-s {r} -j RETURN" for r in ranges), "-j DROP")
        for ip in port.load_balancer_ips:
            if is_ipv6(ip) == ipv6:
                piece.elements[firewall, at(ip)] = chain

    local = port.internal_local or (port.external_local and port.external)
    near = chosen.external if port.external_local and port.external else chosen.internal if port.internal_local else ()
    pickers: dict[bool, str] = {}
    for is_local, endpoints in ((False, chosen.cluster), (True, near)):
        used = local if is_local else (not port.internal_local or port.external)
        if endpoints and used:
            pickers[is_local] = names.own("LOC" if is_local else "SVC", name)
            _pick(piece, pickers[is_local], name, endpoints, port, names, ipv6=ipv6, recent=recent)

    inside = pickers.get(port.internal_local)
    for ip in cluster_ips:
        if inside:
            entry = names.own("INT", name)
            masquerade = (f"-j {names.shared('MARK-OUT')}",) if pods else ()
            piece.chains[f"nat {entry}"] = (*masquerade, f"-j {inside}")
            piece.elements[services, at(ip)] = entry
        else:
            piece.elements[rejects, at(ip)] = unserved
    if port.external:
        entry = names.own("EXT", name)
        rules = _enter(port, pickers, names, pods)
        if rules:
            piece.chains[f"nat {entry}"] = rules
        places = [(services, rejects, at(ip)) for ip in outside]
        if port.node_port:
            # What was translated has another port by now, so these match only what was not.
            places.append((node_ports, rejects, f"-p {proto} -m {proto} --dport {port.node_port}"))
        for where, refused, match in places:
            if rules:
                piece.elements[where, match] = entry
            if not chosen.external:
                local_match = match if where == services else f"-m addrtype --dst-type LOCAL {match}"
                piece.elements[refused, f"{local_match} -m conntrack ! --ctstate DNAT"] = unserved
    for endpoint in (*chosen.cluster, *chosen.internal, *chosen.external):
        if endpoint.local:
            here = f"-s {endpoint.ip}/{bits} -d {endpoint.ip}/{bits}"
            piece.elements[f"nat {names.shared('HAIRPIN')}", here] = "MASQUERADE --random-fully"
    return piece


def _enter(port: ServicePort, pickers: dict[bool, str], names: Names, pods: list[str]) -> tuple[str, ...]:
    everywhere, near = pickers.get(False), pickers.get(True)
    if not port.external_local:
        return (f"-j {names.shared('MARK')}", f"-j {everywhere}") if everywhere else ()
    rules: list[str] = []
    if everywhere:
        # From inside the cluster an external address is only another name of the service.
        rules += [f"-s {c} -j {everywhere}" for c in pods]
        rules.append(f"-m addrtype --src-type LOCAL -j {names.shared('MARK')}")
        rules.append(f"-m addrtype --src-type LOCAL -j {everywhere}")
    if near:
        rules.append(f"-j {near}")
    return tuple(rules)


def _pick(
    piece: Piece, chain: str, name: str, endpoints: tuple[Endpoint, ...], port: ServicePort, names: Names, *,
    ipv6: bool, recent: bool,
) -> None:  # fmt: skip
    proto, count = port.protocol.lower(), len(endpoints)
    rules: list[str] = []
    targets = []
    for endpoint in endpoints:
        to = f"[{endpoint.ip}]:{endpoint.port}" if ipv6 else f"{endpoint.ip}:{endpoint.port}"
        translate = f"-p {proto} -j DNAT --to-destination {to}"
        if port.affinity_seconds is None or not recent:
            targets.append(translate)
            continue
        own = names.own("SEP", f"{name}/{endpoint.ip}/{endpoint.port}")
        piece.chains[f"nat {own}"] = (f"-m recent --name {own} --set --rsource", translate)
        rules.append(f"-m recent --name {own} --rcheck --seconds {port.affinity_seconds} --reap --rsource -j {own}")
        targets.append(f"-j {own}")
    for i, target in enumerate(targets):
        # Every n-th, then every (n-1)-th of the rest, and so on: each endpoint in its turn.
        turn = f"-m statistic --mode nth --every {count - i} --packet 0 " if i < count - 1 else ""
        rules.append(turn + target)
    piece.chains[f"nat {chain}"] = tuple(rules)
