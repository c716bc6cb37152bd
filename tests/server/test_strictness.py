"""Fields nobody knows, fields that stand twice: refused, warned of or passed over, as `fieldValidation` asks.

The bodies and the expected texts follow the original's own integration test of field validation.
"""

import pytest
from tests.server.world import CM, DEPLOYMENTS, PODS, Answered, Api, config_map, deployment, obj, pod

MERGE, STRATEGIC = "application/merge-patch+json", "application/strategic-merge-patch+json"

JSON_BODY = b"""{
  "apiVersion": "apps/v1", "kind": "Deployment",
  "metadata": {"name": "%s", "labels": {"app": "nginx"}},
  "spec": {
    "unknown1": "val1", "unknownDupe": "valDupe", "unknownDupe": "valDupe2", "paused": true, "paused": false,
    "selector": {"matchLabels": {"app": "nginx"}},
    "template": {"metadata": {"labels": {"app": "nginx"}}, "spec": {"containers": [{
      "name": "nginx", "image": "nginx:latest", "unknownNested": "val1",
      "imagePullPolicy": "Always", "imagePullPolicy": "Never"}]}}}}"""
JSON_FOUND = [
    'unknown field "spec.unknown1"',
    'unknown field "spec.unknownDupe"',
    'duplicate field "spec.paused"',
    'unknown field "spec.template.spec.containers[0].unknownNested"',
    'duplicate field "spec.template.spec.containers[0].imagePullPolicy"',
]
YAML_BODY = b"""apiVersion: apps/v1
kind: Deployment
metadata:
  name: %s
  labels:
    app: nginx
spec:
  unknown1: val1
  unknownDupe: valDupe
  unknownDupe: valDupe2
  paused: true
  paused: false
  selector:
    matchLabels:
      app: nginx
  template:
    metadata:
      labels:
        app: nginx
    spec:
      containers:
      - name: nginx
        image: nginx:latest
        unknownNested: val1
        imagePullPolicy: Always
        imagePullPolicy: Never
"""
YAML_TWICE = [
    'line 10: key "unknownDupe" already set in map',
    'line 12: key "paused" already set in map',
    'line 26: key "imagePullPolicy" already set in map',
]
YAML_UNKNOWN = [
    'unknown field "spec.template.spec.containers[0].unknownNested"',
    'unknown field "spec.unknown1"',
    'unknown field "spec.unknownDupe"',
]
REFUSED = 'Deployment in version "v1" cannot be handled as a Deployment: strict decoding error: '


def warned(answer: Answered) -> list[str]:
    """The texts of the Warning headers."""
    text = answer.headers.get("warning", "")
    return [each.removesuffix('"').replace('\\"', '"') for each in text.split('299 - "')[1:]] if text else []


def cleaned(texts: list[str]) -> list[str]:
    return [each.rstrip(", ").removesuffix('"') if each.endswith('", ') else each for each in texts]


async def test_json_is_told_in_the_order_it_stands(api: Api) -> None:
    strict = await api.post(DEPLOYMENTS, JSON_BODY % b"strict", fieldValidation="Strict")
    assert (strict.code, strict.reason) == (400, "BadRequest")
    assert strict.message == REFUSED + ", ".join(JSON_FOUND)
    for level, name in (("Warn", b"warn"), ("", b"default")):
        more = {"fieldValidation": level} if level else {}
        answer = await api.post(DEPLOYMENTS, JSON_BODY % name, **more)
        assert answer.code == 201 and cleaned(warned(answer)) == JSON_FOUND
        assert answer.json["spec"]["paused"] is False if "paused" in answer.json["spec"] else True
        assert "unknown1" not in answer.json["spec"]
    quiet = await api.post(DEPLOYMENTS, JSON_BODY % b"ignore", fieldValidation="Ignore")
    assert quiet.code == 201 and "warning" not in quiet.headers


async def test_yaml_is_told_by_its_lines(api: Api) -> None:
    strict = await api.post(DEPLOYMENTS, YAML_BODY % b"strict", media="application/yaml", fieldValidation="Strict")
    assert strict.code == 400
    lines = "yaml: unmarshal errors:\n  " + "\n  ".join(YAML_TWICE)
    assert strict.message == REFUSED + ", ".join([lines, *YAML_UNKNOWN])
    answer = await api.post(DEPLOYMENTS, YAML_BODY % b"warn", media="application/yaml")
    assert answer.code == 201 and cleaned(warned(answer)) == [*YAML_TWICE, *YAML_UNKNOWN]
    quiet = await api.post(DEPLOYMENTS, YAML_BODY % b"ignore", media="application/yaml", fieldValidation="Ignore")
    assert quiet.code == 201 and "warning" not in quiet.headers
    assert quiet.json["spec"]["template"]["spec"]["containers"][0]["imagePullPolicy"] == "Never"  # the last holds


async def test_updates_are_read_as_strictly(api: Api) -> None:
    (await api.post(DEPLOYMENTS, deployment("d"))).ok()
    body = JSON_BODY.replace(b"nginx", b"d") % b"d"
    for at in (f"{DEPLOYMENTS}/d", f"{DEPLOYMENTS}/d/status"):
        strict = await api.put(at, body, fieldValidation="Strict")
        assert strict.code == 400 and strict.message == REFUSED + ", ".join(JSON_FOUND)
        assert cleaned(warned(await api.put(at, body))) == JSON_FOUND
        assert not warned(await api.put(at, body, fieldValidation="Ignore"))


@pytest.mark.parametrize("media", [MERGE, STRATEGIC])
async def test_patches_are_read_as_strictly(api: Api, media: str) -> None:
    (await api.post(DEPLOYMENTS, deployment("d"))).ok()
    patch = {"spec": {"foo": "bar", "template": {"nope": 1}}}
    for at in (f"{DEPLOYMENTS}/d", f"{DEPLOYMENTS}/d/status"):
        strict = await api.ask("PATCH", at, patch, media=media, fieldValidation="Strict")
        assert (strict.code, strict.reason) == (422, "Invalid")
        found = {'unknown field "spec.foo"', 'unknown field "spec.template.nope"'}
        assert set(strict.message.partition("strict decoding error: ")[2].split(", ")) == found
        loose = await api.ask("PATCH", at, patch, media=media)
        assert loose.code == 200
        assert set(cleaned(warned(loose))) == found
        quiet = await api.ask("PATCH", at, patch, media=media, fieldValidation="Ignore")
        assert quiet.code == 200 and not warned(quiet)


async def test_subresources_with_bodies_of_their_own(api: Api) -> None:
    (await api.post(DEPLOYMENTS, deployment("d"))).ok()
    scale = (await api.get(f"{DEPLOYMENTS}/d/scale")).ok()
    wrong = {**scale, "spec": {"replicas": 2, "nope": 1}}
    strict = await api.put(f"{DEPLOYMENTS}/d/scale", wrong, fieldValidation="Strict")
    assert strict.code == 400 and 'strict decoding error: unknown field "spec.nope"' in strict.message
    assert warned(await api.put(f"{DEPLOYMENTS}/d/scale", wrong)) == ['unknown field "spec.nope"']
    (await api.post(PODS, pod("p"))).ok()
    for kind, path, version in (("Binding", "binding", "v1"), ("Eviction", "eviction", "policy/v1")):
        body = {**obj(kind, "p", version), "nope": 1}
        refused = await api.post(f"{PODS}/p/{path}", body, fieldValidation="Strict")
        assert refused.code == 400 and 'unknown field "nope"' in refused.message


@pytest.mark.conformance("Server side field validation, typed unknown metadata")
async def test_metadata_nobody_knows(api: Api) -> None:
    body = deployment("d")
    body["metadata"]["unknownMeta"] = "foo"
    body["spec"]["template"]["metadata"]["unknownInner"] = "bar"
    strict = await api.post(DEPLOYMENTS, body, fieldValidation="Strict")
    assert strict.code == 400 and strict.message == REFUSED + (
        'unknown field "metadata.unknownMeta", unknown field "spec.template.metadata.unknownInner"'
    )


async def test_names_of_fields_know_upper_from_lower_case(api: Api) -> None:
    answer = await api.post(CM, {**config_map("a"), "Data": {"k": "v"}, "data": {"x": "1"}})
    assert answer.code == 201 and warned(answer) == ['unknown field "Data"'] and answer.json["data"] == {"x": "1"}
    kindless = {"apiVersion": "v1", "Kind": "ConfigMap", "metadata": {"name": "b"}}
    assert warned(await api.post(CM, kindless)) == ['unknown field "Kind"']


async def test_a_level_that_is_none(api: Api) -> None:
    for method, at, kind, media in (
        ("POST", CM, "CreateOptions", ""), ("PUT", f"{CM}/a", "UpdateOptions", ""),
        ("PATCH", f"{CM}/a", "PatchOptions", MERGE),
    ):  # fmt: skip
        answer = await api.ask(method, at, config_map("a"), media=media or "application/json", fieldValidation="Maybe")
        assert (answer.code, answer.reason) == (422, "Invalid"), method
        assert answer.message == (
            f'{kind}.meta.k8s.io "" is invalid: fieldValidation: Unsupported value: "Maybe": supported values: '
            '"", "Ignore", "Strict", "Warn"'
        )
        assert answer.json["details"]["causes"][0]["field"] == "fieldValidation"


async def test_a_hundred_problems_are_enough(api: Api) -> None:
    body = {**config_map("a"), **{f"x{n:04}": n for n in range(3000)}}
    strict = await api.post(CM, body, fieldValidation="Strict")
    assert strict.code == 400 and strict.message.count("unknown field") == 100
    assert len(warned(await api.post(CM, body))) == 100


async def test_fields_that_no_header_can_carry(api: Api) -> None:
    wordy = {f"{n}" + "x" * 290: 1 for n in range(60)}
    many = await api.post(CM, {**config_map("a"), **wordy}, dryRun="All")
    assert many.code == 201 and 2000 < len(many.headers["warning"]) < 6000
    for odd in ("a\u0000b", "a\nb", "\u4e2d\u6587", 'q"q', "\\"):
        answer = await api.post(CM, {**config_map("a"), odd: 1}, dryRun="All")
        assert answer.code == 201, (odd, answer.body)
