"""What the API server does per second, what it holds, and how late its loop is, as JSON on standard output.

`python bench/apiserver.py [--seconds S] [--directory D] [--only NAME ...] [--profile]`. The server is a process of its
own on SQLite, every write synced (choose D on the disk in question), behind TLS, with the client's identity in a bearer
token; `wrk` (Debian: apt-get install wrk) is the client. On a machine with two cores each has one. `original` is what
kube-apiserver 1.36 with etcd does on such a machine; the ratio is to the greater of its two figures.
"""

import argparse
import asyncio
import json
import shutil
import sqlite3
import sys
import tempfile
from pathlib import Path

import uvloop

sys.path.insert(0, str(Path(__file__).parents[1]))

from bench.support.load import Client, creation, fan_out, wrk
from bench.support.served import Served

CM = "/api/v1/namespaces/default/configmaps"
PODS = "/api/v1/namespaces/default/pods"
CONFIG_MAP = {"kind": "ConfigMap", "apiVersion": "v1", "metadata": {"name": "NAME"}, "data": {"k": "x" * 1024}}
POD = {
    "kind": "Pod",
    "apiVersion": "v1",
    "metadata": {"name": "NAME", "labels": {"app": "web"}},
    "spec": {
        "containers": [
            {
                "name": "web",
                "image": "nginx:1",
                "ports": [{"containerPort": 80}],
                "env": [{"name": "A", "value": "B"}],
                "resources": {"requests": {"cpu": "100m", "memory": "64Mi"}},
                "readinessProbe": {"httpGet": {"path": "/", "port": 80}},
            }
        ]
    },
}
#: The original's, from and to.
ORIGINAL = {
    "get_namespace": (3800, 4200),
    "get_pod": (2000, 3400),
    "create_config_map": (1200, 1700),
    "create_pod": (1000, 1200),
    "list_config_maps": (117, 181),
    "list_pods": (71, 106),
}
MANY_CONFIG_MAPS, MANY_PODS = 17_562, 5_000
WATCHERS = 1000


class Bench:
    """One run: figures gather in `figures`."""

    def __init__(self, directory: Path, seconds: int, profiling: bool) -> None:
        self.directory = directory
        self.seconds = seconds
        self.profiling = profiling
        self.figures: dict[str, object] = {}

    def rate(self, server: Served, name: str, path: str, connections: int, script: str = "") -> None:
        """A rate by wrk, beside the original's, with the lag of the loop and the processor's time per request."""
        server.lag()
        before = server.processor_seconds()
        found = wrk(server.url + path, self.seconds, connections, script)
        used = server.processor_seconds() - before
        unit = "megabytes_per_second" if name.startswith("list_") else "per_second"
        self.figures[name] = {
            **found,
            "server_us_each": round(used / self.seconds / found["per_second"] * 1e6, 1),
            "loop_lag": server.lag(),
            "original": ORIGINAL[name],
            **self.profiled(server, path, connections, script),
            "ratio": round(found[unit] / ORIGINAL[name][1], 2),
        }

    def profiled(self, server: Served, path: str, connections: int, script: str) -> dict[str, object]:
        """Where the time of the loop's thread goes, by another, slower run."""
        if not self.profiling:
            return {}
        server.profile()
        wrk(server.url + path, self.seconds, connections, script)
        return {"profile_percent": server.profile()}

    async def rates(self) -> None:
        """An empty server: memory, reads, writes."""
        with Served(self.folder("rates")) as server:
            self.figures["ready_seconds"] = server.ready_seconds
            self.figures["memory_empty_mb"] = server.memory_mb()
            client = Client(server.port, server.directory)
            await prepare(client)
            await client.call("POST", PODS, named(POD, "one"))
            await asyncio.to_thread(self.rate, server, "get_namespace", "/api/v1/namespaces/default", 32)
            await asyncio.to_thread(self.rate, server, "get_pod", f"{PODS}/one", 32)
            for name, path, body in (("create_config_map", CM, CONFIG_MAP), ("create_pod", PODS, POD)):
                script = creation(body, name.replace("_", "-"))
                await asyncio.to_thread(self.rate, server, name, path, 16, script)

    async def lists(self) -> None:
        """Lists, beside what plain TLS carries, and the memory of what is held, from a cold start."""
        folder = self.folder("lists")
        with Served(folder) as server:
            empty_mb = server.memory_mb()
            client = Client(server.port, folder)
            await prepare(client)
            await fill(client, CM, CONFIG_MAP, MANY_CONFIG_MAPS)
            warm_mb = server.memory_mb()
        stored_mb = stored_bytes(folder) / 1e6
        with Served(folder) as server:
            cold_mb = server.memory_mb()
            self.figures["memory_full"] = {
                "config_maps": MANY_CONFIG_MAPS,
                "stored_mb": round(stored_mb, 1),
                "restart_ready_seconds": server.ready_seconds,
                "empty_mb": empty_mb,
                "after_filling_mb": warm_mb,
                "cold_mb": cold_mb,
                "cold_times_stored": round((cold_mb - empty_mb) * 1.048576 / stored_mb, 2),
                "original_mb": 745,
            }
            await self.list_of(server, "list_config_maps", CM)
            await fill(Client(server.port, folder), PODS, POD, MANY_PODS)
            await self.list_of(server, "list_pods", PODS)

    async def list_of(self, server: Served, name: str, path: str) -> None:
        """One list against as many bytes of plain TLS, in turn."""
        _, size = await Client(server.port, server.directory).call("GET", path)
        await asyncio.to_thread(self.rate, server, name, path, 2)
        with Served(server.directory, "bare") as bare:
            plain = await asyncio.to_thread(wrk, f"{bare.url}/{size}", self.seconds, 2)
        figure = self.figures[name]
        assert isinstance(figure, dict)
        figure["megabytes"] = round(size / 1e6, 2)
        figure["plain_tls_megabytes_per_second"] = plain["megabytes_per_second"]
        figure["of_plain_tls"] = round(figure["megabytes_per_second"] / plain["megabytes_per_second"], 2)

    async def watch(self) -> None:
        """One change, many watchers."""
        with Served(self.folder("watch")) as server:
            client = Client(server.port, server.directory)
            server.lag()
            found = await fan_out(client, CM, CONFIG_MAP, WATCHERS)
            self.figures["watch"] = {**found, "loop_lag": server.lag(), "memory_mb": server.memory_mb()}

    def folder(self, name: str) -> Path:
        """A directory for one server."""
        made = self.directory / name
        made.mkdir()
        return made


def named(body: dict[str, object], name: str) -> dict[str, object]:
    """The object under a name."""
    filled: dict[str, object] = json.loads(json.dumps(body).replace("NAME", name))
    return filled


async def prepare(client: Client) -> None:
    """What a controller would make: pods need their account."""
    account = {"kind": "ServiceAccount", "apiVersion": "v1", "metadata": {"name": "default"}}
    await client.call("POST", "/api/v1/namespaces/default/serviceaccounts", account)


async def fill(client: Client, path: str, body: dict[str, object], count: int) -> None:
    """Objects of which there are to be many, sixteen at a time."""
    step = -(-count // 16)
    numbers = [range(first, min(first + step, count)) for first in range(0, count, step)]
    await asyncio.gather(*(client.calls("POST", [(path, named(body, f"fill-{n}")) for n in each]) for each in numbers))


def stored_bytes(folder: Path) -> int:
    """Keys and values of what is stored now."""
    with sqlite3.connect(f"file:{folder}/store.db?mode=ro", uri=True) as database:
        rows = database.execute("SELECT sum(length(live.key) + length(value)) FROM live JOIN log USING (id)")
        return int(rows.fetchone()[0])


async def main(directory: Path, seconds: int, only: list[str], profiling: bool) -> None:
    """Measure and print."""
    bench = Bench(directory, seconds, profiling)
    for name in only or ("rates", "lists", "watch"):
        await getattr(bench, name)()
    print(json.dumps(bench.figures, indent=1))


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=int, default=5)
    parser.add_argument("--directory", type=Path)
    parser.add_argument("--only", nargs="*", choices=("rates", "lists", "watch"), default=[])
    parser.add_argument("--profile", action="store_true", help="tell also which functions took the time")
    given = parser.parse_args()
    if shutil.which("wrk") is None:
        sys.exit("wrk is not installed: apt-get install wrk")
    with tempfile.TemporaryDirectory(dir=given.directory) as folder:
        uvloop.run(main(Path(folder), given.seconds, given.only, given.profile))
