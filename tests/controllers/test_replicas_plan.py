"""How many pods to make, and which to give up first."""

import pytest

from kaa.controllers.replicas.plan import DELETION_COST, next_availability, plan_replicas, status_of
from kaa.kinds.views import Pod
from kaa.testing.builders import pod, replica_set

NOW = 1_000_000.0


def deleted(*pods: Pod, wanted: int, neighbours: dict[str, int] | None = None) -> list[str]:
    plan = plan_replicas(replica_set().replicas(wanted).view(), pods, neighbours, now=NOW)
    assert plan.create == 0
    return [each.name for each in plan.delete]


@pytest.mark.parametrize(("have", "want", "create", "delete"), [
    (0, 3, 3, 0), (3, 3, 0, 0), (5, 3, 0, 2), (2, 0, 0, 2), (0, 900, 500, 0),
])  # fmt: skip
def test_counts(have: int, want: int, create: int, delete: int) -> None:
    pods = [pod(f"p{n}").on("a").ready().view() for n in range(have)]
    plan = plan_replicas(replica_set().replicas(want).view(), pods, now=NOW)
    assert (plan.create, len(plan.delete)) == (create, delete)


@pytest.mark.parametrize(("first", "second"), [
    (pod("a"), pod("b").on("n").ready()),
    (pod("a").on("n"), pod("b").on("n").not_ready()),
    (pod("a").on("n").not_ready(), pod("b").on("n").ready()),
    (pod("a").on("n").ready().annotation(DELETION_COST, "-5"), pod("b").on("n").ready()),
    (pod("a").on("n").ready(), pod("b").on("n").ready().annotation(DELETION_COST, "10")),
    (pod("a").on("n").ready(NOW - 10), pod("b").on("n").ready(NOW - 10_000)),
    (pod("a").on("n").not_ready().restarted(4), pod("b").on("n").not_ready().restarted(1)),
    (pod("a").on("n").not_ready().created(NOW - 10), pod("b").on("n").not_ready().created(NOW - 10_000)),
])  # fmt: skip
def test_what_costs_less_to_lose_goes_first(first: pod, second: pod) -> None:
    assert deleted(first.view(), second.view(), wanted=1) == ["a"]
    assert deleted(second.view(), first.view(), wanted=1) == ["a"]


def test_of_pods_doubled_up_on_a_node_one_goes_first() -> None:
    pods = [pod(name).on(on).ready().view() for name, on in (("a", "x"), ("b", "y"), ("c", "y"))]
    assert deleted(*pods, wanted=2)[0] in ("b", "c")
    # Related sets count: with others of the deployment on x, the one there is the crowded one.
    assert deleted(*pods, wanted=2, neighbours={"x": 3, "y": 2}) == ["a"]


def test_pods_of_about_one_age_go_by_chance_not_by_seconds() -> None:
    older, newer = pod("z").uid("1").on("n").ready(NOW - 100), pod("a").uid("2").on("n").ready(NOW - 99)
    assert deleted(newer.view(), older.view(), wanted=1) == ["z"]


def test_status_counts() -> None:
    set_ = replica_set().replicas(3, have=0).generation(4).view()
    pods = [
        pod("a").on("n").ready(NOW).view(),
        pod("b").on("n").not_ready().view(),
    ]
    assert status_of(set_, pods, 1, 1, None, NOW) == {
        "replicas": 3, "fullyLabeledReplicas": 3, "readyReplicas": 1, "availableReplicas": 1,
        "observedGeneration": 4, "terminatingReplicas": 1,
    }  # fmt: skip


def test_available_only_after_its_time() -> None:
    made = replica_set().replicas(1)
    made.spec["minReadySeconds"] = 30
    set_ = made.view()
    pods = [pod("a").on("n").ready(NOW - 10).view()]
    assert "availableReplicas" not in status_of(set_, pods, 0, 0, None, NOW)
    assert next_availability(set_, pods, NOW) == pytest.approx(20, abs=0.1)
    assert status_of(set_, pods, 0, 0, None, NOW + 20)["availableReplicas"] == 1
    assert next_availability(set_, pods, NOW + 20) is None


def test_a_failure_is_a_condition_until_it_is_over() -> None:
    set_ = replica_set().replicas(3, have=1)
    failed = status_of(set_.view(), [], 0, 0, ValueError("quota"), NOW)
    [condition] = failed["conditions"]
    assert (condition["type"], condition["reason"], condition["message"]) == ("ReplicaFailure", "FailedCreate", "quota")
    set_.condition("ReplicaFailure", reason="FailedCreate")
    assert "conditions" not in status_of(set_.view(), [], 0, 0, None, NOW)
