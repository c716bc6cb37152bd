"""Load: `wrk` for rates, and a bare client for what wrk cannot do."""

import asyncio
import json
import re
import ssl
import subprocess
import tempfile
import time
from pathlib import Path

from bench.support.served import TOKEN

UNITS = {"us": 0.001, "ms": 1.0, "s": 1000.0, "B": 1e-6, "KB": 1e-3, "MB": 1.0, "GB": 1e3}

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


def creation(body: object, prefix: str) -> str:
    """A wrk script that creates an object each time; NAME in the body becomes a new name."""
    return CREATE_LUA % (json.dumps(body), prefix, TOKEN)


def wrk(url: str, seconds: int, connections: int, script: str = "") -> dict[str, float]:
    """Requests and megabytes per second, and latency, as wrk counts them."""
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as file:
        file.write(script)
        file.flush()
        arguments = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--latency", "--timeout", "30s"]
        arguments += ["-H", f"Authorization: Bearer {TOKEN}"]
        if script:
            arguments += ["-s", file.name]
        output = subprocess.run([*arguments, url], capture_output=True, text=True, check=True).stdout
    assert "Non-2xx" not in output, output
    rate = re.search(r"Requests/sec:\s+([\d.]+)", output)
    carried = re.search(r"Transfer/sec:\s+([\d.]+)(\w+)", output)
    tail = re.search(r"99%\s+([\d.]+)(us|ms|s)", output)
    assert rate, output
    assert carried, output
    assert tail, output
    return {
        "per_second": round(float(rate[1]), 1),
        # wrk's megabytes are of 2^20.
        "megabytes_per_second": round(float(carried[1]) * UNITS[carried[2]] * 1.048576, 1),
        "p99_ms": round(float(tail[1]) * UNITS[tail[2]], 2),
    }


class Client:
    """Bare connections, so that the server is what is measured."""

    def __init__(self, port: int, directory: Path) -> None:
        self.port = port
        self.context = ssl.create_default_context(cafile=str(directory / "ca.crt"))

    async def open(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection(
            "127.0.0.1", self.port, ssl=self.context, server_hostname="localhost", limit=1 << 26
        )

    async def call(self, method: str, path: str, body: object = None, accept: str = "") -> tuple[float, int]:
        """Seconds and bytes of one call."""
        return (await self.calls(method, [(path, body)], accept))[0]

    async def calls(self, method: str, asked: list[tuple[str, object]], accept: str = "") -> list[tuple[float, int]]:
        """Seconds and bytes of calls made in turn over one connection."""
        reader, writer = await self.open()
        took = []
        for path, body in asked:
            raw = json.dumps(body).encode() if body is not None else b""
            head = (
                f"{method} {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {TOKEN}\r\n"
                f"Content-Length: {len(raw)}\r\n"
                + (f"Accept: {accept}\r\n" if accept else "")
                + "Content-Type: application/json\r\n\r\n"
            )
            before = time.perf_counter()
            writer.write(head.encode() + raw)
            answer = await reader.readuntil(b"\r\n\r\n")
            found = re.search(rb"content-length: (\d+)", answer, re.I)
            assert found, answer
            got = await reader.readexactly(int(found[1]))
            assert int(answer.split(b" ", 2)[1]) < 300, got[:500]
            took.append((time.perf_counter() - before, len(got)))
        writer.close()
        return took


async def fan_out(client: Client, path: str, body: dict[str, object], watchers: int) -> dict[str, float]:
    """How long one change takes to reach all its watchers, and the rate of 50 changes in turn."""
    counts = [0] * watchers
    arrived = asyncio.Event()
    wanted = 0

    async def follow(index: int, reader: asyncio.StreamReader) -> None:
        while line := await reader.readline():
            if line.startswith(b'{"type"'):
                counts[index] += 1
                if counts[index] >= wanted and min(counts) >= wanted:
                    arrived.set()

    tasks, opened = [], []
    for index in range(watchers):
        reader, writer = await client.open()
        writer.write(
            f"GET {path}?watch=1&labelSelector=fan%3Dout&resourceVersion=0 HTTP/1.1\r\nHost: x\r\n"
            f"Authorization: Bearer {TOKEN}\r\n\r\n".encode()
        )
        await reader.readuntil(b"\r\n\r\n")
        opened.append(writer)
        tasks.append(asyncio.ensure_future(follow(index, reader)))

    stamp, number = int(time.time()), 0

    async def change() -> None:
        nonlocal number
        number += 1
        await client.call("POST", path, {**body, "metadata": {"name": f"fan-{stamp}-{number}", "labels": LABELS}})

    async def until_seen(changes: int) -> float:
        nonlocal wanted
        wanted += changes
        arrived.clear()
        before = time.perf_counter()
        for _ in range(changes):
            await change()
        await asyncio.wait_for(arrived.wait(), 120)
        return time.perf_counter() - before

    single = sorted([await until_seen(1) for _ in range(9)])
    burst = await until_seen(50)
    for task in tasks:
        task.cancel()
    for writer in opened:
        writer.close()
    return {
        "watchers": watchers,
        "one_change_to_all_median_ms": round(single[len(single) // 2] * 1000, 1),
        "one_change_to_all_worst_ms": round(single[-1] * 1000, 1),
        "events_per_second": round(watchers * 50 / burst),
    }


LABELS = {"fan": "out"}
