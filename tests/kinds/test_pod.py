"""Pods: defaults, what is refused at create and update, quality of service, the row in the table."""

import copy
from typing import Any

import pytest
from builders import container, created, pod, spec_of, updated

NOW = 1767225600.0  # 2026-01-01T00:00:00Z


def test_defaults() -> None:
    obj, problems = created(
        pod(
            containers=[
                container(
                    image="nginx",
                    ports=[{"containerPort": 80}],
                    livenessProbe={"httpGet": {"port": 80}},
                    resources={"limits": {"cpu": "0.5"}},
                )
            ],
            serviceAccountName="robot",
        )
    )
    assert problems == []
    spec = obj["spec"]
    first = spec["containers"][0]
    assert first["imagePullPolicy"] == "Always"
    assert first["terminationMessagePath"] == "/dev/termination-log"
    assert first["terminationMessagePolicy"] == "File"
    assert first["ports"] == [{"containerPort": 80, "protocol": "TCP"}]
    assert first["resources"] == {"limits": {"cpu": "500m"}, "requests": {"cpu": "500m"}}
    assert first["livenessProbe"] == {
        "httpGet": {"path": "/", "port": 80, "scheme": "HTTP"},
        "timeoutSeconds": 1,
        "periodSeconds": 10,
        "successThreshold": 1,
        "failureThreshold": 3,
    }
    assert (spec["restartPolicy"], spec["dnsPolicy"], spec["schedulerName"]) == (
        "Always",
        "ClusterFirst",
        "default-scheduler",
    )
    assert (spec["terminationGracePeriodSeconds"], spec["securityContext"], spec["enableServiceLinks"]) == (
        30,
        {},
        True,
    )
    assert spec["serviceAccount"] == "robot"
    assert obj["status"] == {"phase": "Pending", "qosClass": "Burstable"}
    assert obj["metadata"]["generation"] == 1


@pytest.mark.parametrize(
    ("image", "policy"),
    [
        ("nginx", "Always"),
        ("nginx:latest", "Always"),
        ("nginx:1", "IfNotPresent"),
        ("host:5000/nginx", "Always"),
        ("nginx@sha256:" + "0" * 64, "IfNotPresent"),
        ("host:5000/nginx:1", "IfNotPresent"),
    ],
)
def test_pull_policy_follows_the_tag(image: str, policy: str) -> None:
    obj, _ = created(pod(containers=[container(image=image)]))
    assert obj["spec"]["containers"][0]["imagePullPolicy"] == policy


def test_a_host_network_takes_the_ports_of_the_host() -> None:
    obj, problems = created(pod(hostNetwork=True, containers=[container(ports=[{"containerPort": 80}])]))
    assert problems == []
    assert obj["spec"]["containers"][0]["ports"][0]["hostPort"] == 80


@pytest.mark.parametrize(
    ("spec", "problems"),
    [
        ({"containers": []}, ["spec.containers: Required value"]),
        ({"containers": [{"name": "c"}]}, ["spec.containers[0].image: Required value"]),
        (
            {"containers": [container(), container()]},
            ['spec.containers[1].name: Duplicate value: "c"'],
        ),
        (
            {"containers": [container(resources={"requests": {"cpu": "2"}, "limits": {"cpu": "1"}})]},
            ['spec.containers[0].resources.requests: Invalid value: "2": must be less than or equal to cpu limit of 1'],
        ),
        (
            {"containers": [container(volumeMounts=[{"name": "v", "mountPath": "/a"}])]},
            ['spec.containers[0].volumeMounts[0].name: Not found: "v"'],
        ),
        (
            {"containers": [container(livenessProbe={})]},
            ["spec.containers[0].livenessProbe: Required value: must specify a handler type"],
        ),
        (
            {"containers": [container(ports=[{"containerPort": 70000}])]},
            ["spec.containers[0].ports[0].containerPort: Invalid value: 70000: must be between 1 and 65535, inclusive"],
        ),
        (
            {
                "containers": [
                    container(
                        env=[{"name": "A", "value": "x", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}]
                    )
                ]
            },
            ['spec.containers[0].env[0].valueFrom: Invalid value: "": may not be specified when `value` is not empty'],
        ),
        (
            {"restartPolicy": "Sometimes"},
            ['spec.restartPolicy: Unsupported value: "Sometimes": supported values: "Always", "OnFailure", "Never"'],
        ),
        (
            {"volumes": [{"name": "v", "emptyDir": {}, "hostPath": {"path": "/a"}}]},
            ["spec.volumes[0].hostPath: Forbidden: may not specify more than 1 volume type"],
        ),
        (
            {"activeDeadlineSeconds": 0},
            ["spec.activeDeadlineSeconds: Invalid value: 0: must be between 1 and 2147483647, inclusive"],
        ),
        (
            {"tolerations": [{"operator": "Exists", "tolerationSeconds": 3}]},
            [
                'spec.tolerations[0].effect: Invalid value: "": '
                "effect must be 'NoExecute' when `tolerationSeconds` is set"
            ],
        ),
        (
            {"ephemeralContainers": [container(name="debug")]},
            ["spec.ephemeralContainers: Forbidden: cannot be set on create"],
        ),
        (
            {"initContainers": [container(name="i", readinessProbe={"exec": {"command": ["a"]}})]},
            [
                "spec.initContainers[0].readinessProbe: Forbidden: "
                "may not be set for init containers without restartPolicy=Always"
            ],
        ),
    ],
)
def test_what_is_refused(spec: dict[str, Any], problems: list[str]) -> None:
    assert created(pod(**spec))[1] == problems


def test_every_problem_is_reported_at_once() -> None:
    _, problems = created(
        {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "Bad_Name", "labels": {"a b": "c"}}, "spec": {}}
    )
    assert [problem.partition(":")[0] for problem in problems] == [
        "metadata.name",
        "metadata.labels",
        "spec.containers",
    ]


@pytest.mark.parametrize(
    ("resources", "quality"),
    [
        ({}, "BestEffort"),
        ({"requests": {"cpu": "1"}}, "Burstable"),
        ({"limits": {"cpu": "1", "memory": "1Gi"}}, "Guaranteed"),
        ({"limits": {"cpu": "1", "memory": "1Gi"}, "requests": {"cpu": "1", "memory": "512Mi"}}, "Burstable"),
        ({"limits": {"example.com/gpu": "1"}}, "BestEffort"),
    ],
)
def test_quality_of_service(resources: dict[str, Any], quality: str) -> None:
    obj, problems = created(pod(containers=[container(resources=resources)]))
    assert problems == []
    assert obj["status"]["qosClass"] == quality


def test_an_update_may_change_images_and_little_else() -> None:
    old, _ = created(pod())
    new = copy.deepcopy(old)
    new["spec"]["containers"][0]["image"] = "nginx:2"
    assert updated(new, old) == []
    assert new["metadata"]["generation"] == 2

    new = copy.deepcopy(old)
    new["spec"]["containers"][0]["command"] = ["sh"]
    (problem,) = updated(new, old)
    assert problem.startswith(
        "spec: Forbidden: pod updates may not change fields other than `spec.containers[*].image`,"
        "`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,"
        "`spec.tolerations` (only additions to existing tolerations),"
        "`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)\n"
    )
    assert '- \t\t\tCommand: nil,\n+ \t\t\tCommand: []string{"sh"},\n' in problem


def test_an_update_keeps_the_status_and_a_status_update_the_spec() -> None:
    spec = spec_of("v1", "Pod")
    old, _ = created(pod())
    new = copy.deepcopy(old)
    new["status"] = {"phase": "Running"}
    updated(new, old)
    assert new["status"] == old["status"]
    new = copy.deepcopy(old)
    new["status"] = {"phase": "Running"}
    new["spec"]["nodeName"] = "sneaky"
    spec.prepare_status(new, old)
    assert new["spec"] == old["spec"]
    assert new["status"] == {"phase": "Running", "qosClass": "BestEffort"}


def test_ephemeral_containers_come_by_their_subresource() -> None:
    spec = spec_of("v1", "Pod")
    old, _ = created(pod())
    new = copy.deepcopy(old)
    new["spec"]["ephemeralContainers"] = [container(name="debug")]
    new["spec"]["hostname"] = "sneaky"
    spec.default(new)
    assert spec.prepare_subresource("ephemeralcontainers", new, old)
    assert list(spec.validate_subresource("ephemeralcontainers", new, old)) == []
    assert "hostname" not in new["spec"]
    gone = copy.deepcopy(new)
    del gone["spec"]["ephemeralContainers"]
    spec.prepare_subresource("ephemeralcontainers", gone, new)
    (problem,) = spec.validate_subresource("ephemeralcontainers", gone, new)
    assert 'existing ephemeral containers "debug" may not be removed' in str(problem)


def _status(**more: Any) -> dict[str, Any]:
    return {"name": "c", "ready": False, "restartCount": 0, **more}


@pytest.mark.parametrize(
    ("status", "meta", "shown"),
    [
        ({"phase": "Pending"}, {}, ["0/1", "Pending", "0"]),
        (
            {"phase": "Running", "containerStatuses": [_status(ready=True, state={"running": {}})]},
            {},
            ["1/1", "Running", "0"],
        ),
        (
            {
                "phase": "Running",
                "containerStatuses": [
                    _status(
                        restartCount=3,
                        state={"waiting": {"reason": "CrashLoopBackOff"}},
                        lastState={"terminated": {"finishedAt": "2025-12-31T23:59:00Z", "exitCode": 1}},
                    )
                ],
            },
            {},
            ["0/1", "CrashLoopBackOff", "3 (60s ago)"],
        ),
        (
            {
                "phase": "Succeeded",
                "containerStatuses": [_status(state={"terminated": {"exitCode": 0, "reason": "Completed"}})],
            },
            {},
            ["0/1", "Completed", "0"],
        ),
        ({"phase": "Failed", "reason": "Evicted"}, {}, ["0/1", "Evicted", "0"]),
        ({"phase": "Running"}, {"deletionTimestamp": "2026-01-01T00:00:00Z"}, ["0/1", "Terminating", "0"]),
    ],
)
def test_the_row(status: dict[str, Any], meta: dict[str, Any], shown: list[str]) -> None:
    obj = pod()
    obj["metadata"] = {"name": "x", "creationTimestamp": "2025-12-31T23:55:00Z", **meta}
    obj["status"] = status
    cells = spec_of("v1", "Pod").cells(obj, NOW)
    assert cells[:5] == ["x", *shown, "5m"]


def test_init_containers_in_the_row() -> None:
    obj = pod(initContainers=[container(name="a"), container(name="b")])
    obj["metadata"] = {"name": "x"}
    obj["status"] = {
        "phase": "Pending",
        "initContainerStatuses": [
            {"name": "a", "state": {"terminated": {"exitCode": 0}}},
            {"name": "b", "state": {"running": {}}},
        ],
    }
    assert spec_of("v1", "Pod").cells(obj, NOW)[2] == "Init:1/2"


def test_selectable_fields() -> None:
    read = spec_of("v1", "Pod").selectable
    obj, _ = created(pod(nodeName="n1"))
    assert read["spec.nodeName"](obj) == "n1"
    assert read["status.phase"](obj) == "Pending"
    assert read["metadata.namespace"](obj) == "default"
    assert read["spec.hostNetwork"](obj) == "false"
