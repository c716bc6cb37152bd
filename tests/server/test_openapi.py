"""OpenAPI v2 and v3: valid documents, named by their content, following what is served."""

from tests.server.world import Api, World


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
