"""How deletions are asked for, what they answer, and what holds an object back: policy, grace, finalizers."""

from typing import Any

import pytest
from tests.server.samples import SAMPLES, path_of, sample
from tests.server.world import CM, DEPLOYMENTS, PODS, Api, World, config_map, deployment, obj, pod

Json = dict[str, Any]
JOBS = "/apis/batch/v1/namespaces/default/jobs"
CONTROLLERS = "/api/v1/namespaces/default/replicationcontrollers"
UNREADABLE = "ignoreStoreReadErrorWithClusterBreakingPotential"
INVALID = 'DeleteOptions.meta.k8s.io "" is invalid: '
POLICY = 'supported values: "Foreground", "Background", "Orphan", "nil"'


def job(name: str) -> Json:
    spec = {"template": {"spec": {"restartPolicy": "Never", "containers": [{"name": "c", "image": "i"}]}}}
    return obj("Job", name, "batch/v1", spec=spec)


def controller(name: str) -> Json:
    template = {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
    return obj("ReplicationController", name, spec={"selector": {"a": "b"}, "template": template})


REFUSED: list[tuple[Json, str]] = [
    ({"propagationPolicy": "Sideways"}, INVALID + f'propagationPolicy: Unsupported value: "Sideways": {POLICY}'),
    ({"propagationPolicy": "Orphan", "orphanDependents": True},
     INVALID + 'propagationPolicy: Invalid value: "Orphan": '
     "orphanDependents and deletionPropagation cannot be both set"),
    ({"dryRun": ["Some"]}, INVALID + 'dryRun: Unsupported value: ["Some"]: supported values: "All"'),
    ({UNREADABLE: True, "gracePeriodSeconds": 0, "preconditions": {"uid": "u"}},
     INVALID + f"[{UNREADABLE}: Invalid value: true: cannot be set together with .gracePeriodSeconds, {UNREADABLE}: "
     "Invalid value: true: cannot be set together with .preconditions]"),
]  # fmt: skip


@pytest.mark.parametrize(("options", "message"), REFUSED, ids=range(len(REFUSED)))
async def test_options_that_are_refused(api: Api, options: Json, message: str) -> None:
    (await api.post(CM, config_map("a"))).ok()
    answer = await api.delete(f"{CM}/a", options)
    assert (answer.code, answer.reason, answer.message) == (422, "Invalid", message)
    assert (await api.delete(CM, options)).message == message
    assert (await api.get(f"{CM}/a")).code == 200
    if "dryRun" not in options and "preconditions" not in options:
        asked = {name: "true" if value is True else value for name, value in options.items()}
        assert (await api.delete(f"{CM}/a", **asked)).message == message


async def test_what_no_store_of_ours_can_have_is_refused_by_name(api: Api) -> None:
    (await api.post(CM, config_map("a"))).ok()
    answer = await api.delete(f"{CM}/a", {UNREADABLE: True})
    assert (answer.code, answer.reason) == (501, "NotImplemented") and UNREADABLE in answer.message
    assert (await api.delete(f"{CM}/a", {UNREADABLE: False})).code == 200


async def test_options_come_under_any_version_and_in_the_query(api: Api) -> None:
    for version in ("v1", "apps/v1", "meta.k8s.io/v1", "policy/v1"):
        (await api.post(DEPLOYMENTS, deployment("d"))).ok()
        body = {"kind": "DeleteOptions", "apiVersion": version, "propagationPolicy": "Background"}
        assert (await api.delete(f"{DEPLOYMENTS}/d", body)).code == 200, version
    (await api.post(PODS, pod("p", nodeName="n"))).ok()
    assert (await api.delete(f"{PODS}/p?gracePeriodSeconds=7")).json["metadata"]["deletionGracePeriodSeconds"] == 7
    assert (await api.delete(f"{PODS}/p?gracePeriodSeconds=x")).code == 400
    (await api.post(CM, config_map("a"))).ok()
    assert (await api.delete(f"{CM}/a?orphanDependents=true")).ok()["metadata"]["finalizers"] == ["orphan"]


async def test_preconditions_are_told_by_kind(api: Api) -> None:
    meta = (await api.post(DEPLOYMENTS, deployment("d"))).ok()["metadata"]
    wrong = await api.delete(f"{DEPLOYMENTS}/d", {"preconditions": {"uid": "other"}})
    assert (wrong.code, wrong.reason, wrong.json["details"]["kind"]) == (409, "Conflict", "Deployment")
    assert wrong.message == (
        'Operation cannot be fulfilled on Deployment.apps "d": the UID in the precondition (other) does not match the '
        f"UID in record ({meta['uid']}). The object might have been deleted and then recreated"
    )
    stale = await api.delete(f"{DEPLOYMENTS}/d", {"preconditions": {"resourceVersion": "1"}})
    assert stale.message == (
        'Operation cannot be fulfilled on Deployment.apps "d": the ResourceVersion in the precondition (1) does not '
        f"match the ResourceVersion in record ({meta['resourceVersion']}). The object might have been modified"
    )
    right = {"preconditions": {"uid": meta["uid"], "resourceVersion": meta["resourceVersion"]}}
    assert (await api.delete(f"{DEPLOYMENTS}/d", right)).code == 200
    made = (await api.post(PODS, pod("p"))).ok()["metadata"]  # marked first, then removed: still one deletion
    exact = {"preconditions": {"resourceVersion": made["resourceVersion"]}}
    assert (await api.delete(f"{PODS}/p", exact)).code == 200 and (await api.get(f"{PODS}/p")).code == 404


# --- policies


async def test_a_policy_is_a_finalizer(api: Api) -> None:
    for policy, finalizer in (("Orphan", "orphan"), ("Foreground", "foregroundDeletion")):
        (await api.post(DEPLOYMENTS, deployment("d"))).ok()
        going = (await api.delete(f"{DEPLOYMENTS}/d", {"propagationPolicy": policy})).ok(200)
        meta = going["metadata"]
        assert meta["finalizers"] == [finalizer] and meta["generation"] == 2 and meta["deletionGracePeriodSeconds"] == 0
        again = (await api.delete(f"{DEPLOYMENTS}/d")).ok()  # what was asked first still holds
        assert again["metadata"] == meta
        (await api.merge(f"{DEPLOYMENTS}/d", {"metadata": {"finalizers": None}})).ok()
        assert (await api.get(f"{DEPLOYMENTS}/d")).code == 404


async def test_jobs_and_controllers_leave_their_pods_unless_told(api: Api) -> None:
    (await api.post(JOBS, job("j"))).ok()
    answer = await api.delete(f"{JOBS}/j")
    assert answer.ok()["metadata"]["finalizers"] == ["orphan"]
    assert "child pods are preserved by default when jobs are deleted" in answer.headers["warning"]
    (await api.post(JOBS, job("k"))).ok()
    told = await api.delete(f"{JOBS}/k", {"propagationPolicy": "Background"})
    assert told.ok()["status"] == "Success" and "warning" not in told.headers
    (await api.post(CONTROLLERS, controller("c"))).ok()
    left = await api.delete(f"{CONTROLLERS}/c")
    assert left.ok()["metadata"]["finalizers"] == ["orphan"] and "warning" not in left.headers


async def test_a_cascade_that_only_begins_is_accepted(api: Api) -> None:
    (await api.post(CM, obj("ConfigMap", "a", metadata={"finalizers": ["x.io/f"]}))).ok()
    assert (await api.delete(f"{CM}/a", {"orphanDependents": False})).code == 202
    (await api.post(CM, obj("ConfigMap", "b", metadata={"finalizers": ["x.io/f"]}))).ok()
    assert (await api.delete(f"{CM}/b", {"propagationPolicy": "Background"})).code == 200


async def test_events_know_no_policy(api: Api) -> None:
    at = "/api/v1/namespaces/default/events"
    event = obj("Event", "e", involvedObject={"kind": "Pod", "name": "p", "namespace": "default"}, reason="R")
    (await api.post(at, event)).ok()
    assert (await api.delete(f"{at}/e", {"propagationPolicy": "Orphan"})).ok()["status"] == "Success"
    assert (await api.get(f"{at}/e")).code == 404


# --- what is answered


RETURNED = {
    "Pod", "Service", "ServiceAccount", "PodTemplate", "PersistentVolumeClaim", "PersistentVolume", "ResourceQuota",
    "CSIDriver", "CSINode", "StorageClass", "VolumeAttachment", "VolumeAttributesClass", "ResourceClaim", "DeviceClass",
}  # fmt: skip


@pytest.mark.parametrize(("version", "plural", "kind", "namespaced", "content"), SAMPLES,
                         ids=[f"{each[0]}-{each[2]}" for each in SAMPLES])  # fmt: skip
async def test_what_a_deletion_answers(
    api: Api, version: str, plural: str, kind: str, namespaced: bool, content: Json
) -> None:
    at, body = path_of(version, plural, namespaced), sample(version, kind, "gone", content)
    made = (await api.post(at, body)).ok(201)
    name = made["metadata"]["name"]
    answer = (await api.delete(f"{at}/{name}", {"propagationPolicy": "Background"})).ok(200)
    if answer["kind"] != "Status":
        held = kind in ("Namespace", "PersistentVolumeClaim", "PersistentVolume") or kind == "CustomResourceDefinition"
        assert answer["kind"] == kind and (kind in RETURNED or held)
        return
    assert kind not in RETURNED and answer["status"] == "Success"
    group = {"group": version.partition("/")[0]} if "/" in version else {}
    assert answer["details"] == {"name": name, "kind": plural, "uid": made["metadata"]["uid"], **group}


# --- grace


async def test_grace_in_every_size(api: Api) -> None:
    cases: list[tuple[Any, int]] = [(None, 30), (0, 0), (5, 5), (-1, 1), (3600, 3600)]
    for asked, given in cases:
        (await api.post(PODS, pod("p", nodeName="n"))).ok()
        options = {} if asked is None else {"gracePeriodSeconds": asked}
        meta = (await api.delete(f"{PODS}/p", options)).ok()["metadata"]
        assert meta["deletionGracePeriodSeconds"] == given and meta["deletionTimestamp"] and meta["generation"] == 2
        if given:
            (await api.delete(f"{PODS}/p", {"gracePeriodSeconds": 0})).ok()
        assert (await api.get(f"{PODS}/p")).code == 404


async def test_a_grace_is_shortened_from_its_start(world: World) -> None:
    api = world.admin
    (await api.post(PODS, pod("p", nodeName="n", terminationGracePeriodSeconds=600))).ok()
    first = (await api.delete(f"{PODS}/p")).ok()["metadata"]
    world.clock.ahead = 100  # type: ignore[attr-defined]
    shorter = (await api.delete(f"{PODS}/p", {"gracePeriodSeconds": 60})).ok()["metadata"]
    from kaa.base.clock import parse_seconds

    began = parse_seconds(first["deletionTimestamp"]) - 600
    assert parse_seconds(shorter["deletionTimestamp"]) == began + 60 and shorter["generation"] == first["generation"]


async def test_a_pod_nobody_runs_is_marked_before_it_goes(api: Api) -> None:
    (await api.post(PODS, pod("p"))).ok()
    async with await api.watch(PODS, resourceVersion="0") as watch:
        assert await watch.take(1) == [("ADDED", "p")]
        answered = (await api.delete(f"{PODS}/p")).ok()
        assert answered["metadata"]["deletionTimestamp"] and answered["metadata"]["deletionGracePeriodSeconds"] == 0
        marked, gone = await watch.next(), await watch.next()
    assert (marked["type"], gone["type"]) == ("MODIFIED", "DELETED")
    assert gone["object"]["metadata"]["deletionTimestamp"] == answered["metadata"]["deletionTimestamp"]


async def test_finalizers_outlast_a_grace(api: Api) -> None:
    (await api.post(PODS, pod("p", nodeName="n", metadata={"finalizers": ["x.io/f"]}))).ok()
    (await api.delete(f"{PODS}/p")).ok()
    (await api.delete(f"{PODS}/p", {"gracePeriodSeconds": 0})).ok()
    held = (await api.get(f"{PODS}/p")).ok()["metadata"]
    assert held["deletionGracePeriodSeconds"] == 0 and held["finalizers"] == ["x.io/f"]
    freed = (await api.merge(f"{PODS}/p", {"metadata": {"finalizers": None}})).ok()
    assert "finalizers" not in freed["metadata"] and (await api.get(f"{PODS}/p")).code == 404


# --- collections


async def test_a_collection_by_selectors_and_limit(api: Api) -> None:
    for name in ("a", "b", "c", "d"):
        (await api.post(CM, obj("ConfigMap", name, labels={"odd": "yes" if name in "ac" else "no"}))).ok()
    both = await api.delete(CM, labelSelector="odd=yes", fieldSelector="metadata.name=c")
    assert both.names == ["c"] and (await api.get(CM)).names == ["a", "b", "d"]
    first = await api.delete(CM, limit="1")
    assert first.names == ["a"] and (await api.get(CM)).names == ["b", "d"]
    assert (await api.delete(CM, limit="x")).code == 400 and (await api.delete(CM, labelSelector="a in (")).code == 400
    everywhere = await api.delete("/api/v1/configmaps")
    assert (everywhere.code, everywhere.reason) == (405, "MethodNotAllowed")
    assert (await api.delete(CM, {"propagationPolicy": "Orphan"})).names == ["b", "d"]
    assert [each["metadata"]["finalizers"] for each in (await api.get(CM)).json["items"]] == [["orphan"], ["orphan"]]


# --- namespaces


@pytest.mark.conformance("Namespace, apply finalizer to a namespace")
async def test_finalizers_of_a_namespace(api: Api) -> None:
    at = "/api/v1/namespaces/x"
    (await api.post("/api/v1/namespaces", obj("Namespace", "x"))).ok()
    now = (await api.get(at)).ok()
    now["spec"]["finalizers"] = ["kubernetes", "e2e.example.com/fake"]
    given = (await api.put(f"{at}/finalize", now)).ok()
    assert given["spec"]["finalizers"] == ["kubernetes", "e2e.example.com/fake"]
    given["spec"]["finalizers"] = ["kubernetes"]
    # The main resource does not touch them, finalize touches nothing else.
    assert (await api.merge(at, {"spec": {"finalizers": []}})).ok()["spec"]["finalizers"] == now["spec"]["finalizers"]
    given["metadata"].pop("resourceVersion")
    assert (await api.put(f"{at}/finalize", given)).ok()["spec"]["finalizers"] == ["kubernetes"]
    assert (await api.delete(at)).ok()["status"]["phase"] == "Terminating"
    for method, body in (("POST", config_map("b")), ("POST", obj("ConfigMap", "", metadata={"generateName": "g-"}))):
        refused = await api.ask(method, f"{at}/configmaps", body)
        assert (refused.code, refused.reason) == (403, "Forbidden")
        assert "unable to create new content in namespace x because it is being terminated" in refused.message
        assert refused.json["details"]["causes"] == [
            {"reason": "NamespaceTerminating", "message": "namespace x is being terminated",
             "field": "metadata.namespace"}]  # fmt: skip
    again = (await api.delete(at)).ok()
    assert again["status"]["phase"] == "Terminating"
    (await api.put(f"{at}/finalize", {**again, "spec": {}})).ok()
    assert (await api.get(at)).code == 404
