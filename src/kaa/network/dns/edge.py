"""Cluster DNS on one node: a zone kept up to date from informers, the server, and the Service kube-dns before it."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from kaa.base.clock import REAL, Clock
from kaa.base.log import Logger
from kaa.client import Client, Informers
from kaa.kinds.views import EndpointSlice, Namespace, Service
from kaa.meta.errors import StatusError
from kaa.network.dns.forward import Forwarder, ResolvConf
from kaa.network.dns.server import DnsServer
from kaa.network.dns.zone import Zone
from kaa.network.netns import Netns

__all__ = ["ClusterDns", "kube_dns_service", "kube_dns_slice"]

_log = Logger("dns")
DNS_IP_DEFAULT = "10.96.0.10"
_NAMESPACE = "kube-system"
Json = dict[str, Any]


class ClusterDns:
    """Answers the pods of one node.

    Pods ask the cluster IP of kube-dns, and the service rules lead them to `listen`: addresses of this node that pods
    can reach, the pod bridge's for instance.
    """

    def __init__(
        self, informers: Informers, listen: Sequence[tuple[str, int]], *, netns: Netns | None = None,
        domain: str = "cluster.local", dns_ips: Sequence[str] = (DNS_IP_DEFAULT,),
        resolv_conf: str | Path = "/etc/resolv.conf", clock: Clock = REAL,
    ) -> None:  # fmt: skip
        self.zone = Zone(domain, dns_ips=dns_ips, serial=int(clock.now()) & 0xFFFFFFFF)
        resolvers = ResolvConf(resolv_conf, never=[*dns_ips, *(a for a, _ in listen)], clock=clock)
        self.server = DnsServer(self.zone, Forwarder(resolvers.upstreams, clock=clock))
        self.ready = asyncio.Event()
        """It answers, and knows the services that there are."""
        self._listen, self._netns = tuple(listen), netns
        self._services = informers.of(Service)
        self._slices = informers.of(EndpointSlice)
        self._namespaces = informers.of(Namespace)

    async def run(self) -> None:
        """Serve until cancelled. Nothing is answered before the picture is whole: a name that is only not known yet
        must not be said to be missing."""
        stops = [
            self._services.on_change(self._service_changed),
            self._slices.on_change(self._slice_changed),
            self._namespaces.on_change(self._namespace_changed),
        ]
        try:
            for informer in (self._services, self._slices, self._namespaces):
                await informer.wait_synced()
            await self.server.start(self._listen, netns=self._netns)
            _log.info("cluster DNS listens", addresses=self.server.addresses)
            self.ready.set()
            await asyncio.get_running_loop().create_future()
        finally:
            for stop in stops:
                stop()
            await self.server.close()

    def _service_changed(self, old: Service | None, new: Service | None) -> None:
        if new is not None:
            self.zone.set_service(new)
        elif old is not None:
            self.zone.delete_service(old.namespace, old.name)

    def _slice_changed(self, old: EndpointSlice | None, new: EndpointSlice | None) -> None:
        if new is not None:
            self.zone.set_slice(new)
        elif old is not None:
            self.zone.delete_slice(old.namespace, old.name)

    def _namespace_changed(self, old: Namespace | None, new: Namespace | None) -> None:
        if old is None and new is not None:
            self.zone.set_namespace(new.name)
        elif new is None and old is not None:
            self.zone.set_namespace(old.name, exists=False)


def kube_dns_service(cluster_ip: str = DNS_IP_DEFAULT) -> Json:
    """The Service kube-dns, without a selector: each node's agent brings its own slice."""
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {
            "name": "kube-dns",
            "namespace": _NAMESPACE,
            "labels": {
                "k8s-app": "kube-dns",
                "kubernetes.io/cluster-service": "true",
                "kubernetes.io/name": "CoreDNS",
            },
        },
        "spec": {
            "clusterIP": cluster_ip,
            "clusterIPs": [cluster_ip],
            "ports": [
                {"name": "dns", "port": 53, "protocol": "UDP"},
                {"name": "dns-tcp", "port": 53, "protocol": "TCP"},
            ],
        },
    }


def kube_dns_slice(node: str, address: str, port: int) -> Json:
    """This node's slice of kube-dns. Its hint keeps questions on the node that they come from."""
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {
            "name": f"kube-dns-{node}",
            "namespace": _NAMESPACE,
            "labels": {
                "kubernetes.io/service-name": "kube-dns",
                "endpointslice.kubernetes.io/managed-by": "dns.kaa",
            },
        },
        "addressType": "IPv6" if ":" in address else "IPv4",
        "endpoints": [
            {
                "addresses": [address],
                "conditions": {"ready": True, "serving": True, "terminating": False},
                "nodeName": node,
                "hints": {"forNodes": [{"name": node}]},
            }
        ],
        "ports": [
            {"name": "dns", "port": port, "protocol": "UDP"},
            {"name": "dns-tcp", "port": port, "protocol": "TCP"},
        ],
    }


async def publish(client: Client, node: str, address: str, port: int) -> None:
    """Write this node's slice of kube-dns: made, or corrected when an earlier run left another."""
    wanted = kube_dns_slice(node, address, port)
    try:
        await client.create(EndpointSlice.resource, wanted, namespace=_NAMESPACE)
    except StatusError as error:
        if error.code != 409:
            raise
        body = {
            "endpoints": wanted["endpoints"],
            "ports": wanted["ports"],
            "metadata": {"labels": wanted["metadata"]["labels"]},
        }
        await client.patch(EndpointSlice.resource, wanted["metadata"]["name"], body, namespace=_NAMESPACE)
