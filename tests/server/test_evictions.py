"""Evictions: what a disruption budget allows, exactly that often, and in whose words it refuses."""

import asyncio
from typing import Any

import pytest
from tests.server.world import PODS, Answered, Api, World, obj, pod

Json = dict[str, Any]
BUDGETS = "/apis/policy/v1/namespaces/default/poddisruptionbudgets"
VIOLATED = "Cannot evict pod as it would violate the pod's disruption budget."


async def running_pod(api: Api, name: str, *, ready: bool = True, phase: str = "Running", **meta: Any) -> Json:
    (await api.post(PODS, pod(name, labels={"app": "x"}, nodeName="n1", metadata=meta))).ok()
    conditions = [{"type": "Ready", "status": "True" if ready else "False"}]
    return (await api.merge(f"{PODS}/{name}/status", {"status": {"phase": phase, "conditions": conditions}})).ok()


async def budget(api: Api, name: str, allowed: int, *, status: Json | None = None, **spec: Any) -> None:
    body = obj("PodDisruptionBudget", name, "policy/v1",
               spec={"selector": {"matchLabels": {"app": "x"}}, "minAvailable": 1, **spec})  # fmt: skip
    (await api.post(BUDGETS, body)).ok()
    told = {"disruptionsAllowed": allowed, "observedGeneration": 1, "currentHealthy": 1, "desiredHealthy": 1,
            "expectedPods": 1, **(status or {})}  # fmt: skip
    (await api.merge(f"{BUDGETS}/{name}/status", {"status": told})).ok()


async def evict(api: Api, name: str, **more: Any) -> Answered:
    return await api.post(f"{PODS}/{name}/eviction", obj("Eviction", name, "policy/v1", **more))


async def test_a_success_is_a_status(api: Api) -> None:
    await running_pod(api, "a")
    await budget(api, "pdb", 1)
    answer = await evict(api, "a")
    assert answer.code == 201
    assert answer.json == {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201}
    evicted = (await api.get(f"{PODS}/a")).ok()
    assert evicted["metadata"]["deletionGracePeriodSeconds"] == 30
    condition = next(each for each in evicted["status"]["conditions"] if each["type"] == "DisruptionTarget")
    assert (condition["status"], condition["reason"], condition["message"]) == (
        "True", "EvictionByEvictionAPI", "Eviction API: evicting")  # fmt: skip
    status = (await api.get(f"{BUDGETS}/pdb")).ok()["status"]
    assert status["disruptionsAllowed"] == 0 and list(status["disruptedPods"]) == ["a"]
    allowed = next(each for each in status["conditions"] if each["type"] == "DisruptionAllowed")
    assert (allowed["status"], allowed["reason"]) == ("False", "InsufficientPods")


@pytest.mark.conformance("PodDisruptionBudget: block an eviction until the PDB is updated to allow it")
async def test_a_budget_that_comes_to_allow_it(api: Api) -> None:
    await running_pod(api, "a")
    await budget(api, "pdb", 0)
    assert (await evict(api, "a")).code == 429
    (await api.merge(f"{BUDGETS}/pdb/status", {"status": {"disruptionsAllowed": 1}})).ok()
    assert (await evict(api, "a")).code == 201


async def test_no_disruption_is_left(api: Api) -> None:
    await running_pod(api, "a")
    await budget(api, "pdb", 0, status={"desiredHealthy": 2, "currentHealthy": 1})
    answer = await evict(api, "a")
    assert (answer.code, answer.reason, answer.message) == (429, "TooManyRequests", VIOLATED)
    assert answer.json["details"]["causes"] == [
        {"reason": "DisruptionBudget", "message": "The disruption budget pdb needs 2 healthy pods and has 1 currently"}
    ]
    assert "metadata" in (await api.get(f"{PODS}/a")).ok()
    assert (await api.get(f"{PODS}/a")).ok()["metadata"].get("deletionTimestamp") is None


async def test_a_budget_that_is_not_worked_out_yet(api: Api) -> None:
    await running_pod(api, "a")
    await budget(api, "pdb", 1, status={"observedGeneration": 0})
    answer = await evict(api, "a")
    assert (answer.code, answer.message, answer.headers["retry-after"]) == (429, VIOLATED, "10")
    assert answer.json["details"]["causes"] == [
        {"reason": "DisruptionBudget", "message": "The disruption budget pdb is still being processed by the server."}
    ]


async def test_two_budgets_are_one_too_many(api: Api) -> None:
    await running_pod(api, "a")
    await budget(api, "one", 1)
    await budget(api, "two", 1)
    answer = await evict(api, "a")
    assert (answer.code, answer.reason, answer.message) == (
        500,
        "",
        "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support.",
    )


async def test_budgets_that_went_wrong(api: Api) -> None:
    await running_pod(api, "a")
    many = {f"p{n}": "2026-01-02T03:04:05Z" for n in range(2001)}
    await budget(api, "pdb", 1, status={"disruptedPods": many})
    answer = await evict(api, "a")
    assert (answer.code, answer.reason) == (403, "Forbidden")
    assert answer.message == (
        'poddisruptionbudget.policy "pdb" is forbidden: DisruptedPods map too big - too many evictions not confirmed '
        "by PDB controller"
    )


UNREADY = [
    ("AlwaysAllow", {"currentHealthy": 0, "desiredHealthy": 1}, 201),
    ("IfHealthyBudget", {"currentHealthy": 0, "desiredHealthy": 1}, 429),
    (None, {"currentHealthy": 0, "desiredHealthy": 1}, 429),
    ("IfHealthyBudget", {"currentHealthy": 1, "desiredHealthy": 1}, 201),
    (None, {"currentHealthy": 0, "desiredHealthy": 0}, 429),
]


@pytest.mark.parametrize(("policy", "status", "code"), UNREADY)
async def test_a_pod_that_is_not_ready(api: Api, policy: str | None, status: Json, code: int) -> None:
    await running_pod(api, "a", ready=False)
    await budget(api, "pdb", 0, status=status, **({"unhealthyPodEvictionPolicy": policy} if policy else {}))
    assert (await evict(api, "a")).code == code
    assert not (await api.get(f"{BUDGETS}/pdb")).ok()["status"].get("disruptedPods")


@pytest.mark.parametrize("phase", ["Pending", "Succeeded", "Failed"])
async def test_what_disturbs_nobody_spends_nothing(api: Api, phase: str) -> None:
    await running_pod(api, "a", phase=phase)
    await budget(api, "pdb", 0)
    assert (await evict(api, "a")).code == 201
    assert (await evict(api, "a")).code == (201 if phase == "Pending" else 404)  # already going, or gone


async def test_a_budget_is_spent_once_however_many_ask(both: World) -> None:
    api = both.admin
    names = [f"p{n}" for n in range(12)]
    for name in names:
        await running_pod(api, name)
    await budget(api, "pdb", 5)
    answers = await asyncio.gather(*(evict(api, name) for name in names))
    assert sorted(each.code for each in answers) == [201] * 5 + [429] * 7
    status = (await api.get(f"{BUDGETS}/pdb")).ok()["status"]
    assert status["disruptionsAllowed"] == 0 and len(status["disruptedPods"]) == 5
    going = [each for each in (await api.get(PODS)).json["items"] if each["metadata"].get("deletionTimestamp")]
    assert len(going) == 5


async def test_options_within(api: Api) -> None:
    made = await running_pod(api, "a")
    wrong = await evict(api, "a", deleteOptions={"preconditions": {"uid": "other"}})
    assert wrong.code == 409 and 'on Pod "a": the UID in the precondition (other) does not match' in wrong.message
    stale = await evict(api, "a", deleteOptions={"preconditions": {"resourceVersion": "1"}})
    assert stale.code == 409 and "the ResourceVersion in the precondition (1) does not match" in stale.message
    assert (await evict(api, "a", deleteOptions={"propagationPolicy": "Sideways"})).code == 422
    exact = {"resourceVersion": made["metadata"]["resourceVersion"], "uid": made["metadata"]["uid"]}
    assert (await evict(api, "a", deleteOptions={"preconditions": exact, "gracePeriodSeconds": 3})).code == 201
    assert (await api.get(f"{PODS}/a")).ok()["metadata"]["deletionGracePeriodSeconds"] == 3


async def test_what_it_must_name(api: Api) -> None:
    await running_pod(api, "a")
    for body in (obj("Eviction", "b", "policy/v1"), {"kind": "Eviction", "apiVersion": "policy/v1"}):
        answer = await api.post(f"{PODS}/a/eviction", body)
        assert (answer.code, answer.message) == (400, "name in URL does not match name in Eviction object")
    assert (await evict(api, "none")).code == 404
    assert (await api.get(f"{PODS}/a/eviction")).code == 405


async def test_a_selector_that_is_empty_covers_all_and_none_covers_nobody(api: Api) -> None:
    await running_pod(api, "a")
    await budget(api, "all", 0, selector={})
    assert (await evict(api, "a")).code == 429
    (await api.delete(f"{BUDGETS}/all")).ok()
    await budget(api, "nobody", 0, selector=None)
    assert (await evict(api, "a")).code == 201
