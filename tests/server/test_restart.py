"""A server that begins again on the same store."""

from collections.abc import AsyncIterator
from pathlib import Path

from tests.server.world import ACCOUNTS, CM, PODS, SERVICES, World, config_map, obj, pod, running, service

from kaa.store.sqlite import SqliteStore


async def start(path: Path, **settings) -> AsyncIterator[World]:
    store = await SqliteStore.open(str(path))
    async for world in running(store, **settings):
        yield world


async def test_everything_survives_and_revisions_go_on(tmp_path) -> None:
    path = tmp_path / "store.db"
    async for world in start(path):
        api = world.admin
        made = (await api.post(CM, config_map("a", x="1"))).ok()
        (await api.post(PODS, pod("p", labels={"a": "b"}, nodeName="n1"))).ok()
        address = (await api.post(SERVICES, service("s", type="NodePort"))).ok()["spec"]
        (await api.post(CM, config_map("gone"))).ok()
        (await api.delete(f"{CM}/gone")).ok()
        (await api.post("/apis/rbac.authorization.k8s.io/v1/clusterroles", obj(
            "ClusterRole", "mine", "rbac.authorization.k8s.io/v1", rules=[]))).ok()  # fmt: skip
        before = {path: (await api.get(path)).ok() for path in (CM, PODS, SERVICES, ACCOUNTS, "/api/v1/namespaces")}
        revision = int((await api.get(CM)).revision)
        page = (await api.get("/apis/rbac.authorization.k8s.io/v1/clusterroles", limit=2)).ok()
    async for world in start(path):
        api = world.admin
        for place, listed in before.items():
            now = (await api.get(place)).ok()
            assert now["items"] == listed["items"], place
            assert int(now["metadata"]["resourceVersion"]) >= revision
        changed = (await api.merge(f"{CM}/a", {"data": {"x": "2"}})).ok()
        assert int(changed["metadata"]["resourceVersion"]) > revision
        assert changed["metadata"]["uid"] == made["metadata"]["uid"]
        # A list goes on where it stopped, from the store.
        rest = await api.get(
            "/apis/rbac.authorization.k8s.io/v1/clusterroles", **{"continue": page["metadata"]["continue"]}
        )
        assert rest.code == 200 and "mine" in rest.names and rest.revision == page["metadata"]["resourceVersion"]
        # What was allocated is still taken.
        taken = await api.post(SERVICES, service("t", clusterIP=address["clusterIP"]))
        assert taken.code == 422 and "already allocated" in taken.message


async def test_watches_from_before_go_on_or_are_told(tmp_path) -> None:
    path = tmp_path / "store.db"
    async for world in start(path):
        (await world.admin.post(CM, config_map("a"))).ok()
        old = (await world.admin.get(CM)).revision
        (await world.admin.post(CM, config_map("b"))).ok()
        newest = (await world.admin.get(CM)).revision
    async for world in start(path):
        api = world.admin
        async with await api.watch(CM, resourceVersion=newest) as watch:
            (await api.post(CM, config_map("c"))).ok()
            assert await watch.take(1) == [("ADDED", "c")]
        async with await api.watch(CM, resourceVersion=old) as watch:
            event = await watch.next()
        assert (event["type"], event["object"]["code"], event["object"]["reason"]) == ("ERROR", 410, "Expired")


async def test_a_change_to_the_default_roles_is_mended_unless_said_otherwise(tmp_path) -> None:
    path = tmp_path / "store.db"
    roles = "/apis/rbac.authorization.k8s.io/v1/clusterroles"
    async for world in start(path):
        api = world.admin
        wanted = (await api.get(f"{roles}/system:kube-dns")).json["rules"]
        more = {"verbs": ["get"], "apiGroups": [""], "resources": ["pods"]}
        (await api.merge(f"{roles}/system:kube-dns", {"rules": [more]})).ok()
        (await api.merge(f"{roles}/system:heapster", {"rules": [], "metadata": {"annotations": {
            "rbac.authorization.kubernetes.io/autoupdate": "false"}}})).ok()  # fmt: skip
        (await api.delete(f"{roles}/admin")).ok()
    async for world in start(path):
        api = world.admin
        # What was missing has been added, a resource a rule; what somebody had added stays.
        mended = (await api.get(f"{roles}/system:kube-dns")).json["rules"]
        assert mended[0] == more
        assert {(*each["resources"], *each["verbs"]) for each in mended[1:]} == {
            (resource, *wanted[0]["verbs"]) for resource in wanted[0]["resources"]
        }
        assert not (await api.get(f"{roles}/system:heapster")).json.get("rules")
        assert (await api.get(f"{roles}/admin")).json["rules"]  # gathered again, too
        revision = (await api.get(CM)).revision
    async for world in start(path, account=False):
        assert (await world.admin.get(CM)).revision == revision  # nothing to do: nothing written
