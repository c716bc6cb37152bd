"""Ownership and server-side apply: tables of the rules, and a plain reference they must agree with."""

import copy
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kaa.meta.errors import StatusError
from kaa.meta.managed import LAST_APPLIED, ApplyConflicts, apply, fields_of, manager_of_user_agent, update_ownership
from kaa.meta.schema import Schema

Json = dict[str, Any]

TEXT = Schema(type="string")
NUMBER = Schema(type="integer")
LABELS = Schema(type="object", values=TEXT)
PORT = Schema(
    type="object",
    fields={"containerPort": NUMBER, "protocol": Schema(type="string", default="TCP"), "name": TEXT},
)
PORTS = Schema(type="array", items=PORT, list_type="map", list_map_keys=("containerPort", "protocol"))
CONTAINER = Schema(
    type="object",
    ref="Container",
    fields={
        "name": TEXT,
        "image": TEXT,
        "args": Schema(type="array", items=TEXT),
        "ports": PORTS,
        "resources": Schema(type="object", ref="Resources", fields={"limits": LABELS}, default={}),
    },
)
SPEC = Schema(
    type="object",
    ref="Spec",
    default={},
    required=("containers",),
    fields={
        "replicas": NUMBER,
        "selector": Schema(type="object", values=TEXT, atomic_map=True),
        "containers": Schema(type="array", items=CONTAINER, list_type="map", list_map_keys=("name",)),
        **dict.fromkeys("abcd", TEXT),
    },
)
META = Schema(
    type="object",
    ref="Meta",
    default={},
    fields={
        "name": TEXT,
        "namespace": TEXT,
        "uid": TEXT,
        "resourceVersion": TEXT,
        "generation": NUMBER,
        "creationTimestamp": TEXT,
        "labels": LABELS,
        "annotations": LABELS,
        "finalizers": Schema(type="array", items=TEXT, list_type="set"),
        "managedFields": Schema(type="array"),
    },
)
ROOT = Schema(
    type="object",
    ref="Thing",
    fields={
        "apiVersion": TEXT,
        "kind": TEXT,
        "metadata": META,
        "spec": SPEC,
        "status": Schema(type="object", ref="Status", default={}, fields={"phase": TEXT}),
    },
)


def obj(meta: Json | None = None, status: Json | None = None, **spec: Any) -> Json:
    made: Json = {"apiVersion": "apps/v1", "kind": "Thing", "metadata": {"name": "x", **(meta or {})}}
    if spec:
        made["spec"] = spec
    if status:
        made["status"] = status
    return made


def did(old: Json | None, new: Json, manager: str = "me", time: str = "t1", **more: Any) -> Json:
    """A write that keeps ownership, as the server does it; the uid marks an object that exists."""
    new = copy.deepcopy(new)
    if old is not None and "managedFields" not in new["metadata"]:
        new["metadata"]["managedFields"] = copy.deepcopy(old["metadata"].get("managedFields", []))
    before = copy.deepcopy(old)
    answer = update_ownership(old, new, ROOT, manager=manager, api_version="apps/v1", time_text=time, **more)
    assert new["metadata"].get("managedFields", []) == answer
    assert old == before
    return new


def applied(live: Json | None, wanted: Json, manager: str = "me", time: str = "t1", **more: Any) -> Json:
    before, wanted_before = copy.deepcopy(live), copy.deepcopy(wanted)
    made = apply(live, wanted, ROOT, manager=manager, api_version="apps/v1", time_text=time, **more)
    assert live == before and wanted == wanted_before
    return made


def owners(thing: Json) -> dict[str, Any]:
    return {each["manager"]: each["fieldsV1"] for each in thing["metadata"].get("managedFields", [])}


def plain(thing: Json) -> Json:
    """The object without its ownership."""
    meta = {name: each for name, each in thing["metadata"].items() if name != "managedFields"}
    return {**thing, "metadata": meta}


FIELDS = {
    "leaves": (obj(a="1", replicas=1), {"f:a": {}, "f:replicas": {}}),
    "an atomic map": (obj(selector={"a": "b"}), {"f:selector": {}}),
    "an empty list sets nothing": (obj(a="1", containers=[]), {"f:a": {}}),
    "a null is set": (obj(a=None), {"f:a": {}}),
    "items": (
        obj(containers=[{"name": "c", "args": ["x"], "ports": [{"containerPort": 80}]}]),
        {
            "f:containers": {
                'k:{"name":"c"}': {
                    ".": {},
                    "f:name": {},
                    "f:args": {},
                    "f:ports": {'k:{"containerPort":80,"protocol":"TCP"}': {".": {}, "f:containerPort": {}}},
                }
            }
        },
    ),
}


@pytest.mark.parametrize("name", FIELDS)
def test_fields_of(name: str) -> None:
    thing, wanted = FIELDS[name]
    assert fields_of(thing, ROOT)["f:spec"] == wanted


def test_a_create_owns_what_it_sets() -> None:
    thing = did(
        None,
        obj(
            {"labels": {"l": "1"}, "uid": "u", "generation": 1, "finalizers": ["x/y"]},
            {"phase": "New"},
            a="1",
            containers=[{"name": "c", "image": "i", "resources": {"limits": {"cpu": "1"}}}],
        ),
    )
    assert thing["metadata"]["managedFields"] == [
        {
            "manager": "me",
            "operation": "Update",
            "apiVersion": "apps/v1",
            "time": "t1",
            "fieldsType": "FieldsV1",
            "fieldsV1": {
                "f:metadata": {
                    "f:finalizers": {".": {}, 'v:"x/y"': {}},
                    "f:labels": {".": {}, "f:l": {}},
                },
                "f:spec": {
                    "f:a": {},
                    "f:containers": {
                        'k:{"name":"c"}': {
                            ".": {},
                            "f:image": {},
                            "f:name": {},
                            "f:resources": {".": {}, "f:limits": {".": {}, "f:cpu": {}}},
                        }
                    },
                },
            },
        }
    ]


def test_an_update_takes_what_it_changes() -> None:
    first = did(None, obj(a="1", b="1"), "one")
    second = did(first, obj(a="2", b="1", c="1"), "two", "t2")
    assert owners(second) == {"one": {"f:spec": {"f:b": {}}}, "two": {"f:spec": {"f:a": {}, "f:c": {}}}}
    third = did(second, obj(b="1"), "three", "t3")
    assert owners(third) == {"one": {"f:spec": {"f:b": {}}}}
    assert owners(did(third, obj(b="2"), "two")) == {"two": {"f:spec": {"f:b": {}}}}


def test_nothing_changed_means_the_same_list() -> None:
    first = did(None, obj(a="1"), "one")
    new = copy.deepcopy(first)
    answer = update_ownership(first, new, ROOT, manager="two", api_version="apps/v1", time_text="t2")
    assert answer is first["metadata"]["managedFields"]


def test_times_move_with_what_is_taken() -> None:
    first = did(None, obj(a="1", b="1"), "one")
    entry = did(first, obj(a="2", b="1"), "one", "t2")["metadata"]["managedFields"]
    assert [each["time"] for each in entry] == ["t2"] and entry[0]["fieldsV1"] == {"f:spec": {"f:a": {}, "f:b": {}}}
    entry = did(first, obj(a="1"), "one", "t2")["metadata"]["managedFields"]
    assert [each["time"] for each in entry] == ["t1"] and entry[0]["fieldsV1"] == {"f:spec": {"f:a": {}}}


def test_status_belongs_to_its_subresource() -> None:
    first = did(None, obj(a="1"), "one")
    second = did(first, obj(None, {"phase": "Up"}, a="1"), "kubelet", subresource="status")
    entry = second["metadata"]["managedFields"][0]
    assert (entry["manager"], entry["subresource"], entry["fieldsV1"]) == (
        "kubelet",
        "status",
        {"f:status": {"f:phase": {}}},
    )
    assert did(second, obj(None, {"phase": "Down"}, a="1"), "two")["metadata"] == second["metadata"]


def test_clients_may_set_the_list() -> None:
    first = did(None, obj(a="1"), "one")
    cleared = did(first, obj({"managedFields": [{}], "uid": "u"}, a="1"))
    assert "managedFields" not in cleared["metadata"]
    assert "managedFields" not in did(cleared, obj(a="2"), "two")["metadata"]
    renamed = copy.deepcopy(first["metadata"]["managedFields"])
    renamed[0]["manager"] = "other"
    assert owners(did(first, obj({"managedFields": renamed}, a="1"))) == {"other": {"f:spec": {"f:a": {}}}}
    assert owners(did(first, obj({"managedFields": renamed}, a="1"), subresource="status")) == owners(first)
    assert "managedFields" not in did(first, obj({"managedFields": [], "uid": "u"}, a="1"))["metadata"]
    for odd in (
        [{"operation": "Odd"}],
        [{"operation": "Update", "fieldsType": "FieldsV1"}],
        [{"operation": "Apply", "fieldsType": "FieldsV1", "fieldsV1": {"x": {}}}],
    ):
        assert owners(did(first, obj({"managedFields": odd}, a="1"))) == owners(first)


def test_old_updates_are_folded() -> None:
    thing = did(None, obj(a="0"), "m0", "t00")
    for number in range(1, 14):
        labels = {f"l{each}": "1" for each in range(number)}
        thing = did(thing, obj({"labels": labels}, a="0"), f"m{number}", f"t{number:02}")
    entries = thing["metadata"]["managedFields"]
    assert len(entries) == 10
    assert entries[0]["manager"] == "ancient-changes" and entries[0]["time"] == "t04"
    assert entries[0]["fieldsV1"] == {
        "f:metadata": {"f:labels": {".": {}, "f:l0": {}, "f:l1": {}, "f:l2": {}, "f:l3": {}}},
        "f:spec": {"f:a": {}},
    }


def test_an_apply_creates() -> None:
    thing = applied(None, obj({"labels": {"l": "1"}}, a="1"))
    assert plain(thing) == obj({"labels": {"l": "1"}}, a="1")
    (entry,) = thing["metadata"]["managedFields"]
    assert (entry["operation"], entry["fieldsV1"]) == (
        "Apply",
        {"f:metadata": {"f:labels": {"f:l": {}}}, "f:spec": {"f:a": {}}},
    )
    assert applied(thing, obj({"labels": {"l": "1"}}, a="1"), time="t2") is thing


def test_conflicts_name_manager_and_field() -> None:
    live = did(None, obj(replicas=1, a="1"), "kubectl-client-side-apply")
    with pytest.raises(ApplyConflicts) as caught:
        applied(live, obj(replicas=3))
    assert caught.value.message == (
        'Apply failed with 1 conflict: conflict with "kubectl-client-side-apply" using apps/v1: .spec.replicas'
    )
    assert (caught.value.code, caught.value.reason) == (409, "Conflict")
    assert caught.value.causes == [
        {
            "reason": "FieldManagerConflict",
            "message": 'conflict with "kubectl-client-side-apply" using apps/v1',
            "field": ".spec.replicas",
        }
    ]
    live = applied(live, obj(containers=[{"name": "c", "image": "1"}]), "other")
    with pytest.raises(ApplyConflicts) as caught:
        applied(live, obj(replicas=3, a="2", containers=[{"name": "c", "image": "2"}]))
    assert caught.value.message == (
        "Apply failed with 3 conflicts: "
        'conflicts with "kubectl-client-side-apply" using apps/v1:\n- .spec.a\n- .spec.replicas\n'
        'conflicts with "other":\n- .spec.containers[name="c"].image'
    )
    forced = applied(live, obj(replicas=3, a="2"), force=True)
    assert forced["spec"]["replicas"] == 3
    assert owners(forced)["me"] == {"f:spec": {"f:a": {}, "f:replicas": {}}}
    assert "kubectl-client-side-apply" not in owners(forced)


def test_a_conflict_with_a_subresource_names_it() -> None:
    live = did(did(None, obj(a="1")), obj(replicas=2, a="1"), "hpa", subresource="scale")
    with pytest.raises(ApplyConflicts, match='conflict with "hpa" with subresource "scale" using apps/v1: '):
        applied(live, obj(replicas=3), "two")


def test_equal_values_are_shared() -> None:
    live = applied(applied(None, obj(a="1", b="1"), "one"), obj(a="1"), "two", "t2")
    assert owners(live)["two"] == {"f:spec": {"f:a": {}}}
    dropped = applied(live, obj(b="1"), "one")
    assert dropped["spec"] == {"a": "1", "b": "1"}
    assert applied(dropped, obj(), "two")["spec"] == {"b": "1"}


def test_what_is_no_longer_applied_goes() -> None:
    live = applied(None, obj({"labels": {"l": "1", "m": "1"}}, a="1", b="1", containers=[{"name": "c"}, {"name": "d"}]))
    live = did(live, {**live, "spec": {**live["spec"], "c": "theirs"}}, "other", "t2")
    made = applied(live, obj({"labels": {"m": "1"}}, b="1", containers=[{"name": "d"}]))
    assert plain(made) == obj({"labels": {"m": "1"}}, b="1", c="theirs", containers=[{"name": "d"}])
    emptied = applied(made, obj())
    assert plain(emptied) == obj(c="theirs")
    assert list(owners(emptied)) == ["other"]


def test_an_item_goes_with_what_others_put_in_it_unless_they_hold_the_item() -> None:
    live = applied(None, obj(containers=[{"name": "c", "image": "1"}, {"name": "d"}]))
    changed = copy.deepcopy(live)
    changed["spec"]["containers"][0]["args"] = ["x"]
    live = did(live, changed, "other", "t2")
    assert applied(live, obj(containers=[{"name": "d"}]))["spec"] == {"containers": [{"name": "d"}]}
    shared = applied(live, obj(containers=[{"name": "c"}]), "third")
    kept = applied(shared, obj(containers=[{"name": "d"}]))
    assert kept["spec"]["containers"] == [{"name": "d"}, {"name": "c", "args": ["x"]}] or kept["spec"][
        "containers"
    ] == [
        {"name": "c", "args": ["x"]},
        {"name": "d"},
    ]


def test_items_merge_in_the_applied_order() -> None:
    live = did(None, obj(containers=[{"name": "sidecar"}, {"name": "a", "image": "1"}, {"name": "b"}]), "other")
    made = applied(live, obj(containers=[{"name": "b", "image": "2"}, {"name": "n"}, {"name": "a"}]))
    assert [each["name"] for each in made["spec"]["containers"]] == ["sidecar", "b", "n", "a"]
    assert made["spec"]["containers"][1] == {"name": "b", "image": "2"}
    assert made["spec"]["containers"][3] == {"name": "a", "image": "1"}


def test_keys_have_defaults() -> None:
    live = applied(None, obj(containers=[{"name": "c", "ports": [{"containerPort": 80, "protocol": "TCP"}]}]))
    made = applied(live, obj(containers=[{"name": "c", "ports": [{"containerPort": 80, "name": "web"}]}]), "two")
    assert made["spec"]["containers"][0]["ports"] == [{"containerPort": 80, "protocol": "TCP", "name": "web"}]


def test_sets_and_atomic_values() -> None:
    live = applied(None, obj({"finalizers": ["a/b"]}, selector={"a": "1"}), "one")
    live = applied(live, obj({"finalizers": ["c/d"]}), "two")
    assert live["metadata"]["finalizers"] == ["a/b", "c/d"]
    with pytest.raises(ApplyConflicts, match=r"\.spec\.selector"):
        applied(live, obj(selector={"b": "1"}), "two")
    forced = applied(live, obj(selector={"b": "1"}), "two", force=True)
    assert forced["spec"]["selector"] == {"b": "1"} and forced["metadata"]["finalizers"] == ["a/b"]


def test_a_null_is_owned_and_left_to_its_default() -> None:
    live = did(None, obj(replicas=3, a="1"), "other")
    with pytest.raises(ApplyConflicts, match="replicas"):
        applied(live, obj(replicas=None))
    made = applied(live, obj(replicas=None), force=True)
    assert made["spec"] == {"a": "1"}
    assert owners(made)["me"] == {"f:spec": {"f:replicas": {}}}


def test_what_was_there_before_the_first_apply() -> None:
    live = {**obj({"uid": "u"}, {"phase": "Up"}, a="1", b="1")}
    made = applied(live, obj(a="1", c="1"))
    assert owners(made) == {
        "before-first-apply": {"f:spec": {"f:a": {}, "f:b": {}}},
        "me": {"f:spec": {"f:a": {}, "f:c": {}}},
    }
    with pytest.raises(ApplyConflicts, match='"before-first-apply" using apps/v1: '):
        applied(live, obj(b="2"))


def test_status_is_not_applied_on_the_main_endpoint() -> None:
    live = applied(None, obj(None, {"phase": "Up"}, a="1"))
    assert owners(live) == {"me": {"f:spec": {"f:a": {}}}}


def test_from_client_side_apply() -> None:
    last = obj(a="1", b="1")
    text = orjson.dumps(last).decode()
    live = did(None, obj({"annotations": {LAST_APPLIED: text}}, a="1", b="1"), "kubectl-client-side-apply")
    made = applied(live, obj(a="2"), "kubectl")
    assert made["spec"] == {"a": "2", "b": "1"}
    assert '"a":"2"' in made["metadata"]["annotations"][LAST_APPLIED]
    with pytest.raises(ApplyConflicts):
        applied(live, obj(a="2"), "someone")
    changed = did(live, {**live, "spec": {"a": "9", "b": "1"}}, "editor")
    with pytest.raises(ApplyConflicts, match='"editor" using apps/v1: '):
        applied(changed, obj(a="2"), "kubectl")


@pytest.mark.parametrize(
    ("wanted", "code", "message"),
    [
        (
            {**obj(), "apiVersion": "apps/v2"},
            400,
            "Incorrect version specified in apply patch. Specified patch version: apps/v2, expected: apps/v1",
        ),
        (obj({"managedFields": []}), 400, "metadata.managedFields must be nil"),
        (
            obj({"namespace": "n"}, odd="1"),
            400,
            "failed to create typed patch object (n/x; apps/v1, Kind=Thing): .spec.odd: field not declared in schema",
        ),
        (
            obj(containers=[{"name": "c"}, {"name": "c"}]),
            400,
            "failed to create typed patch object (/x; apps/v1, Kind=Thing): "
            '.spec.containers: duplicate entries for key [name="c"]',
        ),
        (
            obj(containers=[{"name": "c", "odd": 1}]),
            400,
            "failed to create typed patch object (/x; apps/v1, Kind=Thing): "
            '.spec.containers[name="c"].odd: field not declared in schema',
        ),
        (
            obj(containers=[{"image": "c"}]),
            400,
            "failed to create typed patch object (/x; apps/v1, Kind=Thing): .spec.containers: element 0: "
            'associative list with keys has an element that omits all key fields ["name"] '
            "(and doesn't have default values for any key fields)",
        ),
        (
            obj(containers={"a": "b"}),
            400,
            "failed to create typed patch object (/x; apps/v1, Kind=Thing): "
            ".spec.containers: expected list, got &{map[a:b]}",
        ),
    ],
)
def test_what_cannot_be_applied(wanted: Json, code: int, message: str) -> None:
    with pytest.raises(StatusError) as caught:
        applied(None, wanted)
    assert (caught.value.code, caught.value.message) == (code, message)


def test_managers_by_user_agent() -> None:
    assert manager_of_user_agent("kubectl/v1.36 (linux)") == "kubectl"
    assert manager_of_user_agent("") == "unknown"
    assert len(manager_of_user_agent("x" * 500)) == 128


_values = st.dictionaries(st.sampled_from("abcd"), st.sampled_from("12"), max_size=4)
_writes = st.lists(
    st.tuples(st.sampled_from(["apply", "force", "update"]), st.sampled_from(["one", "two", "three"]), _values),
    max_size=8,
)


@given(_writes)
def test_against_a_plain_reference(writes: list[tuple[str, str, dict[str, str]]]) -> None:
    """Fields as a dict, owners as sets of names: apply and update may do nothing that this does not."""
    live = did(None, obj(a="0", b="0"), "origin")
    state = {"a": "0", "b": "0"}
    owned: dict[tuple[str, str], set[str]] = {("origin", "Update"): {"a", "b"}}
    for kind, manager, values in writes:
        me = (manager, "Update" if kind == "update" else "Apply")
        tracked = {owner: names for owner, names in owned.items() if names}
        if kind == "update":
            changed = {name for name, value in values.items() if state.get(name) != value}
            gone = state.keys() - values.keys()
            if tracked:
                for names in tracked.values():
                    names -= changed | gone
                tracked.setdefault(me, set()).update(changed)
            state = dict(values)
            live = did(live, obj(**values) if values else obj(), manager)
        else:
            if not tracked and state:
                tracked[("before-first-apply", "Update")] = set(state)
            changed = {name for name, value in values.items() if state.get(name) != value}
            others = [names for owner, names in tracked.items() if owner != me]
            refused = kind == "apply" and any(changed & names for names in others)
            wanted = obj(**values) if values else obj()
            if refused:
                with pytest.raises(ApplyConflicts):
                    applied(live, wanted, manager)
                continue
            dropped = tracked.get(me, set()) - values.keys()
            for names in others:
                dropped -= names
                names -= changed
            state = {name: value for name, value in {**state, **values}.items() if name not in dropped}
            tracked[me] = set(values)
            live = applied(live, wanted, manager, force=kind == "force")
        owned = tracked
        assert live.get("spec", {}) == state
        assert {
            (each["manager"], each["operation"]): {name[2:] for name in each["fieldsV1"].get("f:spec", {})}
            for each in live["metadata"].get("managedFields", [])
        } == {owner: names for owner, names in owned.items() if names}


_container = st.fixed_dictionaries(
    {"name": st.sampled_from("abc")},
    optional={
        "image": st.sampled_from("12"),
        "args": st.just(["x"]),
        "ports": st.lists(
            st.fixed_dictionaries(
                {"containerPort": st.integers(1, 3), "protocol": st.just("TCP")}, optional={"name": st.just("n")}
            ),
            min_size=1,
            max_size=2,
            unique_by=lambda port: port["containerPort"],
        ),
    },
)
_config = st.builds(
    lambda labels, containers: obj({"labels": labels}, containers=containers),
    st.dictionaries(st.sampled_from("lmn"), st.sampled_from("12"), min_size=1),
    st.lists(_container, min_size=1, max_size=3, unique_by=lambda each: each["name"]),
)


@given(st.lists(_config, min_size=1, max_size=4))
def test_one_manager_alone_gets_what_it_applied_last(configs: list[Json]) -> None:
    live: Json | None = None
    for config in configs:
        live = applied(live, config)
        assert plain(live) == config
        assert applied(live, config, time="t2") is live
