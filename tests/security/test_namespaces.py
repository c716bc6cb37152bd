"""All rights in one namespace reach nothing in another, by whatever verb, subresource, path, selector or form."""

import base64
import json
from urllib.parse import quote

import pytest
from tests.security.town import MARKER, MINE, RBAC, THEIRS, binding, grant, peek, rule, settle, user
from tests.server.world import TABLE, Answered, Api, World, config_map, obj, pod

from kaa.kinds.registry import builtin

PARTIAL = "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io,application/json"
PROTOBUF = "application/vnd.kubernetes.protobuf,application/json"
FORMS = ["application/json", TABLE, PARTIAL, PROTOBUF, "application/yaml"]
PATCHES = [
    ("application/merge-patch+json", {"metadata": {"labels": {"hit": "yes"}}}),
    ("application/strategic-merge-patch+json", {"metadata": {"labels": {"hit": "yes"}}}),
    ("application/json-patch+json", [{"op": "test", "path": "/metadata/name", "value": "it"}]),
    ("application/apply-patch+yaml", {"metadata": {"labels": {"hit": "yes"}}}),
]
#: Subresources beside those of the registry: scales of kinds that have none, and words somebody may try.
MORE = ("scale", "status", "finalize", "approval", "token", "binding", "proxy", "proxy/x/y", "nothing")
SPECS = [each for each in builtin().all() if each.resource.namespaced]


def root(spec) -> str:
    group = spec.resource.group
    return f"/apis/{group}/{spec.resource.version}" if group else f"/api/{spec.resource.version}"


def requests_at(spec, where: str):
    """Every request there is on a kind in a place: method, path, media type, body."""
    one, all_ = f"{where}/it", where
    body = {"kind": spec.kind, "apiVersion": spec.api_version, "metadata": {"name": "it"}}
    for path in (all_, one):
        for method in ("GET", "HEAD", "DELETE", "POST", "PUT"):
            yield method, path, "application/json", body if method in ("POST", "PUT") else None
        for media, patch in PATCHES:
            yield "PATCH", path, media, patch if isinstance(patch, list) else {**body, **patch}
        yield "GET", f"{path}?watch=1", "", None
        yield "GET", f"{path}?watch=1&resourceVersion=0", "", None
        yield "GET", f"{path}?watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan", "", None
        for method in ("LIST", "WATCH", "get", "list", "watch", "deletecollection", "DELETECOLLECTION"):
            yield method, path, "", None
    yield "GET", f"{root(spec)}/watch{all_.removeprefix(root(spec))}", "", None
    yield "GET", f"{root(spec)}/watch{one.removeprefix(root(spec))}", "", None
    yield "DELETE", f"{root(spec)}/watch{one.removeprefix(root(spec))}", "", None
    for sub in {*spec.subresources, *MORE}:
        yield "GET", f"{one}/{sub}", "", None
        yield "POST", f"{one}/{sub}", "application/json", body
        yield "PUT", f"{one}/{sub}", "application/json", body
        yield "DELETE", f"{one}/{sub}", "", None
        for media, patch in PATCHES[:2]:
            yield "PATCH", f"{one}/{sub}", media, patch


async def test_every_verb_on_every_resource_of_another_namespace(world: World, mallory: Api) -> None:
    paths = await settle(world, "theirs", mark=MARKER)
    await settle(world, "mine")
    before = {path: (await world.admin.get(path)).body for path in paths}
    through, asked = [], 0
    for spec in SPECS:
        for method, path, media, body in requests_at(spec, f"{root(spec)}/namespaces/theirs/{spec.resource.plural}"):
            answered = await peek(mallory, method, path, body, media=media)
            asked += 1
            if answered.code != 403 or MARKER.encode() in answered.body:
                through.append((method, path, answered.code, answered.body[:200]))
        everywhere = f"{root(spec)}/{spec.resource.plural}"
        for path in (everywhere, f"{everywhere}?watch=1", f"{root(spec)}/watch/{spec.resource.plural}"):
            answered = await peek(mallory, "GET", path)
            if answered.code != 403:
                through.append(("GET", path, answered.code, answered.body[:200]))
    assert not through, through[:10]
    assert asked > 2000
    assert {path: (await world.admin.get(path)).body for path in paths} == before
    # The twin: the same in one's own namespace is never a question of rights.
    refused, done = [], 0
    for spec in SPECS:
        where = f"{root(spec)}/namespaces/mine/{spec.resource.plural}"
        for method, path, media, body in (("GET", where, "", None), ("GET", f"{where}/it", "", None),
                                          ("PATCH", f"{where}/it", *PATCHES[0])):  # fmt: skip
            answered = await peek(mallory, method, path, body, media=media)
            done += answered.code == 200
            if "get" in spec.verbs and answered.code not in (200, 404):  # not of every kind there is a sample
                refused.append((method, path, answered.code, answered.body[:200]))
    assert not refused, refused
    assert done > 90


#: What spells the other namespace, or hides it.
SPELLINGS = [
    "/api/v1/namespaces/mine%2f..%2ftheirs/secrets/it", "/api/v1/namespaces/mine/../theirs/secrets/it",
    "/api/v1/namespaces/mine/%2e%2e/theirs/secrets/it", "/api/v1/namespaces/theirs%2fsecrets/it",
    "/api/v1/namespaces/mine/secrets/..%2f..%2ftheirs%2fsecrets%2fit", "/api/v1/namespaces/mine/secrets/%2e%2e/it",
    "/api/v1/namespaces/mine/secrets/theirs%2fit", "/api/v1/namespaces/mine/secrets/..%2ftheirs%2fit",
    "/api/v1/namespaces/mine%00/secrets/it", "/api/v1/namespaces/theirs%00mine/secrets/it",
    "/api/v1/namespaces/THEIRS/secrets/it", "/api/v1/namespaces/theirs%20/secrets/it",
    "/api/v1/namespaces/thei%72s/secrets/it", "/api/v1/namespaces/%74heirs/secrets/it",
    "/api/v1/namespaces/mine%252f..%252ftheirs/secrets/it", "/api/v1/namespaces/%2574heirs/secrets/it",
    "/api/v1/namespaces/theirs;x=mine/secrets/it", "/api/v1/namespaces/mine;/../theirs/secrets/it",
    "/api/v1/namespaces//secrets/it", "/api/v1/namespaces//secrets", "/api/v1//namespaces/theirs/secrets/it",
    "//api/v1/namespaces/theirs/secrets/it", "/api//v1/namespaces/theirs/secrets/it",
    "/api/v1/namespaces/theirs//secrets/it", "/api/v1/namespaces/theirs/secrets//it",
    "/api/v1/namespaces/theirs/secrets/it/", "/api/v1/namespaces/theirs/secrets/", "/api/v1/secrets/it",
    "/api/v1/secrets/theirs%2fit", "/api/v1/secrets/theirs/it", "/./api/v1/namespaces/theirs/secrets/it",
    "/api/v1/./namespaces/theirs/secrets/it", "/api/v1/namespaces/./secrets/it", "/api/v1/namespaces/../secrets/it",
    "/api/v1/namespaces/*/secrets/it", "/api/v1/namespaces/mine,theirs/secrets/it",
    "/api/v1/namespaces/mine/namespaces/theirs", "/api/v1/namespaces/mine/namespaces",
    "/api/v1/namespaces/mine/namespaces/theirs/secrets/it", "/api/v1/namespaces/mine/namespaces/theirs/status",
    "/api/v1/namespaces/mine/watch/namespaces/theirs/secrets",
    "/api/v1/namespaces/mine/watch/secrets/namespaces/theirs",
    "/api/v1/watch/namespaces/mine/namespaces/theirs/secrets", "/api/v1/watch/namespaces/mine/namespaces",
    "/api/v1/watch/namespaces/mine/namespaces/theirs", "/api/v1/namespaces/mine/watch/namespaces/theirs",
    "/api/v1/proxy/namespaces/theirs/secrets/it", "/api/v1/redirect/namespaces/theirs/secrets/it",
    "/api/v1/namespaces/theirs/secrets/it?namespace=mine", "/api/v1/namespaces/mine/secrets?namespace=theirs",
    "/apis//v1/namespaces/theirs/secrets/it", "/apis/v1/namespaces/theirs/secrets/it",
    "/api/v1/namespaces/mine/secrets/it\uff0f..\uff0ftheirs", "/api/v1/namespaces/mine%c0%af..%c0%aftheirs/secrets/it",
    "/api/v1/namespaces/mine/nodes", "/api/v1/namespaces/mine/persistentvolumes",
    "/apis/rbac.authorization.k8s.io/v1/namespaces/mine/clusterroles/admin",
    "/apis/authorization.k8s.io/v1/namespaces/mine/subjectaccessreviews",
]  # fmt: skip


async def test_no_spelling_of_a_path_leads_to_another_namespace(world: World, mallory: Api) -> None:
    await world.admin.post(f"{THEIRS}/secrets", obj("Secret", "it", stringData={"key": MARKER}, labels={"m": MARKER}))
    await world.admin.merge(THEIRS, {"metadata": {"labels": {"mark": MARKER}}})
    (await mallory.post(f"{MINE}/secrets", obj("Secret", "own", stringData={"key": "mine"}))).ok()
    before = (await world.admin.get(f"{THEIRS}/secrets/it")).body, (await world.admin.get(THEIRS)).body
    leaks = []
    for path in SPELLINGS:
        path = quote(path, safe="/%?=&;,*") if not path.isascii() else path
        for method, media, body in (
            ("GET", "", None), ("GET", "watch", None), ("DELETE", "", None),
            ("PATCH", "application/merge-patch+json", {"metadata": {"labels": {"hit": "yes"}}}),
            ("POST", "application/json", obj("Namespace", "evil")),
        ):  # fmt: skip
            query = "watch=1&resourceVersion=0" if media == "watch" else ""
            answered = await peek(mallory, method, path, body, media=media, query=query)
            about_mine = path == "/api/v1/namespaces/mine/secrets?namespace=theirs"
            if MARKER.encode() in answered.body or (answered.code < 400 and not about_mine):
                leaks.append((method, path, answered.code, answered.body[:200]))
    assert not leaks, leaks
    assert ((await world.admin.get(f"{THEIRS}/secrets/it")).body, (await world.admin.get(THEIRS)).body) == before
    assert (await world.admin.get("/api/v1/namespaces/evil")).code == 404
    assert (await mallory.get(f"{MINE}")).ok()["metadata"]["name"] == "mine"  # one's own namespace is there


async def test_selectors_leave_the_namespace_of_the_path(world: World, mallory: Api) -> None:
    await world.admin.post(f"{THEIRS}/secrets", obj("Secret", "it", labels={"a": "b"}))
    await mallory.post(f"{MINE}/secrets", obj("Secret", "own", labels={"a": "b"}))
    mine = f"{MINE}/secrets"
    for query in ("fieldSelector=metadata.namespace%3Dtheirs", "fieldSelector=metadata.name%3Dit",
                  "fieldSelector=metadata.namespace%3Dtheirs,metadata.name%3Dit",
                  "fieldSelector=metadata.namespace!%3Dmine"):  # fmt: skip
        assert (await mallory.get(f"{mine}?{query}")).names == []
        seen = await peek(mallory, "GET", f"{mine}?{query}&watch=1&resourceVersion=0")
        assert (seen.code, seen.body) == (200, b"")
        # Nor does a selector of a namespace make a list of all of them a list of one's own.
        assert (await mallory.get(f"/api/v1/secrets?{query}")).code == 403
        assert (await mallory.delete(f"{mine}?{query}")).ok()["items"] == []
    assert (await mallory.get("/api/v1/secrets?fieldSelector=metadata.namespace%3Dmine")).code == 403
    assert (await mallory.get(f"{mine}?labelSelector=a%3Db")).names == ["own"]
    assert (await world.admin.get(f"{THEIRS}/secrets/it")).code == 200


async def test_a_name_in_a_selector_counts_for_rights_only_as_it_counts_for_the_list(world: World) -> None:
    for name in ("open", "closed"):
        await world.admin.post(f"{MINE}/secrets", obj("Secret", name))
    jane = await grant(world, "mine", "jane", rule("list watch get deletecollection", "secrets", names="open"))
    at = f"{MINE}/secrets"
    assert (await jane.get(f"{at}?fieldSelector=metadata.name%3Dopen")).names == ["open"]
    for query in (
        "fieldSelector=metadata.name%3Dclosed", "fieldSelector=metadata.name!%3Dopen", "fieldSelector=type%3DOpaque",
        "fieldSelector=metadata.name%3Dclosed&fieldSelector=metadata.name%3Dopen", "metadata.name=open",
        "field%53elector=metadata.name%3Dopen", "labelSelector=metadata.name%3Dopen",
    ):  # fmt: skip
        refused = await jane.get(f"{at}?{query}")
        assert refused.code == 403, (query, refused.body)
    for query in ("fieldSelector=metadata.name%3Dopen&fieldSelector=metadata.name%3Dclosed",
                  "fieldSelector=metadata.name%3Dopen,metadata.name%3Dclosed",
                  "fieldSelector=metadata.name%3Dopen,metadata.name%3D"):  # fmt: skip
        answered = await jane.get(f"{at}?{query}")
        assert answered.code in (400, 403) or "closed" not in answered.names, query
        answered = await jane.delete(f"{at}?{query}")
        assert (await world.admin.get(f"{at}/closed")).code == 200, query


def forged(revision: int, start: str) -> str:
    raw = json.dumps({"v": "meta.k8s.io/v1", "rv": revision, "start": start}).encode()
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


async def test_continue_tokens_lead_no_further_than_the_list(world: World, mallory: Api) -> None:
    for at in (f"{THEIRS}/secrets", f"{THEIRS}/configmaps"):
        for name in ("a", "b", "c"):
            kind = "Secret" if "secrets" in at else "ConfigMap"
            await world.admin.post(at, obj(kind, name, labels={"m": MARKER}))
    for name in ("x", "y", "z"):
        (await mallory.post(f"{MINE}/secrets", obj("Secret", name))).ok()
    at = f"{MINE}/secrets"
    page = (await mallory.get(f"{at}?limit=1")).ok()
    own = page["metadata"]["continue"]
    assert (await mallory.get(at, **{"continue": own})).names == ["y", "z"]
    of_theirs = (await world.admin.get(f"{THEIRS}/secrets?limit=1")).ok()["metadata"]["continue"]
    of_all = (await world.admin.get("/api/v1/secrets?limit=1")).ok()["metadata"]["continue"]
    of_maps = (await world.admin.get(f"{THEIRS}/configmaps?limit=1")).ok()["metadata"]["continue"]
    now = int(page["metadata"]["resourceVersion"])
    starts = ("theirs/", "theirs/a\0", "/theirs", "theirs", "m", "../secrets/theirs/a", "/registry/secrets/theirs/",
              "mine/../theirs/", "\0", "mine", "minf", "mine0", "/", "configmaps/theirs", "\u0000/theirs")  # fmt: skip
    tokens = [
        of_theirs,
        of_all,
        of_maps,
        *(forged(rv, start) for start in starts for rv in (now, 1, -1, -2, 10**9, 2**62)),
    ]
    for token in tokens:
        answered = await mallory.get(at, **{"continue": token})
        assert MARKER.encode() not in answered.body, token
        assert answered.code < 500 or answered.code == 504, (token, answered.body)
        if answered.code == 200:
            assert set(answered.names) <= {"x", "y", "z"}
        assert (await mallory.get(f"{THEIRS}/secrets", **{"continue": token})).code == 403


async def test_old_revisions_are_no_way_around(world: World, mallory: Api) -> None:
    made = (await world.admin.post(f"{THEIRS}/configmaps", config_map("it", key=MARKER))).ok()
    (await mallory.post(f"{MINE}/configmaps", config_map("own"))).ok()
    revision = made["metadata"]["resourceVersion"]
    for query in (f"resourceVersion={revision}&resourceVersionMatch=Exact", "resourceVersion=0", "resourceVersion=1",
                  f"resourceVersion={revision}&resourceVersionMatch=NotOlderThan",
                  f"watch=1&resourceVersion={int(revision) - 1}"):  # fmt: skip
        assert (await mallory.get(f"{THEIRS}/configmaps?{query}")).code == 403
        seen = await peek(mallory, "GET", f"{MINE}/configmaps?{query}")
        assert MARKER.encode() not in seen.body
    assert (await mallory.get(f"{MINE}/configmaps?resourceVersion=0")).names == ["own"]


@pytest.mark.parametrize("accept", FORMS)
async def test_no_form_shows_more(world: World, mallory: Api, accept: str) -> None:
    await world.admin.post(f"{THEIRS}/secrets", obj("Secret", "it", labels={"m": MARKER}, stringData={"k": MARKER}))
    await mallory.post(f"{MINE}/secrets", obj("Secret", "own", labels={"m": "own-marker"}))
    headers = {"Accept": accept, "Accept-Encoding": "gzip"}
    for path in (f"{THEIRS}/secrets", f"{THEIRS}/secrets/it", "/api/v1/secrets", f"{THEIRS}/secrets?watch=1",
                 "/api/v1/secrets?includeObject=Object", f"{THEIRS}/secrets?pretty=true"):  # fmt: skip
        answered = await peek(mallory, "GET", path, headers=headers)
        assert (answered.code, MARKER.encode() in answered.body) == (403, False), path
    shown = await peek(mallory, "GET", f"{MINE}/secrets?includeObject=Object", headers=headers)
    assert shown.code == 200 and b"own" in shown.body and MARKER.encode() not in shown.body


async def test_the_body_does_not_choose_the_namespace(world: World, mallory: Api) -> None:
    elsewhere = {"metadata": {"namespace": "theirs"}}
    for method, path, body, media in (
        ("POST", f"{MINE}/configmaps", obj("ConfigMap", "x", **elsewhere), "application/json"),
        ("POST", f"{MINE}/configmaps", obj("ConfigMap", "", metadata={"namespace": "theirs", "generateName": "x-"}),
         "application/json"),
        ("PUT", f"{MINE}/configmaps/x", obj("ConfigMap", "x", **elsewhere), "application/json"),
        ("PATCH", f"{MINE}/configmaps/x", obj("ConfigMap", "x", **elsewhere), "application/apply-patch+yaml"),
        ("PATCH", f"{MINE}/configmaps/own", elsewhere, "application/merge-patch+json"),
        ("PATCH", f"{MINE}/configmaps/own", [{"op": "replace", "path": "/metadata/namespace", "value": "theirs"}],
         "application/json-patch+json"),
    ):  # fmt: skip
        (await mallory.apply(f"{MINE}/configmaps/own", config_map("own"))).ok()
        query = "?fieldManager=m" if "apply" in media else ""
        answered = await mallory.ask(method, f"{path}{query}", body, media=media)
        assert answered.code in (400, 404, 409, 422), (method, path, answered.code, answered.body)
    assert (await world.admin.get(f"{THEIRS}/configmaps")).names == []
    (await mallory.post(f"{MINE}/configmaps", obj("ConfigMap", "x", metadata={"namespace": "mine"}))).ok(201)


@pytest.mark.parametrize("name", ["../theirs/x", "theirs/x", "..", ".", "a%2fb", "", "x\x00y", "X", "a" * 300])
async def test_names_in_bodies_are_names(world: World, mallory: Api, name: str) -> None:
    await world.admin.post(f"{THEIRS}/pods", pod("x"))
    for path, body in (
        (f"{MINE}/bindings", obj("Binding", name, target={"kind": "Node", "name": "n"})),
        (f"{MINE}/pods/x/binding", obj("Binding", name, target={"kind": "Node", "name": "n"})),
        (f"{MINE}/pods/x/eviction", obj("Eviction", name, "policy/v1")),
        (f"{MINE}/configmaps", obj("ConfigMap", name)),
        (f"{MINE}/configmaps", {"metadata": {"generateName": name or "/"}}),
    ):
        if path.endswith("configmaps") and name == "X" and "generateName" in body["metadata"]:
            continue
        answered = await mallory.post(path, body)
        assert 400 <= answered.code < 500, (path, answered.code, answered.body)
    victim = (await world.admin.get(f"{THEIRS}/pods/x")).ok()
    assert "nodeName" not in victim["spec"] and "deletionTimestamp" not in victim["metadata"]


async def test_a_body_of_another_kind_makes_nothing(world: World, mallory: Api) -> None:
    for body in (obj("Namespace", "evil"), obj("ClusterRole", "evil", "rbac.authorization.k8s.io/v1", rules=[]),
                 obj("Secret", "x"), obj("List", "", items=[obj("Secret", "x")]),
                 obj("SecretList", "", items=[obj("Secret", "x")])):  # fmt: skip
        assert (await mallory.post(f"{MINE}/configmaps", body)).code == 400
    assert (await mallory.get(f"{MINE}/secrets")).names == []


async def test_bindings_and_evictions_stay_inside(world: World, mallory: Api) -> None:
    await world.admin.post(f"{THEIRS}/pods", pod("victim"))
    (await mallory.post(f"{MINE}/pods", pod("own"))).ok()
    elsewhere = {"namespace": "theirs"}
    target = {"kind": "Node", "name": "n"}
    bound = obj("Binding", "victim", metadata=elsewhere, target=target)
    evicted = obj("Eviction", "victim", "policy/v1", metadata=elsewhere)
    for path, body in ((f"{MINE}/bindings", bound), (f"{MINE}/pods/victim/binding", bound),
                       (f"{MINE}/pods/victim/eviction", evicted), (f"{MINE}/pods/own/eviction", evicted),
                       (f"{MINE}/pods/own/binding", bound)):  # fmt: skip
        assert (await mallory.post(path, body)).code in (400, 404), path
    for path in (
        f"{THEIRS}/bindings",
        f"{THEIRS}/pods/victim/binding",
        f"{THEIRS}/pods/victim/eviction",
        "/api/v1/bindings",
    ):
        assert (await mallory.post(path, bound if "binding" in path else evicted)).code in (403, 404, 405), path
    victim = (await world.admin.get(f"{THEIRS}/pods/victim")).ok()
    assert "nodeName" not in victim["spec"] and "deletionTimestamp" not in victim["metadata"]
    (await mallory.post(f"{MINE}/pods/own/binding", obj("Binding", "own", target=target))).ok(201)
    (await mallory.post(f"{MINE}/pods/own/eviction", obj("Eviction", "own", "policy/v1"))).ok(201)


async def test_who_may_only_update_or_apply_creates_nothing(world: World) -> None:
    """PUT on a free name, and apply, create: that needs `create`, too."""
    jane = await grant(world, "mine", "jane", rule("update patch get", "configmaps leases", "'' coordination.k8s.io"),
                       rule("update patch get", "configmaps"), rule("update patch", "roles rolebindings",
                       "rbac.authorization.k8s.io"))  # fmt: skip
    leases = "/apis/coordination.k8s.io/v1/namespaces/mine/leases"
    lease = obj("Lease", "new", "coordination.k8s.io/v1", spec={"holderIdentity": "jane"})
    where = 'in API group "coordination.k8s.io" in the namespace "mine"'
    refused = await jane.put(f"{leases}/new", lease)
    said = f'leases.coordination.k8s.io "new" is forbidden: User "jane" cannot create resource "leases" {where}'
    assert (refused.code, refused.message) == (403, said)
    refused = await jane.apply(f"{MINE}/configmaps/new", config_map("new"))
    assert (refused.code, refused.message) == (
        403, 'configmaps "new" is forbidden: User "jane" cannot create resource "configmaps" in API group "" in the '
        'namespace "mine"')  # fmt: skip
    refused = await jane.apply(f"{MINE}/configmaps/new", config_map("new"), dryRun="All")
    assert refused.code == 403
    assert (
        await jane.put(f"{RBAC}/namespaces/mine/rolebindings/new", binding("new", "of-jane", user("eve")))
    ).code == 403
    (await world.admin.post(leases, lease)).ok()
    (await world.admin.post(f"{MINE}/configmaps", config_map("new"))).ok()
    lease = (await world.admin.get(f"{leases}/new")).json
    (await jane.put(f"{leases}/new", lease)).ok(200)
    (await jane.apply(f"{MINE}/configmaps/new", config_map("new", a="b"))).ok(200)
    # With `create` it is one right for all ways.
    eve = await grant(world, "mine", "eve", rule("create patch", "configmaps"))
    (await eve.apply(f"{MINE}/configmaps/other", config_map("other"))).ok(201)


async def test_refusals_do_not_tell_what_is_there(world: World, mallory: Api) -> None:
    """The answer is the same, whether the object, the namespace or the revision exists or not; for dry runs, too."""
    await world.admin.post(f"{THEIRS}/secrets", obj("Secret", "there", stringData={"key": MARKER}))

    def shape(answered: Answered, name: str, namespace: str) -> tuple[int, str]:
        return answered.code, answered.body.decode().replace(name, "NAME").replace(namespace, "NAMESPACE")

    body = obj("Secret", "there", stringData={"key": "x"})
    probes = [
        ("GET", None, ""), ("GET", None, "?resourceVersion=1"), ("DELETE", None, ""), ("DELETE", None, "?dryRun=All"),
        ("DELETE", {"preconditions": {"uid": "x"}}, ""), ("PUT", body, "?dryRun=All"), ("PUT", body, ""),
        ("PATCH", [{"op": "test", "path": "/data/key", "value": "eA=="}], ""),
        ("PATCH", [{"op": "test", "path": "/data/key", "value": "eA=="}], "?dryRun=All"),
        ("PATCH", {"data": {"key": "eA=="}}, "?fieldManager=m"),
    ]  # fmt: skip
    media = {list: "application/json-patch+json", dict: "application/apply-patch+yaml"}
    for method, sent, query in probes:
        seen = set()
        for namespace, name in (("theirs", "there"), ("theirs", "absent"), ("nowhere", "absent")):
            path = f"/api/v1/namespaces/{namespace}/secrets/{name}{query}"
            kind = media[type(sent)] if method == "PATCH" else "application/json"
            seen.add(shape(await mallory.ask(method, path, sent, media=kind), name, namespace))
        assert len(seen) == 1 and next(iter(seen))[0] == 403, (method, query, seen)
    # Creating a namespaced object in a namespace that is not there: 403 either way, not 404.
    for namespace in ("theirs", "nowhere"):
        assert (await mallory.post(f"/api/v1/namespaces/{namespace}/secrets", body)).code == 403


async def test_conflicts_name_fields_and_never_values(world: World) -> None:
    """Who may write and not read: a write that is refused shows nothing of what is there. (One that is done answers
    with the object, as the original's does: `patch` and `update` are rights to read, too.)"""
    value = base64.b64encode(MARKER.encode()).decode()
    (await world.admin.apply(f"{MINE}/secrets/it", obj("Secret", "it", data={"key": value}), manager="owner")).ok()
    jane = await grant(world, "mine", "jane", rule("patch create", "secrets"))
    changed = obj("Secret", "it", data={"key": "eA=="})
    test = [{"op": "test", "path": "/data/key", "value": "eA=="}]
    for answered, code in (
        (await jane.apply(f"{MINE}/secrets/it", changed), 409),
        (await jane.post(f"{MINE}/secrets", changed), 409),
        (await jane.post(f"{MINE}/secrets", changed, dryRun="All"), 409),
        (await jane.ask("PATCH", f"{MINE}/secrets/it", test, media="application/json-patch+json"), 422),
        (await jane.get(f"{MINE}/secrets/it"), 403),
    ):
        assert answered.code == code
        assert MARKER.encode() not in answered.body and value.encode() not in answered.body, answered.body
    assert "owner" in (await jane.apply(f"{MINE}/secrets/it", changed)).message
    (await jane.apply(f"{MINE}/secrets/it", changed, force="true")).ok()
