"""What is served, told in both forms."""

import pytest
from tests.kinds import wire_client as wire
from tests.server.world import Api, World

from kaa.http.api import Request
from kaa.kinds.spec import KindSpec
from kaa.meta.resource import Resource
from kaa.meta.schema import Schema
from kaa.server import discovery as discovery_module
from kaa.server.discovery import Discovery
from kaa.server.request import User

AGGREGATED = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json"
OLDER = "application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList"


@pytest.mark.conformance("Discovery, confirm the PreferredVersion for each api group")
async def test_every_group_prefers_a_version_it_has(api: Api) -> None:
    for group in (await api.get("/apis")).ok()["groups"]:
        assert group["preferredVersion"] in group["versions"]
        assert (await api.get(f"/apis/{group['name']}")).ok() == {"kind": "APIGroup", "apiVersion": "v1", **group}
        for version in group["versions"]:
            assert (await api.get(f"/apis/{version['groupVersion']}")).ok()["groupVersion"] == version["groupVersion"]


async def test_classic_discovery(api: Api) -> None:
    versions = (await api.get("/api")).ok()
    assert versions["kind"] == "APIVersions" and versions["versions"] == ["v1"]
    groups = (await api.get("/apis")).ok()
    assert groups["kind"] == "APIGroupList"
    names = [each["name"] for each in groups["groups"]]
    assert {"apps", "batch", "rbac.authorization.k8s.io", "events.k8s.io"} <= set(names)
    apps = (await api.get("/apis/apps")).ok()
    assert apps["kind"] == "APIGroup" and apps["preferredVersion"] == {"groupVersion": "apps/v1", "version": "v1"}
    autoscaling = (await api.get("/apis/autoscaling")).ok()
    assert autoscaling["preferredVersion"]["version"] == "v2" and len(autoscaling["versions"]) == 2
    core = (await api.get("/api/v1")).ok()
    assert core["kind"] == "APIResourceList" and core["groupVersion"] == "v1"
    by_name = {each["name"]: each for each in core["resources"]}
    pods = by_name["pods"]
    assert (pods["kind"], pods["namespaced"], pods["shortNames"], pods["categories"]) == ("Pod", True, ["po"], ["all"])
    assert pods["singularName"] == "pod" and "deletecollection" in pods["verbs"]
    assert by_name["pods/eviction"]["group"] == "policy" and by_name["pods/eviction"]["kind"] == "Eviction"
    assert by_name["namespaces/finalize"]["verbs"] == ["update"]
    scale = {each["name"]: each for each in (await api.get("/apis/apps/v1")).json["resources"]}["deployments/scale"]
    assert (scale["group"], scale["version"], scale["kind"]) == ("autoscaling", "v1", "Scale")


@pytest.mark.conformance("Aggregated Discovery Interface")
@pytest.mark.parametrize("path", ["/api", "/apis"])
@pytest.mark.parametrize("accept", [AGGREGATED, OLDER])
async def test_aggregated_discovery(api: Api, path: str, accept: str) -> None:
    answer = await api.get(path, accept=accept)
    body = answer.ok()
    assert body["kind"] == "APIGroupDiscoveryList" and "as=APIGroupDiscoveryList" in answer.headers["content-type"]
    assert body["apiVersion"] == ("apidiscovery.k8s.io/v2beta1" if accept is OLDER else "apidiscovery.k8s.io/v2")
    for group in body["items"]:
        for version in group["versions"]:
            assert version["freshness"] == "Current" and version["resources"]
            for resource in version["resources"]:
                assert resource["responseKind"]["kind"] and resource["scope"] in ("Namespaced", "Cluster")
    # What is unchanged is not sent again.
    tag = answer.headers["etag"]
    same = await api.get(path, accept=accept, headers={"If-None-Match": tag})
    assert same.code == 304 and same.body == b""
    assert (await api.get(path, accept=accept, headers={"If-None-Match": '"other"'})).code == 200
    assert (await api.get(path)).headers["etag"] != tag


async def test_both_forms_say_the_same(api: Api) -> None:
    def told(resources: list[dict]) -> set[tuple[str, str]]:
        return {(each["name"], verb) for each in resources for verb in each["verbs"]}

    aggregated = (await api.get("/apis", accept=AGGREGATED)).json["items"] + (
        await api.get("/api", accept=AGGREGATED)
    ).json["items"]
    for group in aggregated:
        name = group["metadata"].get("name", "")
        for version in group["versions"]:
            path = f"/apis/{name}/{version['version']}" if name else f"/api/{version['version']}"
            classic = told((await api.get(path)).ok()["resources"])
            flat = set()
            for resource in version["resources"]:
                flat |= {(resource["resource"], verb) for verb in resource["verbs"]}
                for sub in resource.get("subresources", ()):
                    flat |= {(f"{resource['resource']}/{sub['subresource']}", verb) for verb in sub["verbs"]}
            assert flat == classic


#: The original's order of priority, which `kubectl api-versions` and short names of resources follow.
ORDER = """apiregistration.k8s.io apps events.k8s.io authentication.k8s.io authorization.k8s.io autoscaling batch
    certificates.k8s.io networking.k8s.io policy rbac.authorization.k8s.io storage.k8s.io admissionregistration.k8s.io
    apiextensions.k8s.io scheduling.k8s.io coordination.k8s.io node.k8s.io discovery.k8s.io resource.k8s.io
    flowcontrol.apiserver.k8s.io""".split()
#: Published hashes of stored versions.
HASHES = {
    "/api/v1": {"pods": "xPOwRZ+Yhw8=", "events": "r2yiGXH7wu8=", "componentstatuses": None},
    "/apis/apps/v1": {"deployments": "8aSe+NMegvE=", "controllerrevisions": "85nkx63pcBU="},
    "/apis/events.k8s.io/v1": {"events": "r2yiGXH7wu8="},
    "/apis/autoscaling/v1": {"horizontalpodautoscalers": "qwQve8ut294="},
    "/apis/autoscaling/v2": {"horizontalpodautoscalers": "qwQve8ut294="},
    "/apis/authorization.k8s.io/v1": {"subjectaccessreviews": None},
}  # fmt: skip


async def test_order_hashes_and_small_print(api: Api) -> None:
    assert [each["name"] for each in (await api.get("/apis")).json["groups"]] == ORDER
    aggregated = (await api.get("/apis", accept=AGGREGATED)).json
    assert [each["metadata"] for each in aggregated["items"]] == [{"name": name} for name in ORDER]
    for path, hashes in HASHES.items():
        listed = {each["name"]: each.get("storageVersionHash") for each in (await api.get(path)).json["resources"]}
        assert {name: listed[name] for name in hashes} == hashes
    # The core group's list is older than the field; group and version of a kind are said where they are others.
    assert (
        "apiVersion" not in (await api.get("/api/v1")).json
        and (await api.get("/apis/apps/v1")).json["apiVersion"] == "v1"
    )
    apps = next(each for each in aggregated["items"] if each["metadata"]["name"] == "apps")["versions"][0]["resources"]
    deployments = next(each for each in apps if each["resource"] == "deployments")
    assert deployments["responseKind"] == {"group": "", "version": "", "kind": "Deployment"}
    assert [each["responseKind"] for each in deployments["subresources"]] == [
        {"group": "autoscaling", "version": "v1", "kind": "Scale"}, {"group": "", "version": "", "kind": "Deployment"},
    ]  # fmt: skip


#: Accept -> the content type of the answer at /apis; None: 406.
FORMS = [
    ("", "application/json"),
    ("*/*", "application/json"),
    ("application/yaml", "application/yaml"),
    ("application/vnd.kubernetes.protobuf", "application/vnd.kubernetes.protobuf"),
    ("application/json;q=0.5,application/yaml", "application/yaml"),
    ("application/json;g=apidiscovery.k8s.io;v=v9;as=APIGroupDiscoveryList,application/json", "application/json"),
    ("application/json,application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList", "application/json"),
    ("application/json;as=APIGroupDiscoveryList;v=v2;g=apidiscovery.k8s.io",
     "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"),
    ("application/json;g=apidiscovery.k8s.io;v=v9;as=APIGroupDiscoveryList", None),
    ("application/cbor", None),
    ("text/html", None),
]  # fmt: skip


@pytest.mark.conformance("Aggregated Discovery Endpoint Accept Headers")
@pytest.mark.parametrize(("accept", "media"), FORMS)
async def test_the_form_is_the_one_asked_for(api: Api, accept: str, media: str | None) -> None:
    answer = await api.get("/apis", accept=accept)
    if media is None:
        assert (answer.code, answer.reason) == (406, "NotAcceptable")
        assert answer.message == (
            "only the following media types are accepted: application/json, application/yaml, "
            "application/vnd.kubernetes.protobuf"
        )
        return
    assert (answer.code, answer.headers["content-type"]) == (200, media)


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/api", "APIVersions"),
        ("/apis", "APIGroupList"),
        ("/apis/apps", "APIGroup"),
        ("/apis/apps/v1", "APIResourceList"),
    ],
)
async def test_discovery_in_protobuf(api: Api, path: str, kind: str) -> None:
    answer = await api.get(path, accept="application/vnd.kubernetes.protobuf")
    api_version, found, raw = wire.opened(answer.body)
    assert (api_version, found) == ("v1", kind)
    plain = (await api.get(path)).json
    told = {name: value for name, value in plain.items() if name not in ("kind", "apiVersion")}
    assert wire.read(wire.META + kind, raw) == told


def custom(group: str, kind: str) -> KindSpec:
    resource = Resource(group, "v1", kind.lower() + "s", kind, namespaced=True, singular=kind.lower())
    return KindSpec(resource, schema=Schema(type="object", preserve_unknown=True), custom=True)


@pytest.mark.conformance("Aggregated Discovery Endpoint Accept Headers CRDs")
async def test_custom_kinds_come_and_go_at_once(world: World) -> None:
    api, registry = world.admin, world.server.parts.registry
    for accept in ("", AGGREGATED):
        await api.get("/apis", accept=accept)
    registry.add(custom("zoo.example.com", "Cat"))
    registry.add(custom("farm.example.com", "Cow"))
    names = [each["name"] for each in (await api.get("/apis")).json["groups"]]
    assert names == [*ORDER, "farm.example.com", "zoo.example.com"]
    items = (await api.get("/apis", accept=AGGREGATED)).json["items"]
    assert [each["metadata"]["name"] for each in items] == names
    assert items[-1]["versions"][0]["resources"][0]["resource"] == "cats"
    assert (await api.get("/apis/zoo.example.com/v1")).ok()["resources"][0]["kind"] == "Cat"
    registry.add(custom("zoo.example.com", "Dog"))
    assert [each["name"] for each in (await api.get("/apis/zoo.example.com/v1")).json["resources"]] == ["cats", "dogs"]
    for plural in ("cats", "dogs"):
        registry.remove("zoo.example.com", "v1", plural)
    assert (await api.get("/apis/zoo.example.com")).code == 404
    assert "zoo.example.com" not in (await api.get("/apis", accept=AGGREGATED)).body.decode()


async def test_a_custom_kind_costs_its_own_group_only(world: World) -> None:
    registry = world.server.parts.registry
    for at in range(500):
        registry.add(custom(f"g{at:03}.example.com", "Thing"))
    discovery = Discovery(registry, lambda: "")
    made: list[str] = []
    original = discovery_module._aggregated_resource

    def counted(spec: KindSpec) -> dict:
        made.append(spec.resource.group)
        return original(spec)

    discovery_module._aggregated_resource = counted
    try:
        request = Request("GET", "/apis", "", {"accept": AGGREGATED}, b"")
        first = discovery.api(request, User("admin"))
        assert len(made) > 540
        made.clear()
        registry.add(custom("g250.example.com", "Other"))
        second = discovery.api(request, User("admin"))
        assert made == ["g250.example.com"] * 2
    finally:
        discovery_module._aggregated_resource = original
    assert first.body != second.body


async def test_documents_follow_what_is_served(world: World) -> None:
    api, registry = world.admin, world.server.parts.registry
    tag = (await api.get("/apis")).headers["etag"]
    registry.remove("batch", "v1", "jobs")
    assert (await api.get("/apis")).code == 200
    assert "jobs" not in [each["name"] for each in (await api.get("/apis/batch/v1")).json["resources"]]
    assert tag
    assert (await api.get("/apis/batch/v1/namespaces/default/jobs")).code == 404
