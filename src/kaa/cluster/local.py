"""A whole cluster in one process and one event loop: API server, controllers, scheduler, simulated nodes.

For tests, examples and notebooks. Nothing is listened on and nothing is written outside of a temporary directory,
unless a kubeconfig is asked for: then the API is also served over TLS, on a free port of loopback.

```
async with LocalCluster(simulated_nodes=2) as cluster:
    await cluster.client.create(Pod.resource, {...})
    subprocess.run(["kubectl", "--kubeconfig", await cluster.kubeconfig(), "get", "pods"])
```
"""

import ssl
import tempfile
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path

from kaa.base.clock import REAL, Clock
from kaa.base.tasks import Scope
from kaa.client.client import Client
from kaa.client.informers import Informers
from kaa.cluster import certificates
from kaa.cluster.parts import make_manager, make_scheduler
from kaa.cluster.pki import Authority
from kaa.controllers.settings import SigningSettings
from kaa.http.api import Peer
from kaa.http.inprocess import InProcess
from kaa.http.serve import serve
from kaa.http.tls import TlsServer
from kaa.runtime import Manager
from kaa.server.server import ApiServer, ServerSettings
from kaa.simulated.nodes import NodeShape, SimulatedNodes
from kaa.store.factory import open_store

__all__ = ["LocalCluster"]


class LocalCluster:
    """`async with` starts it, and takes it away. What is public is there in between."""

    client: Client
    """The administrator's."""
    server: ApiServer
    manager: Manager | None = None
    nodes: SimulatedNodes | None = None

    def __init__(
        self,
        *,
        simulated_nodes: int = 1,
        controllers: bool = True,
        scheduler: bool = True,
        store: str = "memory:",
        settings: ServerSettings | None = None,
        shape: NodeShape | None = None,
        clock: Clock = REAL,
    ) -> None:
        self._simulated, self._controllers, self._scheduler = simulated_nodes, controllers, scheduler
        self._store_url, self._settings, self._shape, self._clock = store, settings or ServerSettings(), shape, clock
        self._stack = AsyncExitStack()
        self._kubeconfig: Path | None = None

    async def __aenter__(self) -> "LocalCluster":
        try:
            await self._start()
        except BaseException:
            await self._stack.aclose()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    async def _start(self) -> None:
        stack, clock = self._stack, self._clock
        self._dir = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="kaa-local-")))
        self._authority = Authority(self._dir / "pki", certificates.CA, certificates.CA_NAME)
        store = await open_store(self._store_url, clock)
        stack.push_async_callback(store.close)
        self.server = ApiServer(store, self._settings, clock=clock)
        await self.server.start(listen=False)
        stack.push_async_callback(self.server.stop)
        self.client = self.client_as("kubernetes-admin", ["system:masters"])
        scope = await stack.enter_async_context(Scope("local-cluster"))
        controllers = self.client_as("system:kube-controller-manager")
        informers = Informers(controllers, clock=clock)
        made: list[object] = []
        if self._controllers:
            pem = self._authority.pem.decode()
            signing = SigningSettings(self._authority.certificate_path, self._authority.key_path)
            self.manager = make_manager(controllers, informers, root_ca_pem=pem, signing=signing, clock=clock)
            made.append(self.manager)
        if self._scheduler:
            made.append(make_scheduler(self.client_as("system:kube-scheduler"), informers, clock=clock))
        await informers.start(scope)
        for part in made:
            await stack.enter_async_context(part)  # type: ignore[arg-type]
        if self._simulated:
            nodes = self.client_as("kaa:simulated-nodes")
            self.nodes = SimulatedNodes(nodes, informers, self._simulated, self._shape, clock=clock)
            await stack.enter_async_context(self.nodes)

    def client_as(self, user: str, groups: Sequence[str] = ()) -> Client:
        """A client of somebody else's; it ends with the cluster."""
        pair = self._authority.client(user, groups)
        peer = Peer("in-process", ssl.PEM_cert_to_DER_cert(pair.certificate.decode()))
        client = Client(InProcess(self.server.app, peer), clock=self._clock)
        self._stack.push_async_callback(client.close)
        return client

    async def kubeconfig(self) -> Path:
        """The administrator's kubeconfig; from the first call on the API listens on loopback, over TLS."""
        if self._kubeconfig is None:
            names = certificates.server_names([], "10.96.0.1")
            files = certificates.ensure_server(self._dir / "pki", names)
            tls = TlsServer(files.certificate, files.key, files.ca)
            listener = await serve(self.server.app, port=0, tls=tls, clock=self._clock)
            self._stack.push_async_callback(listener.close, 0.5)
            url = f"https://127.0.0.1:{listener.port}"
            self._kubeconfig = certificates.ensure_admin(self._dir / "pki", url, self._dir / "kubeconfig")
        return self._kubeconfig
