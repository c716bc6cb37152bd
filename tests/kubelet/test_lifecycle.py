"""Plans: what is to be done about a pod, as tables."""

import pytest
from tests.kubelet.builders import NOW, Seen, pod

from kaa.kubelet.lifecycle import plan
from kaa.kubelet.memo import RestartBackoff, Waiting

TWO = ({"name": "a"}, {"name": "b"})
INIT = ({"name": "i1"}, {"name": "i2"})
SIDE = ({"name": "side", "restartPolicy": "Always"}, {"name": "i1"})
PROBED = ({"name": "side", "restartPolicy": "Always", "startupProbe": {"exec": {"command": ["true"]}}}, {"name": "i1"})


def shown(seen: Seen) -> str:
    """A plan in a line."""
    made = plan(seen.pod, seen.made, seen.memo, NOW)
    words = []
    if made.finished:
        return f"finished {made.finished[0]}"
    words += [f"kill {each.container.id}" for each in made.kills]
    if made.create_sandbox:
        words.append(f"sandbox {made.sandbox_attempt}")
    words += [f"start {each.container.name}.{each.attempt}" for each in made.starts]
    words += [f"wait {name} {each.until - NOW:g}" for name, each in made.waiting.items()]
    return ", ".join(words)


CASES = [
    ("nothing yet", Seen(pod()), "sandbox 0"),
    ("a sandbox", Seen(pod(*TWO)).sandbox(), "start a.0, start b.0"),
    ("half started", Seen(pod(*TWO)).sandbox().running("a"), "start b.0"),
    ("all run", Seen(pod(*TWO)).sandbox().running("a").running("b"), ""),
    ("one ended", Seen(pod(*TWO)).sandbox().running("a").exited("b", 0), "start b.1"),
    ("ended well, OnFailure", Seen(pod(*TWO, restartPolicy="OnFailure")).sandbox().running("a").exited("b", 0), ""),
    ("ended badly, OnFailure", Seen(pod(restartPolicy="OnFailure")).sandbox().exited("web", 1), "start web.1"),
    ("ended badly, Never", Seen(pod(restartPolicy="Never")).sandbox().exited("web", 1), "finished Failed"),
    ("ended well, Never", Seen(pod(restartPolicy="Never")).sandbox().exited("web", 0), "finished Succeeded"),
    ("one of two ended, Never", Seen(pod(*TWO, restartPolicy="Never")).sandbox().running("a").exited("b", 1), ""),
    (
        "a container's own policy",
        Seen(pod({"name": "web", "restartPolicy": "Never"})).sandbox().exited("web", 1),
        "finished Failed",
    ),
    (
        "a rule restarts",
        Seen(
            pod({
                "name": "web", "restartPolicy": "Never",
                "restartPolicyRules": [{"action": "Restart", "exitCodes": {"operator": "In", "values": [42]}}],
            })
        ).sandbox().exited("web", 42),
        "start web.1",
    ),
    ("sandbox died", Seen(pod()).sandbox(ready=False).exited("web", 137), "sandbox 1"),
    ("it died, Never", Seen(pod(restartPolicy="Never")).sandbox(ready=False).exited("web", 137), "finished Failed"),
    ("sandbox died before its containers, Never", Seen(pod(restartPolicy="Never")).sandbox(ready=False), "sandbox 1"),
    ("first init", Seen(pod(init=INIT)).sandbox(), "start i1.0"),
    ("init runs", Seen(pod(init=INIT)).sandbox().running("i1"), ""),
    ("second init", Seen(pod(init=INIT)).sandbox().exited("i1", 0), "start i2.0"),
    ("inits done", Seen(pod(init=INIT)).sandbox().exited("i1", 0).exited("i2", 0), "start web.0"),
    ("init failed", Seen(pod(init=INIT)).sandbox().exited("i1", 1), "start i1.1"),
    ("init failed, Never", Seen(pod(init=INIT, restartPolicy="Never")).sandbox().exited("i1", 1), "finished Failed"),
    ("sidecar first", Seen(pod(init=SIDE)).sandbox(), "start side.0"),
    ("then the init after it", Seen(pod(init=SIDE)).sandbox().running("side"), "start i1.0"),
    ("sidecar not started", Seen(pod(init=PROBED)).sandbox().running("side", started=False), ""),
    (
        "sidecar comes back beside the app",
        Seen(pod(init=SIDE, restartPolicy="Never")).sandbox().exited("side", 1).exited("i1", 0).running("web"),
        "start side.1",
    ),
    (
        "sidecar does not keep a pod",
        Seen(pod(init=SIDE, restartPolicy="Never")).sandbox().running("side").exited("i1", 0).exited("web", 0),
        "finished Succeeded",
    ),
    ("image changed", Seen(pod()).sandbox().running("web", hash="old"), "kill web-0"),
    ("deadline", Seen(pod(activeDeadlineSeconds=50)).sandbox().running("web"), "finished Failed"),
    (
        "ephemeral once",
        Seen(pod(ephemeralContainers=[{"name": "dbg", "image": "i"}])).sandbox().running("web"),
        "start dbg.0",
    ),
    (
        "ephemeral never again",
        Seen(pod(ephemeralContainers=[{"name": "dbg", "image": "i"}])).sandbox().running("web").exited("dbg", 0),
        "",
    ),
    (
        "counting goes on where the API remembers",
        Seen(pod(status={"containerStatuses": [{"name": "web", "restartCount": 4, "containerID": "containerd://x"}]})).sandbox(),
        "start web.5",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("name", "seen", "wanted"), CASES, ids=[case[0] for case in CASES])
def test_plan(name: str, seen: Seen, wanted: str) -> None:
    assert shown(seen) == wanted


def test_condemned_container_is_killed_with_the_probe_s_grace() -> None:
    seen = Seen(pod()).sandbox().running("web")
    seen.memo.condemned["web-0"] = ("Container web failed liveness probe, will be restarted", 3)
    made = plan(seen.pod, seen.made, seen.memo, NOW)
    assert [(kill.message, kill.grace) for kill in made.kills] == [
        ("Container web failed liveness probe, will be restarted", 3)
    ]


def test_back_off_doubles_and_is_forgotten() -> None:
    backoff = RestartBackoff()
    waits = []
    at = NOW
    for _ in range(8):
        waits.append(max(0.0, backoff.until(at, at) - at))
        at += waits[-1]
        backoff.restarted(at, at)
    assert waits == [0, 10, 20, 40, 80, 160, 300, 300]
    assert backoff.until(at + 601, at + 601) == 0


def test_back_off_shows_in_the_plan() -> None:
    seen = Seen(pod()).sandbox().exited("web", 1, attempt=1, ago=4)
    seen.memo.backoff("web").restarted(NOW - 10, NOW - 10)
    made = plan(seen.pod, seen.made, seen.memo, NOW)
    assert made.waiting["web"].message == "back-off 10s restarting failed container=web pod=web_default(u1)"
    assert made.wake_at == NOW + 6
    assert shown(seen) == "wait web 6"


def test_a_failure_is_not_tried_again_before_its_time() -> None:
    seen = Seen(pod()).sandbox()
    seen.memo.failures["web"] = Waiting("ErrImagePull", "no", NOW + 5)
    assert shown(seen) == ""
    seen.memo.failures["web"] = Waiting("ErrImagePull", "no", NOW - 1)
    assert shown(seen) == "start web.0"
