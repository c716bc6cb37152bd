"""HorizontalPodAutoscalers in their two versions: what one cannot say is kept, under the original's names and forms."""

import copy
from pathlib import Path
from typing import Any

import orjson
import yaml
from builders import created, spec_of

from kaa.kinds.autoscaling.conversion import from_stored, to_stored

Json = dict[str, Any]
EXAMPLE = Path(__file__).parents[2] / "examples" / "kinds" / "horizontalpodautoscaler.yaml"
PREFIX = "autoscaling.alpha.kubernetes.io/"


def new() -> Json:
    obj, problems = created(next(yaml.safe_load_all(EXAMPLE.read_text())))
    assert problems == []
    obj["status"] = {
        "currentReplicas": 3,
        "desiredReplicas": 4,
        "currentMetrics": [
            {
                "type": "Resource",
                "resource": {"name": "cpu", "current": {"averageUtilization": 40, "averageValue": "2"}},
            },
            {"type": "Pods", "pods": {"metric": {"name": "rps"}, "current": {"averageValue": "90"}}},
        ],
        "conditions": [{"type": "AbleToScale", "status": "True"}],
    }
    return obj


def test_the_new_form_survives_the_old_one() -> None:
    obj = new()
    assert to_stored(from_stored(copy.deepcopy(obj))) == obj


def test_what_the_old_form_cannot_say_stands_in_annotations() -> None:
    old = from_stored(new())
    assert old["apiVersion"] == "autoscaling/v1"
    assert old["spec"]["targetCPUUtilizationPercentage"] == 70
    assert old["status"]["currentCPUUtilizationPercentage"] == 40
    notes = {name.removeprefix(PREFIX): orjson.loads(value) for name, value in old["metadata"]["annotations"].items()}
    assert notes["metrics"] == [
        {"type": "Pods", "pods": {"metricName": "requests_per_second", "targetAverageValue": "100"}},
        {
            "type": "Object",
            "object": {
                "target": {"apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "name": "shop"},
                "metricName": "requests_per_second",
                "targetValue": "10k",
            },
        },
        {
            "type": "External",
            "external": {
                "metricName": "queue_length",
                "metricSelector": {"matchLabels": {"queue": "orders"}},
                "targetAverageValue": "30",
            },
        },
        {
            "type": "ContainerResource",
            "containerResource": {"name": "memory", "container": "web", "targetAverageValue": "200Mi"},
        },
    ]
    assert notes["behavior"]["ScaleDown"]["Policies"] == [{"Type": "Percent", "Value": 50, "PeriodSeconds": 60}]
    assert notes["behavior"]["ScaleUp"]["StabilizationWindowSeconds"] == 0
    assert [each["type"] for each in notes["current-metrics"]] == ["Resource", "Pods"]
    assert notes["conditions"] == [{"type": "AbleToScale", "status": "True"}]


def test_an_annotation_that_is_no_json_says_nothing() -> None:
    obj = {"metadata": {"annotations": {f"{PREFIX}metrics": "{", f"{PREFIX}behavior": "[]"}}, "spec": {}}
    assert to_stored(obj) == {"apiVersion": "autoscaling/v2", "metadata": {}, "spec": {}}


def test_the_old_form_is_shown_as_the_new_one() -> None:
    obj = new()
    wanted = spec_of("autoscaling/v2", "HorizontalPodAutoscaler").cells(obj, 0.0)
    assert spec_of("autoscaling/v1", "HorizontalPodAutoscaler").cells(from_stored(obj), 0.0) == wanted
    assert wanted[1:6] == ["Deployment/web", "cpu: 40%/70%, 90/100 + 3 more...", "2", 20, 3]
