"""Workloads made from a pod template, and jobs."""

import copy
from typing import Any

import pytest
from builders import created, spec_of, template, updated, workload


def test_deployment_defaults() -> None:
    obj, problems = created(workload("Deployment"))
    assert problems == []
    spec = obj["spec"]
    assert spec["strategy"] == {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": "25%", "maxSurge": "25%"}}
    assert (spec["replicas"], spec["revisionHistoryLimit"], spec["progressDeadlineSeconds"]) == (1, 10, 600)
    assert spec["template"]["spec"]["restartPolicy"] == "Always"
    assert "enableServiceLinks" not in spec["template"]["spec"]  # pods get it, templates do not
    assert obj["status"] == {}
    assert obj["metadata"]["generation"] == 1


def test_daemonset_and_statefulset_defaults() -> None:
    daemons, problems = created(workload("DaemonSet"))
    assert problems == []
    assert daemons["spec"]["updateStrategy"] == {
        "type": "RollingUpdate",
        "rollingUpdate": {"maxUnavailable": 1, "maxSurge": 0},
    }
    stateful, problems = created(workload("StatefulSet", serviceName="web"))
    assert problems == []
    spec = stateful["spec"]
    assert spec["podManagementPolicy"] == "OrderedReady"
    assert spec["updateStrategy"] == {"type": "RollingUpdate", "rollingUpdate": {"partition": 0}}
    assert spec["persistentVolumeClaimRetentionPolicy"] == {"whenDeleted": "Retain", "whenScaled": "Retain"}


@pytest.mark.parametrize(
    ("spec", "problems"),
    [
        ({"selector": None}, ["spec.selector: Required value"]),
        ({"selector": {}}, ["spec.selector: Invalid value: {}: empty selector is invalid for deployment"]),
        ({"replicas": -1}, ["spec.replicas: Invalid value: -1: must be greater than or equal to 0"]),
        (
            {"template": template({"app": "other"})},
            [
                'spec.template.metadata.labels: Invalid value: {"app":"other"}: '
                "`selector` does not match template `labels`"
            ],
        ),
        (
            {"template": template(restartPolicy="Never")},
            ['spec.template.spec.restartPolicy: Unsupported value: "Never": supported values: "Always"'],
        ),
        (
            {"strategy": {"type": "Recreate", "rollingUpdate": {}}},
            ["spec.strategy.rollingUpdate: Forbidden: may not be specified when strategy `type` is 'Recreate'"],
        ),
        (
            {"strategy": {"rollingUpdate": {"maxUnavailable": 0, "maxSurge": 0}}},
            ["spec.strategy.rollingUpdate.maxUnavailable: Invalid value: 0: may not be 0 when `maxSurge` is 0"],
        ),
        (
            {"minReadySeconds": 700},
            ["spec.progressDeadlineSeconds: Invalid value: 600: must be greater than minReadySeconds"],
        ),
    ],
)
def test_deployments_refused(spec: dict[str, Any], problems: list[str]) -> None:
    assert created(workload("Deployment", **spec))[1] == problems


@pytest.mark.parametrize("kind", ["Deployment", "ReplicaSet", "DaemonSet"])
def test_selectors_are_immutable(kind: str) -> None:
    old, _ = created(workload(kind))
    new = copy.deepcopy(old)
    new["spec"]["selector"]["matchLabels"]["app"] = "b"
    new["spec"]["template"]["metadata"]["labels"]["app"] = "b"
    assert updated(new, old) == ['spec.selector: Invalid value: {"matchLabels":{"app":"b"}}: field is immutable']


def test_statefulsets_change_in_few_fields() -> None:
    old, _ = created(workload("StatefulSet", serviceName="web"))
    new = copy.deepcopy(old)
    new["spec"]["replicas"] = 5
    assert updated(new, old) == []
    assert new["metadata"]["generation"] == 2
    new["spec"]["serviceName"] = "other"
    (problem,) = updated(new, old)
    assert problem.startswith(
        "spec: Forbidden: updates to statefulset spec for fields other than 'replicas', 'ordinals'"
    )


def test_metadata_alone_is_no_new_generation() -> None:
    old, _ = created(workload("Deployment"))
    new = copy.deepcopy(old)
    new["metadata"]["labels"] = {"a": "b"}
    assert updated(new, old) == []
    assert new["metadata"]["generation"] == 1


def _job(**spec: Any) -> dict[str, Any]:
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "j"},
            "spec": {"template": template(restartPolicy="Never"), **spec}}  # fmt: skip


def test_jobs_get_a_selector_of_their_own() -> None:
    obj, problems = created(_job())
    assert problems == []
    spec = obj["spec"]
    assert (spec["completions"], spec["parallelism"], spec["backoffLimit"]) == (1, 1, 6)
    assert (spec["completionMode"], spec["suspend"]) == ("NonIndexed", False)
    assert spec["selector"] == {"matchLabels": {"batch.kubernetes.io/controller-uid": "u-1"}}
    assert spec["template"]["metadata"]["labels"]["batch.kubernetes.io/job-name"] == "j"


def test_jobs_refused() -> None:
    job = _job(completionMode="Indexed", parallelism=2)
    job["spec"]["template"]["spec"]["restartPolicy"] = "Always"
    _, problems = created(job)
    assert problems == [
        "spec.completions: Required value: when completion mode is Indexed",
        'spec.template.spec.restartPolicy: Required value: valid values: "OnFailure", "Never"',
    ]


def test_a_jobs_template_is_immutable_once_it_runs() -> None:
    old, _ = created(_job())
    new = copy.deepcopy(old)
    new["spec"]["template"]["spec"]["nodeSelector"] = {"a": "b"}
    assert any("spec.template: Invalid value" in problem for problem in updated(new, old))
    old["spec"]["suspend"] = True
    new = copy.deepcopy(old)
    new["spec"]["template"]["spec"]["nodeSelector"] = {"a": "b"}
    assert updated(new, old) == []


def _cron(schedule: str, **spec: Any) -> dict[str, Any]:
    job = {"spec": {"template": template(restartPolicy="Never")}}
    return {"apiVersion": "batch/v1", "kind": "CronJob", "metadata": {"name": "c"},
            "spec": {"schedule": schedule, "jobTemplate": job, **spec}}  # fmt: skip


@pytest.mark.parametrize(
    "schedule", ["*/5 * * * *", "0 9-17/2 * jan-mar mon,fri", "@hourly", "@every 1h30m", "? * ? * *"]
)
def test_schedules_accepted(schedule: str) -> None:
    obj, problems = created(_cron(schedule))
    assert problems == []
    assert obj["spec"]["concurrencyPolicy"] == "Allow"
    assert "completions" not in obj["spec"]["jobTemplate"]["spec"]


@pytest.mark.parametrize(
    ("schedule", "said"),
    [
        ("* * * *", "expected exactly 5 fields, found 4: [* * * *]"),
        ("60 * * * *", "end of range (60) above maximum (59): 60"),
        (
            "a * * * *",
            'failed to parse int from a: strconv.Atoi: parsing "a": invalid syntax',
        ),
        ("*/0 * * * *", "step of range should be a positive number: */0"),
        ("TZ=UTC * * * * *", "cannot use TZ or CRON_TZ in schedule, use timeZone field instead"),
    ],
)
def test_schedules_refused(schedule: str, said: str) -> None:
    _, problems = created(_cron(schedule))
    assert problems == [f'spec.schedule: Invalid value: "{schedule}": {said}']


def test_rows() -> None:
    obj, _ = created(workload("Deployment", replicas=3))
    obj["metadata"]["creationTimestamp"] = "2026-01-01T00:00:00Z"
    obj["status"] = {"readyReplicas": 2, "updatedReplicas": 3, "availableReplicas": 2}
    cells = spec_of("apps/v1", "Deployment").cells(obj, 1767225600.0 + 7200)
    assert cells == ["x", "2/3", 3, 2, "120m", "c", "nginx:1", "app=web"]
