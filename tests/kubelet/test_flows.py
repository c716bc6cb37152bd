"""What becomes of pods: transcripts against a real API server, with a simulated runtime."""

from pathlib import Path

from tests.kubelet.worlds import NODE, phase, ready, state_of, waiting, web, world


async def test_a_pod_runs_and_is_deleted(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        await w.create("web", containers=[web()])
        obj = await w.until("web", ready)
        status = obj["status"]
        assert status["phase"] == "Running"
        assert status["podIP"].startswith("10.244.0.")
        assert status["hostIP"] == "192.0.2.1"
        assert status["qosClass"] == "BestEffort"
        assert state_of(obj, "web")["restartCount"] == 0
        assert state_of(obj, "web")["containerID"].startswith("containerd://")
        assert {c["type"] for c in status["conditions"]} >= {
            "PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady", "PodScheduled",
        }  # fmt: skip
        assert w.heard.reasons == ["Pulled", "Created", "Started"]
        await w.delete("web")
        await w.until_gone("web")
        assert w.heard.of("Killing") == ["Stopping container web"]
        assert await w.runtime.list_containers() == []
        assert await w.runtime.list_sandboxes() == []
        assert list((tmp_path / "kubelet" / "pods").iterdir()) == []


async def test_restart_never_ends_in_its_phase(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        await w.create("good", restartPolicy="Never", containers=[web(command=["true"])])
        await w.create("bad", restartPolicy="Never", containers=[web(command=["false"])])
        good = await w.until("good", phase("Succeeded"))
        bad = await w.until("bad", phase("Failed"))
        assert state_of(good, "web")["state"]["terminated"]["reason"] == "Completed"
        assert state_of(bad, "web")["state"]["terminated"]["exitCode"] == 1
        reasons = {c["type"]: c.get("reason") for c in good["status"]["conditions"]}
        assert reasons["Ready"] == "PodCompleted"
        await w.delete("good")
        await w.until_gone("good")


async def test_crash_loop_backs_off(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        created = await w.create("web", containers=[web(command=["false"])])
        obj = await w.until("web", waiting("web", "CrashLoopBackOff"))
        uid = created["metadata"]["uid"]
        status = state_of(obj, "web")
        # The first restart comes at once, the second after ten seconds.
        assert status["restartCount"] == 1
        assert status["lastState"]["terminated"]["exitCode"] == 1
        assert status["state"]["waiting"]["message"] == (
            f"back-off 10s restarting failed container=web pod=web_default({uid})"
        )
        assert f"Back-off restarting failed container web in pod web_default({uid})" in w.heard.of("BackOff")


async def test_init_containers_in_order_then_sidecar_then_app(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        await w.create(
            "web",
            initContainers=[
                {"name": "one", "image": "i", "command": ["true"]},
                {"name": "side", "image": "i", "restartPolicy": "Always"},
                {"name": "two", "image": "i", "command": ["sleep", "0.2"]},
            ],
            containers=[web()],
        )
        obj = await w.until("web", ready)
        init = {each["name"]: each for each in obj["status"]["initContainerStatuses"]}
        assert init["one"]["ready"] and init["two"]["ready"]
        assert "running" in init["side"]["state"] and init["side"]["started"]
        created = [c["status"] for c in obj["status"]["conditions"] if c["type"] == "Initialized"]
        assert created == ["True"]


async def test_init_failure_with_restart_never_fails_the_pod(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        await w.create(
            "web",
            restartPolicy="Never",
            initContainers=[{"name": "one", "image": "i", "command": ["false"]}],
            containers=[web()],
        )
        obj = await w.until("web", phase("Failed"))
        assert state_of(obj, "web")["state"]["waiting"]["reason"] == "PodInitializing"


async def test_kubelet_restart_adopts_what_runs(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        await w.create("web", containers=[web()])
        await w.create("doomed", containers=[web()])
        before = await w.until("web", ready)
        await w.until("doomed", ready)
        await w.kill()
        await w.delete("doomed", grace_seconds=0)
        await w.start()
        await w.create("later", containers=[web()])
        await w.until("later", ready)
        after = await w.pod("web")
        assert after["status"] == before["status"]
        assert after["metadata"]["resourceVersion"] == before["metadata"]["resourceVersion"]
        import asyncio

        for _ in range(200):
            names = sorted(s.metadata.name for s in await w.runtime.list_sandboxes())
            if names == ["later", "web"]:
                break
            await asyncio.sleep(0.02)
        assert names == ["later", "web"]


async def test_missing_config_map_holds_the_container_until_it_comes(tmp_path: Path) -> None:
    from kaa.kinds.views import ConfigMap

    async with world(tmp_path) as w:
        env = [{"name": "A", "valueFrom": {"configMapKeyRef": {"name": "cfg", "key": "a"}}}]
        await w.create("web", containers=[web(env=env)])
        obj = await w.until("web", waiting("web", "CreateContainerConfigError"))
        assert state_of(obj, "web")["state"]["waiting"]["message"] == 'configmap "cfg" not found'
        await w.client.create(
            ConfigMap.resource, {"metadata": {"name": "cfg", "namespace": "default"}, "data": {"a": "1"}}
        )
        await w.until("web", ready)


async def test_config_map_volume_follows_its_object(tmp_path: Path) -> None:
    from kaa.kinds.views import ConfigMap

    async with world(tmp_path) as w:
        await w.client.create(
            ConfigMap.resource, {"metadata": {"name": "cfg", "namespace": "default"}, "data": {"a": "1"}}
        )
        pod = await w.create(
            "web",
            volumes=[{"name": "v", "configMap": {"name": "cfg"}}],
            containers=[web(volumeMounts=[{"name": "v", "mountPath": "/v"}])],
        )
        await w.until("web", ready)
        file = tmp_path / "kubelet/pods" / pod["metadata"]["uid"] / "volumes/kubernetes.io~configmap/v/a"
        assert file.read_text() == "1"
        await w.client.patch(ConfigMap.resource, "cfg", {"data": {"a": "2", "b": "3"}}, namespace="default")
        await w.settled(lambda: file.read_text() == "2")
        assert file.with_name("b").read_text() == "3"


async def test_unsupported_volume_is_refused_by_name(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        volume = {"name": "v", "nfs": {"server": "s", "path": "/"}}
        await w.create("web", volumes=[volume], containers=[web(volumeMounts=[{"name": "v", "mountPath": "/v"}])])
        obj = await w.until("web", lambda o: "nfs is not supported" in str(o["status"].get("containerStatuses", "")))
        assert state_of(obj, "web")["state"]["waiting"]["reason"] == "ContainerCreating"
        assert "nfs is not supported" in w.heard.of("FailedMount")[0]


async def test_active_deadline(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        await w.create("web", activeDeadlineSeconds=1, containers=[web()])
        obj = await w.until("web", phase("Failed"))
        assert obj["status"]["reason"] == "DeadlineExceeded"


async def test_image_pull_failure_then_back_off(tmp_path: Path) -> None:
    from kaa.kubelet.cri import api
    from kaa.simulated.runtime import SimulatedRuntime, SimulatedSettings

    runtime = SimulatedRuntime(SimulatedSettings(images_present=False))
    runtime.faults.inject("pull_image", api.ImagePullFailed("no such image"), times=9)
    async with world(tmp_path, runtime) as w:
        await w.create("web", containers=[web()])
        obj = await w.until("web", waiting("web", "ImagePullBackOff"))
        message = state_of(obj, "web")["state"]["waiting"]["message"]
        assert message.startswith('Back-off pulling image "example.com/web:1": ErrImagePull: ')
        assert w.heard.reasons[:3] == ["Pulling", "Failed", "Failed"]


async def test_projected_token_is_mounted(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        volume = {"name": "t", "projected": {"sources": [{"serviceAccountToken": {"path": "token"}}]}}
        pod = await w.create("web", volumes=[volume], containers=[web(volumeMounts=[{"name": "t", "mountPath": "/t"}])])
        await w.until("web", ready)
        file = tmp_path / "kubelet/pods" / pod["metadata"]["uid"] / "volumes/kubernetes.io~projected/t/token"
        assert file.read_text().count(".") == 2


async def test_liveness_failure_restarts_the_container(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        probe = {"exec": {"command": ["false"]}, "periodSeconds": 1, "failureThreshold": 1}
        await w.create("web", containers=[web(livenessProbe=probe)])
        obj = await w.until("web", lambda o: o["status"].get("containerStatuses", [{}])[0].get("restartCount"))
        assert w.heard.of("Killing")[0] == "Container web failed liveness probe, will be restarted"
        assert w.heard.of("Unhealthy")[0].startswith("Liveness probe failed")
        assert state_of(obj, "web")["lastState"]["terminated"]["exitCode"] == 143


async def test_readiness_gates_traffic(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        probe = {"exec": {"command": ["true"]}, "periodSeconds": 1, "successThreshold": 2}
        await w.create("web", containers=[web(readinessProbe=probe)])
        obj = await w.until("web", phase("Running"))
        assert not ready(obj)
        condition = next(c for c in obj["status"]["conditions"] if c["type"] == "Ready")
        assert condition["message"] == "containers with unready status: [web]"
        await w.until("web", ready)


async def test_the_sandbox_that_died_is_replaced(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        await w.create("web", containers=[web()])
        await w.until("web", ready)
        sandbox = (await w.runtime.list_sandboxes())[0]
        await w.runtime.stop_sandbox(sandbox.id)
        await w.until("web", lambda o: ready(o) and state_of(o, "web")["restartCount"] == 1)
        assert "SandboxChanged" in w.heard.reasons


async def test_image_change_restarts_in_place(tmp_path: Path) -> None:
    from kaa.kinds.views import Pod

    async with world(tmp_path) as w:
        await w.create("web", containers=[web()])
        await w.until("web", ready)
        patch = {"spec": {"containers": [{"name": "web", "image": "example.com/web:2"}]}}
        await w.client.patch(Pod.resource, "web", patch, namespace="default", kind="strategic")
        obj = await w.until("web", lambda o: state_of(o, "web")["restartCount"] == 1 and ready(o))
        assert state_of(obj, "web")["image"] == "example.com/web:2"
        assert w.heard.of("Killing") == ["Container web definition changed, will be restarted"]


async def test_node_is_registered_and_its_lease_kept(tmp_path: Path) -> None:
    from kaa.kinds.views import Lease, Node

    async with world(tmp_path, capacity={"cpu": "7"}) as w:
        node = await w.client.get_json(Node.resource, NODE)
        assert node["status"]["capacity"]["cpu"] == "7"
        ready_condition = next(c for c in node["status"]["conditions"] if c["type"] == "Ready")
        assert ready_condition["message"] == "kubelet is posting ready status"
        assert node["metadata"]["labels"]["kubernetes.io/hostname"] == NODE
        lease = await w.client.get_json(Lease.resource, NODE, "kube-node-lease")
        assert lease["spec"]["holderIdentity"] == NODE


async def test_a_finished_pod_keeps_its_status_over_a_restart(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        await w.create("job", restartPolicy="Never", containers=[web(command=["false"])])
        before = await w.until("job", phase("Failed"))
        await w.kill()
        await w.start()
        await w.create("later", containers=[web()])
        await w.until("later", ready)
        assert (await w.pod("job"))["status"] == before["status"]
        await w.delete("job")
        await w.until_gone("job")


async def test_a_corrected_image_is_tried_at_once(tmp_path: Path) -> None:
    from kaa.kinds.views import Pod
    from kaa.simulated.runtime import SimulatedRuntime, SimulatedSettings

    runtime = SimulatedRuntime(SimulatedSettings(images_present=False))
    runtime.faults.images_missing.append("*/web:1")
    async with world(tmp_path, runtime) as w:
        await w.create("web", containers=[web()])
        await w.until("web", waiting("web", "ImagePullBackOff"))
        patch = {"spec": {"containers": [{"name": "web", "image": "example.com/web:2"}]}}
        await w.client.patch(Pod.resource, "web", patch, namespace="default", kind="strategic")
        await w.until("web", ready, seconds=3)


async def test_deleting_interrupts_a_pull(tmp_path: Path) -> None:
    from kaa.simulated.runtime import SimulatedRuntime, SimulatedSettings

    runtime = SimulatedRuntime(SimulatedSettings(images_present=False, pull_seconds=60))
    async with world(tmp_path, runtime) as w:
        await w.create("web", containers=[web()])
        await w.settled(lambda: "Pulling" in w.heard.reasons)
        await w.delete("web")
        await w.until_gone("web", seconds=3)
        await w.settled(lambda: not w.kubelet.pods.workers)


async def test_events_of_the_runtime_may_be_lost(tmp_path: Path) -> None:
    from kaa.simulated.runtime import SimulatedRuntime

    class Deaf(SimulatedRuntime):
        async def features(self):  # type: ignore[no-untyped-def]
            from dataclasses import replace

            return replace(await super().features(), events=False)

    async with world(tmp_path, Deaf(), relist_seconds=0.1) as w:
        await w.create("job", restartPolicy="Never", containers=[web(command=["sleep", "0.3"])])
        await w.until("job", phase("Succeeded"))


async def test_finalizers_keep_the_object_not_the_containers(tmp_path: Path) -> None:
    from kaa.kinds.views import Pod

    async with world(tmp_path) as w:
        await w.create("web", metadata={"finalizers": ["example.com/x"]}, containers=[web()])
        await w.until("web", ready)
        await w.delete("web")
        await w.until("web", phase("Failed"))
        await w.settled_runtime()
        await w.client.patch(Pod.resource, "web", {"metadata": {"finalizers": None}}, namespace="default")
        await w.until_gone("web")
        await w.settled(lambda: not w.kubelet.pods.workers)
