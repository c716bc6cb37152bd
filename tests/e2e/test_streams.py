"""logs, exec, attach, cp, port-forward, debug and the proxies, with real kubectls against real containers."""

import base64
import fcntl
import hashlib
import http.client
import json
import os
import pty
import re
import select
import signal
import socket
import struct
import subprocess
import termios
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from tests.e2e.world import KUBECTLS, Cluster

pytestmark = pytest.mark.e2e
NAMESPACE = "streams"
LOOP = "trap 'exit 0' TERM; while true; do sleep 1 & wait; done"
PODS = f"""
apiVersion: v1
kind: Pod
metadata: {{name: one, namespace: streams}}
spec:
  terminationGracePeriodSeconds: 1
  containers: [{{name: main, image: "busybox:1.36", command: [sh, -c, "echo one; echo two; echo three; {LOOP}"]}}]
---
apiVersion: v1
kind: Pod
metadata: {{name: several, namespace: streams}}
spec:
  terminationGracePeriodSeconds: 1
  initContainers: [{{name: first, image: "busybox:1.36", command: [echo, first]}}]
  containers:
  - {{name: a, image: "busybox:1.36", command: [sh, -c, "echo from a; {LOOP}"]}}
  - {{name: b, image: "busybox:1.36", command: [sh, -c, "echo from b; {LOOP}"]}}
---
apiVersion: v1
kind: Pod
metadata: {{name: again, namespace: streams}}
spec:
  terminationGracePeriodSeconds: 1
  containers:
  - name: main
    image: "busybox:1.36"
    volumeMounts: [{{name: kept, mountPath: /kept}}]
    command: [sh, -c, "test -f /kept/x && {{ echo second; {LOOP}; }}; touch /kept/x; echo the first try; exit 3"]
  volumes: [{{name: kept, emptyDir: {{}}}}]
---
apiVersion: v1
kind: Pod
metadata: {{name: stuck, namespace: streams}}
spec:
  containers: [{{name: main, image: "nowhere.invalid/none:1", imagePullPolicy: Never}}]
---
apiVersion: v1
kind: Pod
metadata: {{name: web, namespace: streams, labels: {{app: web}}}}
spec:
  terminationGracePeriodSeconds: 1
  containers:
  - {{name: main, image: "kaa/demo:v1", ports: [{{name: http, containerPort: 8080}}]}}
  - name: files
    image: "busybox:1.36"
    command: [sh, -c, "mkdir /w; cd /w; echo '<a href=\\"/b\\">' > index.html; dd if=/dev/urandom of=big bs=1M count=20; echo ready; exec httpd -f -p 8090"]
---
apiVersion: v1
kind: Service
metadata: {{name: web, namespace: streams}}
spec:
  selector: {{app: web}}
  ports: [{{name: http, port: 81, targetPort: http}}, {{name: files, port: 82, targetPort: 8090}}]
---
apiVersion: v1
kind: Pod
metadata: {{name: shell, namespace: streams}}
spec:
  terminationGracePeriodSeconds: 1
  containers: [{{name: main, image: "busybox:1.36", command: [sh], stdin: true, tty: true}}]
"""  # noqa: E501


@dataclass
class Kubectl:
    """One kubectl, over WebSocket or SPDY, in the namespace of these tests."""

    binary: str
    environment: dict[str, str]
    words: list[str] = field(default_factory=lambda: ["-n", NAMESPACE])

    def bytes(self, *words: str, data: bytes = b"", code: int | None = 0, seconds: float = 60) -> tuple[bytes, str]:
        done = subprocess.run(
            [self.binary, *self.words, *words],
            input=data, capture_output=True, env=self.environment, timeout=seconds, check=False,
        )  # fmt: skip
        said = done.stderr.decode()
        assert code is None or done.returncode == code, f"{words}: {done.returncode}\n{done.stdout[:2000]!r}\n{said}"
        return done.stdout, said

    def out(self, *words: str, data: bytes = b"", code: int | None = 0) -> str:
        return self.bytes(*words, data=data, code=code)[0].decode()

    def err(self, *words: str, data: bytes = b"", code: int | None = 1) -> str:
        return self.bytes(*words, data=data, code=code)[1]

    def start(self, *words: str, **more: object) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [self.binary, *self.words, *words],
            env=self.environment, stdin=more.get("stdin", subprocess.PIPE),
            stdout=more.get("stdout", subprocess.PIPE), stderr=more.get("stderr", subprocess.STDOUT),
        )  # fmt: skip

    @contextmanager
    def forwarding(self, target: str, *remotes: int) -> Iterator[list[int]]:
        """Local ports that lead to the remote ones."""
        process = self.start("port-forward", target, *(f":{each}" for each in remotes))
        assert process.stdout is not None
        try:
            found: list[int] = []
            while len(found) < len(remotes):
                line = process.stdout.readline().decode()
                assert line, "port-forward ended"
                if told := re.search(r"127\.0\.0\.1:(\d+) ->", line):
                    found.append(int(told[1]))
            threading.Thread(target=process.stdout.read, daemon=True).start()
            yield found
        finally:
            process.terminate()
            process.wait(10)


@pytest.fixture(scope="module")
def streams(real: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    manifest = tmp_path_factory.mktemp("streams") / "pods.yaml"
    manifest.write_text(PODS)
    real.kubectl("create", "namespace", NAMESPACE)
    try:
        until(lambda: "default" in real.kubectl("get", "serviceaccounts", "-n", NAMESPACE))
        real.kubectl("apply", "-f", str(manifest))
        for pod in ("one", "several", "web", "shell"):
            real.kubectl("wait", "-n", NAMESPACE, "--for=condition=Ready", f"pod/{pod}", "--timeout=60s")
        until(lambda: "ready" in real.kubectl("logs", "-n", NAMESPACE, "web", "-c", "files"))
        yield real
    finally:
        real.kubectl("delete", "namespace", NAMESPACE, "--timeout=90s")


@pytest.fixture(params=["1.32", "today", "1.32-spdy", "today-spdy"])
def kubectl(request: pytest.FixtureRequest, streams: Cluster) -> Kubectl:
    version, _, spdy = request.param.partition("-")
    on = "false" if spdy else "true"
    return Kubectl(
        KUBECTLS[version],
        {
            **os.environ,
            "KUBECONFIG": str(streams.home.kubeconfig),
            "KUBECTL_REMOTE_COMMAND_WEBSOCKETS": on,
            "KUBECTL_PORT_FORWARD_WEBSOCKETS": on,
        },
    )


@pytest.fixture
def plain(streams: Cluster) -> Kubectl:
    """The kubectl of today, for what does not depend on the way."""
    return Kubectl(KUBECTLS["today"], {**os.environ, "KUBECONFIG": str(streams.home.kubeconfig)})


def until(check: Callable[[], bool], seconds: float = 30.0) -> None:
    deadline = time.monotonic() + seconds
    while True:
        try:
            if check():
                return
        except (OSError, AssertionError, http.client.HTTPException):
            pass
        assert time.monotonic() < deadline, "not so in time"
        time.sleep(0.1)


# --- logs -------------------------------------------------------------------------------------------------------------


@pytest.mark.conformance("Kubectl, logs")
def test_logs_and_their_filters(plain: Kubectl) -> None:
    assert plain.out("logs", "one") == "one\ntwo\nthree\n"
    assert plain.out("logs", "one", "--tail=1") == "three\n"
    assert plain.out("logs", "one", "--tail=0") == ""
    assert plain.out("logs", "one", "--limit-bytes=5") == "one\nt"
    stamped = plain.out("logs", "one", "--timestamps", "--tail=1")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+(Z|[+-]\d\d:\d\d) three\n", stamped)
    assert plain.out("logs", "one", "--since=24h") == "one\ntwo\nthree\n"
    time.sleep(1.1)
    assert plain.out("logs", "one", "--since=1s") == ""
    # kubectl sends whole seconds.
    assert plain.out("logs", "one", f"--since-time={stamped.split()[0]}", "--tail=1") == "three\n"
    assert plain.out("logs", "one", "--since-time=2126-01-01T00:00:00Z") == ""
    assert plain.out("logs", "one", "--prefix", "--tail=1") == "[pod/one/main] three\n"


def test_which_container_is_meant(plain: Kubectl) -> None:
    # kubectl takes the first one itself; other clients are told to choose.
    answer = plain.err("get", "--raw", f"/api/v1/namespaces/{NAMESPACE}/pods/several/log")
    assert "a container name must be specified for pod several, choose one of: [a b]" in answer
    assert "or one of the init containers: [first]" in answer
    assert plain.out("logs", "several", "-c", "b") == "from b\n"
    assert plain.out("logs", "several", "-c", "first") == "first\n"
    every = plain.out("logs", "several", "--all-containers", "--prefix").splitlines()
    assert sorted(every) == ["[pod/several/a] from a", "[pod/several/b] from b", "[pod/several/first] first"]
    assert "container nope is not valid for pod several" in plain.err("logs", "several", "-c", "nope")


def test_the_log_of_a_container_that_waits_or_was_before(plain: Kubectl) -> None:
    until(lambda: "second" in plain.out("logs", "again"))
    assert plain.out("logs", "again", "-p") == "the first try\n"
    assert 'previous terminated container "main" in pod "one" not found' in plain.err("logs", "one", "-p")
    until(lambda: "waiting" in plain.out("get", "pod", "stuck", "-o", "jsonpath={.status.containerStatuses[*].state}"))
    told = plain.err("logs", "stuck")
    assert re.search(r'\(BadRequest\): container "main" in pod "stuck" is waiting to start: \w+', told), told


def test_a_followed_log_ends_with_its_container(plain: Kubectl) -> None:
    count = "for i in 1 2 3 4 5; do echo $i; sleep 0.1; done"
    plain.out("run", "counting", "--image=busybox:1.36", "--restart=Never", "--", "sh", "-c", count)
    until(lambda: "1" in plain.out("logs", "counting", code=None))
    assert plain.out("logs", "-f", "counting") == "1\n2\n3\n4\n5\n"
    plain.out("delete", "pod", "counting", "--grace-period=1")


# --- exec -------------------------------------------------------------------------------------------------------------


def test_exec_streams_and_exit_codes(kubectl: Kubectl) -> None:
    both = kubectl.bytes("exec", "one", "--", "sh", "-c", "echo out; echo err >&2; exit 7", code=7)
    assert both[0] == b"out\n"
    assert both[1].splitlines() == ["err", "command terminated with exit code 7"]
    assert kubectl.out("exec", "-i", "one", "--", "cat", data=b"as it came\n") == "as it came\n"
    assert kubectl.out("exec", "-i", "one", "--", "wc", "-c", data=b"") == "0\n"
    assert "executable file not found" in kubectl.err("exec", "one", "--", "no-such-program", code=None)
    assert kubectl.out("exec", "several", "-c", "b", "--", "hostname") == "several\n"
    assert "container not found" in kubectl.err("exec", "several", "-c", "first", "--", "true")


def test_fifty_megabytes_both_ways(kubectl: Kubectl) -> None:
    data = os.urandom(50 * 1024 * 1024)
    assert kubectl.bytes("exec", "-i", "one", "--", "cat", data=data)[0] == data
    told = kubectl.out("exec", "-i", "one", "--", "md5sum", data=data).split()[0]
    assert told == hashlib.md5(data, usedforsecurity=False).hexdigest()


@contextmanager
def terminal(kubectl: Kubectl, *words: str, rows: int = 33, columns: int = 77) -> Iterator["Terminal"]:
    pid, descriptor = pty.fork()
    if pid == 0:
        os.execve(kubectl.binary, [kubectl.binary, *kubectl.words, *words], kubectl.environment)
    shown = Terminal(pid, descriptor)
    shown.resize(rows, columns)
    try:
        yield shown
    finally:
        try:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
        except (ProcessLookupError, ChildProcessError):
            pass
        os.close(descriptor)


@dataclass
class Terminal:
    pid: int
    descriptor: int
    seen: str = ""

    def resize(self, rows: int, columns: int) -> None:
        fcntl.ioctl(self.descriptor, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def type(self, text: str) -> None:
        os.write(self.descriptor, text.encode())

    def expect(self, pattern: str, seconds: float = 15.0) -> None:
        deadline = time.monotonic() + seconds
        while not re.search(pattern, self.seen):
            assert time.monotonic() < deadline, f"no {pattern!r} in {self.seen!r}"
            if select.select([self.descriptor], [], [], 0.2)[0]:
                try:
                    self.seen += os.read(self.descriptor, 65536).decode(errors="replace")
                except OSError:  # the other side has closed its terminal
                    assert re.search(pattern, self.seen), self.seen
                    return


def test_a_terminal_and_its_size(kubectl: Kubectl) -> None:
    with terminal(kubectl, "exec", "-it", "one", "--", "sh") as shown:
        shown.expect("/ # ")

        def sized(rows: int, columns: int) -> bool:
            shown.resize(rows, columns)
            os.kill(shown.pid, signal.SIGWINCH)
            time.sleep(0.2)
            shown.seen = ""
            shown.type("stty size; echo done$((1+1))\n")
            shown.expect("done2")
            return f"{rows} {columns}" in shown.seen

        until(lambda: sized(33, 77), 10)
        until(lambda: sized(20, 50), 10)
        shown.type("exit 5\n")
        _, status = os.waitpid(shown.pid, 0)
        assert os.waitstatus_to_exitcode(status) == 5


def test_attach(kubectl: Kubectl) -> None:
    with terminal(kubectl, "attach", "-it", "shell") as shown:
        shown.type("echo $((40+2))\n")
        shown.expect(r"42\s")
    once = kubectl.out(
        "run", "piped", "--rm", "-i", "-q", "--restart=Never", "--image=busybox:1.36", "--", "sh", "-c",
        "sleep 1; cat", data=b"through\n",
    )  # fmt: skip
    assert "through" in once


@pytest.mark.conformance("Ephemeral Container Creation")
def test_debug(plain: Kubectl) -> None:
    words = ("debug", "one", "--image=busybox:1.36", "--target=main", "-c", "doctor", "-it", "--", "sh")
    with terminal(plain, *words) as shown:
        shown.type("ps\n")
        shown.expect(r"sleep 1")  # the target's processes are seen
        shown.type("exit\n")
        os.waitpid(shown.pid, 0)
    state = "jsonpath={.status.ephemeralContainerStatuses[0].state.terminated.exitCode}"
    until(lambda: plain.out("get", "pod", "one", "-o", state) == "0")


# --- cp ---------------------------------------------------------------------------------------------------------------


def test_cp_both_ways(kubectl: Kubectl, tmp_path: Path) -> None:
    source = tmp_path / "source"
    (source / "deep" / "er").mkdir(parents=True)
    (source / "deep" / "er" / "file with spaces").write_bytes(b"text")
    (source / "big").write_bytes(os.urandom(20 * 1024 * 1024))
    (source / "link").symlink_to("big")
    there = f"/tmp/{tmp_path.name}"
    kubectl.out("cp", str(source), f"one:{there}")
    listed = kubectl.out("exec", "one", "--", "find", there).split("\n")
    assert f"{there}/deep/er/file with spaces" in listed
    assert kubectl.out("exec", "one", "--", "readlink", f"{there}/link") == "big\n"
    kubectl.out("cp", f"one:{there}", str(tmp_path / "back"))
    for name in ("big", "deep/er/file with spaces"):
        assert (tmp_path / "back" / name).read_bytes() == (source / name).read_bytes()
    kubectl.out("cp", f"one:{there}/big", str(tmp_path / "single"))
    assert (tmp_path / "single").read_bytes() == (source / "big").read_bytes()
    kubectl.out("exec", "one", "--", "rm", "-r", there)


# --- port-forward -----------------------------------------------------------------------------------------------------


def fetch(port: int, path: str = "/", host: str = "127.0.0.1") -> bytes:
    connection = http.client.HTTPConnection(host, port, timeout=20)
    try:
        connection.request("GET", path, headers={"Connection": "close"})
        answer = connection.getresponse()
        assert answer.status == 200, answer.status
        return answer.read()
    finally:
        connection.close()


def test_port_forward(kubectl: Kubectl) -> None:
    with kubectl.forwarding("pod/web", 8080, 8090) as (demo, files):
        assert fetch(demo) == b"v1 web\n"
        big = hashlib.md5(fetch(files, "/big"), usedforsecurity=False).hexdigest()
        assert kubectl.out("exec", "web", "-c", "files", "--", "md5sum", "/w/big").split()[0] == big
        with ThreadPoolExecutor(24) as pool:
            assert set(pool.map(lambda _: fetch(demo), range(48))) == {b"v1 web\n"}
    with kubectl.forwarding("service/web", 81) as (demo,):
        assert fetch(demo) == b"v1 web\n"


def test_port_forward_to_a_closed_port_says_so(kubectl: Kubectl) -> None:
    process = kubectl.start("port-forward", "pod/web", ":9")
    assert process.stdout is not None
    try:
        line = process.stdout.readline().decode()
        port = int(re.search(r":(\d+) ->", line)[1])  # type: ignore[index]
        with socket.create_connection(("127.0.0.1", port), timeout=10) as asked:
            asked.sendall(b"x")
            asked.settimeout(10)
            try:
                assert asked.recv(1) == b""
            except ConnectionResetError:
                pass
        said = ""
        while "connection refused" not in said:
            line = process.stdout.readline().decode()
            assert line, said
            said += line
        assert "error forwarding port 9 to pod" in said
    finally:
        process.terminate()
        process.wait(10)


# --- proxies ----------------------------------------------------------------------------------------------------------


@contextmanager
def local_proxy(kubectl: Kubectl, *words: str) -> Iterator[str]:
    process = kubectl.start("proxy", *words)
    assert process.stdout is not None
    try:
        line = process.stdout.readline().decode()
        yield line.strip().rpartition(" ")[2]
    finally:
        process.terminate()
        process.wait(10)


@pytest.mark.conformance("Kubectl, proxy port zero")
@pytest.mark.conformance("Proxy through apiserver to a Service")
def test_through_kubectl_proxy(plain: Kubectl) -> None:
    with local_proxy(plain, "--port=0") as address:
        port = int(address.rpartition(":")[2])
        assert b"v1" in fetch(port, "/api")
        base = f"/api/v1/namespaces/{NAMESPACE}"
        for path in ("pods/web/proxy/", "pods/web:8080/proxy/", "pods/http:web:8080/proxy/", "services/web:81/proxy/",
                     "services/web:http/proxy/", "services/http:web:http/proxy/"):  # fmt: skip
            assert fetch(port, f"{base}/{path}") == b"v1 web\n", path
        page = fetch(port, f"{base}/services/web:files/proxy/")
        assert page == f'<a href="{base}/services/web:files/proxy/b">\n'.encode()
        big = fetch(port, f"{base}/pods/web:8090/proxy/big")
        assert len(big) == 20 * 1024 * 1024
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        connection.request("GET", f"{base}/pods/web/proxy?a=b")
        moved = connection.getresponse()
        assert (moved.status, moved.headers["Location"]) == (301, f"{base}/pods/web/proxy/?a=b")
        connection.close()
        node = json.loads(plain.out("get", "nodes", "-o", "json"))["items"][0]["metadata"]["name"]
        assert fetch(port, f"/api/v1/nodes/{node}/proxy/healthz") == b"ok"
        assert b'"PodList"' in fetch(port, f"/api/v1/nodes/{node}/proxy/pods")
    refused = plain.err("get", "--raw", f"{base}/pods/web:9/proxy/")
    assert "error trying to reach service: dial tcp" in refused
    assert "connection refused" in refused
    plain.out("create", "service", "clusterip", "empty", "--tcp=80")
    assert 'no endpoints available for service "empty' in plain.err("get", "--raw", f"{base}/services/empty/proxy/")


@pytest.mark.conformance("Kubectl, proxy socket")
def test_kubectl_proxy_on_a_socket(plain: Kubectl, tmp_path: Path) -> None:
    path = tmp_path / "proxy.sock"
    with local_proxy(plain, f"--unix-socket={path}"):
        asked = socket.socket(socket.AF_UNIX)
        with asked:
            asked.connect(str(path))
            asked.sendall(b"GET /api HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            answer = b""
            while data := asked.recv(65536):
                answer += data
        assert b'"v1"' in answer


# --- ends -------------------------------------------------------------------------------------------------------------


def connections_of(streams: Cluster) -> dict[str, int]:
    """Open sockets of the API server and the agent."""
    found = {}
    for part in ("server", "agent"):
        directory = Path(f"/proc/{streams.pids()[part]}/fd")
        links = [os.readlink(each) for each in directory.iterdir() if each.exists()]
        found[part] = sum(link.startswith("socket:") for link in links)
    return found


def test_nothing_is_left_of_clients_that_vanish(streams: Cluster, kubectl: Kubectl) -> None:
    kubectl.out("exec", "one", "--", "true")
    time.sleep(0.5)
    before = connections_of(streams)
    started = [
        kubectl.start("exec", "-i", "one", "--", "sh", "-c", "cat; sleep 300"),
        kubectl.start("exec", "one", "--", "yes"),  # nobody reads its output
        kubectl.start("logs", "-f", "one"),
        kubectl.start("attach", "one"),
        kubectl.start("port-forward", "pod/web", ":8080"),
    ]
    time.sleep(1.0)
    assert connections_of(streams)["server"] >= before["server"] + 5
    for each in started:
        each.send_signal(signal.SIGKILL)
        each.wait(10)
        for end in (each.stdin, each.stdout):
            assert end is not None
            end.close()

    def quiet() -> bool:
        now = connections_of(streams)
        # Parts keep connections of their own, which come and go by one or two.
        return all(now[part] <= before[part] + 2 for part in before)

    until(quiet, 20)


def test_streams_end_with_their_pod(kubectl: Kubectl) -> None:
    kubectl.out("run", "short", "--image=busybox:1.36", "--restart=Never", "--", "sh", "-c", LOOP)
    kubectl.out("wait", "--for=condition=Ready", "pod/short", "--timeout=30s")
    started = [kubectl.start("exec", "short", "--", "sleep", "300"), kubectl.start("logs", "-f", "short")]
    time.sleep(0.7)
    assert all(each.poll() is None for each in started)
    kubectl.out("delete", "pod", "short", "--grace-period=1")
    codes = [each.wait(15) for each in started]
    assert codes[0] == 137
    assert codes[1] == 0


# --- other clients ----------------------------------------------------------------------------------------------------


@pytest.mark.conformance("Pods, remote command execution over websocket")
@pytest.mark.conformance("Pods, logs from websockets")
def test_the_official_python_client(streams: Cluster) -> None:
    import kubernetes
    import websocket as websocket_client
    from kubernetes.stream import portforward, stream

    configuration = kubernetes.client.Configuration()
    kubernetes.config.load_kube_config(str(streams.home.kubeconfig), client_configuration=configuration)
    with kubernetes.client.ApiClient(configuration) as api:
        core = kubernetes.client.CoreV1Api(api)
        ask = core.connect_get_namespaced_pod_exec
        assert stream(ask, "one", NAMESPACE, command=["echo", "remote"], stdout=True, stderr=True) == "remote\n"
        session = stream(
            ask, "one", NAMESPACE, command=["sh"], stdin=True, stdout=True, stderr=True, tty=False,
            _preload_content=False,
        )  # fmt: skip
        session.write_stdin("echo out; echo err >&2; exit 4\n")
        session.run_forever(timeout=10)
        assert (session.read_stdout(), session.read_stderr(), session.returncode) == ("out\n", "err\n", 4)
        session.close()
        forward = portforward(core.connect_get_namespaced_pod_portforward, "web", NAMESPACE, ports="8080,9")
        tunnel = forward.socket(8080)
        tunnel.settimeout(10)
        tunnel.sendall(b"GET / HTTP/1.1\r\nHost: web\r\nConnection: close\r\n\r\n")
        answer = b""
        while data := tunnel.recv(65536):
            answer += data
        assert answer.endswith(b"v1 web\n")
        until(lambda: "connection refused" in (forward.error(9) or ""), 10)
        tunnel.close()

    def open_socket(path: str, protocol: str) -> list[bytes | str]:
        opened = websocket_client.create_connection(
            configuration.host.replace("https", "wss") + path,
            subprotocols=[protocol],
            sslopt={"ca_certs": configuration.ssl_ca_cert, "certfile": configuration.cert_file,
                    "keyfile": configuration.key_file},
            timeout=10,
        )  # fmt: skip
        assert opened.getsubprotocol() == protocol
        messages = []
        while True:
            code, message = opened.recv_data()
            if code == websocket_client.ABNF.OPCODE_CLOSE:
                opened.close()
                return messages
            messages.append(message)

    base = f"/api/v1/namespaces/{NAMESPACE}/pods/one"
    assert b"".join(open_socket(f"{base}/log?container=main", "binary.k8s.io")) == b"one\ntwo\nthree\n"
    said = open_socket(f"{base}/log", "base64.binary.k8s.io")
    assert b"".join(base64.b64decode(each) for each in said) == b"one\ntwo\nthree\n"
    command = f"{base}/exec?command=echo&command=remote&stdout=1"
    assert [each for each in open_socket(command, "channel.k8s.io") if len(each) > 1] == [b"\x01remote\n"]
    in_base64 = [each for each in open_socket(command, "v4.base64.channel.k8s.io") if len(each) > 1]
    assert in_base64[0] == b"1" + base64.b64encode(b"remote\n")
    assert b'"Success"' in base64.b64decode(in_base64[1][1:])
