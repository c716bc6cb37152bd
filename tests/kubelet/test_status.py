"""Statuses and patches, from what is seen."""

from typing import Any

from tests.kubelet.builders import NOW, Seen, pod

from kaa.kubelet.lifecycle import plan
from kaa.kubelet.memo import Waiting
from kaa.kubelet.status import Host, changes, status_of


def status(seen: Seen) -> dict[str, Any]:
    made = plan(seen.pod, seen.made, seen.memo, NOW)
    return status_of(seen.pod, seen.made, seen.memo, made, Host("192.0.2.1"), NOW)


def conditions(obj: dict[str, Any]) -> dict[str, tuple[str, str, str]]:
    return {c["type"]: (c["status"], c.get("reason", ""), c.get("message", "")) for c in obj["conditions"]}


def test_pending() -> None:
    obj = status(Seen(pod()))
    assert obj["phase"] == "Pending"
    assert obj["containerStatuses"][0]["state"] == {"waiting": {"reason": "ContainerCreating"}}
    assert conditions(obj)["Ready"] == ("False", "ContainersNotReady", "containers with unready status: [web]")
    assert conditions(obj)["PodReadyToStartContainers"][0] == "False"
    assert conditions(obj)["Initialized"][0] == "True"


def test_initializing() -> None:
    obj = status(Seen(pod(init=({"name": "a"}, {"name": "b"}))).sandbox().exited("a", 0).running("b"))
    assert obj["phase"] == "Pending"
    assert obj["containerStatuses"][0]["state"]["waiting"]["reason"] == "PodInitializing"
    assert obj["initContainerStatuses"][0]["ready"] is True
    assert conditions(obj)["Initialized"] == (
        "False", "ContainersNotInitialized", "containers with incomplete status: [b]",
    )  # fmt: skip


def test_running_and_ready() -> None:
    obj = status(Seen(pod()).sandbox().running("web"))
    assert obj["phase"] == "Running"
    assert obj["podIPs"] == [{"ip": "10.0.0.5"}]
    assert obj["containerStatuses"][0]["ready"] is True
    assert obj["containerStatuses"][0]["started"] is True
    assert conditions(obj)["Ready"] == ("True", "", "")


def test_readiness_probe_and_gates() -> None:
    seen = Seen(
        pod({"name": "web", "readinessProbe": {"exec": {"command": ["x"]}}}, readinessGates=[{"conditionType": "lb"}])
    ).sandbox()
    assert conditions(status(seen.running("web")))["ContainersReady"][0] == "False"
    seen.memo.ready["web-0"] = True
    assert conditions(status(seen))["ContainersReady"][0] == "True"
    assert conditions(status(seen))["Ready"] == (
        "False", "ReadinessGatesNotReady", 'corresponding condition of pod readiness gate "lb" does not exist.',
    )  # fmt: skip


def test_crash_loop() -> None:
    seen = Seen(pod()).sandbox().exited("web", 137, attempt=2, ago=4, reason="OOMKilled")
    seen.memo.backoff("web").restarted(NOW - 10, NOW - 10)
    each = status(seen)["containerStatuses"][0]
    assert each["state"]["waiting"]["reason"] == "CrashLoopBackOff"
    assert each["lastState"]["terminated"]["reason"] == "OOMKilled"
    assert each["restartCount"] == 2
    assert status(seen)["phase"] == "Running"


def test_image_cannot_be_pulled() -> None:
    seen = Seen(pod()).sandbox()
    seen.memo.failures["web"] = Waiting("ErrImagePull", "no such image", NOW + 1)
    assert status(seen)["containerStatuses"][0]["state"]["waiting"] == {
        "reason": "ErrImagePull", "message": "no such image",
    }  # fmt: skip
    assert status(seen)["phase"] == "Pending"


def test_finished() -> None:
    seen = Seen(pod(restartPolicy="Never")).sandbox(ready=False).exited("web", 0)
    seen.memo.finished = ("Succeeded", "", "")
    obj = status(seen)
    assert obj["phase"] == "Succeeded"
    assert conditions(obj)["Ready"] == ("False", "PodCompleted", "")
    assert conditions(obj)["Initialized"] == ("True", "PodCompleted", "")


def test_changes_name_only_what_differs() -> None:
    before = status(Seen(pod()).sandbox())
    after = status(Seen(pod()).sandbox().running("web"))
    patch = changes(before, after)
    assert patch is not None
    assert set(patch) == {"phase", "containerStatuses", "conditions"}
    assert {c["type"] for c in patch["conditions"]} == {"Ready", "ContainersReady"}
    # A reason that is no longer there is taken away.
    assert patch["conditions"][0]["reason"] is None
    assert changes(after, after) is None


def test_changes_replace_addresses_and_clear_what_went() -> None:
    before = {"podIPs": [{"ip": "10.0.0.4"}], "podIP": "10.0.0.4", "reason": "Evicted"}
    assert changes(before, {"podIPs": [{"ip": "10.0.0.5"}], "podIP": "10.0.0.5"}) == {
        "podIPs": [{"$patch": "replace"}, {"ip": "10.0.0.5"}], "podIP": "10.0.0.5", "reason": None,
    }  # fmt: skip


def test_transition_times_stay_with_unchanged_conditions() -> None:
    old = "2020-01-01T00:00:00Z"
    before = [{"type": "Ready", "status": "True", "lastTransitionTime": old}]
    obj = status(Seen(pod(status={"conditions": before})).sandbox().running("web"))
    assert next(c for c in obj["conditions"] if c["type"] == "Ready")["lastTransitionTime"] == old
