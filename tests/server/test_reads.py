"""get and list, as transcripts: selectors, pages, revisions, forms."""

import pytest
from tests.server.world import CM, DEPLOYMENTS, PODS, TABLE, Api, World, config_map, deployment, obj, pod

from kaa.server.verbs import reads
from kaa.server.verbs.reads import encode_token


async def test_an_object_comes_back_as_it_was_written(both: World) -> None:
    api = both.admin
    made = (await api.post(CM, config_map("a", x="1"))).ok(201)
    read = (await api.get(f"{CM}/a")).ok(200)
    assert read == made
    assert read["data"] == {"x": "1"}
    assert read["metadata"]["uid"] and read["metadata"]["creationTimestamp"] and read["metadata"]["resourceVersion"]
    missing = await api.get(f"{CM}/b")
    assert (missing.code, missing.reason, missing.message) == (404, "NotFound", 'configmaps "b" not found')
    assert missing.json["details"] == {"name": "b", "kind": "configmaps"}


async def test_get_at_a_revision_that_is_not_there_yet(api: Api) -> None:
    made = (await api.post(CM, config_map("a"))).ok()
    assert (await api.get(f"{CM}/a", resourceVersion=made["metadata"]["resourceVersion"])).code == 200
    assert (await api.get(f"{CM}/a", resourceVersion="0")).code == 200
    assert (await api.get(f"{CM}/a", resourceVersion="x")).code == 400


SELECTIONS = [
    ({"labelSelector": "app=web"}, ["a", "b"]),
    ({"labelSelector": "app in (web,db),tier!=back"}, ["a", "c"]),
    ({"labelSelector": "app"}, ["a", "b", "c"]),
    ({"labelSelector": "!app"}, ["d"]),
    ({"fieldSelector": "metadata.name=b"}, ["b"]),
    ({"fieldSelector": "metadata.name!=b"}, ["a", "c", "d"]),
    ({"fieldSelector": "metadata.namespace=default"}, ["a", "b", "c", "d"]),
    ({"fieldSelector": "metadata.name=b", "labelSelector": "app=db"}, []),
]


async def test_selectors(api: Api) -> None:
    for name, labels in (
        ("a", {"app": "web"}),
        ("b", {"app": "web", "tier": "back"}),
        ("c", {"app": "db"}),
        ("d", None),
    ):
        (await api.post(CM, {**config_map(name), "metadata": {"name": name, "labels": labels or {}}})).ok()
    for query, names in SELECTIONS:
        assert (await api.get(CM, **query)).names == names, query
    for query in ({"labelSelector": "app=="}, {"labelSelector": "a,,=b("}, {"fieldSelector": "data.x=1"},
                  {"fieldSelector": "nonsense"}):  # fmt: skip
        wrong = await api.get(CM, **query)
        if query == {"labelSelector": "app=="}:
            assert wrong.code == 200  # an empty value is a value
        else:
            assert (wrong.code, wrong.reason) == (400, "BadRequest"), (query, wrong.body)


async def test_fields_of_pods(api: Api) -> None:
    (await api.post(PODS, pod("a", nodeName="n1"))).ok()
    (await api.post(PODS, pod("b"))).ok()
    assert (await api.get(PODS, fieldSelector="spec.nodeName=n1")).names == ["a"]
    assert (await api.get(PODS, fieldSelector="spec.nodeName=")).names == ["b"]
    assert (await api.get("/api/v1/pods", fieldSelector="status.phase=Pending,spec.nodeName!=n1")).names == ["b"]
    assert (await api.get("/api/v1/pods", fieldSelector="metadata.namespace=kube-system")).names == []


async def test_pages_show_one_moment(both: World) -> None:
    api = both.admin
    for name in "abcdefg":
        (await api.post(CM, config_map(name))).ok()
    first = await api.get(CM, limit=3)
    meta = first.ok()["metadata"]
    assert first.names == ["a", "b", "c"] and meta["remainingItemCount"] == 4
    (await api.delete(f"{CM}/e")).ok()
    (await api.post(CM, config_map("cc"))).ok()
    second = await api.get(CM, limit=3, **{"continue": meta["continue"]})
    assert second.names == ["d", "e", "f"] and second.revision == first.revision
    third = await api.get(CM, limit=3, **{"continue": second.json["metadata"]["continue"]})
    assert third.names == ["g"] and "continue" not in third.json["metadata"]
    # Beyond what is kept at hand, pages come from the store.
    both.server.parts.objects.of(both.server.parts.registry.get("", "v1", "configmaps"))._snapshots.clear()
    again = await api.get(CM, limit=3, **{"continue": meta["continue"]})
    assert again.names == ["d", "e", "f"] and again.revision == first.revision
    assert (await api.get(CM, **{"continue": meta["continue"]})).names == ["d", "e", "f", "g"]


async def test_a_page_of_a_selection_has_no_count_of_the_rest(api: Api) -> None:
    for name in "abcdef":
        labels = {"odd": "yes"} if name in "ace" else {"odd": "no"}
        (await api.post(CM, obj("ConfigMap", name, labels=labels))).ok()
    first = await api.get(CM, limit=2, labelSelector="odd=yes")
    assert first.names == ["a", "c"] and "remainingItemCount" not in first.json["metadata"]
    token = first.json["metadata"]["continue"]
    rest = await api.get(CM, limit=2, labelSelector="odd=yes", **{"continue": token})
    assert rest.names == ["e"] and "continue" not in rest.json["metadata"]


async def test_an_expired_page_gives_a_token_to_go_on_with(both: World) -> None:
    api = both.admin
    for name in "abcd":
        (await api.post(CM, config_map(name))).ok()
    first = await api.get(CM, limit=2)
    (await api.post(CM, config_map("cc"))).ok()
    store = both.server.store
    await store.compact(store.revision)
    both.server.parts.objects.of(both.server.parts.registry.get("", "v1", "configmaps"))._snapshots.clear()
    gone = await api.get(CM, limit=2, **{"continue": first.json["metadata"]["continue"]})
    assert (gone.code, gone.reason) == (410, "Expired")
    rest = await api.get(CM, limit=5, **{"continue": gone.json["metadata"]["continue"]})
    assert rest.names == ["c", "cc", "d"]
    old = await api.get(CM, resourceVersion="2", resourceVersionMatch="Exact")
    assert (old.code, old.reason) == (410, "Expired")


async def test_what_a_list_may_ask_of_revisions(both: World, monkeypatch) -> None:
    monkeypatch.setattr(reads, "REVISION_WAIT_SECONDS", 0.1)
    api = both.admin
    r1 = (await api.post(CM, config_map("a"))).revision
    r2 = (await api.post(CM, config_map("b"))).revision
    assert (await api.get(CM, resourceVersion=r1, resourceVersionMatch="Exact")).names == ["a"]
    exact = await api.get(CM, resourceVersion=r1, limit=5)
    assert exact.names == ["a"] and exact.revision == r1
    assert (await api.get(CM, resourceVersion=r1)).names == ["a", "b"]
    assert (await api.get(CM, resourceVersion="0")).names == ["a", "b"]
    assert (await api.get(CM, resourceVersion=r1, resourceVersionMatch="NotOlderThan")).names == ["a", "b"]
    late = await api.get(CM, resourceVersion=str(int(r2) + 1000))
    assert (late.code, late.reason) == (504, "Timeout")
    assert late.json["details"]["causes"][0]["reason"] == "ResourceVersionTooLarge"
    for query in (
        {"resourceVersionMatch": "Exact"},
        {"resourceVersionMatch": "Exact", "resourceVersion": "0"},
        {"resourceVersionMatch": "Never", "resourceVersion": r1},
        {"resourceVersionMatch": "Exact", "resourceVersion": r1, "continue": encode_token(5, "a"), "limit": 1},
        {"sendInitialEvents": "true"},
    ):
        wrong = await api.get(CM, **query)
        assert (wrong.code, wrong.reason) == (422, "Invalid"), (query, wrong.body)
    for query in ({"continue": "!!!"}, {"limit": "x"}, {"resourceVersion": "-1"}, {"continue": encode_token(5, "a"),
                  "resourceVersion": r1}):  # fmt: skip
        assert (await api.get(CM, **query)).code == 400, query


async def test_tables(api: Api) -> None:
    (await api.post(PODS, pod("a"))).ok()
    (await api.post(DEPLOYMENTS, deployment("d", 3))).ok()
    table = (await api.get(PODS, accept=TABLE)).ok()
    assert table["kind"] == "Table" and table["apiVersion"] == "meta.k8s.io/v1"
    names = [each["name"] for each in table["columnDefinitions"]]
    assert names == ["Name", "Ready", "Status", "Restarts", "Age", "IP", "Node", "Nominated Node", "Readiness Gates"]
    assert table["rows"][0]["cells"][:4] == ["a", "0/1", "Pending", "0"]
    assert table["rows"][0]["object"]["kind"] == "PartialObjectMetadata"
    one = (await api.get(f"{DEPLOYMENTS}/d", accept=TABLE)).ok()
    assert one["rows"][0]["cells"][:4] == ["d", "0/3", 0, 0]
    whole = (await api.get(PODS, accept=TABLE, includeObject="Object")).ok()
    assert whole["rows"][0]["object"]["spec"]["containers"]
    bare = (await api.get(PODS, accept=TABLE, includeObject="None")).ok()
    assert "object" not in bare["rows"][0] or bare["rows"][0]["object"] is None
    assert (await api.get(PODS, accept=TABLE, includeObject="All")).code == 400


@pytest.mark.parametrize(
    "path",
    ["/api/v1/namespaces", "/api/v1/nodes", "/api/v1/services", "/api/v1/events", "/api/v1/secrets",
     "/api/v1/serviceaccounts", "/api/v1/configmaps", "/api/v1/endpoints", "/apis/apps/v1/replicasets",
     "/apis/apps/v1/daemonsets", "/apis/apps/v1/statefulsets", "/apis/batch/v1/jobs", "/apis/batch/v1/cronjobs",
     "/apis/discovery.k8s.io/v1/endpointslices", "/apis/networking.k8s.io/v1/ingresses",
     "/apis/rbac.authorization.k8s.io/v1/clusterroles", "/apis/rbac.authorization.k8s.io/v1/rolebindings",
     "/apis/policy/v1/poddisruptionbudgets", "/apis/coordination.k8s.io/v1/leases",
     "/apis/autoscaling/v2/horizontalpodautoscalers", "/apis/storage.k8s.io/v1/storageclasses",
     "/api/v1/persistentvolumes", "/api/v1/persistentvolumeclaims", "/apis/events.k8s.io/v1/events",
     "/apis/autoscaling/v1/horizontalpodautoscalers"],
)  # fmt: skip
async def test_every_kind_has_a_table(api: Api, path: str) -> None:
    table = (await api.get(path, accept=TABLE)).ok()
    assert table["kind"] == "Table" and table["columnDefinitions"][0]["name"] in ("Name", "Last Seen")
    for row in table["rows"] or ():
        assert len(row["cells"]) == len(table["columnDefinitions"])


async def test_forms(api: Api) -> None:
    (await api.post(CM, obj("ConfigMap", "a", labels={"x": "y"}, data={"k": "v"}))).ok()
    partial = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"
    part = (await api.get(f"{CM}/a", accept=partial)).ok()
    assert part["kind"] == "PartialObjectMetadata" and part["metadata"]["labels"] == {"x": "y"} and "data" not in part
    parts = (await api.get(CM, accept="application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1")).ok()
    assert parts["kind"] == "PartialObjectMetadataList" and parts["items"][0]["metadata"]["name"] == "a"
    yaml = await api.get(f"{CM}/a", accept="application/yaml")
    assert yaml.headers["content-type"] == "application/yaml" and b"\n  k: v\n" in yaml.body
    pretty = await api.get(f"{CM}/a", pretty="true")
    assert b'\n  "kind": "ConfigMap"' in pretty.body
    assert b"\n" not in (await api.get(f"{CM}/a", pretty="false")).body.strip()
    assert (await api.get(f"{CM}/a", accept="text/html,*/*;q=0.1")).ok()["kind"] == "ConfigMap"
    none = await api.get(f"{CM}/a", accept="text/csv")
    assert (none.code, none.reason) == (406, "NotAcceptable")
    protobuf = await api.get(f"{CM}/a", accept="application/vnd.kubernetes.protobuf")
    assert protobuf.code == 200 and protobuf.body.startswith(b"k8s\0")
    head = await api.ask("HEAD", f"{CM}/a")
    assert head.code == 200 and head.body == b""


async def test_a_list_of_all_namespaces_is_in_order(api: Api) -> None:
    for namespace in ("default", "kube-system"):
        (await api.post(f"/api/v1/namespaces/{namespace}/configmaps", config_map("same"))).ok()
    found = (await api.get("/api/v1/configmaps")).ok()
    assert [each["metadata"]["namespace"] for each in found["items"]] == ["default", "kube-system"]
    assert found["kind"] == "ConfigMapList" and found["apiVersion"] == "v1"
    assert (await api.get("/api/v1/namespaces/none/configmaps")).names == []


async def test_long_lists_in_every_form(api: Api) -> None:
    import asyncio

    from kaa.kinds import protobuf

    await asyncio.gather(*(api.post(CM, config_map(f"c{n:04}", k="v")) for n in range(700)))
    table = (await api.get(CM, accept=TABLE)).ok()
    assert len(table["rows"]) == 700 and table["rows"][699]["cells"][:2] == ["c0699", 1]
    partial = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
    assert len((await api.get(CM, accept=partial)).ok()["items"]) == 700
    raw = await api.get(CM, accept="application/vnd.kubernetes.protobuf")
    assert protobuf.decode_envelope(raw.body)[:2] == ("v1", "ConfigMapList")
    assert len((await api.get(CM, pretty="true")).ok()["items"]) == 700
    later = (await api.get(CM, resourceVersion=table["metadata"]["resourceVersion"], accept=TABLE)).ok()
    assert len(later["rows"]) == 700
    assert len((await api.delete(CM)).ok()["items"]) == 700
    assert (await api.get(CM)).names == []
