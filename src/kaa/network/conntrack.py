"""Forgetting connections that point to endpoints that are gone. Only UDP needs it: a flow has no end of its own."""

from collections.abc import Iterable

from kaa.base.log import Logger
from kaa.network.backend import udp_endpoints_gone
from kaa.network.netns import CommandFailed, Netns, ToolMissing
from kaa.network.services import Model, PortKey

__all__ = ["bridge_filtered", "flush_changed"]

_log = Logger("proxy")
FLOWS_MAX = 5000
"""More flows than this in one go are left to their timeout, and that is logged."""


def flush_changed(netns: Netns, before: Model, after: Model, changed: Iterable[PortKey]) -> int:
    """Delete the UDP flows whose endpoint went between the two models; how many patterns were deleted by."""
    patterns: list[str] = []
    for key in changed:
        for address, node_port, endpoint in udp_endpoints_gone(before.ports.get(key), after.ports.get(key)):
            family = "ipv6" if ":" in (address or endpoint) else "ipv4"
            to = f" --dst-nat {endpoint}" if endpoint else ""
            if address:
                patterns.append(f"-D -p udp -f {family} --orig-dst {address}{to}")
            else:
                patterns.append(f"-D -p udp -f {family} --orig-port-dst {node_port}{to}")
    if not patterns:
        return 0
    if len(patterns) > FLOWS_MAX:
        _log.warning("too many UDP flows to forget at once; the rest end by timeout", flows=len(patterns))
        patterns = patterns[:FLOWS_MAX]
    try:
        netns.run(["conntrack", "-R", "-"], stdin="\n".join(patterns) + "\n")
    except (ToolMissing, CommandFailed) as error:
        _log.warning("UDP flows to endpoints that are gone stay until they time out", error=str(error))
    return len(patterns)


def bridge_filtered(netns: Netns) -> bool:
    """Packets between ports of one bridge pass the rules too (br_netfilter); switched on where it is off."""
    name = "net/bridge/bridge-nf-call-iptables"
    try:
        if netns.sysctl(name) != "1":
            netns.sysctl(name, "1")
    except OSError:
        return False
    return True
