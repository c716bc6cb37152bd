"""Expressions as validation sees them: what one may refer to, and what is wrong with it when it is written.

Those of admission are compiled here (`environments`). For others, such as the selectors of devices, whoever has a
compiler installs it (`install`); until then such an expression is only asked to be there. A compiler answers what is
wrong with an expression, in the words of the API, or "" where it compiles and is cheap enough.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from kaa.meta.problems import Path, Problem, invalid

__all__ = ["Compiler", "Scope", "compiled", "install", "is_identifier"]


@dataclass(frozen=True)
class Scope:
    """What an expression may refer to, and what it has to answer."""

    #: `object`, `oldObject`, `request` and `namespaceObject` of an admission; False for a device's selector (`device`).
    admission: bool = True
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


#: (expression, scope) -> what is wrong with it, or "".
Compiler = Callable[[str, Scope], str]

_installed: list[Compiler] = []


def install(compiler: Compiler) -> None:
    """Check expressions with this compiler from now on. The last one installed counts."""
    _installed[:] = [compiler]


def compiled(expression: str, scope: Scope, path: Path) -> Iterator[Problem]:
    """The problem of an expression, if there is one and somebody who finds it."""
    if scope.admission:
        wrong = _of_admission(expression, scope)
        if wrong:
            yield invalid(path, expression, wrong)
        return
    for compiler in _installed:
        wrong = compiler(expression, scope)
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
