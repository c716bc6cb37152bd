"""What a pod's resolv.conf and hosts file say. Pure, but for reading the node's own."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from kaa.kinds.views import Pod
from kaa.kubelet.cri.api import DNSConfig
from kaa.kubelet.settings import Settings

__all__ = ["Resolver", "hosts_file", "parse_resolv_conf", "pod_dns"]

SEARCHES_MAX = 32
SERVERS_MAX = 3


@dataclass(frozen=True, slots=True)
class Resolver:
    """A resolver configuration."""

    servers: tuple[str, ...] = ()
    searches: tuple[str, ...] = ()
    options: tuple[str, ...] = ()


def parse_resolv_conf(text: str) -> Resolver:
    """The node's."""
    servers: list[str] = []
    searches: list[str] = []
    options: list[str] = []
    for line in text.splitlines():
        words = line.split("#", 1)[0].split(";", 1)[0].split()
        if not words:
            continue
        match words[0]:
            case "nameserver" if len(words) > 1:
                servers.append(words[1])
            case "search":
                searches = words[1:]
            case "options":
                options = words[1:]
    return Resolver(tuple(servers), tuple(searches), tuple(options))


def pod_dns(pod: Pod, settings: Settings, node: Resolver) -> tuple[DNSConfig, str]:
    """The pod's resolver configuration, and a warning to tell the user ("" for none)."""
    policy = pod.spec.dns_policy or "ClusterFirst"
    warning = ""
    if policy == "ClusterFirst" and pod.spec.host_network:
        policy = "Default"
    if policy in ("ClusterFirst", "ClusterFirstWithHostNet") and not settings.cluster_dns:
        policy = "Default"
        warning = (
            "pod: kubelet does not have ClusterDNS IP configured and cannot create Pod using "
            f'"{pod.spec.dns_policy}" policy. Falling back to "Default" policy.'
        )
    if policy == "None":
        found = Resolver()
    elif policy == "Default":
        found = node
    else:
        domain = settings.cluster_domain
        own = (f"{pod.namespace}.svc.{domain}", f"svc.{domain}", domain)
        found = Resolver(tuple(settings.cluster_dns), _unique((*own, *node.searches)), ("ndots:5",))
    config = pod.spec.dns_config or {}
    options = {each.partition(":")[0]: each for each in found.options}
    for each in config.get("options") or ():
        name, value = str(each.get("name") or ""), each.get("value")
        options[name] = f"{name}:{value}" if value else name
    servers = _unique((*found.servers, *(str(each) for each in config.get("nameservers") or ())))
    searches = _unique((*found.searches, *(str(each) for each in config.get("searches") or ())))
    if len(servers) > SERVERS_MAX:
        warning = (
            "Nameserver limits were exceeded, some nameservers have been omitted, the applied nameserver line is: "
            + " ".join(servers[:SERVERS_MAX])
        )
    return DNSConfig(servers[:SERVERS_MAX], searches[:SEARCHES_MAX], tuple(options.values())), warning


def _unique(items: Sequence[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(items))


def hosts_file(pod: Pod, ips: Sequence[str], hostname: str, full_name: str, node_hosts: Path) -> str:
    """The pod's /etc/hosts. A pod on the host's network gets the node's, with its aliases added."""
    if pod.spec.host_network:
        try:
            text = "# Kubernetes-managed hosts file (host network).\n" + node_hosts.read_text()
        except OSError:
            text = "# Kubernetes-managed hosts file (host network).\n127.0.0.1\tlocalhost\n"
    else:
        lines = [
            "# Kubernetes-managed hosts file.",
            "127.0.0.1\tlocalhost",
            "::1\tlocalhost ip6-localhost ip6-loopback",
            "fe00::0\tip6-localnet",
            "fe00::0\tip6-mcastprefix",
            "fe00::1\tip6-allnodes",
            "fe00::2\tip6-allrouters",
        ]
        names = f"{full_name}\t{hostname}" if full_name and full_name != hostname else hostname
        lines += [f"{ip}\t{names}" for ip in ips]
        text = "\n".join(lines) + "\n"
    if pod.spec.host_aliases:
        text += "\n# Entries added by HostAliases.\n"
        text += "".join(f"{alias.ip}\t{chr(9).join(alias.hostnames)}\n" for alias in pod.spec.host_aliases)
    return text
