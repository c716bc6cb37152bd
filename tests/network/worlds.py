"""A little world of network namespaces: a client, a node, pods. Nothing of it touches the host's namespace.

The namespaces have no names: each lives as long as the `sleep` that holds it, so nothing is left behind.
"""

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress

from kaa.network.netns import Netns

ECHO = """
import http.server, json, socket, sys, threading
name, address, port = sys.argv[1], sys.argv[2], int(sys.argv[3])
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = json.dumps({"pod": name, "client": self.client_address[0]}).encode()
        self.send_response(200); self.send_header("Content-Length", str(len(body))); self.end_headers()
        self.wfile.write(body)
    def log_message(self, *a): pass
class Server(http.server.ThreadingHTTPServer):
    request_queue_size = 128
udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); udp.bind((address, port))
def echo():
    while True:
        data, peer = udp.recvfrom(2048)
        udp.sendto(name.encode(), peer)
threading.Thread(target=echo, daemon=True).start()
server = Server((address, port), Handler)
print("ready", flush=True)
server.serve_forever()
"""


class World:
    """client 192.0.2.2 -- node 192.0.2.1, with pods 10.244.0.2 (a) and 10.244.0.3 (b) on links of their own."""

    def __init__(self) -> None:
        self._held: list[subprocess.Popen[str]] = []
        self.node, self.client = self._space(), self._space()
        self.pods = {"a": self._space(), "b": self._space()}
        self._link(self.node, self.client, "client", "192.0.2.1/24", "192.0.2.2/24")
        ip(self.client, "route add default via 192.0.2.1")
        self.node.sysctl("net/ipv4/ip_forward", "1")
        # A new namespace starts with the host's settings, and a cluster may be running there.
        self.node.sysctl("net/ipv4/conf/all/route_localnet", "0")
        for i, (name, space) in enumerate(self.pods.items()):
            self._link(self.node, space, f"pod-{name}", "10.244.0.1/32", f"10.244.0.{i + 2}/24")
            ip(self.node, f"route add 10.244.0.{i + 2}/32 dev pod-{name}")
            ip(space, "route del 10.244.0.0/24")
            ip(space, "route add 10.244.0.1/32 dev eth0")
            ip(space, "route add default via 10.244.0.1")
            self._serve(space, name, f"10.244.0.{i + 2}", 8080)

    def _space(self) -> Netns:
        held = subprocess.Popen(
            ["unshare", "--net", "sh", "-c", "echo in; exec sleep 600"], stdout=subprocess.PIPE, text=True
        )
        self._held.append(held)
        assert held.stdout is not None and held.stdout.readline() == "in\n"
        space = Netns.of_pid(held.pid)
        ip(space, "link set lo up")
        return space

    def _link(self, here: Netns, there: Netns, name: str, here_at: str, there_at: str) -> None:
        pid = there.path.split("/")[2]
        ip(here, f"link add {name} type veth peer name eth0 netns {pid}")
        ip(here, f"addr add {here_at} dev {name}")
        ip(here, f"link set {name} up")
        ip(there, f"addr add {there_at} dev eth0")
        ip(there, "link set eth0 up")

    def _serve(self, space: Netns, name: str, address: str, port: int) -> None:
        command = ["nsenter", f"--net={space.path}", "--", sys.executable, "-c", ECHO, name, address, str(port)]
        served = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        self._held.append(served)
        assert served.stdout is not None and served.stdout.readline() == "ready\n"

    def close(self) -> None:
        """End every process; the namespaces go with them."""
        for held in reversed(self._held):
            with suppress(ProcessLookupError):
                os.kill(held.pid, signal.SIGKILL)
            held.wait()
            if held.stdout:
                held.stdout.close()


def ip(space: Netns, words: str) -> str:
    """The `ip` command inside a namespace."""
    return space.run(["ip", *words.split()])


def get(space: Netns, address: str, port: int, *, source: str = "", timeout: float = 2.0) -> dict[str, str]:
    """One HTTP request, on a connection of its own, to an echo server: who answered, and whom it saw."""

    def ask() -> dict[str, str]:
        connection = http.client.HTTPConnection(
            address, port, timeout=timeout, source_address=(source, 0) if source else None
        )
        try:
            connection.request("GET", "/")
            return json.loads(connection.getresponse().read())
        finally:
            connection.close()

    return space.call(ask)


def ask_udp(made: socket.socket, address: str, port: int) -> str:
    """One datagram there and back on a socket that was made inside a namespace."""
    made.sendto(b"?", (address, port))
    return made.recv(2048).decode()


def eventually(check, seconds: float = 5.0) -> None:
    """Wait until `check()` is true."""
    until = time.monotonic() + seconds
    while not check():
        assert time.monotonic() < until, "it did not happen in time"
        time.sleep(0.02)
