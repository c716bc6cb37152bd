"""Patches against the real server: what they do, and every refusal as the original words it."""

import json
from typing import Any

import pytest
from tests.server.world import CM, DEPLOYMENTS, PODS, SERVICES, Answered, Api, config_map, deployment, obj, pod, service

JSON_PATCH = "application/json-patch+json"
MERGE = "application/merge-patch+json"
STRATEGIC = "application/strategic-merge-patch+json"
APPLY = "application/apply-patch+yaml"
GENERIC = "the server rejected our request due to an error in our request"


async def send(api: Api, path: str, media: str, body: Any, **query: Any) -> Answered:
    return await api.ask("PATCH", path, body, media=media, **query)


def warnings(answer: Answered) -> list[str]:
    return [answer.headers[name] for name in answer.headers if name.lower() == "warning"]


async def test_what_a_patch_may_be(api: Api) -> None:
    (await api.post(CM, config_map("a", x="1"))).ok()
    told = "the body of the request was in an unknown format - accepted media types include: "
    for media in ("application/json", "text/plain", "application/apply-patch+cbor", "application/json-patch"):
        answer = await send(api, f"{CM}/a", media, {})
        assert (answer.code, answer.reason) == (415, "UnsupportedMediaType")
        assert answer.message == told + ", ".join((JSON_PATCH, MERGE, STRATEGIC, APPLY))
    assert (await send(api, f"{CM}/a", f"{MERGE}; charset=utf-8", {})).code == 200
    assert (await send(api, f"{CM}/none", MERGE, {})).message == 'configmaps "none" not found'


OPTIONS = {
    "force of another patch": (MERGE, {"force": "true"}, "force: Forbidden: may not be specified for non-apply patch"),
    "no manager": (APPLY, {}, "fieldManager: Required value: is required for apply patch"),
    "a long manager": (MERGE, {"fieldManager": "x" * 129}, "fieldManager: Too long: may not be more than 128 bytes"),
    "dry run": (MERGE, {"dryRun": "Some"}, 'dryRun: Unsupported value: ["Some"]: supported values: "All"'),
    "a level": (
        STRATEGIC,
        {"fieldValidation": "Odd"},
        'fieldValidation: Unsupported value: "Odd": supported values: "", "Ignore", "Strict", "Warn"',
    ),
    "two at once": (
        JSON_PATCH,
        {"force": "1", "dryRun": "x"},
        "[force: Forbidden: may not be specified for non-apply patch, "
        'dryRun: Unsupported value: ["x"]: supported values: "All"]',
    ),
}


@pytest.mark.parametrize("name", OPTIONS)
async def test_options(api: Api, name: str) -> None:
    media, query, told = OPTIONS[name]
    answer = await send(api, f"{CM}/a", media, {}, **query)
    assert (answer.code, answer.reason) == (422, "Invalid")
    assert answer.message == f'PatchOptions.meta.k8s.io "" is invalid: {told}'
    assert answer.json["details"]["kind"] == "PatchOptions" and answer.json["details"]["group"] == "meta.k8s.io"


UNREADABLE = {
    "no list": (
        JSON_PATCH,
        {"op": "add"},
        "error decoding patch: json: cannot unmarshal object into Go value of type []handlers.jsonPatchOp",
    ),
    "no operation": (
        JSON_PATCH,
        ["x"],
        "error decoding patch: json: cannot unmarshal string into Go value of type handlers.jsonPatchOp",
    ),
    "a path that is none": (
        JSON_PATCH,
        [{"op": "add", "path": 5}],
        "error decoding patch: json: cannot unmarshal number into Go struct field jsonPatchOp.path of type string",
    ),
    "nothing": (JSON_PATCH, b" ", "error decoding patch: unexpected end of JSON input"),
    "half": (MERGE, b"{", "error decoding patch: unexpected end of JSON input"),
    "a list to merge": (
        MERGE,
        [],
        "error decoding patch: json: cannot unmarshal array into Go value of type map[string]interface {}",
    ),
    "null to merge": (MERGE, b"null", "Invalid JSON Patch"),
    "a number to merge": (
        STRATEGIC,
        b"5",
        "json: cannot unmarshal number into Go value of type map[string]interface {}",
    ),
}


@pytest.mark.parametrize("name", UNREADABLE)
async def test_what_is_no_patch(api: Api, name: str) -> None:
    media, body, told = UNREADABLE[name]
    (await api.post(CM, config_map("a", x="1"))).ok()
    answer = await send(api, f"{CM}/a", media, body)
    assert (answer.code, answer.reason, answer.message) == (400, "BadRequest", told)


INAPPLICABLE = {
    "a test that fails": (JSON_PATCH, [{"op": "test", "path": "/data/x", "value": "2"}]),
    "remove what is not there": (JSON_PATCH, [{"op": "remove", "path": "/data/none"}]),
    "below what is not there": (JSON_PATCH, [{"op": "add", "path": "/none/x", "value": 1}]),
    "an operation that is none": (JSON_PATCH, [{"op": "fly", "path": "/data/x"}]),
    "an empty operation": (JSON_PATCH, [{}]),
    "a list of lists": (STRATEGIC, {"metadata": {"finalizers": [["a"]]}}),
    "fields that are not retained": (STRATEGIC, {"data": {"$retainKeys": ["x"], "y": "1"}}),
}


@pytest.mark.parametrize("name", INAPPLICABLE)
async def test_what_does_not_apply(api: Api, name: str) -> None:
    """The original keeps the reason to itself."""
    media, body = INAPPLICABLE[name]
    made = (await api.post(CM, {**config_map("a", x="1"), "metadata": {"name": "a", "finalizers": ["a/b"]}})).ok()
    answer = await send(api, f"{CM}/a", media, body)
    assert (answer.code, answer.reason, answer.message) == (422, "Invalid", GENERIC)
    assert not answer.json.get("details", {}).get("causes")
    assert (await api.get(f"{CM}/a")).ok() == made


async def test_too_many_operations(api: Api) -> None:
    (await api.post(CM, config_map("a", x="1"))).ok()
    body = [{"op": "test", "path": "/data/x", "value": "1"}] * 10_001
    answer = await send(api, f"{CM}/a", JSON_PATCH, body)
    assert (answer.code, answer.reason) == (413, "RequestEntityTooLarge")
    assert answer.message == (
        "Request entity too large: The allowed maximum operations in a JSON patch is 10000, got 10001"
    )
    assert (await send(api, f"{CM}/a", JSON_PATCH, body[:10_000])).code == 200


async def test_paths_of_json_patches(api: Api) -> None:
    made = deployment("d")
    made["metadata"]["annotations"] = {"a/b": "1", "c": "2"}
    (await api.post(DEPLOYMENTS, made)).ok()
    at = "/spec/template/spec/containers"
    body = [
        {"op": "test", "path": "/metadata/annotations/a~1b", "value": "1"},
        {"op": "remove", "path": "/metadata/annotations/c"},
        {"op": "add", "path": f"{at}/-", "value": {"name": "last", "image": "i"}},
        {"op": "add", "path": f"{at}/0", "value": {"name": "first", "image": "i"}},
        {"op": "replace", "path": f"{at}/1/image", "value": "new"},
        {"op": "copy", "from": "/metadata/annotations/a~1b", "path": "/metadata/annotations/copied"},
        {"op": "move", "from": "/metadata/annotations/a~1b", "path": "/metadata/annotations/moved"},
    ]
    after = (await send(api, f"{DEPLOYMENTS}/d", JSON_PATCH, body)).ok()
    assert after["metadata"]["annotations"] == {"copied": "1", "moved": "1"}
    assert [(each["name"], each["image"]) for each in after["spec"]["template"]["spec"]["containers"]] == [
        ("first", "i"),
        ("c", "new"),
        ("last", "i"),
    ]


MISFITS = {
    "json patch": (
        JSON_PATCH,
        [{"op": "replace", "path": "/spec/replicas", "value": "x"}],
        "json: cannot unmarshal string into Go struct field DeploymentSpec.spec.replicas of type int32",
    ),
    "merge patch": (
        MERGE,
        {"spec": {"template": 5}},
        "json: cannot unmarshal number into Go struct field DeploymentSpec.spec.template of type v1.PodTemplateSpec",
    ),
    "strategic number": (STRATEGIC, {"spec": {"replicas": "x"}}, "cannot convert string to int32"),
    "strategic string": (STRATEGIC, {"metadata": {"labels": {"a": 5}}}, "cannot convert int64 to string"),
    "strategic bool": (STRATEGIC, {"spec": {"paused": "x"}}, "cannot convert string to bool"),
    "strategic struct": (STRATEGIC, {"spec": {"template": "x"}}, "cannot restore struct from: string"),
    "strategic map": (STRATEGIC, {"metadata": {"labels": []}}, "cannot restore map from slice"),
    "strategic list": (
        STRATEGIC,
        {"spec": {"template": {"spec": {"containers": {"a": 1}}}}},
        "cannot restore slice from map",
    ),
}


@pytest.mark.parametrize("name", MISFITS)
async def test_what_is_of_the_wrong_type_afterwards(api: Api, name: str) -> None:
    media, body, told = MISFITS[name]
    (await api.post(DEPLOYMENTS, {**deployment("d"), "metadata": {"name": "d", "labels": {"l": "1"}}})).ok()
    answer = await send(api, f"{DEPLOYMENTS}/d", media, body)
    assert (answer.code, answer.reason) == (422, "Invalid")
    assert answer.message.startswith(' "" is invalid: patch: Invalid value: "')
    assert answer.message.endswith(f'": {told}')
    (cause,) = answer.json["details"]["causes"]
    assert (cause["reason"], cause["field"]) == ("FieldValueInvalid", "patch")


async def test_a_strategic_patch_is_shown_as_it_came(api: Api) -> None:
    (await api.post(DEPLOYMENTS, deployment("d"))).ok()
    answer = await send(api, f"{DEPLOYMENTS}/d", STRATEGIC, {"spec": {"replicas": "x", "paused": True}})
    assert answer.message == (
        ' "" is invalid: patch: Invalid value: "map[spec:map[paused:true replicas:x]]": cannot convert string to int32'
    )


DIRECTIVES = {
    "an odd directive": ({"spec": {"$patch": "odd"}}, "unknown patch type: odd in map: map[$patch:odd]"),
    "an item without its key": (
        {"spec": {"template": {"spec": {"containers": [{"image": "x"}]}}}},
        "map: map[image:x] does not contain declared merge key: name",
    ),
    "a deletion without its key": (
        {"spec": {"template": {"spec": {"containers": [{"$patch": "delete"}]}}}},
        "map: map[$patch:delete] does not contain declared merge key: name",
    ),
    "merge as a directive": (
        {"spec": {"template": {"spec": {"containers": [{"$patch": "merge", "name": "c"}]}}}},
        "merging lists cannot yet be specified in the patch",
    ),
}


@pytest.mark.parametrize("name", DIRECTIVES)
async def test_directives_the_original_fails_on(api: Api, name: str) -> None:
    """As in the original: 500 without a reason, which kubectl shows as it is."""
    body, told = DIRECTIVES[name]
    (await api.post(DEPLOYMENTS, deployment("d"))).ok()
    answer = await send(api, f"{DEPLOYMENTS}/d", STRATEGIC, body)
    assert (answer.code, answer.reason, answer.message) == (400, "BadRequest", told)


async def test_bad_formats_of_directives(api: Api) -> None:
    (await api.post(DEPLOYMENTS, deployment("d"))).ok()
    for body, told in (
        ({"metadata": {"$deleteFromPrimitiveList/finalizers": "a"}}, "invalid patch format of primitive list"),
        ({"spec": {"strategy": {"$retainKeys": "x"}}}, "invalid patch format of retainKeys"),
        ({"metadata": {"$setElementOrder/finalizers": "a"}}, "invalid patch format of setElementOrder list"),
    ):
        answer = await send(api, f"{DEPLOYMENTS}/d", STRATEGIC, body)
        assert (answer.code, answer.reason, answer.message) == (400, "BadRequest", told)


async def test_strategic_directives(api: Api) -> None:
    made = deployment("d")
    made["metadata"]["finalizers"] = ["x/a", "x/b", "x/c"]
    made["spec"]["template"]["spec"]["volumes"] = [{"name": "v", "emptyDir": {}}]
    made["spec"]["template"]["spec"]["containers"][0]["ports"] = [{"containerPort": 80}, {"containerPort": 443}]
    (await api.post(DEPLOYMENTS, made)).ok()

    async def patched(spec: dict[str, Any], **metadata: Any) -> dict[str, Any]:
        body = {"metadata": metadata, "spec": {"template": {"spec": spec}}}
        after = (await send(api, f"{DEPLOYMENTS}/d", STRATEGIC, body)).ok()
        return {**after["spec"]["template"]["spec"], "finalizers": after["metadata"].get("finalizers")}

    after = await patched({}, **{"$deleteFromPrimitiveList/finalizers": ["x/b"]})
    assert after["finalizers"] == ["x/a", "x/c"]
    after = await patched({}, **{"$setElementOrder/finalizers": ["x/c", "x/n", "x/a"], "finalizers": ["x/n"]})
    assert after["finalizers"] == ["x/c", "x/n", "x/a"]
    # Of a volume, only one source may stay: the client says which keys it knows of.
    after = await patched(
        {"volumes": [{"name": "v", "$retainKeys": ["name", "configMap"], "configMap": {"name": "c"}}]}
    )
    assert after["volumes"] == [{"name": "v", "configMap": {"name": "c", "defaultMode": 420}}]
    after = await patched({"containers": [{"name": "c", "ports": [{"containerPort": 443, "name": "tls"}]}]})
    assert after["containers"][0]["ports"] == [
        {"containerPort": 80, "protocol": "TCP"},
        {"containerPort": 443, "protocol": "TCP", "name": "tls"},
    ]
    after = await patched({"containers": [{"name": "c", "ports": [{"containerPort": 80, "$patch": "delete"}]}]})
    assert [each["containerPort"] for each in after["containers"][0]["ports"]] == [443]
    after = await patched({"containers": [{"$patch": "replace"}, {"name": "only", "image": "i"}]})
    assert [each["name"] for each in after["containers"]] == ["only"]
    after = await patched({"volumes": [{"name": "v", "$patch": "delete"}]})
    assert not after.get("volumes")


async def test_ports_of_services_merge_by_their_number(api: Api) -> None:
    """The merge key of a Service's ports is `port` alone, while apply tells them apart by protocol too."""
    ports = [{"port": 53, "protocol": "UDP", "name": "dns"}, {"port": 80, "name": "web"}]
    (await api.post(SERVICES, service("s", *ports))).ok()
    body = {"spec": {"ports": [{"port": 80, "targetPort": 8080}]}}
    after = (await send(api, f"{SERVICES}/s", STRATEGIC, body)).ok()
    assert sorted((each["port"], each["name"], each["targetPort"]) for each in after["spec"]["ports"]) == [
        (53, "dns", 53),
        (80, "web", 8080),
    ]


STRICT = {
    "json patch": (
        JSON_PATCH,
        b'[{"op":"add","path":"/spec/unknown1","value":1,"foo":"x"},'
        b'{"op":"add","path":"/spec/paused","path":"/spec/paused","value":true}]',
        [
            'json patch unknown field "[0].foo"',
            'json patch duplicate field "[1].path"',
            'unknown field "spec.unknown1"',
        ],
    ),
    "merge patch": (
        MERGE,
        b'{"spec":{"unknown1":1,"paused":true,"paused":true}}',
        ['duplicate field "spec.paused"', 'unknown field "spec.unknown1"'],
    ),
    "strategic merge patch": (
        STRATEGIC,
        b'{"spec":{"paused":true,"paused":true,"template":{"spec":{"containers":[{"name":"c","odd":1}]}}}}',
        ['duplicate field "spec.paused"', 'unknown field "spec.template.spec.containers[0].odd"'],
    ),
}


@pytest.mark.parametrize("name", STRICT)
async def test_field_validation(api: Api, name: str) -> None:
    media, body, told = STRICT[name]
    (await api.post(DEPLOYMENTS, deployment("d"))).ok()
    answer = await send(api, f"{DEPLOYMENTS}/d", media, body, fieldValidation="Strict")
    assert (answer.code, answer.reason) == (422, "Invalid")
    assert answer.message.startswith(' "" is invalid: patch: Invalid value: "')
    for each in told:
        assert each in answer.message
    assert '": strict decoding error: ' in answer.message
    for level in ({}, {"fieldValidation": "Warn"}):
        answer = await send(api, f"{DEPLOYMENTS}/d", media, body, **level)
        assert answer.ok()["spec"]["paused"] is True or name == "json patch"
        text = json.dumps(warnings(answer))
        assert all(json.dumps(each)[1:-1].replace("\\", "") in text.replace("\\", "") for each in told)
    answer = await send(api, f"{DEPLOYMENTS}/d", media, body, fieldValidation="Ignore")
    assert answer.ok() and not warnings(answer)


async def test_what_a_patch_may_not_change(api: Api) -> None:
    made = (await api.post(CM, config_map("a", x="1"))).ok()
    at = f"{CM}/a"
    for change, code, told in (
        ({"name": "b"}, 400, "the name of the object (b) does not match the name on the URL (a)"),
        (
            {"name": None},
            400,
            "the name of the object (a based on URL) was undeterminable: name must be provided",
        ),
        (
            {"namespace": "other"},
            400,
            "the namespace of the provided object does not match the namespace sent on the request",
        ),
        ({"uid": "other"}, 422, 'ConfigMap "a" is invalid: metadata.uid: Invalid value: "other": field is immutable'),
        (
            {"resourceVersion": "1"},
            409,
            'Operation cannot be fulfilled on configmaps "a": the object has been modified; please apply your changes '
            "to the latest version and try again",
        ),
    ):
        for media in (MERGE, STRATEGIC):
            answer = await send(api, at, media, {"metadata": change})
            assert (answer.code, answer.message) == (code, told)
    current = made["metadata"]["resourceVersion"]
    after = (await send(api, at, MERGE, {"metadata": {"resourceVersion": current}, "data": {"y": "2"}})).ok()
    assert after["data"] == {"x": "1", "y": "2"}
    told = await send(api, at, MERGE, {"metadata": {"resourceVersion": current}, "data": {"z": "3"}})
    assert told.code == 409
    # Strategic merge knows the kind it merges into, whatever the patch says of it.
    assert (await send(api, at, STRATEGIC, {"kind": "Secret", "data": {"k": "1"}})).ok()["kind"] == "ConfigMap"
    answer = await send(api, at, MERGE, {"kind": "Secret"})
    assert answer.code == 422 and "converting (v1.Secret) to (core.ConfigMap): unknown conversion" in answer.message


async def test_a_patch_that_changes_nothing_writes_nothing(api: Api) -> None:
    made = (await api.post(DEPLOYMENTS, deployment("d"))).ok()
    for media, body in (
        (JSON_PATCH, []),
        (JSON_PATCH, [{"op": "replace", "path": "/spec/replicas", "value": 1}]),
        (MERGE, {}),
        (MERGE, {"spec": {"replicas": 1}}),
        (STRATEGIC, {}),
        (STRATEGIC, {"spec": {"template": {"spec": {"containers": [{"name": "c", "image": "nginx"}]}}}}),
        (MERGE, {"metadata": {"generation": 7}}),
        (MERGE, {"status": {"replicas": 9}}),
    ):
        answer = (await send(api, f"{DEPLOYMENTS}/d", media, body, fieldManager="other")).ok()
        assert answer == made, (media, body)


async def test_dry_runs_leave_everything_as_it_is(api: Api) -> None:
    made = (await api.post(CM, config_map("a", x="1"))).ok()
    for media, body in (
        (JSON_PATCH, [{"op": "add", "path": "/data/y", "value": "2"}]),
        (MERGE, {"data": {"y": "2"}}),
        (STRATEGIC, {"data": {"y": "2"}}),
    ):
        assert (await send(api, f"{CM}/a", media, body, dryRun="All")).ok()["data"] == {"x": "1", "y": "2"}
    assert (await api.get(f"{CM}/a")).ok() == made


async def test_patches_of_subresources(api: Api) -> None:
    (await api.post(DEPLOYMENTS, deployment("d"))).ok()
    for media, body in (
        (JSON_PATCH, [{"op": "add", "path": "/status/replicas", "value": 1}]),
        (MERGE, {"status": {"replicas": 2}, "spec": {"replicas": 7}}),
        (STRATEGIC, {"status": {"conditions": [{"type": "A", "status": "True"}]}}),
    ):
        after = (await send(api, f"{DEPLOYMENTS}/d/status", media, body)).ok()
        assert after["spec"]["replicas"] == 1
    after = (
        await send(
            api, f"{DEPLOYMENTS}/d/status", STRATEGIC, {"status": {"conditions": [{"type": "B", "status": "True"}]}}
        )
    ).ok()
    assert sorted(each["type"] for each in after["status"]["conditions"]) == ["A", "B"]
    for media, body in (
        (JSON_PATCH, [{"op": "replace", "path": "/spec/replicas", "value": 3}]),
        (MERGE, {"spec": {"replicas": 3}}),
        (STRATEGIC, {"spec": {"replicas": 3}}),
    ):
        scaled = (await send(api, f"{DEPLOYMENTS}/d/scale", media, body)).ok()
        assert (scaled["kind"], scaled["spec"]) == ("Scale", {"replicas": 3})
    answer = await send(api, f"{DEPLOYMENTS}/d/scale", MERGE, {"spec": {"replicas": -1}})
    assert answer.message == (
        'Scale.autoscaling "d" is invalid: spec.replicas: Invalid value: -1: must be greater than or equal to 0'
    )
    (await api.post(PODS, pod("p"))).ok()
    body = {"spec": {"ephemeralContainers": [{"name": "e", "image": "i"}]}, "metadata": {"labels": {"not": "this"}}}
    debugged = (await send(api, f"{PODS}/p/ephemeralcontainers", STRATEGIC, body)).ok()
    assert [each["name"] for each in debugged["spec"]["ephemeralContainers"]] == ["e"]
    assert "labels" not in debugged["metadata"]


@pytest.mark.conformance("ConfigMap lifecycle")
async def test_the_life_of_a_config_map(api: Api) -> None:
    (await api.post(CM, {**config_map("a", x="1"), "metadata": {"name": "a", "labels": {"static": "true"}}})).ok()
    (await api.post(CM, config_map("other"))).ok()
    body = {"metadata": {"labels": {"test": "patched"}}, "data": {"valueName": "value1"}}
    (await send(api, f"{CM}/a", STRATEGIC, body)).ok()
    after = (await api.get(f"{CM}/a")).ok()
    assert after["metadata"]["labels"] == {"static": "true", "test": "patched"}
    assert after["data"] == {"x": "1", "valueName": "value1"}
    found = (await api.get("/api/v1/configmaps?labelSelector=static%3Dtrue")).ok()["items"]
    assert [(each["metadata"]["name"], each["data"]["valueName"]) for each in found] == [("a", "value1")]
    (await api.delete(f"{CM}?labelSelector=static%3Dtrue")).ok()
    assert (await api.get(CM)).names == ["other"]


@pytest.mark.conformance("Secret patching")
async def test_a_secret_is_patched(api: Api) -> None:
    secrets = "/api/v1/namespaces/default/secrets"
    made = obj("Secret", "s", data={"key": "dmFsdWU="}, labels={"testsecret": "true"}, type="Opaque")
    (await api.post(secrets, made)).ok()
    assert "s" in (await api.get("/api/v1/secrets?labelSelector=testsecret")).names
    body = {"metadata": {"labels": {"testsecret": "patched"}}, "data": {"key": "dmFsdWUx"}}
    (await send(api, f"{secrets}/s", STRATEGIC, body)).ok()
    after = (await api.get(f"{secrets}/s")).ok()
    assert (after["metadata"]["labels"], after["data"]) == ({"testsecret": "patched"}, {"key": "dmFsdWUx"})
    (await api.delete(f"{secrets}?labelSelector=testsecret%3Dpatched")).ok()
    assert "s" not in (await api.get("/api/v1/secrets?labelSelector=testsecret")).names


@pytest.mark.conformance("Namespace, apply changes to a namespace status")
async def test_the_status_of_a_namespace_is_changed(api: Api) -> None:
    (await api.post("/api/v1/namespaces", obj("Namespace", "n"))).ok()
    at = "/api/v1/namespaces/n/status"
    status = (await api.get(at)).ok()["status"]
    assert status["phase"] == "Active"
    condition = {"type": "StatusPatch", "status": "True", "reason": "E2E", "message": "patched"}
    patched = (
        await send(api, at, MERGE, {"metadata": {"annotations": {"p": "true"}}, "status": {"conditions": [condition]}})
    ).ok()
    assert patched["metadata"]["annotations"]["p"] == "true"
    assert patched["status"]["conditions"][0]["message"] == "patched"
    patched["status"]["conditions"].append({**condition, "type": "StatusUpdate", "message": "updated"})
    updated = (await api.put(at, patched)).ok()
    assert [each["message"] for each in updated["status"]["conditions"]] == ["patched", "updated"]
