"""Values while a program runs: what JSON holds, as it is, wherever that is already the value the type says.

Strings, booleans, integers, and lists, maps and objects of them need no conversion. Where a type differs from its JSON
form (timestamps, durations, bytes, doubles written as integers, sets, lists that are maps, escaped names), a thin view
converts on access; nothing is copied. Views are made once per access and never changed.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

from .errors import BudgetExceeded, EvaluationError, no_such_key
from .times import Duration, Timestamp, parse_json_date_time, parse_json_duration
from .types import Type

__all__ = [
    "ELEMENTS_MAX", "NONE", "STEP", "Concat", "Frame", "ListLike", "ListView", "MapView", "ObjectValue", "ObjectView",
    "Optional", "TypeValue", "UInt", "converter", "equal", "is_list", "is_map", "select", "size_of", "type_name",
]  # fmt: skip

#: The accounts of one evaluation: [cost so far, most cost, work left, then the variables].
Frame = list[Any]

#: What looking at one element counts as work; copying one character counts one.
STEP = 8
#: The most elements or characters a single value made by an expression can have.
ELEMENTS_MAX = 4_000_000


class UInt(int):
    """An unsigned integer of 64 bits: JSON has none, and arithmetic must not mix them with others."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class TypeValue:
    """What `type(x)` answers."""

    name: str


@dataclass(frozen=True, slots=True, eq=False)
class Optional:
    """A value that may be absent."""

    present: bool
    value: Any = None


NONE = Optional(False)


class ListLike:
    """A list that is no Python list."""

    __slots__ = ()

    def __len__(self) -> int:
        raise NotImplementedError

    def __getitem__(self, index: int) -> Any:
        raise NotImplementedError

    def __iter__(self) -> Iterator[Any]:
        for index in range(len(self)):
            yield self[index]


class ListView(ListLike):
    """A list of JSON whose elements convert, or that is a set or a map of its elements."""

    __slots__ = ("convert", "keys", "list_type", "raw")

    def __init__(
        self, raw: list[Any], convert: Callable[[Any], Any] | None, list_type: str, keys: tuple[str, ...]
    ) -> None:
        self.raw, self.convert, self.list_type, self.keys = raw, convert, list_type, keys

    def __len__(self) -> int:
        return len(self.raw)

    def __getitem__(self, index: int) -> Any:
        item = self.raw[index]
        return item if self.convert is None else self.convert(item)

    def __iter__(self) -> Iterator[Any]:
        return iter(self.raw) if self.convert is None else map(self.convert, self.raw)

    def identity(self, item: Any) -> Any:
        """What tells an element of a set, or of a list that is a map, from the others."""
        if self.list_type == "set":
            return _hashable(item)
        return tuple(_hashable(select(item, key, wire=True, missing=None)) for key in self.keys)

    def merged(self, other: Any, frame: Frame) -> "ListView":
        """Union of sets; of lists that are maps, the other's elements replace those of the same key."""
        work(frame, len(self.raw) + len(other))
        positions: dict[Any, int] = {}
        items: list[Any] = []
        for item in self.raw:
            positions[self.identity(item)] = len(items)
            items.append(item)
        for item in other:
            at = positions.get(key := self.identity(item))
            if at is None:
                positions[key] = len(items)
                items.append(item)
            elif self.list_type == "map":
                items[at] = item
        return ListView(items, self.convert, self.list_type, self.keys)


class Concat(ListLike):
    """Two lists, one after the other: joining costs nothing, as the original's account of it says."""

    __slots__ = ("left", "right", "size")

    def __init__(self, left: Any, right: Any) -> None:
        self.left, self.right = left, right
        self.size = len(left) + len(right)

    def __len__(self) -> int:
        return self.size

    def __getitem__(self, index: int) -> Any:
        node: Any = self
        while type(node) is Concat:
            left = len(node.left)
            if index < left:
                node = node.left
            else:
                index -= left
                node = node.right
        return node[index]

    def __iter__(self) -> Iterator[Any]:
        stack: list[Any] = [self]
        while stack:
            node = stack.pop()
            if type(node) is Concat:
                stack += (node.right, node.left)
            else:
                yield from node


class MapView:
    """A map of JSON whose values convert."""

    __slots__ = ("convert", "raw")

    def __init__(self, raw: dict[str, Any], convert: Callable[[Any], Any]) -> None:
        self.raw, self.convert = raw, convert

    def __len__(self) -> int:
        return len(self.raw)

    def __contains__(self, key: object) -> bool:
        return key in self.raw

    def __iter__(self) -> Iterator[Any]:
        return iter(self.raw)

    def __getitem__(self, key: Any) -> Any:
        return self.convert(self.raw[key])


class ObjectView(MapView):
    """An object of JSON some of whose fields convert. Keys are wire names; values come as JSON has them."""

    __slots__ = ("type",)

    def __init__(self, raw: dict[str, Any], kind: Type) -> None:
        self.raw, self.type = raw, kind

    def __getitem__(self, key: Any) -> Any:
        return self.raw[key]


class ObjectValue(dict[str, Any]):
    """An object an expression made: `Object.spec{...}`."""

    __slots__ = ("type_name",)

    def __init__(self, type_name: str, fields: dict[str, Any]) -> None:
        super().__init__(fields)
        self.type_name = type_name


def work(frame: Frame, amount: int) -> None:
    """Account for work the cost rules do not see. Raises BudgetExceeded when there was too much."""
    frame[2] -= amount
    if frame[2] < 0 or amount > ELEMENTS_MAX:
        raise BudgetExceeded


def _hashable(value: Any) -> Any:
    kind = type(value)
    if kind is str:
        return value
    if kind is bool:
        return ("bool", value)
    try:
        hash(value)
    except TypeError:
        return repr(value)
    return value


def is_list(value: Any) -> bool:
    """A list of any form."""
    return type(value) is list or isinstance(value, ListLike)


def is_map(value: Any) -> bool:
    """A map or object of any form."""
    return isinstance(value, dict | MapView)


_MISSING = object()


def select(value: Any, name: str, *, wire: bool = False, missing: Any = _MISSING) -> Any:
    """A field or key of a value whose type is known only now. Raises EvaluationError where there is none."""
    found: Any = _MISSING
    if isinstance(value, ObjectView):
        field = value.type.fields.get(name)
        if wire:
            found = value.raw.get(name, _MISSING)
        elif field is not None:
            raw = value.raw.get(field.wire)
            if raw is not None:
                convert = converter(field.type)
                found = raw if convert is None else convert(raw)
    elif is_map(value):
        if name in value:
            found = value[name]
    elif isinstance(value, Optional):
        return select(value.value, name, missing=missing) if value.present else missing
    elif missing is _MISSING:
        raise EvaluationError(f"unsupported index type '{type_name(value)}' in field selection '{name}'"[:200])
    if found is not _MISSING:
        return found
    if missing is _MISSING:
        raise no_such_key(name)
    return missing


_NAMES: dict[type, str] = {
    bool: "bool", int: "int", UInt: "uint", float: "double", str: "string", bytes: "bytes", type(None): "null_type",
    list: "list", dict: "map", Timestamp: "google.protobuf.Timestamp", Duration: "google.protobuf.Duration",
    TypeValue: "type", Optional: "optional_type", ListView: "list", Concat: "list", MapView: "map",
}  # fmt: skip


def type_name(value: Any) -> str:
    """The name of a value's type while a program runs."""
    name = _NAMES.get(type(value))
    if name is not None:
        return name
    if isinstance(value, ObjectView):
        return value.type.name
    if isinstance(value, ObjectValue):
        return value.type_name
    if isinstance(value, dict):
        return "map"
    return str(getattr(value, "cel_type", type(value).__name__))


def size_of(value: Any) -> int:
    """How much of it there is, as the account of costs counts; anything without a size counts one."""
    kind = type(value)
    if kind is str or kind is bytes or kind is list or kind is dict:
        return len(value)
    if isinstance(value, ListLike | MapView | dict):
        return len(value)
    return int(getattr(value, "cel_size", 1))


# -- equality

_NUMBERS = (int, float, UInt)


def equal(left: Any, right: Any, frame: Frame) -> bool:
    """The language's equality: numbers by their amount, whatever their types; values of other types are unequal."""
    a, b = type(left), type(right)
    if a is b and (a is str or a is int or a is bool):
        return bool(left == right)
    if a in _NUMBERS:
        return b in _NUMBERS and bool(left == right)
    if is_list(left):
        return is_list(right) and _equal_lists(left, right, frame)
    if is_map(left):
        return is_map(right) and _equal_maps(left, right, frame)
    if a is Optional:
        if b is not Optional or left.present != right.present:
            return False
        return not left.present or equal(left.value, right.value, frame)
    return a is b and bool(left == right)


def _equal_lists(left: Any, right: Any, frame: Frame) -> bool:
    size = len(left)
    if size != len(right):
        return False
    work(frame, STEP * (size + 1))
    if isinstance(left, ListView) and left.list_type in ("set", "map"):
        if left.list_type == "set":
            known = {left.identity(item) for item in left}
            return all(left.identity(item) in known for item in right)
        by_key = {left.identity(item): item for item in left}
        for item in right:
            mine = by_key.get(left.identity(item), _MISSING)
            if mine is _MISSING or not equal(mine, item, frame):
                return False
        return True
    return all(equal(a, b, frame) for a, b in zip(left, right, strict=True))


def _equal_maps(left: Any, right: Any, frame: Frame) -> bool:
    if len(left) != len(right):
        return False
    work(frame, STEP * (len(left) + 1))
    for key in left:
        if key not in right:
            return False
        a, b = left[key], right[key]
        if isinstance(left, ObjectView):
            a = _converted(left, key, a)
        if isinstance(right, ObjectView):
            b = _converted(right, key, b)
        if not equal(a, b, frame):
            return False
    return True


def _converted(view: ObjectView, key: str, value: Any) -> Any:
    for field in view.type.fields.values():
        if field.wire == key:
            convert = converter(field.type)
            return value if convert is None or value is None else convert(value)
    return value


# -- from JSON


def _to_double(raw: Any) -> Any:
    return float(raw) if type(raw) is int else raw


def _to_text(raw: Any) -> Any:
    return str(raw) if type(raw) is int or type(raw) is float else raw


def _to_timestamp(form: str, raw: Any) -> Any:
    return parse_json_date_time(raw, form) if type(raw) is str else raw


def _to_duration(raw: Any) -> Any:
    return parse_json_duration(raw) if type(raw) is str else raw


def _to_bytes(raw: Any) -> Any:
    if type(raw) is not str:
        return raw
    from base64 import b64decode

    try:
        return b64decode(raw, validate=True)
    except ValueError:
        raise EvaluationError(f"Invalid byte formatted string {raw[:80]}: illegal base64 data") from None


def _to_list(kind: Type, raw: Any) -> Any:
    if type(raw) is not list:
        return raw
    return ListView(raw, converter(kind.params[0]), kind.list_type, kind.list_map_keys)


def _to_map(convert: Callable[[Any], Any], raw: Any) -> Any:
    return MapView(raw, convert) if isinstance(raw, dict) and not isinstance(raw, ObjectValue) else raw


def _to_object(kind: Type, raw: Any) -> Any:
    return ObjectView(raw, kind) if isinstance(raw, dict) and not isinstance(raw, ObjectValue) else raw


def _to_optional(kind: Type, raw: Any) -> Any:
    # A variable that may be absent (a rule's `oldSelf`) is bound to None where it is.
    if raw is None or isinstance(raw, Optional):
        return NONE if raw is None else raw
    below = converter(kind.params[0])
    return Optional(True, raw if below is None else below(raw))


def converter(kind: Type) -> Callable[[Any], Any] | None:
    """What makes a value of what JSON holds; None where nothing need be done. Values pass through unchanged."""
    if kind.ready:
        return kind.convert
    # A schema may lead back to itself: until it is known that nothing below converts, say that something does.
    kind.ready = True
    match kind.kind:
        case "double":
            kind.convert = _to_double
        case "timestamp":
            kind.convert = partial(_to_timestamp, kind.format)
        case "duration":
            kind.convert = _to_duration
        case "bytes":
            kind.convert = _to_bytes
        case "string":
            kind.convert = _to_text if kind.format == "quantity" else None
        case "list":
            kind.convert = partial(_to_list, kind)
            if converter(kind.params[0]) is None and kind.list_type not in ("set", "map"):
                kind.convert = None
        case "opaque" if kind.name == "optional_type":
            kind.convert = partial(_to_optional, kind)
        case "map":
            below = converter(kind.params[1])
            kind.convert = None if below is None else partial(_to_map, below)
        case "object":
            kind.convert = partial(_to_object, kind)
            parts = [converter(f.type) is None and f.wire == name for name, f in kind.fields.items()]
            if all(parts):
                kind.convert = None
        case _:
            kind.convert = None
    return kind.convert
