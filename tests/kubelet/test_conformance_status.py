"""What a pod that is over still tells."""

from tests.kubelet.builders import Seen, pod
from tests.kubelet.test_status import status


def test_a_pod_that_ended_before_it_told_its_address_keeps_it() -> None:
    seen = Seen(pod(restartPolicy="Never")).sandbox().exited("web", 0)
    assert status(seen)["podIP"] == "10.0.0.5"
    seen.memo.finished = ("Succeeded", "", "")
    gone = status(seen.sandbox(ready=False))
    assert (gone["phase"], gone["podIP"], gone["podIPs"]) == ("Succeeded", "10.0.0.5", [{"ip": "10.0.0.5"}])


def test_a_pod_that_goes_on_in_another_sandbox_has_none_until_then() -> None:
    seen = Seen(pod(restartPolicy="Always")).sandbox().running("web").sandbox(ready=False)
    assert "podIP" not in status(seen)
