"""What calls cost while a program runs, in the original's units (one is about 50 ns of the original's time).

The numbers decide which rules a cluster accepts and which requests it refuses, so they are the original's exactly:
cel-go's `interpreter/runtimecost.go` and Kubernetes' `cel/library/cost.go`.
"""

from collections.abc import Callable
from math import ceil
from typing import Any

from .values import is_list, is_map, size_of

__all__ = ["AFTER", "CREATE_LIST", "CREATE_MAP", "CREATE_OBJECT", "RULES"]

CREATE_LIST, CREATE_MAP, CREATE_OBJECT = 10, 30, 40
AUTHORIZATION_CHECK = 350_000


def scan(value: Any) -> int:
    """Going over a text once."""
    return ceil(size_of(value) * 0.1)


def regex(text: int, pattern: int) -> int:
    """Matching a text against a pattern: their product, each in its unit."""
    return ceil((1 + text) * 0.1) * ceil(pattern * 0.25)


def traversal(value: Any) -> int:
    """Going over a value as a tree: its scalars, and a tenth of the bytes of its texts."""
    kind = type(value)
    if kind is str:
        return int((len(value) if value.isascii() else len(value.encode())) * 0.1)
    if kind is bytes:
        return int(len(value) * 0.1)
    if is_list(value):
        return sum(map(traversal, value))
    if is_map(value):
        return sum(traversal(key) + traversal(value[key]) for key in value)
    return 1


def selector(length: int) -> int:
    """Parsing a selector: its text, and a requirement of two creations for every two characters."""
    return CREATE_LIST + ceil(length * 0.1) + ceil(length * 0.5) * (CREATE_LIST + CREATE_OBJECT)


def _contains_cidr(args: tuple[Any, ...]) -> int:
    parse = scan(args[1]) if type(args[1]) is str else 0
    return ceil(size_of(args[0]) * 0.2) + scan(args[0]) + 1 + parse


#: By the name an overload declares: the cost by its arguments (a target first).
RULES: dict[str, Callable[[tuple[Any, ...]], int]] = {
    "one": lambda args: 1,
    "free": lambda args: 0,
    "scan": lambda args: scan(args[0]),
    "affix": lambda args: scan(args[0]),
    "parse": lambda args: scan(args[0]),
    "parse2": lambda args: ceil(size_of(args[0]) * 0.2),
    "bytes_of": lambda args: scan(args[0]),
    "text_of": lambda args: scan(args[0]),
    "quote": lambda args: scan(args[0]),
    "format": lambda args: scan(args[0]),
    "replace": lambda args: ceil(size_of(args[0]) * 0.2),
    "split": lambda args: ceil(size_of(args[0]) * 0.2),
    "regex": lambda args: regex(size_of(args[0]), size_of(args[1])),
    "contains": lambda args: scan(args[0]) * scan(args[1]),
    "traverse": lambda args: traversal(args[0]),
    "in_list": lambda args: size_of(args[1]),
    "add_text": lambda args: ceil((size_of(args[0]) + size_of(args[1])) * 0.1),
    "order_text": lambda args: ceil(min(size_of(args[0]), size_of(args[1])) * 0.1),
    "equals": lambda args: ceil(min(size_of(args[0]), size_of(args[1])) * 0.1),
    "product": lambda args: 1 + size_of(args[0]) * size_of(args[1]),
    "product2": lambda args: 1 + 2 * size_of(args[0]) * size_of(args[1]),
    "check": lambda args: AUTHORIZATION_CHECK,
    "selector": lambda args: selector(size_of(args[1])),
    "contains_ip": lambda args: (
        ceil(size_of(args[0]) * 0.2) + (scan(args[1]) if type(args[1]) is str else 0)
    ),
    "contains_cidr": _contains_cidr,
    "validate": lambda args: regex(size_of(args[1]), args[0].regex_size),
    "list_add": lambda args: 1,
    "join": lambda args: 0,
}  # fmt: skip

#: Costs that only the result tells.
AFTER: dict[str, Callable[[Any], int]] = {"join": lambda result: ceil(size_of(result) * 0.2)}
