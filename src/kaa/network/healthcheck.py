"""What load balancers ask a node: has it endpoints of its own for this service? And: does the proxy live?"""

import json
import socket
from collections.abc import Callable, Mapping

from kaa.base.clock import REAL, Clock, format_seconds
from kaa.base.log import Logger
from kaa.http.api import Request, Response
from kaa.http.serve import Server, serve
from kaa.network.netns import Netns
from kaa.network.services import HealthCheck

__all__ = ["HealthChecks", "ProxyHealth"]

_log = Logger("proxy")
ServiceName = tuple[str, str]


class HealthChecks:
    """Listens on the `healthCheckNodePort` of each service with externalTrafficPolicy Local, on all node addresses."""

    def __init__(self, netns: Netns, *, address: str = "0.0.0.0") -> None:
        self.netns, self.address = netns, address
        self.healthy = True
        """The proxy's own state, part of each answer."""
        self._checks: Mapping[ServiceName, HealthCheck] = {}
        self._servers: dict[ServiceName, tuple[int, Server]] = {}
        self._refused: set[ServiceName] = set()

    async def update(self, checks: Mapping[ServiceName, HealthCheck]) -> None:
        """Listen for exactly these. A port that is taken is logged once and tried again at the next update."""
        self._checks = dict(checks)
        for name, (port, server) in list(self._servers.items()):
            if name not in checks or checks[name].port != port:
                del self._servers[name]
                await server.close(grace_seconds=0.5)
        for name, check in checks.items():
            if name in self._servers:
                continue
            try:
                listening = self.netns.listen(socket.SOCK_STREAM, self.address, check.port)
            except OSError as error:
                if name not in self._refused:
                    self._refused.add(name)
                    _log.warning("cannot listen on a health check node port: free it, or change the service's",
                                 service="/".join(name), port=check.port, error=str(error))  # fmt: skip
                continue
            self._refused.discard(name)
            self._servers[name] = (check.port, await serve(self._handler(name), sock=listening))

    def _handler(self, name: ServiceName) -> Callable[[Request], Response]:
        def answer(_: Request) -> Response:
            check = self._checks.get(name)
            count = check.local_endpoints if check else 0
            body = {
                "service": {"namespace": name[0], "name": name[1]},
                "localEndpoints": count,
                "serviceProxyHealthy": self.healthy,
            }
            headers = (("X-Content-Type-Options", "nosniff"), ("X-Load-Balancing-Endpoint-Weight", str(count)))
            status = 200 if count and self.healthy else 503
            return Response(status, json.dumps(body).encode(), headers=headers)

        return answer

    async def close(self) -> None:
        """Stop listening everywhere."""
        servers, self._servers = list(self._servers.values()), {}
        for _, server in servers:
            await server.close(grace_seconds=0.5)


class ProxyHealth:
    """`/healthz` and `/livez` of the proxy itself (10256 by default in the original)."""

    def __init__(self, clock: Clock = REAL) -> None:
        self._clock = clock
        self.last_synced = 0.0
        self.healthy = False
        self.eligible = True
        """The node isn't being deleted, so that balancers may send it new connections."""

    def answer(self, request: Request) -> Response:
        """The answer to one request; `/livez` leaves the node's eligibility out."""
        if request.path not in ("/healthz", "/livez"):
            return Response(404, b"404 page not found\n", content_type="text/plain; charset=utf-8")
        good = self.healthy and (self.eligible or request.path == "/livez")
        body = {
            "lastUpdated": format_seconds(self.last_synced),
            "currentTime": format_seconds(self._clock.now()),
            "nodeEligible": self.eligible,
        }
        return Response(200 if good else 503, json.dumps(body).encode())
