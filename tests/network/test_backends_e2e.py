"""Both backends in a real kernel: who answers, who is seen, who is refused, and what is left afterwards."""

import socket
import threading
from collections import Counter

import pytest
from tests.network.builders import endpoint, piece, service
from tests.network.worlds import World, ask_udp, get, ip

from kaa.network.addresses import ServiceRoute, node_addresses
from kaa.network.backend import Backend, BackendUnsupported, ProxySettings, choose
from kaa.network.services import compile_model

pytestmark = pytest.mark.e2e
A, B = "10.244.0.2", "10.244.0.3"
NODE = "192.0.2.1"


@pytest.fixture(scope="module")
def world():
    made = World()
    # Many rejections in a row are wanted here; the kernel would limit them to one a second after the first few.
    made.node.sysctl("net/ipv4/icmp_ratelimit", "0")
    yield made
    made.close()


@pytest.fixture(params=["nftables", "iptables"])
def backend(world, request):
    settings = ProxySettings(
        cluster_id="t1", node="node-a", pod_cidrs=("10.244.0.0/16",), service_cidrs=("10.96.0.0/16",), netns=world.node
    )
    made = choose(settings, request.param)
    yield made
    made.cleanup()
    assert traces(world) == ""
    assert world.node.sysctl("net/ipv4/conf/all/route_localnet") == "0"


def traces(world) -> str:
    rules = world.node.run(["nft", "list", "tables"])
    saved = world.node.run(["iptables-save"])
    named = [line for line in (rules + saved).splitlines() if "kaa" in line.lower()]
    return "\n".join(named)


def both(**more):
    return piece("web", endpoint(A, nodeName="node-a", **more), endpoint(B, nodeName="node-b", **more))


def serve(backend: Backend, *objects) -> None:
    services = [o for o in objects if type(o).__name__ == "Service"]
    slices = [o for o in objects if type(o).__name__ == "EndpointSlice"]
    backend.sync(compile_model(services, slices, "node-a"))


def test_cluster_ip_takes_turns_and_keeps_the_pods_address(world, backend):
    serve(backend, service("web"), both())
    answers = [get(world.pods["a"], "10.96.0.100", 80) for _ in range(20)]
    assert Counter(a["pod"] for a in answers) == {"a": 10, "b": 10}
    assert {a["client"] for a in answers if a["pod"] == "b"} == {A}


def test_hairpin_is_seen_from_the_node(world, backend):
    serve(backend, service("web"), piece("web", endpoint(A, nodeName="node-a")))
    answer = get(world.pods["a"], "10.96.0.100", 80)
    assert answer == {"pod": "a", "client": "10.244.0.1"}


def test_host_reaches_cluster_ip(world, backend):
    route = ServiceRoute(world.node, ("10.96.0.0/16",), "kaa-t1-svc")
    assert route.ensure()
    try:
        serve(backend, service("web"), both())
        assert get(world.node, "10.96.0.100", 80)["pod"] in "ab"
    finally:
        route.remove()


def test_client_outside_uses_cluster_ip_masqueraded(world, backend):
    serve(backend, service("web"), both())
    assert get(world.client, "10.96.0.100", 80)["client"] == "10.244.0.1"


@pytest.mark.parametrize("address", [NODE, "10.244.0.1"])
def test_node_port_on_every_node_address(world, backend, address):
    web = service("web", type="NodePort", ports=[{"port": 80, "nodePort": 30080, "protocol": "TCP"}])
    serve(backend, web, both())
    answers = Counter(get(world.client, address, 30080)["pod"] for _ in range(8))
    assert answers == {"a": 4, "b": 4}
    assert get(world.client, address, 30080)["client"] == "10.244.0.1"


def test_node_port_on_localhost(world, backend):
    web = service("web", type="NodePort", ports=[{"port": 80, "nodePort": 30080, "protocol": "TCP"}])
    serve(backend, web, both())
    assert get(world.node, "127.0.0.1", 30080)["pod"] in "ab"
    assert get(world.node, NODE, 30080)["pod"] in "ab"


def test_localhost_is_not_opened_to_the_wire(world, backend):
    serve(backend, service("web"), both())
    assert world.node.sysctl("net/ipv4/conf/all/route_localnet") == "1"
    listener = world.node.listen(socket.SOCK_STREAM, "127.0.0.9", 9001)
    # The client sends to 127.0.0.9 through the node, as an attacker on the same wire could.
    world.client.sysctl("net/ipv4/conf/all/route_localnet", "1")
    ip(world.client, "addr del 127.0.0.1/8 dev lo")
    ip(world.client, "route add 127.0.0.9/32 via 192.0.2.1 src 192.0.2.2")
    try:
        with listener, pytest.raises(TimeoutError):
            world.client.call(lambda: socket.create_connection(("127.0.0.9", 9001), 0.4, ("192.0.2.2", 0)))
    finally:
        ip(world.client, "route del 127.0.0.9/32 via 192.0.2.1")
        ip(world.client, "addr add 127.0.0.1/8 dev lo")


def test_external_policy_local_keeps_the_client_and_the_node(world, backend):
    web = service(
        "web", type="NodePort", externalTrafficPolicy="Local",
        ports=[{"port": 80, "nodePort": 30080, "protocol": "TCP"}],
    )  # fmt: skip
    serve(backend, web, both())
    assert [get(world.client, NODE, 30080) for _ in range(4)] == [{"pod": "a", "client": "192.0.2.2"}] * 4
    # From a pod or from the node itself it is only another name of the service.
    assert Counter(get(world.pods["a"], NODE, 30080)["pod"] for _ in range(4)) == {"a": 2, "b": 2}
    assert get(world.node, NODE, 30080)["pod"] in "ab"
    # No local endpoint: dropped, not rejected, so that a balancer tries another node.
    serve(backend, web, piece("web", endpoint(B, nodeName="node-b")))
    with pytest.raises(TimeoutError):
        get(world.client, NODE, 30080, timeout=0.4)


def test_internal_policy_local(world, backend):
    web = service("web", internalTrafficPolicy="Local")
    serve(backend, web, both())
    assert {get(world.pods["b"], "10.96.0.100", 80)["pod"] for _ in range(4)} == {"a"}
    serve(backend, web, piece("web", endpoint(B, nodeName="node-b")))
    route = ServiceRoute(world.node, ("10.96.0.0/16",), "kaa-t1-svc")
    route.ensure()
    with pytest.raises(TimeoutError):
        get(world.pods["b"], "10.96.0.100", 80, timeout=0.4)
    route.remove()


def test_no_endpoints_reject(world, backend):
    web = service("web", type="NodePort", ports=[{"port": 80, "nodePort": 30080, "protocol": "TCP"}])
    route = ServiceRoute(world.node, ("10.96.0.0/16",), "kaa-t1-svc")
    assert route.ensure()
    try:
        serve(backend, web)
        for space, address, port in (
            (world.pods["a"], "10.96.0.100", 80), (world.client, NODE, 30080), (world.node, "10.96.0.100", 80),
            (world.pods["a"], "10.96.0.100", 81),
        ):  # fmt: skip
            with pytest.raises(ConnectionRefusedError):
                get(space, address, port)
        serve(backend, web, both())
        assert get(world.pods["a"], "10.96.0.100", 80)["pod"] in "ab"
        with pytest.raises(ConnectionRefusedError):
            get(world.pods["a"], "10.96.0.100", 81)
    finally:
        route.remove()


def test_affinity_sticks_through_changes_of_others_and_restarts(world, backend):
    web = service("web", sessionAffinity="ClientIP")
    serve(backend, web, both())
    first = get(world.client, "10.96.0.100", 80)["pod"]
    assert {get(world.client, "10.96.0.100", 80)["pod"] for _ in range(6)} == {first}
    serve(backend, web, both(), service("other", ip="10.96.0.101"))
    assert {get(world.client, "10.96.0.100", 80)["pod"] for _ in range(3)} == {first}
    again = type(backend).probed(backend.settings)
    serve(again, web, both())
    assert {get(world.client, "10.96.0.100", 80)["pod"] for _ in range(3)} == {first}
    other = {"a": (B, "b"), "b": (A, "a")}[first]
    serve(again, web, piece("web", endpoint(other[0])))
    assert get(world.client, "10.96.0.100", 80)["pod"] == other[1]


def test_load_balancer_with_source_ranges(world, backend):
    def balanced(*ranges):
        return service(
            "web", type="LoadBalancer", ingress=[NODE, "203.0.113.7"], loadBalancerSourceRanges=list(ranges),
            ports=[{"port": 8000, "protocol": "TCP"}],
        )  # fmt: skip

    serve(backend, balanced(), both())
    assert get(world.client, NODE, 8000)["pod"] in "ab"
    assert get(world.client, "203.0.113.7", 8000)["pod"] in "ab"
    serve(backend, balanced("198.51.100.0/24"), both())
    with pytest.raises(TimeoutError):
        get(world.client, NODE, 8000, timeout=0.4)
    serve(backend, balanced("192.0.2.0/24"), both())
    assert get(world.client, NODE, 8000)["pod"] in "ab"


def test_pods_leave_the_cluster_as_the_node(world, backend):
    serve(backend, service("web"), both())
    seen: list[str] = []
    listener = world.client.listen(socket.SOCK_STREAM, "192.0.2.2", 9000)
    listener.settimeout(2)
    with listener:
        made = world.pods["a"].call(lambda: socket.create_connection(("192.0.2.2", 9000), 2))
        with made:
            accepted, peer = listener.accept()
            accepted.close()
            seen.append(peer[0])
    assert seen == [NODE]


def test_udp_flows_follow_their_endpoint(world, backend):
    dns = service("dns", type="NodePort", ports=[{"port": 53, "nodePort": 30053, "protocol": "UDP"}])
    ports = [{"name": "", "port": 8080, "protocol": "UDP"}]
    serve(backend, dns, piece("dns", endpoint(A), ports=ports))
    # Each address has flows of its own to forget, whether or not there are any to the others.
    for address, port in (("10.96.0.100", 53), (NODE, 30053)):
        serve(backend, dns, piece("dns", endpoint(A), ports=ports))
        made = world.client.call(lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        made.settimeout(2)
        with made:
            assert ask_udp(made, address, port) == "a"
            serve(backend, dns, piece("dns", endpoint(B), ports=ports))
            assert ask_udp(made, address, port) == "b"


def test_no_connection_fails_while_rules_are_replaced(world, backend):
    serve(backend, service("web"), both())
    failed: list[BaseException] = []
    done = threading.Event()

    def knock():
        while not done.is_set():
            try:
                get(world.client, "10.96.0.100", 80, timeout=0.9)
            except OSError as error:
                failed.append(error)

    knocking = threading.Thread(target=knock)
    knocking.start()
    for i in range(5):
        again = type(backend).probed(backend.settings)
        serve(again, service("web"), both())
        serve(again, service("web"), both(), service(f"other-{i}", ip=f"10.96.2.{i}"))
    done.set()
    knocking.join()
    assert failed == []


def test_a_running_connection_survives_a_restart_and_foreign_damage_is_mended(world, backend):
    serve(backend, service("web"), both())
    made = world.client.call(lambda: socket.create_connection(("10.96.0.100", 80), 2))
    with made:
        again = type(backend).probed(backend.settings)
        serve(again, service("web"), both())
        made.sendall(b"GET / HTTP/1.0\r\n\r\n")
        assert b"200" in made.recv(1000)
    again.cleanup()
    assert not backend.intact()
    serve(backend, service("web"), both())
    assert backend.intact()
    assert get(world.client, "10.96.0.100", 80)["pod"] in "ab"


def test_services_come_and_go_without_rest(world, backend):
    for n in (3, 1, 4, 0):
        services = [service(f"s{i}", ip=f"10.96.1.{i}", sessionAffinity="ClientIP") for i in range(n)]
        slices = [piece(f"s{i}", endpoint(A, nodeName="node-a")) for i in range(n)]
        serve(backend, *services, *slices)
        for i in range(n):
            assert get(world.client, f"10.96.1.{i}", 80)["pod"] == "a"
    if backend.name == "nftables":
        assert "/" not in world.node.run(["nft", "list", "table", "ip", "kaa-t1"]).replace("0.0/", "")
    else:
        assert "-SVC-" not in world.node.run(["iptables-save"])


def test_addresses_of_a_node(world):
    assert node_addresses(world.node, skip_links=("lo", "pod-")) == [NODE]


def test_choose_names_what_is_missing():
    settings = ProxySettings(cluster_id="t1")
    with pytest.raises(BackendUnsupported, match="use auto, nftables or iptables"):
        choose(settings, "ipvs")
