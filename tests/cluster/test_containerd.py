"""containerd keeps the contract of the CRI line, survives Kaa, and leaves nothing."""

import asyncio
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from kaa.cluster.builtin_images import builtin_images
from kaa.cluster.containerd import Containerd, ContainerdFailed, ContainerdSettings
from kaa.cluster.image_store import ImageStore
from kaa.cluster.images import File, ImageConfig, ImageError, build_image
from kaa.kubelet.cri import api
from kaa.kubelet.cri.grpc import GrpcRuntime
from kaa.testing.real_node import RealNode, leftovers, make_node
from kaa.testing.runtime_contract import RuntimeContract, container, sandbox, until

pytestmark = pytest.mark.e2e


@pytest.fixture
async def runtime(node: RealNode) -> AsyncIterator[GrpcRuntime]:
    runtime = GrpcRuntime(node.containerd.socket)
    yield runtime
    for line in await runtime.list_sandboxes():
        await runtime.remove_sandbox(line.id)
    await runtime.close()


def parent(node: RealNode, name: str) -> api.LinuxSandbox:
    return api.LinuxSandbox(cgroup_parent=f"{node.cgroup_root}/{name}")


class TestContract(RuntimeContract):
    @pytest.fixture
    def image(self) -> str:
        return "busybox:1.36"


async def logs_of(runtime: GrpcRuntime, config: api.SandboxConfig, made: api.ContainerConfig) -> str:
    """Run one container to its end; its log."""
    owner = await runtime.run_sandbox(config)
    id_ = await runtime.create_container(owner, made, config)
    await runtime.start_container(id_)

    async def ended() -> bool:
        return (await runtime.container_status(id_)).state is api.ContainerState.EXITED

    await until(ended, "the end")
    status = await runtime.container_status(id_)
    return await asyncio.to_thread(Path(status.log_path).read_text)


async def test_a_configuration_arrives_in_the_container(runtime: GrpcRuntime, node: RealNode, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "f").write_text("mounted")
    config = sandbox(
        "whole",
        log_directory=str(tmp_path),
        dns=api.DNSConfig(["10.0.0.10"], ["a.b"], ["ndots:5"]),
        linux=api.LinuxSandbox(
            cgroup_parent=f"{node.cgroup_root}/pod", sysctls={"net.ipv4.ip_unprivileged_port_start": "77"}
        ),
    )
    script = (
        "cat /data/f; echo; id; hostname; echo $A; pwd; cat /etc/resolv.conf; grep Cap /proc/self/status; "
        "grep -E 'NoNewPrivs|Seccomp:' /proc/self/status; cat /proc/sys/net/ipv4/ip_unprivileged_port_start; "
        "touch /data/x 2>&1; touch /x 2>&1; cat /proc/self/cgroup"
    )
    made = container(
        "busybox",
        "sh",
        "-c",
        script,
        log_path="c.log",
        envs=[("A", "bee")],
        working_dir="/home",
        mounts=[api.Mount("/data", str(tmp_path / "data"), readonly=True)],
        linux=api.LinuxContainer(
            api.ContainerResources(cpu_shares=256, cpu_quota=50_000, cpu_period=100_000, memory_limit=64 << 20),
            api.ContainerSecurity(
                capabilities=api.Capabilities(drop=["ALL"], add=["NET_BIND_SERVICE"]),
                run_as_user=1000,
                run_as_group=1001,
                supplemental_groups=[5, 6],
                readonly_rootfs=True,
                no_new_privs=True,
                seccomp=api.SecurityProfile(api.ProfileType.RUNTIME_DEFAULT),
            ),
        ),
    )
    text = await logs_of(runtime, config, made)
    lines = [line.split(" ", 3)[3] for line in text.splitlines()]
    assert lines[0] == "mounted"
    assert lines[1].startswith("uid=1000 gid=1001")
    assert "groups=5(" in lines[1] or "groups=5" in lines[1] or ",5" in lines[1]
    assert lines[2:5] == ["whole", "bee", "/home"]
    joined = "\n".join(lines)
    for expected in (
        "nameserver 10.0.0.10",
        "search a.b",
        "options ndots:5",
        "CapBnd:\t0000000000000400",
        "NoNewPrivs:\t1",
        "Seccomp:\t2",
        "touch: /data/x: Read-only file system",
        "touch: /x: Read-only file system",
        f"{node.cgroup_root}/pod/",
    ):
        assert expected in joined
    assert "77" in lines


async def test_streams_have_addresses(runtime: GrpcRuntime, tmp_path: Path) -> None:
    config = sandbox("streams", log_directory=str(tmp_path))
    owner = await runtime.run_sandbox(config)
    made = await runtime.create_container(owner, container("busybox", log_path="x.log"), config)
    await runtime.start_container(made)
    for url in (
        await runtime.exec(made, ["sh"], stdin=True, tty=True),
        await runtime.attach(made),
        await runtime.port_forward(owner, [80]),
    ):
        assert url.startswith("http://127.0.0.1:")
    (tmp_path / "x.log").rename(tmp_path / "x.log.1")
    await runtime.reopen_log(made)
    assert (tmp_path / "x.log").exists()


async def test_host_ports_come_and_go(runtime: GrpcRuntime, node: RealNode) -> None:
    config = sandbox("ports", port_mappings=[api.PortMapping(8080, 28123)])
    owner = await runtime.run_sandbox(config)
    assert any("28123" in line for line in rules())
    await runtime.remove_sandbox(owner)
    assert not any("28123" in line for line in rules())


def rules() -> list[str]:
    return subprocess.run(["iptables", "-t", "nat", "-S"], capture_output=True, text=True, check=True).stdout.split(
        "\n"
    )


async def test_features_are_asked_for(runtime: GrpcRuntime) -> None:
    version, features = await runtime.version(), await runtime.features()
    assert features.events
    if version.runtime_version.startswith("1.6"):
        assert not features.user_namespaces
        assert not features.image_volumes
        with pytest.raises(api.Unsupported):
            await runtime.update_sandbox_resources("0" * 64, None, None)


async def test_no_containerd_is_unavailable() -> None:
    runtime = GrpcRuntime("/nonexistent/c.sock")
    with pytest.raises(api.RuntimeFailed) as caught:
        await runtime.version()
    assert caught.value.code == "unavailable"
    await runtime.close()


async def test_images_load_list_build_on_and_go(node: RealNode, runtime: GrpcRuntime, tmp_path: Path) -> None:
    store = ImageStore(node.containerd.socket)
    assert await store.missing(["busybox", "kaa/demo:v2", "nobody/app:v1"]) == ["nobody/app:v1"]
    base = await store.export("busybox")
    assert base.layers == builtin_images()["docker.io/library/busybox:latest"].layers
    app = build_image({"hello": File(b"#!/bin/sh\necho hello\n", 0o755)}, ImageConfig(entrypoint=["/hello"]), base=base)
    assert await store.load_images({"team/app:v1": app}) == ["docker.io/team/app:v1"]
    config = sandbox("app", log_directory=str(tmp_path))
    made = api.ContainerConfig(api.ContainerMetadata("a"), api.ImageSpec("team/app:v1"), log_path="a.log")
    assert (await logs_of(runtime, config, made)).endswith("stdout F hello\n")
    for line in await runtime.list_sandboxes():
        await runtime.remove_sandbox(line.id)
    await store.remove("team/app:v1")
    assert await store.missing(["team/app:v1"]) == ["team/app:v1"]
    with pytest.raises(ImageError):
        await store.export("team/app:v1")


async def test_a_directory_is_built_on_a_local_image(node: RealNode, runtime: GrpcRuntime, tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text("FROM busybox:1.36\nCOPY hello /\nCMD cat /hello\n")
    (tmp_path / "hello").write_text("built\n")
    await ImageStore(node.containerd.socket).build(tmp_path, "team/built:v1")
    config = sandbox("built", log_directory=str(tmp_path))
    made = api.ContainerConfig(api.ContainerMetadata("a"), api.ImageSpec("team/built:v1"), log_path="a.log")
    assert (await logs_of(runtime, config, made)).endswith("stdout F built\n")
    (tmp_path / "Dockerfile").write_text("FROM nobody/gone:v1\n")
    with pytest.raises(ImageError, match="nobody/gone:v1"):
        await ImageStore(node.containerd.socket).build(tmp_path, "team/built:v2")


@pytest.fixture
def short_dir() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="kaa-e2e-") as directory:
        yield Path(directory)


STARTER = """
import asyncio, os, signal, sys
from pathlib import Path
from kaa.cluster.containerd import Containerd, ContainerdSettings
c = Containerd(ContainerdSettings(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]))
asyncio.run(c.start())
os.kill(os.getpid(), signal.SIGKILL)
"""


async def test_it_survives_kaa_and_is_adopted_with_its_pods(short_dir: Path) -> None:
    node = make_node(short_dir)
    settings = node.containerd.settings
    argv = [sys.executable, "-c", STARTER, str(settings.state_dir), str(settings.cni_conf_dir), settings.cgroup_root]
    done = await asyncio.to_thread(
        subprocess.run, argv, check=False, env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    )
    assert done.returncode == -signal.SIGKILL
    try:
        pid = node.containerd.running()
        assert pid is not None
        assert await node.containerd.start() is True
        assert node.containerd.running() == pid
        await ImageStore(node.containerd.socket).load_images(builtin_images())
        runtime = GrpcRuntime(node.containerd.socket)
        config = sandbox("kept", linux=parent(node, "kept"))
        owner = await runtime.run_sandbox(config)
        made = await runtime.create_container(owner, container("busybox"), config)
        await runtime.start_container(made)
        ip = (await runtime.sandbox_status(owner)).ips

        await node.containerd.stop()
        assert node.containerd.running() is None
        with pytest.raises(api.RuntimeFailed):
            await runtime.version()
        other = Containerd(settings)
        assert await other.start() is False
        # The old channel finds the new daemon by itself, and the container has run on.
        assert (await until(lambda: still(runtime, made), "the container")).state is api.ContainerState.RUNNING
        assert (await runtime.sandbox_status(owner)).ips == ip
        await runtime.close()
        await other.stop(delete=True)
    finally:
        await node.containerd.stop(delete=True)
        node.network.remove()
    assert leftovers(node) == []
    assert not settings.state_dir.exists()


async def still(runtime: GrpcRuntime, made: str) -> Any:
    try:
        return await runtime.container_status(made)
    except api.RuntimeFailed:
        return None


async def test_delete_cleans_up_after_a_crash(short_dir: Path) -> None:
    node = make_node(short_dir)
    try:
        await node.containerd.start()
        await ImageStore(node.containerd.socket).load_images(builtin_images())
        runtime = GrpcRuntime(node.containerd.socket)
        config = sandbox("lost", linux=parent(node, "lost"), port_mappings=[api.PortMapping(8080, 28124)])
        owner = await runtime.run_sandbox(config)
        made = await runtime.create_container(owner, container("busybox"), config)
        await runtime.start_container(made)
        await runtime.close()
        pid = node.containerd.running()
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        assert leftovers(node) != []
    finally:
        await node.containerd.stop(delete=True)
        node.network.remove()
    assert leftovers(node) == []


async def test_a_path_too_long_for_a_socket_is_said(tmp_path: Path) -> None:
    long = Containerd(ContainerdSettings(tmp_path / ("x" * 120), tmp_path))
    with pytest.raises(ContainerdFailed, match="shorter"):
        await long.start()
