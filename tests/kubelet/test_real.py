"""The kubelet with real containers: what only a kernel and containerd can show."""

import asyncio
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.kubelet.worlds import phase, ready, state_of, waiting, world

from kaa.cluster.preflight import preflight
from kaa.http.api import Disconnected
from kaa.http.inprocess import InProcess
from kaa.http.spdy import SpdySession
from kaa.http.websocket import WebSocket, connect
from kaa.kubelet.cri.grpc import GrpcRuntime
from kaa.kubelet.server import NodeServer
from kaa.testing.real_node import real_node

pytestmark = pytest.mark.e2e


@asynccontextmanager
async def real() -> AsyncIterator[Any]:
    """A world whose runtime is a containerd of its own."""
    missing = preflight()
    assert not missing, "; ".join(map(str, missing))
    async with AsyncExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="kaa-k-")))
        node = await stack.enter_async_context(real_node(directory))
        runtime = GrpcRuntime(node.containerd.socket)
        stack.push_async_callback(runtime.close)
        w = await stack.enter_async_context(
            world(
                directory, runtime, manage_cgroups=True, manage_mounts=True, cgroup_root=node.cgroup_root,
                prefer_local_images=True,
            )
        )  # fmt: skip
        try:
            yield w
        finally:
            from kaa.kinds.views import Pod

            for pod in (await w.client.list(Pod, "default")).items:
                await w.delete(pod.name, grace_seconds=0 if pod.deleting else 1)
                await w.until_gone(pod.name, seconds=30)
            await w.settled_runtime()
            w.kubelet.parts.cgroups.teardown()


def shell(script: str, name: str = "web", **fields: Any) -> dict[str, Any]:
    return {"name": name, "image": "busybox", "imagePullPolicy": "Always", "command": ["sh", "-c", script], **fields}


TRAP = "trap 'echo bye; exit 0' TERM; "


def transport(w: Any) -> InProcess:
    server = NodeServer(w.kubelet)
    server._known = lambda _request: True  # type: ignore[method-assign]
    return InProcess(server)


async def test_a_day_in_the_life() -> None:
    async with real() as w:
        script = TRAP + "echo hello $WHO from $POD; echo oops >&2; cat /v/a; while :; do sleep 0.1; done"
        from kaa.kinds.views import ConfigMap, Secret

        await w.client.create(
            ConfigMap.resource, {"metadata": {"name": "cfg", "namespace": "default"}, "data": {"a": "from a file\n"}}
        )
        await w.client.create(
            Secret.resource, {"metadata": {"name": "s", "namespace": "default"}, "stringData": {"k": "hush"}}
        )
        began = time.monotonic()
        pod = await w.create(
            "web",
            volumes=[
                {"name": "v", "configMap": {"name": "cfg"}},
                {"name": "s", "secret": {"secretName": "s"}},
                {"name": "m", "emptyDir": {"medium": "Memory", "sizeLimit": "1Mi"}},
            ],
            securityContext={"fsGroup": 1234},
            containers=[
                shell(
                    script,
                    env=[
                        {"name": "WHO", "value": "world"},
                        {"name": "POD", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
                    ],
                    resources={"limits": {"cpu": "500m", "memory": "64Mi"}},
                    volumeMounts=[
                        {"name": "v", "mountPath": "/v"},
                        {"name": "s", "mountPath": "/s"},
                        {"name": "m", "mountPath": "/m"},
                        {"name": "m", "mountPath": "/sub", "subPath": "x/y"},
                    ],
                    readinessProbe={"exec": {"command": ["test", "-f", "/s/k"]}, "periodSeconds": 1},
                )
            ],
        )
        obj = await w.until("web", ready, seconds=30)
        print(f"ready after {time.monotonic() - began:.3f} s")
        ip = obj["status"]["podIP"]
        assert obj["status"]["qosClass"] == "Guaranteed"
        node = transport(w)
        log = (await node.call("GET", "/containerLogs/default/web/web")).body.decode()
        assert f"hello world from {ip}" in log and "oops" in log and "from a file" in log
        tail = await node.call("GET", "/containerLogs/default/web/web", query="tailLines=1&timestamps=true")
        assert tail.body.count(b"\n") == 1 and tail.body[:2] == b"20"

        async def sh(script: str) -> str:
            reply = await w.runtime.exec_sync(w.kubelet.pods.find("default", "web").seen.latest("web").id,
                                              ["sh", "-c", script], 10)  # fmt: skip
            return (reply.stdout + reply.stderr).decode()

        assert (
            await sh("cat /s/k; stat -c %g:%a /s/k/ /m 2>/dev/null; stat -Lc %g:%a /s/k") == "hush1234:2777\n1234:644\n"
        )
        assert "tmpfs" in await sh("grep ' /m ' /proc/mounts")
        assert await sh("echo 1 > /sub/f; cat /m/x/y/f") == "1\n"
        assert "10.96.0.10" in await sh("cat /etc/resolv.conf")
        assert f"{ip}\tweb" in await sh("cat /etc/hosts")
        assert (await sh("cat /dev/termination-log; echo $KUBERNETES_SERVICE_HOST")).strip() == "10.96.0.1"
        # An update reaches the file by itself.
        await w.client.patch(ConfigMap.resource, "cfg", {"data": {"a": "new"}}, namespace="default")
        async with asyncio.timeout(5):
            while await sh("cat /v/a") != "new":
                await asyncio.sleep(0.05)

        # exec: standard input ends, the exit code comes back.
        socket = await connect(
            node, "/exec/default/web/web", subprotocols=("v5.channel.k8s.io",),
            query="command=sh&command=-c&command=cat;%20exit%203&stdin=true&stdout=true&stderr=true",
        )  # fmt: skip
        payload = b"x" * 300_000
        for at in range(0, len(payload), 32768):
            await socket.send(b"\x00" + payload[at : at + 32768])
        await socket.send(b"\xff\x00")
        got = b""
        status = b""
        async with asyncio.timeout(10):
            while (message := await socket.receive()) is not None:
                assert isinstance(message, bytes)
                if message[0] == 1:
                    got += message[1:]
                elif message[0] == 3:
                    status = message[1:]
        assert got == payload
        assert b'"message":"3"' in status

        # A terminal that is resized.
        socket = await connect(
            node, "/exec/default/web/web", subprotocols=("v5.channel.k8s.io",),
            query="command=sh&stdin=true&stdout=true&tty=true",
        )  # fmt: skip
        await socket.send(b'\x04{"Width":133,"Height":44}')
        await asyncio.sleep(0.2)
        await socket.send(b"\x00stty size; exit\n")
        got = b""
        async with asyncio.timeout(10):
            while (message := await socket.receive()) is not None:
                assert isinstance(message, bytes)
                got += message[1:] if message[0] == 1 else b""
        assert b"44 133" in got

        # Another kubelet takes over without a restart.
        before = await w.pod("web")
        await w.kill()
        await w.start()
        await asyncio.sleep(0.5)
        after = await w.pod("web")
        assert after["status"]["containerStatuses"] == before["status"]["containerStatuses"]

        await w.delete("web")
        began = time.monotonic()
        await w.until_gone("web", seconds=30)
        print(f"gone after {time.monotonic() - began:.3f} s")
        assert pod["metadata"]["uid"] not in [p.name for p in w.settings.pods_dir.iterdir()]


async def test_ends_and_restarts() -> None:
    async with real() as w:
        await w.create(
            "job", restartPolicy="Never",
            containers=[shell("echo why > /dev/termination-log; exit 7")],
        )  # fmt: skip
        obj = await w.until("job", phase("Failed"), seconds=30)
        ended = state_of(obj, "web")["state"]["terminated"]
        assert (ended["exitCode"], ended["reason"], ended["message"]) == (7, "Error", "why\n")

        await w.create(
            "oom", restartPolicy="Never",
            containers=[shell("tail /dev/zero", resources={"limits": {"memory": "16Mi"}})],
        )  # fmt: skip
        obj = await w.until("oom", phase("Failed"), seconds=30)
        assert state_of(obj, "web")["state"]["terminated"]["reason"] == "OOMKilled"

        await w.create(
            "loop",
            containers=[shell("sleep 0.3; echo last words; exit 1", terminationMessagePolicy="FallbackToLogsOnError")],
        )
        obj = await w.until("loop", waiting("web", "CrashLoopBackOff"), seconds=30)
        assert state_of(obj, "web")["lastState"]["terminated"]["message"] == "last words\n"

        await w.create("none", containers=[{"name": "web", "image": "busybox", "command": ["/nope"]}])
        await w.until("none", lambda o: "lastState" in str(o) and state_of(o, "web")["lastState"], seconds=30)

        serve = TRAP + "mkdir /w; cd /w; echo ok > ready; httpd -p 8080; while :; do sleep 0.1; done"
        http = {"httpGet": {"path": "/ready", "port": 8080}, "periodSeconds": 1, "failureThreshold": 1}
        await w.create(
            "live", containers=[shell(serve, livenessProbe=http, startupProbe=http | {"failureThreshold": 30})]
        )
        await w.until("live", ready, seconds=30)
        worker = w.kubelet.pods.find("default", "live")
        await w.runtime.exec_sync(worker.seen.latest("web").id, ["rm", "/w/ready"], 5)
        await w.until("live", lambda o: state_of(o, "web")["restartCount"] == 1 and ready(o), seconds=30)
        assert "Liveness probe failed: HTTP probe failed with statuscode: 404" in w.heard.of("Unhealthy")


async def test_pods_start_quickly() -> None:
    """Prints how long; the budget itself is checked by the benchmarks."""
    async with real() as w:
        began = time.monotonic()
        for index in range(10):
            await w.create(f"p{index}", containers=[shell(TRAP + "while :; do sleep 0.1; done")])
        for index in range(10):
            await w.until(f"p{index}", ready, seconds=60)
        print(f"10 pods after {time.monotonic() - began:.3f} s")


class Tunnel:
    """A raw connection within WebSocket messages: the client's side of kubectl's port-forward."""

    def __init__(self, socket: WebSocket) -> None:
        self._socket = socket
        self._rest = b""
        self.closed = asyncio.Event()

    async def readexactly(self, count: int) -> bytes:
        while len(self._rest) < count:
            message = await self._socket.receive()
            if message is None:
                raise Disconnected("closed")
            assert isinstance(message, bytes)
            self._rest += message
        data, self._rest = self._rest[:count], self._rest[count:]
        return data

    def write(self, data: bytes) -> None:
        self._socket.send_soon(data)

    async def drain(self) -> None:
        await self._socket.connection.drain()

    def close(self) -> None:
        self._socket.connection.close()


async def test_streams_refusals_and_ends() -> None:
    async with real() as w:
        node = transport(w)
        wait = "while :; do sleep 0.05; done"
        note = "trap 'cut -d. -f1,2 /proc/uptime > /s/{0}; exit 0' TERM; " + wait
        serve = "mkdir /w; echo hi > /w/x; httpd -p 8080 -h /w; " + note.format("app")
        mount = {"volumeMounts": [{"name": "s", "mountPath": "/s"}]}
        hook = {"preStop": {"exec": {"command": ["sh", "-c", "sleep 0.3; cat /proc/uptime > /s/hook"]}}}
        shared = w.settings.root_dir.parent / "shared"
        shared.mkdir()
        await w.create(
            "web",
            terminationGracePeriodSeconds=20,
            volumes=[{"name": "s", "hostPath": {"path": str(shared), "type": "Directory"}}],
            initContainers=[
                shell(note.format("side1"), "side1", restartPolicy="Always", **mount),
                shell(note.format("side2"), "side2", restartPolicy="Always", **mount),
            ],
            containers=[
                shell(serve, lifecycle=hook, **mount, readinessProbe={"tcpSocket": {"port": 8080}, "periodSeconds": 1})
            ],
        )
        await w.until("web", ready, seconds=30)

        # Port-forward, as kubectl does it: SPDY within a WebSocket.
        socket = await connect(node, "/portForward/default/web", subprotocols=("SPDY/3.1+portforward.k8s.io",))
        session = SpdySession(Tunnel(socket))  # type: ignore[arg-type]
        errors = session.open_soon({"streamType": "error", "port": "8080", "requestID": "0"})
        errors.finish()
        data = session.open_soon({"streamType": "data", "port": "8080", "requestID": "0"})
        await data.write(b"GET /x HTTP/1.0\r\n\r\n")
        async with asyncio.timeout(10):
            assert b"hi\n" in await data.read_all()
        await session.close()

        # SPDY all the way, as older clients do it.
        upgraded = await node.upgrade(
            "POST", "/exec/default/web/web", protocol="SPDY/3.1",
            query="command=cat&input=1&output=1", headers=[("X-Stream-Protocol-Version", "v4.channel.k8s.io")],
        )  # fmt: skip
        assert upgraded.headers["x-stream-protocol-version"] == "v4.channel.k8s.io"
        session = SpdySession(upgraded.connection)
        error, stdin, stdout = [session.open_soon({"streamType": each}) for each in ("error", "stdin", "stdout")]
        await stdin.write(b"through and through")
        stdin.finish()
        async with asyncio.timeout(10):
            assert await stdout.read_all() == b"through and through"
            assert b"Success" in await error.read_all()
        await session.close()

        for name, pod, reason, text in (
            ("root", {"securityContext": {"runAsNonRoot": True}, "containers": [shell(wait)]},
             "CreateContainerConfigError", "container has runAsNonRoot and image will run as root"),
            ("never", {"containers": [shell(wait) | {"image": "nope:1", "imagePullPolicy": "Never"}]},
             "ErrImageNeverPull", 'Container image "nope:1" is not present with pull policy of Never'),
            ("type", {"volumes": [{"name": "h", "hostPath": {"path": str(shared), "type": "File"}}],
                      "containers": [shell(wait)]},
             "ContainerCreating", "hostPath type check failed"),
        ):  # fmt: skip
            await w.create(name, **pod)
            obj = await w.until(name, lambda o, t=text: t in str(o["status"]), seconds=20)
            assert state_of(obj, "web")["state"]["waiting"]["reason"] == reason

        await w.delete("web")
        await w.until_gone("web", seconds=30)
        times = [float((shared / each).read_text().split()[0]) for each in ("hook", "app", "side2", "side1")]
        assert times == sorted(times)


async def test_logs_across_restarts() -> None:
    async with real() as w:
        node = transport(w)
        await w.create("web", containers=[shell("echo one; sleep 0.2; echo two; exit 1")])
        await w.until("web", lambda o: state_of(o, "web")["restartCount"] == 1, seconds=20)
        followed = (await node.call("GET", "/containerLogs/default/web/web", query="follow=true")).body
        assert followed == b"one\ntwo\n"
        previous = (await node.call("GET", "/containerLogs/default/web/web", query="previous=true")).body
        assert previous == b"one\ntwo\n"
        missing = await node.call("GET", "/containerLogs/default/web/nope")
        assert missing.status == 400
        summary = await node.call("GET", "/stats/summary")
        assert b'"nodeName"' in summary.body
        stranger = InProcess(NodeServer(w.kubelet))
        assert (await stranger.call("GET", "/pods")).status == 401
        assert (await stranger.call("GET", "/healthz")).body == b"ok"
