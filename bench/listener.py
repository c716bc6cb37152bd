"""Requests per second of a trivial handler on one connection each of 32 clients, plain and over TLS; prints JSON.

`python bench/listener.py [SECONDS]`. Needs `wrk` (Debian: apt-get install wrk). On a machine with two cores the client
has one and the listener the other.
"""

import asyncio
import json
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from kaa.http.api import Answer, Request, Response
from kaa.http.loop import run
from kaa.http.serve import serve
from kaa.http.tls import TlsServer

CONNECTIONS = 32
BODY = b'{"kind":"Pod","apiVersion":"v1"}' + b" " * 3600  # about the size of a pod


def handler(request: Request) -> Answer:
    """What a cached read costs the HTTP layer."""
    return Response(200, BODY)


async def slow_handler(request: Request) -> Answer:
    """The same with a task for each request."""
    return Response(200, BODY)


def certificate(folder: Path) -> TlsServer:
    """A throw-away certificate made by the openssl command."""
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj /CN=localhost -days 1"
    subprocess.run(
        [*command.split(), "-keyout", folder / "key", "-out", folder / "crt"], check=True, capture_output=True
    )
    return TlsServer(folder / "crt", folder / "key")


async def measure(url: str, seconds: int) -> float:
    """Requests per second as wrk counts them."""
    arguments = ["-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", url]
    wrk = await asyncio.create_subprocess_exec("wrk", *arguments, stdout=subprocess.PIPE)
    output = (await wrk.communicate())[0].decode()
    found = re.search(r"Requests/sec:\s+([\d.]+)", output)
    assert found, output
    assert "Non-2xx" not in output, output
    assert "Socket errors" not in output, output
    return float(found[1])


async def main(seconds: int) -> None:
    """Measure and print."""
    figures = {}
    with tempfile.TemporaryDirectory() as folder:
        for name, work, tls in (
            ("plain", handler, None),
            ("plain_task_per_request", slow_handler, None),
            ("tls", handler, certificate(Path(folder))),
        ):
            async with await serve(work, tls=tls) as server:
                scheme = "https" if tls else "http"
                figures[name] = round(await measure(f"{scheme}://127.0.0.1:{server.port}/api/v1/pods", seconds))
    print(json.dumps({"requests_per_second": figures, "connections": CONNECTIONS, "body_bytes": len(BODY)}))


if __name__ == "__main__":
    if shutil.which("wrk") is None:
        sys.exit("wrk is not installed: apt-get install wrk")
    run(main(int(sys.argv[1]) if len(sys.argv) > 1 else 5))
