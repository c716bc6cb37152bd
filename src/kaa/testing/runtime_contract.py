"""What every container runtime at the CRI line must do, as tests. A test module subclasses `RuntimeContract` and gives
the fixtures `runtime`, `image` (with `sh`, `sleep`, `true`, `false`) and `log_dir`."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from typing import Any

import pytest

from kaa.base.tasks import spawn
from kaa.kubelet.cri import api

__all__ = ["RuntimeContract", "container", "sandbox"]

WAIT_SECONDS = 10.0


def sandbox(name: str = "pod", *, log_directory: str = "", **changes: Any) -> api.SandboxConfig:
    """A sandbox's configuration."""
    metadata = api.SandboxMetadata(name, f"uid-{name}", "default", changes.pop("attempt", 0))
    return api.SandboxConfig(metadata, hostname=changes.pop("hostname", name), log_directory=log_directory, **changes)


def container(image: str, *argv: str, name: str = "main", **changes: Any) -> api.ContainerConfig:
    """A container's configuration; without a command it sleeps for an hour."""
    metadata = api.ContainerMetadata(name, changes.pop("attempt", 0))
    return api.ContainerConfig(metadata, api.ImageSpec(image), command=argv or ("sleep", "3600"), **changes)


async def until(condition: Callable[[], Any], what: str) -> Any:
    """Wait for an asynchronous condition to hold."""
    for _ in range(int(WAIT_SECONDS / 0.02)):
        if result := await condition():
            return result
        await asyncio.sleep(0.02)
    raise AssertionError(f"{what} did not come within {WAIT_SECONDS:g}s")


class RuntimeContract:
    """One test per promise."""

    @pytest.fixture
    def log_dir(self, tmp_path: Any) -> str:
        """Where sandboxes write logs."""
        return str(tmp_path)

    @pytest.fixture
    async def pod(self, runtime: api.Runtime, log_dir: str) -> AsyncIterator[tuple[str, api.SandboxConfig]]:
        """A sandbox, removed afterwards."""
        config = sandbox(log_directory=log_dir, labels={"app": "x"}, annotations={"note": "y"})
        id_ = await runtime.run_sandbox(config)
        yield id_, config
        await runtime.stop_sandbox(id_)
        await runtime.remove_sandbox(id_)

    async def test_says_who_it_is_and_that_it_is_ready(self, runtime: api.Runtime) -> None:
        assert (await runtime.version()).runtime_name
        status = await runtime.status()
        assert status.runtime_ready
        assert status.network_ready
        assert await runtime.features() == await runtime.features()
        assert isinstance(runtime, api.Runtime)

    async def test_sandbox_has_what_it_was_made_with(self, runtime: api.Runtime, pod: Any) -> None:
        id_, config = pod
        status = await runtime.sandbox_status(id_)
        assert (status.id, status.metadata, status.state) == (id_, config.metadata, api.SandboxState.READY)
        assert len(status.ips) == 1
        assert status.created_at > 0
        assert status.labels["app"] == "x"
        assert status.annotations["note"] == "y"
        listed = [s for s in await runtime.list_sandboxes() if s.id == id_]
        assert listed[0].metadata == config.metadata
        assert [s.id for s in await runtime.list_sandboxes({"app": "x"})] == [id_]
        assert await runtime.list_sandboxes({"app": "other"}) == []

    async def test_two_sandboxes_have_two_addresses(self, runtime: api.Runtime, pod: Any, log_dir: str) -> None:
        other = await runtime.run_sandbox(sandbox("other", log_directory=log_dir))
        try:
            first, second = await runtime.sandbox_status(pod[0]), await runtime.sandbox_status(other)
            assert first.ips != second.ips
        finally:
            await runtime.remove_sandbox(other)

    async def test_host_network_has_no_address(self, runtime: api.Runtime, log_dir: str) -> None:
        options = api.NamespaceOptions(network=api.NamespaceMode.NODE)
        linux = api.LinuxSandbox(security=api.SandboxSecurity(namespaces=options))
        id_ = await runtime.run_sandbox(sandbox("host", hostname="", log_directory=log_dir, linux=linux))
        try:
            status = await runtime.sandbox_status(id_)
            assert list(status.ips) == []
            assert status.namespaces.network is api.NamespaceMode.NODE
        finally:
            await runtime.remove_sandbox(id_)

    async def test_the_same_sandbox_twice_is_refused(self, runtime: api.Runtime, pod: Any) -> None:
        with pytest.raises(api.RuntimeFailed):
            await runtime.run_sandbox(pod[1])

    async def test_stopped_sandbox_is_not_ready_and_removal_is_idempotent(
        self, runtime: api.Runtime, log_dir: str
    ) -> None:
        id_ = await runtime.run_sandbox(sandbox("brief", log_directory=log_dir))
        await runtime.stop_sandbox(id_)
        await runtime.stop_sandbox(id_)
        assert (await runtime.sandbox_status(id_)).state is api.SandboxState.NOT_READY
        await runtime.remove_sandbox(id_)
        await runtime.remove_sandbox(id_)
        with pytest.raises(api.NotFound):
            await runtime.sandbox_status(id_)

    async def test_what_is_not_there(self, runtime: api.Runtime) -> None:
        await runtime.stop_sandbox("0" * 64)
        await runtime.remove_sandbox("0" * 64)
        await runtime.stop_container("0" * 64, 0)
        await runtime.remove_container("0" * 64)
        await runtime.remove_image("no/such:image")
        for call in (
            runtime.sandbox_status,
            runtime.container_status,
            runtime.start_container,
            runtime.container_stats,
        ):
            with pytest.raises(api.NotFound):
                await call("0" * 64)

    async def test_container_lives_and_is_stopped(self, runtime: api.Runtime, pod: Any, image: str) -> None:
        id_, config = pod
        made = await runtime.create_container(
            id_, container(image, labels={"a": "b"}, annotations={"c": "d"}, log_path="main.log"), config
        )
        status = await runtime.container_status(made)
        assert (status.state, status.started_at) == (api.ContainerState.CREATED, 0)
        assert status.metadata == api.ContainerMetadata("main", 0)
        assert status.log_path == f"{config.log_directory}/main.log"
        await runtime.start_container(made)
        status = await runtime.container_status(made)
        assert status.state is api.ContainerState.RUNNING
        assert status.started_at >= status.created_at > 0
        with pytest.raises(api.RuntimeFailed):
            await runtime.start_container(made)
        listed = await runtime.list_containers(id_, {"a": "b"})
        assert [(c.id, c.sandbox_id, c.state) for c in listed] == [(made, id_, api.ContainerState.RUNNING)]
        assert listed[0].annotations == {"c": "d"}
        await runtime.stop_container(made, 0)
        await runtime.stop_container(made, 0)
        status = await runtime.container_status(made)
        assert (status.state, status.exit_code) == (api.ContainerState.EXITED, 137)
        assert status.finished_at >= status.started_at
        await runtime.remove_container(made)
        await runtime.remove_container(made)
        assert await runtime.list_containers(id_) == []

    @pytest.mark.parametrize(
        ("argv", "code", "reason"),
        [(("true",), 0, "Completed"), (("false",), 1, "Error"), (("sh", "-c", "exit 42"), 42, "Error")],
    )
    async def test_container_ends_by_itself(
        self, runtime: api.Runtime, pod: Any, image: str, argv: Any, code: int, reason: str
    ) -> None:
        made = await runtime.create_container(pod[0], container(image, *argv), pod[1])
        await runtime.start_container(made)

        async def ended() -> api.ContainerStatus | None:
            status = await runtime.container_status(made)
            return status if status.state is api.ContainerState.EXITED else None

        status = await until(ended, "the end")
        assert (status.exit_code, status.reason) == (code, reason)

    async def test_a_second_try_stands_beside_the_first(self, runtime: api.Runtime, pod: Any, image: str) -> None:
        for attempt in (0, 1):
            made = await runtime.create_container(pod[0], container(image, "true", attempt=attempt), pod[1])
            await runtime.start_container(made)
        assert sorted(c.metadata.attempt for c in await runtime.list_containers(pod[0])) == [0, 1]

    async def test_stopping_the_sandbox_stops_its_containers(
        self, runtime: api.Runtime, image: str, log_dir: str
    ) -> None:
        config = sandbox("whole", log_directory=log_dir)
        id_ = await runtime.run_sandbox(config)
        made = await runtime.create_container(id_, container(image), config)
        await runtime.start_container(made)
        await runtime.stop_sandbox(id_)
        assert (await runtime.container_status(made)).state is api.ContainerState.EXITED
        await runtime.remove_sandbox(id_)
        with pytest.raises(api.NotFound):
            await runtime.container_status(made)

    async def test_commands_in_a_container(self, runtime: api.Runtime, pod: Any, image: str) -> None:
        made = await runtime.create_container(pod[0], container(image), pod[1])
        with pytest.raises(api.RuntimeFailed):
            await runtime.exec_sync(made, ["true"])
        await runtime.start_container(made)
        assert (await runtime.exec_sync(made, ["true"])).exit_code == 0
        assert (await runtime.exec_sync(made, ["false"])).exit_code == 1
        assert await runtime.exec_sync(made, ["echo", "a", "b"], 5) == api.ExecResult(b"a b\n", b"", 0)
        with pytest.raises(api.DeadlineExceeded):
            await runtime.exec_sync(made, ["sleep", "30"], 1)

    async def test_missing_image(self, runtime: api.Runtime, pod: Any) -> None:
        missing = "localhost:1/missing:v1"
        assert await runtime.image_status(missing) is None
        with pytest.raises(api.RuntimeFailed):
            await runtime.create_container(pod[0], container(missing), pod[1])
        with pytest.raises(api.ImagePullFailed):
            await runtime.pull_image(missing)

    async def test_present_image(self, runtime: api.Runtime, image: str) -> None:
        found = await runtime.image_status(image)
        assert found is not None
        assert found.size > 0
        assert await runtime.image_status(found.id) is not None
        assert await runtime.image_fs_info()

    async def test_statistics(self, runtime: api.Runtime, pod: Any, image: str) -> None:
        made = await runtime.create_container(pod[0], container(image), pod[1])
        await runtime.start_container(made)
        stats = await runtime.container_stats(made)
        assert stats.attributes.id == made
        assert stats.memory is not None
        assert stats.memory.working_set_bytes
        assert made in [s.attributes.id for s in await runtime.list_container_stats()]

    async def test_limits_change_while_it_runs(self, runtime: api.Runtime, pod: Any, image: str) -> None:
        made = await runtime.create_container(pod[0], container(image), pod[1])
        await runtime.start_container(made)
        await runtime.update_container_resources(made, api.ContainerResources(cpu_shares=512, memory_limit=64 << 20))
        status = await runtime.container_status(made)
        assert status.resources is None or status.resources.memory_limit in (0, 64 << 20)

    async def test_events_tell_of_what_has_already_happened(self, runtime: api.Runtime, pod: Any, image: str) -> None:
        if not (await runtime.features()).events:
            pytest.skip("no events")
        seen: dict[api.EventKind, api.ContainerState] = {}
        made = await runtime.create_container(pod[0], container(image), pod[1])

        async def watch(ready: asyncio.Event) -> None:
            async with aclosing(runtime.events()) as events:  # type: ignore[type-var]
                ready.set()
                async for event in events:
                    if event.container_id == made:
                        seen[event.kind] = (await runtime.container_status(made)).state
                        if event.kind is api.EventKind.STOPPED:
                            return

        ready = asyncio.Event()
        watching = spawn(watch(ready), name="watch")
        await ready.wait()
        await asyncio.sleep(0.3)
        await runtime.start_container(made)
        await asyncio.sleep(0.1)
        await runtime.stop_container(made, 0)
        await asyncio.wait_for(watching, WAIT_SECONDS)
        assert seen[api.EventKind.STARTED] is api.ContainerState.RUNNING
        assert seen[api.EventKind.STOPPED] is api.ContainerState.EXITED
