"""How answers look: tables, metadata alone, indents, YAML, compression; and what is not acceptable."""

import gzip
import json
from typing import Any

import orjson
import pytest
import yaml
from tests.server.world import CM, DEPLOYMENTS, PODS, Api, World, config_map, deployment, obj, pod

from kaa.kinds import protobuf
from kaa.server.forms.accept import clauses

PROTOBUF = "application/vnd.kubernetes.protobuf"
TABLES = {
    version: f"application/json;as=Table;v={version};g=meta.k8s.io,application/json" for version in ("v1", "v1beta1")
}


def partial(kind: str = "PartialObjectMetadata", version: str = "v1", media: str = "application/json") -> str:
    return f"{media};as={kind};g=meta.k8s.io;v={version}"


# --- tables


@pytest.mark.parametrize("version", ["v1", "v1beta1"])
async def test_tables_of_lists_and_of_one(api: Api, version: str) -> None:
    (await api.post(PODS, pod("a", labels={"x": "y"}))).ok()
    one = (await api.get(f"{PODS}/a", accept=TABLES[version])).ok(200)
    many = (await api.get(PODS, accept=TABLES[version])).ok(200)
    for table in (one, many):
        assert (table["kind"], table["apiVersion"]) == ("Table", f"meta.k8s.io/{version}")
        assert [each["name"] for each in table["columnDefinitions"]][:3] == ["Name", "Ready", "Status"]
        assert set(table["columnDefinitions"][0]) == {"name", "type", "format", "description", "priority"}
        assert [row["cells"][0] for row in table["rows"]] == ["a"]
        held = table["rows"][0]["object"]
        assert (held["kind"], held["apiVersion"]) == ("PartialObjectMetadata", f"meta.k8s.io/{version}")
        assert held["metadata"]["labels"] == {"x": "y"} and "spec" not in held
    assert one["metadata"] == {"resourceVersion": many["rows"][0]["object"]["metadata"]["resourceVersion"]}


async def test_what_comes_with_a_row(api: Api) -> None:
    (await api.post(PODS, pod("a"))).ok()
    rows: dict[str, Any] = {}
    for include in ("", "Metadata", "Object", "None"):
        rows[include] = (await api.get(PODS, accept=TABLES["v1"], includeObject=include)).ok(200)["rows"][0]
    assert rows["None"]["object"] is None
    assert rows[""]["object"] == rows["Metadata"]["object"]
    assert rows["Object"]["object"] == (await api.get(f"{PODS}/a")).json
    refused = await api.get(PODS, accept=TABLES["v1"], includeObject="All")
    assert (refused.code, refused.reason) == (400, "BadRequest")
    assert refused.message == (
        "Unable to convert to Table as requested: includeObject: Invalid value: \"All\": must be 'Metadata', "
        "'Object', 'None', or empty"
    )


async def test_tables_in_pages(api: Api) -> None:
    for name in "abc":
        (await api.post(CM, config_map(name))).ok()
    first = (await api.get(CM, accept=TABLES["v1"], limit=2)).ok(200)
    assert first["metadata"]["remainingItemCount"] == 1
    rest = (await api.get(CM, accept=TABLES["v1"], **{"continue": first["metadata"]["continue"]})).ok(200)
    assert [row["cells"][0] for row in rest["rows"]] == ["c"]
    assert rest["metadata"] == {"resourceVersion": first["metadata"]["resourceVersion"]}


async def test_what_is_written_can_come_back_as_a_table(api: Api) -> None:
    made = (await api.post(DEPLOYMENTS, deployment("d", 3), accept=TABLES["v1"])).ok(201)
    assert made["kind"] == "Table" and made["rows"][0]["cells"][:2] == ["d", "0/3"]


# --- metadata alone


@pytest.mark.parametrize("version", ["v1", "v1beta1"])
async def test_metadata_alone(api: Api, version: str) -> None:
    made = (await api.post(CM, config_map("a", x="1"))).ok()
    one = (await api.get(f"{CM}/a", accept=partial(version=version))).ok(200)
    wanted = {
        "kind": "PartialObjectMetadata",
        "apiVersion": f"meta.k8s.io/{version}",
        "metadata": made["metadata"],
    }
    assert one == wanted
    listed = (await api.get(CM, accept=partial("PartialObjectMetadataList", version))).ok(200)
    assert (listed["kind"], listed["apiVersion"]) == ("PartialObjectMetadataList", f"meta.k8s.io/{version}")
    assert listed["items"] == [wanted] and listed["metadata"]["resourceVersion"]
    raw = await api.get(f"{CM}/a", accept=partial(version=version, media=PROTOBUF))
    assert raw.headers["content-type"] == PROTOBUF
    assert protobuf.decode_envelope(raw.body)[:2] == (f"meta.k8s.io/{version}", "PartialObjectMetadata")
    raw = await api.get(CM, accept=partial("PartialObjectMetadataList", version, PROTOBUF))
    assert protobuf.decode_envelope(raw.body)[:2] == (f"meta.k8s.io/{version}", "PartialObjectMetadataList")
    text = await api.get(f"{CM}/a", accept=partial(version=version, media="application/yaml"))
    assert yaml.safe_load(text.body) == wanted


async def test_a_list_is_no_object_and_an_object_no_list(api: Api) -> None:
    (await api.post(DEPLOYMENTS, deployment("d"))).ok()
    listed = await api.get(DEPLOYMENTS, accept=partial())
    assert (listed.code, listed.reason) == (406, "NotAcceptable")
    assert listed.message == (
        "you requested PartialObjectMetadata, but the requested object is a list (*apps.DeploymentList)"
    )
    one = await api.get(f"{DEPLOYMENTS}/d", accept=partial("PartialObjectMetadataList"))
    assert (one.code, one.reason) == (406, "NotAcceptable")
    assert one.message == (
        "you requested PartialObjectMetadataList, but the requested object is not a list (*apps.Deployment)"
    )


# --- what is accepted

ACCEPTED = [
    ("application/json", "json"),
    ("*/*", "json"),
    ("application/*", "json"),
    ("text/html,application/xhtml+xml,*/*;q=0.8", "json"),
    ("application/yaml,application/json", "yaml"),
    ("application/json;q=0.1,application/yaml;q=0.9", "yaml"),
    ("application/yaml;q=0.1, application/json", "json"),
    ("*/*, application/yaml", "yaml"),
    (f"{PROTOBUF},application/json", "protobuf"),
    (f"{PROTOBUF};as=Table;g=meta.k8s.io;v=v1,application/json", "json"),
    ("application/json;as=Table;g=meta.k8s.io;v=v2,application/yaml", "yaml"),
    ("application/json;as=Table;g=other;v=v1,application/yaml", "yaml"),
    ("application/json;as=Chair;g=meta.k8s.io;v=v1,application/yaml", "yaml"),
    ("application/json;v=v1,application/yaml", "yaml"),
    ("application/json;stream=watch", "json"),
    ("application/json;stream=other,application/yaml", "yaml"),
    ("application/json;charset=utf-8", "json"),
]


@pytest.mark.parametrize(("accept", "encoding"), ACCEPTED)
def test_the_best_clause(accept: str, encoding: str) -> None:
    assert clauses(accept)[0].encoding == encoding


async def test_what_is_not_acceptable(api: Api) -> None:
    (await api.post(CM, config_map("a"))).ok()
    served = ("application/json", "application/yaml", PROTOBUF)
    for accept in ("text/csv", "application/cbor", "application/json;as=Table;g=meta.k8s.io;v=v7"):
        for path in (CM, f"{CM}/a"):
            answer = await api.get(path, accept=accept)
            assert (answer.code, answer.reason) == (406, "NotAcceptable"), accept
            assert answer.message == f"only the following media types are accepted: {', '.join(served)}"
            assert answer.headers["content-type"] == "application/json"
    streams = f"application/json;stream=watch, {PROTOBUF};stream=watch"
    for accept in ("text/csv", "application/yaml", "application/yaml,application/json"):
        answer = await api.get(CM, watch="1", accept=accept)
        said = yaml.safe_load(answer.body)["message"]  # a refusal comes in the form that is accepted, or in JSON
        assert (answer.code, said) == (406, f"only the following media types are accepted: {streams}")


# --- for people


@pytest.mark.parametrize("agent", ["curl/8.5.0", "Wget/1.21", "Mozilla/5.0 (X11; Linux)"])
async def test_people_are_shown_indents(api: Api, agent: str) -> None:
    for name in "ab":
        (await api.post(CM, config_map(name, x='"\n{'))).ok()
    who = {"User-Agent": agent}
    for path in (f"{CM}/a", CM, f"{CM}?labelSelector=no"):
        plain = await api.get(path)
        for shown in (
            await api.get(path, headers=who),
            await api.get(path, headers=who, accept="*/*"),
            await api.get(path, pretty="true"),
            await api.get(path, pretty="1"),
            await api.get(path, accept="application/json;pretty=1"),
        ):
            assert shown.body == json.dumps(plain.json, indent=2, ensure_ascii=False).encode(), path
        for compact in (await api.get(path, headers=who, pretty="false"), await api.get(path, headers=who, pretty="x")):
            assert compact.body == plain.body
    table = await api.get(CM, accept=TABLES["v1"], headers=who)
    assert table.body.startswith(b'{\n  "kind": "Table"') and len(table.json["rows"]) == 2
    async with await api.watch(CM, pretty="1") as watch:
        assert (await watch.next())["type"] == "ADDED"  # an event is a line, whoever reads it


async def test_lists_as_yaml(api: Api) -> None:
    for name in "ab":
        (await api.post(CM, config_map(name, k="v"))).ok()
    text = await api.get(CM, accept="application/yaml")
    assert text.headers["content-type"] == "application/yaml"
    assert yaml.safe_load(text.body) == (await api.get(CM)).json
    assert yaml.safe_load((await api.get(CM, accept="application/yaml", labelSelector="no")).body)["items"] == []


async def test_long_lists_are_the_same_in_every_form(api: Api) -> None:
    import asyncio

    await asyncio.gather(*(api.post(CM, config_map(f"c{number:03}", k="v")) for number in range(150)))
    plain = (await api.get(CM)).json
    assert (await api.get(CM, pretty="1")).json == plain
    assert yaml.safe_load((await api.get(CM, accept="application/yaml")).body) == plain
    table = (await api.get(CM, accept=TABLES["v1"])).json
    assert [row["object"]["metadata"] for row in table["rows"]] == [each["metadata"] for each in plain["items"]]


async def test_head(api: Api) -> None:
    (await api.post(CM, config_map("a"))).ok()
    for path in (f"{CM}/a", CM):
        read, head = await api.get(path), await api.ask("HEAD", path)
        assert (head.code, head.body) == (200, b"")
        assert head.headers["content-length"] == read.headers["content-length"] == str(len(read.body))
        assert head.headers["content-type"] == "application/json"
    assert (await api.ask("HEAD", f"{CM}/b")).code == 404


# --- compression


async def filled(api: Api) -> None:
    for name in "abcdef":
        (await api.post(CM, config_map(name, x=name * 30_000))).ok()
    (await api.post(CM, config_map("large", x="y" * 200_000))).ok()


async def test_large_answers_are_compressed_for_those_who_ask(api: Api) -> None:
    await filled(api)
    for path, accept in (
        (CM, ""),
        (f"{CM}/large", ""),
        (f"{CM}/large", "application/yaml"),
        (CM, PROTOBUF),
        (f"{CM}?pretty=1", ""),
    ):
        plain = await api.get(path, accept=accept)
        assert "content-encoding" not in plain.headers and "vary" not in plain.headers
        for encoding in ("gzip", "deflate, gzip", "gzip, br"):
            small = await api.get(path, accept=accept, headers={"Accept-Encoding": encoding})
            assert (small.headers["content-encoding"], small.headers["vary"]) == ("gzip", "Accept-Encoding")
            assert small.headers["content-type"] == plain.headers["content-type"]
            assert int(small.headers["content-length"]) == len(small.body) < len(plain.body) // 10
            assert gzip.decompress(small.body) == plain.body


async def test_what_is_not_compressed(api: Api) -> None:
    await filled(api)
    for path, encoding in (
        (f"{CM}/a", "gzip"),
        (f"{CM}?limit=2", "gzip"),
        (CM, "br"),
        (CM, "gzip;q=1.0"),
        (CM, "x-gzip"),
    ):
        answer = await api.get(path, headers={"Accept-Encoding": encoding})
        assert "content-encoding" not in answer.headers and answer.ok(200), (path, encoding)
    reply = await api.transport.stream("GET", CM, query="watch=1", headers=[("Accept-Encoding", "gzip")])
    async with reply:
        assert "content-encoding" not in reply.headers
        assert orjson.loads(await anext(reply.lines()))["type"] == "ADDED"


# --- kinds of which nothing is stored


async def test_component_statuses_say_what_is_known(both: World) -> None:
    api, path = both.admin, "/api/v1/componentstatuses"
    listed = (await api.get(path)).ok(200)
    assert listed["kind"] == "ComponentStatusList" and listed["metadata"] == {}
    healthy = {each["metadata"]["name"]: each["conditions"][0] for each in listed["items"]}
    assert list(healthy) == ["controller-manager", "etcd-0", "scheduler"]
    assert healthy["etcd-0"] == {"type": "Healthy", "status": "True", "message": "ok"}
    assert (
        healthy["scheduler"]["status"] == "Unknown" and "kube-system/kube-scheduler" in healthy["scheduler"]["message"]
    )
    now = "2026-01-02T03:04:05.000000Z"
    spec = {"holderIdentity": "me", "leaseDurationSeconds": 15, "renewTime": now}
    leases = "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases"
    (await api.post(leases, obj("Lease", "kube-scheduler", "coordination.k8s.io/v1", spec=spec))).ok()
    one = (await api.get(f"{path}/scheduler")).ok(200)["conditions"][0]
    assert (one["status"], one["message"]) == ("False", f"me renewed its lease last at {now}")
    from kaa.base.clock import format_micro

    fresh = {"spec": {"renewTime": format_micro(both.clock.now())}}
    (await api.merge(f"{leases}/kube-scheduler", fresh)).ok()
    assert (await api.get(f"{path}/scheduler")).ok(200)["conditions"][0]["status"] == "True"
    both.server.objects.trouble = "the disk is full"
    etcd = (await api.get(f"{path}/etcd-0", accept=TABLES["v1"])).ok(200)["rows"][0]["cells"]
    assert etcd[:2] == ["etcd-0", "Unhealthy"] and "the disk is full" in etcd
    both.server.objects.trouble = ""
    assert (await api.get(path, fieldSelector="metadata.name=scheduler")).names == ["scheduler"]
    assert (await api.get(f"{path}/nothing")).code == 404
    assert (await api.get(path, watch="1")).code == 405
    assert (await api.post(path, obj("ComponentStatus", "x"))).code == 405
