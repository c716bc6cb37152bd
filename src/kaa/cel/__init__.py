"""The Common Expression Language, as Kubernetes speaks it: rules of custom resources, policies, match conditions.

An **Environment** says which variables an expression may mention, and their types; it compiles an expression to a
**Program**; a program runs on **bindings**, plain JSON that is read as the types say, within a **Budget**.

- A **Type** is a type of the language; `type_of_openapi` and `type_of_definition` make them of schemas.
- An **Overload** is one way to call a function; a **Registry** holds those an environment offers.
- **Cost** is the original's unit of work: counted while a program runs, estimated when it is compiled.
- **CompileError**: the text is no program. **EvaluationError**: the values are not what it needs. **BudgetExceeded**:
  it would take too long.
- A **LazyObject** works its fields out when they are read (a policy's `variables`).
- An **Authorizer** answers what `authorizer.group(...)...check(...)` asks.

Text becomes a tree (`lexer`, `parser`, `syntax`), the tree gets types (`checker`, `types`), and then closures
(`compiler`, `folds`). Libraries stand beside each other: `standard`, `optionals`, `strings`, `collections`,
`addresses`, `amounts`, `kubernetes`. Pure: no loop, no clock, no I/O, no kinds.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .declare import type_of_definition, type_of_openapi
    from .errors import BudgetExceeded, CompileError, EvaluationError, WrongResult
    from .escaping import escape, unescape
    from .estimate import PER_RULE_LIMIT, TOTAL_LIMIT, Estimate, over_budget
    from .functions import Registry
    from .kubernetes import AUTHORIZER, RESOURCE_CHECK, Access, Authorizer, AuthorizerValue, Decision, ResourceCheck
    from .mutation import MUTATION_OBJECTS, verify_object
    from .program import (
        BUDGET,
        MATCH_CONDITIONS_BUDGET,
        PER_CALL_LIMIT,
        REGISTRY,
        Budget,
        Environment,
        LazyObject,
        Program,
        to_json,
    )  # fmt: skip
    from .types import (
        BOOL,
        BYTES,
        DOUBLE,
        DURATION,
        DYN,
        INT,
        NULL,
        STRING,
        TIMESTAMP,
        UINT,
        Field,
        Type,
        list_of,
        map_of,
        object_of,
        opaque,
        optional_of,
    )  # fmt: skip

__all__ = [
    "AUTHORIZER", "BOOL", "BUDGET", "BYTES", "DOUBLE", "DURATION", "DYN", "INT", "MATCH_CONDITIONS_BUDGET",
    "MUTATION_OBJECTS", "NULL", "PER_CALL_LIMIT", "PER_RULE_LIMIT", "REGISTRY", "RESOURCE_CHECK", "STRING",
    "TIMESTAMP", "TOTAL_LIMIT", "UINT", "Access", "Authorizer", "AuthorizerValue", "Budget", "BudgetExceeded",
    "CompileError", "Decision", "Environment", "Estimate", "EvaluationError", "Field", "LazyObject", "Program",
    "Registry", "ResourceCheck", "Type", "WrongResult", "escape", "list_of", "map_of", "object_of", "opaque",
    "optional_of", "over_budget", "to_json", "type_of_definition", "type_of_openapi", "unescape", "verify_object",
]  # fmt: skip

#: Where each name is. Most servers never meet an expression: nothing is loaded before one is needed.
_PLACES = {
    name: place
    for place, names in {
        "declare": "type_of_definition type_of_openapi",
        "errors": "BudgetExceeded CompileError EvaluationError WrongResult",
        "escaping": "escape unescape",
        "estimate": "PER_RULE_LIMIT TOTAL_LIMIT Estimate over_budget",
        "functions": "Registry",
        "kubernetes": "AUTHORIZER RESOURCE_CHECK Access Authorizer AuthorizerValue Decision ResourceCheck",
        "mutation": "MUTATION_OBJECTS verify_object",
        "program": "BUDGET MATCH_CONDITIONS_BUDGET PER_CALL_LIMIT REGISTRY "
        "Budget Environment LazyObject Program to_json",
        "types": "BOOL BYTES DOUBLE DURATION DYN INT NULL STRING "
        "TIMESTAMP UINT Field Type list_of map_of object_of opaque optional_of",
    }.items()
    for name in names.split()
}


def __getattr__(name: str) -> Any:
    place = _PLACES.get(name)
    if place is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(f".{place}", __name__), name)
    return value
