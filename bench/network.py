"""Service rules and DNS of one node: prints JSON.

Run as root: `python bench/network.py [services ...]`. The rules go into a network namespace that ends with the run.
"""

import asyncio
import json
import subprocess
import sys
import time

import msgspec
import uvloop
from dnslib import DNSRecord

from kaa.kinds.views import Service
from kaa.network.backend import ProxySettings, choose
from kaa.network.dns.server import DnsServer
from kaa.network.dns.wire import encode, parse_query
from kaa.network.dns.zone import Zone
from kaa.network.netns import Netns
from kaa.network.services import Endpoint, Model, ServicePort


def model(count: int, *, changed: int = -1) -> Model:
    """`count` services with two endpoints; service `changed` has a third."""
    ports = {}
    for i in range(count):
        endpoints = [
            Endpoint(f"10.{128 + (2 * i + e) // 65536}.{(2 * i + e) // 256 % 256}.{(2 * i + e) % 256}", 8080, "n")
            for e in range(2)
        ]
        if i == changed:
            endpoints.append(Endpoint("10.200.0.1", 8080, "n"))
        port = ServicePort(
            "default", f"service-{i}", "http", "TCP", 80,
            cluster_ips=(f"10.{96 + i // 65536}.{i // 256 % 256}.{i % 256}",), endpoints=tuple(endpoints),
        )  # fmt: skip
        ports[port.key] = port
    return Model(ports)


def rules(backend: str, count: int) -> dict[str, float]:
    """Seconds of a first sync, a restart, and one changed service, in a namespace of their own."""
    held = subprocess.Popen(["unshare", "--net", "sh", "-c", "echo in; exec sleep 900"], stdout=subprocess.PIPE)
    assert held.stdout is not None
    held.stdout.readline()
    try:
        settings = ProxySettings("bench", node="n", pod_cidrs=("10.128.0.0/9",), netns=Netns.of_pid(held.pid))
        made = choose(settings, backend)
        whole = model(count)
        found = {}
        for name, what in (("full", whole), ("one_change", model(count, changed=count // 2)), ("one_back", whole)):
            at = time.perf_counter()
            made.sync(what)
            found[f"{name}_seconds"] = round(time.perf_counter() - at, 4)
        again = choose(settings, backend)
        at = time.perf_counter()
        again.sync(whole)
        found["restart_seconds"] = round(time.perf_counter() - at, 4)
        at = time.perf_counter()
        again.cleanup()
        found["cleanup_seconds"] = round(time.perf_counter() - at, 4)
        return found
    finally:
        held.kill()
        held.wait()


LOAD = """
import socket, sys, time
from dnslib import DNSRecord
made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
made.connect(("127.0.0.1", int(sys.argv[1])))
made.settimeout(1)
queries = [DNSRecord.question(f"s{i}.default.svc.cluster.local").pack() for i in range(200)]
flight, count, at = 0, 0, time.perf_counter()
while time.perf_counter() - at < float(sys.argv[2]):
    while flight < 64:
        made.send(queries[count % 200]); flight += 1; count += 1
    made.recv(2048); flight -= 1
    # Empty the socket before filling it again.
    made.setblocking(False)
    try:
        while flight:
            made.recv(2048); flight -= 1
    except BlockingIOError:
        pass
    made.settimeout(1)
print((count - flight) / (time.perf_counter() - at))
"""


async def dns(seconds: float) -> dict[str, float]:
    """Answers a second over UDP with one busy client on the same machine, and the work of one query in the process."""
    zone = Zone()
    for i in range(10_000):
        zone.set_service(
            msgspec.convert(
                {
                    "metadata": {"name": f"s{i}", "namespace": "default"},
                    "spec": {"clusterIP": f"10.96.{i // 256}.{i % 256}", "ports": [{"port": 80}]},
                },
                Service,
            )
        )
    server = DnsServer(zone)
    await server.start([("127.0.0.1", 0)])
    client = await asyncio.create_subprocess_exec(
        sys.executable, "-c", LOAD, str(server.addresses[0][1]), str(seconds), stdout=asyncio.subprocess.PIPE
    )
    out, _ = await client.communicate()
    finished = server.metrics.finished
    await server.close()

    query = bytes(DNSRecord.question("s77.default.svc.cluster.local").pack())
    at = time.perf_counter()
    for _ in range(20_000):
        parse_query(query)
    parse_us = (time.perf_counter() - at) / 20_000 * 1e6
    at = time.perf_counter()
    for _ in range(20_000):
        parsed = parse_query(query)
        found = zone.answer(parsed.name(), parsed.type)
        encode(parsed, found.rcode, found.records, found.authority, found.extra)
    whole_us = (time.perf_counter() - at) / 20_000 * 1e6
    sink = _Sink()
    server.datagram(sink, query, None)
    at = time.perf_counter()
    for _ in range(100_000):
        server.datagram(sink, query, None)
    hot_us = (time.perf_counter() - at) / 100_000 * 1e6
    return {
        "udp_queries_per_second": round(float(out)),
        "answered_from_table": finished,
        "parse_us": round(parse_us, 2),
        "first_answer_us": round(whole_us, 2),
        "repeated_answer_us": round(hot_us, 2),
    }


class _Sink:
    def sendto(self, data: bytes, peer: object) -> None: ...


def main() -> None:
    """Measure and print."""
    counts = [int(a) for a in sys.argv[1:]] or [1000, 10_000]
    result = {f"{b}/{n}": rules(b, n) for n in counts for b in ("nftables", "iptables")}
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        print(json.dumps({"rules": result, "dns": runner.run(dns(3.0))}, indent=2))


if __name__ == "__main__":
    main()
