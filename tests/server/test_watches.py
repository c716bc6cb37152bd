"""watch, as transcripts."""

import asyncio

from tests.server.world import CM, PODS, TABLE, Api, World, config_map, obj, pod

from kaa.server import cache as cache_module
from kaa.server.verbs import reads


async def relabel(api: Api, name: str, **labels: str | None) -> None:
    (await api.merge(f"{CM}/{name}", {"metadata": {"labels": labels}})).ok()


async def test_changes_arrive_in_order_and_resume(both: World) -> None:
    api = both.admin
    start = (await api.get(CM)).revision
    async with await api.watch(CM, resourceVersion=start) as watch:
        (await api.post(CM, config_map("a"))).ok()
        await relabel(api, "a", x="1")
        (await api.post(CM, config_map("b"))).ok()
        (await api.delete(f"{CM}/a")).ok()
        events = [await watch.next() for _ in range(4)]
    told = [(e["type"], e["object"]["metadata"]["name"]) for e in events]
    assert told == [("ADDED", "a"), ("MODIFIED", "a"), ("ADDED", "b"), ("DELETED", "a")]
    revisions = [int(e["object"]["metadata"]["resourceVersion"]) for e in events]
    assert revisions == sorted(set(revisions))
    assert events[3]["object"]["metadata"]["labels"] == {"x": "1"}
    async with await api.watch(CM, resourceVersion=str(revisions[1])) as watch:
        assert await watch.take(2) == [("ADDED", "b"), ("DELETED", "a")]
    async with await api.watch(CM, resourceVersion=str(revisions[3])) as watch:
        assert await watch.quiet()


async def test_without_a_revision_what_is_there_comes_first(api: Api) -> None:
    (await api.post(CM, config_map("a"))).ok()
    for query in ({}, {"resourceVersion": "0"}):
        async with await api.watch(CM, **query) as watch:
            assert await watch.take(1) == [("ADDED", "a")]
            assert await watch.quiet()


async def test_a_selector_turns_changes_into_comings_and_goings(api: Api) -> None:
    start = (await api.get(CM)).revision
    async with await api.watch(CM, resourceVersion=start, labelSelector="x=1") as watch:
        (await api.post(CM, config_map("a"))).ok()
        await relabel(api, "a", x="1")
        await relabel(api, "a", y="1")
        await relabel(api, "a", x="2")
        await relabel(api, "a", x="1")
        (await api.delete(f"{CM}/a")).ok()
        events = [await watch.next() for _ in range(5)]
    assert [e["type"] for e in events] == ["ADDED", "MODIFIED", "DELETED", "ADDED", "DELETED"]
    # What leaves is shown as it last was to the watcher, under the revision at which it left.
    left = events[2]["object"]["metadata"]
    assert left["labels"] == {"x": "1", "y": "1"}
    assert int(left["resourceVersion"]) > int(events[1]["object"]["metadata"]["resourceVersion"])


async def test_one_object_and_one_node(api: Api) -> None:
    start = (await api.get(PODS)).revision
    (await api.post(PODS, pod("a"))).ok()
    (await api.post(PODS, pod("b"))).ok()
    async with await api.watch(PODS, resourceVersion=start, fieldSelector="metadata.name=b") as watch:
        assert await watch.take(1) == [("ADDED", "b")]
    async with await api.watch(PODS, resourceVersion=start, fieldSelector="spec.nodeName=n1") as watch:
        bind = obj("Binding", "b", target={"kind": "Node", "name": "n1"})
        (await api.post(f"{PODS}/b/binding", bind)).ok()
        assert await watch.take(1) == [("ADDED", "b")]


async def test_the_deprecated_paths_of_watches(api: Api) -> None:
    (await api.post(CM, config_map("a"))).ok()
    (await api.post(CM, config_map("b"))).ok()
    for path, names in (
        ("/api/v1/watch/namespaces/default/configmaps", ["a", "b"]),
        ("/api/v1/watch/namespaces/default/configmaps/b", ["b"]),
        ("/api/v1/watch/configmaps", ["a", "b"]),
    ):
        async with await api.watch(path, resourceVersion="0") as watch:
            assert [name for _, name in await watch.take(len(names))] == names
            assert await watch.quiet()


async def test_too_old_is_an_error_event(world: World, monkeypatch) -> None:
    api = world.admin
    monkeypatch.setattr(cache_module, "CHANGES_MAX", 4)
    start = (await api.post(CM, config_map("a"))).revision
    for number in range(6):
        await relabel(api, "a", x=str(number))
    async with await api.watch(CM, resourceVersion=start) as watch:
        event = await watch.next()
        assert await watch.ended()
    status = event["object"]
    assert (event["type"], status["kind"], status["code"], status["reason"]) == ("ERROR", "Status", 410, "Expired")
    floor = world.server.objects.of(world.server.parts.registry.get("", "v1", "configmaps")).floor
    assert status["message"] == f"too old resource version: {start} ({floor})"


async def test_a_revision_to_come_is_waited_for(api: Api) -> None:
    """Without the state before it, a watch opens and is quiet until that revision has passed."""
    revision = int((await api.get(CM)).revision)
    async with await api.watch(CM, resourceVersion=str(revision + 2)) as watch:
        for name in "abcd":
            (await api.post(CM, config_map(name))).ok()
        assert await watch.take(2) == [("ADDED", "c"), ("ADDED", "d")]
        assert await watch.quiet()


async def test_the_state_at_a_revision_that_does_not_come(api: Api, monkeypatch) -> None:
    monkeypatch.setattr(reads, "REVISION_WAIT_SECONDS", 0.1)
    revision = int((await api.get(CM)).revision)
    query = {"sendInitialEvents": "true", "resourceVersionMatch": "NotOlderThan", "allowWatchBookmarks": "true"}
    async with await api.watch(CM, resourceVersion=str(revision + 9), **query) as watch:
        event = await watch.next()
        assert await watch.ended()
    assert (event["type"], event["object"]["code"], event["object"]["reason"]) == ("ERROR", 504, "Timeout")
    assert event["object"]["message"] == f"Timeout: Too large resource version: {revision + 9}, current: {revision}"
    assert event["object"]["details"]["causes"] == [
        {"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}
    ]


async def test_bookmarks(world: World) -> None:
    api = world.admin
    start = (await api.get(CM)).revision
    async with await api.watch(CM, resourceVersion=start, allowWatchBookmarks="true") as watch:
        (await api.post(PODS, pod("elsewhere"))).ok()
        assert await watch.quiet()
        world.server.objects.cache.bookmark()
        event = await watch.next()
    assert event["type"] == "BOOKMARK" and event["object"]["kind"] == "ConfigMap"
    assert int(event["object"]["metadata"]["resourceVersion"]) > int(start)
    async with await api.watch(CM, resourceVersion=start) as watch:
        world.server.objects.cache.bookmark()
        assert await watch.quiet()


async def test_initial_events_end_with_a_mark(both: World) -> None:
    api = both.admin
    (await api.post(CM, config_map("a"))).ok()
    (await api.post(CM, config_map("b"))).ok()
    query = {"sendInitialEvents": "true", "resourceVersionMatch": "NotOlderThan", "allowWatchBookmarks": "true"}
    for more in ({}, {"resourceVersion": "0"}, {"resourceVersion": "1"}):
        async with await api.watch(CM, **query, **more) as watch:
            assert await watch.take(2) == [("ADDED", "a"), ("ADDED", "b")]
            mark = await watch.next()
            assert mark["type"] == "BOOKMARK"
            assert mark["object"]["metadata"]["annotations"] == {"k8s.io/initial-events-end": "true"}
            await relabel(api, "a", again=mark["object"]["metadata"]["resourceVersion"])
            assert await watch.take(1) == [("MODIFIED", "a")]
    for wrong in (
        {"sendInitialEvents": "true"},
        {"sendInitialEvents": "true", "resourceVersionMatch": "Exact"},
        {"resourceVersionMatch": "NotOlderThan"},
    ):
        answer = await api.get(CM, watch="1", **wrong)
        assert (answer.code, answer.reason) == (422, "Invalid"), wrong


async def test_without_initial_events(api: Api) -> None:
    (await api.post(CM, config_map("a"))).ok()
    query = {"sendInitialEvents": "false", "resourceVersionMatch": "NotOlderThan"}
    async with await api.watch(CM, **query) as watch:
        (await api.post(CM, config_map("b"))).ok()
        assert await watch.take(1) == [("ADDED", "b")]


async def test_tables_are_watched(api: Api) -> None:
    start = (await api.get(PODS)).revision
    async with await api.watch(PODS, accept=TABLE, resourceVersion=start, allowWatchBookmarks="true") as watch:
        (await api.post(PODS, pod("a"))).ok()
        (await api.post(PODS, pod("b"))).ok()
        first, second = await watch.next(), await watch.next()
    assert first["object"]["kind"] == "Table" and first["object"]["columnDefinitions"][0]["name"] == "Name"
    assert first["object"]["rows"][0]["cells"][0] == "a"
    assert not second["object"]["columnDefinitions"] and second["object"]["rows"][0]["cells"][0] == "b"


async def test_metadata_is_watched(api: Api) -> None:
    accept = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"
    async with await api.watch(CM, accept=accept) as watch:
        (await api.post(CM, config_map("a", x="1"))).ok()
        event = await watch.next()
    assert event["object"]["kind"] == "PartialObjectMetadata" and "data" not in event["object"]


async def test_a_watch_ends_when_its_time_is_over(api: Api) -> None:
    async with await api.watch(CM, timeoutSeconds="1") as watch:
        await asyncio.sleep(0)
        assert await watch.ended(5)
    for wrong in ("x", "nan"):
        assert (await api.get(CM, watch="1", timeoutSeconds=wrong)).code == 400


async def test_watches_end_when_the_server_stops(world: World) -> None:
    async with await world.admin.watch(CM) as watch:
        await asyncio.sleep(0.01)
        await world.opened[-1].close()
        assert await watch.ended()


async def test_every_namespace_is_watched_at_once(api: Api) -> None:
    start = (await api.get(CM)).revision
    query = {"resourceVersion": start}
    async with await api.watch("/api/v1/configmaps", **query) as everywhere, await api.watch(CM, **query) as here:
        (await api.post("/api/v1/namespaces/kube-system/configmaps", config_map("a"))).ok()
        (await api.post(CM, config_map("b"))).ok()
        assert await everywhere.take(2) == [("ADDED", "a"), ("ADDED", "b")]
        assert await here.take(1) == [("ADDED", "b")]


async def test_what_a_write_did_not_change_is_no_event(api: Api) -> None:
    made = (await api.post(CM, config_map("a", x="1"))).ok()
    async with await api.watch(CM, resourceVersion=made["metadata"]["resourceVersion"]) as watch:
        assert (await api.put(f"{CM}/a", made)).ok() == made
        assert (await api.merge(f"{CM}/a", {"data": {"x": "1"}})).ok() == made
        assert await watch.quiet()
