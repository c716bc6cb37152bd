"""What a cluster remembers, what a new one chooses, and processes that are found again."""

import os
import socket
import time
from ipaddress import IPv4Network
from pathlib import Path

import pytest

from kaa.cluster.choices import NoChoice, _range, choose_state, free_port
from kaa.cluster.daemons import Daemon, DaemonFailed
from kaa.cluster.home import Busy, ClusterState, Home
from kaa.cluster.settings import UpOptions


def test_state_is_kept(tmp_path: Path) -> None:
    home = Home(tmp_path / "k")
    assert home.load() is None
    state = ClusterState("abc123", node_name="n", secure_port=7443)
    home.save(state)
    assert home.load() == state


def test_a_newer_state_is_refused(tmp_path: Path) -> None:
    home = Home(tmp_path)
    home.save(ClusterState("abc123", format=99))
    with pytest.raises(ValueError, match="newer Kaa"):
        home.load()


def test_addresses_follow_from_the_ranges() -> None:
    state = ClusterState("abc123", service_cidr="10.97.0.0/16", pod_cidr="10.245.0.0/16")
    assert (state.api_ip, state.dns_ip) == ("10.97.0.1", "10.97.0.10")
    assert (state.node_pod_cidr, state.bridge_ip) == ("10.245.0.0/24", "10.245.0.1")
    assert len(state.service_link) <= 15


def test_one_command_at_a_time(tmp_path: Path) -> None:
    with Home(tmp_path).locked(), pytest.raises(Busy), Home(tmp_path).locked():
        pass


def test_a_taken_port_is_passed_over() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        number = taken.getsockname()[1]
        assert free_port(number) > number


@pytest.mark.parametrize(
    ("wanted", "used", "chosen"),
    [
        ("", [], "10.1.0.0/16"),
        ("", ["10.1.0.0/24"], "10.2.0.0/16"),
        ("172.20.0.0/16", [], "172.20.0.0/16"),
    ],
)
def test_ranges(wanted: str, used: list[str], chosen: str) -> None:
    assert _range(wanted, ["10.1.0.0/16", "10.2.0.0/16"], [IPv4Network(each) for each in used], "pod") == chosen


@pytest.mark.parametrize(
    ("wanted", "used"), [("10.1.0.0/16", ["10.1.2.0/24"]), ("nonsense", []), ("10.1.0.0/28", []), ("fd00::/64", [])]
)
def test_ranges_that_cannot_be(wanted: str, used: list[str]) -> None:
    with pytest.raises(NoChoice):
        _range(wanted, [], [IPv4Network(each) for each in used], "pod")


def test_a_simulated_cluster_claims_nothing(tmp_path: Path) -> None:
    state = choose_state(Home(tmp_path), UpOptions(simulated=3))
    assert (state.containers, state.simulated_nodes) == (False, 3)


def test_a_pid_that_is_anothers_is_not_ours(tmp_path: Path) -> None:
    daemon = Daemon(Home(tmp_path), "server")
    daemon.pid_path.parent.mkdir()
    daemon.pid_path.write_text(f"{os.getpid()} 1\n")  # our pid, and another time of birth
    assert daemon.running() is None
    assert daemon.stop() is False


def test_a_daemon_that_ends_shows_its_log(tmp_path: Path) -> None:
    daemon = Daemon(Home(tmp_path), "server")
    daemon.start(["server", "--no-such-option"])
    with pytest.raises(DaemonFailed, match=r"has ended[\s\S]*No such option"):
        daemon.wait_ready(20)
    deadline = time.monotonic() + 5
    while daemon.running() is not None:  # its pipe is closed a moment before it is gone
        assert time.monotonic() < deadline
        time.sleep(0.01)
