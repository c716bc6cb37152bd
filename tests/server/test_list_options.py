"""What a get or a list may ask: revisions and their match, pages, selectors, time; and the words of each refusal."""

import base64
from typing import Any

import orjson
import pytest
from tests.server.world import CM, PODS, Answered, Api, World, config_map, obj, pod

from kaa.server.verbs import reads
from kaa.server.verbs.tokens import encode_token

JOBS = "/apis/batch/v1/namespaces/default/jobs"
NODES = "/api/v1/nodes"
ROLES = "/apis/rbac.authorization.k8s.io/v1/clusterroles"


def told(answer: Answered) -> tuple[int, str, str]:
    return answer.code, answer.reason, answer.message


def token(**fields: Any) -> str:
    return base64.urlsafe_b64encode(orjson.dumps(fields)).decode().rstrip("=")


# --- revisions

UNLESS = "resourceVersionMatch is forbidden unless resourceVersion is provided"
CONTINUED = "resourceVersionMatch is forbidden when continue is provided"
UNKNOWN = 'Unsupported value: "Never": supported values: "Exact", "NotOlderThan", ""'
COMBINATIONS: list[tuple[dict[str, str], list[tuple[str, str, str]]]] = [
    ({"resourceVersionMatch": "Exact"}, [("FieldValueForbidden", "resourceVersionMatch", f"Forbidden: {UNLESS}")]),
    ({"resourceVersionMatch": "NotOlderThan"},
     [("FieldValueForbidden", "resourceVersionMatch", f"Forbidden: {UNLESS}")]),
    ({"resourceVersionMatch": "Exact", "resourceVersion": "0"},
     [("FieldValueForbidden", "resourceVersionMatch",
       'Forbidden: resourceVersionMatch "exact" is forbidden for resourceVersion "0"')]),
    ({"resourceVersionMatch": "Never", "resourceVersion": "1"},
     [("FieldValueNotSupported", "resourceVersionMatch", UNKNOWN)]),
    ({"resourceVersionMatch": "Exact", "resourceVersion": "1", "continue": encode_token(5, "a")},
     [("FieldValueForbidden", "resourceVersionMatch", f"Forbidden: {CONTINUED}")]),
    ({"sendInitialEvents": "true"},
     [("FieldValueForbidden", "sendInitialEvents", "Forbidden: sendInitialEvents is forbidden for list")]),
    ({"sendInitialEvents": "false"},
     [("FieldValueForbidden", "sendInitialEvents", "Forbidden: sendInitialEvents is forbidden for list")]),
    ({"resourceVersionMatch": "Never", "continue": encode_token(5, "a"), "sendInitialEvents": "true"},
     [("FieldValueForbidden", "resourceVersionMatch", f"Forbidden: {UNLESS}"),
      ("FieldValueForbidden", "resourceVersionMatch", f"Forbidden: {CONTINUED}"),
      ("FieldValueNotSupported", "resourceVersionMatch", UNKNOWN),
      ("FieldValueForbidden", "sendInitialEvents", "Forbidden: sendInitialEvents is forbidden for list")]),
]  # fmt: skip
REQUIRES = "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan"
OF_WATCHES: list[tuple[dict[str, str], list[tuple[str, str, str]]]] = [
    ({"sendInitialEvents": "true"}, [("FieldValueForbidden", "resourceVersionMatch", f"Forbidden: {REQUIRES}")]),
    ({"sendInitialEvents": "true", "resourceVersionMatch": "Exact"},
     [("FieldValueForbidden", "resourceVersionMatch", f"Forbidden: {REQUIRES}"),
      ("FieldValueNotSupported", "resourceVersionMatch",
       'Unsupported value: "Exact": supported values: "NotOlderThan"')]),
    ({"resourceVersionMatch": "NotOlderThan"},
     [("FieldValueForbidden", "resourceVersionMatch",
       "Forbidden: resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided")]),
    ({"resourceVersionMatch": "NotOlderThan", "sendInitialEvents": "true", "continue": "x"},
     [("FieldValueForbidden", "resourceVersionMatch", f"Forbidden: {CONTINUED}")]),
]  # fmt: skip


@pytest.mark.parametrize(
    ("query", "causes"), COMBINATIONS + [({"watch": "1", **query}, causes) for query, causes in OF_WATCHES]
)
async def test_what_may_not_be_combined(api: Api, query: dict[str, str], causes: list[tuple[str, str, str]]) -> None:
    answer = await api.get(CM, **query)
    listing = ", ".join(f"{field}: {message}" for _, field, message in causes)
    listing = f"[{listing}]" if len(causes) > 1 else listing
    assert told(answer) == (422, "Invalid", f'ListOptions.meta.k8s.io "" is invalid: {listing}')
    assert answer.json["details"] == {
        "group": "meta.k8s.io",
        "kind": "ListOptions",
        "causes": [{"reason": reason, "message": message, "field": field} for reason, field, message in causes],
    }


def unsigned(text: str, why: str) -> str:
    return (f'invalid resource version: resourceVersion: Invalid value: "{text}": strconv.ParseUint: parsing "{text}": '
            f"{why}")  # fmt: skip


NUMBERS = [
    ({"resourceVersion": "x"}, unsigned("x", "invalid syntax")),
    ({"resourceVersion": "-1"}, unsigned("-1", "invalid syntax")),
    ({"resourceVersion": "1_0"}, unsigned("1_0", "invalid syntax")),
    ({"resourceVersion": "18446744073709551616"}, unsigned("18446744073709551616", "value out of range")),
    ({"limit": "x"}, 'strconv.ParseInt: parsing "x": invalid syntax'),
    ({"limit": ""}, 'strconv.ParseInt: parsing "": invalid syntax'),
    ({"limit": "1.5"}, 'strconv.ParseInt: parsing "1.5": invalid syntax'),
    ({"limit": "9223372036854775808"}, 'strconv.ParseInt: parsing "9223372036854775808": value out of range'),
    ({"timeoutSeconds": "1s"}, 'strconv.ParseInt: parsing "1s": invalid syntax'),
]


@pytest.mark.parametrize(("query", "message"), NUMBERS)
async def test_what_is_no_number(api: Api, query: dict[str, str], message: str) -> None:
    assert told(await api.get(CM, **query)) == (400, "BadRequest", message)
    assert told(await api.get(CM, watch="1", **query)) == (400, "BadRequest", message)


async def test_the_meanings_of_a_revision(both: World) -> None:
    api = both.admin
    r1 = (await api.post(CM, config_map("a"))).revision
    r2 = (await api.post(CM, config_map("b"))).revision
    (await api.post(CM, config_map("c"))).ok()
    newest = str(both.server.objects.cache.revision)
    old, all_of_them = ["a"], ["a", "b", "c"]
    for query, names, revision in (
        ({}, all_of_them, newest),
        ({"resourceVersion": ""}, all_of_them, newest),
        ({"resourceVersion": "0"}, all_of_them, newest),
        ({"resourceVersion": r1}, all_of_them, newest),
        ({"resourceVersion": "0", "resourceVersionMatch": "NotOlderThan"}, all_of_them, newest),
        ({"resourceVersion": r1, "resourceVersionMatch": "NotOlderThan"}, all_of_them, newest),
        ({"resourceVersion": r1, "resourceVersionMatch": "NotOlderThan", "limit": "9"}, all_of_them, newest),
        ({"resourceVersion": r1, "resourceVersionMatch": "Exact"}, old, r1),
        ({"resourceVersion": r1, "resourceVersionMatch": "Exact", "limit": "9"}, old, r1),
        ({"resourceVersion": r1, "limit": "9"}, old, r1),
        ({"resourceVersion": newest, "resourceVersionMatch": "Exact"}, all_of_them, newest),
        ({"limit": "-3"}, all_of_them, newest),
    ):
        answer = await api.get(CM, **query)
        assert (answer.ok(200) and answer.names, answer.revision) == (names, revision), query
    page = await api.get(CM, resourceVersion=r2, resourceVersionMatch="Exact", limit=1)
    assert page.names == ["a"] and page.json["metadata"]["remainingItemCount"] == 1
    rest = await api.get(CM, **{"continue": page.json["metadata"]["continue"]})
    assert rest.names == ["b"] and rest.revision == r2
    assert (await api.get(CM, resourceVersion=r1, resourceVersionMatch="Exact", labelSelector="x=y")).names == []


async def test_a_revision_that_does_not_come(api: Api, monkeypatch) -> None:
    monkeypatch.setattr(reads, "REVISION_WAIT_SECONDS", 0.1)
    current = int((await api.post(CM, config_map("a"))).revision)
    for path, query in (
        (f"{CM}/a", {}),
        (CM, {}),
        (CM, {"limit": "5"}),
        (CM, {"resourceVersionMatch": "Exact"}),
        (CM, {"resourceVersionMatch": "NotOlderThan"}),
    ):
        answer = await api.get(path, resourceVersion=str(current + 7), **query)
        message = f"Timeout: Too large resource version: {current + 7}, current: {current}"
        assert told(answer) == (504, "Timeout", message), query
        assert answer.headers["retry-after"] == "1"
        assert answer.json["details"] == {
            "causes": [{"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}],
            "retryAfterSeconds": 1,
        }


async def test_a_revision_that_comes_in_time(api: Api) -> None:
    import asyncio

    current = int((await api.post(CM, config_map("a"))).revision)
    one = asyncio.ensure_future(api.get(f"{CM}/b", resourceVersion=str(current + 1)))
    listed = asyncio.ensure_future(api.get(CM, resourceVersion=str(current + 1)))
    await asyncio.sleep(0.01)
    assert not one.done() and not listed.done()
    (await api.post(CM, config_map("b"))).ok()
    assert (await one).ok()["metadata"]["name"] == "b"
    assert (await listed).names == ["a", "b"]


# --- pages

TOKENS = [
    ("!!!", "illegal base64 data at input byte 0"),
    ("ab=c", "illegal base64 data at input byte 2"),
    (token(v="meta.k8s.io/v2", rv=5, start="a"), 'server does not recognize this encoded version "meta.k8s.io/v2"'),
    (token(v="meta.k8s.io/v1", start="a"), "incorrect encoded start resourceVersion (version meta.k8s.io/v1)"),
    (token(v="meta.k8s.io/v1", rv=0, start="a"), "incorrect encoded start resourceVersion (version meta.k8s.io/v1)"),
    (token(v="meta.k8s.io/v1", rv=5), "encoded start key empty (version meta.k8s.io/v1)"),
    (token(v="meta.k8s.io/v1", rv=5, start="../secrets/x"), "../secrets/x"),
    (token(v="meta.k8s.io/v1", rv=5, start="a//b"), "a//b"),
]


@pytest.mark.parametrize(("text", "why"), TOKENS)
async def test_what_is_no_token(api: Api, text: str, why: str) -> None:
    message = f"invalid continue token: continue key is not valid: {why}"
    assert told(await api.get(CM, **{"continue": text})) == (400, "BadRequest", message)


async def test_other_tokens_that_are_none(api: Api) -> None:
    for text in ("a", "eyJ", token(v=1, rv="5", start=None), token(v="meta.k8s.io/v1", rv=1.5, start="a"), "W10"):
        answer = await api.get(CM, **{"continue": text})
        assert answer.code == 400 and answer.message.startswith("invalid continue token: continue key is not valid")


async def test_a_token_has_its_revision(api: Api) -> None:
    (await api.post(CM, config_map("a"))).ok()
    (await api.post(CM, config_map("b"))).ok()
    page = await api.get(CM, limit=1)
    more = {"continue": page.json["metadata"]["continue"]}
    message = "specifying resource version is not allowed when using continue"
    assert told(await api.get(CM, resourceVersion=page.revision, **more)) == (400, "BadRequest", message)
    assert (await api.get(CM, resourceVersion="0", **more)).names == ["b"]
    raw = orjson.loads(base64.urlsafe_b64decode(more["continue"] + "=="))
    assert raw == {"v": "meta.k8s.io/v1", "rv": int(page.revision), "start": "default/a\0"}


@pytest.mark.conformance("API Chunking, server should return chunks of results for list calls")
async def test_pages_of_400_pod_templates(both: World) -> None:
    """Every object once, all pages of one revision, and a count of what is left that is true."""
    api, templates = both.admin, "/api/v1/namespaces/default/podtemplates"
    body = {"template": {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}}}
    for number in range(40):
        (await api.post(templates, obj("PodTemplate", f"template-{number:04}", **body))).ok()
    found: list[str] = []
    query: dict[str, Any] = {"limit": 7}
    revision = ""
    while True:
        page = await api.get(templates, **query)
        meta = page.ok(200)["metadata"]
        assert page.revision == (revision or page.revision)
        revision = page.revision
        found += page.names
        if not meta.get("continue"):
            assert "remainingItemCount" not in meta
            break
        assert len(page.names) == 7 and meta["remainingItemCount"] == 40 - len(found)
        (await api.post(templates, obj("PodTemplate", f"later-{len(found)}", **body))).ok()
        query = {"limit": 7, "continue": meta["continue"]}
    assert found == [f"template-{number:04}" for number in range(40)]
    assert len((await api.get(templates, resourceVersion="0")).names) == 45


@pytest.mark.conformance(
    "API Chunking, server should support continue listing from the last key even if the original version has been "
    "compacted away"
)
async def test_pages_beyond_compaction(both: World) -> None:
    api, store = both.admin, both.server.store
    for name in "abcdef":
        (await api.post(CM, config_map(name))).ok()
    first = await api.get(CM, limit=2)
    (await api.delete(f"{CM}/d")).ok()
    (await api.post(CM, config_map("cc"))).ok()
    await store.compact(store.revision)
    both.server.parts.objects.of(both.server.parts.registry.get("", "v1", "configmaps"))._snapshots.clear()
    gone = await api.get(CM, limit=2, **{"continue": first.json["metadata"]["continue"]})
    assert (gone.code, gone.reason, gone.json["kind"], gone.json["status"]) == (410, "Expired", "Status", "Failure")
    assert gone.message == (
        "The provided continue parameter is too old to display a consistent list result. You can start a new list "
        "without the continue parameter, or use the continue token in this response to retrieve the remainder of the "
        "results. Continuing with the provided token results in an inconsistent list - objects that were created, "
        "modified, or deleted between the time the first chunk was returned and now may show up in the list."
    )
    second = await api.get(CM, limit=2, **{"continue": gone.json["metadata"]["continue"]})
    assert second.names == ["c", "cc"] and int(second.revision) > int(first.revision)
    # From here on the pages are consistent again.
    (await api.delete(f"{CM}/e")).ok()
    third = await api.get(CM, limit=2, **{"continue": second.json["metadata"]["continue"]})
    assert third.names == ["e", "f"] and third.revision == second.revision and "continue" not in third.json["metadata"]
    old = await api.get(CM, resourceVersion=first.revision, resourceVersionMatch="Exact")
    assert told(old) == (410, "Expired", "The resourceVersion for the provided list is too old.")


async def test_pages_of_every_namespace(api: Api) -> None:
    for namespace in ("default", "kube-public", "kube-system"):
        for name in "ab":
            (await api.post(f"/api/v1/namespaces/{namespace}/secrets", obj("Secret", name))).ok()
    found, query = [], {"limit": 4, "fieldSelector": "metadata.name!=x"}
    while True:
        page = (await api.get("/api/v1/secrets", **query)).ok(200)
        found += [(each["metadata"]["namespace"], each["metadata"]["name"]) for each in page["items"]]
        assert "remainingItemCount" not in page["metadata"]
        if "continue" not in page["metadata"]:
            break
        query = {**query, "continue": page["metadata"]["continue"]}
    assert found == [(where, name) for where in ("default", "kube-public", "kube-system") for name in "ab"]


# --- selectors

LABELS = [
    ("a in (b", "unable to parse requirement: found '', expected: ',' or ')'"),
    ("a,,b", "found ',', expected: identifier after ','"),
    ("a,", "found '', expected: identifier after ','"),
    ("=x", "found '=', expected: !, identifier, or 'end of string'"),
    ("a==b==c", "found '==', expected: ',' or 'end of string'"),
    ("!a=b", "found '=', expected: ',' or 'end of string'"),
    ("a<b", "unable to parse requirement: values[0][a]: Invalid value: \"b\""),
    ("a b", "unable to parse requirement: found 'b', expected: in, notin, =, ==, !=, gt, lt"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "message"), LABELS)
async def test_label_selectors_that_are_none(api: Api, text: str, message: str) -> None:
    answer = await api.get(CM, labelSelector=text)
    assert (answer.code, answer.reason) == (400, "BadRequest")
    if "values[0]" not in message:
        assert answer.message == message
    for path in (CM, f"{CM}?watch=1"):
        assert (await api.get(path, labelSelector=text)).message == answer.message


async def test_label_selectors_that_are_odd(api: Api) -> None:
    for name, labels in (
        ("a", {"app": "web", "n": "5"}),
        ("b", {"app": ""}),
        ("c", {}),
        ("d", {"x/y": "z", "n": "10"}),
    ):
        (await api.post(CM, obj("ConfigMap", name, labels=labels))).ok()
    for text, names in (
        ("", "abcd"),
        ("app", "ab"),
        (" app ", "ab"),
        ("app=", "b"),
        ("app=,n", ""),
        ("app in ()", "b"),
        ("app in ( web , )", "ab"),
        ("app notin (web)", "bcd"),
        ("app!=web", "bcd"),
        ("!app", "cd"),
        ("! app", "cd"),
        ("x/y=z", "d"),
        ("n>5", "d"),
        ("n<10", "a"),
        ("n>4,n<10", "a"),
        ("app==web,n in (5,6),!x/y", "a"),
    ):
        answer = await api.get(CM, labelSelector=text)
        assert answer.ok(200) and "".join(answer.names) == names, text


ONLY = 'is not a known field selector: only "metadata.name", "metadata.namespace"'
FIELDS = [
    (CM, "data.x=1", f'"data.x" {ONLY}'),
    (ROLES, "spec.x=1", f'"spec.x" {ONLY}'),
    (PODS, "spec.x=1", "field label not supported: spec.x"),
    (NODES, "metadata.namespace=x", "field label not supported: metadata.namespace"),
    ("/api/v1/namespaces", "spec.x=1", "field label not supported: spec.x"),
    ("/api/v1/secrets", "data=1", "field label not supported: data"),
    ("/api/v1/services", "spec.ports=1", "field label not supported: spec.ports"),
    ("/api/v1/events", "message=1", "field label not supported: message"),
    ("/apis/certificates.k8s.io/v1/certificatesigningrequests", "x=1", "field label not supported: x"),
    (JOBS, "status.x=1", 'field label "status.x" not supported for batchv1.Job'),
    (CM, "nonsense", "invalid selector: 'nonsense'; can't understand 'nonsense'"),
    (CM, "metadata.name=a\\x", "invalid field selector: invalid escape sequence: \\x"),
]


@pytest.mark.parametrize(("path", "text", "message"), FIELDS)
async def test_field_selectors_that_are_refused(api: Api, path: str, text: str, message: str) -> None:
    assert told(await api.get(path, fieldSelector=text)) == (400, "BadRequest", message)
    assert told(await api.get(path, fieldSelector=text, watch="1")) == (400, "BadRequest", message)


async def test_field_selectors_of_kinds(api: Api) -> None:
    (await api.post(PODS, pod("a", nodeName="n1", restartPolicy="Never"))).ok()
    (await api.post(PODS, pod("b", schedulerName="mine", hostNetwork=True))).ok()
    (await api.post("/api/v1/nodes", obj("Node", "n1", spec={"unschedulable": True}))).ok()
    (await api.post("/api/v1/nodes", obj("Node", "n2"))).ok()
    (await api.post("/api/v1/namespaces/default/secrets", obj("Secret", "s", type="x/y"))).ok()
    (await api.post("/api/v1/namespaces", obj("Namespace", "here"))).ok()
    for path, text, names in (
        (PODS, "spec.nodeName=n1", ["a"]),
        (PODS, "spec.nodeName!=n1", ["b"]),
        (PODS, "spec.nodeName==n1,spec.restartPolicy=Never", ["a"]),
        (PODS, "spec.schedulerName=mine", ["b"]),
        (PODS, "spec.hostNetwork=true", ["b"]),
        (PODS, "status.phase=Pending,metadata.namespace=default", ["a", "b"]),
        (PODS, "metadata.namespace=other", []),
        ("/api/v1/pods", "metadata.namespace=default,metadata.name=a", ["a"]),
        (PODS, "", ["a", "b"]),
        (NODES, "spec.unschedulable=true", ["n1"]),
        (NODES, "spec.unschedulable=false", ["n2"]),
        (NODES, "metadata.name=n2", ["n2"]),
        ("/api/v1/secrets", "type=x/y", ["s"]),
        ("/api/v1/namespaces", "metadata.name=here,status.phase=Active", ["here"]),
        (ROLES, "metadata.name=view", ["view"]),
        (ROLES, "metadata.namespace=x", []),
    ):
        answer = await api.get(path, fieldSelector=text)
        assert answer.ok(200) and answer.names == names, text


async def test_a_name_in_the_path_and_another_in_the_selector(api: Api) -> None:
    path = "/api/v1/watch/namespaces/default/configmaps/a"
    message = "fieldSelector metadata.name doesn't match requested name"
    for text in ("metadata.name=b", "metadata.namespace=default"):
        assert told(await api.get(path, fieldSelector=text)) == (400, "BadRequest", message)


# --- time

DURATIONS = [
    ("invalid", 'time: invalid duration "invalid"'),
    ("5", 'time: missing unit in duration "5"'),
    ("1d", 'time: invalid duration "1d"'),
    ("s", 'time: invalid duration "s"'),
]


@pytest.mark.parametrize(("text", "why"), DURATIONS)
async def test_timeouts_that_are_none(api: Api, text: str, why: str) -> None:
    message = f"invalid timeout specified in the request URL - {why}"
    assert told(await api.get(CM, timeout=text)) == (400, "BadRequest", message)
    (await api.post(CM, config_map("a"))).ok()
    assert told(await api.get(f"{CM}/a", timeout=text)) == (400, "BadRequest", message)


async def test_a_read_waits_no_longer_than_it_is_given(api: Api) -> None:
    current = int((await api.post(CM, config_map("a"))).revision)
    for text in ("0s", "1h", "1m30s", "1.5s", "-5s", "0"):
        assert (await api.get(CM, timeout=text)).names == ["a"], text
    late = await api.get(CM, resourceVersion=str(current + 1), timeout="20ms")
    message = "Timeout: request did not complete within requested timeout - context deadline exceeded"
    assert told(late) == (504, "Timeout", message)


# --- what lists look like


async def test_the_envelope_of_lists(api: Api) -> None:
    for path, kind in (("/api/v1/configmaps", "ConfigMapList"), (JOBS, "JobList"), (ROLES, "ClusterRoleList")):
        body = (await api.get(path)).ok(200)
        assert (body["kind"], list(body["metadata"])) == (kind, ["resourceVersion"])
    empty = await api.get("/api/v1/namespaces/nowhere/configmaps")
    assert b'"items":[]' in empty.body
    assert b'"rows":[]' in (await api.get(JOBS, accept="application/json;as=Table;g=meta.k8s.io;v=v1")).body
