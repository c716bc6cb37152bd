"""Indexes stay equal to what a scan would find, whatever happens to the objects."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kaa.client.listers import Lister
from kaa.kinds.views import Pod
from kaa.kinds.views.base import ObjectMeta, OwnerReference
from kaa.kinds.views.core import PodSpec
from kaa.meta.selectors import parse_labels


def pod(name: str, namespace: str = "n", owner: str = "", node: str = "", **labels: str) -> Pod:
    owners = (OwnerReference(kind="ReplicaSet", name=owner, uid=owner, controller=True),) if owner else ()
    metadata = ObjectMeta(name=name, namespace=namespace, uid=f"u-{name}", owner_references=owners, labels=labels)
    return Pod(metadata=metadata, spec=PodSpec(node_name=node))


def by_node(obj: Pod) -> tuple[str, ...]:
    return (obj.spec.node_name,) if obj.spec.node_name else ()


_pods = st.builds(
    pod,
    st.sampled_from("abc"),
    st.sampled_from(["m", "n"]),
    st.sampled_from(["", "x", "y"]),
    st.sampled_from(["", "1"]),
)


@given(st.lists(st.tuples(st.booleans(), _pods)))
def test_indexes_equal_scans(steps: list[tuple[bool, Pod]]) -> None:
    lister: Lister[Pod] = Lister()
    lister.add_index("node", by_node)
    plain: dict[str, Pod] = {}
    for number, (put, obj) in enumerate(steps):
        if number == len(steps) // 2:
            lister.owned_by("x"), lister.orphans("n"), lister.in_namespace("n")  # built half way
        if put:
            assert lister._put(obj) == plain.get(obj.key)
            plain[obj.key] = obj
        else:
            assert lister._drop(obj.key) == plain.pop(obj.key, None)
    everything = list(plain.values())
    assert list(lister.all()) == everything and len(lister) == len(everything)
    for found, wanted in (
        (lister.by("node", "1"), [p for p in everything if p.spec.node_name == "1"]),
        (lister.owned_by("x"), [p for p in everything if p.controller and p.controller.uid == "x"]),
        (lister.orphans("n"), [p for p in everything if p.controller is None and p.namespace == "n"]),
        (lister.in_namespace("m"), [p for p in everything if p.namespace == "m"]),
    ):
        assert sorted(p.key for p in found) == sorted(p.key for p in wanted)
        assert all(p is plain[p.key] for p in found)


def test_questions() -> None:
    lister: Lister[Pod] = Lister()
    lister._put(pod("a", app="web"))
    lister._put(pod("b", app="db"))
    assert lister.get("a", "n") is lister.get_key("n/a")
    assert lister.get("a") is None
    assert [p.name for p in lister.select("n", parse_labels("app in (db)"))] == ["b"]
    snapshot = lister.in_namespace("n")
    lister._drop("n/a")
    assert len(snapshot) == 2


def test_an_index_has_one_meaning() -> None:
    lister: Lister[Pod] = Lister()
    lister.add_index("node", by_node)
    lister.add_index("node", by_node)
    with pytest.raises(ValueError, match="another name"):
        lister.add_index("node", lambda _pod: ())
    with pytest.raises(KeyError):
        lister.by("zone", "x")
