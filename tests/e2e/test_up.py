"""`kaa up` for real: a cluster of its own, its death, its resumption, and nothing of it left."""

import json
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.e2e.world import Cluster, running

from kaa.cluster.down import leftovers

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with running(tmp_path_factory.mktemp("up") / "home") as cluster:
        yield cluster


def test_a_pod_runs_and_its_log_is_read(cluster: Cluster) -> None:
    cluster.kubectl("run", "hello", "--image=busybox:1.36", "--restart=Never", "--", "echo", "hello, world")
    cluster.until("Succeeded", "get", "pod", "hello", "-o", "jsonpath={.status.phase}")
    assert cluster.kubectl("logs", "hello") == "hello, world\n"
    cluster.kubectl("delete", "pod", "hello")


def test_the_api_is_reached_from_a_pod_by_name(cluster: Cluster) -> None:
    script = (
        "test -s /var/run/secrets/kubernetes.io/serviceaccount/token && "
        "nslookup kubernetes.default.svc.cluster.local >/dev/null && "
        "nc -w 5 kubernetes.default.svc 443 </dev/null && echo yes"
    )
    cluster.kubectl("run", "inside", "--image=busybox:1.36", "--restart=Never", "--", "sh", "-c", script)
    cluster.until("Succeeded", "get", "pod", "inside", "-o", "jsonpath={.status.phase}")
    assert cluster.kubectl("logs", "inside").strip() == "yes"
    cluster.kubectl("delete", "pod", "inside")


def test_it_is_safe_to_repeat(cluster: Cluster) -> None:
    before = cluster.pids()
    assert "is up already" in cluster.kaa("up")
    assert cluster.pids() == before
    status = cluster.kaa("status")
    assert all(name in status for name in ("server", "controllers", "agent", "containerd", "Ready"))


def test_two_at_once_do_not_disturb_each_other(cluster: Cluster, tmp_path: Path) -> None:
    other = Cluster(tmp_path / "other")
    try:
        other.kaa("up")
        mine, its = cluster.home.load(), other.home.load()
        assert mine is not None
        assert its is not None
        for name in ("id", "secure_port", "kubelet_port", "dns_port", "pod_cidr", "service_cidr"):
            assert getattr(mine, name) != getattr(its, name), name
        other.kubectl("run", "there", "--image=busybox:1.36", "--restart=Never", "--", "true")
        other.until("Succeeded", "get", "pod", "there", "-o", "jsonpath={.status.phase}")
        assert "there" not in cluster.kubectl("get", "pods", "-o", "name")
    finally:
        other.kaa("down", "--delete", "--grace=2")
    assert leftovers(other.home, its) == []
    cluster.kubectl("get", "nodes")


def test_killed_and_resumed_with_its_objects_and_its_containers(cluster: Cluster) -> None:
    cluster.kubectl("create", "deployment", "web", "--image=kaa/demo:v1", "--replicas=2")
    cluster.until("2", "get", "deployment", "web", "-o", "jsonpath={.status.readyReplicas}")
    identities = ("get", "pods", "-l", "app=web", "-o", "jsonpath={.items[*].status.containerStatuses[*].containerID}")
    before = cluster.kubectl(*identities)
    for pid in cluster.pids().values():
        os.kill(pid, signal.SIGKILL)
    assert "not running" in cluster.kaa("status", check=False)
    cluster.kaa("up")
    assert cluster.kubectl(*identities) == before
    restarts = "jsonpath={.items[*].status.containerStatuses[*].restartCount}"
    time.sleep(2)  # a kubelet that did not know them would have started new ones by now
    assert cluster.kubectl("get", "pods", "-l", "app=web", "-o", restarts) == "0 0"
    cluster.until("2", "get", "deployment", "web", "-o", "jsonpath={.status.readyReplicas}")


def test_down_stops_everything_and_up_brings_it_back(cluster: Cluster) -> None:
    cluster.kaa("down", "--grace=3")
    state = cluster.home.load()
    assert state is not None
    found = [line for line in leftovers(cluster.home, state) if not line.startswith("/")]
    assert found == [], "processes, links, rules, mounts or cgroups"
    cluster.kaa("up")
    cluster.until("2", "get", "deployment", "web", "-o", "jsonpath={.status.readyReplicas}")
    cluster.kubectl("delete", "deployment", "web")


def test_simulated_nodes_join_and_leave(cluster: Cluster) -> None:
    cluster.kaa("node", "add", "--simulated", "3")
    names = ("get", "nodes", "-l", "simulated.kaa.dev/node", "-o", "name")
    assert len(cluster.kubectl(*names).split()) == 3
    cluster.kaa("node", "remove", "--simulated", "3")
    assert cluster.kubectl(*names).split() == []


def test_a_part_that_cannot_start_is_told_with_its_log(tmp_path: Path) -> None:
    broken = Cluster(tmp_path / "broken")
    try:
        broken.kaa("up", "--simulated=1")
        broken.kaa("down")
        state = json.loads(broken.home.state_path.read_text())
        broken.home.state_path.write_text(json.dumps({**state, "service_cidr": "10.96.0.0/99"}))
        said = broken.kaa("up", check=False)
        assert "kaa server has ended" in said
        assert "10.96.0.0/99" in said
    finally:
        broken.kaa("down", "--delete", check=False)
