"""Who stands behind a service: tables, and both forms against the real server."""

from typing import Any

import msgspec
import pytest
from tests.controllers.world import World, world

from kaa.controllers.endpoints.behind import address_types, endpoint_ports, pod_matters
from kaa.controllers.endpoints.endpointslice import wanted_endpoints
from kaa.controllers.endpoints.legacy import subsets_of, truncated
from kaa.controllers.endpoints.mirroring import beyond, mirrored
from kaa.controllers.endpoints.slices import SliceShape, plan_slices, port_set
from kaa.controllers.settings import ControllersSettings
from kaa.kinds.views import Endpoints, EndpointSlice, Pod, Service
from kaa.testing.builders import pod, service

Json = dict[str, Any]
ZONES = {"node-a": "z1", "node-b": ""}
SHAPE = SliceShape("default", "web-", {"kubernetes.io/service-name": "web"}, {"kind": "Service"})
HTTP = port_set([{"name": "http", "port": 80}])


def endpoint(name: str, **more: Any) -> Json:
    return {"addresses": [name], "conditions": {"ready": True}, "targetRef": {"uid": name}, **more}


def slices(*bodies: Json) -> list[EndpointSlice]:
    made = []
    for number, body in enumerate(bodies):
        metadata = {**body["metadata"], "name": f"web-{number}", "uid": f"s{number}", "resourceVersion": "1"}
        made.append(msgspec.convert({**body, "metadata": metadata}, EndpointSlice))
    return made


def test_what_is_right_is_not_written() -> None:
    wanted = {HTTP: [endpoint("a"), endpoint("b")]}
    plan = plan_slices(SHAPE, "IPv4", wanted, [])
    assert len(plan.create) == 1
    assert not plan_slices(SHAPE, "IPv4", wanted, slices(*plan.create))
    # Nor in another order.
    assert not plan_slices(SHAPE, "IPv4", {HTTP: wanted[HTTP][::-1]}, slices(*plan.create))


def test_slices_are_full_before_there_are_more() -> None:
    wanted = {HTTP: [endpoint(str(n)) for n in range(250)]}
    plan = plan_slices(SHAPE, "IPv4", wanted, [])
    assert [len(each["endpoints"]) for each in plan.create] == [100, 100, 50]
    held = slices(*plan.create)
    more = {HTTP: [*wanted[HTTP], endpoint("new")]}
    again = plan_slices(SHAPE, "IPv4", more, held)
    assert not again.create
    [(slice_, patch)] = again.patch
    assert slice_.name == "web-2"
    assert len(patch["endpoints"]) == 51


def test_a_new_endpoint_goes_where_something_is_written_anyway() -> None:
    wanted = {HTTP: [endpoint(str(n)) for n in range(150)]}
    held = slices(*plan_slices(SHAPE, "IPv4", wanted, []).create)
    changed = [
        {**endpoint("0"), "conditions": {"ready": False}},
        *wanted[HTTP][1:99],
        *wanted[HTTP][100:],
        endpoint("new"),
    ]
    plan = plan_slices(SHAPE, "IPv4", {HTTP: changed}, held)
    assert [each.name for each, _ in plan.patch] == ["web-0"]
    assert not plan.create
    assert not plan.delete


def test_an_empty_slice_goes_and_the_last_stays_as_placeholder() -> None:
    held = slices(*plan_slices(SHAPE, "IPv4", {HTTP: [endpoint(str(n)) for n in range(101)]}, []).create)
    plan = plan_slices(SHAPE, "IPv4", {HTTP: [endpoint(str(n)) for n in range(100)]}, held)
    assert [each.name for each in plan.delete] == ["web-1"]
    assert not plan.patch
    empty = plan_slices(SHAPE, "IPv4", {}, held)
    assert len(empty.patch) == len(empty.delete) == 1
    assert empty.patch[0][1]["endpoints"] == []
    [first] = plan_slices(SHAPE, "IPv4", {}, []).create
    assert (first["endpoints"], first["ports"]) == ([], [])
    assert not plan_slices(SHAPE, "IPv4", {}, slices(first))
    filled = plan_slices(SHAPE, "IPv4", {HTTP: [endpoint("a")]}, slices(first))
    assert (len(filled.create), len(filled.delete)) == (1, 1)


def test_labels_are_kept_true() -> None:
    [body] = plan_slices(SHAPE, "IPv4", {HTTP: [endpoint("a")]}, []).create
    body["metadata"]["labels"]["stray"] = "x"
    shape = SliceShape("default", "web-", {**SHAPE.labels, "team": "a"}, {})
    [(_, patch)] = plan_slices(shape, "IPv4", {HTTP: [endpoint("a")]}, slices(body)).patch
    assert patch == {"metadata": {"resourceVersion": "1", "labels": {"team": "a", "stray": None}}}


@pytest.mark.parametrize(("made", "everyone", "expected"), [
    (pod().on("node-a").ip("10.0.0.1").ready(), False, (True, True, False)),
    (pod().on("node-a").ip("10.0.0.1").not_ready(), False, (False, False, False)),
    (pod().on("node-a").ip("10.0.0.1").not_ready(), True, (True, False, False)),
    (pod().on("node-a").ip("10.0.0.1").ready().deleting(), False, (False, True, True)),
    (pod().on("node-a").ip("10.0.0.1").ready().deleting(), True, (True, True, True)),
    (pod().on("node-a").ready(), False, None),
    (pod().on("node-a").ip("10.0.0.1").phase("Failed"), False, None),
    (pod().on("unknown").ip("10.0.0.1").ready(), False, None),
    (pod().on("unknown").ip("10.0.0.1").ready(), True, (True, True, False)),
    (pod().on("node-a").ip("fd00::1").ready(), False, None),
])  # fmt: skip
def test_conditions_of_an_endpoint(made: Any, everyone: bool, expected: tuple[bool, ...] | None) -> None:
    of = service().port(80).with_spec(publishNotReadyAddresses=everyone).view()
    wanted = wanted_endpoints(of, [made.view()], ZONES, "IPv4")
    found = [each["conditions"] for endpoints in wanted.values() for each in endpoints]
    shown = [(each["ready"], each["serving"], each["terminating"]) for each in found]
    assert shown == ([] if expected is None else [expected])


def test_an_endpoint_says_where_it_is() -> None:
    of = service().port(80).with_spec(trafficDistribution="PreferSameNode").view()
    made = pod("a").on("node-a").ip("10.0.0.1", "fd00::1").ready()
    made.spec.update(hostname="a", subdomain="web")
    [[shown]] = wanted_endpoints(of, [made.view()], ZONES, "IPv4").values()
    assert shown == {
        "addresses": ["10.0.0.1"],
        "conditions": {"ready": True, "serving": True, "terminating": False},
        "targetRef": {"kind": "Pod", "namespace": "default", "name": "a", "uid": "uid-a"},
        "nodeName": "node-a",
        "zone": "z1",
        "hostname": "a",
        "hints": {"forZones": [{"name": "z1"}], "forNodes": [{"name": "node-a"}]},
    }


def test_named_ports_are_looked_up_in_each_pod() -> None:
    of = service().port(80, "http", "web").port(53, "dns", "dns", "UDP").view()
    one = pod("a").port(8080, "http").port(53, "dns", "UDP").view()
    two = pod("b").port(9090, "http").port(53, "dns", "TCP").view()
    assert [each["port"] for each in endpoint_ports(of, one)] == [8080, 53]
    assert [each["port"] for each in endpoint_ports(of, two)] == [9090]


@pytest.mark.parametrize(("spec", "expected"), [
    ({}, ("IPv4",)),
    ({"ipFamilies": ["IPv6", "IPv4"]}, ("IPv6", "IPv4")),
    ({"ipFamilies": [], "clusterIP": "fd00::9"}, ("IPv6",)),
    ({"ipFamilies": [], "clusterIP": "None"}, ("IPv4",)),
])  # fmt: skip
def test_families(spec: Json, expected: tuple[str, ...]) -> None:
    assert address_types(service().with_spec(**spec).view()) == expected


def test_what_changes_endpoints() -> None:
    before = pod().on("node-a").ip("10.0.0.1").not_ready()
    assert not pod_matters(before.view(), before.annotation("a", "b").view())
    assert not pod_matters(None, pod().on("node-a").view())
    assert pod_matters(before.view(), pod().on("node-a").ip("10.0.0.1").ready().view())
    assert pod_matters(before.view(), before.labels(app="other").view())


def test_subsets_group_addresses_with_equal_ports() -> None:
    of = service().port(80, "http").view()
    pods = [
        pod("a").on("n").ip("10.0.0.2").ready().port(80, "http").view(),
        pod("b").on("n").ip("10.0.0.1").not_ready().port(80, "http").view(),
        pod("c").on("n").ip("10.0.0.3").ready().port(90, "http").view(),
        pod("d").on("n").ip("10.0.0.4").ready().deleting().port(80, "http").view(),
    ]
    first, second = subsets_of(of, pods)
    assert [each["ip"] for each in first["addresses"]] == ["10.0.0.2"]
    assert [each["ip"] for each in first["notReadyAddresses"]] == ["10.0.0.1"]
    assert first["ports"] == [{"port": 80, "protocol": "TCP"}]
    assert second["ports"][0]["port"] == 90


def test_endpoints_are_cut_at_a_thousand_ready_ones_first() -> None:
    def addresses(count: int) -> list[Json]:
        return [{"ip": str(n)} for n in range(count)]

    subsets = [
        {"addresses": addresses(600), "notReadyAddresses": addresses(300), "ports": []},
        {"addresses": addresses(200), "notReadyAddresses": addresses(100), "ports": []},
    ]
    cut, over = truncated(subsets)
    assert over
    assert [len(each["addresses"]) for each in cut] == [600, 200]
    assert [len(each["notReadyAddresses"]) for each in cut] == [150, 50]
    assert truncated(subsets, 1200) == (subsets, False)


def test_mirrored_addresses_by_family_and_ports() -> None:
    obj = {
        "metadata": {"name": "ext", "namespace": "default"},
        "subsets": [
            {
                "addresses": [{"ip": "192.0.2.7"}, {"ip": "fd00::7"}],
                "notReadyAddresses": [{"ip": "192.0.2.8", "hostname": "b"}],
                "ports": [{"port": 80}],
            }
        ],
    }
    endpoints = msgspec.convert(obj, Endpoints)
    [found] = mirrored(endpoints, "IPv4").values()
    assert found == [
        {"addresses": ["192.0.2.7"], "conditions": {"ready": True}},
        {"addresses": ["192.0.2.8"], "conditions": {"ready": False}, "hostname": "b"},
    ]
    assert len(mirrored(endpoints, "IPv6")) == 1


# --- against the real server -----------------------------------------------------------------------------------------


async def make_pod(at: World, name: str, app: str = "web") -> None:
    metadata = {"name": name, "namespace": "default", "labels": {"app": app}}
    container = {"name": "web", "image": "web:1", "ports": [{"name": "http", "containerPort": 8080}]}
    await at.client.create(Pod.resource, {"metadata": metadata, "spec": {"containers": [container]}})


async def make_service(at: World, name: str = "web", **spec: Any) -> None:
    body: Json = {"selector": {"app": "web"}, "ports": [{"name": "http", "port": 80, "targetPort": "http"}], **spec}
    body = {field: value for field, value in body.items() if value is not None}
    await at.client.create(Service.resource, {"metadata": {"name": name, "namespace": "default"}, "spec": body})


async def behind(at: World, name: str = "web") -> dict[str, bool]:
    """The endpoints of a service in its slices: their pods, and whether they are ready."""
    found = await at.items(EndpointSlice.resource, labels=f"kubernetes.io/service-name={name}")
    return {
        (each.get("targetRef") or {}).get("name", each["addresses"][0]): each["conditions"]["ready"]
        for slice_ in found
        for each in slice_.get("endpoints") or ()
    }


async def test_a_service_follows_its_pods() -> None:
    async with world() as at:
        await make_service(at)

        async def placeholder() -> bool:
            return len(await at.items(EndpointSlice.resource, labels="kubernetes.io/service-name=web")) == 1

        await at.until(placeholder)
        for name in ("a", "b"):
            await make_pod(at, name)
        await make_pod(at, "x", app="other")

        async def shows(**wanted: bool) -> bool:
            return await behind(at) == wanted

        await at.until(lambda: shows(a=True, b=True))
        [slice_] = await at.items(EndpointSlice.resource, labels="kubernetes.io/service-name=web")
        assert slice_["ports"] == [{"name": "http", "port": 8080, "protocol": "TCP"}]
        assert slice_["metadata"]["labels"]["endpointslice.kubernetes.io/managed-by"] == (
            "endpointslice-controller.k8s.io"
        )
        [owner] = slice_["metadata"]["ownerReferences"]
        assert (owner["kind"], owner["name"], owner["controller"]) == ("Service", "web", True)
        older = await at.get(Endpoints.resource, "web")
        assert older is not None
        assert len(older["subsets"][0]["addresses"]) == 2

        await at.client.delete(Pod.resource, "a", namespace="default")
        await at.until(lambda: shows(b=True))
        await at.client.patch(Pod.resource, "b", {"metadata": {"labels": {"app": "out"}}}, namespace="default")
        await at.until(shows)
        await at.client.delete(Service.resource, "web", namespace="default")

        async def nothing_left() -> bool:
            left = await at.items(EndpointSlice.resource, labels="kubernetes.io/service-name=web")
            return not left and await at.get(Endpoints.resource, "web") is None

        await at.until(nothing_left)


async def test_many_pods_are_few_writes() -> None:
    async with world(settings=ControllersSettings(root_ca_pem="PEM", batch_seconds=0.1)) as at:
        await make_service(at)
        await at.until(lambda: at.get(Endpoints.resource, "web"))
        at.counted.writes.clear()
        for number in range(60):
            await make_pod(at, f"p{number}")

        async def all_ready() -> bool:
            found = await behind(at)
            return len(found) == 60 and all(found.values())

        await at.until(all_ready)
        writes = at.counted.writes
        assert writes.get("PATCH endpointslices", 0) + writes.get("POST endpointslices", 0) <= 20, writes


async def test_endpoints_made_by_hand_are_mirrored() -> None:
    async with world() as at:
        await make_service(at, "ext", selector=None)
        body = {
            "metadata": {"name": "ext", "namespace": "default"},
            "subsets": [{"addresses": [{"ip": "192.0.2.7"}], "ports": [{"name": "http", "port": 80}]}],
        }
        await at.client.create(Endpoints.resource, body)

        async def shows(wanted: dict[str, bool]) -> bool:
            return await behind(at, "ext") == wanted

        await at.until(lambda: shows({"192.0.2.7": True}))
        await at.client.patch(Endpoints.resource, "ext", {"subsets": None}, namespace="default")
        await at.until(lambda: shows({}))


def test_what_is_not_mirrored_is_counted() -> None:
    many = [{"ip": f"10.0.{number // 250}.{number % 250 + 1}"} for number in range(1200)]
    few = [{"ip": "10.1.0.1"}]
    obj = Endpoints(subsets=({"addresses": many, "notReadyAddresses": few}, {"addresses": few}))
    assert beyond(obj) == 201
    assert sum(len(each) for each in mirrored(obj, "IPv4").values()) == 1001
