"""What a call can cost by the sizes of its arguments: the estimates of cel-go and of Kubernetes' libraries.

They differ from what `kaa.cel.cost` counts when the call runs, in small ways that are the original's own.
"""

from collections.abc import Callable
from dataclasses import dataclass
from math import ceil
from typing import Protocol

from .syntax import Call, Literal, Node
from .types import UNBOUNDED, Type

__all__ = ["ONE", "UNKNOWN", "Range", "Sizes", "function_cost"]


@dataclass(frozen=True, slots=True)
class Range:
    """The least and the most of a size or cost. All arithmetic saturates."""

    least: int
    most: int

    def plus(self, other: "Range") -> "Range":
        return Range(min(UNBOUNDED, self.least + other.least), min(UNBOUNDED, self.most + other.most))

    def times(self, other: "Range") -> "Range":
        return Range(min(UNBOUNDED, self.least * other.least), min(UNBOUNDED, self.most * other.most))

    def scaled(self, factor: float) -> "Range":
        """Each times a factor, rounded up."""
        return Range(min(UNBOUNDED, ceil(self.least * factor)), min(UNBOUNDED, ceil(self.most * factor)))

    def union(self, other: "Range") -> "Range":
        return Range(min(self.least, other.least), max(self.most, other.most))


ONE = Range(1, 1)
UNKNOWN = Range(0, UNBOUNDED)


class Sizes(Protocol):
    """What is known of the sizes of parts of the expression."""

    def size_or_unknown(self, node: Node) -> Range: ...
    def declared(self, node: Node) -> Type | None: ...
    def declared_size(self, kind: Type | None) -> Range | None: ...


Answer = tuple[Range, Range | None]


def _target(call: Call) -> Node:
    return call.target if call.target is not None else call.args[0]


def _scan(sizes: Sizes, call: Call) -> Answer:
    size = sizes.size_or_unknown(_target(call))
    return size.scaled(0.1), size


def _affix(sizes: Sizes, call: Call) -> Answer:
    return sizes.size_or_unknown(call.args[0]).scaled(0.1), None


def _replace(sizes: Sizes, call: Call) -> Answer:
    text = sizes.size_or_unknown(_target(call))
    old, new = (sizes.size_or_unknown(arg) for arg in call.args[:2])
    # The longest result: an empty text is found before and after each character.
    if old.least == 0:
        most, kept = min(UNBOUNDED, text.most + 1), text.most
    elif new.most <= old.least:
        most, kept = 0, text.most
    else:
        most, kept = ceil(text.most / old.least), 0
    if old.most == 0:
        least, kept_least = text.least + 1, text.least
    elif old.most <= new.least:
        least, kept_least = 0, text.least
    else:
        least, kept_least = ceil(text.least / old.most), 0
    size = Range(least, most).times(new).plus(Range(kept_least, kept))
    return text.scaled(0.2), size


def _split(sizes: Sizes, call: Call) -> Answer:
    text = sizes.size_or_unknown(_target(call))
    most = text.most
    if len(call.args) > 1 and isinstance(call.args[1], Literal) and call.args[1].kind == "int":
        most = call.args[1].value % (UNBOUNDED + 1)
    return text.scaled(0.2), Range(0, most)


def _items(sizes: Sizes, node: Node) -> Range:
    declared = sizes.declared(node)
    items = declared.params[0] if declared is not None and declared.params else None
    return sizes.declared_size(items) or UNKNOWN


def _join(sizes: Sizes, call: Call) -> Answer:
    count = sizes.size_or_unknown(_target(call))
    size = count.times(_items(sizes, _target(call)))
    if call.args:
        between = Range(max(0, count.least - 1), max(0, count.most - 1))
        size = size.plus(sizes.size_or_unknown(call.args[0]).times(between))
    return size.scaled(0.1), size


def _regex(sizes: Sizes, call: Call) -> Answer:
    if call.target is None:
        return ONE, None
    text = sizes.size_or_unknown(call.target)
    cost = text.plus(ONE).scaled(0.1).times(sizes.size_or_unknown(call.args[0]).scaled(0.25))
    return cost, None if call.function == "matches" else Range(0, text.most)


def _contains(sizes: Sizes, call: Call) -> Answer:
    text, part = sizes.size_or_unknown(_target(call)), sizes.size_or_unknown(call.args[0])
    return text.scaled(0.1).times(part.scaled(0.1)), None


def _traverse(sizes: Sizes, call: Call) -> Answer:
    whole = _target(call)
    if call.target is None:
        return ONE, None
    size = sizes.size_or_unknown(whole)
    if whole.type.kind != "list":
        return size.scaled(0.1), None
    each = ONE
    if whole.type.params[0].kind in ("string", "bytes"):
        each = each.plus(_items(sizes, whole).scaled(0.1))
    return size.times(each), None


def _add(factor: float) -> Callable[[Sizes, Call], Answer]:
    def run(sizes: Sizes, call: Call) -> Answer:
        size = sizes.size_or_unknown(call.args[0]).plus(sizes.size_or_unknown(call.args[1]))
        return (size.scaled(factor) if factor else ONE), size

    return run


def _equals(sizes: Sizes, call: Call) -> Answer:
    left, right = call.args
    kind = left.type
    if kind.kind == "opaque" and kind.name != "optional_type" and kind.same(right.type):
        return ONE, None
    most = min(sizes.size_or_unknown(left).most, sizes.size_or_unknown(right).most)
    return Range(int(most > 0), most).scaled(0.1), None


def _sets(factor: int) -> Callable[[Sizes, Call], Answer]:
    def run(sizes: Sizes, call: Call) -> Answer:
        product = sizes.size_or_unknown(call.args[0]).times(sizes.size_or_unknown(call.args[1]))
        return product.scaled(factor).plus(ONE), None

    return run


def _bytes_of(sizes: Sizes, call: Call) -> Answer:
    size = sizes.size_or_unknown(call.args[0])
    return size.scaled(0.1), Range(size.least, min(UNBOUNDED, size.most * 4))


def _text_of(sizes: Sizes, call: Call) -> Answer:
    size = sizes.size_or_unknown(call.args[0])
    return size.scaled(0.1), Range(size.least // 4, size.most)


def _quote(sizes: Sizes, call: Call) -> Answer:
    size = sizes.size_or_unknown(call.args[0])
    return size.scaled(0.1), Range(size.least + 2, min(UNBOUNDED, size.most * 2 + 2))


def _format(sizes: Sizes, call: Call) -> Answer:
    return sizes.size_or_unknown(_target(call)).scaled(0.1), None


def _selector(sizes: Sizes, call: Call) -> Answer:
    size = sizes.size_or_unknown(call.args[0])
    return Range(10, 10).plus(size.scaled(0.1)).plus(size.scaled(0.5).scaled(50)), None


def _contains_ip(sizes: Sizes, call: Call) -> Answer:
    cost = Range(8, 32).scaled(0.1)
    if call.args[0].type.kind == "string":
        cost = cost.plus(sizes.size_or_unknown(call.args[0]).scaled(0.1))
    return cost, None


def _contains_cidr(sizes: Sizes, call: Call) -> Answer:
    cost, _ = _contains_ip(sizes, call)
    return cost.plus(Range(4, 16).scaled(0.1)).plus(ONE), None


def _validate(sizes: Sizes, call: Call) -> Answer:
    # 128 is the original's longest pattern of a name.
    return sizes.size_or_unknown(call.args[0]).scaled(0.1).scaled(128 * 0.25), None


def _in_list(sizes: Sizes, call: Call) -> Answer:
    return sizes.size_or_unknown(call.args[1]), None


_RULES: dict[str, Callable[[Sizes, Call], Answer]] = {
    "scan": _scan, "affix": _affix, "replace": _replace, "split": _split, "join": _join, "regex": _regex,
    "contains": _contains, "traverse": _traverse, "in_list": _in_list, "add_text": _add(0.1), "list_add": _add(0),
    "order_text": _equals, "equals": _equals, "product": _sets(1), "product2": _sets(2), "bytes_of": _bytes_of,
    "text_of": _text_of, "quote": _quote, "format": _format, "selector": _selector, "contains_ip": _contains_ip,
    "contains_cidr": _contains_cidr, "validate": _validate,
    "check": lambda sizes, call: (Range(350_000, 350_000), None),
}  # fmt: skip


def function_cost(rule: str, sizes: Sizes, call: Call) -> Answer:
    """The cost of a call without its arguments', and the size of its result where that can be told."""
    found = _RULES.get(rule)
    return (ONE, None) if found is None else found(sizes, call)
