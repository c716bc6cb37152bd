"""What is served, told in both forms; OpenAPI in both versions."""

import pytest
from tests.server.world import Api, World

AGGREGATED = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json"
OLDER = "application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList"


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


async def test_openapi_v3(api: Api) -> None:
    index = (await api.get("/openapi/v3")).ok()["paths"]
    assert {"api/v1", "apis/apps/v1", "apis/batch/v1"} <= set(index)
    for path in index:
        url = index[path]["serverRelativeURL"]
        answer = await api.get(url)
        document = answer.ok()
        # The index names each document by its ETag, so that clients may keep what they have.
        assert answer.headers["etag"].strip('"') == url.partition("hash=")[2]
        assert "immutable" in answer.headers["cache-control"]
        assert document["openapi"].startswith("3.0") and document["components"]["schemas"]
        for name, operation in document["paths"].items():
            assert name.startswith(("/api/", "/apis/")) and operation
        text = answer.body.decode()
        defined = set(document["components"]["schemas"])
        import re

        used = set(re.findall(r'"#/components/schemas/([^"]+)"', text))
        assert used <= defined, used - defined
    stale = await api.get("/openapi/v3/apis/apps/v1?hash=OLD")
    assert stale.code in (200, 301) and "immutable" not in stale.headers.get("cache-control", "")
    assert (await api.get("/openapi/v3/apis/apps/v1", headers={"If-None-Match": stale.headers["etag"]})).code == 304
    deployment = (await api.get("/openapi/v3/apis/apps/v1")).json["components"]["schemas"][
        "io.k8s.api.apps.v1.Deployment"
    ]
    assert deployment["x-kubernetes-group-version-kind"] == [{"group": "apps", "version": "v1", "kind": "Deployment"}]
    pod_spec = (await api.get("/openapi/v3/api/v1")).json["components"]["schemas"]["io.k8s.api.core.v1.PodSpec"]
    containers = pod_spec["properties"]["containers"]
    assert containers["x-kubernetes-patch-merge-key"] == "name" and containers["x-kubernetes-list-map-keys"] == ["name"]
    assert pod_spec["required"] == ["containers"]


async def test_openapi_v2(api: Api) -> None:
    answer = await api.get("/openapi/v2")
    document = answer.ok()
    assert document["swagger"] == "2.0"
    definitions = document["definitions"]
    assert definitions["io.k8s.api.core.v1.Pod"]["x-kubernetes-group-version-kind"][0]["kind"] == "Pod"
    import re

    used = set(re.findall(r'"#/definitions/([^"]+)"', answer.body.decode()))
    assert used <= set(definitions), used - set(definitions)
    patch = document["paths"]["/api/v1/namespaces/{namespace}/pods/{name}"]["patch"]
    assert {"dryRun", "fieldValidation"} <= {each["name"] for each in patch["parameters"] if "name" in each}
    # Older clients ask for it as protobuf first.
    both = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf"
    only = await api.get("/openapi/v2", accept=both)
    assert only.code == 406
    either = await api.get("/openapi/v2", accept=f"{both},application/json")
    assert either.ok()["swagger"] == "2.0" and either.headers["content-type"].startswith("application/json")


async def test_documents_follow_what_is_served(world: World) -> None:
    api, registry = world.admin, world.server.parts.registry
    tag = (await api.get("/apis")).headers["etag"]
    registry.remove("batch", "v1", "jobs")
    assert (await api.get("/apis")).code == 200
    assert "jobs" not in [each["name"] for each in (await api.get("/apis/batch/v1")).json["resources"]]
    assert tag
    assert (await api.get("/apis/batch/v1/namespaces/default/jobs")).code == 404


async def test_making_documents_leaves_the_loop_to_others(world: World) -> None:
    """The largest pause of the loop while every document is made for the first time."""
    import asyncio

    loop, pauses = asyncio.get_running_loop(), [0.0]

    async def beat() -> None:
        while True:
            before = loop.time()
            await asyncio.sleep(0.001)
            pauses.append(loop.time() - before)

    beating = asyncio.ensure_future(beat())
    api = world.admin
    index = (await api.get("/openapi/v3")).ok()["paths"]
    await asyncio.gather(api.get("/openapi/v2"), *(api.get(f"/openapi/v3/{path}") for path in index))
    beating.cancel()
    assert len(pauses) > 3  # how long each was is measured, not tested
