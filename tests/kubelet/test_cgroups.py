"""Control groups, on a directory tree that looks like the kernel's (the real one is in the e2e tests)."""

from pathlib import Path

from tests.kubelet.builders import pod

from kaa.kubelet.cgroups import Cgroups, weight_of

LIMITS = {"limits": {"cpu": "500m", "memory": "64Mi"}, "requests": {"cpu": "100m", "memory": "64Mi"}}


def test_v2(tmp_path: Path) -> None:
    (tmp_path / "cgroup.controllers").write_text("cpu memory")
    groups = Cgroups("/kaa-x", system_root=tmp_path)
    groups.setup()
    burstable = pod({"name": "web", "resources": LIMITS})
    name = groups.ensure(burstable)
    assert name == "/kaa-x/kubepods/burstable/podu1"
    made = tmp_path / name.lstrip("/")
    assert (made / "cpu.max").read_text() == "50000 100000"
    assert (made / "memory.max").read_text() == str(64 << 20)
    assert (made / "cpu.weight").read_text() == str(weight_of(102))
    groups.update_qos([burstable])
    assert (made.parent / "cpu.weight").read_text() == str(weight_of(102))
    assert groups.pod_uids() == {"u1"}


def test_v1(tmp_path: Path) -> None:
    for controller in ("cpu,cpuacct", "memory"):
        (tmp_path / controller).mkdir()
        (tmp_path / controller / "tasks").touch()
    (tmp_path / "cpu").symlink_to("cpu,cpuacct")
    groups = Cgroups("/", system_root=tmp_path)
    groups.setup()
    assert sorted(groups.hierarchies) == ["cpu", "memory"]
    assert groups.ensure(pod()) == "/kubepods/besteffort/podu1"
    name = groups.ensure(pod({"name": "web", "resources": LIMITS}))
    assert (tmp_path / "cpu" / name.lstrip("/") / "cpu.cfs_quota_us").read_text() == "50000"
    assert (tmp_path / "memory" / name.lstrip("/") / "memory.limit_in_bytes").read_text() == str(64 << 20)
    assert (tmp_path / "cpu/kubepods/besteffort/cpu.shares").read_text() == "2"


def test_weights() -> None:
    assert [weight_of(shares) for shares in (2, 1024, 262144)] == [1, 39, 10000]
