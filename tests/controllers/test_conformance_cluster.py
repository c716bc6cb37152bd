"""The original's stories of services, namespaces, taints and scheduling, with what the cluster does about them."""

import asyncio
import itertools
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from tests.controllers.test_conformance_workloads import LABELS, PODS, api_of, gone, pods, template
from tests.controllers.world import World, world
from tests.server.world import Api

from kaa.cluster.local import LocalCluster

#: Clients are slow to start, or time has to pass: not in the quick part.
pytestmark = pytest.mark.slow

Json = dict[str, Any]
CORE = "/api/v1/namespaces/default"
SERVICES, ENDPOINTS = f"{CORE}/services", f"{CORE}/endpoints"
SLICES = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices"


def pod(name: str, labels: Json = LABELS, **spec: Any) -> Json:
    return {**template(), "kind": "Pod", "apiVersion": "v1", "metadata": {"name": name, "labels": labels},
            "spec": {**template()["spec"], **spec}}  # fmt: skip


def service(name: str = "web", **spec: Any) -> Json:
    return {"kind": "Service", "apiVersion": "v1", "metadata": {"name": name}, "spec": {
        "selector": LABELS, "ports": [{"name": "http", "port": 80}], **spec}}  # fmt: skip


async def listed(api: Api, name: str = "web") -> list[Json]:
    found: list[Json] = (await api.get(SLICES, labelSelector=f"kubernetes.io/service-name={name}")).ok()["items"]
    return found


async def shown(api: Api, name: str = "web") -> dict[int, list[str]]:
    """Names of the pods behind each port, as the Endpoints have them; and the slices say the same."""
    answer = await api.get(f"{ENDPOINTS}/{name}")
    found: dict[int, list[str]] = {}
    for subset in answer.json.get("subsets") or () if answer.code == 200 else ():
        for port in subset["ports"]:
            found.setdefault(port["port"], []).extend(each["targetRef"]["name"] for each in subset["addresses"])
    sliced: dict[int, list[str]] = {}
    for made in await listed(api, name):
        for port in made["ports"] or ():
            behind = [each["targetRef"]["name"] for each in made["endpoints"] or () if each["conditions"]["ready"]]
            if behind:
                sliced.setdefault(port["port"], []).extend(behind)
    first, second = ({port: sorted(names) for port, names in each.items()} for each in (found, sliced))
    return first if first == second else {-1: ["endpoints and slices differ"]}


async def shows(at: World, wanted: dict[int, list[str]]) -> None:
    async def as_wanted() -> bool:
        return await shown(api_of(at)) == wanted

    await at.until(as_wanted)


@pytest.mark.conformance("EndpointSlice, creation/deletion", "Endpoints, creation/deletion", "Service, endpoints")
async def test_endpoints_follow_pods() -> None:
    async with world() as at:
        api = api_of(at)
        (await api.post(SERVICES, service())).ok(201)
        await shows(at, {})
        for name in ("one", "two"):
            (await api.post(PODS, pod(name))).ok(201)
            await shows(at, {80: ["one"] if name == "one" else ["one", "two"]})
        for made in await listed(api):
            assert [(each["kind"], each["name"]) for each in made["metadata"]["ownerReferences"]] == [
                ("Service", "web")
            ]
        (await api.delete(f"{PODS}/two")).ok()
        await shows(at, {80: ["one"]})
        (await api.delete(f"{PODS}/one")).ok()
        await shows(at, {})
        (await api.delete(f"{SERVICES}/web")).ok()
        await gone(at, f"{ENDPOINTS}/web")

        async def no_slices() -> bool:
            return not await listed(api)

        await at.until(no_slices)


@pytest.mark.conformance('Endpoints, "empty" Service', 'EndpointSlice, "empty" Service')
async def test_a_service_of_no_pods() -> None:
    async with world() as at:
        api = api_of(at)
        (await api.post(SERVICES, service())).ok(201)

        async def empty() -> bool:
            answer, slices = await api.get(f"{ENDPOINTS}/web"), await listed(api)
            return answer.code == 200 and not answer.json.get("subsets") and len(slices) == 1

        await at.until(empty)
        assert not (await listed(api))[0]["endpoints"]
        (await api.delete(f"{SERVICES}/web")).ok()
        await gone(at, f"{ENDPOINTS}/web")

        async def no_slices() -> bool:
            return not await listed(api)

        await at.until(no_slices)


@pytest.mark.conformance("Service, endpoints with multiple ports")
async def test_two_ports_of_different_pods() -> None:
    async with world() as at:
        api = api_of(at)
        ports = [{"name": name, "port": 80 + count, "targetPort": name} for count, name in enumerate(("p1", "p2"))]
        (await api.post(SERVICES, service(ports=ports))).ok(201)
        await shows(at, {})
        for name, port, number in (("one", "p1", 100), ("two", "p2", 101)):
            container = {"name": "web", "image": "web:1", "ports": [{"name": port, "containerPort": number}]}
            (await api.post(PODS, pod(name, containers=[container]))).ok(201)
            await shows(at, {100: ["one"]} if name == "one" else {100: ["one"], 101: ["two"]})
        (await api.delete(f"{PODS}/one")).ok()
        await shows(at, {101: ["two"]})
        (await api.delete(f"{PODS}/two")).ok()
        await shows(at, {})


@pytest.mark.conformance("EndpointSlice Mirroring")
async def test_endpoints_made_by_hand_are_mirrored() -> None:
    async with world() as at:
        api = api_of(at)
        assert "discovery.k8s.io" in [each["name"] for each in (await api.get("/apis")).ok()["groups"]]
        resources = (await api.get("/apis/discovery.k8s.io/v1")).ok()["resources"]
        assert [each["kind"] for each in resources if each["name"] == "endpointslices"] == ["EndpointSlice"]
        (await api.post(SERVICES, service(selector=None))).ok(201)
        subset = {"addresses": [{"ip": "10.1.2.3"}], "ports": [{"name": "http", "port": 80, "protocol": "TCP"}]}
        body = {"kind": "Endpoints", "apiVersion": "v1", "metadata": {"name": "web"}, "subsets": [subset]}
        (await api.post(ENDPOINTS, body)).ok(201)

        async def mirrors(*addresses: str) -> bool:
            found = [each for made in await listed(api) for each in made["endpoints"] or ()]
            return [address for each in found for address in each["addresses"]] == list(addresses)

        await at.until(lambda: mirrors("10.1.2.3"))
        [made] = await listed(api)
        assert made["metadata"]["labels"]["endpointslice.kubernetes.io/managed-by"] == (
            "endpointslicemirroring-controller.k8s.io"
        )
        (await api.merge(f"{ENDPOINTS}/web", {"subsets": [{**subset, "addresses": [{"ip": "10.2.3.4"}]}]})).ok()
        await at.until(lambda: mirrors("10.2.3.4"))
        (await api.delete(f"{ENDPOINTS}/web")).ok()

        async def none() -> bool:
            return not await listed(api)

        await at.until(none)


@pytest.mark.conformance("Service endpoint latency, thresholds")
async def test_endpoints_come_soon() -> None:
    """The limits are the original's: 20 s for half of them, 50 s for nine of ten."""
    async with world() as at:
        api, loop = api_of(at), asyncio.get_running_loop()
        (await api.post(PODS, pod("pause"))).ok(201)
        (await api.post(SERVICES, service("first"))).ok(201)

        async def there(name: str) -> bool:
            return await shown(api, name) == {80: ["pause"]}

        await at.until(lambda: there("first"))
        took = []
        for count in range(100):
            name, began = f"s{count}", loop.time()
            (await api.post(SERVICES, service(name))).ok(201)
            await at.until(lambda name=name: there(name))  # type: ignore[misc]
            took.append(loop.time() - began)
        took.sort()
        assert took[50] < 20 and took[90] < 50 and took[99] < 50


@pytest.mark.conformance("namespace-deletion-removes-pods", "namespace-deletion-removes-services",
                         "Ordered Namespace Deletion")  # fmt: skip
async def test_a_namespace_goes_with_its_pods_first() -> None:
    async with world() as at:
        api, mine = api_of(at), "/api/v1/namespaces/mine"
        (await api.post("/api/v1/namespaces", {"kind": "Namespace", "metadata": {"name": "mine"}})).ok(201)

        async def has_account() -> bool:
            return (await api.get(f"{mine}/serviceaccounts/default")).code == 200

        await at.until(has_account)
        held = pod("held")
        held["metadata"]["finalizers"] = ["example.com/wait"]
        for path, made in (("pods", held), ("pods", pod("free")), ("services", service()),
                           ("configmaps", {"kind": "ConfigMap", "metadata": {"name": "c"}})):  # fmt: skip
            (await api.post(f"{mine}/{path}", made)).ok(201)
        (await api.delete(mine)).ok()

        async def waits() -> bool:
            conditions = {
                each["type"]: each["status"] for each in (await api.get(mine)).ok()["status"].get("conditions", ())
            }
            return (await api.get(f"{mine}/pods")).names == ["held"] and conditions.get(
                "NamespaceContentRemaining") == "True"  # fmt: skip

        await at.until(waits)
        assert "c" in (await api.get(f"{mine}/configmaps")).names and (await api.get(f"{mine}/services")).names == [
            "web"
        ]
        (await api.merge(f"{mine}/pods/held", {"metadata": {"finalizers": None}})).ok()
        await gone(at, mine)
        (await api.post("/api/v1/namespaces", {"kind": "Namespace", "metadata": {"name": "mine"}})).ok(201)
        assert (await api.get(f"{mine}/pods")).names == [] == (await api.get(f"{mine}/services")).names


@pytest.mark.conformance("RootCA ConfigMap test")
async def test_the_authority_stands_in_every_namespace() -> None:
    async with world() as at:
        api = api_of(at)
        (await api.post("/api/v1/namespaces", {"kind": "Namespace", "metadata": {"name": "mine"}})).ok(201)
        for namespace in ("mine", "kube-system"):
            path = f"/api/v1/namespaces/{namespace}/configmaps/kube-root-ca.crt"

            async def right(path: str = path) -> bool:
                answer = await api.get(path)
                return answer.code == 200 and answer.json["data"] == {"ca.crt": "PEM"}

            await at.until(right)
            (await api.delete(path)).ok()
            await at.until(right)
            (await api.merge(path, {"data": {"ca.crt": None, "mine": "x"}})).ok()
            await at.until(right)


async def tainted(api: Api, taints: list[Json]) -> None:
    for node in ("node-a", "node-b"):
        (await api.merge(f"/api/v1/nodes/{node}", {"spec": {"taints": taints or None}})).ok()


TAINT = {"key": "evict", "value": "true", "effect": "NoExecute"}


def tolerating(name: str, seconds: int) -> Json:
    toleration = {"key": "evict", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": seconds}
    return pod(name, tolerations=[toleration])


async def running(at: World, *names: str) -> None:
    async def all_ready() -> bool:
        found = {each["metadata"]["name"]: each["status"] for each in await pods(at)}
        return all(found[name].get("phase") == "Running" for name in names)

    await at.until(all_ready)


@pytest.mark.conformance("Pod Eviction, Toleration limits")
async def test_each_pod_stays_as_long_as_it_tolerates() -> None:
    async with world() as at:
        api = api_of(at)
        for name, seconds in (("soon", 1), ("later", 3)):
            (await api.post(PODS, tolerating(name, seconds))).ok(201)
        await running(at, "soon", "later")
        await tainted(api, [TAINT])
        await gone(at, f"{PODS}/soon")
        assert (await api.get(f"{PODS}/later")).ok()["metadata"].get("deletionTimestamp") is None
        await gone(at, f"{PODS}/later")


@pytest.mark.conformance("Taint, Pod Eviction on taint removal")
async def test_a_taint_that_goes_in_time_sends_nobody_away() -> None:
    async with world() as at:
        api = api_of(at)
        (await api.post(PODS, tolerating("stays", 2))).ok(201)
        await running(at, "stays")
        await tainted(api, [TAINT])
        await asyncio.sleep(0.5)
        await tainted(api, [])
        await asyncio.sleep(2.2)
        assert (await api.get(f"{PODS}/stays")).ok()["metadata"].get("deletionTimestamp") is None


# With the scheduler and simulated nodes.


def inside(cluster: LocalCluster) -> Api:
    return Api(cluster.client.transport)  # type: ignore[arg-type]


async def until(what: Callable[[], Awaitable[Any]], seconds: float = 15.0) -> Any:
    async with asyncio.timeout(seconds):
        while not (found := await what()):
            await asyncio.sleep(0.02)
        return found


async def nodes(cluster: LocalCluster, count: int) -> list[str]:
    """Names of the nodes, once so many are ready and the default account is there."""
    api = inside(cluster)

    async def there() -> list[str] | None:
        found = [each for each in (await api.get("/api/v1/nodes")).ok()["items"] if any(
            condition["type"] == "Ready" and condition["status"] == "True"
            for condition in each["status"].get("conditions", ())) and not each["spec"].get("taints")]  # fmt: skip
        account = await api.get(f"{CORE}/serviceaccounts/default")
        return [each["metadata"]["name"] for each in found] if len(found) == count and account.code == 200 else None

    names: list[str] = await until(there)
    return names


async def placed(api: Api, name: str, *wanted: str) -> str:
    """Where the pod has been put."""

    async def bound() -> str:
        return str((await api.get(f"{PODS}/{name}")).ok()["spec"].get("nodeName", ""))

    where: str = await until(bound)
    assert not wanted or where in wanted
    return where


async def refused(api: Api, name: str) -> str:
    """Why the pod cannot be scheduled."""

    async def said() -> str:
        conditions = (await api.get(f"{PODS}/{name}")).ok()["status"].get("conditions", ())
        return next((each["message"] for each in conditions if each.get("reason") == "Unschedulable"), "")

    message: str = await until(said)
    assert not (await api.get(f"{PODS}/{name}")).json["spec"].get("nodeName")
    return message


@pytest.mark.conformance("Conformance tests minimum number of nodes.")
async def test_two_nodes_take_pods(cluster: LocalCluster) -> None:
    api = inside(cluster)
    names = await nodes(cluster, 2)
    apart = {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [
        {"topologyKey": "kubernetes.io/hostname", "labelSelector": {"matchLabels": LABELS}}]}}  # fmt: skip
    for name in ("one", "two"):
        (await api.post(PODS, pod(name, affinity=apart))).ok(201)
    assert {await placed(api, "one"), await placed(api, "two")} == set(names)


@pytest.mark.conformance("Scheduler, resource limits")
async def test_what_asks_for_more_than_is_left_waits(cluster: LocalCluster) -> None:
    api = inside(cluster)
    await nodes(cluster, 2)
    for node in (await api.get("/api/v1/nodes")).ok()["items"]:
        cpu = int(node["status"]["allocatable"]["cpu"]) * 700
        filler = pod(f"fills-{node['metadata']['name']}", nodeSelector={
            "kubernetes.io/hostname": node["metadata"]["labels"]["kubernetes.io/hostname"]})  # fmt: skip
        filler["spec"]["containers"][0]["resources"] = {"requests": {"cpu": f"{cpu}m"}, "limits": {"cpu": f"{cpu}m"}}
        (await api.post(PODS, filler)).ok(201)
        assert await placed(api, filler["metadata"]["name"]) == node["metadata"]["name"]
    more = pod("more")
    more["spec"]["containers"][0]["resources"] = {"requests": {"cpu": f"{cpu}m"}, "limits": {"cpu": f"{cpu}m"}}
    (await api.post(PODS, more)).ok(201)
    assert (await refused(api, "more")).startswith("0/2 nodes are available: 2 Insufficient cpu.")


@pytest.mark.conformance("Scheduler, node selector matching")
async def test_a_pod_goes_where_its_selector_says(cluster: LocalCluster) -> None:
    api = inside(cluster)
    chosen = (await nodes(cluster, 2))[1]
    (await api.merge(f"/api/v1/nodes/{chosen}", {"metadata": {"labels": {"example.com/e2e": "42"}}})).ok()
    (await api.post(PODS, pod("chooses", nodeSelector={"example.com/e2e": "42"}))).ok(201)
    await placed(api, "chooses", chosen)


@pytest.mark.conformance(
    "Scheduling, HostPort matching and HostIP and Protocol not-matching",
    "Scheduling, HostPort and Protocol match, HostIPs different but one is default HostIP (0.0.0.0)",
)
async def test_ports_of_the_host(cluster: LocalCluster) -> None:
    api = inside(cluster)
    here = (await nodes(cluster, 2))[0]
    label = (await api.get(f"/api/v1/nodes/{here}")).ok()["metadata"]["labels"]["kubernetes.io/hostname"]
    numbers = itertools.count()

    async def make(port: int, ip: str, protocol: str) -> str:
        name = f"p{next(numbers)}"
        ports = [{"containerPort": 8080, "hostPort": port, "hostIP": ip, "protocol": protocol}]
        containers = [{"name": "c", "image": "web:1", "ports": ports}]
        made = pod(name, containers=containers, nodeSelector={"kubernetes.io/hostname": label})
        (await api.post(PODS, made)).ok(201)
        return name

    for ip, protocol in (("127.0.0.1", "TCP"), ("192.0.2.7", "TCP"), ("192.0.2.7", "UDP")):
        await placed(api, await make(54323, ip, protocol), here)
    await placed(api, await make(54322, "", "TCP"), here)
    message = await refused(api, await make(54322, "192.0.2.7", "TCP"))
    assert "1 node(s) didn't have free ports for the requested pod ports" in message


@pytest.mark.conformance("Pods, lifecycle")
async def test_the_life_of_a_pod(cluster: LocalCluster) -> None:
    api = inside(cluster)
    await nodes(cluster, 2)
    revision = (await api.get(PODS)).revision
    async with await api.watch(PODS, labelSelector="time=1", resourceVersion=revision) as watching:
        (await api.post(PODS, pod("p", {"time": "1"}, terminationGracePeriodSeconds=1))).ok(201)
        assert (await api.get(PODS, labelSelector="time=1")).names == ["p"]
        assert (await watching.next())["type"] == "ADDED"
        while (await watching.next())["object"]["status"].get("phase") != "Running":
            pass
        (await api.delete(f"{PODS}/p")).ok()
        marked = False
        while (event := await watching.next())["type"] != "DELETED":
            marked = marked or "deletionTimestamp" in event["object"]["metadata"]
        assert marked
    assert (await api.get(PODS, labelSelector="time=1")).names == []


@pytest.mark.conformance("Pods Generation, updates", "Pods Generation, 500 updates")
async def test_generations_of_a_pod_are_observed(cluster: LocalCluster) -> None:
    api = inside(cluster)
    await nodes(cluster, 2)
    made = (await api.post(PODS, pod("p"))).ok(201)
    assert made["metadata"]["generation"] == 1

    async def observed(wanted: int) -> bool:
        found = (await api.get(f"{PODS}/p")).ok()
        assert found["metadata"]["generation"] == wanted
        return bool(found["status"].get("observedGeneration") == wanted and found["status"].get("phase") == "Running")

    await until(lambda: observed(1))
    image = {"spec": {"containers": [{"name": "web", "image": "web:2"}]}}
    strategic = "application/strategic-merge-patch+json"
    deadline = {"spec": {"activeDeadlineSeconds": 5000}}
    toleration = [{"op": "add", "path": "/spec/tolerations/-", "value": {"key": "x", "operator": "Exists"}}]
    wanted = 1
    for media, body in ((strategic, image), (strategic, deadline), ("application/json-patch+json", toleration)):
        (await api.ask("PATCH", f"{PODS}/p", body, media=media)).ok()
        wanted += 1
        await until(lambda wanted=wanted: observed(wanted))  # type: ignore[misc]
    (await api.merge(f"{PODS}/p", {"metadata": {"labels": {"a": "b"}}})).ok()
    await until(lambda: observed(wanted))  # what is no change of the spec counts as none
    for count in range(500 - wanted):
        (await api.merge(f"{PODS}/p", {"spec": {"activeDeadlineSeconds": 4900 - count}})).ok()
    await until(lambda: observed(500))
