"""Valid objects with something put out of place, by every way in: a clear answer each time, and soon."""

import asyncio
import copy
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.server.samples import SAMPLES, path_of, sample
from tests.server.world import EXTENSIBLE, Answered, Api, running

from kaa.base.clock import REAL

Json = dict[str, Any]

#: No answer may take the loop for this long, whatever was sent. Generous: the machine is shared.
SECONDS_MAX = 3.0
MERGE, STRATEGIC, JSON_PATCH = (f"application/{each}+json" for each in ("merge-patch", "strategic-merge-patch",
                                                                       "json-patch"))  # fmt: skip

ODD = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**70), 2**70), st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from(["", "x", "\u0000", "\ud800".encode("utf-8", "replace").decode(), "1Ki", "-1", "1e400", "*", "a/b",
                     "..", "2001-01-01T00:00:00Z", "é" * 300, "9" * 400, "{", "%s", "A" * 70000]),
    st.text(max_size=20),
    st.recursive(st.integers() | st.text(max_size=3) | st.none(),
                 lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
                 max_leaves=6),
)  # fmt: skip
HOW = ("instead", "list", "beside", "without")
WAYS = ("create", "update", "status", "merge", "strategic", "json", "apply")


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Where something can be put."""
    found = [path] if path else []
    if isinstance(value, dict):
        for name, child in value.items():
            found += places(child, (*path, name))
    elif isinstance(value, list):
        for at, child in enumerate(value):
            found += places(child, (*path, at))
    return found


def put(value: Any, path: tuple[Any, ...], what: Any, how: str) -> Any:
    """A copy with `what` in a place: instead of what is there, in a list with it, or under a name beside it."""
    made = copy.deepcopy(value)
    inner = made
    for step in path[:-1]:
        inner = inner[step]
    last = path[-1]
    if how == "list":
        inner[last] = [inner[last], what]
    elif how == "beside" and isinstance(inner, dict):
        inner[str(what)[:40]] = inner[last]
    elif how == "without" and isinstance(inner, dict):
        del inner[last]
    else:
        inner[last] = what
    return made


async def send(api: Api, way: str, at: str, name: str, body: Any, path: tuple[Any, ...], what: Any) -> Answered:
    if way == "create":
        if isinstance(body, dict) and isinstance(body.get("metadata"), dict) and body["metadata"].get("name") == name:
            body = {**body, "metadata": {**body["metadata"], "name": f"{name}2"}}
        return await api.post(at, body, dryRun="All")
    if way in ("update", "status"):
        return await api.put(f"{at}/{name}" + ("/status" if way == "status" else ""), body)
    if way == "apply":
        return await api.apply(f"{at}/{name}", body, force="true")
    if way == "json":
        pointer = "/" + "/".join(str(step).replace("~", "~0").replace("/", "~1") for step in path)
        operations = [{"op": "replace", "path": pointer, "value": what}, {"op": "test", "path": pointer, "value": what}]
        return await api.ask("PATCH", f"{at}/{name}", operations, media=JSON_PATCH)
    return await api.ask("PATCH", f"{at}/{name}", body, media=MERGE if way == "merge" else STRATEGIC)


def test_whatever_is_out_of_place_is_answered() -> None:
    with asyncio.Runner() as runner:
        # The samples have webhooks and policies, which would have their say.
        worlds = running(disable_admission_plugins=EXTENSIBLE)
        world = runner.run(anext(worlds))
        api = world.admin
        for version, plural, kind, namespaced, content in SAMPLES:
            made = runner.run(api.post(path_of(version, plural, namespaced), sample(version, kind, "f", content)))
            assert made.code == 201 or made.reason == "AlreadyExists", made.body  # in its other version

        @settings(max_examples=350, deadline=None, derandomize=True, database=None,
                  suppress_health_check=list(HealthCheck))  # fmt: skip
        @given(st.sampled_from(SAMPLES), st.sampled_from(WAYS), st.sampled_from(HOW), ODD, st.integers(0, 10_000))
        def one(each: Any, way: str, how: str, what: Any, where: int) -> None:
            version, plural, kind, namespaced, content = each
            valid = sample(version, kind, "f", content)
            spots = places(valid)
            path = spots[where % len(spots)]
            body, name = put(valid, path, what, how), valid["metadata"]["name"]
            began = REAL.monotonic()
            answer = runner.run(send(api, way, path_of(version, plural, namespaced), name, body, path, what))
            assert answer.code < 500, (way, kind, path, what, answer.body[:500])
            assert answer.json["kind"], answer.body
            assert REAL.monotonic() - began < SECONDS_MAX, (way, kind, path, what)

        try:
            one()
        finally:
            runner.run(worlds.aclose())
