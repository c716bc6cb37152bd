"""create, update, patch and apply, as transcripts."""

import asyncio

import orjson
import pytest
from tests.server.world import ACCOUNTS, CM, DEPLOYMENTS, PODS, Api, World, config_map, deployment, obj, pod, service

STRATEGIC = "application/strategic-merge-patch+json"
JSON_PATCH = "application/json-patch+json"


# --- create


async def test_generated_names(api: Api) -> None:
    made = [(await api.post(CM, {**config_map(""), "metadata": {"generateName": "job-"}})).ok(201) for _ in range(5)]
    names = {each["metadata"]["name"] for each in made}
    assert len(names) == 5 and all(name.startswith("job-") and len(name) == 9 for name in names)
    long = (await api.post(CM, {**config_map(""), "metadata": {"generateName": "x" * 100}})).ok(201)
    assert len(long["metadata"]["name"]) == 63


async def test_what_a_create_may_not_say(api: Api) -> None:
    (await api.post(CM, config_map("a"))).ok(201)
    taken = await api.post(CM, config_map("a"))
    assert (taken.code, taken.reason, taken.message) == (409, "AlreadyExists", 'configmaps "a" already exists')
    for body, code, words in (
        (
            {**config_map("b"), "metadata": {"name": "b", "resourceVersion": "5"}},
            400,
            "resourceVersion should not be set",
        ),
        (
            {**config_map("b"), "metadata": {"name": "b", "namespace": "kube-system"}},
            400,
            "namespace of the provided object",
        ),
        ({**config_map("b"), "metadata": {}}, 422, "name or generateName is required"),
        ({**config_map("UPPER")}, 422, "a lowercase RFC 1123 subdomain must consist of"),
        ({**config_map("b"), "kind": "Secret"}, 400, "cannot be handled as a ConfigMap"),
        ({**config_map("b"), "apiVersion": "v2"}, 400, 'no kind "ConfigMap" is registered for version "v2"'),
        ({**config_map("b"), "data": {"a b": "x"}}, 422, "a valid config key must consist of"),
        ({**config_map("b"), "data": {"a": 5}}, 400, "cannot be handled as a ConfigMap"),
        ({**config_map("b"), "data": "text"}, 400, "cannot be handled as a ConfigMap"),
        ([], 400, "the object provided is unrecognized (must be of type ConfigMap)"),
    ):
        answer = await api.post(CM, body)
        assert answer.code == code and words in answer.message, (body, answer.body)
    nowhere = await api.post("/api/v1/namespaces/none/configmaps", config_map("b"))
    assert (nowhere.code, nowhere.message) == (404, 'namespaces "none" not found')
    assert (await api.post("/api/v1/configmaps", config_map("b"))).code in (400, 405)


async def test_every_problem_is_told_with_its_path(api: Api) -> None:
    wrong = pod("p", restartPolicy="Sometimes")
    wrong["spec"]["containers"] = [{"name": "C", "image": ""}]
    answer = await api.post(PODS, wrong)
    assert answer.code == 422
    fields = {each["field"] for each in answer.json["details"]["causes"]}
    assert {"spec.restartPolicy", "spec.containers[0].name", "spec.containers[0].image"} <= fields
    assert answer.json["details"]["kind"] == "Pod"


async def test_defaults_are_written(api: Api) -> None:
    made = (await api.post(PODS, pod("p"))).ok(201)
    spec = made["spec"]
    assert (spec["restartPolicy"], spec["dnsPolicy"], spec["terminationGracePeriodSeconds"]) == (
        "Always",
        "ClusterFirst",
        30,
    )
    assert spec["containers"][0]["terminationMessagePath"] == "/dev/termination-log"
    assert made["status"] == {"phase": "Pending", "qosClass": "BestEffort"}
    assert (await api.post(DEPLOYMENTS, deployment("d"))).ok(201)["spec"]["strategy"]["type"] == "RollingUpdate"


async def test_a_dry_run_leaves_nothing(both: World) -> None:
    api = both.admin
    revision = (await api.get(CM)).revision
    made = (await api.post(CM, config_map("a", x="1"), dryRun="All")).ok(201)
    assert made["metadata"]["uid"] and made["data"] == {"x": "1"}
    assert (await api.get(f"{CM}/a")).code == 404 and (await api.get(CM)).revision == revision
    (await api.post(CM, config_map("a", x="1"))).ok(201)
    assert (await api.merge(f"{CM}/a", {"data": {"x": "2"}}, dryRun="All")).ok()["data"] == {"x": "2"}
    assert (await api.put(f"{CM}/a", config_map("a", x="3"), dryRun="All")).ok()["data"] == {"x": "3"}
    assert (await api.apply(f"{CM}/b", config_map("b"), dryRun="All")).ok(201)
    assert (await api.delete(f"{CM}/a", dryRun="All")).code == 200
    assert (await api.delete(f"{CM}/a", {"dryRun": ["All"]})).code == 200
    assert (await api.delete(CM, dryRun="All")).code == 200
    assert (await api.get(f"{CM}/a")).ok()["data"] == {"x": "1"}
    assert (await api.get(CM)).names == ["a"]
    assert (await api.post(CM, config_map("c"), dryRun="Some")).code == 422
    assert (await api.post(CM, config_map("a"), dryRun="All")).code == 409


async def test_field_validation(api: Api) -> None:
    body = {**config_map("a"), "spec": {}, "data": {"k": "v"}}
    strict = await api.post(CM, body, fieldValidation="Strict")
    assert strict.code == 400 and 'strict decoding error: unknown field "spec"' in strict.message
    warned = await api.post(CM, body)
    assert warned.code == 201 and warned.headers["warning"] == '299 - "unknown field \\"spec\\""'
    assert "spec" not in warned.json
    quiet = await api.post(CM, {**body, "metadata": {"name": "b"}}, fieldValidation="Ignore")
    assert quiet.code == 201 and "warning" not in quiet.headers
    assert (await api.post(CM, {**body, "metadata": {"name": "c"}}, fieldValidation="Maybe")).code in (400, 422)
    twice = b'{"kind":"ConfigMap","apiVersion":"v1","metadata":{"name":"d"},"data":{"a":"1","a":"2"}}'
    assert (await api.post(CM, twice, fieldValidation="Strict")).code == 400
    told = await api.post(CM, twice)
    assert told.code == 201 and 'duplicate field \\"data.a\\"' in told.headers["warning"]
    patched = await api.merge(f"{CM}/a", {"spec": 1}, fieldValidation="Strict")
    assert patched.code in (400, 422) and "unknown field" in patched.message


async def test_yaml_is_read(api: Api) -> None:
    text = b"kind: ConfigMap\napiVersion: v1\nmetadata: {name: text}\ndata:\n  k: |\n    one\n    two\n"
    text += b"  d: '2020-01-01'\n  t: 2020-01-01\n"
    made = (await api.post(CM, text, media="application/yaml")).ok(201)
    assert made["data"] == {"k": "one\ntwo\n", "d": "2020-01-01", "t": "2020-01-01"}


@pytest.mark.parametrize("acted_on", [False, True])
async def test_a_warning_for_kinds_nobody_acts_on(
    world: World, monkeypatch: pytest.MonkeyPatch, acted_on: bool
) -> None:
    spec = world.server.parts.registry.get("networking.k8s.io", "v1", "ingressclasses")
    monkeypatch.setattr(spec, "acted_on", acted_on)
    body = obj("IngressClass", "i", "networking.k8s.io/v1", spec={"controller": "example.com/c"})
    made = await world.admin.post("/apis/networking.k8s.io/v1/ingressclasses", body)
    assert made.code == 201
    warned = "no controller of this cluster acts on IngressClass yet" in made.headers.get("warning", "")
    assert warned is not acted_on


# --- update


async def test_updates_conflict(both: World) -> None:
    api = both.admin
    first = (await api.post(CM, config_map("a", x="1"))).ok()
    second = (await api.put(f"{CM}/a", {**first, "data": {"x": "2"}})).ok()
    assert int(second["metadata"]["resourceVersion"]) > int(first["metadata"]["resourceVersion"])
    late = await api.put(f"{CM}/a", {**first, "data": {"x": "3"}})
    assert (late.code, late.reason) == (409, "Conflict")
    assert late.message == (
        'Operation cannot be fulfilled on configmaps "a": the object has been modified; please apply your changes to '
        "the latest version and try again"
    )
    # Without a revision it overwrites; with another UID it does not.
    assert (await api.put(f"{CM}/a", config_map("a", x="4"))).ok()["data"] == {"x": "4"}
    other = await api.put(f"{CM}/a", {**config_map("a"), "metadata": {"name": "a", "uid": "other"}})
    assert other.code == 409 and "Precondition failed: UID in precondition: other" in other.message
    assert (await api.put(f"{CM}/b", config_map("b"))).code == 404
    assert (await api.put(f"{CM}/a", config_map("b"))).code == 400


async def test_a_write_that_changes_nothing_has_no_revision(both: World) -> None:
    api = both.admin
    made = (await api.post(DEPLOYMENTS, deployment("d"))).ok()
    assert (await api.put(f"{DEPLOYMENTS}/d", made)).ok() == made
    assert (await api.put(f"{DEPLOYMENTS}/d", deployment("d"))).ok() == made
    assert (await api.merge(f"{DEPLOYMENTS}/d", {"spec": {"replicas": 1}})).ok() == made
    applied = (await api.apply(f"{DEPLOYMENTS}/e", deployment("e"))).ok(201)
    assert (await api.apply(f"{DEPLOYMENTS}/e", deployment("e"))).ok(200) == applied
    await asyncio.sleep(1.1)
    assert (await api.apply(f"{DEPLOYMENTS}/e", deployment("e"))).ok(200) == applied
    assert (await api.put(f"{DEPLOYMENTS}/d", made)).ok() == made


async def test_what_nobody_may_change(api: Api) -> None:
    made = (await api.post(CM, config_map("a"))).ok()
    meta = {**made["metadata"], "creationTimestamp": "2001-01-01T00:00:00Z", "generateName": "g-", "selfLink": "/x"}
    after = (await api.put(f"{CM}/a", {**made, "metadata": meta})).ok()["metadata"]
    assert after["creationTimestamp"] == made["metadata"]["creationTimestamp"]
    assert "selfLink" not in after
    for name, value in (("deletionTimestamp", "2001-01-01T00:00:00Z"), ("deletionGracePeriodSeconds", 5)):
        refused = await api.merge(f"{CM}/a", {"metadata": {name: value}})
        assert refused.code == 422 and f"metadata.{name}: Invalid value" in refused.message
        assert refused.message.endswith("field is immutable")
    assert (await api.merge(f"{CM}/a", {"metadata": {"name": "b"}})).code in (400, 422)
    (await api.post(PODS, pod("p"))).ok()
    moved = await api.merge(f"{PODS}/p", {"spec": {"nodeName": "n"}})
    assert moved.code == 422 and "pod updates may not change fields other than" in moved.message


async def test_generation_and_status_are_apart(both: World) -> None:
    api = both.admin
    made = (await api.post(DEPLOYMENTS, {**deployment("d"), "status": {"replicas": 9}})).ok()
    assert made["metadata"]["generation"] == 1 and made["status"].get("replicas", 0) == 0
    scaled = (await api.merge(f"{DEPLOYMENTS}/d", {"spec": {"replicas": 2}, "status": {"replicas": 9}})).ok()
    assert scaled["metadata"]["generation"] == 2 and scaled["status"].get("replicas", 0) == 0
    labelled = (await api.merge(f"{DEPLOYMENTS}/d", {"metadata": {"labels": {"a": "b"}}})).ok()
    assert labelled["metadata"]["generation"] == 2
    told = (
        await api.put(
            f"{DEPLOYMENTS}/d/status",
            {
                **labelled,
                "spec": {**labelled["spec"], "replicas": 7},
                "status": {"replicas": 2, "observedGeneration": 2},
            },
        )
    ).ok()
    assert told["spec"]["replicas"] == 2 and told["status"] == {"replicas": 2, "observedGeneration": 2}
    assert told["metadata"]["generation"] == 2
    patched = (
        await api.merge(f"{DEPLOYMENTS}/d/status", {"spec": {"replicas": 7}, "status": {"readyReplicas": 1}})
    ).ok()
    assert patched["spec"]["replicas"] == 2 and patched["status"]["readyReplicas"] == 1
    assert (await api.get(f"{DEPLOYMENTS}/d/status")).ok() == patched
    assert (await api.get(f"{CM}/x/status")).code == 404
    assert (await api.put(f"{DEPLOYMENTS}/d/status", labelled)).code == 409


# --- patch


async def test_three_kinds_of_patch(both: World) -> None:
    api = both.admin
    (await api.post(DEPLOYMENTS, deployment("d"))).ok()
    one = await api.ask(
        "PATCH",
        f"{DEPLOYMENTS}/d",
        media=STRATEGIC,
        body={"spec": {"template": {"spec": {"containers": [{"name": "side", "image": "s"}]}}}},
    )
    assert [c["name"] for c in one.ok()["spec"]["template"]["spec"]["containers"]] == ["side", "c"]
    gone = await api.ask(
        "PATCH",
        f"{DEPLOYMENTS}/d",
        media=STRATEGIC,
        body={"spec": {"template": {"spec": {"containers": [{"$patch": "delete", "name": "side"}]}}}},
    )
    assert [c["name"] for c in gone.ok()["spec"]["template"]["spec"]["containers"]] == ["c"]
    two = await api.merge(f"{DEPLOYMENTS}/d", {"metadata": {"labels": {"a": "1", "b": "2"}}})
    assert two.ok()["metadata"]["labels"] == {"a": "1", "b": "2"}
    assert (await api.merge(f"{DEPLOYMENTS}/d", {"metadata": {"labels": {"a": None}}})).ok()["metadata"]["labels"] == {
        "b": "2"
    }
    three = await api.ask(
        "PATCH",
        f"{DEPLOYMENTS}/d",
        media=JSON_PATCH,
        body=[
            {"op": "test", "path": "/spec/replicas", "value": 1},
            {"op": "replace", "path": "/spec/replicas", "value": 3},
            {"op": "add", "path": "/metadata/annotations", "value": {"x/y": "z"}},
        ],
    )
    assert three.ok()["spec"]["replicas"] == 3 and three.json["metadata"]["annotations"] == {"x/y": "z"}


async def test_patches_that_are_refused(api: Api) -> None:
    made = (await api.post(CM, config_map("a", x="1"))).ok()
    at = f"{CM}/a"
    for media, body, codes in (
        (JSON_PATCH, [{"op": "test", "path": "/data/x", "value": "2"}], (422,)),
        (JSON_PATCH, [{"op": "remove", "path": "/data/none"}], (422,)),
        (JSON_PATCH, [{"op": "fly", "path": "/data/x"}], (400, 422)),
        (JSON_PATCH, {"op": "add"}, (400,)),
        (JSON_PATCH, [{"op": "add", "path": "/metadata", "value": 5}], (400, 422)),
        (JSON_PATCH, [{"op": "replace", "path": "", "value": []}], (400, 422)),
        ("application/merge-patch+json", [], (400,)),
        ("application/merge-patch+json", b"{", (400,)),
        ("application/merge-patch+json", {"metadata": None}, (400, 422, 200)),
        ("application/merge-patch+json", {"kind": "Secret"}, (422,)),
        ("application/merge-patch+json", {"data": {"x": 5}}, (422,)),
        ("application/merge-patch+json", {"metadata": {"resourceVersion": "1"}}, (409,)),
        ("application/merge-patch+json", {"metadata": {"uid": "other"}}, (422,)),
        (STRATEGIC, {"data": []}, (422,)),
        (STRATEGIC, {"$patch": "fly"}, (400,)),
        ("application/json", {}, (415,)),
        ("text/plain", b"x", (415,)),
    ):
        answer = await api.ask("PATCH", at, body, media=media)
        assert answer.code in codes, (media, body, answer.code, answer.body)
    assert (await api.get(at)).ok()["data"] == made["data"]
    many = [{"op": "test", "path": "/data/x", "value": "1"}] * 10_001
    assert (await api.ask("PATCH", at, many, media=JSON_PATCH)).code == 413
    assert (await api.merge(f"{CM}/none", {})).code == 404


async def test_patches_of_many_at_once_all_arrive(both: World) -> None:
    api = both.admin
    (await api.post(CM, config_map("a"))).ok()
    answers = await asyncio.gather(*(api.merge(f"{CM}/a", {"data": {f"k{n}": str(n)}}) for n in range(15)))
    assert {each.code for each in answers} == {200}
    assert len((await api.get(f"{CM}/a")).json["data"]) == 15


# --- apply


async def test_apply_creates_updates_and_takes_away(both: World) -> None:
    api = both.admin
    made = (await api.apply(f"{CM}/a", config_map("a", x="1", y="2"))).ok(201)
    entry = made["metadata"]["managedFields"][0]
    assert (entry["manager"], entry["operation"]) == ("tester", "Apply")
    assert entry["fieldsV1"] == {"f:data": {"f:x": {}, "f:y": {}}}
    after = (await api.apply(f"{CM}/a", config_map("a", x="1", z="3"))).ok(200)
    assert after["data"] == {"x": "1", "z": "3"}


async def test_apply_conflicts_are_told_and_forced(both: World) -> None:
    api = both.admin
    (await api.apply(f"{DEPLOYMENTS}/d", deployment("d", 1), manager="one")).ok(201)
    conflict = await api.apply(f"{DEPLOYMENTS}/d", deployment("d", 2), manager="two")
    assert (conflict.code, conflict.reason) == (409, "Conflict")
    assert 'conflict with "one": .spec.replicas' in conflict.message
    assert conflict.json["details"]["causes"][0]["field"] == ".spec.replicas"
    forced = (await api.apply(f"{DEPLOYMENTS}/d", deployment("d", 2), manager="two", force="true")).ok()
    assert forced["spec"]["replicas"] == 2
    # one has lost it: applying without it takes nothing away
    bare = deployment("d", 1)
    del bare["spec"]["replicas"]
    assert (await api.apply(f"{DEPLOYMENTS}/d", bare, manager="one")).ok()["spec"]["replicas"] == 2
    # an Update by a third takes it over
    (await api.merge(f"{DEPLOYMENTS}/d", {"spec": {"replicas": 5}}, fieldManager="three")).ok()
    assert (await api.apply(f"{DEPLOYMENTS}/d", deployment("d", 2), manager="two")).code == 409


async def test_apply_removes_items_by_key(api: Api) -> None:
    two = deployment("d")
    two["spec"]["template"]["spec"]["containers"].append(
        {"name": "side", "image": "s", "ports": [{"containerPort": 80}]}
    )
    (await api.apply(f"{DEPLOYMENTS}/d", two)).ok(201)
    after = (await api.apply(f"{DEPLOYMENTS}/d", deployment("d"))).ok()
    assert [each["name"] for each in after["spec"]["template"]["spec"]["containers"]] == ["c"]


async def test_what_apply_asks(api: Api) -> None:
    without = await api.ask("PATCH", f"{CM}/a", config_map("a"), media="application/apply-patch+yaml")
    assert without.code == 422 and "is required for apply patch" in without.message
    assert (await api.apply(f"{CM}/a", config_map("b"))).code == 400
    managed = {**config_map("a"), "metadata": {"name": "a", "managedFields": [{}]}}
    assert "managedFields must be nil" in (await api.apply(f"{CM}/a", managed)).message
    assert (await api.apply(f"{CM}/a", {**config_map("a"), "metadata": {"name": "a", "uid": "x"}})).code == 409
    yaml = b"kind: ConfigMap\napiVersion: v1\nmetadata: {name: a}\ndata: {k: v}\n"
    assert (await api.apply(f"{CM}/a", yaml)).ok(201)["data"] == {"k": "v"}
    assert (await api.apply(f"{CM}/a", {"metadata": {"name": "a"}})).code in (200, 400)
    status = {**deployment("d"), "status": {"replicas": 3}}
    assert (await api.apply(f"{DEPLOYMENTS}/d", status)).ok(201)["status"].get("replicas", 0) == 0
    assert (await api.apply(f"{DEPLOYMENTS}/none/status", {**deployment("none")})).code == 404
    told = {"kind": "Deployment", "apiVersion": "apps/v1", "metadata": {"name": "d"}, "status": {"replicas": 3}}
    assert (await api.apply(f"{DEPLOYMENTS}/d/status", told)).ok()["status"]["replicas"] == 3
    unknown = await api.apply(f"{CM}/u", {**config_map("u"), "spec": {}}, fieldValidation="Strict")
    assert unknown.code in (400, 500) and "spec" in unknown.message


async def test_who_changed_what_is_kept(api: Api) -> None:
    (await api.post(DEPLOYMENTS, deployment("d"), fieldManager="maker")).ok()
    (await api.merge(f"{DEPLOYMENTS}/d/status", {"status": {"replicas": 1}}, fieldManager="teller")).ok()
    entries = (await api.get(f"{DEPLOYMENTS}/d")).json["metadata"]["managedFields"]
    assert [(e["manager"], e["operation"], e.get("subresource", "")) for e in entries] == [
        ("maker", "Update", ""),
        ("teller", "Update", "status"),
    ]
    agent = await api.ask("POST", CM, config_map("a"), headers={"User-Agent": "kubectl/v1.32.0 (linux/amd64)"})
    assert agent.ok()["metadata"]["managedFields"][0]["manager"] == "kubectl"
    assert (await api.post(CM, config_map("b"), fieldManager="x" * 200)).code in (400, 422)


# --- admission


async def test_pods_get_an_account_and_tolerations(api: Api) -> None:
    spec = (await api.post(PODS, pod("p"))).ok()["spec"]
    assert spec["serviceAccountName"] == spec["serviceAccount"] == "default"
    volume = spec["volumes"][0]
    assert volume["name"].startswith("kube-api-access-") and len(volume["projected"]["sources"]) == 3
    mount = spec["containers"][0]["volumeMounts"][0]
    assert mount == {
        "name": volume["name"],
        "readOnly": True,
        "mountPath": "/var/run/secrets/kubernetes.io/serviceaccount",
    }
    assert [(each["key"], each["tolerationSeconds"]) for each in spec["tolerations"]] == [
        ("node.kubernetes.io/not-ready", 300),
        ("node.kubernetes.io/unreachable", 300),
    ]
    absent = await api.post(PODS, pod("q", serviceAccountName="nobody"))
    assert absent.code == 403 and 'serviceaccount "nobody" not found' in absent.message
    (
        await api.post(
            ACCOUNTS,
            {
                **obj("ServiceAccount", "quiet"),
                "automountServiceAccountToken": False,
                "imagePullSecrets": [{"name": "s"}],
            },
        )
    ).ok()
    quiet = (await api.post(PODS, pod("quiet", serviceAccountName="quiet"))).ok()["spec"]
    assert "volumes" not in quiet and quiet["imagePullSecrets"] == [{"name": "s"}]
    loud = (await api.post(PODS, pod("loud", serviceAccountName="quiet", automountServiceAccountToken=True))).ok()[
        "spec"
    ]
    assert loud["volumes"]
    own = pod(
        "own",
        tolerations=[
            {"key": "node.kubernetes.io/not-ready", "operator": "Exists", "effect": "NoExecute"},
            {"key": "x", "operator": "Exists"},
        ],
    )
    keys = [each["key"] for each in (await api.post(PODS, own)).ok()["spec"]["tolerations"]]
    assert keys == ["node.kubernetes.io/not-ready", "x", "node.kubernetes.io/unreachable"]


async def test_nothing_is_made_in_a_namespace_that_is_going(api: Api) -> None:
    made = (await api.post("/api/v1/namespaces", obj("Namespace", "x"))).ok(201)
    assert made["spec"]["finalizers"] == ["kubernetes"] and made["status"]["phase"] == "Active"
    assert made["metadata"]["labels"] == {"kubernetes.io/metadata.name": "x"}
    (await api.post("/api/v1/namespaces/x/configmaps", config_map("a"))).ok()
    going = (await api.delete("/api/v1/namespaces/x")).ok()
    assert going["status"]["phase"] == "Terminating" and going["metadata"]["deletionTimestamp"]
    refused = await api.post("/api/v1/namespaces/x/configmaps", config_map("b"))
    assert refused.code == 403
    assert refused.json["details"]["causes"][0]["reason"] == "NamespaceTerminating"
    assert (await api.merge("/api/v1/namespaces/x/configmaps/a", {"data": {"k": "v"}})).code == 200
    for name in ("default", "kube-system", "kube-public"):
        assert (await api.delete(f"/api/v1/namespaces/{name}")).code == 403
    ended = (await api.get("/api/v1/namespaces/x")).ok()
    ended["spec"] = {}
    (await api.put("/api/v1/namespaces/x/finalize", ended)).ok()
    assert (await api.get("/api/v1/namespaces/x")).code == 404


async def test_plugins_are_chosen_by_name() -> None:
    from tests.server.world import running

    async for world in running(disable_admission_plugins=("DefaultTolerationSeconds",)):
        assert "tolerations" not in (await world.admin.post(PODS, pod("p"))).ok()["spec"]
    for name in ("Nonsense", "ImagePolicyWebhook"):
        with pytest.raises(ValueError, match=name):
            async for _ in running(enable_admission_plugins=(name,)):
                pass


# --- shared storage


async def test_events_in_two_groups_are_the_same(both: World) -> None:
    api = both.admin
    core, new = "/api/v1/namespaces/default/events", "/apis/events.k8s.io/v1/namespaces/default/events"
    event = obj(
        "Event",
        "e",
        involvedObject={"kind": "Pod", "name": "p", "namespace": "default"},
        reason="Started",
        message="hello",
        type="Normal",
        source={"component": "me"},
        count=2,
    )
    (await api.post(core, event)).ok(201)
    seen = (await api.get(f"{new}/e")).ok()
    assert (seen["apiVersion"], seen["note"], seen["regarding"]["name"], seen["deprecatedCount"]) == (
        "events.k8s.io/v1",
        "hello",
        "p",
        2,
    )
    other = obj(
        "Event",
        "f",
        "events.k8s.io/v1",
        eventTime="2024-01-01T00:00:00.000000Z",
        reportingController="c/d",
        reportingInstance="i",
        action="Do",
        reason="Because",
        type="Normal",
        note="n",
        regarding={"kind": "Pod", "name": "p", "namespace": "default"},
    )
    (await api.post(new, other)).ok(201)
    back = (await api.get(f"{core}/f")).ok()
    assert (back["apiVersion"], back["message"], back["reportingComponent"]) == ("v1", "n", "c/d")
    assert (await api.get(core)).names == (await api.get(new)).names == ["e", "f"]
    assert (await api.get(core, fieldSelector="involvedObject.name=p,reason=Started")).names == ["e"]
    async with await api.watch(new, resourceVersion="0") as watch:
        assert (await watch.next())["object"]["apiVersion"] == "events.k8s.io/v1"
    patched = (
        await api.merge(f"{new}/f", {"series": {"count": 2, "lastObservedTime": "2024-01-01T00:00:01.000000Z"}})
    ).ok()
    assert patched["series"]["count"] == 2 and (await api.get(f"{core}/f")).json["series"]["count"] == 2
    for fields in patched["metadata"]["managedFields"]:
        assert fields["apiVersion"] in ("events.k8s.io/v1", "v1")


async def test_autoscalers_in_two_versions_are_the_same(api: Api) -> None:
    v1 = "/apis/autoscaling/v1/namespaces/default/horizontalpodautoscalers"
    v2 = "/apis/autoscaling/v2/namespaces/default/horizontalpodautoscalers"
    body = obj(
        "HorizontalPodAutoscaler",
        "h",
        "autoscaling/v1",
        spec={
            "maxReplicas": 5,
            "targetCPUUtilizationPercentage": 70,
            "scaleTargetRef": {"kind": "Deployment", "name": "d", "apiVersion": "apps/v1"},
        },
    )
    (await api.post(v1, body)).ok(201)
    seen = (await api.get(f"{v2}/h")).ok()
    assert seen["spec"]["metrics"][0]["resource"] == {
        "name": "cpu",
        "target": {"type": "Utilization", "averageUtilization": 70},
    }
    (await api.merge(f"{v2}/h", {"spec": {"maxReplicas": 9}})).ok()
    assert (await api.get(f"{v1}/h")).ok()["spec"]["maxReplicas"] == 9
    (await api.merge(f"{v1}/h", {"spec": {"targetCPUUtilizationPercentage": 50}})).ok()
    assert (await api.get(f"{v2}/h")).ok()["spec"]["metrics"][0]["resource"]["target"]["averageUtilization"] == 50
    applied = await api.apply(f"{v1}/h", body, force="true")
    assert applied.ok()["spec"]["maxReplicas"] == 5


async def test_secrets_take_text(api: Api) -> None:
    made = (await api.post("/api/v1/namespaces/default/secrets", obj("Secret", "s", stringData={"a": "b"}))).ok()
    assert made["data"] == {"a": "Yg=="} and "stringData" not in made and made["type"] == "Opaque"
    assert orjson.loads((await api.get("/api/v1/namespaces/default/secrets/s")).body)["data"] == {"a": "Yg=="}


async def test_a_service_takes_and_gives(api: Api) -> None:
    made = (await api.post("/api/v1/namespaces/default/services", service("s"))).ok(201)
    assert made["spec"]["clusterIP"].startswith("10.96.")
