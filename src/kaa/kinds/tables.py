"""The tables of `data/` as schemas and rows. Read on first use; nodes are made per definition, when first asked for.

`tools/build_tables.py` says what the files hold and makes them.
"""

from functools import cache
from os.path import dirname, join
from typing import Any

import orjson

from kaa.meta.schema import ListType, Schema

__all__ = ["definition_of", "groups", "protobuf_fields", "protobuf_message", "schema"]

Form = str | dict[str, Any]

#: A scalar form -> the type and format of its node.
_SCALARS = {
    "string": ("string", ""),
    "boolean": ("boolean", ""),
    "int32": ("integer", "int32"),
    "int64": ("integer", "int64"),
    "integer": ("integer", "int64"),
    "double": ("number", "double"),
    "number": ("number", "double"),
    "byte": ("string", "byte"),
    "date-time": ("string", "date-time"),
    "micro-time": ("string", "micro-time"),
    "quantity": ("string", "quantity"),
    "int-or-string": ("", "int-or-string"),
    "any": ("", ""),
}


def _load(name: str) -> Any:
    # Not importlib.resources: importing that costs more than reading all the tables.
    with open(join(dirname(__file__), "data", name), "rb") as file:
        return orjson.loads(file.read())


@cache
def _definitions() -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = _load("definitions.json")
    return found


@cache
def _kinds() -> dict[str, str]:
    found: dict[str, str] = _load("kinds.json")
    return found


def groups() -> list[dict[str, Any]]:
    """Groups in the order of discovery: `{"group", "versions": [{"version", "resources": [...]}]}`."""
    found: list[dict[str, Any]] = _load("resources.json")
    return found


@cache
def protobuf_fields() -> dict[str, dict[str, list[Any]]]:
    """Message -> field -> [number, label, type], and where they say something, marks and the name in JSON."""
    found: dict[str, dict[str, list[Any]]] = _load("protobuf.json")
    return found


def definition_of(group: str, version: str, kind: str) -> str:
    """The definition of a kind; "" where it has none."""
    return _kinds().get(f"{group}/{version}/{kind}", "")


def protobuf_message(definition: str) -> str:
    """`io.k8s.api.core.v1.Pod` -> `k8s.io.api.core.v1.Pod`."""
    name = definition.removeprefix("io.k8s.").replace("apiextensions-apiserver", "apiextensions_apiserver")
    return "k8s.io." + name.replace("kube-aggregator", "kube_aggregator") if definition else ""


_made: dict[str, Schema] = {}


def schema(definition: str) -> Schema:
    """The node of a definition. The same node every time: definitions share what they refer to, and may recur."""
    known = _made.get(definition)
    if known is not None:
        return known
    raw = _definitions()[definition]
    node = Schema(
        type="object",
        ref=definition,
        required=tuple(raw.get("required", ())),
        atomic_map=raw.get("atomic", False),
        preserve_unknown=raw.get("open", False),
    )
    _made[definition] = node  # before its fields: they may refer back
    for name, form in raw["fields"].items():
        node.fields[name] = _node(form)
    return node


@cache
def _scalar(form: str) -> Schema:
    if form == "raw":
        return Schema(type="object", preserve_unknown=True)
    type_, format_ = _SCALARS[form]
    return Schema(type=type_, format=format_, preserve_unknown=form == "any")


def _node(form: Form) -> Schema:
    if isinstance(form, str):
        return schema(form[1:]) if form.startswith("@") else _scalar(form)
    list_type: ListType = form.get("list", "")
    strategy = form.get("strategy", "")
    node = Schema(
        default=form.get("default"),
        list_type=list_type,
        list_map_keys=tuple(form.get("keys", ())),
        atomic_map=form.get("atomic", False),
        patch_merge_key=form.get("merge", ""),
        patch_strategy=tuple(strategy.split(",")) if strategy else (),
    )
    if "items" in form:
        node.type = "array"
        node.items = _node(form["items"])
    elif "values" in form:
        node.type = "object"
        node.values = _node(form["values"])
    else:
        base = _node(form["of"])
        node.type, node.format, node.ref = base.type, base.format, base.ref
        node.fields = base.fields  # shared, and possibly still being filled: the definition may recur
        node.required, node.values, node.items = base.required, base.values, base.items
        node.preserve_unknown = base.preserve_unknown
        node.atomic_map = node.atomic_map or base.atomic_map
    return node
