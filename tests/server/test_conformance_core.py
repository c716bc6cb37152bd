"""Flows of the original's conformance tests that ask for a server alone: each is its story, step by step."""

import copy

import pytest
from tests.server.test_operations import example, operations, place
from tests.server.world import ACCOUNTS, CM, PODS, SERVICES, Api, Json, World, config_map, obj, pod, running, service

SECRETS = "/api/v1/namespaces/default/secrets"
CONTROLLERS = "/api/v1/namespaces/default/replicationcontrollers"
REPLICASETS = "/apis/apps/v1/namespaces/default/replicasets"
LIMITS = {"type": "Container", "max": {"cpu": "1"}}


async def namespace(api: Api, name: str) -> None:
    (await api.post("/api/v1/namespaces", obj("Namespace", name))).ok(201)
    (await api.post(f"/api/v1/namespaces/{name}/serviceaccounts", obj("ServiceAccount", "default"))).ok(201)


@pytest.mark.conformance("Namespace, apply update to a namespace")
async def test_a_namespace_is_updated(world: World) -> None:
    api = world.admin
    (await api.post("/api/v1/namespaces", obj("Namespace", "mine"))).ok(201)
    found = (await api.get("/api/v1/namespaces/mine")).ok()
    found["metadata"]["labels"]["mine"] = "updated"
    assert (await api.put("/api/v1/namespaces/mine", found)).ok()["metadata"]["labels"]["mine"] == "updated"
    assert (await api.get("/api/v1/namespaces", labelSelector="mine=updated")).names == ["mine"]


@pytest.mark.conformance("ConfigMap Update")
async def test_a_config_map_is_updated(world: World) -> None:
    api = world.admin
    made = (await api.post(CM, config_map("c", key="value"))).ok(201)
    made["data"] = {"key": "another", "more": "x"}
    assert (await api.put(f"{CM}/c", made)).ok()["data"] == {"key": "another", "more": "x"}
    assert (await api.get(f"{CM}/c")).ok()["data"] == {"key": "another", "more": "x"}


@pytest.mark.conformance("Secrets, with empty-key")
async def test_a_secret_has_no_empty_key(world: World) -> None:
    refused = await world.admin.post(SECRETS, obj("Secret", "s", data={"": "dmFsdWU="}))
    assert refused.code == 422 and refused.reason == "Invalid"
    assert refused.json["details"]["causes"][0]["field"] == "data[]"
    assert (await world.admin.get(SECRETS)).names == []


@pytest.mark.conformance("Secrets Volume, immutability")
async def test_an_immutable_secret(world: World) -> None:
    api, at = world.admin, f"{SECRETS}/s"
    found = (await api.post(SECRETS, obj("Secret", "s", data={"a": "YQ=="}))).ok(201)
    found["data"]["b"] = "Yg=="
    found = (await api.put(at, found)).ok()
    found["immutable"] = True
    found = (await api.put(at, found)).ok()
    for wrong in ({"data": {"b": "eA=="}}, {"data": {"c": "eA=="}}, {"immutable": False}, {"immutable": None}):
        refused = await api.merge(at, wrong)
        assert refused.code == 422 and "field is immutable when `immutable` is set" in refused.message, wrong
    assert (await api.merge(at, {"metadata": {"labels": {"x": "y"}}})).ok()["metadata"]["labels"] == {"x": "y"}
    (await api.delete(at)).ok()
    assert (await api.get(at)).code == 404


@pytest.mark.conformance("PodTemplate lifecycle", "PodTemplate, delete a collection", "PodTemplate, replace")
async def test_pod_templates(world: World) -> None:
    api, made = world.admin, example("podtemplate")
    await operations(api, made)
    at, everywhere = place(made)
    made["metadata"]["labels"] = {"static": "true"}
    (await api.post(at, made)).ok(201)
    (await api.merge(f"{at}/worker", {"metadata": {"labels": {"podtemplate": "patched"}}})).ok()
    assert (await api.get(everywhere, labelSelector="static=true,podtemplate=patched")).names == ["worker"]
    found = (await api.get(f"{at}/worker")).ok()
    found["metadata"]["annotations"] = {"updated": "true"}
    assert (await api.put(f"{at}/worker", found)).ok()["metadata"]["annotations"] == {"updated": "true"}
    (await api.delete(f"{at}/worker")).ok()
    assert (await api.get(at)).names == []


@pytest.mark.conformance("Node, resource lifecycle")
async def test_nodes(world: World) -> None:
    api, at = world.admin, "/api/v1/nodes"
    made = (await api.post(at, obj("Node", "fake", spec={"unschedulable": True}))).ok(201)
    assert made["metadata"]["name"] == "fake" and (await api.get(f"{at}/fake")).ok() == made
    (await api.merge(f"{at}/fake", {"metadata": {"labels": {"fake": "patched"}}})).ok()
    assert (await api.get(at, labelSelector="fake=patched")).names == ["fake"]
    found = (await api.get(f"{at}/fake")).ok()
    found["metadata"]["labels"]["fake"] = "updated"
    assert (await api.put(f"{at}/fake", found)).ok()["metadata"]["labels"]["fake"] == "updated"
    (await api.delete(at, labelSelector="fake=updated")).ok()
    assert (await api.get(f"{at}/fake")).code == 404


@pytest.mark.conformance("ServiceAccount, update a ServiceAccount")
async def test_a_service_account_is_updated(world: World) -> None:
    api = world.admin
    made = (await api.post(ACCOUNTS, obj("ServiceAccount", "robot"))).ok(201)
    assert "automountServiceAccountToken" not in made
    made["automountServiceAccountToken"] = True
    assert (await api.put(f"{ACCOUNTS}/robot", made)).ok()["automountServiceAccountToken"] is True
    assert (await api.get(f"{ACCOUNTS}/robot")).ok()["automountServiceAccountToken"] is True


@pytest.mark.conformance("ServiceAccount, create and review token")
async def test_a_token_is_made_and_reviewed(world: World) -> None:
    api = world.admin
    uid = (await api.post(ACCOUNTS, obj("ServiceAccount", "robot"))).ok(201)["metadata"]["uid"]
    asked = {"kind": "TokenRequest", "apiVersion": "authentication.k8s.io/v1", "spec": {}}
    token = (await api.post(f"{ACCOUNTS}/robot/token", asked)).ok(201)["status"]["token"]
    assert token
    review = {"kind": "TokenReview", "apiVersion": "authentication.k8s.io/v1", "spec": {"token": token}}
    status = (await api.post("/apis/authentication.k8s.io/v1/tokenreviews", review)).ok(201)["status"]
    assert status["authenticated"] is True and "error" not in status
    assert status["user"]["username"] == "system:serviceaccount:default:robot" and status["user"]["uid"] == uid
    spoilt = {**review, "spec": {"token": token[:-6] + "AAAAAA"}}
    status = (await api.post("/apis/authentication.k8s.io/v1/tokenreviews", spoilt)).ok(201)["status"]
    assert not status.get("authenticated") and status["error"]


@pytest.mark.conformance("Find Kubernetes Service in default Namespace",
                         "kubernetes.default Endpoints and EndpointSlices")  # fmt: skip
async def test_the_service_of_the_servers_themselves() -> None:
    async for world in running(advertise_address="192.0.2.1"):
        await points_to_the_servers(world.admin, "192.0.2.1")


async def points_to_the_servers(api: Api, address: str) -> None:
    found = [
        each for each in (await api.get("/api/v1/services")).ok()["items"] if each["metadata"]["name"] == "kubernetes"
    ]
    assert [each["metadata"]["namespace"] for each in found] == ["default"]
    [port] = found[0]["spec"]["ports"]
    assert (port["name"], port["port"]) == ("https", 443)
    subsets = (await api.get("/api/v1/namespaces/default/endpoints/kubernetes")).ok()["subsets"]
    slices = (await api.get("/apis/discovery.k8s.io/v1/namespaces/default/endpointslices",
                            labelSelector="kubernetes.io/service-name=kubernetes")).ok()["items"]  # fmt: skip
    addresses = [one["ip"] for each in subsets for one in each["addresses"]]
    assert addresses == [one for made in slices for each in made["endpoints"] for one in each["addresses"]]
    assert addresses == [address] and [each["port"] for each in subsets[0]["ports"]] == [
        each["port"] for each in slices[0]["ports"]
    ]


@pytest.mark.conformance("Service, complete ServiceStatus lifecycle")
async def test_the_status_of_a_service(world: World) -> None:
    api, at = world.admin, f"{SERVICES}/s"
    async with await api.watch(SERVICES, labelSelector="test=yes") as watching:
        (await api.post(SERVICES, {**service("s", type="LoadBalancer"), "metadata": {
            "name": "s", "labels": {"test": "yes"}}})).ok(201)  # fmt: skip
        assert (await api.get(f"{at}/status")).ok()["status"] == {"loadBalancer": {}}
        ingress = {"loadBalancer": {"ingress": [{"ip": "203.0.113.1"}]}}
        patch = {"metadata": {"annotations": {"patchedstatus": "true"}}, "status": ingress}
        found = (await api.merge(f"{at}/status", patch)).ok()
        assert found["status"]["loadBalancer"]["ingress"][0]["ip"] == "203.0.113.1"
        assert found["metadata"]["annotations"] == {"patchedstatus": "true"}
        found["status"]["conditions"] = [{"type": "StatusUpdate", "status": "True", "reason": "E2E", "message": "Set",
                                          "lastTransitionTime": "2026-01-05T10:00:00Z"}]  # fmt: skip
        found = (await api.put(f"{at}/status", found)).ok()
        assert found["status"]["conditions"][0]["type"] == "StatusUpdate"
        (await api.ask("PATCH", at, {"metadata": {"labels": {"test-service": "patched"}}},
                       media="application/strategic-merge-patch+json")).ok()  # fmt: skip
        (await api.delete(at)).ok()
        events = [await watching.next() for _ in range(5)]
        assert [each["type"] for each in events] == ["ADDED", "MODIFIED", "MODIFIED", "MODIFIED", "DELETED"]
        assert events[3]["object"]["metadata"]["labels"]["test-service"] == "patched"
        assert events[3]["object"]["status"] == found["status"]


@pytest.mark.conformance("Service, deletes a collection of services")
async def test_a_collection_of_services_goes(world: World) -> None:
    api = world.admin
    await namespace(api, "mine")
    at = "/api/v1/namespaces/mine/services"
    for name, group in (("one", "set"), ("two", "set"), ("three", "unset")):
        made = service(name)
        made["metadata"]["labels"] = {"group": group}
        (await api.post(at, made)).ok(201)
    assert len((await api.get(at)).names) == 3
    (await api.delete(at, labelSelector="group=set")).ok()
    assert (await api.get(at)).names == ["three"]


@pytest.mark.conformance("Endpoint resource lifecycle")
async def test_endpoints(world: World) -> None:
    api, at = world.admin, "/api/v1/namespaces/default/endpoints"
    subset = {"addresses": [{"ip": "10.0.0.24"}], "ports": [{"name": "http", "port": 80, "protocol": "TCP"}]}
    async with await api.watch(at, labelSelector="static=true") as watching:
        (await api.post(at, obj("Endpoints", "e", labels={"static": "true"}, subsets=[subset]))).ok(201)
        assert (await api.get("/api/v1/endpoints", labelSelector="static=true")).names == ["e"]
        found = (await api.get(f"{at}/e")).ok()
        found["metadata"]["labels"]["test-service"] = "updated"
        assert (await api.put(f"{at}/e", found)).ok()["metadata"]["labels"]["test-service"] == "updated"
        moved = {"addresses": [{"ip": "10.0.0.25"}], "ports": [{"name": "http", "port": 8080, "protocol": "TCP"}]}
        (await api.merge(f"{at}/e", {"subsets": [moved]})).ok()
        assert (await api.get(f"{at}/e")).ok()["subsets"] == [moved]
        (await api.delete(at, labelSelector="static=true")).ok()
        assert [kind for kind, _ in await watching.take(4)] == ["ADDED", "MODIFIED", "MODIFIED", "DELETED"]
    assert (await api.get(f"{at}/e")).code == 404


@pytest.mark.conformance("LimitRange, list, patch and delete a LimitRange by collection")
async def test_limit_ranges_of_two_namespaces(world: World) -> None:
    api = world.admin
    await namespace(api, "other")
    for where in ("default", "other"):
        made = obj("LimitRange", "l", labels={"e2e": where}, spec={"limits": [LIMITS]})
        (await api.post(f"/api/v1/namespaces/{where}/limitranges", made)).ok(201)
    everywhere = "/api/v1/limitranges"
    assert len((await api.get(everywhere, labelSelector="e2e in (default,other)")).names) == 2
    changed = {"metadata": {"labels": {"patched": "true"}}, "spec": {"limits": [{**LIMITS, "max": {"cpu": "2"}}]}}
    at = "/api/v1/namespaces/default/limitranges"
    found = (await api.ask("PATCH", f"{at}/l", changed, media="application/strategic-merge-patch+json")).ok()
    assert found["metadata"]["labels"] == {"e2e": "default", "patched": "true"}
    assert found["spec"]["limits"][0]["max"] == {"cpu": "2"}
    (await api.delete(at, labelSelector="e2e=default")).ok()
    left = (await api.get(everywhere, labelSelector="e2e in (default,other)")).ok()["items"]
    assert [each["metadata"]["namespace"] for each in left] == ["other"]


@pytest.mark.conformance("Scheduler, Verify PriorityClass endpoints")
async def test_priority_classes(world: World) -> None:
    api, at = world.admin, "/apis/scheduling.k8s.io/v1/priorityclasses"
    for name, value in (("p1", 1000), ("p2", 2000)):
        (await api.post(at, obj("PriorityClass", name, "scheduling.k8s.io/v1", value=value))).ok(201)
    found = {each["metadata"]["name"]: each for each in (await api.get(at)).ok()["items"]}
    assert {"p1", "p2"} <= set(found)
    for verb in ("patch", "update"):
        for field, value, code in (("description", f"by {verb}", 200), ("value", 3000, 422)):
            if verb == "patch":
                answer = await api.merge(f"{at}/p1", {field: value})
            else:
                answer = await api.put(f"{at}/p1", {**found["p1"], "metadata": {"name": "p1"}, field: value})
            assert answer.code == code, (verb, field, answer.body)
            after = (await api.get(f"{at}/p1")).ok()
            assert (after[field] == value) == (code == 200)
    assert after["value"] == 1000
    refused = await api.merge(f"{at}/p1", {"value": 3000})
    assert refused.json["details"]["causes"] == [
        {"reason": "FieldValueForbidden", "field": "value", "message": "Forbidden: may not be changed in an update."}
    ]


@pytest.mark.conformance("Pods, QOS")
async def test_pods_have_their_class(world: World) -> None:
    api = world.admin
    amounts = {"cpu": "100m", "memory": "100Mi"}
    for name, resources, expected in (
        ("guaranteed", {"requests": amounts, "limits": amounts}, "Guaranteed"),
        ("burstable", {"requests": amounts}, "Burstable"),
        ("best", {}, "BestEffort"),
    ):
        made = pod(name)
        made["spec"]["containers"][0]["resources"] = resources
        (await api.post(PODS, made)).ok(201)
        assert (await api.get(f"{PODS}/{name}")).ok()["status"]["qosClass"] == expected


@pytest.mark.conformance("Pods, patching status")
async def test_the_status_of_a_pod_is_patched(world: World) -> None:
    api, at = world.admin, f"{PODS}/p"
    (await api.post(PODS, pod("p", nodeName="n1"))).ok(201)
    (await api.merge(f"{at}/status", {"status": {"phase": "Running"}})).ok()
    patch = {"metadata": {"annotations": {"patchedstatus": "true"}}, "status": {"message": "Patched by e2e test",
             "reason": "E2E"}}  # fmt: skip
    (await api.merge(f"{at}/status", patch)).ok()
    found = (await api.get(at)).ok()
    assert (found["status"]["message"], found["status"]["reason"]) == ("Patched by e2e test", "E2E")
    assert found["status"]["phase"] == "Running" and found["metadata"]["annotations"] == {"patchedstatus": "true"}


@pytest.mark.conformance("Pods, update")
async def test_a_pod_is_found_by_its_new_label(world: World) -> None:
    api = world.admin
    made = (await api.post(PODS, pod("p", labels={"time": "1"}))).ok(201)
    assert (await api.get(PODS, labelSelector="time=1")).names == ["p"]
    made["metadata"]["labels"]["time"] = "2"
    (await api.put(f"{PODS}/p", made)).ok()
    assert (await api.get(PODS, labelSelector="time=2")).names == ["p"]
    assert (await api.get(PODS, labelSelector="time=1")).names == []


@pytest.mark.conformance("Pods Generation, graceful delete")
async def test_a_graceful_deletion_counts_as_a_change(world: World) -> None:
    api = world.admin
    made = (await api.post(PODS, pod("p", nodeName="n1", terminationGracePeriodSeconds=60))).ok(201)
    assert made["metadata"]["generation"] == 1
    (await api.delete(f"{PODS}/p")).ok()
    after = (await api.get(f"{PODS}/p")).ok()["metadata"]
    assert after["generation"] == 2 and after["deletionTimestamp"] and after["deletionGracePeriodSeconds"] == 60


@pytest.mark.conformance("Event, manage lifecycle of an Event", "Event, delete a collection")
async def test_events_of_the_core_group(world: World) -> None:
    api, at = world.admin, "/api/v1/namespaces/default/events"

    def event(name: str) -> Json:
        return obj("Event", name, labels={"testevent": "true"}, message="a test", reason="Test", type="Normal",
                   involvedObject={"kind": "Namespace", "name": "default", "namespace": "default"})  # fmt: skip

    (await api.post(at, event("e"))).ok(201)
    assert (await api.get("/api/v1/events", labelSelector="testevent=true")).names == ["e"]
    (await api.ask("PATCH", f"{at}/e", {"message": "patched"}, media="application/strategic-merge-patch+json")).ok()
    found = (await api.get(f"{at}/e")).ok()
    assert found["message"] == "patched"
    found["series"] = {"count": 100, "lastObservedTime": "2026-01-05T10:00:00.000005Z"}
    assert (await api.put(f"{at}/e", found)).ok()["series"] == found["series"]
    assert (await api.get(f"{at}/e")).ok()["series"] == found["series"]
    (await api.delete(f"{at}/e")).ok()
    assert (await api.get("/api/v1/events", labelSelector="testevent=true")).names == []
    for count in range(3):
        (await api.post(at, event(f"e{count}"))).ok(201)
    assert len((await api.get(at, labelSelector="testevent=true")).names) == 3
    (await api.delete(at, labelSelector="testevent=true")).ok()
    assert (await api.get(at, labelSelector="testevent=true")).names == []


@pytest.mark.conformance("New Event resource lifecycle, testing a list of events")
async def test_events_of_their_own_group(world: World) -> None:
    api, at = world.admin, "/apis/events.k8s.io/v1/namespaces/default/events"
    made = {**example("event", 1), "metadata": {"name": "e", "labels": {"testevent": "true"}}}
    for count in range(3):
        another = copy.deepcopy(made)
        another["metadata"]["name"] = f"e{count}"
        (await api.post(at, another)).ok(201)
    assert (await api.get("/apis/events.k8s.io/v1/events", labelSelector="testevent=true")).names == ["e0", "e1", "e2"]
    core = (await api.get("/api/v1/namespaces/default/events", labelSelector="testevent=true")).ok()["items"]
    assert [each["message"] for each in core] == [made["note"]] * 3
    (await api.delete(at, labelSelector="testevent=true")).ok()
    assert (await api.get(at, labelSelector="testevent=true")).names == []


@pytest.mark.conformance("ReplicaSet, list and delete a collection of ReplicaSets")
async def test_replica_sets(world: World) -> None:
    await operations(world.admin, example("replicaset"))


@pytest.mark.conformance("ReplicaSet, status sub-resource")
async def test_the_status_of_a_replica_set(world: World) -> None:
    api, made = world.admin, example("replicaset")
    (await api.post(REPLICASETS, made)).ok(201)
    at = f"{REPLICASETS}/{made['metadata']['name']}/status"
    found = (await api.get(at)).ok()
    found["status"]["conditions"] = [{"type": "StatusUpdate", "status": "True", "reason": "E2E", "message": "Set"}]
    assert (await api.put(at, found)).ok()["status"]["conditions"][0]["type"] == "StatusUpdate"
    assert (await api.get(at)).ok()["status"]["conditions"][0]["reason"] == "E2E"
    (await api.merge(at, {"status": {"conditions": [{"type": "StatusPatched", "status": "True"}]}})).ok()
    assert [each["type"] for each in (await api.get(at)).ok()["status"]["conditions"]] == ["StatusPatched"]


@pytest.mark.conformance("Replication Controller, get and update ReplicationController scale")
async def test_the_scale_of_a_replication_controller(world: World) -> None:
    api, made = world.admin, example("replicationcontroller")
    name = made["metadata"]["name"]
    made["spec"]["replicas"] = 1
    (await api.post(CONTROLLERS, made)).ok(201)
    scale = (await api.get(f"{CONTROLLERS}/{name}/scale")).ok()
    assert scale["spec"] == {"replicas": 1}
    scale["spec"]["replicas"] = 2
    assert (await api.put(f"{CONTROLLERS}/{name}/scale", scale)).ok()["spec"]["replicas"] == 2
    assert (await api.get(f"{CONTROLLERS}/{name}")).ok()["spec"]["replicas"] == 2
