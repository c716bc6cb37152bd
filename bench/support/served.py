"""An API server in a process of its own, on SQLite with every write synced, behind TLS; and a bare TLS server.

The child answers lines on its standard input, as JSON: `lag` gives how late its loop was since the last time;
`profile` begins to profile its loop's thread, and the next `profile` ends that and tells where the time went.
"""

import asyncio
import cProfile
import json
import os
import pstats
import re
import ssl
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Any

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "src"))

TOKEN = "bench-token"
LAG_INTERVAL_SECONDS = 0.005
#: Functions a profile shows.
PROFILED = 12


class Served:
    """`with Served(directory) as server:` a server whose state is in the directory; `url` and `pid` tell where."""

    def __init__(self, directory: Path, role: str = "api") -> None:
        self.directory = directory
        self.role = role

    def __enter__(self) -> "Served":
        self._process = subprocess.Popen(
            [sys.executable, __file__, self.role, str(self.directory)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(ROOT / "src")},
        )
        said = self._answer()
        self.pid = self._process.pid
        self.port = int(said["port"])
        self.ready_seconds = said["ready_seconds"]
        self.url = f"https://127.0.0.1:{self.port}"
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._process.terminate()
        self._process.wait(20)

    def _answer(self) -> dict[str, float]:
        assert self._process.stdout
        answer: dict[str, float] = json.loads(self._process.stdout.readline())
        return answer

    def lag(self) -> dict[str, float]:
        """How late the loop was since this was last asked: p99 and worst, in milliseconds."""
        return self._ask("lag")

    def profile(self) -> dict[str, float]:
        """Begin to profile, or end: then the functions that took most, with their own share of the time."""
        return self._ask("profile")

    def _ask(self, what: str) -> dict[str, float]:
        assert self._process.stdin
        self._process.stdin.write(f"{what}\n")
        self._process.stdin.flush()
        return self._answer()

    def memory_mb(self) -> float:
        """Proportional set size."""
        found = re.search(r"^Pss:\s+(\d+) kB", Path(f"/proc/{self.pid}/smaps_rollup").read_text(), re.M)
        assert found
        return round(int(found[1]) / 1024, 1)

    def processor_seconds(self) -> float:
        """What it has used so far, user and system."""
        return sum(float(t) for t in Path(f"/proc/{self.pid}/stat").read_text().split()[13:15]) / 100


async def api(directory: Path) -> None:
    """The API server process, as `kaa apiserver` runs it."""
    started = time.perf_counter()
    from kaa.base import memory
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
    memory.settle()
    _answer_lines()
    print(json.dumps({"port": server.port, "ready_seconds": round(time.perf_counter() - started, 3)}), flush=True)
    await server.run()


class _Bare(asyncio.Protocol):
    """Answers every request with as many bytes as its path says, in chunks as a list has: what TLS alone carries."""

    def connection_made(self, transport: Any) -> None:
        self.transport = transport  # uvloop's is none of asyncio's classes

    def data_received(self, data: bytes) -> None:
        size = int(data.split(b" ", 2)[1].strip(b"/"))
        self.transport.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n" % size)
        piece = b"x" * (128 << 10)
        for _ in range(size // len(piece)):
            self.transport.write(piece)
        self.transport.write(piece[: size % len(piece)])


async def bare(directory: Path) -> None:
    """The plain TLS server, with the certificate of the API server."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(str(directory / "apiserver.crt"), str(directory / "apiserver.key"))
    server = await asyncio.get_running_loop().create_server(_Bare, "127.0.0.1", 0, ssl=context)
    _answer_lines()
    print(json.dumps({"port": server.sockets[0].getsockname()[1], "ready_seconds": 0}), flush=True)
    await server.serve_forever()


def _answer_lines() -> None:
    from kaa.base.lag import LagMeter

    meter = LagMeter(LAG_INTERVAL_SECONDS)
    meter.start()
    running: list[cProfile.Profile] = []

    def answer() -> None:
        line = sys.stdin.readline()
        if not line:
            asyncio.get_running_loop().remove_reader(sys.stdin)
            return
        if line.strip() == "profile":
            if not running:
                running.append(cProfile.Profile())
                running[0].enable()
                print("{}", flush=True)
            else:
                print(json.dumps(_shares(running.pop())), flush=True)
            return
        worst = {"p99_ms": meter.quantile(0.99) * 1000, "worst_ms": round(meter.max_seconds * 1000, 1)}
        print(json.dumps(worst), flush=True)
        meter.reset()

    asyncio.get_running_loop().add_reader(sys.stdin, answer)


def _shares(profile: cProfile.Profile) -> dict[str, float]:
    """The functions that took most time of their own, as percentages of all."""
    profile.disable()
    rows = pstats.Stats(profile).stats  # type: ignore[attr-defined]
    whole = sum(row[2] for row in rows.values())
    most = sorted(rows.items(), key=lambda item: -item[1][2])[:PROFILED]
    return {f"{Path(name).parent.name}/{Path(name).stem}:{function}" if name != "~" else function:
            round(row[2] / whole * 100, 1) for (name, _, function), row in most}  # fmt: skip


if __name__ == "__main__":
    import uvloop

    uvloop.run({"api": api, "bare": bare}[sys.argv[1]](Path(sys.argv[2])))
