"""Streams and proxies as the API server forwards them: real server, made-up nodes and pods behind it."""

import asyncio
import base64
import gzip
import json
from collections.abc import AsyncIterator, Callable

import pytest
from tests.server.world import PODS, SERVICES, Api, Json, StoppedClock, World, obj, pod, service

from kaa.base.clock import REAL
from kaa.cluster.pki import Authority
from kaa.http.api import Request, Response, StreamingResponse, Transport, Upgrade, UpgradeRefused
from kaa.http.call import Caller
from kaa.http.inprocess import InProcess
from kaa.http.serve import serve
from kaa.http.tls import TlsServer
from kaa.http.websocket import accept
from kaa.server.server import ApiServer, ServerSettings
from kaa.server.subresources.forward import direct
from kaa.store.memory import MemoryStore

SLICES = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices"


class Behind:
    """What is behind the server: handlers by address. Where there is none, nobody listens."""

    def __init__(self) -> None:
        self.at: dict[tuple[str, int], Callable] = {}
        self.dialled: list[tuple[str, int, bool]] = []
        self.open: set[Transport] = set()

    def dial(self, host: str, port: int, tls: bool) -> Transport:
        """As the server itself: kubelets only."""
        assert (host, port, tls) == ("10.0.0.1", 10250, True)
        return self.direct(host, port, tls)

    def direct(self, host: str, port: int, tls: bool) -> Transport:
        self.dialled.append((host, port, tls))
        handler = self.at.get((host, port))
        transport = InProcess(handler) if handler is not None else Caller("http://127.0.0.1:1")
        self.open.add(transport)
        close = transport.close

        async def closed() -> None:
            self.open.discard(transport)
            await close()

        transport.close = closed  # type: ignore[method-assign]
        return transport


@pytest.fixture
def behind(monkeypatch: pytest.MonkeyPatch) -> Behind:
    made = Behind()
    monkeypatch.setattr("kaa.server.subresources.proxies.direct", made.direct)
    return made


@pytest.fixture
async def world(behind: Behind) -> AsyncIterator[World]:
    clock = StoppedClock()
    store = MemoryStore(clock)
    server = ApiServer(store, ServerSettings(secure_port=0), clock=clock, dial=behind.dial)
    await server.start(listen=False)
    world = World(server, clock)
    api = world.admin
    await api.post("/api/v1/namespaces/default/serviceaccounts", obj("ServiceAccount", "default"))
    (await api.post("/api/v1/nodes", obj("Node", "n"))).ok()
    await status(api, "/api/v1/nodes/n", {
        "addresses": [{"type": "Hostname", "address": "n"}, {"type": "InternalIP", "address": "10.0.0.1"}],
        "daemonEndpoints": {"kubeletEndpoint": {"Port": 10250}},
    })  # fmt: skip
    (await api.post(PODS, pod("p", nodeName="n"))).ok()
    await status(api, f"{PODS}/p", {"phase": "Running", "podIP": "10.1.0.1", "podIPs": [{"ip": "10.1.0.1"}]})
    yield world
    for transport in world.opened:
        await transport.close()
    await server.stop()
    await store.close()
    assert not behind.open, "connections behind the server were left open"


async def status(api: Api, path: str, value: Json) -> None:
    (await api.merge(f"{path}/status", {"status": value})).ok()


@pytest.fixture
async def api(world: World) -> Api:
    return world.admin


# --- logs -------------------------------------------------------------------------------------------------------------


async def test_a_log_is_what_the_node_says(api: Api, behind: Behind) -> None:
    asked: list[Request] = []

    def node(request: Request):
        asked.append(request)

        async def run(writer):
            for word in (b"one\n", b"two\n"):
                writer.write(word)
                await writer.drain()

        return StreamingResponse(run, content_type="text/plain")

    behind.at["10.0.0.1", 10250] = node
    answer = await api.get(f"{PODS}/p/log", tailLines="2", timestamps="true", follow="true", pretty="true")
    assert (answer.code, answer.body, answer.headers["content-type"]) == (200, b"one\ntwo\n", "text/plain")
    assert asked[0].path == "/containerLogs/default/p/c"
    assert asked[0].query == "follow=true&timestamps=true&tailLines=2"
    assert behind.dialled == [("10.0.0.1", 10250, True)]
    unverified = await api.get(f"{PODS}/p/log", insecureSkipTLSVerifyBackend="true")
    assert "always verified" in unverified.headers["warning"]


@pytest.mark.parametrize(
    ("code", "said", "found", "reason", "message"),
    [
        (400, 'container "c" in pod "p" is waiting to start: ContainerCreating', 400, "BadRequest",
         'container "c" in pod "p" is waiting to start: ContainerCreating'),
        (500, "no disk", 500, "InternalError", "Internal error occurred: no disk"),
        (404, "pod does not exist", 404, "NotFound", "the server could not find the requested resource ( pods/log p)"),
        (503, "", 503, "ServiceUnavailable",
         "the server is currently unable to handle the request ( pods/log p)"),
        (418, "", 418, "", "the server responded with the status code 418 but did not return more information"
         " ( pods/log p)"),
    ],
)  # fmt: skip
async def test_a_nodes_refusal_of_a_log(api: Api, behind: Behind, code, said, found, reason, message) -> None:
    behind.at["10.0.0.1", 10250] = lambda request: Response(code, said.encode(), "text/plain")
    answer = await api.get(f"{PODS}/p/log")
    assert (answer.code, answer.reason, answer.message) == (found, reason, message)


async def test_a_node_that_is_not_there(api: Api) -> None:
    answer = await api.get(f"{PODS}/p/log")
    assert (answer.code, answer.reason) == (500, "")
    assert answer.message == (
        'Get "https://10.0.0.1:10250/containerLogs/default/p/c": dial tcp 10.0.0.1:10250: connect: connection refused'
    )
    with pytest.raises(UpgradeRefused) as refused:
        await api.transport.upgrade("POST", f"{PODS}/p/exec", query="command=ls&stdout=1", protocol="SPDY/3.1")
    told = json.loads(refused.value.reply.body)
    assert (told["code"], told["message"]) == (
        500, "error dialing backend: dial tcp 10.0.0.1:10250: connect: connection refused"
    )  # fmt: skip


@pytest.mark.parametrize(
    ("query", "code", "message"),
    [
        ("tailLines=-1", 422, 'PodLogOptions "p" is invalid: tailLines: Invalid value: -1: must be greater than or '
         "equal to 0"),
        ("limitBytes=0", 422, 'PodLogOptions "p" is invalid: limitBytes: Invalid value: 0: must be greater than 0'),
        ("sinceSeconds=0", 422, 'PodLogOptions "p" is invalid: sinceSeconds: Invalid value: 0: must be greater than 0'),
        ("sinceSeconds=1&sinceTime=2026-01-01T00:00:00Z", 422, 'PodLogOptions "p" is invalid: <nil>: Forbidden: at '
         "most one of `sinceTime` or `sinceSeconds` may be specified"),
        ("tailLines=x", 400, 'strconv.ParseInt: parsing "x": invalid syntax'),
        ("sinceTime=x", 400, 'parsing time "x" as "2006-01-02T15:04:05Z07:00": cannot parse "x" as "2006"'),
        ("container=d", 400, "container d is not valid for pod p"),
    ],
)  # fmt: skip
async def test_log_options_are_checked(api: Api, query, code, message) -> None:
    answer = await api.get(f"{PODS}/p/log?{query}")
    assert (answer.code, answer.message) == (code, message)


async def test_the_container_must_be_clear(api: Api) -> None:
    two = [{"name": "a", "image": "i"}, {"name": "b", "image": "i"}]
    (await api.post(PODS, pod("two", nodeName="n", containers=two))).ok()
    text = "a container name must be specified for pod two, choose one of: [a b]"
    for path in ("log", "exec?command=ls&stdout=1", "attach?stdout=1"):
        answer = await api.get(f"{PODS}/two/{path}")
        assert (answer.code, answer.reason, answer.message) == (400, "BadRequest", text)
    (await api.post(PODS, pod("init", nodeName="n", containers=two, initContainers=[{"name": "x", "image": "i"}]))).ok()
    assert (await api.get(f"{PODS}/init/log")).message.endswith("[a b] or one of the init containers: [x]")


async def test_a_log_over_websocket(api: Api, behind: Behind) -> None:
    behind.at["10.0.0.1", 10250] = lambda request: Response(200, b"line\n", "text/plain")
    for protocol, expected in (("binary.k8s.io", b"line\n"), ("base64.binary.k8s.io", base64.b64encode(b"line\n"))):
        async with await api.transport.websocket(f"{PODS}/p/log", [protocol]) as socket:
            messages = []
            while (message := await socket.receive()) is not None:
                messages.append(message if isinstance(message, bytes) else message.encode())
            assert messages == [b"", expected]
            assert socket.close_code == 1000
    refused = await api.get(f"{PODS}/p/log", headers={"Upgrade": "websocket", "Connection": "Upgrade"})
    assert refused.code in (400, 426)


# --- upgrades ---------------------------------------------------------------------------------------------------------


async def test_an_upgrade_is_passed_on_without_credentials(world: World, behind: Behind) -> None:
    asked: list[Request] = []

    async def shout(connection):
        while data := await connection.read():
            connection.write(data.upper())
            await connection.drain()

    def node(request: Request):
        asked.append(request)
        return Upgrade("SPDY/3.1", shout, [("X-Stream-Protocol-Version", "v4.channel.k8s.io")])

    behind.at["10.0.0.1", 10250] = node
    headers = [("X-Stream-Protocol-Version", "v4.channel.k8s.io"), ("Authorization", "Bearer secret"),
               ("Impersonate-Group", "x"), ("X-Remote-User", "root"), ("Cookie", "c")]  # fmt: skip
    admin = world.admin
    upgraded = await admin.transport.upgrade(
        "POST", f"{PODS}/p/exec", query="command=a&command=b%20c&stdin=true", headers=headers[:1] + headers[3:],
        protocol="SPDY/3.1",
    )  # fmt: skip
    assert upgraded.headers["x-stream-protocol-version"] == "v4.channel.k8s.io"
    upgraded.connection.write(b"x" * 300_000)
    assert await upgraded.connection.readexactly(300_000) == b"X" * 300_000
    upgraded.connection.close()
    assert (asked[0].method, asked[0].path) == ("POST", "/exec/default/p/c")
    assert asked[0].query == "command=a&command=b%20c&stdin=true"
    assert asked[0].headers["x-stream-protocol-version"] == "v4.channel.k8s.io"
    assert not {"authorization", "impersonate-group", "x-remote-user"} & set(asked[0].headers)
    forwarded = await admin.transport.upgrade("GET", f"{PODS}/p/portforward", query="ports=80", protocol="SPDY/3.1")
    forwarded.connection.close()
    assert asked[1].path == "/portForward/default/p"
    for _ in range(10):
        await asyncio.sleep(0)


async def test_a_nodes_refusal_of_an_upgrade_is_passed_on_as_it_is(api: Api, behind: Behind) -> None:
    behind.at["10.0.0.1", 10250] = lambda request: Response(500, b'container not found ("c")', "text/plain")
    with pytest.raises(UpgradeRefused) as refused:
        await api.transport.upgrade("GET", f"{PODS}/p/attach", query="stdout=1", protocol="websocket")
    assert (refused.value.reply.status, refused.value.reply.body) == (500, b'container not found ("c")')
    plain = await api.get(f"{PODS}/p/exec", command="ls")
    assert (plain.code, plain.message) == (400, "Upgrade request required")


# --- proxies ----------------------------------------------------------------------------------------------------------


def mirror(request: Request) -> Response:
    shown = {"method": request.method, "path": request.raw_path, "query": request.query, "headers": request.headers,
             "body": request.body.decode()}  # fmt: skip
    headers = [("X-Kept", "yes"), ("Connection", "X-Hop"), ("X-Hop", "no"), ("Access-Control-Allow-Origin", "*")]
    return Response(210, json.dumps(shown).encode(), "text/x-mirror", headers)


@pytest.mark.conformance("Proxy, validate Proxy responses")
@pytest.mark.conformance("Proxy, validate ProxyWithPath responses")
async def test_every_method_with_path_query_body_and_headers(api: Api, behind: Behind) -> None:
    behind.at["10.1.0.1", 80] = mirror
    (await api.post(SERVICES, service("s", selector={"a": "b"}))).ok()
    await endpoints(api, "s", [{"port": 80}], "p", "10.1.0.1")
    for method in ("GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"):
        for base in (f"{PODS}/p/proxy", f"{SERVICES}/s/proxy"):
            answer = await api.ask(
                method, f"{base}/a%20b//c/../d%2Fe/?q=1&q=%2F;x", b"body", media="text/x", headers={
                    "X-Given": "1", "Authorization-Not": "2", "X-Forwarded-For": "9.9.9.9", "Connection": "X-Mine",
                    "X-Mine": "3", "Te": "trailers",
                },
            )  # fmt: skip
            shown = answer.json
            assert (answer.code, answer.headers["content-type"]) == (210, "text/x-mirror")
            assert answer.headers["x-kept"] == "yes"
            assert not {"x-hop", "access-control-allow-origin"} & set(answer.headers)
            assert (shown["method"], shown["path"], shown["query"]) == (method, "/a%20b/d/e/", "q=1&q=%2F;x")
            assert (shown["body"], shown["headers"]["content-type"]) == ("body", "text/x")
            assert shown["headers"]["x-given"] == "1"
            assert shown["headers"]["x-forwarded-for"].startswith("9.9.9.9, ")
            assert shown["headers"]["x-forwarded-uri"] == f"{base}/a%20b/d/e/"
            assert not {"x-mine", "te"} & set(shown["headers"])
    head = await api.ask("HEAD", f"{PODS}/p/proxy/x")
    assert (head.code, head.body) == (210, b"")
    for base in (f"{PODS}/p", f"{SERVICES}/s"):
        moved = await api.get(f"{base}/proxy?a=b")
        assert (moved.code, moved.headers["location"]) == (301, f"{base}/proxy/?a=b")
        assert (await api.post(f"{base}/proxy", None)).json["path"] == "/"


async def test_credentials_stay_here(world: World, behind: Behind) -> None:
    behind.at["10.1.0.1", 80] = mirror
    made = await world.admin.post("/api/v1/namespaces/default/serviceaccounts/default/token", {"spec": {}})
    binding = obj("ClusterRoleBinding", "all", "rbac.authorization.k8s.io/v1",
                  roleRef={"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"},
                  subjects=[{"kind": "ServiceAccount", "name": "default", "namespace": "default"}])  # fmt: skip
    (await world.admin.post("/apis/rbac.authorization.k8s.io/v1/clusterrolebindings", binding)).ok()
    user = world.with_token(made.json["status"]["token"])
    shown = (await user.get(f"{PODS}/p/proxy/", headers={"Cookie": "mine", "X-Remote-Group": "system:masters"})).json
    assert not {"authorization", "x-remote-group"} & set(shown["headers"])
    assert shown["headers"]["cookie"] == "mine"


async def test_nobody_proxies_without_leave(world: World, behind: Behind) -> None:
    behind.at["10.1.0.1", 80] = behind.at["10.0.0.1", 10250] = mirror
    for path in (f"{PODS}/p/proxy/", "/api/v1/nodes/n/proxy/pods", f"{PODS}/p/log", f"{PODS}/p/exec"):
        assert (await world.as_user("jane").get(path)).code == 403
        assert (await world.nobody().get(path)).code in (401, 403)
    assert behind.dialled == []


async def endpoints(api: Api, name: str, ports: list[Json], target: str, ip: str, **conditions: bool) -> None:
    made = obj("EndpointSlice", f"{name}-{target}", "discovery.k8s.io/v1",
               labels={"kubernetes.io/service-name": name}, addressType="IPv4", ports=ports, endpoints=[
                   {"addresses": [ip], "conditions": conditions or {"ready": True},
                    "targetRef": {"kind": "Pod", "namespace": "default", "name": target}}])  # fmt: skip
    (await api.post(SLICES, made)).ok()


@pytest.mark.conformance("Proxy through apiserver to a Service")
async def test_how_targets_are_named(api: Api, behind: Behind) -> None:
    for host, port in (("10.1.0.1", 80), ("10.1.0.1", 8080), ("10.0.0.1", 10250), ("10.0.0.1", 99)):
        behind.at[host, port] = lambda request, port=port: Response(200, str(port).encode(), "text/plain")
    ports = [{"name": "web", "port": 81, "targetPort": 80}, {"name": "other", "port": 82, "targetPort": 8080}]
    (await api.post(SERVICES, service("s", *ports, selector={"a": "b"}))).ok()
    await endpoints(api, "s", [{"name": "web", "port": 80}, {"name": "other", "port": 8080}], "p", "10.1.0.1")
    named = {
        f"{PODS}/p": ("10.1.0.1", 80, False), f"{PODS}/p:8080": ("10.1.0.1", 8080, False),
        f"{PODS}/https:p:8080": ("10.1.0.1", 8080, True), f"{PODS}/:p:8080": ("10.1.0.1", 8080, False),
        f"{SERVICES}/s:81": ("10.1.0.1", 80, False), f"{SERVICES}/s:other": ("10.1.0.1", 8080, False),
        f"{SERVICES}/https:s:web": ("10.1.0.1", 80, True), "/api/v1/nodes/n": ("10.0.0.1", 10250, True),
        "/api/v1/nodes/n:10250": ("10.0.0.1", 10250, True), "/api/v1/nodes/http:n:99": ("10.0.0.1", 99, False),
    }  # fmt: skip
    for path, place in named.items():
        answer = await api.get(f"{path}/proxy/")
        assert (answer.code, answer.body) == (200, str(place[1]).encode()), path
        assert behind.dialled[-1] == place
    for path, code, message in (
        (f"{PODS}/ftp:p:80", 400, 'invalid pod request "ftp:p:80"'),
        (f"{PODS}/a:b:c:d", 400, 'invalid pod request "a:b:c:d"'),
        (f"{SERVICES}/http::80", 400, 'invalid service request "http::80"'),
        ("/api/v1/nodes/x:n:1", 400, 'invalid node request "x:n:1"'),
        (f"{PODS}/q", 404, 'pods "q" not found'),
        (f"{SERVICES}/q", 404, 'services "q" not found'),
        ("/api/v1/nodes/q", 404, 'nodes "q" not found'),
        (f"{SERVICES}/s:9", 503, 'no service port 9 found for service "s"'),
        (f"{SERVICES}/s", 503, 'no endpoints available for service "s"'),
        (f"{SERVICES}/s:none", 503, 'no endpoints available for service "s:none"'),
        (f"{PODS}/p:9", 503, "error trying to reach service: dial tcp 10.1.0.1:9: connect: connection refused"),
    ):
        answer = await api.get(f"{path}/proxy/")
        assert (answer.code, answer.message) == (code, message), path


async def test_addresses_that_may_not_be_asked(api: Api, behind: Behind) -> None:
    for name, ip in (("loop", "127.0.0.1"), ("meta", "169.254.169.254"), ("none", "")):
        (await api.post(PODS, pod(name, nodeName="n"))).ok()
        if ip:
            await status(api, f"{PODS}/{name}", {"podIP": ip, "podIPs": [{"ip": ip}]})
        answer = await api.get(f"{PODS}/{name}/proxy/")
        assert (answer.code, answer.message) == (400, "address not allowed")
    (await api.post(SERVICES, service("s", selector={"a": "b"}))).ok()
    empty = await api.get(f"{SERVICES}/s/proxy/")
    assert (empty.code, empty.message) == (503, 'no endpoints available for service "s"')
    await endpoints(api, "s", [{"port": 80}], "p", "10.9.9.9")  # not the pod's own address
    await endpoints(api, "s", [{"port": 80}], "loop", "10.1.0.1")
    assert (await api.get(f"{SERVICES}/s/proxy/")).code == 503
    assert behind.dialled == []


async def test_pods_speak_tls_with_certificates_of_their_own_and_see_none_of_ours(tmp_path) -> None:
    authority = Authority(tmp_path, "ca", "somebody")
    certificate, key = authority.server_files("pod", "pod", ["elsewhere"])
    seen = []

    def handler(request: Request) -> Response:
        seen.append(request.peer.certificate_der)
        return Response(200, b"hello", "text/plain")

    tls = TlsServer(certificate, key, authority.certificate_path)  # it asks for a certificate, and takes none, too
    async with await serve(handler, tls=tls) as server:
        transport = direct("127.0.0.1", server.port, True)
        assert (await transport.call("GET", "/")).body == b"hello"
        await transport.close()
    assert seen == [None]


async def test_links_lead_through_the_proxy(api: Api, behind: Behind) -> None:
    base = f"{PODS}/p/proxy"
    page = (
        b'<html><a href="/x?y=1&amp;z">x</a><a href="rel">r</a><img src=\'/i.png\'><A HREF=/up>u</A>'
        b'<a href="http://10.1.0.1/h">h</a><a href="http://else/w">w</a><p title="/no">"/no"</p><form action="/f">'
    )
    wanted = (
        f'<html><a href="{base}/x?y=1&amp;z">x</a><a href="rel">r</a><img src="{base}/i.png"><A HREF="{base}/up">u</A>'
        f'<a href="{base}/h">h</a><a href="http://else/w">w</a><p title="/no">"/no"</p><form action="{base}/f">'
    ).encode()

    def web(request: Request):
        match request.path:
            case "/page":

                async def run(writer):
                    for at in range(0, len(page), 7):
                        writer.write(page[at : at + 7])
                        await writer.drain()

                return StreamingResponse(run, content_type="text/html; charset=utf-8")
            case "/zipped":
                return Response(200, gzip.compress(page), "text/html", [("Content-Encoding", "gzip")])
            case "/text":
                return Response(200, page, "text/plain")
            case "/nothing":
                return Response(204)
            case path:
                return Response(302, b"", "", [("Location", request.query or path)])

    behind.at["10.1.0.1", 80] = web
    assert (await api.get(f"{base}/page")).body == wanted
    zipped = await api.get(f"{base}/zipped")
    assert zipped.body == wanted
    assert "content-encoding" not in zipped.headers
    text = await api.get(f"{base}/text")
    assert (text.body, text.headers["content-length"]) == (page, str(len(page)))
    assert ((await api.get(f"{base}/nothing")).code, (await api.get(f"{base}/nothing")).body) == (204, b"")
    for location, rewritten in (
        ("/a/b/", f"{base}/a/b/"), ("http://10.1.0.1:80/a", f"{base}/a"), ("http://else/a", "http://else/a"),
        ("a", "a"), (f"{base}/a", f"{base}/a"),
    ):  # fmt: skip
        answer = await api.ask("GET", f"{base}/go?{location}")
        assert (answer.code, answer.headers["location"]) == (302, rewritten)


async def test_websockets_and_streams_through_the_proxy(api: Api, behind: Behind) -> None:
    async def echo(socket):
        while (message := await socket.receive()) is not None:
            await socket.send(message)

    seen = []

    def web(request: Request):
        seen.append(request)
        if request.path == "/refuse":
            return Response(403, b"no", "text/plain")
        return accept(request, echo, subprotocols=["mine"])

    behind.at["10.1.0.1", 80] = web
    token = "base64url.bearer.authorization.k8s.io.c2VjcmV0"
    async with await api.transport.websocket(f"{PODS}/p/proxy/ws", ["mine", token], query="a=b") as socket:
        await socket.send("hello")
        assert await socket.receive() == "hello"
        assert socket.subprotocol == "mine"
    assert (seen[0].path, seen[0].query, seen[0].headers["sec-websocket-protocol"]) == ("/ws", "a=b", "mine")
    assert seen[0].headers["x-forwarded-uri"] == f"{PODS}/p/proxy/ws"
    with pytest.raises(UpgradeRefused) as refused:
        await api.transport.websocket(f"{PODS}/p/proxy/refuse")
    assert (refused.value.reply.status, refused.value.reply.body) == (403, b"no")


# --- ends -------------------------------------------------------------------------------------------------------------


async def test_what_is_behind_is_let_go_when_the_client_leaves(world: World, behind: Behind) -> None:
    begun = asyncio.Event()
    answering = asyncio.Event()

    async def late(request: Request):
        begun.set()
        await answering.wait()
        return Response(200, b"x" * 10, "text/plain")

    async def endless(writer):
        begun.set()
        while not writer.closed.is_set():
            writer.write(b"x" * 65536)
            await writer.drain()

    async with await serve(world.server.app) as server:
        behind.at["10.1.0.1", 80] = lambda request: late(request) if request.path == "/late" else (
            StreamingResponse(endless))  # fmt: skip
        behind.at["10.0.0.1", 10250] = lambda request: StreamingResponse(endless)
        await allow_everybody(world.admin)
        for path in (f"{PODS}/p/proxy/late", f"{PODS}/p/proxy/endless", f"{PODS}/p/log?follow=true"):
            begun.clear()
            answering.clear()
            reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
            writer.write(f"GET {path} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
            await asyncio.wait_for(begun.wait(), 5)
            if "late" not in path:
                assert await reader.read(10)
            assert behind.open
            writer.transport.abort()
            answering.set()
            async with asyncio.timeout(5):
                while behind.open:
                    await asyncio.sleep(0.01)


async def allow_everybody(api: Api) -> None:
    binding = obj("ClusterRoleBinding", "everybody", "rbac.authorization.k8s.io/v1",
                  roleRef={"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"},
                  subjects=[{"kind": "Group", "name": "system:unauthenticated",
                             "apiGroup": "rbac.authorization.k8s.io"}])  # fmt: skip
    (await api.post("/apis/rbac.authorization.k8s.io/v1/clusterrolebindings", binding)).ok()


async def test_a_slow_client_slows_the_node_down(world: World, behind: Behind) -> None:
    sent = 0

    async def endless(writer):
        nonlocal sent
        while not writer.closed.is_set():
            writer.write(b"x" * 65536)
            sent += 65536
            await writer.drain()

    behind.at["10.0.0.1", 10250] = lambda request: StreamingResponse(endless)
    await allow_everybody(world.admin)
    async with await serve(world.server.app) as server:
        _, writer = await asyncio.open_connection("127.0.0.1", server.port, limit=1024)
        writer.transport.pause_reading()
        writer.write(f"GET {PODS}/p/log HTTP/1.1\r\nHost: a\r\n\r\n".encode())
        before = -1
        async with asyncio.timeout(10):
            while sent != before or not sent:
                before = sent
                await asyncio.sleep(0.3)
        assert sent < 32 * 1024 * 1024  # what the kernel takes on loopback, and no more
        writer.transport.abort()


async def test_a_watcher_that_does_not_read_is_cut_off_and_others_are_not(world: World) -> None:
    await allow_everybody(world.admin)
    api = world.admin
    path = "/api/v1/namespaces/default/configmaps"
    async with await serve(world.server.app) as server:
        _, stuck = await asyncio.open_connection("127.0.0.1", server.port, limit=1024)
        stuck.transport.pause_reading()
        stuck.write(f"GET {path}?watch=1 HTTP/1.1\r\nHost: a\r\n\r\n".encode())
        watching = await api.watch(path)
        while not server.connections:
            await asyncio.sleep(0.01)
        seen = 0
        for number in range(40):
            (await api.post(path, obj("ConfigMap", f"c{number}", data={"x": "y" * 900_000}))).ok()
            while (await watching.next())["object"]["metadata"]["name"] != f"c{number}":
                pass
            seen += 1
            if not server.connections:
                break
        async with asyncio.timeout(5):
            while server.connections:
                await asyncio.sleep(0.01)
        assert 16 <= seen < 40  # cut at 16 MB beyond what the kernel took
        await watching.__aexit__()
        stuck.transport.abort()


async def test_streams_end_when_the_server_stops(world: World, behind: Behind) -> None:
    async def waiting(writer):
        writer.write(b"begun\n")
        await writer.closed.wait()

    async def open_end(connection):
        while await connection.read():
            pass

    behind.at["10.0.0.1", 10250] = lambda request: (
        Upgrade("SPDY/3.1", open_end) if request.headers.get("upgrade") else StreamingResponse(waiting)
    )
    await allow_everybody(world.admin)
    server = await serve(world.server.app)
    caller = Caller(f"http://127.0.0.1:{server.port}")
    log = await caller.stream("GET", f"{PODS}/p/log", query="follow=true")
    lines = log.lines()
    assert await anext(lines) == b"begun"
    shell = await caller.upgrade("POST", f"{PODS}/p/exec", query="command=sh&stdin=1", protocol="SPDY/3.1")
    began = REAL.monotonic()
    await server.close(grace_seconds=30)
    assert REAL.monotonic() - began < 2
    assert [line async for line in lines] == []
    assert await shell.connection.read() == b""
    await log.aclose()
    await caller.close()
    assert not behind.open
