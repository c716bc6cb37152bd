"""Expressions as validation sees them: what one may refer to, and what is wrong with it when it is written.

They are compiled as they are where they run (`environments`), so that what is accepted works.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from kaa.meta.problems import Path, Problem, invalid

__all__ = ["Scope", "compiled", "is_identifier"]


@dataclass(frozen=True)
class Scope:
    """What an expression may refer to, and what it has to answer."""

    #: `params` is there.
    params: bool = False
    #: `authorizer` is there.
    authorizer: bool = True
    #: (name, expression) of the variables before it, in order; None where there are no `variables` at all.
    variables: tuple[tuple[str, str], ...] | None = None
    #: The types it may answer: "bool", "string", "null", "any", "apply" (an object to apply), "jsonpatch".
    answers: tuple[str, ...] = ("bool",)
    #: It stood there before: limits that came later do not hold for it.
    stored: bool = False


def compiled(expression: str, scope: Scope, path: Path) -> Iterator[Problem]:
    """The problem of an expression of admission, if there is one."""
    wrong = _of_admission(expression, scope)
    if wrong:
        yield invalid(path, expression, wrong)


def _of_admission(expression: str, scope: Scope) -> str:
    from kaa.kinds.admissionregistration import environments  # not before there is an expression

    mutation = "apply" in scope.answers or "jsonpatch" in scope.answers
    variables = None
    if scope.variables is not None:
        variables = environments.compile_variables(scope.variables, params=scope.params)
    env = environments.environment(
        params=scope.params, authorizer=scope.authorizer, mutation=mutation, variables=variables
    )
    try:
        environments.compile_expression(env, expression, scope.answers)
    except environments.Wrong as error:
        return str(error)
    return ""


_RESERVED = frozenset(
    "true false null in as break const continue else for function if import let loop package namespace return var "
    "void while".split()
)


def is_identifier(name: str) -> bool:
    """Whether CEL takes a name for a variable's."""
    return name.isascii() and name.isidentifier() and name not in _RESERVED
