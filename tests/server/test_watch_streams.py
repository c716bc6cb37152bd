"""What flows in a watch: tables, bookmarks, the state before it, its end; and that it says what a list says."""

import asyncio
import random

import pytest
from tests.server.world import CM, PODS, TABLE, Api, Json, World, config_map, obj, pod, running

from kaa.base.clock import Clock
from kaa.http.api import Disconnected
from kaa.kinds import protobuf
from kaa.server.verbs import watches

INITIAL = {"sendInitialEvents": "true", "resourceVersionMatch": "NotOlderThan", "allowWatchBookmarks": "true"}
END = {"k8s.io/initial-events-end": "true"}


async def relabel(api: Api, name: str, **labels: str | None) -> str:
    return (await api.merge(f"{CM}/{name}", {"metadata": {"labels": labels}})).ok()["metadata"]["resourceVersion"]


# --- tables


METADATA = "PartialObjectMetadata"


@pytest.mark.parametrize(("include", "kind"), [("", METADATA), ("Metadata", METADATA), ("Object", "Pod"), ("None", "")])
async def test_tables(world: World, include: str, kind: str) -> None:
    api = world.admin
    (await api.post(PODS, pod("a"))).ok()
    query = {"allowWatchBookmarks": "true", "includeObject": include}
    async with await api.watch(PODS, accept=TABLE, **query) as watch:
        first = (await watch.next())["object"]
        (await api.post(PODS, pod("b"))).ok()
        second = (await watch.next())["object"]
        (await api.post(CM, config_map("elsewhere"))).ok()
        world.server.objects.cache.bookmark()
        mark = await watch.next()
        (await api.delete(f"{PODS}/b", {"gracePeriodSeconds": 0})).ok()
        while (last := await watch.next())["type"] == "MODIFIED":
            assert last["object"]["columnDefinitions"] is None
    assert [each["name"] for each in first["columnDefinitions"]][:2] == ["Name", "Ready"]
    for later in (second, mark["object"], last["object"]):
        assert later["columnDefinitions"] is None
    assert [first["rows"][0]["cells"][0], second["rows"][0]["cells"][0]] == ["a", "b"]
    assert (mark["type"], mark["object"]["kind"], last["type"]) == ("BOOKMARK", "Table", "DELETED")
    assert mark["object"]["metadata"]["resourceVersion"] == str(int(second["metadata"]["resourceVersion"]) + 1)
    assert last["object"]["metadata"]["resourceVersion"] == str(world.server.objects.cache.revision)
    for event in (first, second, mark["object"], last["object"]):
        held = event["rows"][0]["object"]
        assert (held["kind"] if held else "") == kind


async def test_columns_come_with_the_first_event_even_if_it_is_a_bookmark(api: Api) -> None:
    async with await api.watch(PODS, accept=TABLE, **INITIAL) as watch:
        mark = await watch.next()
        (await api.post(PODS, pod("a"))).ok()
        event = await watch.next()
    assert mark["type"] == "BOOKMARK" and mark["object"]["columnDefinitions"][0]["name"] == "Name"
    assert mark["object"]["rows"][0]["object"]["metadata"]["annotations"] == END
    assert event["type"] == "ADDED" and event["object"]["columnDefinitions"] is None


@pytest.mark.parametrize("version", ["v1", "v1beta1"])
async def test_metadata_alone(world: World, version: str) -> None:
    api = world.admin
    accept = f"application/json;as=PartialObjectMetadata;g=meta.k8s.io;v={version}"
    async with await api.watch(CM, accept=accept, allowWatchBookmarks="true") as watch:
        made = (await api.post(CM, config_map("a", x="1"))).ok()
        event = await watch.next()
        (await api.post(PODS, pod("elsewhere"))).ok()
        world.server.objects.cache.bookmark()
        mark = await watch.next()
    api_version = f"meta.k8s.io/{version}"
    kind = {"kind": "PartialObjectMetadata", "apiVersion": api_version}
    assert event == {"type": "ADDED", "object": {**kind, "metadata": made["metadata"]}}
    assert mark["object"]["metadata"].pop("resourceVersion") and mark == {
        "type": "BOOKMARK", "object": {**kind, "metadata": {}}}  # fmt: skip
    refused = await api.get(CM, watch="1", accept=accept.replace("Metadata;", "MetadataList;"))
    assert refused.code == 406


async def test_frames_of_protobuf(world: World) -> None:
    api = world.admin
    (await api.post(CM, config_map("a"))).ok()
    fields = [("Accept", "application/vnd.kubernetes.protobuf;stream=watch")]
    query = "watch=1&" + "&".join(f"{name}={value}" for name, value in INITIAL.items())
    reply = await api.transport.stream("GET", CM, query=query, headers=fields)
    assert reply.headers["content-type"] == "application/vnd.kubernetes.protobuf;stream=watch"
    raw = b""
    async with reply:
        while b"initial-events-end" not in raw:
            raw += await anext(reply.chunks())
    frames = []
    while raw:
        size = int.from_bytes(raw[:4], "big")
        frames.append(raw[4 : 4 + size])
        raw = raw[4 + size :]
    assert len(frames) == 2 and b"ADDED" in frames[0] and b"BOOKMARK" in frames[1]
    held = frames[0][frames[0].index(b"k8s\0") :]
    assert protobuf.decode_envelope(held)[:2] == ("v1", "ConfigMap")


# --- bookmarks and the state before


async def test_where_each_watch_begins(both: World) -> None:
    """The table of the API's documentation: revision and sendInitialEvents against what comes first."""
    api = both.admin
    r1 = (await api.post(CM, config_map("a"))).revision
    (await api.post(CM, config_map("b"))).ok()
    newest = str(both.server.objects.cache.revision)
    both_of_them = [("ADDED", "a"), ("ADDED", "b")]
    without = {"sendInitialEvents": "false", "resourceVersionMatch": "NotOlderThan"}
    for query, events in (
        ({}, both_of_them),
        ({"resourceVersion": "0"}, both_of_them),
        ({"resourceVersion": r1}, [("ADDED", "b")]),
        ({"resourceVersion": newest}, []),
        (without, []),
        ({**without, "resourceVersion": "0"}, []),
        ({**without, "resourceVersion": r1}, [("ADDED", "b")]),
        (INITIAL, [*both_of_them, ("BOOKMARK", "")]),
        ({**INITIAL, "resourceVersion": "0"}, [*both_of_them, ("BOOKMARK", "")]),
        ({**INITIAL, "resourceVersion": r1}, [*both_of_them, ("BOOKMARK", "")]),
        ({**INITIAL, "allowWatchBookmarks": "false"}, both_of_them),
    ):
        async with await api.watch(CM, **query) as watch:
            assert await watch.take(len(events)) == events, query
            assert await watch.quiet(0.02), query


async def test_the_closing_mark_is_of_the_state_it_closes(api: Api) -> None:
    (await api.post(CM, config_map("a"))).ok()
    current = (await api.get(CM)).revision
    async with await api.watch(CM, **INITIAL, labelSelector="none=here") as watch:
        mark = await watch.next()
    metadata = {"resourceVersion": current, "annotations": END}
    assert mark == {"type": "BOOKMARK", "object": {"kind": "ConfigMap", "apiVersion": "v1", "metadata": metadata}}


async def test_a_bookmark_says_nothing_twice(world: World) -> None:
    api = world.admin
    async with await api.watch(CM, allowWatchBookmarks="true") as watch:
        (await api.post(CM, config_map("a"))).ok()
        assert await watch.take(1) == [("ADDED", "a")]
        world.server.objects.cache.bookmark()
        assert await watch.quiet()
        (await api.post(PODS, pod("elsewhere"))).ok()
        world.server.objects.cache.bookmark()
        world.server.objects.cache.bookmark()
        mark = await watch.next()
        assert mark["object"]["metadata"] == {"resourceVersion": str(world.server.objects.cache.revision)}
        assert await watch.quiet()
    # From a bookmark a watch goes on.
    async with await api.watch(CM, resourceVersion=mark["object"]["metadata"]["resourceVersion"]) as watch:
        (await api.post(CM, config_map("b"))).ok()
        assert await watch.take(1) == [("ADDED", "b")]


# --- the end


class Steps(Clock):
    """Time that stands still until the test moves it."""

    def __init__(self) -> None:
        self.at = 1000.0
        self.sleeping: list[tuple[float, asyncio.Future[None]]] = []

    def monotonic(self) -> float:
        return self.at

    async def sleep(self, seconds: float) -> None:
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        waiting = asyncio.get_running_loop().create_future()
        self.sleeping.append((self.at + seconds, waiting))
        await waiting

    async def move(self, seconds: float) -> None:
        self.at += seconds
        for due, waiting in self.sleeping:
            if due <= self.at and not waiting.done():
                waiting.set_result(None)
        self.sleeping = [each for each in self.sleeping if not each[1].done()]
        for _ in range(5):
            await asyncio.sleep(0)


async def test_a_watch_ends_by_the_servers_clock() -> None:
    clock = Steps()
    async for world in running(clock=clock):
        api = world.admin
        async with await api.watch(CM, timeoutSeconds="300", allowWatchBookmarks="true") as watch:
            assert await watch.quiet(0.01)
            (await api.post(PODS, pod("elsewhere"))).ok()
            await clock.move(290)
            mark = await watch.next()  # by the timer of bookmarks
            assert mark["type"] == "BOOKMARK" and await watch.quiet(0.01)
            (await api.post(PODS, pod("again"))).ok()
            await clock.move(9)
            await clock.move(1)
            assert (await watch.next())["type"] == "BOOKMARK"  # where to go on
            assert await watch.ended()


async def test_a_watch_without_a_timeout_ends_by_itself() -> None:
    clock = Steps()
    async for world in running(clock=clock):
        for query in ({}, {"timeoutSeconds": "0"}):
            async with await world.admin.watch(CM, **query) as watch:
                await asyncio.sleep(0.01)
                await clock.move(watches.WATCH_SECONDS - 1)
                assert await watch.quiet(0.01)
                await clock.move(watches.WATCH_SECONDS + 2)
                assert await watch.ended()


async def test_a_client_that_does_not_read_is_cut_off(world: World, monkeypatch) -> None:
    monkeypatch.setattr(watches, "UNREAD_BYTES_MAX", 100_000)
    api = world.admin
    cache = world.server.objects.of(world.server.parts.registry.get("", "v1", "configmaps"))
    start = (await api.get(CM)).revision
    slow = await api.watch(CM, resourceVersion=start)
    async with slow, await api.watch(CM, resourceVersion=start) as quick:
        await asyncio.sleep(0.01)
        assert len(cache.watchers) == 2
        for number in range(12):
            (await api.post(CM, config_map(f"c{number:02}", x="y" * 10_000))).ok()
            assert (await quick.next())["type"] == "ADDED"
        await asyncio.sleep(0)
        assert len(cache.watchers) == 1  # nobody waits for the slow one, and nothing is kept for it
        with pytest.raises(Disconnected, match="cut by the server"):
            await slow.take(13)


# --- what the conformance suite looks at


@pytest.mark.conformance("watch-configmaps-with-multiple-watchers")
async def test_three_watchers_of_labels(both: World) -> None:
    api = both.admin
    start = (await api.get(CM)).revision

    def selecting(text: str) -> dict[str, str]:
        return {"resourceVersion": start, "labelSelector": text}

    label = "watch-this-configmap"
    async with (
        await api.watch(CM, **selecting(f"{label}=a")) as a,
        await api.watch(CM, **selecting(f"{label}=b")) as b,
        await api.watch(CM, **selecting(f"{label} in (a,b)")) as either,
    ):
        (await api.post(CM, obj("ConfigMap", "one", labels={label: "a"}))).ok()
        for data in ("1", "2"):
            (await api.merge(f"{CM}/one", {"data": {"mutation": data}})).ok()
        (await api.delete(f"{CM}/one")).ok()
        wanted = [("ADDED", "one"), ("MODIFIED", "one"), ("MODIFIED", "one"), ("DELETED", "one")]
        assert await a.take(4) == wanted and await either.take(4) == wanted and await b.quiet()
        (await api.post(CM, obj("ConfigMap", "two", labels={label: "b"}))).ok()
        (await api.delete(f"{CM}/two")).ok()
        wanted = [("ADDED", "two"), ("DELETED", "two")]
        assert await b.take(2) == wanted and await either.take(2) == wanted and await a.quiet()


@pytest.mark.conformance("watch-configmaps-from-resource-version")
async def test_from_the_revision_of_an_update(both: World) -> None:
    api = both.admin
    (await api.post(CM, config_map("a"))).ok()
    first = await relabel(api, "a", mutation="1")
    await relabel(api, "a", mutation="2")
    (await api.delete(f"{CM}/a")).ok()
    async with await api.watch(CM, resourceVersion=first, fieldSelector="metadata.name=a") as watch:
        changed, gone = await watch.next(), await watch.next()
    assert (changed["type"], changed["object"]["metadata"]["labels"]) == ("MODIFIED", {"mutation": "2"})
    assert gone["type"] == "DELETED"
    assert int(gone["object"]["metadata"]["resourceVersion"]) > int(changed["object"]["metadata"]["resourceVersion"])


@pytest.mark.conformance("watch-configmaps-closed-and-restarted")
async def test_from_where_another_watch_ended(both: World) -> None:
    api = both.admin
    async with await api.watch(CM, labelSelector="x=1") as watch:
        (await api.post(CM, obj("ConfigMap", "a", labels={"x": "1"}))).ok()
        assert await watch.take(1) == [("ADDED", "a")]
        (await api.merge(f"{CM}/a", {"data": {"m": "1"}})).ok()
        last = (await watch.next())["object"]["metadata"]["resourceVersion"]
    (await api.merge(f"{CM}/a", {"data": {"m": "2"}})).ok()
    (await api.delete(f"{CM}/a")).ok()
    async with await api.watch(CM, labelSelector="x=1", resourceVersion=last) as watch:
        changed = await watch.next()
        assert (changed["type"], changed["object"]["data"]) == ("MODIFIED", {"m": "2"})
        assert await watch.take(1) == [("DELETED", "a")]


@pytest.mark.conformance("watch-configmaps-label-changed")
async def test_a_label_that_changes_and_changes_back(both: World) -> None:
    api = both.admin
    start = (await api.get(CM)).revision
    async with await api.watch(CM, labelSelector="w=yes", resourceVersion=start) as watch:
        (await api.post(CM, obj("ConfigMap", "a", labels={"w": "yes"}))).ok()
        (await api.merge(f"{CM}/a", {"data": {"m": "1"}})).ok()
        left = await relabel(api, "a", w="no")
        (await api.merge(f"{CM}/a", {"data": {"m": "2"}})).ok()
        await relabel(api, "a", w="yes")
        (await api.merge(f"{CM}/a", {"data": {"m": "3"}})).ok()
        (await api.delete(f"{CM}/a")).ok()
        events = [await watch.next() for _ in range(6)]
        assert await watch.quiet()
    assert [each["type"] for each in events] == ["ADDED", "MODIFIED", "DELETED", "ADDED", "MODIFIED", "DELETED"]
    gone, back = events[2]["object"], events[3]["object"]
    assert (gone["data"], gone["metadata"]["resourceVersion"]) == ({"m": "1"}, left)
    assert back["data"] == {"m": "2"}


@pytest.mark.conformance("watch-consistency")
async def test_watches_of_all_revisions_see_one_order(both: World) -> None:
    """From every event a new watch is opened; all of them see the same events in the same order."""
    api = both.admin
    start = (await api.get(CM)).revision
    opened = [await api.watch(CM, resourceVersion=start)]
    seen: list[str] = []
    try:
        for number in range(30):
            name = f"cm-{number % 6}"
            if number % 6 == number:
                (await api.post(CM, config_map(name))).ok()
            elif number % 5 == 4:
                (await api.merge(f"{CM}/{name}", {"data": {"n": str(number)}})).ok()
            else:
                await relabel(api, name, n=str(number))
            revision = (await opened[0].next())["object"]["metadata"]["resourceVersion"]
            for watch in opened[1:]:
                assert (await watch.next())["object"]["metadata"]["resourceVersion"] == revision
            seen.append(revision)
            opened.append(await api.watch(CM, resourceVersion=revision))
    finally:
        for watch in opened:
            await watch.__aexit__()
    assert seen == sorted(seen, key=int) and len(set(seen)) == 30


# --- a watch and a list say the same

SELECTIONS: list[dict[str, str]] = [
    {},
    {"labelSelector": "a=1"},
    {"labelSelector": "a in (1,2),!b"},
    {"labelSelector": "b"},
    {"fieldSelector": "metadata.name=c3"},
    {"fieldSelector": "metadata.name!=c1", "labelSelector": "a!=1"},
]


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("kind", ["memory", "sqlite"])
async def test_a_replayed_watch_is_the_list_at_every_revision(tmp_path, seed: int, kind: str) -> None:
    """Random writes; watches by selectors from random revisions. What each has seen up to a revision, applied to the
    list it began with, is the list at that revision."""
    from kaa.store.sqlite import SqliteStore

    chance = random.Random(seed)
    store = await SqliteStore.open(str(tmp_path / "store.db")) if kind == "sqlite" else None
    async for world in running(store):
        api = world.admin
        start = int((await api.get(CM)).revision)
        revisions, opened = [start], []
        for step in range(40):
            if step % 8 == 0:
                for number, query in enumerate(SELECTIONS):
                    begin = chance.choice(revisions)
                    more = {"resourceVersion": str(begin), "allowWatchBookmarks": "true"}
                    opened.append((number, begin, await api.watch(CM, **query, **more)))
            await write_something(api, chance)
            revisions.append(world.server.objects.cache.revision)
        (await api.post(PODS, pod("elsewhere"))).ok()
        await asyncio.sleep(0.05)  # each watch has begun
        world.server.objects.cache.bookmark()  # tells every watch that it has seen everything
        lists: dict[tuple[int, int], dict[str, Json]] = {}
        for revision in revisions:
            exact = {"resourceVersion": str(revision), "resourceVersionMatch": "Exact"}
            for number, query in enumerate(SELECTIONS):
                found = (await api.get(CM, **query, **exact)).ok(200)["items"]
                lists[number, revision] = {each["metadata"]["name"]: each for each in found}
        for number, begin, watch in opened:
            async with watch:
                events = []
                while (event := await watch.next())["type"] != "BOOKMARK":
                    events.append(event)
            have = dict(lists[number, begin])
            for revision in (each for each in revisions if each >= begin):
                while events and int(events[0]["object"]["metadata"]["resourceVersion"]) <= revision:
                    replay(have, events.pop(0))
                assert have == lists[number, revision], (SELECTIONS[number], begin, revision)
            assert not events


async def write_something(api: Api, chance: random.Random) -> None:
    name = f"c{chance.randrange(5)}"
    labels = {key: chance.choice(["1", "2", None]) for key in "ab"}
    if (await api.get(f"{CM}/{name}")).code == 404:
        kept = {key: value for key, value in labels.items() if value}
        (await api.post(CM, obj("ConfigMap", name, labels=kept))).ok(201)
    elif chance.random() < 0.25:
        (await api.delete(f"{CM}/{name}")).ok()
    else:
        (await api.merge(f"{CM}/{name}", {"metadata": {"labels": labels}})).ok()


def replay(have: dict[str, Json], event: Json) -> None:
    """Apply an event as a client does; what comes must be new, what changes or goes must be there."""
    name = event["object"]["metadata"]["name"]
    assert (name in have) == (event["type"] != "ADDED"), event
    if event["type"] == "DELETED":
        del have[name]
    else:
        have[name] = event["object"]
