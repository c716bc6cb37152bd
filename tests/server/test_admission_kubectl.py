"""kubectl on quotas, limits, priorities and levels of pod security: made, shown, warned of."""

import time

import pytest
from tests.server.live import Kubectl
from tests.server.test_kubectl import POD

#: Clients are slow to start, or time has to pass: not in the quick part.
pytestmark = pytest.mark.slow


LIMITS = """
apiVersion: v1
kind: LimitRange
metadata: {name: bounds}
spec:
  limits:
  - {type: Container, default: {cpu: 500m}, defaultRequest: {cpu: 100m}, max: {cpu: "1"}}
"""


def test_quotas_and_limits_are_made_and_shown(k: Kubectl) -> None:
    k.run("create", "quota", "q", "--hard=pods=2,requests.cpu=1,count/deployments.apps=3", "--scopes=NotTerminating")
    status = '{"status":{"hard":{"pods":"2","requests.cpu":"1"},"used":{"pods":"0","requests.cpu":"0"}}}'
    k.run("patch", "quota", "q", "--subresource=status", "--type=merge", "-p", status)
    k.run("apply", "-f", "-", text=LIMITS)
    k.run("apply", "-f", "-", text=POD)
    shown = k.run("describe", "quota", "q")
    assert "NotTerminating" in shown
    assert [line.split() for line in shown.splitlines() if line.startswith(("pods", "requests.cpu"))] == [
        ["pods", "1", "2"], ["requests.cpu", "100m", "1"]
    ]  # fmt: skip
    assert "pods: 1/2, requests.cpu: 100m/1" in k.run("get", "quota")
    limits = k.run("describe", "limits", "bounds").splitlines()[-1].split()
    assert limits == ["Container", "cpu", "-", "1", "100m", "500m", "-"]
    space = k.run("config", "view", "--minify", "-o", "jsonpath={..namespace}")
    shown = k.run("describe", "namespace", space)
    assert "Resource Quotas" in shown
    assert "Resource Limits" in shown


def test_priority_classes_are_made_and_shown(k: Kubectl) -> None:
    name = f"p{time.monotonic_ns()}"
    k.run("create", "priorityclass", name, "--value=7", "--description=urgent", "--preemption-policy=Never")
    listed = k.run("get", "priorityclass").splitlines()
    assert {line.split()[0]: line.split()[1] for line in listed}.items() >= {
        "system-node-critical": "2000001000", "system-cluster-critical": "2000000000", name: "7"
    }.items()  # fmt: skip
    assert "urgent" in k.run("describe", "priorityclass", name)


def test_levels_of_pod_security_are_warned_of(k: Kubectl) -> None:
    space = k.run("config", "view", "--minify", "-o", "jsonpath={..namespace}")
    k.run("apply", "-f", "-", text=POD)
    k.run("label", "namespace", space, "pod-security.kubernetes.io/enforce=restricted", "--dry-run=server")
    assert "Warning: existing pods in namespace" in k.errors
    k.run("label", "namespace", space, "pod-security.kubernetes.io/warn=restricted")
    k.run("create", "deployment", "d", "--image=x")
    assert 'Warning: would violate PodSecurity "restricted:latest": allowPrivilegeEscalation != false' in k.errors
