"""The field sets of values that appear where nothing was, compiled per schema.

Every create makes one of these, so it is on the hot path. What a set looks like depends on the names in an object and
hardly on their values: the part that is the same for the same names is made once (a plan) and shared between sets.
Plans are kept on the schema's node, so they go when a custom resource's schema goes; they are bounded in number.

Sets come out in canonical order, so that they can be written as they are.
"""

from collections.abc import Callable
from typing import Any

from kaa.meta.fieldset import FieldSet
from kaa.meta.schema import ANY, Schema
from kaa.meta.typed import UntypedError, elements_of

__all__ = ["all_of", "always_there", "born"]

Json = dict[str, Any]
Names = tuple[str, ...]
#: Makes the set of one value; None: it sets nothing.
Walk = Callable[[Any], FieldSet | None]
#: What is the same for these names, and what must be looked into: element, name, and how.
Plan = tuple[FieldSet, tuple[tuple[str, str, Walk], ...]]

_LEAF: FieldSet = {}
#: Different sets of names kept per schema; beyond it all are forgotten.
PLANS_MAX = 512


def always_there(value: Any, schema: Schema, owner: Schema, name: str) -> bool:
    """Whether a field of `owner` is there however empty, so that only what is in it appears and goes.

    A struct in the original's types is (its published default is the empty object), and so is a required list.
    """
    if type(value) is dict:
        return bool(schema.ref) and type(schema.default) is dict and not schema.default and schema.separate
    return type(value) is list and bool(owner.ref) and name in owner.required and schema.associative


def all_of(value: Any, schema: Schema) -> FieldSet:
    """Every path of a value with the paths in between: what appears or goes with it."""
    if type(value) is dict or type(value) is list:
        return _all_walk(schema)(value) or _LEAF
    return _LEAF


def born(value: Json, schema: Schema, skipped: frozenset[str] = frozenset()) -> FieldSet:
    """What an object sets that is compared with an empty one, apart from the fields in `skipped`."""
    key = "born", skipped
    walk = schema.compiled.get(key)
    if walk is None:
        walk = schema.compiled[key] = _born_struct(schema, skipped)
    return walk(value) or _LEAF


def _leaf(value: Any) -> FieldSet:
    return _LEAF


def _all_walk(schema: Schema) -> Walk:
    walk: Walk | None = schema.compiled.get("all")
    if walk is None:
        if schema.associative:
            walk = _all_list(schema, dotted=True)
        else:
            walk = _all_struct(schema) if schema.separate else _leaf
        schema.compiled["all"] = walk
    return walk


def _born_walk(schema: Schema) -> Walk:
    walk: Walk | None = schema.compiled.get("born")
    if walk is None:
        walk = _born_struct(schema, frozenset())
        schema.compiled["born"] = walk
    return walk


def _all_struct(schema: Schema) -> Walk:
    plans: dict[Names, Plan] = {}
    known, values = schema.fields, schema.values or ANY

    def make(names: Names) -> Plan:
        template: FieldSet = {".": _LEAF}
        deep = []
        for name in sorted(names):
            child = known.get(name) or values
            template[f"f:{name}"] = _LEAF
            if child.separate or child.associative:
                deep.append((f"f:{name}", name, _all_walk(child)))
        return _keep(plans, names, (template, tuple(deep)))

    def walk(value: Any) -> FieldSet:
        if type(value) is not dict or not value:
            return _LEAF
        names = tuple(value)
        template, deep = plans.get(names) or make(names)
        if not deep:
            return template
        made = template.copy()
        for element, name, below in deep:
            made[element] = below(value[name]) or _LEAF
        return made

    return walk


def _keep(plans: dict[Names, Plan], names: Names, plan: Plan) -> Plan:
    if len(plans) >= PLANS_MAX:
        plans.clear()
    plans[names] = plan
    return plan


def _all_list(schema: Schema, *, dotted: bool) -> Walk:
    element = elements_of(schema)
    items = _all_walk(schema.items or ANY)

    def walk(value: Any) -> FieldSet | None:
        if type(value) is not list:
            return _LEAF
        if not value:
            return _LEAF if dotted else None
        made: FieldSet = {}
        try:
            if len(value) == 1:
                item = value[0]
                node = items(item) or _LEAF
                return {".": _LEAF, element(item): node} if dotted else {element(item): node}
            for item in value:
                at = element(item)
                # Items that cannot be told apart are owned as one.
                made[at] = _LEAF if at in made else items(item) or _LEAF
        except UntypedError:
            return _LEAF
        made = {at: made[at] for at in sorted(made)}
        return {".": _LEAF, **made} if dotted else made

    return walk


def _born_struct(schema: Schema, skipped: frozenset[str]) -> Walk:
    plans: dict[Names, Plan] = {}
    known, values = schema.fields, schema.values or ANY

    def make(names: Names) -> Plan:
        template: FieldSet = {}
        deep: list[tuple[str, str, Walk]] = []
        for name in sorted(names):
            if name in skipped:
                continue
            child = known.get(name) or values
            template[f"f:{name}"] = _LEAF
            if child.separate or child.associative:
                deep.append((f"f:{name}", name, below(child, name)))
        return _keep(plans, names, (template, tuple(deep)))

    def below(child: Schema, name: str) -> Walk:
        whole = _all_walk(child)
        if always_there({}, child, schema, name):
            return lambda value: _born_walk(child)(value) if type(value) is dict else whole(value)
        if always_there([], child, schema, name):
            return _all_list(child, dotted=False)
        return whole

    def walk(value: Any) -> FieldSet | None:
        names = tuple(value)
        template, deep = plans.get(names) or make(names)
        if not deep:
            return template or None
        made = template.copy()
        for element, name, look in deep:
            node = look(value[name])
            if node is None:
                del made[element]
            else:
                made[element] = node
        return made or None

    return walk
