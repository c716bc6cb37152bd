"""What a container sees, as the original's stories tell it, in few real pods: they write it, their logs are read."""

import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from tests.e2e.seen import NAMESPACE, objects
from tests.e2e.world import Cluster

pytestmark = pytest.mark.e2e
Json = dict[str, Any]


class Seen:
    """The pods, once they have ended, and the logs of their containers."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster

    def log(self, name: str, of: str = "main") -> list[str]:
        return self.cluster.kubectl("logs", "-n", NAMESPACE, name, "-c", of).splitlines()

    def pod(self, name: str) -> Json:
        found: Json = json.loads(self.cluster.kubectl("get", "pod", "-n", NAMESPACE, name, "-o", "json"))
        return found

    def files(self, name: str, of: str) -> dict[str, tuple[str, str]]:
        """Path -> (mode, content)."""
        rows = [line.split(" ", 2) for line in self.log(name, of) if line.startswith("./")]
        return {path[2:]: (mode, content) for path, mode, content in rows}

    def env(self, of: str = "main") -> dict[str, str]:
        return dict(line.split("=", 1) for line in self.log("environment", of) if "=" in line)


def until(holds: Callable[[], Any], seconds: float = 60) -> Any:
    deadline = time.monotonic() + seconds
    while not (found := holds()):
        assert time.monotonic() < deadline
        time.sleep(0.2)
    return found


@pytest.fixture(scope="module")
def seen(real: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Seen]:
    manifest = tmp_path_factory.mktemp("seen") / "pods.json"
    manifest.write_text(json.dumps({"apiVersion": "v1", "kind": "List", "items": objects()}))
    real.kubectl("create", "namespace", NAMESPACE)
    try:
        until(lambda: "default" in real.kubectl("get", "serviceaccounts", "-n", NAMESPACE))
        real.kubectl("apply", "-f", str(manifest))
        done = Seen(real)
        for name in ("volumes", "as-user", "with-group", "empty", "environment", "pod-groups", "init"):
            until(lambda name=name: done.pod(name)["status"].get("phase") in ("Succeeded", "Failed"))
        yield done
    finally:
        real.kubectl("delete", "secret", "sec", "-n", "default", "--ignore-not-found")
        real.kubectl("delete", "namespace", NAMESPACE, "--timeout=90s")


ALL = {"data-1": "value-1", "data-2": "value-2", "data-3": "value-3"}


def text(found: dict[str, tuple[str, str]]) -> dict[str, str]:
    return {path: content for path, (_, content) in found.items() if path != "dump.bin"}


@pytest.mark.conformance("ConfigMap Volume, without mapping", "Projected Volume, ConfigMap, volume mode default",
                         "ConfigMap Volume, with mapping", "ConfigMap Volume, text data, binary data",
                         "Projected Volume, ConfigMap, mapped, volume mode 0400",
                         "Projected Volume, ConfigMap, multiple volume paths",
                         "SubPath: Reading content from a configmap volume.")  # fmt: skip
def test_config_maps_as_files(seen: Seen) -> None:
    for of in ("cm", "pcm"):
        found = seen.files("volumes", of)
        assert text(found) == ALL and {mode for mode, _ in found.values()} == {"644"}
    for of in ("mapped", "pmapped"):
        assert seen.files("volumes", of) == {"path/to/data-2": ("644", "value-2")}
    assert seen.files("volumes", "pcm400") == {"path/to/data-2": ("400", "value-2")}
    assert seen.log("volumes", "binary") == [" de ad be ef"]
    assert "".join(seen.log("volumes", "same-twice")) == "value-1" * 2
    assert "".join(seen.log("volumes", "sub")) == "value-2/file"


@pytest.mark.conformance("ConfigMap Volume, without mapping, non-root user",
                         "ConfigMap Volume, with mapping, non-root user", "Projected Volume, ConfigMap, non-root user",
                         "Projected Volume, ConfigMap, mapped, non-root user")  # fmt: skip
def test_config_maps_as_files_of_somebody_else(seen: Seen) -> None:
    for of in ("cm", "pcm"):
        found = seen.files("as-user", of)
        assert seen.log("as-user", of)[0] == "1000"
        assert text(found) == ALL and {mode for mode, _ in found.values()} == {"644"}
    for of in ("mapped", "pmapped"):
        assert seen.log("as-user", of)[0] == "1000"
        assert seen.files("as-user", of) == {"path/to/data-2": ("644", "value-2")}


@pytest.mark.conformance("Secrets Volume, default", "Secrets Volume, volume mode 0400",
                         "Secrets Volume, mapping, volume mode 0400", "Secrets Volume, mapping multiple volume paths",
                         "Secrets Volume, volume mode default, secret with same name in different namespace",
                         "Projected Volume, Secrets, volume mode default", "Projected Volume, Secrets, mapped",
                         "Projected Volume, Secrets, mapped, multiple paths")  # fmt: skip
def test_secrets_as_files(seen: Seen) -> None:
    both = {"data-1": "value-1", "data-2": "value-2"}
    for of, mode in (("sec", "644"), ("psec", "644"), ("sec400", "400")):
        assert seen.files("volumes", of) == {path: (mode, content) for path, content in both.items()}
    for of in ("smapped", "psmapped"):
        assert seen.files("volumes", of) == {"new-path-data-1": ("400", "value-1")}
    assert "".join(seen.log("volumes", "secrets-twice")) == "value-1400value-1".replace("1400", "1400\n").replace(
        "\n", ""
    )
    assert "".join(seen.log("volumes", "twice")) == "value-1" * 2


@pytest.mark.conformance("Secrets Volume, volume mode 0440, fsGroup 1001 and uid 1000",
                         "Project Volume, Secrets, non-root, custom fsGroup")  # fmt: skip
def test_secrets_of_a_group(seen: Seen) -> None:
    for of in ("sec", "psec"):
        assert seen.log("with-group", of)[0] == "1000"
        assert seen.files("with-group", of) == {"data-1": ("440", "value-1"), "data-2": ("440", "value-2")}


@pytest.mark.conformance(
    "DownwardAPI volume, CPU limits", "DownwardAPI volume, CPU request", "DownwardAPI volume, memory limits",
    "DownwardAPI volume, memory request", "DownwardAPI volume, CPU limit, default node allocatable",
    "DownwardAPI volume, memory limit, default node allocatable", "DownwardAPI volume, pod name",
    "DownwardAPI volume, file mode 0400", "Projected Volume, DownwardAPI, CPU limits",
    "Projected Volume, DownwardAPI, CPU request", "Projected Volume, DownwardAPI, memory limits",
    "Projected Volume, DownwardAPI, memory request", "Projected Volume, DownwardAPI, CPU limit, node allocatable",
    "Projected Volume, DownwardAPI, memory limit, node allocatable", "Projected Volume, DownwardAPI, pod name",
    "Projected Volume, multiple projections",
)  # fmt: skip
def test_what_a_pod_is_as_files(seen: Seen) -> None:
    node = json.loads(seen.cluster.kubectl("get", "nodes", "-o", "json"))["items"][0]["status"]["allocatable"]
    for of in ("down", "pdown", "all"):
        found = text(seen.files("volumes", of))
        assert (found["cpu_limit"], found["cpu_request"]) == ("1250", "250")
        assert (found["memory_limit"], found["memory_request"]) == (str(64 << 20), str(32 << 20))
        assert found["podname"] == "volumes" and found["free_cpu"] == node["cpu"]
        assert int(found["free_memory"]) == int(node["memory"].removesuffix("Ki")) * 1024
    assert seen.files("volumes", "down")["podname400"] == ("400", "volumes")
    found = text(seen.files("volumes", "all"))
    assert (found["secret"], found["config"]) == ("value-1", "value-1")


@pytest.mark.conformance(
    "EmptyDir, medium default, volume mode 0644", "EmptyDir, medium default, volume mode 0666",
    "EmptyDir, medium default, volume mode 0777", "EmptyDir, medium default, volume mode default",
    "EmptyDir, medium memory, volume mode 0644", "EmptyDir, medium memory, volume mode 0666",
    "EmptyDir, medium memory, volume mode 0777", "EmptyDir, medium memory, volume mode default",
    "EmptyDir, medium memory, volume mode 0644, non-root user",
    "EmptyDir, medium memory, volume mode 0777, non-root user", "EmptyDir, Shared volumes between containers",
)  # fmt: skip
def test_empty_directories(seen: Seen) -> None:
    for medium in ("default", "memory"):
        for user in ("root", "user"):
            for mode in ("644", "666", "777"):
                first, filesystem = seen.log("empty", f"{medium}-{user}-{mode}")
                assert first == f"777 {mode} content"
                assert (filesystem == "tmpfs") == (medium == "memory")
    assert seen.log("empty", "takes") == ["hello"]


@pytest.mark.conformance(
    "ConfigMap, from environment field", "ConfigMap, from environment variables",
    "Secrets, pod environment from source",
    "DownwardAPI, environment for name, namespace and ip", "DownwardAPI, environment for host ip",
    "DownwardAPI, environment for hostIPs", "DownwardAPI, environment for Pod UID",
    "DownwardAPI, environment for CPU and memory limits and requests",
    "DownwardAPI, environment for default CPU and memory limits and requests", "Environment variables, expansion",
    "Pods, service environment variables",
)  # fmt: skip
def test_the_environment(seen: Seen) -> None:
    found, made = seen.env(), seen.pod("environment")
    assert (found["POD_NAME"], found["POD_NAMESPACE"], found["POD_UID"]) == (
        "environment", NAMESPACE, made["metadata"]["uid"])  # fmt: skip
    assert (found["POD_IP"], found["HOST_IP"]) == (made["status"]["podIP"], made["status"]["hostIP"])
    assert found["HOST_IPS"] == ",".join(each["ip"] for each in made["status"]["hostIPs"])
    assert (found["CPU_LIMIT"], found["CPU_REQUEST"]) == ("2", "1")
    assert (found["MEMORY_LIMIT"], found["MEMORY_REQUEST"]) == (str(64 << 20), str(32 << 20))
    node = json.loads(seen.cluster.kubectl("get", "nodes", "-o", "json"))["items"][0]["status"]["allocatable"]
    assert seen.env("free")["CPU_LIMIT"] == node["cpu"]
    assert int(seen.env("free")["MEMORY_LIMIT"]) == int(node["memory"].removesuffix("Ki")) * 1024
    assert found["FROM_CM"] == found["FROM_SECRET"] == "value-1"
    assert {found[name] for name in ("data-1", "p-data-1", "s_data-1", "1-data-1")} == {"value-1"}
    assert (found["FOOBAR"], found["DOLLARS"]) == ("foo-value;;bar-value", "$(FOO)")
    service = json.loads(seen.cluster.kubectl("get", "service", "-n", NAMESPACE, "fooservice", "-o", "json"))
    ip = service["spec"]["clusterIP"]
    assert (found["FOOSERVICE_SERVICE_HOST"], found["FOOSERVICE_SERVICE_PORT"]) == (ip, "8765")
    assert found["FOOSERVICE_PORT"] == found["FOOSERVICE_PORT_8765_TCP"] == f"tcp://{ip}:8765"
    assert found["FOOSERVICE_PORT_8765_TCP_PORT"] == "8765" and found["FOOSERVICE_PORT_8765_TCP_PROTO"] == "tcp"
    assert found["FOOSERVICE_PORT_8765_TCP_ADDR"] == ip


@pytest.mark.conformance("Environment variables, command expansion", "Containers, with command and arguments")
def test_commands_are_expanded(seen: Seen) -> None:
    assert seen.log("environment", "expanded") == ["test-value test-value-arg $(NONE) $(WORD)"]


@pytest.mark.conformance("Security Context, runAsUser=65534", "Security Context, privileged=false.",
                         "Security Context, test RunAsGroup at container level",
                         "Security Context, test RunAsGroup at pod level",
                         "Kubelet, pod with read only root file system")  # fmt: skip
def test_who_a_container_is(seen: Seen) -> None:
    assert seen.log("environment", "nobody") == ["65534"]
    assert "refused" in seen.log("environment", "unprivileged")
    assert seen.log("environment", "groups") == ["1001", "2002"] == seen.log("pod-groups")
    assert "refused" in seen.log("environment", "read-only")


@pytest.mark.conformance("Kubelet, log output, default", "Kubelet, failed pod, terminated reason")
def test_logs_and_reasons(seen: Seen) -> None:
    assert sorted(seen.log("environment", "kubelet-log")) == ["hello stderr", "hello stdout"]
    states = {
        each["name"]: each["state"]["terminated"] for each in seen.pod("environment")["status"]["containerStatuses"]
    }
    assert (states["fails"]["exitCode"], states["fails"]["reason"]) == (7, "Error")
    assert (states["nobody"]["exitCode"], states["nobody"]["reason"]) == (0, "Completed")


@pytest.mark.conformance("init-container-starts-app-restartnever-pod")
def test_init_containers_come_first(seen: Seen) -> None:
    assert seen.log("init") == ["1", "2"]
    status = seen.pod("init")["status"]
    assert status["phase"] == "Succeeded"
    assert {each["type"]: each["status"] for each in status["conditions"]}["Initialized"] == "True"
    assert [(each["name"], each["state"]["terminated"]["exitCode"], each["restartCount"])
            for each in status["initContainerStatuses"]] == [("first", 0, 0), ("second", 0, 0)]  # fmt: skip


@pytest.mark.conformance("Pods, ActiveDeadlineSeconds", "Kubelet, failed pod, delete")
def test_a_pod_with_a_deadline_and_one_that_fails_are_over(seen: Seen) -> None:
    until(lambda: seen.pod("deadline")["status"].get("reason") == "DeadlineExceeded")
    assert seen.pod("deadline")["status"]["phase"] == "Failed"
    until(lambda: seen.pod("again")["status"]["containerStatuses"][0]["restartCount"] >= 1)
    seen.cluster.kubectl("delete", "pod", "-n", NAMESPACE, "again", "--timeout=30s")


@pytest.mark.conformance("Pod readiness probe, failure")
def test_a_pod_that_is_never_ready(seen: Seen) -> None:
    until(lambda: seen.pod("unready")["status"].get("phase") == "Running")
    time.sleep(2.5)  # two of its probes
    [status] = seen.pod("unready")["status"]["containerStatuses"]
    assert status["ready"] is False and status["restartCount"] == 0


@pytest.mark.conformance("Pod Lifecycle, post start exec hook")
def test_a_hook_runs_after_the_start(seen: Seen) -> None:
    until(lambda: seen.pod("hooked")["status"].get("phase") == "Running")
    assert seen.cluster.kubectl("exec", "-n", NAMESPACE, "hooked", "--", "cat", "/v/post") == "started\n"
