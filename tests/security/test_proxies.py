"""The server is nobody's deputy: proxies and streams reach what they are for, as nobody, and nothing inside."""

from collections.abc import Callable

import pytest
from tests.security.town import GROUP, RBAC, binding, rule, user
from tests.server.test_streams import Behind, behind, endpoints, mirror, status, world  # noqa: F401 - fixtures
from tests.server.world import PODS, SERVICES, Api, World, obj, pod, service

from kaa.base.clock import REAL
from kaa.cluster import certificates
from kaa.cluster.pki import Authority
from kaa.cluster.server_process import node_dial
from kaa.http.api import Request, Response
from kaa.http.serve import serve
from kaa.http.tls import TlsServer
from kaa.server.server import ApiServer, ServerSettings
from kaa.store.memory import MemoryStore

# ruff: noqa: F811 - fixtures are asked for by their names
FORBIDDEN = [
    "127.0.0.1", "127.1.2.3", "169.254.169.254", "169.254.0.1", "0.0.0.0", "224.0.0.1",
    "::1", "::", "fe80::1", "ff02::1",
    "::ffff:127.0.0.1", "::ffff:169.254.169.254", "0:0:0:0:0:ffff:7f00:1", "localhost", "127.0.0.1.", "2130706433",
    "0x7f.1", "017700000001", "metadata.google.internal", "127.0.0.1:80", "[::1]", " 127.0.0.1", "",
]  # fmt: skip


@pytest.mark.parametrize("ip", FORBIDDEN)
async def test_a_pod_does_not_say_that_it_is_something_inside(world: World, behind: Behind, ip: str) -> None:
    """By a status that somebody may write (a node, for its own pods): refused there, or where it is used."""
    api = world.admin
    for reached in ("127.0.0.1", "169.254.169.254", "::1", ip):
        behind.at[reached, 80] = behind.at[reached, 6443] = mirror
    (await api.post(PODS, pod("evil", nodeName="n"))).ok()
    await api.merge(f"{PODS}/evil/status", {"status": {"podIP": ip, "podIPs": [{"ip": ip}]}})
    (await api.post(SERVICES, service("s"))).ok()
    target = {"kind": "Pod", "namespace": "default", "name": "evil"}
    piece = obj("EndpointSlice", "s", "discovery.k8s.io/v1", labels={"kubernetes.io/service-name": "s"},
                addressType="IPv6" if ":" in ip else "IPv4", ports=[{"port": 80}],
                endpoints=[{"addresses": [ip], "targetRef": target}])  # fmt: skip
    await api.post("/apis/discovery.k8s.io/v1/namespaces/default/endpointslices", piece)
    for path in (f"{PODS}/evil/proxy/", f"{PODS}/evil:6443/proxy/", f"{PODS}/https:evil:6443/proxy/",
                 f"{SERVICES}/s/proxy/"):  # fmt: skip
        assert (await api.get(path)).code in (400, 503), path
    assert behind.dialled == []
    # The pod beside it answers.
    behind.at["10.1.0.1", 80] = mirror
    assert (await api.get(f"{PODS}/p/proxy/")).code == 210


@pytest.mark.parametrize("ip", FORBIDDEN[:12])
async def test_another_port_of_a_node_is_not_something_inside(world: World, behind: Behind, ip: str) -> None:
    api = world.admin
    addresses = {"addresses": [{"type": "InternalIP", "address": ip}]}
    await status(api, "/api/v1/nodes/n", {**addresses, "daemonEndpoints": {"kubeletEndpoint": {"Port": 10250}}})
    for path in ("/api/v1/nodes/n:6443/proxy/", "/api/v1/nodes/https:n:6443/proxy/", "/api/v1/nodes/http:n:80/proxy/"):
        assert (await api.get(path)).code == 400, path
    assert behind.dialled == []


async def test_endpoints_lead_to_pods_alone(world: World, behind: Behind) -> None:
    """Who may write endpoints in a namespace cannot have the server ask other addresses, or other namespaces' pods."""
    api = world.admin
    (await api.post("/api/v1/namespaces", obj("Namespace", "theirs"))).ok()
    (await api.post("/api/v1/namespaces/theirs/serviceaccounts", obj("ServiceAccount", "default"))).ok()
    (await api.post("/api/v1/namespaces/theirs/pods", pod("victim", nodeName="n"))).ok()
    await status(api, "/api/v1/namespaces/theirs/pods/victim", {"podIP": "10.1.0.2", "podIPs": [{"ip": "10.1.0.2"}]})
    behind.at["10.1.0.1", 80] = behind.at["10.1.0.2", 80] = behind.at["10.0.0.1", 80] = mirror
    (await api.post(SERVICES, service("s"))).ok()
    slices = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices"
    targets: list[tuple[str, dict]] = [
        ("10.1.0.2", {"kind": "Pod", "namespace": "theirs", "name": "victim"}),
        ("10.1.0.2", {"kind": "Pod", "namespace": "default", "name": "p"}),
        ("10.1.0.2", {"kind": "Pod", "namespace": "default", "name": "../theirs/victim"}),
        ("10.1.0.2", {"kind": "Pod", "namespace": "default", "name": "victim"}),
        ("10.0.0.1", {"kind": "Node", "name": "n"}), ("8.8.8.8", {}), ("10.1.0.2", {"kind": "Pod", "name": "victim"}),
    ]  # fmt: skip
    for number, (ip, target) in enumerate(targets):
        piece = obj("EndpointSlice", f"s-{number}", "discovery.k8s.io/v1", labels={"kubernetes.io/service-name": "s"},
                    addressType="IPv4", ports=[{"port": 80}],
                    endpoints=[{"addresses": [ip], "targetRef": target}])  # fmt: skip
        (await api.post(slices, piece)).ok()
    assert (await api.get(f"{SERVICES}/s/proxy/")).code == 503
    assert behind.dialled == []
    (await api.post(SERVICES, service("away", type="ExternalName", externalName="metadata.google.internal"))).ok()
    assert (await api.get(f"{SERVICES}/away/proxy/")).code in (400, 503)
    assert behind.dialled == []
    await endpoints(api, "s", [{"port": 80}], "p", "10.1.0.1")
    assert (await api.get(f"{SERVICES}/s/proxy/")).code == 210


async def test_redirects_are_passed_on_and_not_followed(world: World, behind: Behind) -> None:
    for target in (
        "http://169.254.169.254/latest",
        "http://10.0.0.1:10250/pods",
        "https://127.0.0.1:6443/api",
        "//x/y",
    ):
        behind.at["10.1.0.1", 80] = lambda _, target=target: Response(302, b"", "", [("Location", target)])
        answered = await world.admin.get(f"{PODS}/p/proxy/a")
        assert (answered.code, answered.headers["location"]) == (302, target)
        assert {host for host, _, _ in behind.dialled} == {"10.1.0.1"}


async def test_neither_credentials_nor_answers_about_them_pass(world: World, behind: Behind) -> None:
    def cors(request: Request) -> Response:
        headers = [("Access-Control-Allow-Origin", "*"), ("Access-Control-Allow-Credentials", "true")]
        return Response(200, b"{}", "application/json", headers)

    behind.at["10.1.0.1", 80] = cors
    answered = await world.admin.get(f"{PODS}/p/proxy/a")
    assert answered.code == 200 and not [each for each in answered.headers if each.startswith("access-control")]
    behind.at["10.1.0.1", 80] = mirror
    said = {"Authorization": "Bearer x", "Proxy-Authorization": "Basic x", "X-Remote-User": "admin",
            "X-Remote-Extra-A": "b", "Connection": "X-Secret, close", "X-Secret": "y", "Host": "127.0.0.1:6443",
            "Transfer-Encoding": "identity", "TE": "trailers", "X-Forwarded-For": "1.2.3.4"}  # fmt: skip
    shown = (await world.admin.get(f"{PODS}/p/proxy/a", headers=said)).json["headers"]
    assert not {"authorization", "proxy-authorization", "x-remote-user", "x-remote-extra-a", "x-secret", "te"} & set(
        shown
    )
    assert shown["x-forwarded-for"].startswith("1.2.3.4, ")  # appended to, never believed


#: What follows the subresource, and what is asked of a pod: nothing climbs, and nothing is read twice.
PATHS = [
    ("/a/../b", "/b"), ("/../../../etc", "/etc"), ("/%2e%2e/x", "/x"), ("/a%2fb", "/a/b"), ("/a%252fb", "/a%252fb"),
    ("/a%0d%0aX:%20y", "/a%0D%0AX:%20y"), ("/a%3fb=c", "/a%3Fb=c"), ("/a%23b", "/a%23b"), ("//evil.example.com/x",
     "/evil.example.com/x"), ("/%2f%2fevil.example.com", "/evil.example.com"),
    ("/http://evil.example.com", "/http:/evil.example.com"),
]  # fmt: skip


async def test_paths_stay_paths(world: World, behind: Behind) -> None:
    asked: list[str] = []

    def note(request: Request) -> Response:
        asked.append(request.raw_path)
        return Response(200, b"", "text/plain")

    behind.at["10.1.0.1", 80] = note
    for sent, expected in PATHS:
        assert (await world.admin.get(f"{PODS}/p/proxy{sent}")).code == 200, sent
        assert asked[-1] == expected, sent


async def test_each_way_takes_its_own_right(world: World, behind: Behind) -> None:
    behind.at["10.1.0.1", 80] = mirror
    ways = {
        "pods/log": ("get", f"{PODS}/p/log"), "pods/proxy": ("get", f"{PODS}/p/proxy/a"),
        "pods/exec": ("get create", f"{PODS}/p/exec?command=id"), "pods/attach": ("get create", f"{PODS}/p/attach"),
        "pods/portforward": ("get create", f"{PODS}/p/portforward"), "services/proxy": ("get", f"{SERVICES}/s/proxy/a"),
    }  # fmt: skip
    at = f"{RBAC}/namespaces/default"
    everything = [
        rule("get list watch create update patch delete", "pods services pods/status services/status"),
        rule("get", "*/scale"),
    ]
    made = obj("Role", "all-but", f"{GROUP}/v1", rules=everything)
    (await world.admin.post(f"{at}/roles", made)).ok()
    (await world.admin.post(f"{at}/rolebindings", binding("all-but", "all-but", user("jane")))).ok()
    for verbs, path in ways.values():
        for method in ("GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS"):
            assert (await world.as_user("jane").ask(method, path)).code == 403, (method, path)
        assert verbs
    assert behind.dialled == []
    (await world.admin.post(f"{at}/roles", obj("Role", "proxy", f"{GROUP}/v1", rules=[rule("get", "pods/proxy")]))).ok()
    (await world.admin.post(f"{at}/rolebindings", binding("proxy", "proxy", user("jane")))).ok()
    jane: Api = world.as_user("jane")
    assert (await jane.get(f"{PODS}/p/proxy/a")).code == 210
    assert (await jane.post(f"{PODS}/p/proxy/a", {})).code == 403  # `create`, of another method


async def test_a_node_at_the_server_s_own_address_gets_nothing_from_it(tmp_path) -> None:
    """The certificate by which kubelets know the server has no rights at the server: asking itself, it is nobody."""
    files = certificates.ensure_server(tmp_path, ["localhost", "127.0.0.1"])
    store = MemoryStore(REAL)
    dial: Callable = node_dial(files.ca.read_bytes(), *files.kubelet_client)
    server = ApiServer(store, ServerSettings(secure_port=0), dial=dial,
                       tls=TlsServer(files.certificate, files.key, files.ca))  # fmt: skip
    await server.start()
    w = World(server, REAL)
    try:
        (await w.admin.post("/api/v1/nodes", obj("Node", "evil"))).ok()
        await status(w.admin, "/api/v1/nodes/evil", {
            "addresses": [{"type": "InternalIP", "address": "127.0.0.1"}],
            "daemonEndpoints": {"kubeletEndpoint": {"Port": server.port}}})  # fmt: skip
        answered = await w.admin.get("/api/v1/nodes/evil/proxy/api/v1/namespaces/kube-system/secrets")
        assert answered.code == 403 and 'User "kube-apiserver-kubelet-client"' in answered.message
        assert (await w.admin.get("/api/v1/nodes/evil/proxy/version")).code == 200  # it does get there
    finally:
        for each in w.opened:
            await each.close()
        await server.stop(0.1)
        await store.close()


async def test_a_node_is_known_by_the_cluster_s_authority(tmp_path) -> None:
    """Somebody else at a node's address, with a certificate of their own, is not spoken to."""
    files = certificates.ensure_server(tmp_path / "ours", ["localhost", "127.0.0.1"])
    dial = node_dial(files.ca.read_bytes(), *files.kubelet_client)
    asked: list[Request] = []

    def note(request: Request) -> Response:
        asked.append(request)
        return Response(200, b"log", "text/plain")

    for authority, code in ((Authority(tmp_path / "theirs", "ca", "kubernetes"), 503),
                            (Authority(tmp_path / "ours", "ca", "kubernetes"), 200)):  # fmt: skip
        certificate, key = authority.server_files("node", "system:node:evil", ["127.0.0.1"])
        kubelet = await serve(note, host="127.0.0.1", tls=TlsServer(certificate, key))
        store = MemoryStore(REAL)
        server = ApiServer(store, ServerSettings(secure_port=0), dial=dial)
        await server.start(listen=False)
        w = World(server, REAL)
        try:
            (await w.admin.post("/api/v1/nodes", obj("Node", "n"))).ok()
            await status(w.admin, "/api/v1/nodes/n", {
                "addresses": [{"type": "InternalIP", "address": "127.0.0.1"}],
                "daemonEndpoints": {"kubeletEndpoint": {"Port": kubelet.port}}})  # fmt: skip
            assert (await w.admin.get("/api/v1/nodes/n/proxy/pods")).code == code
        finally:
            for each in w.opened:
                await each.close()
            await server.stop(0.1)
            await kubelet.close(0.1)
            await store.close()
    assert len(asked) == 1
