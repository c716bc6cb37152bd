"""The steps of a rollout, in numbers; names, revisions, conditions."""

from typing import Any

import pytest

from kaa.base.clock import format_seconds
from kaa.controllers.deployment import history
from kaa.controllers.deployment.rollout import (
    is_scaling_event,
    max_surge,
    max_unavailable,
    new_set_replicas,
    plan_new,
    plan_old,
    plan_proportional,
    resolve_fences,
)
from kaa.controllers.deployment.status import Conditions, paused_conditions, report
from kaa.kinds.views import ReplicaSet
from kaa.testing.builders import deployment, replica_set

NOW = 1_000_000.0


@pytest.mark.parametrize(("surge", "unavailable", "replicas", "expected"), [
    ("25%", "25%", 10, (3, 2)), ("25%", "25%", 1, (1, 0)), (0, 0, 5, (0, 1)), ("0%", "0%", 5, (0, 1)),
    (2, 0, 5, (2, 0)), ("100%", "50%", 3, (3, 1)), ("1%", "1%", 10, (1, 0)), (None, 1, 10, (0, 1)),
])  # fmt: skip
def test_fences(surge: Any, unavailable: Any, replicas: int, expected: tuple[int, int]) -> None:
    assert resolve_fences(surge, unavailable, replicas) == expected


def test_fences_of_other_strategies() -> None:
    assert max_surge(deployment().recreate().replicas(5).view()) == 0
    assert max_unavailable(deployment().rolling(1, 9).replicas(5).view()) == 5
    assert max_unavailable(deployment().rolling(1, 9).replicas(0).view()) == 0


@pytest.mark.parametrize(("wanted", "surge", "old", "new", "expected"), [
    (10, 2, 10, 0, 2), (10, 2, 5, 5, 7), (10, 2, 12, 0, 0), (10, 2, 0, 10, 10), (10, 20, 10, 0, 10),
])  # fmt: skip
def test_the_new_set_grows_as_the_surge_allows(wanted: int, surge: int, old: int, new: int, expected: int) -> None:
    made = deployment().replicas(wanted).rolling(surge, 0).view()
    sets = [replica_set("old").replicas(old).view(), replica_set("new").replicas(new).view()]
    assert new_set_replicas(made, sets, new) == expected
    up = plan_new(made, sets, sets[1])
    assert (up.replicas if up is not None else new) == expected


def test_a_new_set_that_is_too_large_shrinks() -> None:
    new = replica_set("new").replicas(9).view()
    up = plan_new(deployment().replicas(4).view(), [new], new)
    assert up is not None
    assert up.replicas == 4


@pytest.mark.parametrize(("wanted", "unavailable", "old", "new", "expected"), [
    # (wants, available) of the old set and the new one; the old set's next size
    (10, 2, (10, 10), (3, 0), 8),
    (10, 0, (10, 10), (2, 0), None),
    (10, 0, (10, 10), (2, 2), 8),
    (10, 2, (10, 8), (0, 0), 8),
    (10, 2, (10, 0), (10, 0), 8),
    (10, 2, (8, 8), (5, 5), 3),
    (10, 2, (0, 0), (10, 10), None),
])  # fmt: skip
def test_old_sets_shrink(
    wanted: int, unavailable: int, old: tuple[int, int], new: tuple[int, int], expected: int | None
) -> None:
    made = deployment().replicas(wanted).rolling(3, unavailable).view()
    one = replica_set("old").replicas(old[0], available=old[1]).view()
    two = replica_set("new").replicas(new[0], available=new[1]).view()
    assert [each.replicas for each in plan_old(made, [one], two)] == ([] if expected is None else [expected])


def test_unhealthy_pods_of_the_oldest_go_first() -> None:
    made = deployment().replicas(10).rolling(3, 2).view()
    oldest = replica_set("a").created(1).replicas(5, available=3).view()
    older = replica_set("b").created(2).replicas(5, available=5).view()
    new = replica_set("new").created(3).replicas(3, available=0).view()
    scales = plan_old(made, [older, oldest], new)
    assert [(each.set.name, each.replicas) for each in scales] == [("a", 3)]


def sized(name: str, age: float, wants: int, desired: int, most: int, available: int | None = None) -> ReplicaSet:
    made = replica_set(name).created(age).replicas(wants, available=wants if available is None else available)
    return made.annotation(history.DESIRED, str(desired)).annotation(history.MAX, str(most)).view()


@pytest.mark.parametrize(("wanted", "olds", "new", "expected"), [
    # The example of the original's documentation: 10 to 15 replicas, surge 3, unavailable 2.
    (15, [8], 5, {"new": 7, "old0": 11}),
    (5, [8], 5, {"new": 3, "old0": 5}),
    (20, [5, 5], 3, {"new": 5, "old0": 9, "old1": 9}),
    (0, [8], 5, {"new": 0, "old0": 0}),
])  # fmt: skip
def test_proportional_scaling(wanted: int, olds: list[int], new: int, expected: dict[str, int]) -> None:
    made = deployment().replicas(wanted).rolling(3, 2).view()
    old = [sized(f"old{n}", n, size, 10, 13) for n, size in enumerate(olds)]
    newest = sized("new", 9, new, 10, 13, available=0)
    assert is_scaling_event(made, [*old, newest])
    assert {each.set.name: each.replicas for each in plan_proportional(made, old, newest)} == expected


def test_one_active_set_takes_the_whole_change() -> None:
    made = deployment().replicas(7).view()
    new, old = sized("new", 2, 3, 3, 4), sized("old", 1, 0, 3, 4)
    assert [(each.set.name, each.replicas) for each in plan_proportional(made, [old], new)] == [("new", 7)]


def test_hashes_are_stable_and_change_with_template_and_collisions() -> None:
    template = deployment().view().spec.template
    first = history.template_hash(template, None)
    assert first == history.template_hash({"spec": template["spec"], "metadata": template["metadata"]}, None)
    assert len({first, history.template_hash(template, 0), history.template_hash(template, 1)}) == 3
    assert first != history.template_hash(deployment().template("web:2").view().spec.template, None)


def test_the_new_set_is_the_oldest_with_the_template() -> None:
    made = deployment().template("web:2").view()
    sets = [
        replica_set("a").created(1).template("web:1").view(),
        replica_set("c").created(3).template("web:2").view(),
        replica_set("b").created(2).template("web:2").view(),
    ]
    sets[2].spec.template["metadata"]["labels"][history.HASH_LABEL] = "x"
    found = history.find_new(made, sets)
    assert found is not None
    assert found.name == "b"


@pytest.mark.parametrize(("present", "revision", "expected"), [
    ({}, 1, {history.REVISION: "1"}),
    ({history.REVISION: "3"}, 3, {}),
    ({history.REVISION: "1"}, 4, {history.REVISION: "4", history.REVISION_HISTORY: "1"}),
    (
        {history.REVISION: "4", history.REVISION_HISTORY: "1,2"}, 6,
        {history.REVISION: "6", history.REVISION_HISTORY: "1,2,4"},
    ),
])  # fmt: skip
def test_revisions(present: dict[str, str], revision: int, expected: dict[str, str]) -> None:
    assert history.wanted_annotations(deployment().view(), present, revision) == expected


def test_annotations_are_copied_except_what_is_private() -> None:
    made = deployment().annotation("team", "a").annotation("kubectl.kubernetes.io/last-applied-configuration", "{}")
    assert history.wanted_annotations(made.view(), {history.REVISION: "1"}, 1) == {"team": "a"}


def test_clean_up_keeps_the_newest_revisions_and_whatever_still_runs() -> None:
    made = deployment()
    made.spec["revisionHistoryLimit"] = 1
    builders = [
        replica_set(f"r{n}").replicas(1 if n == 2 else 0).annotation(history.REVISION, str(n)) for n in range(5)
    ]
    for each in builders:
        each.status["observedGeneration"] = 1
    old = [each.view() for each in builders]
    assert [each.name for each in history.to_clean_up(made.view(), old)] == ["r0", "r1", "r3"]


def conditions(status: dict[str, Any]) -> dict[str, tuple[str, str, str]]:
    return {each["type"]: (each["status"], each["reason"], each.get("message", "")) for each in status["conditions"]}


def test_conditions_of_a_rollout() -> None:
    made = deployment().replicas(2)
    new = replica_set("web-x").replicas(2, available=0)
    held = Conditions(made.view())
    held.set("Progressing", "True", "NewReplicaSetCreated", 'Created new replica set "web-x"', NOW)
    started = report(made.view(), held, [new.view()], new.view(), NOW)
    assert conditions(started.status) == {
        "Available": ("False", "MinimumReplicasUnavailable", "Deployment does not have minimum availability."),
        "Progressing": ("True", "ReplicaSetUpdated", 'ReplicaSet "web-x" is progressing.'),
    }
    assert started.look_again_seconds == pytest.approx(601, abs=1)

    made.status = started.status
    done = report(made.view(), Conditions(made.view()), [new.replicas(2).view()], new.view(), NOW + 5)
    assert done.complete
    assert done.look_again_seconds is None
    assert conditions(done.status) == {
        "Available": ("True", "MinimumReplicasAvailable", "Deployment has minimum availability."),
        "Progressing": ("True", "NewReplicaSetAvailable", 'ReplicaSet "web-x" has successfully progressed.'),
    }


def test_no_progress_within_the_deadline_is_told() -> None:
    made = deployment().replicas(2)
    new = replica_set("web-x").replicas(2, available=0).view()
    made.status.update(replicas=2, updatedReplicas=2, unavailableReplicas=2)
    made.condition("Progressing", "True", since=NOW, reason="ReplicaSetUpdated", lastUpdateTime=format_seconds(NOW))
    soon = report(made.view(), Conditions(made.view()), [new], new, NOW + 599)
    assert conditions(soon.status)["Progressing"][1] == "ReplicaSetUpdated"
    assert soon.look_again_seconds == pytest.approx(2, abs=0.1)
    late = report(made.view(), Conditions(made.view()), [new], new, NOW + 601)
    assert conditions(late.status)["Progressing"] == (
        "False", "ProgressDeadlineExceeded", 'ReplicaSet "web-x" has timed out progressing.',
    )  # fmt: skip
    assert late.look_again_seconds is None


def test_pause_and_resume_are_told_once() -> None:
    made = deployment()
    made.spec["paused"] = True
    held = Conditions(made.view())
    paused_conditions(made.view(), held, NOW)
    first = held.to_json()
    paused_conditions(made.view(), held, NOW + 10)
    assert held.to_json() == first
    assert first[0]["reason"] == "DeploymentPaused"
    made.spec["paused"] = False
    paused_conditions(made.view(), held, NOW + 20)
    assert [each["reason"] for each in held.to_json()] == ["DeploymentResumed"]


def test_other_peoples_conditions_stay() -> None:
    made = deployment().condition("Mine", "True", reason="Because")
    said = report(made.view(), Conditions(made.view()), [], None, NOW)
    assert {each["type"] for each in said.status["conditions"]} == {"Mine", "Available"}


def test_a_failure_of_a_set_is_the_deployments() -> None:
    made = deployment().replicas(2)
    new = replica_set("web-x").condition("ReplicaFailure", reason="FailedCreate", message="quota").view()
    said = report(made.view(), Conditions(made.view()), [new], new, NOW)
    assert conditions(said.status)["ReplicaFailure"] == ("True", "FailedCreate", "quota")
