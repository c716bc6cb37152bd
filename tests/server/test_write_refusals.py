"""What creates and updates may not say, refused with the original's code, reason, message and details."""

import asyncio
from typing import Any

import pytest
from tests.server.world import CM, DEPLOYMENTS, PODS, Api, World, config_map, deployment, obj, pod

from kaa.base import ids

Json = dict[str, Any]
LEASES = "/apis/coordination.k8s.io/v1/namespaces/default/leases"
TYPE_META = r'struct { APIVersion string "json:\"apiVersion,omitempty\""; Kind string "json:\"kind,omitempty\"" }'
SCHEME = 'scheme "pkg/api/legacyscheme/scheme.go:30"'

BODIES = [
    (b"[]", f"the object provided is unrecognized (must be of type ConfigMap): couldn't get version/kind; json parse "
     f"error: json: cannot unmarshal array into Go value of type {TYPE_META} (5b5d)"),
    (b"5", f"the object provided is unrecognized (must be of type ConfigMap): couldn't get version/kind; json parse "
     f"error: json: cannot unmarshal number into Go value of type {TYPE_META} (35)"),
    (b"{", "the object provided is unrecognized (must be of type ConfigMap): couldn't get version/kind; json parse "
     "error: unexpected end of JSON input ({)"),
    (b"", "the object provided is unrecognized (must be of type ConfigMap): couldn't get version/kind; json parse "
     "error: unexpected end of JSON input (<empty>)"),
    (b'{"kind":5}', "the object provided is unrecognized (must be of type ConfigMap): couldn't get version/kind; json "
     'parse error: json: cannot unmarshal number into Go struct field .kind of type string ({"kind":5})'),
    (b'{"kind":"Nope","apiVersion":"v1"}', 'Nope in version "v1" cannot be handled as a ConfigMap: no kind "Nope" is '
     f'registered for version "v1" in {SCHEME}'),
    (b'{"kind":"ConfigMap","apiVersion":"x.io/v3"}', 'ConfigMap in version "v3" cannot be handled as a ConfigMap: no '
     f'kind "ConfigMap" is registered for version "x.io/v3" in {SCHEME}'),
    (b'{"kind":"Secret","apiVersion":"v1"}', 'Secret in version "v1" cannot be handled as a ConfigMap: converting '
     "(v1.Secret) to (core.ConfigMap): unknown conversion"),
    (b'{"kind":"Deployment","apiVersion":"apps/v1"}', 'Deployment in version "v1" cannot be handled as a ConfigMap: '
     "converting (v1.Deployment) to (core.ConfigMap): unknown conversion"),
    (b'{"metadata":{"name":"a"},"data":[]}', 'ConfigMap in version "v1" cannot be handled as a ConfigMap: json: cannot '
     "unmarshal array into Go struct field ConfigMap.data of type map[string]string"),
]  # fmt: skip


@pytest.mark.parametrize(("body", "message"), BODIES, ids=[repr(each[0])[:40] for each in BODIES])
async def test_bodies_that_are_no_config_map(api: Api, body: bytes, message: str) -> None:
    for method, at in (("POST", CM), ("PUT", f"{CM}/a")):
        headers = {} if body else {"Content-Type": "application/json"}
        answer = await api.ask(method, at, body, headers=headers)
        assert (answer.code, answer.reason, answer.message) == (400, "BadRequest", message), method


async def test_versions_that_hold_the_same_kind(api: Api) -> None:
    at = "/apis/autoscaling/v2/namespaces/default/horizontalpodautoscalers"
    answer = await api.post(at, obj("HorizontalPodAutoscaler", "h", "autoscaling/v1"))
    assert answer.message == (
        "the API version in the data (autoscaling/v1) does not match the expected API version (autoscaling/v2)"
    )


async def test_kind_and_version_may_be_left_out(api: Api) -> None:
    for name, left in (("a", {}), ("b", {"kind": "ConfigMap"}), ("c", {"apiVersion": "v1"})):
        made = (await api.post(CM, {**left, "metadata": {"name": name}})).ok(201)
        assert (made["kind"], made["apiVersion"]) == ("ConfigMap", "v1")
    nothing = await api.post(CM, b"null")
    assert nothing.code == 422 and "name or generateName is required" in nothing.message


# --- names


async def test_names_and_namespaces_that_differ(api: Api) -> None:
    (await api.post(CM, config_map("a"))).ok()
    cases: list[tuple[str, str, Json, str]] = [
        ("PUT", f"{CM}/a", config_map("b"), "the name of the object (b) does not match the name on the URL (a)"),
        ("PUT", f"{CM}/a", {"metadata": {}},
         "the name of the object (a based on URL) was undeterminable: name must be provided"),
        ("PUT", f"{CM}/a", obj("ConfigMap", "a", metadata={"namespace": "kube-system"}),
         "the namespace of the provided object does not match the namespace sent on the request"),
        ("POST", CM, obj("ConfigMap", "z", metadata={"namespace": "kube-system"}),
         "the namespace of the provided object does not match the namespace sent on the request"),
        ("POST", CM, obj("ConfigMap", "z", metadata={"resourceVersion": "5"}),
         "resourceVersion should not be set on objects to be created"),
    ]  # fmt: skip
    for method, at, body, message in cases:
        answer = await api.ask(method, at, body)
        assert (answer.code, answer.reason, answer.message) == (400, "BadRequest", message)
    # A namespace on what has none is dropped.
    made = await api.post("/api/v1/namespaces", obj("Namespace", "n1", metadata={"namespace": "default"}))
    assert "namespace" not in made.ok(201)["metadata"]


async def test_a_generated_name_that_is_taken(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    (await api.post(CM, config_map("job-aaaaa"))).ok()
    tries: list[int] = []

    def always(length: int = 5) -> str:
        tries.append(length)
        return "aaaaa"

    monkeypatch.setattr(ids, "suffix", always)
    answer = await api.post(CM, {"metadata": {"generateName": "job-"}})
    assert len(tries) == 8
    message = 'configmaps "job-aaaaa" already exists, the server was not able to generate a unique name for the object'
    assert (answer.code, answer.reason, answer.message) == (409, "AlreadyExists", message)
    assert answer.json["details"] == {"name": "job-aaaaa", "kind": "configmaps", "retryAfterSeconds": 1}
    assert answer.headers["retry-after"] == "1"
    # With a name as well the name is taken as it is, and the hint is the same.
    both = await api.post(CM, {"metadata": {"name": "job-aaaaa", "generateName": "job-"}})
    assert both.message == message and len(tries) == 8
    plain = await api.post(CM, config_map("job-aaaaa"))
    assert plain.message == 'configmaps "job-aaaaa" already exists' and "retry-after" not in plain.headers


async def test_a_name_that_is_still_going(api: Api) -> None:
    (await api.post(CM, obj("ConfigMap", "a", metadata={"finalizers": ["x.io/f"]}))).ok()
    (await api.delete(f"{CM}/a")).ok()
    answer = await api.post(CM, config_map("a"))
    assert (answer.code, answer.reason) == (409, "AlreadyExists")
    assert answer.message == 'object is being deleted: configmaps "a" already exists'


# --- what an update is based on


async def test_the_uid_of_an_update(api: Api) -> None:
    made = (await api.post(CM, config_map("a"))).ok()
    other = await api.put(f"{CM}/a", obj("ConfigMap", "a", metadata={"uid": "other"}))
    assert (other.code, other.reason) == (409, "Conflict")
    assert other.message == (
        'Operation cannot be fulfilled on configmaps "a": StorageError: invalid object, Code: 4, Key: '
        "/registry/configmaps/default/a, ResourceVersion: 0, AdditionalErrorMsg: Precondition failed: UID in "
        f"precondition: other, UID in object meta: {made['metadata']['uid']}"
    )
    gone = await api.put(f"{CM}/none", obj("ConfigMap", "none", metadata={"uid": "x"}))
    assert gone.code == 409 and gone.message.endswith("UID in precondition: x, UID in object meta: ")
    assert (await api.put(f"{CM}/none", config_map("none"))).code == 404


async def test_kinds_that_want_a_revision(api: Api) -> None:
    lease = obj("Lease", "l", "coordination.k8s.io/v1", spec={"holderIdentity": "a"})
    (await api.put(f"{LEASES}/l", lease)).ok(201)  # an update makes what is not there
    for stated in ({}, {"resourceVersion": "0"}):
        answer = await api.put(f"{LEASES}/l", {**lease, "metadata": {"name": "l", **stated}})
        assert (answer.code, answer.reason) == (422, "Invalid")
        assert answer.message == (
            'leases.coordination.k8s.io "l" is invalid: metadata.resourceVersion: Invalid value: 0: must be specified '
            "for an update"
        )
    assert (await api.put(f"{CM}/a", config_map("a"))).code == 404
    (await api.post(CM, config_map("a"))).ok()
    assert (await api.put(f"{CM}/a", obj("ConfigMap", "a", metadata={"resourceVersion": "0"}))).code == 200


# --- metadata


METADATA: list[tuple[Json, str]] = [
    ({"ownerReferences": [{"apiVersion": "v1", "kind": "Pod", "name": "p", "uid": ""}]},
     'metadata.ownerReferences.uid: Invalid value: "": must not be empty'),
    ({"ownerReferences": [{"apiVersion": "", "kind": "Pod", "name": "p", "uid": "u"}]},
     'metadata.ownerReferences.apiVersion: Invalid value: "": version must not be empty'),
    ({"ownerReferences": [{"apiVersion": "v1", "kind": "Event", "name": "p", "uid": "u"}]},
     "/v1, Kind=Event is disallowed from being an owner"),
    ({"ownerReferences": [{"apiVersion": "v1", "kind": "A", "name": n, "uid": n, "controller": True} for n in "ab"]},
     'Only one reference can have Controller set to true. Found "true" in references for a and b'),
    ({"annotations": {"a": "x" * (256 * 1024)}}, "metadata.annotations: Too long: may not be more than 262144 bytes"),
    ({"annotations": {"not a key": "x"}}, 'Invalid value: "not a key": name part must consist of'),
    ({"labels": {"a": "not a value"}}, "a valid label must be an empty string or consist of"),
    ({"finalizers": ["plain"]},
     '"plain": name is neither a standard finalizer name nor is it fully qualified'),
    ({"finalizers": ["orphan", "foregroundDeletion"]}, "finalizer orphan and foregroundDeletion cannot be both set"),
]  # fmt: skip


@pytest.mark.parametrize(("meta", "message"), METADATA, ids=range(len(METADATA)))
async def test_metadata_that_is_refused(api: Api, meta: Json, message: str) -> None:
    made = await api.post(CM, obj("ConfigMap", "a", metadata=meta))
    assert (made.code, made.reason) == (422, "Invalid") and message in made.message
    assert made.message.startswith('ConfigMap "a" is invalid: ')
    (await api.post(CM, config_map("a"))).ok()
    changed = await api.merge(f"{CM}/a", {"metadata": meta})
    assert changed.code == 422 and message in changed.message


async def test_what_may_not_change(api: Api) -> None:
    made = (await api.post(CM, config_map("a"))).ok()
    for name, value in (("deletionTimestamp", "2001-01-01T00:00:00Z"), ("deletionGracePeriodSeconds", 5)):
        answer = await api.put(f"{CM}/a", {**made, "metadata": {**made["metadata"], name: value}})
        assert answer.code == 422 and f"metadata.{name}: Invalid value: " in answer.message
        assert answer.message.endswith(": field is immutable")
    kept = (await api.put(f"{CM}/a", obj("ConfigMap", "a", metadata={
        "creationTimestamp": "2001-01-01T00:00:00Z", "generation": 7, "selfLink": "/x"}))).ok()["metadata"]  # fmt: skip
    assert kept["creationTimestamp"] == made["metadata"]["creationTimestamp"] and kept["uid"] == made["metadata"]["uid"]
    assert "selfLink" not in kept and "generation" not in kept
    (await api.merge(f"{CM}/a", {"metadata": {"finalizers": ["x.io/f"]}})).ok()
    (await api.delete(f"{CM}/a")).ok()
    more = await api.merge(f"{CM}/a", {"metadata": {"finalizers": ["x.io/f", "x.io/g", "x.io/h"]}})
    assert more.code == 422 and more.message == (
        'ConfigMap "a" is invalid: metadata.finalizers: Forbidden: no new finalizers can be added if the object is '
        'being deleted, found new finalizers []string{"x.io/g", "x.io/h"}'
    )


async def test_owners_that_stand_twice_are_dropped_and_told(api: Api) -> None:
    owner = {"apiVersion": "v1", "kind": "Pod", "name": "p", "uid": "u"}
    answer = await api.post(CM, obj("ConfigMap", "a", metadata={"ownerReferences": [owner, owner]}))
    assert answer.ok(201)["metadata"]["ownerReferences"] == [owner]
    assert ".metadata.ownerReferences contains duplicate entries; API server dedups" in answer.headers["warning"]
    assert "duplicate UID(s) observed: u" in answer.headers["warning"]


# --- options


async def test_options_are_refused_all_at_once(api: Api) -> None:
    answer = await api.post(CM, config_map("a"), dryRun="Some", fieldManager="m" * 129, fieldValidation="x")
    assert (answer.code, answer.reason) == (422, "Invalid")
    assert [each["field"] for each in answer.json["details"]["causes"]] == ["fieldManager", "dryRun", "fieldValidation"]
    assert answer.message == (
        'CreateOptions.meta.k8s.io "" is invalid: [fieldManager: Too long: may not be more than 128 bytes, dryRun: '
        'Unsupported value: ["Some"]: supported values: "All", fieldValidation: Unsupported value: "x": supported '
        'values: "", "Ignore", "Strict", "Warn"]'
    )
    odd = await api.post(CM, config_map("a"), fieldManager="a\u0001b")
    assert odd.code == 422 and "invalid character U+0001 (at position 1)" in odd.message
    assert (await api.get(f"{CM}/a")).code == 404


async def test_a_dry_run_of_everything(world: World) -> None:
    """Nothing is written by any verb, and the answers are those of the real thing."""
    api = world.admin
    (await api.post(DEPLOYMENTS, deployment("d"))).ok()
    (await api.post(PODS, pod("p"))).ok()
    (await api.post(PODS, pod("run", nodeName="n"))).ok()
    (await api.post(CM, obj("ConfigMap", "held", metadata={"finalizers": ["x.io/f"]}))).ok()
    revision, dry = (await api.get(CM)).revision, {"dryRun": "All"}
    made = (await api.post(CM, {"metadata": {"generateName": "g-"}}, **dry)).ok(201)
    assert made["metadata"]["uid"] and made["metadata"]["name"].startswith("g-")
    assert "resourceVersion" not in made["metadata"]
    scaled = (await api.merge(f"{DEPLOYMENTS}/d/scale", {"spec": {"replicas": 4}}, **dry)).ok()
    assert scaled["spec"]["replicas"] == 4
    status = (await api.merge(f"{DEPLOYMENTS}/d/status", {"status": {"replicas": 4}}, **dry)).ok()
    assert status["status"]["replicas"] == 4
    bind = obj("Binding", "p", target={"kind": "Node", "name": "n"})
    (await api.post(f"{PODS}/p/binding", bind, **dry)).ok(201)
    (await api.post(f"{PODS}/p/eviction", obj("Eviction", "p", "policy/v1"), **dry)).ok(201)
    (await api.post(f"{PODS}/p/eviction", obj("Eviction", "p", "policy/v1", deleteOptions={"dryRun": ["All"]}))).ok(201)
    resized = {"spec": {"containers": [{"name": "c", "resources": {}}]}}
    (await api.ask("PATCH", f"{PODS}/p/resize", resized, media="application/strategic-merge-patch+json", **dry)).ok()
    going = (await api.delete(f"{PODS}/run", **dry)).ok()["metadata"]
    assert going["deletionTimestamp"] and going["deletionGracePeriodSeconds"] == 30
    assert (await api.delete(f"{CM}/held", **dry)).ok()["metadata"]["deletionTimestamp"]
    assert (await api.delete(f"{DEPLOYMENTS}/d", {"propagationPolicy": "Foreground", "dryRun": ["All"]})).ok()[
        "metadata"
    ]["finalizers"] == ["foregroundDeletion"]
    assert len((await api.delete(PODS, **dry)).ok()["items"]) == 2
    assert len((await api.delete(CM, {"dryRun": ["All"]})).ok()["items"]) == 1
    (await api.put("/api/v1/namespaces/default/finalize", obj("Namespace", "default"), **dry)).ok()
    assert (await api.get(CM)).revision == revision
    assert (await api.get(f"{PODS}/run")).ok()["metadata"].get("deletionTimestamp") is None


async def test_a_dry_run_reserves_no_address(api: Api) -> None:
    body = obj("Service", "s", spec={"ports": [{"port": 80}], "type": "NodePort"})
    answers = await asyncio.gather(*(api.post("/api/v1/namespaces/default/services", body, dryRun="All") for _ in "ab"))
    assert all(each.ok(201)["spec"]["clusterIP"] for each in answers)
    fixed = obj("Service", "s", spec={"ports": [{"port": 80}], "clusterIP": "10.96.7.7"})
    (await api.post("/api/v1/namespaces/default/services", fixed, dryRun="All")).ok(201)
    (await api.post("/api/v1/namespaces/default/services", fixed)).ok(201)
