"""What a simulated node does next about a pod, as a table of moments."""

from typing import Any

import msgspec
import pytest

from kaa.base.clock import format_seconds
from kaa.kinds.views import Pod
from kaa.simulated.pods import Step, next_step

NOW = 1_800_000_000.0


def pod(restart: str = "Always", **annotations: str) -> dict[str, Any]:
    return {
        "metadata": {
            "name": "p",
            "namespace": "default",
            "uid": "u",
            "annotations": {f"simulated.kaa.dev/{key.replace('_', '-')}": value for key, value in annotations.items()},
        },
        "spec": {"nodeName": "n", "restartPolicy": restart, "containers": [{"name": "main", "image": "any"}]},
    }


def look(obj: dict[str, Any], at: float = NOW) -> Step:
    return next_step(msgspec.convert(obj, Pod), at, "198.18.0.1", "100.64.0.9")


def carried_out(obj: dict[str, Any], step: Step) -> dict[str, Any]:
    return {**obj, "status": step.status}


def test_begins_at_once_and_then_rests() -> None:
    first = look(pod())
    assert first.status is not None
    assert first.status["phase"] == "Running"
    assert first.status["podIP"] == "100.64.0.9"
    assert {c["type"]: c["status"] for c in first.status["conditions"]}["Ready"] == "True"
    assert look(carried_out(pod(), first), NOW + 60) == Step()


@pytest.mark.parametrize(
    ("restart", "code", "phase"),
    [("Never", "0", "Succeeded"), ("Never", "1", "Failed"), ("OnFailure", "0", "Succeeded")],
)
def test_ends_for_good(restart: str, code: str, phase: str) -> None:
    obj = pod(restart, exit_after="5s", exit_code=code)
    begun = look(obj)
    assert begun.again_seconds == 5.0
    obj = carried_out(obj, begun)
    assert look(obj, NOW + 4).status is None
    ended = look(obj, NOW + 5)
    assert ended.status is not None
    assert ended.status["phase"] == phase
    assert ended.again_seconds is None
    assert look(carried_out(obj, ended), NOW + 6) == Step()


def test_restarts_at_once_and_then_backs_off() -> None:
    obj = pod(exit_after="1s", exit_code="1")
    obj = carried_out(obj, look(obj))
    again = look(obj, NOW + 1)
    assert again.status is not None
    line = again.status["containerStatuses"][0]
    assert (line["restartCount"], next(iter(line["state"]))) == (1, "running")
    obj = carried_out(obj, again)
    waits = look(obj, NOW + 2)
    assert waits.status is not None
    line = waits.status["containerStatuses"][0]
    assert line["state"]["waiting"]["reason"] == "CrashLoopBackOff"
    assert waits.again_seconds == 10.0
    assert waits.status["phase"] == "Running"
    obj = carried_out(obj, waits)
    assert look(obj, NOW + 11).status is None
    third = look(obj, NOW + 12)
    assert third.status is not None
    assert third.status["containerStatuses"][0]["restartCount"] == 2


@pytest.mark.parametrize(
    ("stop_after", "seconds", "deleted"),
    [("", 0, True), ("10s", 9, False), ("10s", 10, True), ("60s", 29, False), ("60s", 30, True), ("soon", 0, True)],
)
def test_deletion_with_grace(stop_after: str, seconds: float, deleted: bool) -> None:
    obj = pod(stop_after=stop_after) if stop_after else pod()
    obj = carried_out(obj, look(obj))
    obj["metadata"] |= {"deletionTimestamp": format_seconds(NOW + 30), "deletionGracePeriodSeconds": 30}
    assert look(obj, NOW + seconds).delete is deleted


def test_a_failed_start_is_told() -> None:
    step = look(pod(start_error="no such file"))
    assert step.status is not None
    assert step.status["phase"] == "Pending"
    assert step.status["containerStatuses"][0]["state"]["waiting"]["message"] == "no such file"


def test_readiness_gates_hold_back_ready() -> None:
    obj = pod()
    obj["spec"]["readinessGates"] = [{"conditionType": "example.com/in"}]
    step = look(obj)
    assert step.status is not None
    shown = {c["type"]: c["status"] for c in step.status["conditions"]}
    assert (shown["ContainersReady"], shown["Ready"]) == ("True", "False")
    obj = carried_out(obj, step)
    obj["status"]["conditions"].append({"type": "example.com/in", "status": "True"})
    step = look(obj, NOW + 1)
    assert step.status is not None
    assert {c["type"]: c["status"] for c in step.status["conditions"]}["Ready"] == "True"
