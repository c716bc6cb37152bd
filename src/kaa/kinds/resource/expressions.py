"""Expressions that select devices: what they may mention, and what is wrong with one when it is written.

Source of the types and the limit: the original's `dynamic-resource-allocation/cel`.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

from kaa import cel
from kaa.meta.problems import Path, Problem, forbidden_field, invalid

__all__ = ["selects_devices"]

#: The most a selector may cost by estimate.
COST_MAX = 1_000_000
#: An estimate over this share of what is unbounded comes of a size that nobody knows.
UNKNOWN_SHARE = 10_000
#: What a device may have: attributes and capacities together, and the lengths of names, domains and values.
ATTRIBUTES_MAX, NAME_CHARS_MAX, DOMAIN_CHARS_MAX, VALUE_CHARS_MAX = 32, 32, 63, 64


@cache
def _environment() -> cel.Environment:
    from kaa.cel.amounts import QUANTITY
    from kaa.cel.types import Type

    def text(most: int) -> cel.Type:
        return Type("string", "string", max_elements=most, min_size=2)

    value = Type("dyn", "dyn", max_elements=VALUE_CHARS_MAX, min_size=1)
    attributes = cel.map_of(text(NAME_CHARS_MAX), value, max_elements=ATTRIBUTES_MAX)
    amounts = cel.map_of(text(NAME_CHARS_MAX), QUANTITY, max_elements=ATTRIBUTES_MAX)
    device = {
        "driver": text(DOMAIN_CHARS_MAX),
        "attributes": cel.map_of(text(DOMAIN_CHARS_MAX), attributes, max_elements=ATTRIBUTES_MAX),
        "capacity": cel.map_of(text(DOMAIN_CHARS_MAX), amounts, max_elements=ATTRIBUTES_MAX),
        "allowMultipleAllocations": cel.BOOL,
    }
    fields = {name: cel.Field(kind, name) for name, kind in device.items()}
    return cel.Environment({"device": cel.object_of("DRADevice", fields)})


def selects_devices(expression: str, path: Path) -> Iterator[Problem]:
    """The problem of a selector, if there is one."""
    try:
        program = _environment().compile(expression, cel.BOOL)
    except cel.CompileError as error:
        yield invalid(path, expression, str(error))
        return
    from kaa.cel.types import UNBOUNDED

    # What an attribute holds is not known before there is a device: what depends on that is bounded when it runs.
    if COST_MAX < program.cost_estimate().most < UNBOUNDED // UNKNOWN_SHARE:
        yield forbidden_field(path, "too complex, exceeds cost limit")
