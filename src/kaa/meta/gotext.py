"""Plain JSON values as the original's messages print them: its error texts are those of Go's formatting verbs.

Clients match on these texts and people search for them, so they carry over exactly.
"""

from typing import Any

import orjson

__all__ = ["go_kind", "go_literal", "go_text", "json_kind"]


def go_text(value: Any) -> str:
    """As `%v` prints it: `map[a:1 b:[x y]]`, keys sorted."""
    if value is None:
        return "<nil>"
    if value is True or value is False:
        return "true" if value else "false"
    if type(value) is dict:
        return "map[" + " ".join(f"{name}:{go_text(value[name])}" for name in sorted(value)) + "]"
    if type(value) is list:
        return "[" + " ".join(map(go_text, value)) + "]"
    return _number(value) if type(value) is float else str(value)


def go_literal(value: Any) -> str:
    """As `%#v` prints it: `map[string]interface {}{"a":1}`."""
    if value is None:
        return "interface {}(nil)"
    if type(value) is str:
        return orjson.dumps(value).decode()
    if type(value) is dict:
        inner = ", ".join(f"{go_literal(name)}:{go_literal(value[name])}" for name in sorted(value))
        return "map[string]interface {}{" + inner + "}"
    if type(value) is list:
        return "[]interface {}{" + ", ".join(map(go_literal, value)) + "}"
    return go_text(value)


def go_kind(value: Any) -> str:
    """The type a decoded value has: `string`, `int64`, `map[string]interface {}`."""
    if value is None:
        return "<nil>"
    names = {str: "string", bool: "bool", int: "int64", float: "float64", list: "[]interface {}"}
    return names.get(type(value), "map[string]interface {}")


def json_kind(value: Any) -> str:
    """What the original's decoder calls a JSON value."""
    names = {dict: "object", list: "array", bool: "bool", str: "string", type(None): "null"}
    return names.get(type(value), "number")


def _number(value: float) -> str:
    """The shortest form; an exponent from 1e21 on and below 1e-4."""
    if value.is_integer() and abs(value) < 1e21:
        return str(int(value))
    return repr(value)
