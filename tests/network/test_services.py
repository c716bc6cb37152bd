"""The model: which endpoints take traffic, and which services have any."""

import pytest
from tests.network.builders import endpoint, piece, service

from kaa.network.backend import udp_endpoints_gone
from kaa.network.services import Compiler, HealthCheck, compile_model, select


def only(services, slices, node="n1", zone=""):
    ports = compile_model(services, slices, node, zone).ports
    assert len(ports) == 1
    return next(iter(ports.values()))


def ips(endpoints):
    return [e.ip for e in endpoints]


@pytest.mark.parametrize(
    ("endpoints", "spec", "cluster", "internal", "external"),
    [
        ([{}, {}], {}, "12", "12", "12"),
        ([{"ready": True}, {"ready": False}], {}, "1", "1", "1"),
        # None ready: what still serves while it terminates.
        ([{"ready": False, "serving": True, "terminating": True}, {"ready": False}], {}, "1", "1", "1"),
        ([{"ready": False, "serving": False, "terminating": True}], {}, "", "", ""),
        # One ready: the terminating ones get nothing new.
        ([{}, {"ready": False, "serving": True, "terminating": True}], {}, "1", "1", "1"),
        ([{"nodeName": "n1"}, {"nodeName": "n2"}], {"internalTrafficPolicy": "Local"}, "12", "1", "12"),
        (
            [{"nodeName": "n2"}, {"nodeName": "n1"}],
            {"type": "NodePort", "externalTrafficPolicy": "Local", "ports": [{"port": 80, "nodePort": 30000}]},
            "12", "12", "2",
        ),
        # A Local policy falls back to terminating endpoints of its own node, not to ready ones elsewhere.
        (
            [{"nodeName": "n1", "ready": False, "serving": True, "terminating": True}, {"nodeName": "n2"}],
            {"internalTrafficPolicy": "Local"}, "2", "1", "2",
        ),
        ([{"nodeName": "n2"}], {"internalTrafficPolicy": "Local"}, "1", "", "1"),
        # Conditions that are not said are true.
        ([{"ready": None}], {}, "1", "1", "1"),
    ],
)  # fmt: skip
def test_selection(endpoints, spec, cluster, internal, external):
    made = [endpoint(f"10.0.0.{i + 1}", **e) for i, e in enumerate(endpoints)]
    chosen = select(only([service("web", **spec)], [piece("web", *made)]))
    assert ["".join(ip[-1] for ip in ips(part)) for part in (chosen.cluster, chosen.internal, chosen.external)] == [
        cluster, internal, external,
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("hints", "zone", "expected"),
    [
        ([{"forZones": [{"name": "a"}]}, {"forZones": [{"name": "b"}]}], "a", "1"),
        ([{"forZones": [{"name": "a"}]}, {"forZones": [{"name": "b"}]}], "c", "12"),
        ([{"forZones": [{"name": "a"}]}, None], "a", "12"),
        ([{"forNodes": [{"name": "n1"}], "forZones": [{"name": "b"}]}, {"forNodes": [{"name": "n2"}]}], "b", "1"),
        ([{"forZones": [{"name": "a"}]}, {"forZones": [{"name": "b"}]}], "", "12"),
    ],
)
def test_hints(hints, zone, expected):
    made = [endpoint(f"10.0.0.{i + 1}", **({"hints": h} if h else {})) for i, h in enumerate(hints)]
    port = only([service("web")], [piece("web", *made)], zone=zone)
    assert "".join(e.ip[-1] for e in select(port).cluster) == expected


@pytest.mark.parametrize(
    "unserved",
    [
        service("web", ip="None"),
        service("web", ip="", type="ExternalName", externalName="example.org"),
        service("web", labels={"service.kubernetes.io/service-proxy-name": "other"}),
        service("web", labels={"service.kubernetes.io/headless": ""}),
    ],
)
def test_services_that_are_not_proxied(unserved):
    assert compile_model([unserved], [piece("web", endpoint("10.0.0.1"))], "n1").ports == {}


def test_ports_by_name_and_protocol():
    ports = [{"name": "dns", "port": 53, "protocol": "UDP"}, {"name": "dns-tcp", "port": 53, "protocol": "TCP"}]
    targets = [{"name": "dns", "port": 1053, "protocol": "UDP"}, {"name": "dns-tcp", "port": 1054, "protocol": "TCP"}]
    model = compile_model(
        [service("dns", ports=ports)], [piece("dns", endpoint("10.0.0.1"), ports=targets)], "n1"
    ).ports
    assert {k[2:]: p.endpoints[0].port for k, p in model.items()} == {("dns", "UDP"): 1053, ("dns-tcp", "TCP"): 1054}


def test_slices_are_merged_and_what_is_ready_counts():
    one = piece("web", endpoint("10.0.0.1", ready=False), endpoint("10.0.0.2"), name="a")
    two = piece("web", endpoint("10.0.0.1", ready=True), name="b")
    other = piece("web", endpoint("fd00::1"), name="c", address_type="IPv6")
    port = only([service("web")], [one, two, other])
    assert [(e.ip, e.ready) for e in port.endpoints] == [("10.0.0.1", True), ("10.0.0.2", True), ("fd00::1", True)]
    assert ips(select(port, ipv6=True).cluster) == ["fd00::1"]
    assert compile_model([service("web")], [piece("web", endpoint("x.org"), address_type="FQDN")], "n1").ports[
        ("default", "web", "", "TCP")
    ].endpoints == ()  # fmt: skip


def test_affinity_ranges_and_addresses():
    port = only(
        [
            service(
                "web", type="LoadBalancer", ingress=["192.0.2.9"], sessionAffinity="ClientIP",
                loadBalancerSourceRanges=["10.1.2.3/8", "nonsense"], externalIPs=["192.0.2.8"],
            )
        ],
        [],
    )  # fmt: skip
    assert port.affinity_seconds == 10800
    assert port.source_ranges == ("10.0.0.0/8",)
    assert (port.load_balancer_ips, port.external_ips, port.external) == (("192.0.2.9",), ("192.0.2.8",), True)


def test_health_check_counts_ready_local_addresses():
    balanced = service(
        "web", type="LoadBalancer", externalTrafficPolicy="Local", healthCheckNodePort=31000,
        ports=[{"name": "a", "port": 80}, {"name": "b", "port": 81}],
    )  # fmt: skip
    ends = [
        endpoint("10.0.0.1", nodeName="n1"),
        endpoint("10.0.0.2", nodeName="n2"),
        endpoint("10.0.0.3", nodeName="n1", ready=False),
    ]
    slices = [piece("web", *ends, ports=[{"name": "a", "port": 1}, {"name": "b", "port": 2}])]
    assert compile_model([balanced], slices, "n1").health_checks == {("default", "web"): HealthCheck(31000, 1)}
    assert compile_model([service("web")], slices, "n1").health_checks == {}


def test_the_compiler_keeps_what_did_not_change():
    compiler = Compiler("n1")
    for name in ("a", "b"):
        compiler.set_service(service(name))
        compiler.set_slice(piece(name, endpoint("10.0.0.1")))
    first = compiler.model()
    assert compiler.model() is first
    compiler.set_slice(piece("a", endpoint("10.0.0.2")))
    compiler.set_service(service("b"))
    second = compiler.model()
    key_a, key_b = ("default", "a", "", "TCP"), ("default", "b", "", "TCP")
    assert second.ports[key_b] is first.ports[key_b]
    assert ips(second.ports[key_a].endpoints) == ["10.0.0.2"]
    assert ips(first.ports[key_a].endpoints) == ["10.0.0.1"]
    compiler.delete_slice("default", "a-abcde")
    assert compiler.model().ports[key_a].endpoints == ()
    compiler.delete_service("default", "a")
    assert set(compiler.model().ports) == {key_b}
    # A slice that is given to another service leaves the first.
    compiler.set_slice(piece("c", endpoint("10.0.0.9"), name="b-abcde"))
    assert compiler.model().ports[key_b].endpoints == ()


def test_udp_flows_to_forget():
    ports = [{"port": 53, "protocol": "UDP", "nodePort": 30053}]
    dns = service("dns", type="NodePort", ports=ports)

    def model(*addresses):
        target = [{"name": "", "port": 53, "protocol": "UDP"}]
        return only([dns], [piece("dns", *(endpoint(a) for a in addresses), ports=target)])

    assert list(udp_endpoints_gone(model("10.0.0.1", "10.0.0.2"), model("10.0.0.2"))) == [
        ("10.96.0.100", 0, "10.0.0.1"), ("", 30053, "10.0.0.1"),
    ]  # fmt: skip
    assert list(udp_endpoints_gone(model(), model("10.0.0.2"))) == [("10.96.0.100", 0, ""), ("", 30053, "")]
    assert next(iter(udp_endpoints_gone(model("10.0.0.1"), None))) == ("10.96.0.100", 0, "10.0.0.1")
    assert list(udp_endpoints_gone(only([service("web")], []), None)) == []
