"""Why a plain value does not fit a kind, in the words of the original's converter of plain maps into its types.

Strategic merge goes through that converter, everything else through a JSON decoder: the same mistake reads differently.
"""

from typing import Any

from kaa.meta.gotext import go_kind
from kaa.meta.schema import Schema

__all__ = ["misfit"]

_KINDS = {dict: "map", list: "slice", str: "string", int: "int64", float: "float64", bool: "bool"}
_SIMPLE = {"string": str, "boolean": bool}
_GO_NAMES = {"boolean": "bool", "number": "float64"}


def misfit(value: Any, schema: Schema) -> str:
    """The first thing that does not fit, or "" (also for what types of its own read: quantities, times)."""
    if value is None:
        return ""
    if schema.type == "object":
        if type(value) is not dict:
            what = "struct from:" if schema.fields else "map from"
            return f"cannot restore {what} {_KINDS[type(value)]}"
        for name, each in value.items():
            child = schema.child(name)
            if child is not None and (found := misfit(each, child)):
                return found
        return ""
    if schema.type == "array":
        if type(value) is not list:
            return f"cannot restore slice from {_KINDS[type(value)]}"
        items = schema.items
        return next((found for each in value if items is not None and (found := misfit(each, items))), "")
    if schema.format and schema.type == "string":
        return ""
    if schema.type in ("integer", "number"):
        fits = type(value) is int or (type(value) is float and (schema.type == "number" or value.is_integer()))
    elif schema.type in _SIMPLE:
        fits = type(value) is _SIMPLE[schema.type]
    else:
        return ""
    name = schema.format or "int64" if schema.type == "integer" else _GO_NAMES.get(schema.type, "string")
    return "" if fits else f"cannot convert {go_kind(value)} to {name}"
