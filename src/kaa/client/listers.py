"""An indexed, read-only picture of the objects of one kind. No I/O: a reflector writes it, everyone else reads it."""

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Generic, Protocol, TypeVar

from kaa.kinds.views.base import View

__all__ = ["LabelSelector", "Lister"]

V = TypeVar("V", bound=View)


class LabelSelector(Protocol):
    """What `select` asks of a selector; a compiled `kaa.meta.selectors` selector is one."""

    def matches(self, labels: Mapping[str, str], /) -> bool:
        """Whether an object with these labels is meant."""


class _Index(Generic[V]):
    """Keys of objects by the values a function gives them. Insertion order is kept, so that runs repeat."""

    __slots__ = ("fn", "keys")

    def __init__(self, fn: Callable[[V], Iterable[str]]) -> None:
        self.fn = fn
        self.keys: dict[str, dict[str, None]] = {}

    def add(self, key: str, obj: V) -> None:
        for value in self.fn(obj):
            self.keys.setdefault(value, {})[key] = None

    def remove(self, key: str, obj: V) -> None:
        for value in self.fn(obj):
            held = self.keys.get(value)
            if held is not None:
                held.pop(key, None)
                if not held:
                    del self.keys[value]

    def change(self, key: str, old: V, new: V) -> None:
        before, after = tuple(self.fn(old)), tuple(self.fn(new))
        if before != after:
            self.remove(key, old)
            self.add(key, new)


class Lister(Generic[V]):
    """What the cache holds now. Every collection is a copy: it stays as it is across an await, but grows old.

    The built-in indexes (namespace, controller owner, orphans) cost nothing until the first question to them.
    """

    __slots__ = ("_indexes", "_objects")

    def __init__(self) -> None:
        self._objects: dict[str, V] = {}
        self._indexes: dict[str, _Index[V]] = {}

    def __len__(self) -> int:
        return len(self._objects)

    def get(self, name: str, namespace: str = "") -> V | None:
        """The object, or None."""
        return self._objects.get(f"{namespace}/{name}" if namespace else name)

    def get_key(self, key: str) -> V | None:
        """The object with this key, or None."""
        return self._objects.get(key)

    def all(self) -> Collection[V]:
        """Every object. Costs a copy of the whole: not for each reconcile."""
        return list(self._objects.values())

    def keys(self) -> Collection[str]:
        """The key of every object."""
        return list(self._objects)

    def in_namespace(self, namespace: str) -> Collection[V]:
        """The objects of one namespace; every object when it is empty, as in a list request."""
        return self._by("\0namespace", _namespace, namespace) if namespace else self.all()

    def select(self, namespace: str, selector: LabelSelector) -> list[V]:
        """The objects of a namespace whose labels match; looks at each of them, so prefer an index on hot paths."""
        return [obj for obj in self.in_namespace(namespace) if selector.matches(obj.metadata.labels)]

    def add_index(self, name: str, fn: Callable[[V], Iterable[str]]) -> None:
        """Keep an index by the values `fn` gives an object; `fn` must depend on the object alone.

        Adding the same function under the same name again does nothing; another function is an error.
        """
        present = self._indexes.get(name)
        if present is not None:
            if present.fn is not fn:
                raise ValueError(f"index {name!r} exists with another function; choose another name")
            return
        self._build(name, fn)

    def by(self, index: str, value: str) -> Collection[V]:
        """The objects an index holds under a value. Raises KeyError for an index that was not added."""
        objects = self._objects
        return [objects[key] for key in self._indexes[index].keys.get(value, ())]

    def owned_by(self, uid: str) -> Collection[V]:
        """The objects whose controller owner has this UID."""
        return self._by("\0owner", _owner, uid)

    def orphans(self, namespace: str) -> Collection[V]:
        """The objects of a namespace that no controller owns."""
        return self._by("\0orphans", _orphan, namespace)

    def _by(self, name: str, fn: Callable[[V], Iterable[str]], value: str) -> Collection[V]:
        index = self._indexes.get(name)
        if index is None:
            index = self._build(name, fn)
        objects = self._objects
        return [objects[key] for key in index.keys.get(value, ())]

    def _build(self, name: str, fn: Callable[[V], Iterable[str]]) -> _Index[V]:
        index = self._indexes[name] = _Index(fn)
        for key, obj in self._objects.items():
            index.add(key, obj)
        return index

    # --- for the owner of the cache only ---------------------------------------------------------------------------

    def _put(self, obj: V) -> V | None:
        """Take in an object; returns what it replaces."""
        key = obj.key
        old = self._objects.get(key)
        self._objects[key] = obj
        for index in self._indexes.values():
            if old is None:
                index.add(key, obj)
            else:
                index.change(key, old, obj)
        return old

    def _drop(self, key: str) -> V | None:
        """Forget an object; returns what it was."""
        old = self._objects.pop(key, None)
        if old is not None:
            for index in self._indexes.values():
                index.remove(key, old)
        return old


def _namespace(obj: View) -> Iterable[str]:
    return (obj.metadata.namespace,)


def _owner(obj: View) -> Iterable[str]:
    owner = obj.controller
    return () if owner is None else (owner.uid,)


def _orphan(obj: View) -> Iterable[str]:
    return (obj.metadata.namespace,) if obj.controller is None else ()
