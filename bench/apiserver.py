"""What the API server does per second, and what it holds, as JSON on standard output.

`python bench/apiserver.py [--seconds S] [--directory D] [--objects N] [--watchers W]`. The server is a process of its
own on SQLite, every write synced (choose D on the disk in question), behind TLS, with the client's identity in a bearer
token; `wrk` (Debian: apt-get install wrk) is the client. On a machine with two cores each has one.
"""

import argparse
import asyncio
import json
import os
import re
import shutil
import ssl
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import uvloop

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "src"))

TOKEN = "bench-token"
CM = "/api/v1/namespaces/default/configmaps"
PODS = "/api/v1/namespaces/default/pods"
CONFIG_MAP = {"kind": "ConfigMap", "apiVersion": "v1", "metadata": {"name": "NAME"}, "data": {"k": "x" * 200}}
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
CREATE_LUA = """
local thread = 0
function setup(t) t:set("id", thread); thread = thread + 1 end
function init(args) n = 0; stamp = os.time() end
function request()
  n = n + 1
  local body = string.gsub([[%s]], "NAME", "%s-" .. stamp .. "-" .. id .. "-" .. n)
  return wrk.format("POST", nil, {["Authorization"]="Bearer %s", ["Content-Type"]="application/json"}, body)
end
"""


async def serve(directory: Path) -> None:
    """The server process; says its port and how long it took to be ready."""
    started = time.perf_counter()
    from kaa.cluster.pki import Authority
    from kaa.http.tls import TlsServer
    from kaa.server.server import ApiServer, ServerSettings
    from kaa.store.factory import open_store

    authority = Authority(directory, "ca", "kubernetes")
    certificate, key = authority.server_files("apiserver", "kube-apiserver", ["localhost", "127.0.0.1"])
    tokens = directory / "tokens"
    tokens.write_text(f'{TOKEN},admin,1,"system:masters"\n')
    store = await open_store(f"sqlite:{directory}/store.db")
    server = ApiServer(
        store,
        ServerSettings(secure_port=0, token_auth_file=tokens),
        tls=TlsServer(certificate, key, authority.certificate_path),
    )
    await server.start()
    print(json.dumps({"port": server.port, "ready_seconds": round(time.perf_counter() - started, 3)}), flush=True)
    await server.run()


def memory_mb(pid: int) -> float:
    """Proportional set size."""
    found = re.search(r"^Pss:\s+(\d+) kB", Path(f"/proc/{pid}/smaps_rollup").read_text(), re.M)
    assert found
    return round(int(found[1]) / 1024, 1)


class Client:
    """One connection, used in turn: a bare one, so that the server is what is measured."""

    def __init__(self, port: int, directory: Path) -> None:
        self.port = port
        self.context = ssl.create_default_context(cafile=str(directory / "ca.crt"))

    async def open(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection(
            "127.0.0.1", self.port, ssl=self.context, server_hostname="localhost", limit=1 << 26
        )

    async def call(
        self, method: str, path: str, body: object = None, count: int = 1, accept: str = ""
    ) -> list[tuple[float, int]]:
        """Seconds and bytes of `count` calls over one connection."""
        reader, writer = await self.open()
        raw = json.dumps(body).encode() if body is not None else b""
        head = (
            f"{method} {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {TOKEN}\r\nContent-Length: {len(raw)}\r\n"
            + (f"Accept: {accept}\r\n" if accept else "")
            + "Content-Type: application/json\r\n\r\n"
        )
        took = []
        for _ in range(count):
            before = time.perf_counter()
            writer.write(head.encode() + raw)
            answer = await reader.readuntil(b"\r\n\r\n")
            status = int(answer.split(b" ", 2)[1])
            length = int(re.search(rb"content-length: (\d+)", answer, re.I)[1])  # type: ignore[index]
            got = await reader.readexactly(length)
            assert status < 300, got[:500]
            took.append((time.perf_counter() - before, length))
        writer.close()
        return took


def wrk(url: str, seconds: int, connections: int, script: str = "") -> dict[str, float]:
    """Requests per second and latency as wrk counts them."""
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as file:
        file.write(script)
        file.flush()
        arguments = [
            "wrk",
            "-t1",
            f"-c{connections}",
            f"-d{seconds}s",
            "--latency",
            "-H",
            f"Authorization: Bearer {TOKEN}",
        ]
        if script:
            arguments += ["-s", file.name]
        output = subprocess.run([*arguments, url], capture_output=True, text=True, check=True).stdout
    assert "Non-2xx" not in output, output
    rate = re.search(r"Requests/sec:\s+([\d.]+)", output)
    tail = re.search(r"99%\s+([\d.]+)(us|ms|s)", output)
    assert rate, output
    assert tail, output
    return {
        "per_second": round(float(rate[1])),
        "p99_ms": round(float(tail[1]) * {"us": 0.001, "ms": 1, "s": 1000}[tail[2]], 2),
    }


async def fan_out(client: Client, watchers: int, changes: int) -> dict[str, float]:
    """Events per second that reach their watchers, and how long one change takes to reach them all."""
    counts = [0] * watchers
    arrived = asyncio.Event()
    wanted = 0

    async def follow(index: int, reader: asyncio.StreamReader) -> None:
        while line := await reader.readline():
            if line.startswith(b'{"type"'):
                counts[index] += 1
                if counts[index] >= wanted and min(counts) >= wanted:
                    arrived.set()

    tasks = []
    opened = []
    for index in range(watchers):
        reader, writer = await client.open()
        writer.write(
            f"GET {CM}?watch=1&labelSelector=fan%3Dout&resourceVersion=0 HTTP/1.1\r\nHost: x\r\n"
            f"Authorization: Bearer {TOKEN}\r\n\r\n".encode()
        )
        await reader.readuntil(b"\r\n\r\n")
        opened.append(writer)
        tasks.append(asyncio.ensure_future(follow(index, reader)))
    single = []
    stamp = int(time.time())
    for number in range(5):
        wanted += 1
        arrived.clear()
        body = {**CONFIG_MAP, "metadata": {"name": f"fan-{stamp}-{number}", "labels": {"fan": "out"}}}
        before = time.perf_counter()
        await client.call("POST", CM, body)
        await asyncio.wait_for(arrived.wait(), 60)
        single.append(time.perf_counter() - before)
    wanted += changes
    arrived.clear()
    before = time.perf_counter()
    for number in range(changes):
        body = {**CONFIG_MAP, "metadata": {"name": f"fan-{stamp}-more-{number}", "labels": {"fan": "out"}}}
        await client.call("POST", CM, body)
    await asyncio.wait_for(arrived.wait(), 120)
    took = time.perf_counter() - before
    for task in tasks:
        task.cancel()
    for writer in opened:
        writer.close()
    return {
        "watchers": watchers,
        "events_per_second": round(watchers * changes / took),
        "one_change_to_all_ms": round(min(single) * 1000, 1),
    }


async def main(seconds: int, directory: Path, objects: int, watchers: int) -> None:
    """Measure and print."""
    process = subprocess.Popen(
        [sys.executable, __file__, "--serve", str(directory)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT / "src")},
    )
    figures: dict[str, object] = {}
    try:
        assert process.stdout
        said = json.loads(process.stdout.readline())
        figures["ready_seconds"] = said["ready_seconds"]
        client = Client(said["port"], directory)
        base = f"https://127.0.0.1:{said['port']}"
        figures["memory_empty_mb"] = memory_mb(process.pid)
        account = {"kind": "ServiceAccount", "apiVersion": "v1", "metadata": {"name": "default"}}
        await client.call("POST", "/api/v1/namespaces/default/serviceaccounts", account)
        await client.call("POST", PODS, {**POD, "metadata": {"name": "one", "labels": {"app": "web"}}})
        run = asyncio.to_thread
        figures["get_pod"] = await run(wrk, f"{base}{PODS}/one", seconds, 32)
        step = objects // 16
        await asyncio.gather(*(fill(client, first * step, step) for first in range(16)))
        figures["config_maps"] = step * 16
        for name, accept in (("list", ""), ("list_table", "application/json;as=Table;v=v1;g=meta.k8s.io")):
            took = await client.call("GET", CM + "?resourceVersion=0", count=5, accept=accept)
            figures[name] = {"p50_ms": round(sorted(took)[2][0] * 1000, 1), "megabytes": round(took[0][1] / 1e6, 2)}
        figures["memory_full_mb"] = memory_mb(process.pid)
        figures["watch"] = await fan_out(client, watchers, 50)
        figures["memory_with_watchers_mb"] = memory_mb(process.pid)
        for name, path, body in (("create_config_map", CM, CONFIG_MAP), ("create_pod", PODS, POD)):
            script = CREATE_LUA % (json.dumps(body), name.replace("_", "-"), TOKEN)
            figures[name] = await run(wrk, base + path, seconds, 16, script)
        figures["processor_seconds"] = (
            sum(float(t) for t in Path(f"/proc/{process.pid}/stat").read_text().split()[13:15]) / 100
        )
    finally:
        process.terminate()
        process.wait(10)
    print(json.dumps(figures, indent=1))


async def fill(client: Client, first: int, count: int) -> None:
    """ConfigMaps of which there are to be many."""
    for number in range(first, first + count):
        await client.call("POST", CM, {**CONFIG_MAP, "metadata": {"name": f"fill-{number}"}})


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=int, default=5)
    parser.add_argument("--directory", type=Path)
    parser.add_argument("--objects", type=int, default=10_000)
    parser.add_argument("--watchers", type=int, default=1000)
    parser.add_argument("--serve", type=Path)
    given = parser.parse_args()
    if given.serve:
        uvloop.run(serve(given.serve))
    elif shutil.which("wrk") is None:
        sys.exit("wrk is not installed: apt-get install wrk")
    else:
        with tempfile.TemporaryDirectory(dir=given.directory) as folder:
            uvloop.run(main(given.seconds, Path(folder), given.objects, given.watchers))
