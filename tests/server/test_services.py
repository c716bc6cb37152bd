"""Cluster IPs and node ports: given, kept, let go."""

import asyncio

import pytest
from tests.server.world import SERVICES, Api, World, running, service


async def held(world: World) -> set:
    services = world.server.parts.registry.get("", "v1", "services")
    reservations = world.server.parts.reservations[services.storage_prefix]
    return set(reservations._holder)


async def test_addresses_are_given_and_let_go(both: World) -> None:
    api = both.admin
    before = await held(both)
    made = (await api.post(SERVICES, service("a"))).ok(201)["spec"]
    assert made["clusterIP"].startswith("10.96.") and made["clusterIPs"] == [made["clusterIP"]]
    assert (made["type"], made["ipFamilies"], made["ipFamilyPolicy"]) == ("ClusterIP", ["IPv4"], "SingleStack")
    assert await held(both) - before == {made["clusterIP"]}
    (await api.delete(f"{SERVICES}/a")).ok()
    assert await held(both) == before
    again = (await api.post(SERVICES, service("b", clusterIP=made["clusterIP"]))).ok(201)["spec"]
    assert again["clusterIP"] == made["clusterIP"]


async def test_addresses_asked_for(api: Api) -> None:
    (await api.post(SERVICES, service("dns", clusterIP="10.96.0.10"))).ok(201)
    taken = await api.post(SERVICES, service("other", clusterIP="10.96.0.10"))
    assert taken.code == 422
    assert taken.message == (
        'Service "other" is invalid: spec.clusterIPs: Invalid value: ["10.96.0.10"]: failed to allocate IP 10.96.0.10: '
        "provided IP is already allocated"
    )
    assert (await api.post(SERVICES, service("own", clusterIP="10.96.0.1"))).code == 422
    outside = await api.post(SERVICES, service("out", clusterIP="192.168.0.1"))
    assert outside.code == 422 and "not in the valid range" in outside.message
    assert (await api.post(SERVICES, service("bad", clusterIP="x"))).code == 422
    assert (await api.post(SERVICES, service("v6", ipFamilies=["IPv6"]))).code == 422
    dual = await api.post(SERVICES, service("dual", ipFamilyPolicy="RequireDualStack"))
    assert dual.code == 422 and "not configured for dual-stack" in dual.message
    assert (await api.post(SERVICES, service("maybe", ipFamilyPolicy="PreferDualStack"))).code == 201


async def test_headless_and_external_names_take_nothing(world: World) -> None:
    before = await held(world)
    headless = (await world.admin.post(SERVICES, service("h", clusterIP="None"))).ok(201)["spec"]
    assert headless["clusterIP"] == "None" and headless["clusterIPs"] == ["None"]
    named = {
        "kind": "Service",
        "apiVersion": "v1",
        "metadata": {"name": "e"},
        "spec": {"type": "ExternalName", "externalName": "example.com"},
    }
    external = (await world.admin.post(SERVICES, named)).ok(201)["spec"]
    assert "clusterIP" not in external
    assert await held(world) == before
    # and back and forth
    back = (await world.admin.merge(f"{SERVICES}/e", {"spec": {"type": "ClusterIP", "ports": [{"port": 80}]}})).ok()[
        "spec"
    ]
    assert back["clusterIP"].startswith("10.96.") and await held(world) - before == {back["clusterIP"]}
    gone = await world.admin.merge(f"{SERVICES}/e", {"spec": {"type": "ExternalName", "externalName": "example.com"}})
    assert "clusterIP" not in gone.ok()["spec"] and await held(world) == before


async def test_node_ports(both: World) -> None:
    api = both.admin
    before = await held(both)
    made = (
        await api.post(SERVICES, service("n", {"port": 80, "name": "a"}, {"port": 81, "name": "b"}, type="NodePort"))
    ).ok(201)
    ports = [each["nodePort"] for each in made["spec"]["ports"]]
    assert len(set(ports)) == 2 and all(30000 <= each <= 32767 for each in ports)
    assert await held(both) - before == {made["spec"]["clusterIP"], *ports}
    # An update that does not name them keeps them.
    fresh = service("n", {"port": 80, "name": "a"}, {"port": 81, "name": "b"}, type="NodePort")
    kept = (await api.put(f"{SERVICES}/n", fresh)).ok()["spec"]
    assert [each["nodePort"] for each in kept["ports"]] == ports and kept["clusterIP"] == made["spec"]["clusterIP"]
    taken = await api.post(SERVICES, service("m", {"port": 80, "nodePort": ports[0]}, type="NodePort"))
    assert taken.code == 422 and taken.message == (
        f'Service "m" is invalid: spec.ports[0].nodePort: Invalid value: {ports[0]}: provided port is already allocated'
    )
    low = await api.post(SERVICES, service("l", {"port": 80, "nodePort": 80}, type="NodePort"))
    assert low.code == 422 and "The range of valid ports is 30000-32767" in low.message
    # One port by two protocols shares its node port.
    dns = service("dns", {"port": 53, "name": "u", "protocol": "UDP"}, {"port": 53, "name": "t"}, type="NodePort")
    both_ports = [each["nodePort"] for each in (await api.post(SERVICES, dns)).ok(201)["spec"]["ports"]]
    assert both_ports[0] == both_ports[1]
    # To a cluster IP: let go; the refused ones took nothing.
    plain = (await api.merge(f"{SERVICES}/n", {"spec": {"type": "ClusterIP"}})).ok()["spec"]
    assert all("nodePort" not in each for each in plain["ports"]) and plain["clusterIP"] == made["spec"]["clusterIP"]
    (await api.delete(f"{SERVICES}/dns")).ok()
    assert await held(both) - before == {plain["clusterIP"]}
    fixed = (
        await api.merge(
            f"{SERVICES}/n", {"spec": {"type": "NodePort", "ports": [{"port": 80, "name": "a", "nodePort": ports[0]}]}}
        )
    ).ok()["spec"]
    assert fixed["ports"][0]["nodePort"] == ports[0]
    moved = (await api.merge(f"{SERVICES}/n", {"spec": {"ports": [{"port": 80, "name": "a", "nodePort": 31000}]}})).ok()
    assert await held(both) - before == {plain["clusterIP"], 31000}, moved


async def test_load_balancers(world: World) -> None:
    before = await held(world)
    lb = (await world.admin.post(SERVICES, service("lb", type="LoadBalancer", externalTrafficPolicy="Local"))).ok(201)[
        "spec"
    ]
    assert lb["ports"][0]["nodePort"] and lb["healthCheckNodePort"] and lb["allocateLoadBalancerNodePorts"] is True
    without = (
        await world.admin.post(SERVICES, service("w", type="LoadBalancer", allocateLoadBalancerNodePorts=False))
    ).ok(201)
    assert "nodePort" not in without["spec"]["ports"][0]
    for name in ("lb", "w"):
        (await world.admin.delete(f"{SERVICES}/{name}")).ok()
    assert await held(world) == before


async def test_a_dry_run_takes_nothing(both: World) -> None:
    api = both.admin
    before = await held(both)
    dry = (await api.post(SERVICES, service("a", type="NodePort"), dryRun="All")).ok(201)["spec"]
    assert dry["clusterIP"] and dry["ports"][0]["nodePort"] and await held(both) == before
    (await api.post(SERVICES, service("a"))).ok(201)
    mine = await held(both)
    turned = (await api.merge(f"{SERVICES}/a", {"spec": {"type": "NodePort"}}, dryRun="All")).ok()["spec"]
    assert turned["ports"][0]["nodePort"] and await held(both) == mine
    (await api.delete(f"{SERVICES}/a", dryRun="All")).ok()
    assert await held(both) == mine


async def test_many_at_once_get_different_ones(both: World) -> None:
    api = both.admin
    answers = await asyncio.gather(*(api.post(SERVICES, service(f"s{n}", type="NodePort")) for n in range(40)))
    specs = [each.ok(201)["spec"] for each in answers]
    assert len({each["clusterIP"] for each in specs}) == len({each["ports"][0]["nodePort"] for each in specs}) == 40
    same = await asyncio.gather(*(api.post(SERVICES, service(f"t{n}", clusterIP="10.96.0.77")) for n in range(8)))
    assert sorted(each.code for each in same) == [201] + [422] * 7
    named = await asyncio.gather(*(api.post(SERVICES, service("one", clusterIP="10.96.0.78")) for _ in range(8)))
    assert sorted(each.code for each in named) == [201] + [409] * 7
    assert "10.96.0.78" in await held(both)
    (await api.delete(f"{SERVICES}/one")).ok()
    assert "10.96.0.78" not in await held(both)


async def test_a_full_range_is_told() -> None:
    async for world in running(service_cluster_ip_range="10.5.0.0/29"):
        codes = [(await world.admin.post(SERVICES, service(f"s{n}"))).code for n in range(6)]
        assert codes == [201] * 5 + [500]
        (await world.admin.delete(f"{SERVICES}/s0")).ok()
        assert (await world.admin.post(SERVICES, service("again"))).code == 201


@pytest.mark.parametrize("how", ["apply", "put"])
async def test_nobody_owns_what_was_allocated(api: Api, how: str) -> None:
    if how == "apply":
        made = (await api.apply(f"{SERVICES}/a", service("a"))).ok(201)
        again = (await api.apply(f"{SERVICES}/a", service("a"))).ok(200)
    else:
        made = (await api.post(SERVICES, service("a"))).ok(201)
        again = (await api.put(f"{SERVICES}/a", service("a"))).ok(200)
    assert made == again
    assert "f:clusterIP" not in str(made["metadata"]["managedFields"])
