"""The node's own addresses, and the route that lets its programs begin to talk to cluster IPs."""

import json
from collections.abc import Iterable

from kaa.network.netns import CommandFailed, Netns

__all__ = ["ServiceRoute", "node_addresses"]

_NOT_OURS = ("lo", "kaa-", "cni", "veth", "docker", "flannel", "vxlan", "cali")


def node_addresses(netns: Netns | None = None, *, skip_links: Iterable[str] = _NOT_OURS) -> list[str]:
    """The node's global addresses, the one of the default route first. Blocks.

    Links whose names begin with a word of `skip_links` belong to pods or overlays. A machine that has nothing but
    loopback gives `["127.0.0.1"]`.
    """
    netns = netns or Netns()
    skip = tuple(skip_links)
    found: list[str] = []
    # The destination is never contacted: asking for the route names the source address that would be used.
    for probe in ("192.0.2.254", "2001:db8::1"):
        try:
            answer = json.loads(netns.run(["ip", "-j", "route", "get", probe]))
        except CommandFailed:
            continue
        found += [r["prefsrc"] for r in answer if r.get("prefsrc") and not r.get("dev", "").startswith(skip)]
    for link in json.loads(netns.run(["ip", "-j", "addr", "show"])):
        if not link.get("ifname", "lo").startswith(skip):
            found += [a["local"] for a in link.get("addr_info", ()) if a.get("scope") == "global" and "local" in a]
    return list(dict.fromkeys(found)) or ["127.0.0.1"]


class ServiceRoute:
    """Routes the service ranges to a link that leads nowhere, where the node has no route for them.

    A local connection needs a route before the rules get to rewrite its destination; without a default route `connect`
    fails with "Network is unreachable". Loopback won't do as the link: rejections would not come back through it.
    """

    def __init__(self, netns: Netns, service_cidrs: tuple[str, ...], link: str) -> None:
        """`link`: the name of the link, at most 15 characters, derived from the cluster's id."""
        if len(link) > 15:
            raise ValueError(f"{link!r} is too long for the name of a link: use at most 15 characters")
        self.netns, self.service_cidrs, self.link = netns, service_cidrs, link

    def ensure(self) -> bool:
        """Add what is missing; True when something was. Blocks. Raises CommandFailed."""
        missing = [cidr for cidr in self.service_cidrs if not self._routed(cidr)]
        if not missing:
            return False
        try:
            self.netns.run(["ip", "link", "show", "dev", self.link])
        except CommandFailed:
            # An empty bridge: some kernels lack dummy links, and none that runs pods lacks bridges.
            self.netns.run(["ip", "link", "add", self.link, "type", "bridge"])
        self.netns.run(["ip", "link", "set", self.link, "up"])
        for cidr in missing:
            self.netns.run(["ip", "-6" if ":" in cidr else "-4", "route", "replace", cidr, "dev", self.link])
        return True

    def remove(self) -> None:
        """Remove the link, and its routes with it. Safe when there is none."""
        try:
            self.netns.run(["ip", "link", "del", self.link])
        except CommandFailed:
            pass  # it was never needed

    def _routed(self, cidr: str) -> bool:
        try:
            self.netns.run(["ip", "route", "get", cidr.split("/")[0]])
        except CommandFailed:
            return False
        return True
