"""The server over real sockets: both transports, forwarding, what happens when nobody can be asked."""

import asyncio
import errno
import socket
import socketserver
import threading
import time
from contextlib import contextmanager

import dnslib
import pytest
from dnslib import DNSRecord
from tests.network.builders import endpoint, piece, service

from kaa.network.dns.forward import Forwarder, ResolvConf
from kaa.network.dns.server import DnsServer
from kaa.network.dns.zone import Zone
from kaa.network.netns import Netns

SVC = "svc.cluster.local"


@contextmanager
def resolver(answers, *, silent=False):
    """A resolver of the outside world; counts what it was asked."""
    asked = []

    class Handler(socketserver.BaseRequestHandler):
        def handle(self):
            data, made = self.request
            question = DNSRecord.parse(data)
            asked.append(str(question.q.qname))
            if silent:
                return
            reply = question.reply(aa=0)
            for line in answers.get(str(question.q.qname), []):
                reply.add_answer(*dnslib.RR.fromZone(line))
            made.sendto(reply.pack(), self.client_address)

    with socketserver.ThreadingUDPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield server.server_address, asked
        server.shutdown()


@pytest.fixture
async def start():
    servers = []

    async def starting(upstreams=(), zone=None):
        if zone is None:
            zone = Zone()
            zone.set_service(service("web"))
            zone.set_service(service("db", ip="None"))
            zone.set_slice(piece("db", *(endpoint(f"10.244.0.{i}") for i in range(1, 4))))
            zone.set_service(service("out", ip="", type="ExternalName", externalName="example.org"))
        server = DnsServer(zone, Forwarder(lambda: tuple(upstreams)))
        await server.start([("127.0.0.1", 0)])
        servers.append(server)
        return server

    yield starting
    for server in servers:
        await server.close()


async def ask(server, name, type_="A", *, tcp=False, raw=None):
    data = raw or DNSRecord.question(name, type_).pack()
    return DNSRecord.parse(await asyncio.to_thread(exchange, server.addresses[0], data, tcp))


def exchange(at, data, tcp):
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM if tcp else socket.SOCK_DGRAM) as made:
        made.settimeout(6)
        made.connect(at)
        if not tcp:
            made.send(data)
            return made.recv(65535)
        made.sendall(len(data).to_bytes(2, "big") + data)
        stream = made.makefile("rb")
        return stream.read(int.from_bytes(stream.read(2), "big"))


@pytest.mark.parametrize("tcp", [False, True])
async def test_answers_and_changes(start, tcp):
    server = await start()
    for _ in range(2):
        assert [str(r.rdata) for r in (await ask(server, f"web.default.{SVC}", tcp=tcp)).rr] == ["10.96.0.100"]
    assert (await ask(server, f"new.default.{SVC}", tcp=tcp)).header.rcode == 3
    server.zone.set_service(service("new", ip="10.96.0.5"))
    assert [str(r.rdata) for r in (await ask(server, f"new.default.{SVC}", tcp=tcp)).rr] == ["10.96.0.5"]


async def test_addresses_take_turns_and_repeated_questions_are_finished(start):
    server = await start()
    first = [str((await ask(server, f"db.default.{SVC}")).rr[0].rdata) for _ in range(6)]
    assert sorted(first) == sorted(["10.244.0.1", "10.244.0.2", "10.244.0.3"] * 2)
    assert server.metrics.finished == 5


async def test_large_answers_go_over_tcp(start):
    server = await start()
    server.zone.set_slice(piece("db", *(endpoint(f"10.244.1.{i}") for i in range(100))))
    assert (await ask(server, f"db.default.{SVC}")).header.tc == 1
    whole = await ask(server, f"db.default.{SVC}", tcp=True)
    assert (whole.header.tc, len(whole.rr)) == (0, 100)


async def test_other_names_are_forwarded_and_remembered(start):
    answers = {"example.org.": ["example.org 60 A 192.0.2.7"], "short.org.": ["short.org 0 A 192.0.2.8"]}
    with resolver(answers) as (upstream, asked):
        server = await start([upstream])
        for _ in range(3):
            answer = await ask(server, "example.org")
            assert [str(r.rdata) for r in answer.rr] == ["192.0.2.7"] and answer.header.aa == 0
        assert asked == ["example.org."]
        for _ in range(2):
            await ask(server, "short.org")
        assert asked[1:] == ["short.org."] * 2


async def test_external_names_bring_their_addresses(start):
    with resolver({"example.org.": ["example.org 60 A 192.0.2.7"]}) as (upstream, _):
        server = await start([upstream])
        answer = await ask(server, f"out.default.{SVC}")
        assert [str(r.rdata) for r in answer.rr] == ["example.org.", "192.0.2.7"]


async def test_a_dead_resolver_is_passed_over(start):
    with resolver({"a.org.": ["a.org 60 A 192.0.2.7"], "b.org.": ["b.org 60 A 192.0.2.8"]}) as (upstream, _):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as made:
            made.bind(("127.0.0.1", 0))
            dead = made.getsockname()
        server = await start([dead, upstream])
        assert [str(r.rdata) for r in (await ask(server, "a.org")).rr] == ["192.0.2.7"]
        at = time.monotonic()
        assert [str(r.rdata) for r in (await ask(server, "b.org")).rr] == ["192.0.2.8"]
        assert time.monotonic() - at < 1


async def test_nobody_to_ask_is_servfail_quickly(start):
    server = await start([])
    at = time.monotonic()
    assert (await ask(server, "example.org")).header.rcode == 2
    assert (await ask(server, f"out.default.{SVC}")).header.rcode == 2
    assert time.monotonic() - at < 0.5


async def test_silent_resolvers_cost_time_once(start):
    with resolver({}, silent=True) as (upstream, asked):
        server = await start([upstream])
        assert (await ask(server, "a.org")).header.rcode == 2
        at = time.monotonic()
        answers = await asyncio.gather(*(ask(server, f"x{i}.org") for i in range(5)))
        assert [a.header.rcode for a in answers] == [2] * 5
        assert time.monotonic() - at < 2.5
        assert len(asked) <= 2


async def test_identical_questions_share_one_flight(start):
    with resolver({"a.org.": ["a.org 0 A 192.0.2.7"]}) as (upstream, asked):
        server = await start([upstream])
        data = [i.to_bytes(2, "big") + DNSRecord.question("a.org").pack()[2:] for i in range(20)]
        answers = await asyncio.gather(*(server.forwarder.resolve(d) for d in data))
        assert [a[:2] for a in answers] == [d[:2] for d in data]
        assert asked == ["a.org."]


@pytest.mark.parametrize(
    ("raw", "rcode"),
    [
        (b"\x12\x34\x01\x00\x00\x02" + b"\0" * 6, 1),
        (b"\x12\x34\x28\x00" + DNSRecord.question("a.b").pack()[4:], 4),
        (DNSRecord.question("a.b", "A", "CH").pack(), 5),
    ],
)
async def test_refusals(start, raw, rcode):
    server = await start()
    answer = await asyncio.to_thread(exchange, server.addresses[0], raw, False)
    assert answer[:2] == raw[:2]
    assert answer[3] & 15 == rcode


def test_resolv_conf(tmp_path):
    path = tmp_path / "resolv.conf"
    path.write_text("# c\nsearch x\nnameserver 192.0.2.1 # one\nnameserver 10.96.0.10\nnameserver ::1\n")

    class Now:
        at = 0.0

        def monotonic(self):
            return self.at

    clock = Now()
    conf = ResolvConf(path, never=["10.96.0.10"], clock=clock)
    assert conf.upstreams() == (("192.0.2.1", 53), ("::1", 53))
    path.write_text("nameserver 192.0.2.22\n")
    clock.at = 6.0
    assert conf.upstreams() == (("192.0.2.22", 53),)
    path.unlink()
    clock.at = 12.0
    assert conf.upstreams() == ()


@pytest.mark.parametrize("chosen", [True, False])
async def test_a_port_is_free_for_both_transports(chosen):
    made = []

    class Busy(Netns):
        """Somebody has the first port over TCP."""

        def listen(self, kind, address, port):
            if kind == socket.SOCK_STREAM and len(made) == 1:
                raise OSError(errno.EADDRINUSE, "Address already in use")
            if kind == socket.SOCK_DGRAM:
                made.append(super().listen(kind, address, port))
                return made[-1]
            return super().listen(kind, address, port)

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind(("127.0.0.1", 0))
        port = 0 if chosen else free.getsockname()[1]
    server = DnsServer(Zone())
    try:
        if chosen:
            await server.start([("127.0.0.1", 0)], netns=Busy())
            assert server.addresses == [made[1].getsockname()]
        else:
            with pytest.raises(OSError, match="in use"):
                await server.start([("127.0.0.1", port)], netns=Busy())
        assert made[0].fileno() == -1
    finally:
        await server.close()
