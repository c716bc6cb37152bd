"""ResourceQuota: what is counted, refused and given back, exactly also when many write at once."""

import asyncio
from typing import Any

import pytest
from tests.server.definitions import define, definition
from tests.server.world import CM, PODS, SERVICES, Answered, Api, World, config_map, obj, pod, running, service

from kaa.kinds.core.usage import amounts, covers, exceeded, in_scope, missing, resources_named, texts, totals, usage_of
from kaa.meta.quantity import NANO, Quantity

Json = dict[str, Any]
QUOTAS = "/api/v1/namespaces/default/resourcequotas"
CLAIMS = "/api/v1/namespaces/default/persistentvolumeclaims"


def asking(name: str = "c", requests: Json | None = None, limits: Json | None = None, **more: Any) -> Json:
    resources = {key: value for key, value in (("requests", requests), ("limits", limits)) if value}
    return {"name": name, "image": "x", "resources": resources, **more}


# --- what an object uses


@pytest.mark.parametrize(
    ("spec", "requests"),
    [
        ({"containers": [asking(requests={"cpu": "100m"}), asking("d", {"cpu": "1", "memory": "1Gi"})]},
         {"cpu": "1100m", "memory": "1Gi"}),
        ({"containers": [asking(requests={"cpu": "1"})], "initContainers": [asking("i", {"cpu": "3"})]}, {"cpu": "3"}),
        ({"containers": [asking(requests={"cpu": "1"})],
          "initContainers": [asking("s", {"cpu": "2"}, restartPolicy="Always"), asking("i", {"cpu": "2"})]},
         {"cpu": "4"}),
        ({"containers": [asking(requests={"cpu": "1"})], "overhead": {"cpu": "250m"}}, {"cpu": "1250m"}),
        ({"containers": [asking(requests={"cpu": "1"})], "resources": {"requests": {"cpu": "5"}}}, {"cpu": "5"}),
    ],
)  # fmt: skip
def test_a_pod_asks_for_its_most(spec: Json, requests: Json) -> None:
    assert texts(totals(spec, "requests")) == requests


@pytest.mark.parametrize(
    ("qualified", "thing", "used"),
    [
        ("pods", {"metadata": {}, "spec": {"containers": [asking(
            requests={"cpu": "1", "memory": "1Mi", "example.com/gpu": "2", "hugepages-2Mi": "4Mi",
                      "ephemeral-storage": "1Gi"}, limits={"cpu": "2"})]}},
         {"count/pods": "1", "pods": "1", "cpu": "1", "requests.cpu": "1", "limits.cpu": "2", "memory": "1Mi",
          "requests.memory": "1Mi", "requests.example.com/gpu": "2", "hugepages-2Mi": "4Mi",
          "requests.hugepages-2Mi": "4Mi", "ephemeral-storage": "1Gi", "requests.ephemeral-storage": "1Gi"}),
        ("pods", {"metadata": {}, "spec": {}, "status": {"phase": "Failed"}}, {"count/pods": "1"}),
        ("pods", {"metadata": {"deletionTimestamp": "1970-01-01T00:00:50Z", "deletionGracePeriodSeconds": 30},
                  "spec": {}}, {"count/pods": "1"}),
        ("pods", {"metadata": {"deletionTimestamp": "1970-01-01T00:01:30Z", "deletionGracePeriodSeconds": 30},
                  "spec": {}}, {"count/pods": "1", "pods": "1"}),
        ("services", {"metadata": {}, "spec": {"type": "LoadBalancer", "ports": [{}, {}]}},
         {"count/services": "1", "services": "1", "services.loadbalancers": "1", "services.nodeports": "2"}),
        ("services", {"metadata": {}, "spec": {"type": "LoadBalancer", "allocateLoadBalancerNodePorts": False,
                                               "ports": [{"nodePort": 30000}, {}]}},
         {"count/services": "1", "services": "1", "services.loadbalancers": "1", "services.nodeports": "1"}),
        ("persistentvolumeclaims", {"metadata": {}, "spec": {"storageClassName": "gold", "resources": {
            "requests": {"storage": "1500m"}}}},
         {"count/persistentvolumeclaims": "1", "persistentvolumeclaims": "1", "requests.storage": "2",
          "gold.storageclass.storage.k8s.io/persistentvolumeclaims": "1",
          "gold.storageclass.storage.k8s.io/requests.storage": "2"}),
        ("persistentvolumeclaims", {"metadata": {}, "spec": {"resources": {"requests": {"storage": "1Gi"}}},
                                    "status": {"allocatedResources": {"storage": "2Gi"}}},
         {"count/persistentvolumeclaims": "1", "persistentvolumeclaims": "1", "requests.storage": "2Gi"}),
        ("secrets", {"metadata": {}}, {"count/secrets": "1", "secrets": "1"}),
        ("deployments.apps", {"metadata": {}}, {"count/deployments.apps": "1"}),
        ("resourceclaims.resource.k8s.io", {"metadata": {}, "spec": {"devices": {"requests": [
            {"name": "a", "exactly": {"deviceClassName": "gpu", "allocationMode": "ExactCount", "count": 3}},
            {"name": "b", "firstAvailable": [{"name": "x", "deviceClassName": "gpu", "allocationMode": "All"},
                                             {"name": "y", "deviceClassName": "tpu"}]}]}}},
         {"count/resourceclaims.resource.k8s.io": "1", "gpu.deviceclass.resource.k8s.io/devices": "35",
          "tpu.deviceclass.resource.k8s.io/devices": "1"}),
    ],
)  # fmt: skip
def test_what_objects_use(qualified: str, thing: Json, used: Json) -> None:
    found = {name: text for name, text in texts(usage_of(qualified, thing, 100.0)).items() if text != "0"}
    assert found == used


BOUNDED: Json = {"containers": [asking(requests={"cpu": "1"})]}


@pytest.mark.parametrize(
    ("expression", "spec", "inside"),
    [
        ({"scopeName": "Terminating"}, {"activeDeadlineSeconds": 1}, True),
        ({"scopeName": "NotTerminating"}, {"activeDeadlineSeconds": 1}, False),
        ({"scopeName": "BestEffort"}, {"containers": []}, True),
        ({"scopeName": "NotBestEffort"}, BOUNDED, True),
        ({"scopeName": "PriorityClass", "operator": "Exists"}, {"priorityClassName": "high"}, True),
        ({"scopeName": "PriorityClass", "operator": "In", "values": ["low"]}, {"priorityClassName": "high"}, False),
        ({"scopeName": "PriorityClass", "operator": "NotIn", "values": ["low"]}, {}, True),
        ({"scopeName": "PriorityClass", "operator": "DoesNotExist"}, {}, True),
        ({"scopeName": "CrossNamespacePodAffinity", "operator": "Exists"}, {"affinity": {"podAffinity": {
            "preferredDuringSchedulingIgnoredDuringExecution": [{"podAffinityTerm": {"namespaces": ["x"]}}]}}}, True),
        ({"scopeName": "CrossNamespacePodAffinity", "operator": "Exists"}, {"affinity": {"podAntiAffinity": {
            "requiredDuringSchedulingIgnoredDuringExecution": [{"topologyKey": "x"}]}}}, False),
    ],
)  # fmt: skip
def test_scopes_of_pods(expression: Json, spec: Json, inside: bool) -> None:
    assert in_scope("pods", expression, {"metadata": {}, "spec": spec}) is inside


def test_scopes_of_claims_and_of_nothing_else() -> None:
    scope = {"scopeName": "VolumeAttributesClass", "operator": "In", "values": ["fast"]}
    claim = {"metadata": {}, "spec": {"volumeAttributesClassName": "slow"},
             "status": {"modifyVolumeStatus": {"targetVolumeAttributesClassName": "fast"}}}  # fmt: skip
    assert covers([scope], "persistentvolumeclaims", claim)
    assert not covers([scope], "persistentvolumeclaims", {"metadata": {}, "spec": {}})
    assert not covers([scope], "services", {"metadata": {}, "spec": {}})


def test_what_must_be_said() -> None:
    spec = {"containers": [asking("b", {"cpu": "1"}), asking("a")], "initContainers": [asking("i", {"memory": "1"})]}
    assert missing("pods", {"metadata": {}, "spec": spec}, ["requests.cpu", "memory", "pods"]) == (
        "must specify memory for: a,b; requests.cpu for: a,i"
    )
    assert missing("services", {}, ["services"]) == ""
    assert resources_named(["pods", "limits.cpu", "count/deployments.apps", "secrets", "services.nodeports"]) == {
        "pods", "deployments.apps", "secrets", "services"
    }  # fmt: skip
    assert exceeded(amounts({"cpu": "2"}), amounts({"cpu": "1"})) == ["cpu"]
    assert Quantity(NANO) == amounts({"x": "1"})["x"]


# --- against the server; the quota's controller is played by writing its status


async def bounded(api: Api, name: str = "q", used: Json | None = None, path: str = QUOTAS, /, *,
                  scopes: list[str] | None = None, **hard: str) -> None:  # fmt: skip
    hard = {key.replace("__", "/").replace("_", "."): value for key, value in hard.items()}
    spec: Json = {"hard": hard, **({"scopes": scopes} if scopes else {})}
    (await api.post(path, obj("ResourceQuota", name, spec=spec))).ok(201)
    status = {"hard": hard, "used": dict.fromkeys(hard, "0") if used is None else used}
    (await api.merge(f"{path}/{name}/status", {"status": status})).ok()


async def used(api: Api, name: str = "q") -> Json:
    found: Json = (await api.get(f"{QUOTAS}/{name}")).ok()["status"]["used"]
    return found


async def test_the_words_of_a_refusal(api: Api) -> None:
    await bounded(api, pods="2", requests_cpu="1")
    container = asking(requests={"cpu": "300m"})
    for name in ("a", "b"):
        (await api.post(PODS, pod(name, containers=[container]))).ok(201)
    assert await used(api) == {"pods": "2", "requests.cpu": "600m"}
    refused = await api.post(PODS, pod("c", containers=[container]))
    assert (refused.code, refused.reason) == (403, "Forbidden")
    assert refused.message == (
        'pods "c" is forbidden: exceeded quota: q, requested: pods=1, used: pods=2, limited: pods=2'
    )
    both = await api.post(PODS, pod("c", containers=[asking(requests={"cpu": "500m"})]))
    assert both.message == (
        'pods "c" is forbidden: exceeded quota: q, requested: pods=1,requests.cpu=500m, used: '
        "pods=2,requests.cpu=600m, limited: pods=2,requests.cpu=1"
    )
    silent = await api.post(PODS, pod("c"))
    assert silent.message == 'pods "c" is forbidden: failed quota: q: must specify requests.cpu for: c'


async def test_a_quota_nobody_has_counted_yet(api: Api) -> None:
    (await api.post(QUOTAS, obj("ResourceQuota", "new", spec={"hard": {"pods": "0"}}))).ok(201)
    (await api.post(PODS, pod("a"))).ok(201)  # its controller has not taken it up: it bounds nothing so far
    await bounded(api, "half", {}, pods="1")
    refused = await api.post(PODS, pod("b"))
    assert refused.message == 'pods "b" is forbidden: status unknown for quota: half, resources: pods'


async def test_fifty_at_once_and_ten_may(api: Api) -> None:
    await bounded(api, pods="10", count__pods="20")
    answers = await asyncio.gather(*(api.post(PODS, pod(f"p{number}")) for number in range(50)))
    assert sorted(each.code for each in answers) == [201] * 10 + [403] * 40
    assert await used(api) == {"pods": "10", "count/pods": "10"}
    assert len((await api.get(PODS)).names) == 10


async def test_fifty_at_once_on_both_stores(both: World) -> None:
    api = both.admin
    await bounded(api, configmaps="7", count__configmaps="9")
    answers = await asyncio.gather(*(api.post(CM, config_map(f"c{number}")) for number in range(50)))
    assert sum(each.code == 201 for each in answers) == 7
    assert await used(api) == {"configmaps": "7", "count/configmaps": "7"}


async def test_what_is_not_made_is_given_back(api: Api) -> None:
    await bounded(api, configmaps="3")
    (await api.post(CM, config_map("a"))).ok(201)
    answers: list[Answered] = [await api.post(CM, config_map("a")) for _ in range(5)]
    assert {each.code for each in answers} == {409}
    assert await used(api) == {"configmaps": "1"}
    (await api.post(CM, config_map("b"), dryRun="All")).ok(201)
    assert await used(api) == {"configmaps": "1"}
    await bounded(api, "other", count__configmaps="1")
    assert (await api.post(CM, config_map("b"))).code == 201
    assert "exceeded quota: other" in (await api.post(CM, config_map("c"))).message
    assert await used(api) == {"configmaps": "2"}  # refused by one, counted by none
    dry = await api.post(CM, config_map("c"), dryRun="All")
    assert dry.code == 403


async def test_services_are_counted_when_they_change_too(api: Api) -> None:
    await bounded(api, services="5", services_nodeports="1", services_loadbalancers="0")
    (await api.post(SERVICES, service("a"))).ok(201)
    assert (await used(api))["services.nodeports"] == "0"
    (await api.merge(f"{SERVICES}/a", {"spec": {"type": "NodePort"}})).ok()
    assert await used(api) == {"services": "1", "services.nodeports": "1", "services.loadbalancers": "0"}
    refused = await api.merge(f"{SERVICES}/a", {"spec": {"type": "LoadBalancer"}})
    assert "requested: services.loadbalancers=1, used: services.loadbalancers=0" in refused.message
    refused = await api.post(SERVICES, service("b", type="NodePort"))
    assert "exceeded quota: q, requested: services.nodeports=1" in refused.message


async def test_claims_are_counted_by_their_class(api: Api) -> None:
    gold = "gold.storageclass.storage.k8s.io"
    hard = {f"{gold}/requests.storage": "2Gi", "requests.storage": "10Gi", f"{gold}/persistentvolumeclaims": "5"}
    (await api.post(QUOTAS, obj("ResourceQuota", "q", spec={"hard": hard}))).ok(201)
    status = {"hard": hard, "used": dict.fromkeys(hard, "0")}
    (await api.merge(f"{QUOTAS}/q/status", {"status": status})).ok()

    def claim(name: str, size: str, class_name: str) -> Json:
        return obj("PersistentVolumeClaim", name, spec={
            "accessModes": ["ReadWriteOnce"], "storageClassName": class_name,
            "resources": {"requests": {"storage": size}},
        })  # fmt: skip

    (await api.post(CLAIMS, claim("a", "1Gi", "gold"))).ok(201)
    (await api.post(CLAIMS, claim("b", "5Gi", "iron"))).ok(201)
    refused = await api.post(CLAIMS, claim("c", "1536Mi", "gold"))
    assert f"exceeded quota: q, requested: {gold}/requests.storage=1536Mi, used: {gold}/requests.storage=1Gi" in (
        refused.message
    )
    assert (await used(api))["requests.storage"] == "6Gi"


async def test_custom_resources_are_counted(api: Api) -> None:
    made = definition()
    await define(api, made)
    names, group = made["spec"]["names"], made["spec"]["group"]
    version = made["spec"]["versions"][0]["name"]
    await bounded(api, **{f"count__{names['plural']}_{group.replace('.', '_')}": "1"})
    path = f"/apis/{group}/{version}/namespaces/default/{names['plural']}"
    codes = []
    for name in ("a", "b"):
        answer = await api.post(path, obj(names["kind"], name, f"{group}/{version}"))
        codes.append(answer.code)
    assert codes == [201, 403]


async def test_scoped_quotas_are_about_their_pods_alone(api: Api) -> None:
    await bounded(api, "long", scopes=["NotTerminating"], pods="1")
    await bounded(api, "short", scopes=["Terminating"], pods="1")
    (await api.post(PODS, pod("a"))).ok(201)
    assert "exceeded quota: long" in (await api.post(PODS, pod("b"))).message
    (await api.post(PODS, pod("b", activeDeadlineSeconds=60))).ok(201)
    assert [await used(api, name) for name in ("long", "short")] == [{"pods": "1"}, {"pods": "1"}]


async def test_a_cancelled_writer_leaves_the_line(world: World) -> None:
    api = world.admin
    await bounded(api, configmaps="3")
    tasks = [asyncio.ensure_future(api.post(CM, config_map(f"c{number}"))) for number in range(20)]
    await asyncio.sleep(0)
    for each in tasks[5:10]:
        each.cancel()
    answers = await asyncio.gather(*tasks, return_exceptions=True)
    made = sum(isinstance(each, Answered) and each.code == 201 for each in answers)
    there = len((await api.get(CM)).names)
    assert made <= there <= 3
    assert int((await used(api))["configmaps"]) >= there
    plugin = next(each for each in world.server.parts.admission.plugins if each.name == "ResourceQuota")
    assert not plugin._lines


async def test_without_the_plugin_nothing_is_counted() -> None:
    async for world in running(disable_admission_plugins=("ResourceQuota",)):
        await bounded(world.admin, pods="0")
        (await world.admin.post(PODS, pod("a"))).ok(201)
