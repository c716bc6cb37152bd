"""What names answer, asked through the wire and read by dnslib: an independent reader and writer of the format."""

import dnslib
import pytest
from dnslib import QTYPE, DNSRecord
from tests.network.builders import endpoint, piece, service

from kaa.network.dns import wire
from kaa.network.dns.wire import Malformed, encode, parse_query
from kaa.network.dns.zone import Zone


@pytest.fixture(scope="module")
def zone():
    made = Zone(dns_ips=["10.96.0.10"])
    for namespace in ("default", "empty"):
        made.set_namespace(namespace)
    ports = [{"name": "http", "port": 80, "protocol": "TCP"}, {"name": "dns", "port": 53, "protocol": "UDP"}]
    made.set_service(service("web", ip="10.96.0.100", ports=ports))
    made.set_slice(piece("web", endpoint("10.244.0.9", hostname="named")))
    made.set_service(service("dual", ip="10.96.0.101", clusterIPs=["10.96.0.101", "fd00::101"]))
    made.set_service(service("db", ip="None"))
    made.set_slice(
        piece(
            "db", endpoint("10.244.0.2", hostname="db-0"), endpoint("10.244.0.3", hostname="db-1"),
            endpoint("10.244.0.4"), endpoint("10.244.0.5", ready=False), ports=[{"name": "sql", "port": 5432}],
        )
    )  # fmt: skip
    made.set_service(service("early", ip="None", publishNotReadyAddresses=True))
    made.set_slice(piece("early", endpoint("10.244.0.7", ready=False)))
    made.set_service(service("none", ip="None"))
    made.set_service(service("out", ip="", type="ExternalName", externalName="example.org"))
    made.set_service(service("inner", ip="", type="ExternalName", externalName="web.default.svc.cluster.local"))
    made.set_service(service("loop", ip="", type="ExternalName", externalName="loop.default.svc.cluster.local"))
    return made


def ask(zone, name, type_="A", *, edns=None, bytes_max=65535):
    question = DNSRecord.question(name, type_)
    if edns:
        question.add_ar(dnslib.EDNS0(udp_len=edns))
    query = parse_query(question.pack())
    found = zone.answer(query.name(), query.type)
    return DNSRecord.parse(encode(query, found.rcode, found.records, found.authority, found.extra, bytes_max=bytes_max))


SVC = "svc.cluster.local"


@pytest.mark.parametrize(
    ("name", "type_", "expected"),
    [
        (f"web.default.{SVC}", "A", ["10.96.0.100"]),
        (f"WEB.Default.{SVC}", "A", ["10.96.0.100"]),
        (f"dual.default.{SVC}", "AAAA", ["fd00::101"]),
        (f"named.web.default.{SVC}", "A", ["10.244.0.9"]),
        (f"db.default.{SVC}", "A", ["10.244.0.2", "10.244.0.3", "10.244.0.4"]),
        (f"db-1.db.default.{SVC}", "A", ["10.244.0.3"]),
        (f"10-244-0-4.db.default.{SVC}", "A", ["10.244.0.4"]),
        (f"early.default.{SVC}", "A", ["10.244.0.7"]),
        ("1-2-3-4.default.pod.cluster.local", "A", ["1.2.3.4"]),
        ("fd00--1.default.pod.cluster.local", "AAAA", ["fd00::1"]),
        (f"_http._tcp.web.default.{SVC}", "SRV", [f"0 100 80 web.default.{SVC}."]),
        (f"_dns._udp.web.default.{SVC}", "SRV", [f"0 100 53 web.default.{SVC}."]),
        (
            f"_sql._tcp.db.default.{SVC}", "SRV",
            [f"0 33 5432 {host}.db.default.{SVC}." for host in ("10-244-0-4", "db-0", "db-1")],
        ),
        (f"out.default.{SVC}", "A", ["example.org."]),
        (f"out.default.{SVC}", "CNAME", ["example.org."]),
        (f"inner.default.{SVC}", "A", ["10.96.0.100", f"web.default.{SVC}."]),
        ("dns-version.cluster.local", "TXT", ['"1.1.0"']),
        ("cluster.local", "NS", ["ns.dns.cluster.local."]),
        ("ns.dns.cluster.local", "A", ["10.96.0.10"]),
        ("100.0.96.10.in-addr.arpa", "PTR", [f"web.default.{SVC}."]),
        ("2.0.244.10.in-addr.arpa", "PTR", [f"db-0.db.default.{SVC}."]),
        ("4.0.244.10.in-addr.arpa", "PTR", [f"10-244-0-4.db.default.{SVC}."]),
        ("1.0.1.0." + "0." * 24 + "0.0.d.f.ip6.arpa", "PTR", [f"dual.default.{SVC}."]),
    ],
)  # fmt: skip
def test_answers(zone, name, type_, expected):
    answer = ask(zone, name, type_)
    assert answer.header.rcode == 0
    assert answer.header.aa == 1
    assert sorted(str(r.rdata) for r in answer.rr) == sorted(expected)
    assert all(r.ttl == 30 for r in answer.rr)
    assert str(answer.q.qname).lower().rstrip(".") == name.lower()


@pytest.mark.parametrize(
    ("name", "type_", "rcode"),
    [
        (f"missing.default.{SVC}", "A", "NXDOMAIN"),
        (f"web.nowhere.{SVC}", "A", "NXDOMAIN"),
        (f"other.web.default.{SVC}", "A", "NXDOMAIN"),
        (f"a.b.c.web.default.{SVC}", "A", "NXDOMAIN"),
        (f"none.default.{SVC}", "A", "NXDOMAIN"),
        (f"10-244-0-5.db.default.{SVC}", "A", "NXDOMAIN"),
        (f"_ftp._tcp.web.default.{SVC}", "SRV", "NXDOMAIN"),
        (f"_http._udp.web.default.{SVC}", "SRV", "NXDOMAIN"),
        ("1-2-3-4.nowhere.pod.cluster.local", "A", "NXDOMAIN"),
        ("no-address.default.pod.cluster.local", "A", "NXDOMAIN"),
        ("anything.cluster.local", "A", "NXDOMAIN"),
        (f"example.com.default.{SVC}", "A", "NXDOMAIN"),
        (f"web.default.{SVC}", "AAAA", "NOERROR"),
        (f"web.default.{SVC}", "TXT", "NOERROR"),
        (f"_tcp.web.default.{SVC}", "A", "NOERROR"),
        (f"_http._tcp.web.default.{SVC}", "A", "NOERROR"),
        (f"default.{SVC}", "A", "NOERROR"),
        (f"empty.{SVC}", "A", "NOERROR"),
        (f"nowhere.{SVC}", "A", "NXDOMAIN"),
        (SVC, "A", "NOERROR"),
        ("cluster.local", "A", "NOERROR"),
        ("100.0.96.10.in-addr.arpa", "A", "NOERROR"),
    ],
)
def test_negative_answers_carry_the_soa(zone, name, type_, rcode):
    answer = ask(zone, name, type_)
    assert dnslib.RCODE[answer.header.rcode] == rcode
    assert answer.rr == []
    (soa,) = answer.auth
    assert QTYPE[soa.rtype] == "SOA" and str(soa.rname) == "cluster.local."
    assert str(soa.rdata).startswith("ns.dns.cluster.local. hostmaster.cluster.local. ")
    assert soa.rdata.times[-1] == 30


def test_srv_brings_the_addresses(zone):
    answer = ask(zone, f"_sql._tcp.db.default.{SVC}", "SRV")
    assert {str(r.rdata) for r in answer.ar} == {"10.244.0.2", "10.244.0.3", "10.244.0.4"}


def test_external_names_lead_out_and_do_not_circle(zone):
    assert zone.answer(("out", "default", "svc", "cluster", "local"), wire.A).chase == ("example", "org")
    assert zone.answer(("out", "default", "svc", "cluster", "local"), wire.TXT).chase is None
    assert 1 <= len(ask(zone, f"loop.default.{SVC}").rr) <= 9


def test_changes_reach_names_and_reverse_names():
    zone = Zone()
    zone.set_service(service("db", ip="None"))
    zone.set_slice(piece("db", endpoint("10.244.0.2", hostname="db-0")))
    reverse = ("2", "0", "244", "10", "in-addr", "arpa")
    assert zone.covers(reverse)
    epoch = zone.epoch
    zone.set_slice(piece("db", endpoint("10.244.0.3", hostname="db-0")))
    assert zone.epoch > epoch
    assert not zone.covers(reverse)
    assert [str(r.rdata) for r in ask(zone, f"db-0.db.default.{SVC}").rr] == ["10.244.0.3"]
    zone.delete_slice("default", "db-abcde")
    assert ask(zone, f"db-0.db.default.{SVC}").header.rcode == 3
    zone.delete_service("default", "db")
    assert ask(zone, f"default.{SVC}").header.rcode == 3


def test_truncation_and_edns():
    zone = Zone()
    zone.set_service(service("big", ip="None"))
    zone.set_slice(piece("big", *(endpoint(f"10.244.1.{i}") for i in range(200))))
    name = f"big.default.{SVC}"
    whole = ask(zone, name)
    assert (len(whole.rr), whole.header.tc) == (200, 0)
    cut = ask(zone, name, bytes_max=512)
    assert cut.header.tc == 1 and 20 < len(cut.rr) < 40
    with_edns = ask(zone, name, edns=4096, bytes_max=wire.UDP_BYTES_MAX)
    assert with_edns.header.tc == 1 and len(with_edns.pack()) <= wire.UDP_BYTES_MAX
    assert [QTYPE[r.rtype] for r in with_edns.ar] == ["OPT"]
    assert len(encode(parse_query(DNSRecord.question(name).pack()), 0, zone.answer(
        wire.text_name(name), wire.A).records, bytes_max=512)) <= 512  # fmt: skip


def test_names_are_compressed():
    zone = Zone(dns_ips=["10.96.0.10"])
    query = parse_query(DNSRecord.question("cluster.local", "NS").pack())
    found = zone.answer(query.name(), query.type)
    packed = encode(query, 0, found.records, (), found.extra)
    assert packed.count(b"\x07cluster") == 1
    assert packed.count(b"\x03dns") == 1


@pytest.mark.parametrize(("size", "expected"), [(None, 512), (100, 512), (800, 800), (65535, wire.UDP_BYTES_MAX)])
def test_parse_sizes(size, expected):
    question = DNSRecord.question("a.b.", "AAAA")
    if size:
        question.add_ar(dnslib.EDNS0(udp_len=size))
    query = parse_query(question.pack())
    assert (query.name(), query.type, query.udp_bytes_max, query.edns) == (("a", "b"), 28, expected, bool(size))


@pytest.mark.parametrize(
    "data",
    [
        b"", b"\0" * 11, b"\0" * 12, DNSRecord.question("a.b").pack()[:-3], DNSRecord.question("a.b").reply().pack(),
        b"\0\1\1\0\0\1\0\0\0\0\0\0\xc0\x0c\0\1\0\1", b"\0\1\1\0\0\1\0\0\0\0\0\0" + b"\x3f" + b"a" * 63,
        b"\0\1\1\0\0\1\0\0\0\0\0\0" + (b"\x3f" + b"a" * 63) * 5 + b"\0\0\1\0\1",
    ],
)  # fmt: skip
def test_malformed_queries(data):
    with pytest.raises(Malformed):
        parse_query(data)


def test_reading_answers_of_others():
    reply = DNSRecord.question("x.example.org").reply()
    reply.add_answer(*dnslib.RR.fromZone("x.example.org 60 CNAME y.example.org"))
    reply.add_answer(*dnslib.RR.fromZone("y.example.org 20 A 192.0.2.7"))
    data = reply.pack()
    assert wire.min_ttl(data) == 20
    aged = DNSRecord.parse(wire.with_ttl_less(data, 15))
    assert [r.ttl for r in aged.rr] == [45, 5]
    assert [(wire.name_text(r.name), r.data) for r in wire.addresses_in(data)] == [
        ("x.example.org", ("y", "example", "org")), ("y.example.org", "192.0.2.7"),
    ]  # fmt: skip
    with pytest.raises(Malformed):
        wire.addresses_in(b"\0" * 6 + b"\0\1" + b"\0" * 4 + b"\xc0\x0c" + b"\0" * 12)
