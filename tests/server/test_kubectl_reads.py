"""Reads through kubectl, old and new, against a listening server: watching, waiting, pages, raw paths."""

import json
import subprocess
import time
from typing import Any

import pytest
from tests.server.live import FOUND, Kubectl, LiveServer
from tests.server.test_kubectl import POD

#: Clients are slow to start, or time has to pass: not in the quick part.
pytestmark = pytest.mark.slow


class Following:
    """A kubectl that goes on, read line by line."""

    def __init__(self, k: Kubectl, *arguments: str) -> None:
        self.process = k.start(*arguments)

    def __enter__(self) -> "Following":
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.communicate(timeout=10)

    def line(self) -> list[str]:
        assert self.process.stdout is not None
        return self.process.stdout.readline().split()

    def event(self) -> dict[str, Any]:
        """A JSON document of one line."""
        assert self.process.stdout is not None
        found: dict[str, Any] = json.loads(self.process.stdout.readline())
        return found


def test_get_watch(k: Kubectl) -> None:
    k.run("create", "configmap", "a", "--from-literal=x=1")
    with Following(k, "get", "configmaps", "-w") as shown:
        assert shown.line() == ["NAME", "DATA", "AGE"]
        assert shown.line()[:2] == ["a", "1"]
        k.run("create", "configmap", "b", "--from-literal=x=1", "--from-literal=y=2")
        assert shown.line()[:2] == ["b", "2"]
        k.run("delete", "configmap", "a")
        assert shown.line()[:2] == ["a", "1"]


def test_watch_only_and_of_one(k: Kubectl) -> None:
    k.run("create", "configmap", "a")
    k.run("create", "configmap", "b")
    with (
        Following(k, "get", "configmaps", "--watch-only", "-o", "name") as new,
        Following(k, "get", "configmap", "b", "-w", "--output-watch-events", "-o", "json") as one,
    ):
        assert one.event()["type"] == "ADDED"
        time.sleep(0.5)  # the watch of --watch-only begins at the newest state
        k.run("label", "configmap", "b", "x=y")
        assert new.line() == ["configmap/b"]
        changed = one.event()
    assert (changed["type"], changed["object"]["metadata"]["labels"]) == ("MODIFIED", {"x": "y"})


def test_watch_by_selectors(k: Kubectl) -> None:
    k.run("create", "configmap", "a")
    with Following(k, "get", "configmaps", "-l", "x=y", "-w", "--output-watch-events") as shown:
        time.sleep(0.5)
        k.run("label", "configmap", "a", "x=y")
        assert shown.line() == ["EVENT", "NAME", "DATA", "AGE"]
        assert shown.line()[:2] == ["ADDED", "a"]
        k.run("label", "configmap", "a", "x-")
        assert shown.line()[:2] == ["DELETED", "a"]


def test_wait(k: Kubectl) -> None:
    k.run("apply", "-f", "-", text=POD)
    waiting = k.start("wait", "pod/p", "--for=condition=Ready", "--timeout=20s")
    by_path = k.start("wait", "pod/p", "--for=jsonpath={.status.phase}=Running", "--timeout=20s")
    gone = k.start("wait", "pod/p", "--for=delete", "--timeout=20s")
    status = {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}
    k.run("patch", "pod", "p", "--subresource=status", "--type=merge", "-p", json.dumps({"status": status}))
    for process in (waiting, by_path):
        out, err = process.communicate(timeout=20)
        assert (process.returncode, out.strip()) == (0, "pod/p condition met"), err
    k.run("delete", "pod", "p", "--wait=false", "--force", "--grace-period=0")
    out, err = gone.communicate(timeout=20)
    assert gone.returncode == 0, (out, err)
    k.run("wait", "pod/none", "--for=delete", "--timeout=1s")
    k.run("create", "configmap", "a")
    k.run("wait", "configmap/a", "--for=create", "--timeout=5s")
    k.run("wait", "configmap/a", "--for=jsonpath={.data.x}=1", "--timeout=1s", code=1)
    assert "timed out waiting for the condition" in k.errors


def test_pages(k: Kubectl) -> None:
    for name in "abcde":
        k.run("create", "configmap", name)
    for size in ("2", "5", "500", "0"):
        assert k.run("get", "configmaps", f"--chunk-size={size}", "-o", "name").split() == [
            f"configmap/{name}" for name in "abcde"
        ]
        lines = k.run("get", "configmaps", f"--chunk-size={size}", "--no-headers").splitlines()
        assert [line.split()[0] for line in lines] == list("abcde")
    named = k.run("get", "configmaps", "--chunk-size=2", "--field-selector=metadata.name!=c", "-o", "name").split()
    assert named == [f"configmap/{name}" for name in "abde"]


def test_raw(k: Kubectl) -> None:
    k.run("create", "configmap", "a")
    where = k.run("config", "view", "--minify", "-o", "jsonpath={..namespace}")
    path = f"/api/v1/namespaces/{where}/configmaps"
    assert json.loads(k.run("get", "--raw", f"{path}/a"))["metadata"]["name"] == "a"
    page = json.loads(k.run("get", "--raw", f"{path}?limit=1"))
    assert [each["metadata"]["name"] for each in page["items"]] == ["a"]
    assert '"type":"ADDED"' in k.run("get", "--raw", f"{path}?watch=1&timeoutSeconds=1")
    k.run("get", "--raw", f"{path}?resourceVersion=x", code=1)
    assert "invalid resource version" in k.errors
    k.run("get", "configmaps", "--field-selector=data.x=1", code=1)
    assert '"data.x" is not a known field selector: only "metadata.name", "metadata.namespace"' in k.errors


def test_component_statuses(k: Kubectl) -> None:
    lines = [line.split() for line in k.run("get", "componentstatuses").splitlines()]
    assert lines[0] == ["NAME", "STATUS", "MESSAGE", "ERROR"]
    assert ["etcd-0", "Healthy", "ok"] in lines


def test_a_stopping_server_ends_watches_cleanly(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Open watches see the end of their body, idle connections do not hold the server up."""
    for binary in FOUND.values():
        live = LiveServer(tmp_path_factory.mktemp("stopping"))
        live.start()
        k = Kubectl(binary, live)
        following: list[subprocess.Popen[str]] = [
            k.start("get", "--raw", "/api/v1/namespaces?watch=1"),
            k.start("get", "--raw", "/api/v1/services?watch=1&resourceVersion=0"),
        ]
        for process in following:
            assert process.stdout is not None
            assert process.stdout.readline().startswith('{"type":"ADDED"')
        began = time.monotonic()
        live.stop()
        assert time.monotonic() - began < 5
        for process in following:
            _, errors = process.communicate(timeout=10)
            assert (process.returncode, errors) == (0, "")
