"""What the backends write, as text: the shape of chains, shared elements, and differences."""

from tests.network.builders import endpoint, piece, service

from kaa.network.backend import ProxySettings
from kaa.network.iptables_render import Names
from kaa.network.iptables_render import render as render_iptables
from kaa.network.ledger import Ledger, Piece, changed_ports
from kaa.network.nftables_render import Family, base, render
from kaa.network.services import compile_model

SETTINGS = ProxySettings("t", node="n1", pod_cidrs=("10.244.0.0/16", "fd00:1::/64"))
V4, V6 = Family("ip"), Family("ip6")


def port_of(made, *ends):
    return next(iter(compile_model([made], [piece("web", *ends)], "n1").ports.values()))


def test_two_endpoints_take_turns():
    piece_ = render(
        port_of(service("web"), endpoint("10.244.0.2", nodeName="n1"), endpoint("10.244.1.2")), V4, SETTINGS
    )
    assert piece_.chains == {
        "svc-default/web/tcp/": (
            "numgen inc mod 2 0 meta l4proto tcp dnat to 10.244.0.2:8080",
            "meta l4proto tcp dnat to 10.244.1.2:8080",
        )
    }
    assert piece_.elements == {
        ("service-ips", "10.96.0.100 . tcp . 80"): "goto svc-default/web/tcp/",
        ("cluster-ips", "10.96.0.100"): "",
        ("hairpin", "10.244.0.2 . 10.244.0.2"): "",
    }
    assert render(port_of(service("web"), endpoint("10.244.0.2")), V6, SETTINGS) == Piece()


def test_many_endpoints_take_turns_by_a_map():
    ends = [endpoint(f"10.244.0.{i}") for i in range(2, 22)]
    (rule,) = render(port_of(service("web"), *ends), V4, SETTINGS).chains["svc-default/web/tcp/"]
    assert rule.startswith("meta l4proto tcp dnat ip addr . port to numgen inc mod 20 map { 0 : 10.244.0.10 . 8080, ")


def test_ipv6_targets_have_brackets():
    made = service("web", ip="fd00::10", clusterIPs=["fd00::10"])
    whole = compile_model([made], [piece("web", endpoint("fd00:1::2"), address_type="IPv6")], "n1")
    found = render(whole.ports["default", "web", "", "TCP"], V6, SETTINGS)
    assert found.chains == {"svc-default/web/tcp/": ("meta l4proto tcp dnat to [fd00:1::2]:8080",)}
    tables = render_iptables(whole.ports["default", "web", "", "TCP"], Names("t"), SETTINGS, ipv6=True)
    assert any("--to-destination [fd00:1::2]:8080" in rule for rules in tables.chains.values() for rule in rules)


def test_nothing_to_serve_is_rejected_and_elsewhere_is_dropped():
    nobody = render(port_of(service("web")), V4, SETTINGS)
    assert nobody.elements["unserved-ips", "10.96.0.100 . tcp . 80"] == "goto reject-it"
    local = service("web", internalTrafficPolicy="Local")
    elsewhere = render(port_of(local, endpoint("10.244.1.2", nodeName="n2")), V4, SETTINGS)
    assert elsewhere.elements["unserved-ips", "10.96.0.100 . tcp . 80"] == "drop"
    assert elsewhere.chains == {}


def test_external_local_enters_by_its_own_chain():
    made = service(
        "web", type="LoadBalancer", externalTrafficPolicy="Local", ingress=["192.0.2.9"],
        ports=[{"name": "http", "port": 80, "nodePort": 30080}],
    )  # fmt: skip
    slices = [
        piece(
            "web", endpoint("10.244.0.2", nodeName="n1"), endpoint("10.244.1.2", nodeName="n2"),
            ports=[{"name": "http", "port": 8080}],
        )
    ]  # fmt: skip
    found = render(compile_model([made], slices, "n1").ports["default", "web", "http", "TCP"], V4, SETTINGS)
    assert found.chains["ext-default/web/tcp/http"] == (
        "ip saddr @pod-cidrs goto svc-default/web/tcp/http",
        "fib saddr type local jump mark-it",
        "fib saddr type local goto svc-default/web/tcp/http",
        "goto loc-default/web/tcp/http",
    )
    assert found.chains["loc-default/web/tcp/http"] == ("meta l4proto tcp dnat to 10.244.0.2:8080",)
    assert found.elements["service-nodeports", "tcp . 30080"] == "goto ext-default/web/tcp/http"


def test_ranges_of_the_other_family_let_nobody_in():
    made = service("web", type="LoadBalancer", ingress=["192.0.2.9"], loadBalancerSourceRanges=["fd00::/8"])
    assert render(port_of(made), V4, SETTINGS).elements["firewall-ips", "192.0.2.9 . tcp . 80"] == "drop"


def test_base_follows_the_settings():
    _, rules = base(V4, SETTINGS)
    text = "\n".join(rules)
    assert "127.0.0.0/8 drop" in text and "masquerade" in text and "10.244.0.0/16" in text and "fd00" not in text
    plain = ProxySettings("t", egress_masquerade=False, localhost_node_ports=False, node_port_cidrs=("192.0.2.0/24",))
    text = "\n".join(base(V4, plain)[1])
    assert "127.0.0.0/8 drop" not in text
    assert "ip daddr { 192.0.2.0/24 } ip daddr != 127.0.0.0/8" in text
    assert "@pod-cidrs" not in text


def test_iptables_names_fit():
    names = Names("a-very-long-cluster-name")
    assert len(names.own("SVC", "x" * 300)) == 28
    assert len(names.shared("EGRESS-TO")) <= 28


def test_a_clash_of_addresses_goes_to_the_first_and_then_to_the_next():
    a = service("a", ip="10.96.0.1", externalIPs=["192.0.2.9"])
    b = service("b", ip="10.96.0.2", externalIPs=["192.0.2.9"])
    slices = [piece("a", endpoint("10.244.0.2")), piece("b", endpoint("10.244.0.3"))]
    ledger = Ledger(lambda port: render(port, V4, SETTINGS))
    at = ("service-ips", "192.0.2.9 . tcp . 80")
    both = compile_model([a, b], slices, "n1")
    assert ledger.change(both, both.ports).added[at] == "goto ext-default/a/tcp/"
    only_b = compile_model([b], slices, "n1")
    change = ledger.change(only_b, changed_ports(both, only_b))
    assert change.dropped[at] == "goto ext-default/a/tcp/"
    assert change.added[at] == "goto ext-default/b/tcp/"
    assert sorted(change.chains_gone) == ["ext-default/a/tcp/", "svc-default/a/tcp/"]
    assert change.chains_new == change.chains_changed == {}


def test_a_changed_endpoint_changes_one_chain():
    ledger = Ledger(lambda port: render(port, V4, SETTINGS))
    before = compile_model([service("web")], [piece("web", endpoint("10.244.0.2"))], "n1")
    ledger.change(before, before.ports)
    after = compile_model([service("web")], [piece("web", endpoint("10.244.0.3"))], "n1")
    change = ledger.change(after, changed_ports(before, after))
    assert list(change.chains_changed) == ["svc-default/web/tcp/"]
    assert not (change.added or change.dropped or change.chains_new or change.chains_gone)
