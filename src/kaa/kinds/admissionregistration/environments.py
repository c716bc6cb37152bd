"""What the expressions of webhooks and policies may mention, and their compilation: when written, and when run.

The same environment serves both, so that what is accepted here compiles there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from kaa import cel

__all__ = ["Variable", "Wrong", "compile_expression", "compile_variables", "environment"]


class Wrong(ValueError):
    """The expression cannot be used; `str()` is what its writer is told."""


@dataclass(frozen=True, slots=True)
class Variable:
    """A named expression, ready to run; `program` is None where it does not compile, and then `error` says why."""

    name: str
    program: cel.Program | None
    error: str = ""


@lru_cache(maxsize=64)
def _base(params: bool, authorizer: bool, mutation: bool) -> cel.Environment:
    from kaa.kinds.admissionregistration.celtypes import NAMESPACE, REQUEST

    known = {"object": cel.DYN, "oldObject": cel.DYN, "namespaceObject": NAMESPACE, "request": REQUEST}
    if params:
        known["params"] = cel.DYN
    if authorizer:
        known["authorizer"], known["authorizer.requestResource"] = cel.AUTHORIZER, cel.RESOURCE_CHECK
    return cel.Environment(known, objects=cel.MUTATION_OBJECTS if mutation else None)


def environment(
    *,
    params: bool = False,
    authorizer: bool = True,
    mutation: bool = False,
    variables: Sequence[Variable] | None = None,
    types: Mapping[str, cel.Type] | None = None,
) -> cel.Environment:
    """What may be mentioned. `variables` None: there are none in this place, not even an empty `variables`.

    `types` are types better known than "anything": of `object`, `oldObject`, `params`.
    """
    found = _base(params, authorizer, mutation)
    if types:
        found = found.extended(types)
    if variables is not None:
        fields = {each.name: each.program.result if each.program is not None else cel.DYN for each in variables}
        found = found.extended({"variables": cel.object_of("kubernetes.variables", fields)})
    return found


def compile_expression(env: cel.Environment, expression: str, answers: Sequence[str] = ("bool",)) -> cel.Program:
    """The program; raises Wrong, in the original's words."""
    try:
        program = env.compile(expression)
    except cel.CompileError as error:
        raise Wrong(str(error)) from error
    from kaa.kinds.admissionregistration.celtypes import ANSWERS

    wanted = [kind for each in answers for kind in ANSWERS[each]]
    if wanted and not any(_exactly(kind, program.result) for kind in wanted):
        if len(wanted) == 1:
            raise Wrong(f"must evaluate to {wanted[0]} but got {program.result}")
        raise Wrong(f"must evaluate to one of [{' '.join(map(str, wanted))}] but got {program.result}")
    return program


def _exactly(want: cel.Type, have: cel.Type) -> bool:
    return str(want) == str(have)


def compile_variables(
    found: Sequence[tuple[str, str]],
    *,
    params: bool,
    types: Mapping[str, cel.Type] | None = None,
) -> list[Variable]:
    """Named expressions in order; each may use those before it. What does not compile is kept with its error."""
    made: list[Variable] = []
    for name, expression in found:
        env = environment(params=params, variables=tuple(made), types=types)
        try:
            made.append(Variable(name, compile_expression(env, expression, ("any",))))
        except Wrong as error:
            made.append(Variable(name, None, str(error)))
    return made
