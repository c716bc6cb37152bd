"""Informers in protobuf against random writes, lost connections and a history that is too short for them."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import pytest
from tests.server.informer import Informer, key_of
from tests.server.world import ACCOUNTS, Api, World, config_map, obj, pod

from kaa.server import cache

Json = dict[str, Any]
NAMESPACES = ("default", "other")


def look(tasks: list[asyncio.Task[None]]) -> None:
    """Raise what an informer found wrong."""
    for task in tasks:
        if task.done():
            task.result()


@asynccontextmanager
async def following(*informers: Informer) -> AsyncIterator[None]:
    tasks = [asyncio.ensure_future(each.run()) for each in informers]
    for each, task in zip(informers, tasks, strict=True):
        each.task = task
    try:
        async with asyncio.timeout(5):
            while not all(each.synced.is_set() for each in informers):
                look(tasks)
                await asyncio.sleep(0.01)
        yield
        look(tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def write(api: Api, rng: random.Random, plural: str) -> None:
    """One write to one of a few objects; what does not apply is refused, and that is fine."""
    at = f"/api/v1/namespaces/{rng.choice(NAMESPACES)}/{plural}"
    name, tier = f"o{rng.randrange(12)}", rng.choice("ab")
    what = rng.randrange(6)
    if what < 2:
        made = pod(name, labels={"tier": tier}, nodeName="n1") if plural == "pods" else config_map(name, x=tier)
        made["metadata"]["labels"] = {"tier": tier}
        answer = await api.post(at, made)
    elif what == 2:
        answer = await api.merge(f"{at}/{name}", {"metadata": {"labels": {"tier": tier}}})
    elif what == 3:
        answer = await api.merge(f"{at}/{name}", {"metadata": {"annotations": {"n": str(rng.randrange(99))}}})
    elif what == 4 and plural == "pods":
        answer = await api.merge(f"{at}/{name}/status", {"status": {"phase": rng.choice(["Running", "Failed"])}})
    else:
        answer = await api.delete(f"{at}/{name}", gracePeriodSeconds=0)
    assert answer.code in (200, 201, 404, 409, 422), answer.body


async def caught_up(informer: Informer) -> None:
    """Its view is what a list gives, object for object."""
    async with asyncio.timeout(10):
        while True:
            look([informer.task])
            listed = (await informer.api.get(informer.path, **informer.selectors)).ok()["items"]
            wanted = {key_of(each): each["metadata"]["resourceVersion"] for each in listed}
            if {key: each["metadata"]["resourceVersion"] for key, each in informer.items.items()} == wanted:
                return
            await asyncio.sleep(0.01)


def informers(api: Api, plural: str) -> list[Informer]:
    everything, one = f"/api/v1/{plural}", f"/api/v1/namespaces/other/{plural}"
    made = [
        Informer(api, path, streaming=streaming, page=page, **selectors)
        for streaming, page in ((False, 0), (False, 3), (True, 0))
        for path, selectors in (
            (everything, {}), (one, {"labelSelector": "tier=a"}), (everything, {"fieldSelector": "metadata.name=o1"}),
        )
    ]  # fmt: skip
    if plural == "pods":
        made.append(Informer(api, everything, streaming=True, fieldSelector="status.phase=Running"))
    return made


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("plural", ["pods", "configmaps"])
async def test_views_stay_true_whatever_happens(
    world: World, monkeypatch: pytest.MonkeyPatch, plural: str, seed: int
) -> None:
    """Connections are lost, and the server forgets so soon that some of the informers have to begin again."""
    monkeypatch.setattr(cache, "CHANGES_MAX", 40)
    api, rng = world.admin, random.Random(seed)
    (await api.post("/api/v1/namespaces", obj("Namespace", "other"))).ok(201)
    (await api.post(ACCOUNTS.replace("default", "other"), obj("ServiceAccount", "default"))).ok(201)
    for _ in range(20):
        await write(api, rng, plural)
    made = informers(api, plural)
    async with following(*made):
        for round_ in range(15):
            for _ in range(rng.randrange(60)):
                await write(api, rng, plural)
                if rng.random() < 0.3:
                    await asyncio.sleep(0)
            for each in rng.sample(made, 3):
                each.online.clear()
                await each.drop()
            for _ in range(rng.choice([0, 120])):  # more than is remembered, before they are back
                await write(api, rng, plural)
            for each in made:
                each.online.set()
            if round_ % 5 == 4:
                await asyncio.gather(*(caught_up(each) for each in made))
        await asyncio.gather(*(caught_up(each) for each in made))
    assert all(each.resumed > 1 for each in made) and sum(each.relists for each in made) > 3
    whole = [each for each in made if each.path == f"/api/v1/{plural}" and not each.selectors]
    assert all(len(each.told) > 50 for each in whole)


async def test_one_that_was_away_for_long_begins_again(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "CHANGES_MAX", 8)
    api = world.admin
    path = "/api/v1/namespaces/default/configmaps"
    for streaming, page in ((False, 0), (False, 2), (True, 0)):
        informer = Informer(api, path, streaming=streaming, page=page)
        async with following(informer):
            (await api.post(path, config_map("before"))).ok(201)
            await caught_up(informer)
        revision = informer.revision
        (await api.delete(f"{path}/before")).ok()
        for count in range(20):
            (await api.post(path, config_map(f"c{count}"))).ok(201)
        async with following(informer):
            await caught_up(informer)
        assert (informer.relists, informer.begun) == (1, 2) and informer.revision > revision
        (await api.delete(path)).ok()


async def test_what_two_informers_are_told_is_the_same_in_the_same_order(world: World) -> None:
    api, rng = world.admin, random.Random(7)
    (await api.post("/api/v1/namespaces", obj("Namespace", "other"))).ok(201)
    (await api.post(ACCOUNTS.replace("default", "other"), obj("ServiceAccount", "default"))).ok(201)
    made = [Informer(api, "/api/v1/pods", streaming=streaming) for streaming in (True, False)]
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(following(*made))
        for _ in range(300):
            await write(api, rng, "pods")
        for each in made:
            await caught_up(each)
    assert made[0].told == made[1].told and len(made[0].told) > 100


async def test_a_quiet_kind_moves_on_by_bookmarks(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Others' writes age the revision of one that follows what nobody writes; bookmarks keep it young."""
    monkeypatch.setattr(cache, "CHANGES_MAX", 8)
    api = world.admin
    informer = Informer(api, "/api/v1/secrets", streaming=True)
    async with following(informer):
        began = informer.revision
        for count in range(20):
            (await api.post("/api/v1/namespaces/default/configmaps", config_map(f"c{count}"))).ok(201)
        async with asyncio.timeout(10):
            while not informer.bookmarks:
                world.server.objects.cache.bookmark()  # what comes every 20 seconds
                await asyncio.sleep(0.01)
        assert informer.revision > began
    assert informer.relists == 0 and informer.items == {}
