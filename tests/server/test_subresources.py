"""What is behind a second name: scale, binding, eviction, ephemeral containers."""

from tests.server.world import CM, DEPLOYMENTS, PODS, Api, World, deployment, obj, pod

POLICY = "/apis/policy/v1/namespaces/default/poddisruptionbudgets"


async def test_scale(both: World) -> None:
    api = both.admin
    (await api.post(DEPLOYMENTS, deployment("d", 2))).ok()
    scale = (await api.get(f"{DEPLOYMENTS}/d/scale")).ok()
    assert (scale["kind"], scale["apiVersion"], scale["spec"], scale["status"]) == (
        "Scale", "autoscaling/v1", {"replicas": 2}, {"replicas": 0, "selector": "app=d"})  # fmt: skip
    scale["spec"]["replicas"] = 5
    assert (await api.put(f"{DEPLOYMENTS}/d/scale", scale)).ok()["spec"]["replicas"] == 5
    assert (await api.put(f"{DEPLOYMENTS}/d/scale", scale)).code == 409
    assert (await api.merge(f"{DEPLOYMENTS}/d/scale", {"spec": {"replicas": 3}})).ok()["spec"]["replicas"] == 3
    after = (await api.get(f"{DEPLOYMENTS}/d")).ok()
    assert after["spec"]["replicas"] == 3 and after["metadata"]["generation"] == 3
    zero = (await api.merge(f"{DEPLOYMENTS}/d/scale", {"spec": {"replicas": 0}})).ok()
    assert zero["spec"].get("replicas", 0) == 0 and (await api.get(f"{DEPLOYMENTS}/d")).json["spec"]["replicas"] == 0
    assert (await api.merge(f"{DEPLOYMENTS}/d/scale", {"spec": {"replicas": -1}})).code == 422
    for wrong in (
        {"spec": {"replicas": "x"}},
        {"spec": 5},
        {"kind": "Pod"},
        {"spec": {"replicas": 1.5}},
        {"metadata": 3},
    ):
        answer = await api.merge(f"{DEPLOYMENTS}/d/scale", wrong)
        assert answer.code in (400, 422), (wrong, answer.body)
    (await api.merge(f"{DEPLOYMENTS}/d/scale", {"spec": {"replicas": 9}}, dryRun="All")).ok()
    assert (await api.get(f"{DEPLOYMENTS}/d")).json["spec"]["replicas"] == 0
    assert (await api.delete(f"{DEPLOYMENTS}/d/scale")).code == 405
    assert (await api.get(f"{CM}/d/scale")).code == 404
    assert (await api.get(f"{DEPLOYMENTS}/none/scale")).code == 404


async def test_a_pod_is_bound_once(both: World) -> None:
    api = both.admin
    made = (await api.post(PODS, pod("p"))).ok()
    bind = obj("Binding", "p", target={"kind": "Node", "name": "n1", "apiVersion": "v1"})
    done = (await api.post(f"{PODS}/p/binding", bind)).ok(201)
    assert (done["kind"], done["status"]) == ("Status", "Success")
    bound = (await api.get(f"{PODS}/p")).ok()
    assert bound["spec"]["nodeName"] == "n1"
    condition = next(each for each in bound["status"]["conditions"] if each["type"] == "PodScheduled")
    assert condition["status"] == "True"
    assert bound["metadata"]["uid"] == made["metadata"]["uid"]
    again = await api.post(f"{PODS}/p/binding", bind)
    assert again.code == 409 and 'already assigned to node "n1"' in again.message
    assert (await api.post(f"{PODS}/none/binding", {**bind, "metadata": {"name": "none"}})).code == 404
    (await api.post(PODS, pod("q"))).ok()
    for wrong in ({**bind, "target": {}}, {**bind, "target": {"kind": "Pod", "name": "x"}}, {}, {**bind, "target": 5},
                  {**bind, "metadata": 5}):  # fmt: skip
        answer = await api.post(f"{PODS}/q/binding", wrong)
        assert answer.code in (400, 422), (wrong, answer.body)
    (await api.post(PODS, pod("gated", schedulingGates=[{"name": "wait"}]))).ok()
    assert (await api.post(f"{PODS}/gated/binding", {**bind, "metadata": {"name": "gated"}})).code == 409
    other = {**bind, "metadata": {"name": "q", "uid": "x"}}
    assert (await api.post(f"{PODS}/q/binding", other)).code == 409
    # The older way: bindings as a collection.
    answer = await api.post("/api/v1/namespaces/default/bindings", {**bind, "metadata": {"name": "q"}})
    assert answer.code == 201 and (await api.get(f"{PODS}/q")).json["spec"]["nodeName"] == "n1"


async def budget(api: Api, name: str, allowed: int, observed: int = 1, **spec) -> None:
    body = obj("PodDisruptionBudget", name, "policy/v1",
               spec={"selector": {"matchLabels": {"app": "x"}}, "minAvailable": 1, **spec})  # fmt: skip
    (await api.post(POLICY, body)).ok()
    status = {"disruptionsAllowed": allowed, "observedGeneration": observed, "currentHealthy": 1, "desiredHealthy": 1,
              "expectedPods": 1}  # fmt: skip
    (await api.merge(f"{POLICY}/{name}/status", {"status": status})).ok()


async def running_pod(api: Api, name: str) -> None:
    (await api.post(PODS, pod(name, labels={"app": "x"}, nodeName="n1"))).ok()
    ready = {"type": "Ready", "status": "True"}
    (await api.merge(f"{PODS}/{name}/status", {"status": {"phase": "Running", "conditions": [ready]}})).ok()


def eviction(name: str, **more) -> dict:
    return obj("Eviction", name, "policy/v1", **more)


async def test_eviction_spends_the_budget(both: World) -> None:
    api = both.admin
    for name in ("a", "b"):
        await running_pod(api, name)
    await budget(api, "pdb", 1)
    (await api.post(f"{PODS}/a/eviction", eviction("a"), dryRun="All")).ok(201)
    assert (await api.get(f"{POLICY}/pdb")).json["status"]["disruptionsAllowed"] == 1
    assert (await api.post(f"{PODS}/a/eviction", eviction("a"))).ok(201)["status"] == "Success"
    assert (await api.get(f"{PODS}/a")).json["metadata"]["deletionTimestamp"]
    status = (await api.get(f"{POLICY}/pdb")).json["status"]
    assert status["disruptionsAllowed"] == 0 and "a" in status["disruptedPods"]
    refused = await api.post(f"{PODS}/b/eviction", eviction("b"))
    assert (refused.code, refused.reason) == (429, "TooManyRequests")
    assert refused.json["details"]["causes"][0]["reason"] == "DisruptionBudget"
    # What is on its way out, pending or finished disturbs nobody.
    assert (await api.post(f"{PODS}/a/eviction", eviction("a"))).code == 201
    (await api.post(PODS, pod("waiting", labels={"app": "x"}))).ok()
    assert (await api.post(f"{PODS}/waiting/eviction", eviction("waiting"))).code == 201
    assert (await api.get(f"{PODS}/waiting")).code == 404


async def test_budgets_that_stand_in_the_way(api: Api) -> None:
    await running_pod(api, "a")
    await budget(api, "stale", 1, observed=0)
    late = await api.post(f"{PODS}/a/eviction", eviction("a"))
    assert late.code == 429 and late.headers["retry-after"] == "10"
    await budget(api, "second", 1)
    both = await api.post(f"{PODS}/a/eviction", eviction("a"))
    assert both.code == 500 and "more than one PodDisruptionBudget" in both.message
    for name in ("stale", "second"):
        (await api.delete(f"{POLICY}/{name}")).ok()
    assert (await api.post(f"{PODS}/none/eviction", eviction("none"))).code == 404
    assert (await api.post(f"{PODS}/a/eviction", eviction("a", deleteOptions={"gracePeriodSeconds": 3}))).code == 201
    assert (await api.get(f"{PODS}/a")).json["metadata"]["deletionGracePeriodSeconds"] == 3
    for wrong in (
        {"kind": "Pod"},
        [],
        eviction("a", deleteOptions=5),
        eviction("a", deleteOptions={"preconditions": 5}),
    ):
        assert (await api.post(f"{PODS}/a/eviction", wrong)).code in (400, 422), wrong


async def test_ephemeral_containers(both: World) -> None:
    api = both.admin
    await running_pod(api, "p")
    debug = {"name": "debug", "image": "busybox", "targetContainerName": "c"}
    at = f"{PODS}/p/ephemeralcontainers"
    added = await api.ask("PATCH", at, {"spec": {"ephemeralContainers": [debug]}},
                          media="application/strategic-merge-patch+json")  # fmt: skip
    assert added.ok()["spec"]["ephemeralContainers"][0]["name"] == "debug"
    assert (await api.get(at)).ok()["spec"]["ephemeralContainers"]
    changed = await api.merge(at, {"spec": {"ephemeralContainers": [{**debug, "image": "other"}]}})
    assert changed.code == 422 and "existing ephemeral containers" in changed.message
    taken = await api.ask("PATCH", at, {"spec": {"ephemeralContainers": [{"name": "c", "image": "x"}]}},
                          media="application/strategic-merge-patch+json")  # fmt: skip
    assert taken.code == 422
    # Nothing else changes by this way, and they do not come by another.
    sneaky = await api.ask("PATCH", at, {"spec": {"activeDeadlineSeconds": 5}, "metadata": {"labels": {"x": "y"}}},
                           media="application/strategic-merge-patch+json")  # fmt: skip
    assert "activeDeadlineSeconds" not in sneaky.ok()["spec"] and "x" not in sneaky.json["metadata"]["labels"]
    assert (await api.merge(f"{PODS}/p", {"spec": {"ephemeralContainers": []}})).code in (200, 422)
    assert (await api.get(f"{PODS}/p")).json["spec"]["ephemeralContainers"][0]["name"] == "debug"
    made = await api.post(PODS, {**pod("q"), "spec": {**pod("q")["spec"], "ephemeralContainers": [debug]}})
    assert made.code == 422 and "cannot be set on create" in made.message


async def test_resize(api: Api) -> None:
    await running_pod(api, "p")
    answer = await api.merge(f"{PODS}/p/resize", {"spec": {"containers": []}})
    assert answer.code in (200, 422, 501)


async def test_streams_need_a_node(api: Api) -> None:
    (await api.post(PODS, pod("p"))).ok()
    assert (await api.get(f"{PODS}/p/log")).code == 200
    assert (await api.get(f"{PODS}/none/log")).code == 404
    wrong = await api.get(f"{PODS}/p/log", container="none")
    assert wrong.code == 400 and "container none is not valid for pod p" in wrong.message
    assert (await api.get(f"{PODS}/p/log", tailLines="-1")).code == 422
    assert (await api.get(f"{PODS}/p/log", tailLines="x")).code in (400, 422)
    shell = await api.get(f"{PODS}/p/exec", command="sh")
    assert shell.code == 400 and "does not have a host assigned" in shell.message
    (await api.post(PODS, pod("q", nodeName="gone"))).ok()
    assert (await api.get(f"{PODS}/q/log")).code in (404, 400, 503)
