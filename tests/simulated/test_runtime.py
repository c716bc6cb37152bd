"""The simulated runtime keeps the contract of the CRI line, and its own words about plans and faults."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from kaa.base.clock import Clock
from kaa.kubelet.cri import api
from kaa.simulated.plans import ANNOTATION, parse_duration
from kaa.simulated.runtime import SimulatedRuntime, SimulatedSettings
from kaa.testing.runtime_contract import RuntimeContract, container, sandbox


class TestContract(RuntimeContract):
    @pytest.fixture
    async def runtime(self) -> AsyncIterator[SimulatedRuntime]:
        runtime = SimulatedRuntime()
        runtime.faults.images_missing.append("*/missing:*")
        yield runtime
        await runtime.close()

    @pytest.fixture
    def image(self) -> str:
        return "busybox:1.36"


class Virtual(Clock):
    """Time that moves when it is told to."""

    def __init__(self) -> None:
        self.at = 1_000_000.0
        self.waiting: list[tuple[float, asyncio.Future[None]]] = []

    def now(self) -> float:
        return self.at

    def monotonic(self) -> float:
        return self.at

    async def sleep(self, seconds: float) -> None:
        if seconds <= 0:
            return await asyncio.sleep(0)
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.waiting.append((self.at + seconds, future))
        return await future

    async def advance(self, seconds: float) -> None:
        end = self.at + seconds
        while True:
            for _ in range(5):
                await asyncio.sleep(0)
            self.waiting = [(at, f) for at, f in self.waiting if not f.done()]
            due = [at for at, _ in self.waiting if at <= end]
            if not due:
                break
            self.at = min(due)
            for at, future in self.waiting:
                if at <= self.at and not future.done():
                    future.set_result(None)
        self.at = end


@pytest.fixture
def clock() -> Virtual:
    return Virtual()


@pytest.fixture
async def runtime(clock: Virtual) -> AsyncIterator[SimulatedRuntime]:
    runtime = SimulatedRuntime(SimulatedSettings(pod_cidr="10.9.0.0/29"), clock)
    yield runtime
    await runtime.close()


async def started(runtime: SimulatedRuntime, config: api.SandboxConfig, *argv: str, **changes: Any) -> str:
    owner = await runtime.run_sandbox(config)
    made = await runtime.create_container(owner, container("x", *(argv or ("serve",)), **changes), config)
    await runtime.start_container(made)
    return made


@pytest.mark.parametrize(
    ("annotations", "argv", "before", "at", "code"),
    [
        ({"exit-after": "3s", "exit-code": "7"}, (), 2.9, 3.1, 7),
        ({"exit-after.main": "1m30s"}, (), 89, 91, 0),
        ({"exit-code": "9"}, (), None, 0.1, 9),
        ({"exit-after": "soon"}, (), None, 0.1, 128),
        ({}, ("sleep", "5"), 4.9, 5.1, 0),
        ({}, ("/bin/sh", "-c", "sleep 5"), 4.9, 5.1, 0),
    ],
)
async def test_plans(
    runtime: SimulatedRuntime, clock: Virtual, annotations: dict[str, str], argv: Any, before: Any, at: float, code: int
) -> None:
    made = await started(
        runtime, sandbox(annotations={ANNOTATION + key: value for key, value in annotations.items()}), *argv
    )
    if before is not None:
        await clock.advance(before)
        assert (await runtime.container_status(made)).state is api.ContainerState.RUNNING
    await clock.advance(at - (before or 0))
    status = await runtime.container_status(made)
    assert (status.state, status.exit_code) == (api.ContainerState.EXITED, code)


async def test_a_plan_for_another_container_and_no_plan_run_on(runtime: SimulatedRuntime, clock: Virtual) -> None:
    made = await started(runtime, sandbox(annotations={f"{ANNOTATION}exit-after.other": "1s"}))
    await clock.advance(10_000)
    assert (await runtime.container_status(made)).state is api.ContainerState.RUNNING


async def test_one_task_waits_for_many(runtime: SimulatedRuntime, clock: Virtual) -> None:
    before = len(asyncio.all_tasks())
    wide = SimulatedRuntime(SimulatedSettings(pod_cidr="10.8.0.0/22"), clock)
    made = [
        await started(wide, sandbox(f"p{n}", annotations={ANNOTATION + "exit-after": f"{1000 - n}s"}))
        for n in range(200)
    ]
    await clock.advance(0)
    assert len(asyncio.all_tasks()) == before + 1
    await clock.advance(900.5)
    ended = [id_ for id_ in made if (await wide.container_status(id_)).state is api.ContainerState.EXITED]
    assert ended == made[100:]
    await wide.close()


async def test_start_error(runtime: SimulatedRuntime) -> None:
    config = sandbox(annotations={f"{ANNOTATION}start-error": "no such file"})
    with pytest.raises(api.RuntimeFailed, match="no such file"):
        await started(runtime, config)
    [line] = await runtime.list_containers()
    assert (await runtime.container_status(line.id)).reason == "StartError"


async def test_addresses_run_out_and_come_back(runtime: SimulatedRuntime) -> None:
    ids = [await runtime.run_sandbox(sandbox(f"p{n}")) for n in range(5)]
    assert [(await runtime.sandbox_status(i)).ips[0] for i in ids] == [f"10.9.0.{n}" for n in range(2, 7)]
    with pytest.raises(api.RuntimeFailed, match="no addresses"):
        await runtime.run_sandbox(sandbox("late"))
    await runtime.remove_sandbox(ids[3])
    assert (await runtime.sandbox_status(await runtime.run_sandbox(sandbox("late")))).ips == ("10.9.0.5",)


async def test_faults(runtime: SimulatedRuntime) -> None:
    runtime.faults.inject("run_sandbox", api.RuntimeFailed("the bridge is down"), times=2, pattern="bad")
    await runtime.run_sandbox(sandbox("good"))
    for _ in range(2):
        with pytest.raises(api.RuntimeFailed, match="bridge"):
            await runtime.run_sandbox(sandbox("bad"))
    await runtime.run_sandbox(sandbox("bad"))


async def test_pulls_where_images_are_not_there() -> None:
    runtime = SimulatedRuntime(SimulatedSettings(images_present=False))
    assert await runtime.image_status("app:v1") is None
    ref = await runtime.pull_image("app:v1")
    assert (await runtime.image_status("app:v1")).id == ref  # type: ignore[union-attr]
    assert await runtime.image_status(ref) is not None
    await runtime.remove_image(ref)
    assert await runtime.image_status("app:v1") is None


async def test_a_listener_that_falls_behind_is_cut_off(runtime: SimulatedRuntime) -> None:
    events = runtime.events()
    owner = await runtime.run_sandbox(sandbox())
    made = await runtime.create_container(owner, container("x"), sandbox())
    for _ in range(5000):
        runtime._tell(api.EventKind.STARTED, made, owner)
    with pytest.raises(api.RuntimeFailed, match="list again"):
        await anext(events)


@pytest.mark.parametrize(("text", "seconds"), [("3s", 3), ("500ms", 0.5), ("1m30s", 90), ("2h", 7200), ("0s", 0)])
def test_durations(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "3", "soon", "3s later", "-1s"])
def test_what_is_no_duration(text: str) -> None:
    with pytest.raises(ValueError):
        parse_duration(text)
