"""A listening server with certificates, in a thread of its own, and kubectl against it."""

import asyncio
import base64
import os
import subprocess
import sys
import threading
from pathlib import Path

from kaa.cluster.pki import Authority
from kaa.http.tls import TlsServer
from kaa.server.server import ApiServer, ServerSettings
from kaa.store.factory import open_store

#: The oldest kubectl supported (fetched by `tools/older_kubectl.py`) and today's, from its wheel.
FOUND = {
    "1.32": str(Path(sys.prefix) / "kubectl-1.32" / "kubectl"),
    "today": str(Path(sys.prefix) / "bin" / "kubectl"),
}

CONFIG = """apiVersion: v1
kind: Config
clusters: [{{name: kaa, cluster: {{server: "https://127.0.0.1:{port}", certificate-authority-data: {ca}}}}}]
users: [{{name: admin, user: {{client-certificate-data: {certificate}, client-key-data: {key}}}}}]
contexts: [{{name: kaa, context: {{cluster: kaa, user: admin}}}}]
current-context: kaa
"""


class LiveServer:
    """Started by `start`, stopped by `stop`; everything it writes is under `directory`."""

    def __init__(self, directory: Path, url: str = "memory:") -> None:
        self.directory = directory
        self.url = url
        self.kubeconfig = directory / "kubeconfig"
        self.server: ApiServer
        self._loop: asyncio.AbstractEventLoop
        self._stop: asyncio.Event
        self._failed: BaseException | None = None
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, name="api-server")

    def start(self) -> None:
        self._thread.start()
        assert self._ready.wait(20)
        if self._failed is not None:
            raise self._failed

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(20)
        assert not self._thread.is_alive()

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        except BaseException as error:
            self._failed = error
            self._ready.set()

    async def _serve(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        authority = Authority(self.directory, "ca", "kubernetes")
        certificate, key = authority.server_files("apiserver", "kube-apiserver", ["localhost", "127.0.0.1"])
        admin = authority.client("kubernetes-admin", ["system:masters"])
        store = await open_store(self.url)
        self.server = ApiServer(
            store, ServerSettings(secure_port=0), tls=TlsServer(certificate, key, authority.certificate_path)
        )
        await self.server.start()
        encode = lambda raw: base64.b64encode(raw).decode()  # noqa: E731
        self.kubeconfig.write_text(
            CONFIG.format(
                port=self.server.port,
                ca=encode(authority.pem),
                certificate=encode(admin.certificate),
                key=encode(admin.key),
            )
        )
        self._ready.set()
        try:
            await self._stop.wait()
        finally:
            await self.server.stop(grace_seconds=0.5)  # idle clients do not answer a TLS goodbye
            await store.close()


class Kubectl:
    """One kubectl binary against one server."""

    def __init__(self, binary: str, server: LiveServer) -> None:
        self.binary = binary
        home = server.directory / "home"
        home.mkdir(exist_ok=True)
        self.environment = {"PATH": os.environ["PATH"], "HOME": str(home), "KUBECONFIG": str(server.kubeconfig)}

    def run(self, *arguments: str, text: str = "", code: int | None = 0, **environment: str) -> str:
        """Its standard output; fails unless it ends with `code` (None: any)."""
        done = subprocess.run(
            [self.binary, *arguments],
            input=text,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            env={**self.environment, **environment},
        )
        assert code is None or done.returncode == code, f"{arguments}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        self.errors = done.stderr
        return done.stdout

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """One that goes on; the caller ends it."""
        return subprocess.Popen(
            [self.binary, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=self.environment
        )
