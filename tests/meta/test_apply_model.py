"""Apply, update and strategic merge against plain slow definitions: an object as a dict of paths, owners as sets."""

import copy
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.meta.test_managed import ROOT, applied, did, obj
from tests.meta.test_strategic import ROOT as STRATEGIC_ROOT

from kaa.meta.fieldset import has
from kaa.meta.managed import ApplyConflicts
from kaa.meta.strategic import strategic_merge

Json = dict[str, Any]
Paths = dict[tuple[str, ...], Any]


def key(**keys: Any) -> str:
    import json

    return "k:" + json.dumps(keys, sort_keys=True, separators=(",", ":"))


def flat(thing: Json) -> Paths:
    """What an object of the tests' kind says, path by path; a list's item says that it is there."""
    made: Paths = {}
    meta, spec = thing["metadata"], thing.get("spec") or {}
    for name, value in (meta.get("labels") or {}).items():
        made[("f:metadata", "f:labels", f"f:{name}")] = value
    for value in meta.get("finalizers") or []:
        made[("f:metadata", "f:finalizers", f'v:"{value}"')] = True
    for name in ("a", "replicas", "selector"):
        if name in spec:
            made[("f:spec", f"f:{name}")] = spec[name]
    for item in spec.get("containers") or []:
        at = ("f:spec", "f:containers", key(name=item["name"]))
        made[at] = True
        for name in ("name", "image", "args"):
            if name in item:
                made[(*at, f"f:{name}")] = item[name]
        for port in item.get("ports") or []:
            below = (*at, "f:ports", key(containerPort=port["containerPort"], protocol="TCP"))
            made[below] = True
            for name, value in port.items():
                made[(*below, f"f:{name}")] = value
    return made


_port = st.fixed_dictionaries(
    {"containerPort": st.integers(1, 2), "protocol": st.just("TCP")}, optional={"name": st.sampled_from("xy")}
)
_container = st.fixed_dictionaries(
    {"name": st.sampled_from("ab")},
    optional={
        "image": st.sampled_from("12"),
        "args": st.sampled_from([["x"], ["y"]]),
        "ports": st.lists(_port, min_size=1, max_size=2, unique_by=lambda each: each["containerPort"]),
    },
)
_spec = st.fixed_dictionaries(
    {},
    optional={
        "a": st.sampled_from("12"),
        "replicas": st.integers(1, 2),
        "selector": st.sampled_from([{"k": "1"}, {"k": "2"}, {"l": "1"}]),
        "containers": st.lists(_container, min_size=1, max_size=2, unique_by=lambda each: each["name"]),
    },
)
_meta = st.fixed_dictionaries(
    {},
    optional={
        "labels": st.dictionaries(st.sampled_from("lm"), st.sampled_from("12"), min_size=1),
        "finalizers": st.lists(st.sampled_from("fgh"), min_size=1, max_size=2, unique=True),
    },
)
_config = st.builds(lambda meta, spec: obj(meta, **spec), _meta, _spec)


class Model:
    """The plain definition: what there is, and who owns which of it."""

    def __init__(self) -> None:
        self.state: Paths = {}
        self.owned: dict[tuple[str, str], set[tuple[str, ...]]] = {}
        self.there = False

    def conflicts(self, me: tuple[str, str], want: Paths) -> set[tuple[str, ...]]:
        changed = {path for path, value in want.items() if self.state.get(path) != value}
        return {path for owner, paths in self.owned.items() if owner != me for path in paths & changed}

    def apply(self, manager: str, want: Paths) -> None:
        me = (manager, "Apply")
        changed = {path for path, value in want.items() if self.state.get(path) != value}
        others = [paths for owner, paths in self.owned.items() if owner != me]
        held = set().union(*others) if others else set()
        gone = set(self.owned.get(me, set()) - want.keys() - held)
        # With an item goes what is in it, even what others own there who do not hold the item itself.
        gone |= {path for path in self.state if any(path[: len(top)] == top for top in gone if top[-1][:2] == "k:")}
        for paths in others:
            paths -= changed | gone
        self.state = {path: value for path, value in {**self.state, **want}.items() if path not in gone}
        self.owned[me] = set(want)
        self._settle()

    def update(self, manager: str, want: Paths) -> None:
        changed = {path for path, value in want.items() if self.state.get(path) != value}
        gone = self.state.keys() - want.keys()
        tracked = bool(self.owned) or not self.there
        for paths in self.owned.values():
            paths -= changed | gone
        self.state = dict(want)
        if tracked and changed:
            self.owned.setdefault((manager, "Update"), set()).update(changed)
        self._settle()

    def _settle(self) -> None:
        self.owned = {owner: paths for owner, paths in self.owned.items() if paths}
        self.there = True


def owned(live: Json, universe: set[tuple[str, ...]]) -> dict[tuple[str, str], set[tuple[str, ...]]]:
    made = {}
    for each in live["metadata"].get("managedFields", []):
        paths = {path for path in universe if has(each["fieldsV1"], *path)}
        if paths:
            made[(each["manager"], each["operation"])] = paths
    return made


_writes = st.lists(
    st.tuples(
        st.sampled_from(["apply", "apply", "force", "update"]), st.sampled_from(["one", "two", "three"]), _config
    ),
    min_size=1,
    max_size=7,
)


@settings(max_examples=250, deadline=None)
@given(_writes)
def test_any_run_of_writes(writes: list[tuple[str, str, Json]]) -> None:
    """Apply conflicts exactly where another owner's value would change; what nobody owns any more is gone."""
    model, universe = Model(), set()
    live: Json | None = None
    for kind, manager, config in writes:
        want = flat(config)
        universe |= want.keys()
        if kind == "update":
            live = did(live, config, manager)
            model.update(manager, want)
        else:
            if live is not None and not live["metadata"].get("managedFields"):
                return  # tracked anew from here on: tested apart
            if kind == "apply" and model.conflicts((manager, "Apply"), want):
                with pytest.raises(ApplyConflicts):
                    applied(live, config, manager)
                continue
            live = applied(live, config, manager, force=kind == "force")
            model.apply(manager, want)
            assert applied(live, config, manager, time="later") is live
        assert flat(live) == model.state
        assert owned(live, universe) == model.owned


@settings(max_examples=150, deadline=None)
@given(_config, _config, _config)
def test_exactly_what_nobody_else_owns_goes(first: Json, then: Json, theirs: Json) -> None:
    live = applied(None, first, "one")
    live = applied(live, theirs, "two", force=True)
    after = applied(live, then, "one", force=True)
    x, y, z = flat(first), flat(then), flat(theirs)
    assert set(flat(after)) == y.keys() | z.keys()
    assert flat(live).keys() - flat(after).keys() == x.keys() - y.keys() - z.keys()


@settings(max_examples=150, deadline=None)
@given(_config, _config)
def test_those_who_do_not_disagree_may_come_in_any_order(one: Json, two: Json) -> None:
    x, y = flat(one), flat(two)
    if any(x[path] != y[path] for path in x.keys() & y.keys()):
        with pytest.raises(ApplyConflicts):
            applied(applied(None, one, "one"), two, "two")
        return
    left = applied(applied(None, one, "one"), two, "two")
    right = applied(applied(None, two, "two"), one, "one")
    assert flat(left) == flat(right) == {**x, **y}
    universe = x.keys() | y.keys()
    assert owned(left, set(universe)) == owned(right, set(universe))


def test_the_schema_fits_the_model() -> None:
    """The model knows lists by key, sets, atomic maps and lists, and maps: the schema must have them all."""
    spec, container = ROOT.fields["spec"], ROOT.fields["spec"].fields["containers"].items
    assert spec.fields["selector"].atomic_map and spec.fields["containers"].list_type == "map"
    assert container is not None and container.fields["ports"].list_map_keys == ("containerPort", "protocol")
    assert ROOT.fields["metadata"].fields["finalizers"].list_type == "set"


# --- strategic merge

_MERGED = {"containers": "name", "env": "name", "ports": "containerPort"}


def plainly(doc: Json, patch: Json) -> Json:
    """Strategic merge, by definition: fields merge, null takes away, lists with a key merge by it, sets unite."""
    made = copy.deepcopy(doc)
    for name, value in patch.items():
        if value is None:
            made.pop(name, None)
        elif name in _MERGED and isinstance(value, list):
            by = _MERGED[name]
            items = {each[by]: each for each in made.get(name, [])}
            for each in value:
                if each.get("$patch") == "delete":
                    items.pop(each[by], None)
                else:
                    items[each[by]] = plainly(items.get(each[by], {}), each)
            made[name] = list(items.values())
        elif name == "finalizers":
            made[name] = [*made.get(name, []), *(each for each in value if each not in made.get(name, []))]
        elif isinstance(value, dict):
            made[name] = plainly(made[name] if isinstance(made.get(name), dict) else {}, value)
        else:
            made[name] = copy.deepcopy(value)
    return made


def unordered(value: Any, name: str = "") -> Any:
    """Lists that merge, as what they hold."""
    if isinstance(value, dict):
        return {each: unordered(below, each) for each, below in value.items()}
    if isinstance(value, list) and name in _MERGED:
        return {each[_MERGED[name]]: unordered(each) for each in value}
    return sorted(value) if name == "finalizers" else value


def _lists(nullable: bool) -> st.SearchStrategy[Json]:
    text = st.sampled_from("12") | st.none() if nullable else st.sampled_from("12")
    env = st.fixed_dictionaries({"name": st.sampled_from("XY")}, optional={"value": text})
    port = st.fixed_dictionaries({"containerPort": st.integers(1, 2)}, optional={"name": text})
    gone = st.just({"$patch": "delete"}) if nullable else st.nothing()
    container = st.fixed_dictionaries(
        {"name": st.sampled_from("abc")},
        optional={
            "image": text,
            "args": st.lists(st.sampled_from("xy"), max_size=2),
            "env": st.lists(env, max_size=2, unique_by=lambda each: each["name"]),
            "ports": st.lists(port, max_size=2, unique_by=lambda each: each["containerPort"]),
        },
    )
    if nullable:
        container = container | st.builds(
            lambda name, directive: {"name": name, **directive}, st.sampled_from("abc"), gone
        )
    return st.fixed_dictionaries(
        {},
        optional={
            "labels": st.dictionaries(st.sampled_from("lm"), text),
            "finalizers": st.lists(st.sampled_from("fgh"), max_size=3, unique=True),
            "containers": st.lists(container, max_size=3, unique_by=lambda each: each["name"]),
            "tolerations": st.lists(st.dictionaries(st.sampled_from("k"), st.sampled_from("12")), max_size=2),
        },
    )


@settings(max_examples=300, deadline=None)
@given(_lists(False), _lists(True))
def test_strategic_merge_is_a_merge_by_key(doc: Json, patch: Json) -> None:
    merged = strategic_merge(doc, patch, STRATEGIC_ROOT)
    assert unordered(merged) == unordered(plainly(doc, patch))
    assert unordered(strategic_merge(merged, patch, STRATEGIC_ROOT)) == unordered(merged)
