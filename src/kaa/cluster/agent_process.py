"""`kaa agent`: a node's kubelet, service proxy, DNS server and HTTPS endpoint, in one process."""

import asyncio
import socket
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from kaa.base.clock import REAL
from kaa.base.log import Logger
from kaa.cluster.process import Ready, run_process
from kaa.cluster.settings import AgentOptions

if TYPE_CHECKING:
    from kaa.client.client import Client
    from kaa.http.serve import Server
    from kaa.kubelet.kubelet import Kubelet
    from kaa.kubelet.settings import Settings
    from kaa.network.addresses import ServiceRoute
    from kaa.network.backend import ProxySettings

__all__ = ["run"]

_log = Logger("agent")
NODE_READY_POLL_SECONDS = 0.02


def run(options: AgentOptions) -> int:
    """Work until told to end; the exit status. Containers run on."""

    async def main(ready: Ready) -> None:
        await work(options, ready)

    return run_process("agent", main)


async def work(options: AgentOptions, ready: Ready) -> None:
    """Work until cancelled."""
    from kaa.base.tasks import Scope
    from kaa.client.config import load_kubeconfig, open_client
    from kaa.client.informers import Informers
    from kaa.cluster.parts import wait_reachable
    from kaa.kubelet.cri.grpc import GrpcRuntime
    from kaa.kubelet.kubelet import Kubelet
    from kaa.network.backend import choose
    from kaa.network.dns.edge import ClusterDns
    from kaa.network.proxy import ServiceProxy
    from kaa.runtime import EventBroadcaster

    options = _complete(options)
    path = str(options.kubeconfig) if str(options.kubeconfig) != "." else ""
    access = load_kubeconfig(path)
    client = open_client(access, user_agent="kaa-agent")
    async with AsyncExitStack() as stack:
        stack.push_async_callback(client.close)
        runtime = GrpcRuntime(options.container_runtime_endpoint)
        stack.push_async_callback(runtime.close)
        await wait_reachable(client, _log)
        scope = await stack.enter_async_context(Scope("agent"))
        informers = Informers(client)
        broadcaster = EventBroadcaster(client)
        broadcaster.start(scope)
        events = broadcaster.recorder("kubelet", options.node_name)
        kubelet = Kubelet(client, informers, runtime, events, _kubelet_settings(options))
        if options.tls_cert_file is not None:
            endpoint = await _endpoint(options, kubelet)
            stack.push_async_callback(endpoint.close, 1.0)
        if options.dns_listen:
            address, _, port = options.dns_listen.rpartition(":")
            dns = ClusterDns(informers, [(address.strip("[]"), int(port))], dns_ips=[options.cluster_dns])
            scope.spawn(dns.run(), name="dns", eternal=True)
        if options.rotate_certificates and access.certificate_file and access.key_file:
            from kaa.cluster.renewal import ClientRotation

            rotation = ClientRotation(client, Path(access.certificate_file), Path(access.key_file))
            scope.spawn(rotation.run(), name="certificates", eternal=True)
        await informers.start(scope)
        scope.spawn(kubelet.run(), name="kubelet", eternal=True)
        if options.proxy_mode != "none":
            settings = _proxy_settings(options)
            backend = await asyncio.to_thread(choose, settings, options.proxy_mode)
            await asyncio.to_thread(_service_route(options).ensure)
            proxy = ServiceProxy(informers, backend, settings, health_port=options.healthz_port)
            scope.spawn(proxy.run(), name="proxy", eternal=True)
        scope.spawn(_say_ready(client, kubelet, options.node_name, ready), name="ready")
        await scope.wait()


async def _say_ready(client: "Client", kubelet: "Kubelet", node_name: str, ready: Ready) -> None:
    """Once the node is Ready in the API: what `kaa up` and people wait for."""
    from kaa.http.api import CallError
    from kaa.kinds.views import Node
    from kaa.meta.errors import StatusError

    await kubelet.ready.wait()
    while True:
        try:
            node = await client.get(Node, node_name)
            if any(each.type == "Ready" and each.status == "True" for each in node.status.conditions):
                ready()
                return
        except (CallError, StatusError) as error:
            _log.debug("node not read", error=str(error))
        await REAL.sleep(NODE_READY_POLL_SECONDS)


def _complete(options: AgentOptions) -> AgentOptions:
    """With the defaults that come from the machine."""
    address = options.node_ip
    if not address:
        from kaa.network.addresses import node_addresses

        address = node_addresses()[0]
    return replace(
        options,
        node_name=options.node_name or socket.gethostname().lower(),
        node_ip=address,
        # The kernel names mounts by their real paths.
        root_dir=Path(options.root_dir).expanduser().resolve(),
    )


def _kubelet_settings(options: AgentOptions) -> "Settings":
    from kaa.kubelet.settings import Settings

    return Settings(
        node_name=options.node_name,
        node_ip=options.node_ip,
        root_dir=options.root_dir / "kubelet",
        log_dir=options.root_dir / "pod-logs",
        cgroup_root=options.cgroup_root,
        cluster_dns=(options.cluster_dns,) if options.cluster_dns else (),
        pod_cidr=options.pod_cidr,
        port=options.port,
        prefer_local_images=True,
    )


def _proxy_settings(options: AgentOptions) -> "ProxySettings":
    from kaa.network.backend import ProxySettings

    return ProxySettings(
        cluster_id=options.cluster_id,
        node=options.node_name,
        pod_cidrs=(options.cluster_cidr,),
        local_pod_cidrs=(options.pod_cidr,) if options.pod_cidr else (),
        service_cidrs=(options.service_cluster_ip_range,),
    )


def _service_route(options: AgentOptions) -> "ServiceRoute":
    from kaa.network.addresses import ServiceRoute
    from kaa.network.netns import Netns

    return ServiceRoute(Netns(), (options.service_cluster_ip_range,), f"kaa-s-{options.cluster_id}"[:15])


async def _endpoint(options: AgentOptions, kubelet: "Kubelet") -> "Server":
    from kaa.http.serve import serve
    from kaa.http.tls import TlsServer
    from kaa.kubelet.server import NodeServer

    assert options.tls_cert_file is not None
    if options.tls_private_key_file is None or options.client_ca_file is None:
        raise ValueError("--tls-cert-file needs --tls-private-key-file and --client-ca-file")
    tls = TlsServer(options.tls_cert_file, options.tls_private_key_file, options.client_ca_file)
    return await serve(NodeServer(kubelet), host="0.0.0.0", port=options.port, tls=tls)
