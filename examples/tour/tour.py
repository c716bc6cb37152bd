"""The tour: what a beginner's guide to Kubernetes does, on this cluster, with the real kubectl. Printed as it goes.

Run it with `make demo` (or `kaa kubectl` on PATH as kubectl and KUBECONFIG set: `python examples/tour/tour.py`). Each
stop shows the commands and what they print, and checks what it claims: the tour ends with an error at the first
promise that is not kept. The same tour is a test (`tests/e2e/test_tour.py`).
"""

import http.client
import json
import os
import shlex
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

HERE = Path(__file__).parent
WAIT_SECONDS = 60.0
#: A shell that waits, and ends when it is asked to (as PID 1 it would not, without a trap).
SLEEP = "trap 'exit 0' TERM; while true; do sleep 1 & wait; done"


class NotKept(AssertionError):
    """The cluster did not do what the tour says it does."""


class Tour:
    """One walk through. `kubectl` is the command to run, as a list; `say` prints."""

    def __init__(self, kubectl: list[str], say: Callable[[str], None] = print) -> None:
        self.kubectl_command = kubectl
        self.say = say
        self.namespace = "tour"

    # --- saying and doing

    def title(self, text: str) -> None:
        self.say(f"\n## {text}")

    def kubectl(self, command: str, *, show: bool = True, fails: bool = False) -> str:
        """Run kubectl, show what it prints, and give it back."""
        if show:
            self.say(f"$ kubectl {command}")
        run = subprocess.run(
            [*self.kubectl_command, "--namespace", self.namespace, *shlex.split(command)],
            capture_output=True, text=True, timeout=90, check=False,
        )  # fmt: skip
        output = run.stdout + run.stderr
        if show:
            self.say(output.rstrip())
        if (run.returncode != 0) != fails:
            raise NotKept(f"kubectl {command}: exit {run.returncode}\n{output}")
        return output

    def read(self, command: str) -> dict:
        """An object, quietly."""
        return json.loads(self.kubectl(f"{command} -o json", show=False))

    def until(self, what: str, check: Callable[[], bool], seconds: float = WAIT_SECONDS) -> float:
        """Wait until something is so; how long it took."""
        start = time.monotonic()
        while True:
            try:
                if check():
                    return time.monotonic() - start
            except (OSError, NotKept, http.client.HTTPException):
                pass
            if time.monotonic() - start > seconds:
                raise NotKept(f"{what}: not so after {seconds:.0f} s")
            time.sleep(0.1)

    def holds(self, what: str, true: bool) -> None:
        if not true:
            raise NotKept(what)
        self.say(f"   ✓ {what}")

    # --- the stops

    def walk(self) -> None:
        """Every stop, in order; what was made is taken away at the end, also after an error."""
        self.kubectl(f"create namespace {self.namespace}")
        try:
            self.a_pod()
            self.a_deployment_and_its_service()
            self.scale()
            self.roll_out_and_back()
            self.settings_and_secrets()
            self.self_healing()
            self.readiness()
        finally:
            self.title("And away with it")
            self.kubectl(f"delete namespace {self.namespace} --wait=true --timeout=120s")

    def a_pod(self) -> None:
        """run, get, describe, logs, exec, delete."""
        self.title("A pod")
        self.until("the namespace has its service account", lambda: bool(self.read("get serviceaccount default")))
        self.kubectl(f'run hello --image=busybox:1.36 --restart=Never -- sh -c "echo hello from a pod; {SLEEP}"')
        self.kubectl("wait --for=condition=Ready pod/hello --timeout=60s")
        wide = self.kubectl("get pod hello -o wide")
        pod = self.read("get pod hello")
        placed = pod["status"]["podIP"] in wide and pod["spec"]["nodeName"] in wide
        self.holds("it runs, on a node, with an address", "Running" in wide and placed)
        described = self.kubectl("describe pod hello")
        for reason in ("Scheduled", "Pulled", "Created", "Started"):
            self.holds(f"its events tell that it was {reason.lower()}", reason in described)
        self.holds("its log is there", "hello from a pod" in self.kubectl("logs hello"))
        self.holds("a command runs inside", "inside" in self.kubectl("exec hello -- echo inside"))
        self.holds("and reads what it is sent", "PIPED" in self._piped("exec -i hello -- tr a-z A-Z", "piped\n"))
        api = self.kubectl("exec hello -- sh -c 'cat /var/run/secrets/kubernetes.io/serviceaccount/namespace'")
        self.holds("it knows its namespace from its service account", api.strip() == self.namespace)
        self.kubectl("delete pod hello")

    def _piped(self, command: str, text: str) -> str:
        self.say(f"$ echo {text.strip()} | kubectl {command}")
        run = subprocess.run([*self.kubectl_command, "--namespace", self.namespace, *shlex.split(command)], input=text,
                             capture_output=True, text=True, timeout=WAIT_SECONDS, check=False)  # fmt: skip
        self.say((run.stdout + run.stderr).rstrip())
        return run.stdout

    def a_deployment_and_its_service(self) -> None:
        """create, apply, expose; the service by name from a pod, by cluster IP and node port from the host."""
        self.title("A deployment, and a service in front of it")
        self.kubectl("create deployment plain --image=kaa/demo:v1 --replicas=2")
        self.kubectl("rollout status deployment/plain --timeout=60s")
        self.kubectl(f"apply -f {HERE / 'web.yaml'}")
        self.kubectl("rollout status deployment/web --timeout=60s")
        self.kubectl("expose deployment web --port=80 --target-port=8080 --type=NodePort")
        self.kubectl("get deployments,replicasets,pods,services,endpointslices -o wide")
        service = self.read("get service web")
        self.cluster_ip = service["spec"]["clusterIP"]
        self.node_port = service["spec"]["ports"][0]["nodePort"]
        self.node_ip = self.read("get nodes")["items"][0]["status"]["addresses"][0]["address"]
        self.until("the cluster IP answers the host", lambda: "v1" in self.ask(self.cluster_ip, 80))
        self.holds("the cluster IP answers the host", True)
        self.until("the node port answers", lambda: "v1" in self.ask(self.node_ip, self.node_port))
        self.holds("the node port answers", True)
        seen = {self.ask(self.cluster_ip, 80) for _ in range(12)}
        self.holds("three pods take turns", len(seen) == 3)
        self.kubectl(f'run client --image=busybox:1.36 --restart=Never -- sh -c "{SLEEP}"')
        self.kubectl("wait --for=condition=Ready pod/client --timeout=60s")
        for name in ("web", f"web.{self.namespace}", f"web.{self.namespace}.svc.cluster.local"):
            answer = self.kubectl(f"exec client -- wget -qO- http://{name}")
            self.holds(f"another pod reaches it as {name}", "v1" in answer)

    def scale(self) -> None:
        """scale, up and down."""
        self.title("More of it, and fewer")
        self.kubectl("scale deployment web --replicas=5")
        self.kubectl("rollout status deployment/web --timeout=60s")
        self.holds("five are ready", self.read("get deployment web")["status"]["readyReplicas"] == 5)
        self.kubectl("scale deployment web --replicas=3")
        self.until("three remain", lambda: self.read("get deployment web")["status"].get("replicas") == 3)
        self.holds("three remain", True)

    def roll_out_and_back(self) -> None:
        """set image, rollout status, history, undo, under load, without a failed request."""
        self.title("A new version, and back, while somebody keeps asking")
        with Load(self.cluster_ip, 80) as load:
            self.kubectl("set image deployment/web web=kaa/demo:v2")
            self.kubectl("annotate deployment/web kubernetes.io/change-cause='to v2'")
            self.kubectl("rollout status deployment/web --timeout=90s")
            self.until("v2 answers", lambda: "v2" in self.ask(self.cluster_ip, 80))
            history = self.kubectl("rollout history deployment/web")
            self.holds("the history knows both", "1 " in history and "2 " in history and "to v2" in history)
            self.kubectl("rollout undo deployment/web")
            self.kubectl("rollout status deployment/web --timeout=90s")
            self.until("v1 answers again", lambda: "v1" in self.ask(self.cluster_ip, 80))
            time.sleep(2.5)
        self.say(f"   {load.answered} requests, one connection each; by version: {load.versions}")
        self.holds("both versions answered", {"v1", "v2"} <= set(load.versions))
        self.holds(f"not one request failed {load.failures[:3] or ''}", not load.failures)

    def settings_and_secrets(self) -> None:
        """create configmap and secret from files, directories and literals; seen as variables and as files."""
        self.title("Settings and secrets")
        with tempfile.TemporaryDirectory() as scratch:
            folder = Path(scratch, "conf")
            folder.mkdir()
            (folder / "color").write_text("green\n")
            (folder / "shape").write_text("round\n")
            single = Path(scratch, "motd")
            single.write_text("be kind\n")
            self.kubectl(f"create configmap from-folder --from-file={folder}")
            self.kubectl(f"create configmap settings --from-literal=greeting=hello --from-file={single}")
            self.kubectl(f"create secret generic login --from-literal=password=s3cret --from-file={folder / 'color'}")
        data = self.read("get configmap from-folder")["data"]
        self.holds("a folder becomes a map, a file a key", data == {"color": "green\n", "shape": "round\n"})
        self.kubectl(f"apply -f {HERE / 'reader.yaml'}")
        self.kubectl("wait --for=condition=Ready pod/reader --timeout=60s")
        env = self.kubectl("exec reader -- sh -c 'echo $GREETING $PASSWORD $greeting'")
        self.holds("they are variables", env.strip() == "hello s3cret hello")
        files = self.kubectl("exec reader -- sh -c 'cat /etc/settings/motd /etc/login/password /etc/login/color'")
        self.holds("and files", files.split() == ["be", "kind", "s3cretgreen"])
        self.kubectl('patch configmap settings --type=merge -p \'{"data":{"motd":"be quick"}}\'')
        took = self.until("the mounted file follows", lambda: "be quick" in self.kubectl(
            "exec reader -- cat /etc/settings/motd", show=False))  # fmt: skip
        self.holds(f"a change reaches the mounted file ({took:.1f} s)", True)
        self.kubectl("delete pod reader client --wait=false")

    def self_healing(self) -> None:
        """A container that is killed is started again; a pod that is deleted is replaced."""
        self.title("What breaks is mended")
        pod = self.read("get pods -l app=web")["items"][0]["metadata"]["name"]
        self._kill(pod)
        self.until("the container is started again", lambda: self._restarts(pod) == 1)
        self.kubectl(f"get pod {pod}")
        self.holds("the container was started again", True)
        self.kubectl(f"delete pod {pod}")
        self.kubectl("rollout status deployment/web --timeout=60s")
        names = [each["metadata"]["name"] for each in self.read("get pods -l app=web")["items"]]
        self.holds("another pod took the place of the one deleted", pod not in names and len(names) == 3)

    def _kill(self, pod: str) -> None:
        # PID 1 of a container cannot be killed from inside: the demo server ends when it is asked to.
        ip = self.read(f"get pod {pod}")["status"]["podIP"]
        self.say(f"$ curl http://{ip}:8080/exit")
        try:
            self.ask(ip, 8080, "/exit")
        except (OSError, http.client.HTTPException):
            pass

    def _restarts(self, pod: str) -> int:
        statuses = self.read(f"get pod {pod}")["status"].get("containerStatuses") or [{"restartCount": 0}]
        return statuses[0]["restartCount"] if statuses[0].get("ready") else 0

    def readiness(self) -> None:
        """A pod that is not ready gets no requests, and gets them again when it is."""
        self.title("Who is not ready is not asked")
        pod = self.read("get pods -l app=web")["items"][0]["metadata"]["name"]
        self.until("three endpoints", lambda: self._endpoints() == 3)
        self.kubectl(f"exec {pod} -- touch /tmp/unready")
        self.until("it leaves the endpoints", lambda: self._endpoints() == 2)
        self.kubectl("get endpointslices -l kubernetes.io/service-name=web")
        self.holds("it left the endpoints", True)
        time.sleep(0.5)
        answers = "".join(self.ask(self.cluster_ip, 80) for _ in range(9))
        self.holds("and is not asked any more", pod not in answers)
        self.kubectl(f"exec {pod} -- rm /tmp/unready")
        self.until("it comes back", lambda: self._endpoints() == 3)
        self.holds("ready again, it is back", True)

    def _endpoints(self) -> int:
        slices = self.read("get endpointslices -l kubernetes.io/service-name=web")["items"]
        return sum(each.get("conditions", {}).get("ready", True) for one in slices for each in one["endpoints"] or ())

    def ask(self, host: str, port: int, path: str = "/") -> str:
        """One request on a connection of its own."""
        connection = http.client.HTTPConnection(host, port, timeout=3)
        try:
            connection.request("GET", path, headers={"Connection": "close"})
            response = connection.getresponse()
            body = response.read().decode()
            if response.status != 200:
                raise OSError(f"{response.status} {body}")
            return body
        finally:
            connection.close()


class Load:
    """A client that opens a connection for each request, all the time, and counts what fails."""

    def __init__(self, host: str, port: int) -> None:
        self._ask = Tour([], str).ask
        self._host, self._port = host, port
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self.answered = 0
        self.versions: dict[str, int] = {}
        self.failures: list[str] = []

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                body = self._ask(self._host, self._port)
                self.answered += 1
                version = next((word for word in ("v1", "v2", "v3") if word in body), body)
                self.versions[version] = self.versions.get(version, 0) + 1
            except (OSError, http.client.HTTPException) as error:
                self.failures.append(repr(error))
            self._stop.wait(0.01)

    def __enter__(self) -> "Load":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()


def main() -> int:
    """Walk, and say whether every promise was kept."""
    tour = Tour(shlex.split(os.environ.get("KUBECTL", "kubectl")), lambda text: print(text, flush=True))
    start = time.monotonic()
    try:
        tour.walk()
    except NotKept as error:
        print(f"\nThe tour stopped: {error}", file=sys.stderr)
        return 1
    print(f"\nEvery promise was kept, in {time.monotonic() - start:.0f} s.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
