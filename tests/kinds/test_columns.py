"""The rows that `kubectl get` and `get -o wide` show: names of columns, and the exact cells of telling objects."""

# ruff: noqa: E501 (a row stands on one line)

from typing import Any

import pytest
from builders import REGISTRY, container, pod, spec_of, template

NOW = 1767225600.0  # 2026-01-01T00:00:00Z
Json = dict[str, Any]
_META = {"name": "x", "creationTimestamp": "2025-12-31T23:55:00Z"}


def _shown(api_version: str, kind: str, **more: Any) -> dict[str, Any]:
    spec = spec_of(api_version, kind)
    cells = spec.cells({"apiVersion": api_version, "kind": kind, "metadata": _META, **more}, NOW)
    names = [column.name for column in spec.columns]
    assert len(cells) == len(names)
    return dict(zip(names, cells, strict=True))


ROWS: list[tuple[str, str, Json, Json]] = [
    ("v1", "Service", {
        "spec": {"type": "LoadBalancer", "clusterIP": "10.0.0.1", "ports": [{"port": 80, "nodePort": 30080, "protocol": "TCP"}],
                 "externalIPs": ["192.0.2.1"], "selector": {"b": "2", "a": "1"}},
        "status": {"loadBalancer": {"ingress": [{"ip": "203.0.113.9"}, {"hostname": "a.example.com"}, {"ip": "203.0.113.1"}]}},
    }, {"Name": "x", "Type": "LoadBalancer", "Cluster-IP": "10.0.0.1",
        "External-IP": "203.0.113.1,203.0.113.9,a.example.com,192.0.2.1", "Port(s)": "80:30080/TCP", "Age": "5m",
        "Selector": "a=1,b=2"}),
    ("v1", "Service", {"spec": {"type": "LoadBalancer", "ports": []}, "status": {}},
     {"Name": "x", "Type": "LoadBalancer", "Cluster-IP": "<none>", "External-IP": "<pending>", "Port(s)": "<none>",
      "Age": "5m", "Selector": "<none>"}),
    ("v1", "Node", {
        "metadata": {**_META, "labels": {"node-role.kubernetes.io/worker": "", "node-role.kubernetes.io/control-plane": "",
                                         "kubernetes.io/role": "x"}},
        "spec": {"unschedulable": True},
        "status": {"conditions": [{"type": "Ready", "status": "False"}], "nodeInfo": {"kubeletVersion": "v1.36.0"},
                   "addresses": [{"type": "InternalIP", "address": "10.0.0.7"}]},
    }, {"Name": "x", "Status": "NotReady,SchedulingDisabled", "Roles": "control-plane,worker,x", "Age": "5m",
        "Version": "v1.36.0", "Internal-IP": "10.0.0.7", "External-IP": "<none>", "OS-Image": "<unknown>",
        "Kernel-Version": "<unknown>", "Container-Runtime": "<unknown>"}),
    ("v1", "Event", {
        "involvedObject": {"kind": "Pod", "name": "p", "fieldPath": "spec.containers{c}"}, "reason": "BackOff",
        "message": "again\n", "type": "Warning", "source": {"component": "kubelet", "host": "n"},
        "firstTimestamp": "2025-12-31T23:50:00Z", "lastTimestamp": "2025-12-31T23:58:00Z", "count": 3,
        "series": {"count": 9, "lastObservedTime": "2025-12-31T23:59:30.000000Z"},
    }, {"Last Seen": "30s", "Type": "Warning", "Reason": "BackOff", "Object": "pod/p", "Subobject": "spec.containers{c}",
        "Source": "kubelet, n", "Message": "again", "First Seen": "10m", "Count": 9, "Name": "x"}),
    ("v1", "ResourceQuota", {"status": {"hard": {"limits.cpu": "4", "pods": "10"}, "used": {"pods": "3"}}},
     {"Name": "x", "Request": "pods: 3/10", "Limit": "limits.cpu: 0/4", "Age": "5m"}),
    ("v1", "ReplicationController", {"spec": {"replicas": 2, "selector": {"a": "b"}, "template": template()}},
     {"Name": "x", "Desired": 2, "Current": 0, "Ready": 0, "Age": "5m", "Containers": "c", "Images": "nginx:1",
      "Selector": "a=b"}),
    ("apps/v1", "Deployment", {
        "spec": {"replicas": 3, "selector": {"matchExpressions": [{"key": "k", "operator": "NotIn", "values": ["b", "a"]}]},
                 "template": template()},
        "status": {"readyReplicas": 1, "updatedReplicas": 2, "availableReplicas": 1},
    }, {"Name": "x", "Ready": "1/3", "Up-to-date": 2, "Available": 1, "Age": "5m", "Containers": "c", "Images": "nginx:1",
        "Selector": "k notin (a,b)"}),
    ("apps/v1", "DaemonSet", {
        "spec": {"selector": {"matchLabels": {"a": "b"}}, "template": template(nodeSelector={"disk": "ssd"})},
        "status": {"desiredNumberScheduled": 3, "currentNumberScheduled": 2, "numberReady": 1},
    }, {"Name": "x", "Desired": 3, "Current": 2, "Ready": 1, "Up-to-date": 0, "Available": 0, "Node Selector": "disk=ssd",
        "Age": "5m", "Containers": "c", "Images": "nginx:1", "Selector": "a=b"}),
    ("apps/v1", "ControllerRevision", {
        "metadata": {**_META, "ownerReferences": [
            {"apiVersion": "apps/v1", "kind": "StatefulSet", "name": "web", "controller": True}]},
        "revision": 3,
    }, {"Name": "x", "Controller": "statefulset.apps/web", "Revision": 3, "Age": "5m"}),
    ("batch/v1", "Job", {
        "spec": {"parallelism": 3, "template": template()},
        "status": {"succeeded": 1, "startTime": "2025-12-31T23:56:00Z",
                   "conditions": [{"type": "Suspended", "status": "True"}]},
    }, {"Name": "x", "Status": "Suspended", "Completions": "1/1 of 3", "Duration": "4m", "Age": "5m", "Containers": "c",
        "Images": "nginx:1", "Selector": "<none>"}),
    ("batch/v1", "CronJob", {
        "spec": {"schedule": "@daily", "jobTemplate": {"spec": {"template": template()}}},
        "status": {"active": [{}], "lastScheduleTime": "2025-12-31T23:00:00Z"},
    }, {"Name": "x", "Schedule": "@daily", "Timezone": "<none>", "Suspend": "False", "Active": 1, "Last Schedule": "60m",
        "Age": "5m", "Containers": "c", "Images": "nginx:1", "Selector": "<none>"}),
]  # fmt: skip


@pytest.mark.parametrize(("api_version", "kind", "obj", "row"), ROWS, ids=[each[1] for each in ROWS])
def test_rows(api_version: str, kind: str, obj: Json, row: Json) -> None:
    assert _shown(api_version, kind, **obj) == row


PODS: list[tuple[Json, Json, tuple[str, str, str]]] = [
    ({"schedulingGates": [{"name": "g"}]},
     {"phase": "Pending", "conditions": [{"type": "PodScheduled", "status": "False", "reason": "SchedulingGated"}]},
     ("0/1", "SchedulingGated", "0")),
    ({"initContainers": [container(name="i"), container(name="s", restartPolicy="Always")]},
     {"phase": "Pending", "initContainerStatuses": [
         {"name": "i", "restartCount": 2, "state": {"terminated": {"exitCode": 1, "signal": 9}},
          "lastState": {"terminated": {"finishedAt": "2025-12-31T23:55:00Z"}}}]},
     ("0/2", "Init:Signal:9", "2 (5m ago)")),
    ({"initContainers": [container(name="s", restartPolicy="Always")]},
     {"phase": "Running", "initContainerStatuses": [
         {"name": "s", "restartCount": 1, "started": True, "ready": True, "state": {"running": {}}}],
      "containerStatuses": [{"name": "c", "ready": True, "restartCount": 0, "state": {"running": {}}}]},
     ("2/2", "Running", "1")),
    ({"containers": [container(), container(name="d")]},
     {"phase": "Running", "containerStatuses": [
         {"name": "c", "restartCount": 0, "state": {"terminated": {"exitCode": 0, "reason": "Completed"}}},
         {"name": "d", "ready": True, "restartCount": 0, "state": {"running": {}}}]},
     ("1/2", "NotReady", "0")),
    ({}, {"phase": "Failed", "containerStatuses": [
        {"name": "c", "restartCount": 0, "state": {"terminated": {"exitCode": 3}}}]}, ("0/1", "ExitCode:3", "0")),
]  # fmt: skip


@pytest.mark.parametrize(("spec", "status", "row"), PODS)
def test_pods(spec: Json, status: Json, row: tuple[str, str, str]) -> None:
    shown = _shown("v1", "Pod", spec=pod(**spec)["spec"], status=status)
    assert (shown["Ready"], shown["Status"], shown["Restarts"]) == row


def test_every_column_of_these_groups_says_what_it_means() -> None:
    for spec in REGISTRY.all():
        if spec.resource.group in ("", "apps", "batch") and not spec.resource.plural.startswith("persistentvolume"):
            assert [column.name for column in spec.columns if not column.description] == [], spec.kind
