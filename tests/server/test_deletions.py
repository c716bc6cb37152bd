"""delete and deletecollection, as transcripts."""

import pytest
from tests.server.world import (
    CM,
    DEPLOYMENTS,
    PODS,
    SERVICES,
    Api,
    StoppedClock,
    World,
    config_map,
    deployment,
    obj,
    pod,
    service,
)


async def test_a_plain_delete(both: World) -> None:
    api = both.admin
    made = (await api.post(CM, config_map("a"))).ok()
    gone = (await api.delete(f"{CM}/a")).ok(200)
    assert gone["kind"] == "Status" and gone["status"] == "Success"
    assert gone["details"] == {"name": "a", "kind": "configmaps", "uid": made["metadata"]["uid"]}
    assert (await api.delete(f"{CM}/a")).code == 404
    (await api.post(SERVICES, service("s"))).ok()
    assert (await api.delete(f"{SERVICES}/s")).ok()["kind"] == "Service"


async def test_preconditions(both: World) -> None:
    api = both.admin
    made = (await api.post(CM, config_map("a"))).ok()["metadata"]
    for conditions in ({"uid": "other"}, {"resourceVersion": "1"}):
        answer = await api.delete(f"{CM}/a", {"preconditions": conditions})
        assert (answer.code, answer.reason) == (409, "Conflict")
        assert answer.message.startswith('Operation cannot be fulfilled on ConfigMap "a": the ')
        assert f" in the precondition ({next(iter(conditions.values()))}) does not match the " in answer.message
    good = {"preconditions": {"uid": made["uid"], "resourceVersion": made["resourceVersion"]}}
    assert (await api.delete(f"{CM}/a", good)).code == 200


async def test_the_grace_of_pods(both: World) -> None:
    api = both.admin
    (await api.post(PODS, pod("idle"))).ok()
    assert (await api.delete(f"{PODS}/idle")).ok()["kind"] == "Pod"
    assert (await api.get(f"{PODS}/idle")).code == 404  # nobody runs it: nobody to wait for
    (await api.post(PODS, pod("run", nodeName="n1"))).ok()
    async with await api.watch(PODS, resourceVersion="0") as watch:
        assert await watch.take(1) == [("ADDED", "run")]
        going = (await api.delete(f"{PODS}/run")).ok()["metadata"]
        assert going["deletionGracePeriodSeconds"] == 30 and going["deletionTimestamp"]
        assert await watch.take(1) == [("MODIFIED", "run")]
        again = (await api.delete(f"{PODS}/run")).ok()["metadata"]
        assert again == going  # asking again changes nothing
        longer = (await api.delete(f"{PODS}/run", {"gracePeriodSeconds": 60})).ok()["metadata"]
        assert longer == going  # the deadline moves forward, never back
        shorter = (await api.delete(f"{PODS}/run", {"gracePeriodSeconds": 5})).ok()["metadata"]
        assert shorter["deletionGracePeriodSeconds"] == 5 and shorter["deletionTimestamp"] < going["deletionTimestamp"]
        (await api.delete(f"{PODS}/run", {"gracePeriodSeconds": 0})).ok()
        # Shortened to five seconds, then to none, which is told before it is gone.
        assert await watch.take(3) == [("MODIFIED", "run"), ("MODIFIED", "run"), ("DELETED", "run")]
    assert (await api.get(f"{PODS}/run")).code == 404
    (await api.post(PODS, pod("q", nodeName="n1", terminationGracePeriodSeconds=7))).ok()
    assert (await api.delete(f"{PODS}/q?gracePeriodSeconds=3")).ok()["metadata"]["deletionGracePeriodSeconds"] == 3
    (await api.post(PODS, pod("done", nodeName="n1"))).ok()
    (await api.merge(f"{PODS}/done/status", {"status": {"phase": "Succeeded"}})).ok()
    (await api.delete(f"{PODS}/done")).ok()
    assert (await api.get(f"{PODS}/done")).code == 404


async def test_finalizers_hold(both: World) -> None:
    api = both.admin
    (await api.post(CM, {**config_map("a"), "metadata": {"name": "a", "finalizers": ["x.io/f", "x.io/g"]}})).ok()
    going = (await api.delete(f"{CM}/a")).ok()
    assert going["kind"] == "ConfigMap" and going["metadata"]["deletionTimestamp"]
    assert going["metadata"]["deletionGracePeriodSeconds"] == 0
    more = await api.merge(f"{CM}/a", {"metadata": {"finalizers": ["x.io/f", "x.io/g", "x.io/h"]}})
    assert more.code == 422 and "no new finalizers can be added if the object is being deleted" in more.message
    assert (await api.merge(f"{CM}/a", {"metadata": {"finalizers": ["x.io/g"]}})).code == 200
    again = (await api.delete(f"{CM}/a")).ok()
    assert again["metadata"]["deletionTimestamp"] == going["metadata"]["deletionTimestamp"]
    async with await api.watch(CM, resourceVersion="0") as watch:
        assert await watch.take(1) == [("ADDED", "a")]
        assert (await api.merge(f"{CM}/a", {"metadata": {"finalizers": None}})).code == 200
        event = await watch.next()
    assert event["type"] == "DELETED"
    assert (await api.get(f"{CM}/a")).code == 404


POLICIES = [
    ({"propagationPolicy": "Foreground"}, ["foregroundDeletion"]),
    ({"propagationPolicy": "Orphan"}, ["orphan"]),
    ({"orphanDependents": True}, ["orphan"]),
    ({"propagationPolicy": "Background"}, None),
    ({"orphanDependents": False}, None),
    ({}, None),
]


@pytest.mark.parametrize(("options", "finalizers"), POLICIES)
async def test_propagation(api: Api, options, finalizers) -> None:
    (await api.post(DEPLOYMENTS, deployment("d"))).ok()
    (await api.delete(f"{DEPLOYMENTS}/d", options)).ok()
    left = await api.get(f"{DEPLOYMENTS}/d")
    if finalizers is None:
        assert left.code == 404
    else:
        meta = left.ok()["metadata"]
        assert meta["finalizers"] == finalizers and meta["deletionTimestamp"] and meta["generation"] == 2


async def test_a_later_policy_replaces_an_earlier_one(api: Api) -> None:
    (await api.post(DEPLOYMENTS, deployment("d"))).ok()
    (await api.delete(f"{DEPLOYMENTS}/d?propagationPolicy=Orphan")).ok()
    (await api.delete(f"{DEPLOYMENTS}/d", {"propagationPolicy": "Foreground"})).ok()
    assert (await api.get(f"{DEPLOYMENTS}/d")).json["metadata"]["finalizers"] == ["foregroundDeletion"]
    (await api.delete(f"{DEPLOYMENTS}/d", {"propagationPolicy": "Background"})).ok()
    assert (await api.get(f"{DEPLOYMENTS}/d")).code == 404


@pytest.mark.parametrize(
    "options",
    [{"propagationPolicy": "Sideways"}, {"propagationPolicy": "Orphan", "orphanDependents": True},
     {"gracePeriodSeconds": "x"}, {"gracePeriodSeconds": 1.5}, {"kind": "Pod"}, {"preconditions": 5}, [], "x",
     {"dryRun": "x"}, {"dryRun": 5}, {"preconditions": {"uid": 5}}, {"propagationPolicy": 5}],
)  # fmt: skip
async def test_wrong_options_are_refused(api: Api, options) -> None:
    (await api.post(CM, config_map("a"))).ok()
    answer = await api.delete(f"{CM}/a", options)
    assert answer.code in (400, 409, 422), answer.body
    assert (await api.get(f"{CM}/a")).code == 200


async def test_a_collection(both: World) -> None:
    api = both.admin
    for name in "abcd":
        (await api.post(CM, obj("ConfigMap", name, labels={"odd": "yes" if name in "ac" else "no"}))).ok()
    (await api.post("/api/v1/namespaces/kube-system/configmaps", config_map("z"))).ok()
    gone = (await api.delete(CM, labelSelector="odd=yes")).ok()
    assert gone["kind"] == "ConfigMapList" and [each["metadata"]["name"] for each in gone["items"]] == ["a", "c"]
    assert (await api.get(CM)).names == ["b", "d"]
    (await api.delete(CM, fieldSelector="metadata.name=b")).ok()
    (await api.delete(CM)).ok()
    assert (await api.get(CM)).names == []
    assert (await api.get("/api/v1/namespaces/kube-system/configmaps")).names == ["z"]
    assert (await api.delete("/api/v1/configmaps")).code == 405


async def test_a_collection_of_running_pods_goes_with_grace(api: Api) -> None:
    for name in "ab":
        (await api.post(PODS, pod(name, nodeName="n"))).ok()
    (await api.delete(PODS)).ok()
    items = (await api.get(PODS)).json["items"]
    assert [each["metadata"]["deletionGracePeriodSeconds"] for each in items] == [30, 30]
    (await api.delete(PODS, {"gracePeriodSeconds": 0})).ok()
    assert (await api.get(PODS)).names == []


async def test_a_namespace_waits_for_its_finalizers(both: World) -> None:
    api = both.admin
    (
        await api.post(
            "/api/v1/namespaces", {**obj("Namespace", "x"), "metadata": {"name": "x", "finalizers": ["x.io/f"]}}
        )
    ).ok()
    assert (await api.delete("/api/v1/namespaces/x")).ok()["status"]["phase"] == "Terminating"
    now = (await api.get("/api/v1/namespaces/x")).json
    (await api.put("/api/v1/namespaces/x/finalize", {**now, "spec": {}})).ok()
    held = (await api.get("/api/v1/namespaces/x")).ok()
    assert not held["spec"].get("finalizers")
    (await api.merge("/api/v1/namespaces/x", {"metadata": {"finalizers": None}})).ok()
    assert (await api.get("/api/v1/namespaces/x")).code == 404


async def test_events_expire(tmp_path) -> None:
    from tests.server.world import running

    from kaa.store.memory import MemoryStore

    clock = StoppedClock()
    store = MemoryStore(clock)
    async for world in running(store, clock):
        at = "/api/v1/namespaces/default/events"
        event = obj("Event", "e", involvedObject={"kind": "Pod", "name": "p", "namespace": "default"}, reason="R")
        (await world.admin.post(at, event)).ok()
        patched = (await world.admin.merge(f"{at}/e", {"count": 2})).ok()
        assert patched["count"] == 2
        clock.ahead = 3500
        assert (await world.admin.get(at)).names == ["e"]
        clock.ahead = 3700
        import asyncio

        for _ in range(100):
            if not (await world.admin.get(at)).names:
                break
            await asyncio.sleep(0.05)
        assert (await world.admin.get(at)).names == []
