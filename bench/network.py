"""Service rules and DNS of one node: prints JSON.

Run as root: `python bench/network.py [services ...]`. The rules go into a network namespace that ends with the run.
"""

import json
import subprocess
import sys
import time

from kaa.network.backend import ProxySettings, choose
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


def main() -> None:
    """Measure and print."""
    counts = [int(a) for a in sys.argv[1:]] or [1000, 10_000]
    result = {f"{b}/{n}": rules(b, n) for n in counts for b in ("nftables", "iptables")}
    print(json.dumps({"rules": result}, indent=2))


if __name__ == "__main__":
    main()
