"""What a validating policy's expressions say of fields that the kinds they are about do not have.

A policy is accepted however its expressions treat objects, for these have no type there; here they are compiled once
more, against the types of the kinds that its rules name, and what is wrong is a warning in its status. Rules with
wildcards name no kind. Source: the original's `policy/validating/typechecking.go`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from kaa import cel
from kaa.kinds.admissionregistration.environments import Wrong, compile_expression, compile_variables, environment

__all__ = ["TYPES_MAX", "resources_of", "warnings"]

Json = dict[str, Any]
Kind = tuple[str, str, str]

#: Of one rule, so many kinds are looked at.
TYPES_MAX = 10


def resources_of(spec: Json) -> Iterator[list[tuple[str, str, str]]]:
    """For each rule the resources it names, as (group, version, plural), in order."""
    for rule in (spec.get("matchConstraints") or {}).get("resourceRules") or ():
        groups, versions = (sorted(rule.get(name) or ()) for name in ("apiGroups", "apiVersions"))
        if any("*" in each for each in (*groups, *versions)):
            continue
        plurals = sorted(each for each in rule.get("resources") or () if "*" not in each and "/" not in each)
        yield [(group, version, plural) for group in groups for version in versions for plural in plurals]


def warnings(spec: Json, types: Mapping[Kind, cel.Type], params: cel.Type | None) -> list[Json]:
    """`expressionWarnings`: by expression, what is wrong with it for each kind. `types` is by group, version, kind."""
    found: list[Json] = []
    check = _checker(spec, sorted(types.items(), key=lambda each: each[0]), params)
    for at, each in enumerate(spec.get("validations") or ()):
        for name in ("expression", "messageExpression"):
            if each.get(name) and (wrong := check(each[name])):
                found.append({"fieldRef": f"spec.validations[{at}].{name}", "warning": wrong})
    return found


def _checker(spec: Json, types: Iterable[tuple[Kind, cel.Type]], params: cel.Type | None) -> Callable[[str], str]:
    variables = [(each["name"], each["expression"]) for each in spec.get("variables") or ()]
    environments = []
    for kind, of_objects in types:
        known = {"object": of_objects, "oldObject": of_objects}
        if params is not None:
            known["params"] = params
        compiled = compile_variables(variables, params=params is not None, types=known)
        environments.append((kind, environment(params=params is not None, variables=compiled, types=known)))

    def check(expression: str) -> str:
        wrong = []
        for (group, version, kind), env in environments:
            try:
                compile_expression(env, expression, ("any",))
            except Wrong as error:
                told = str(error).removeprefix("compilation failed: ")
                wrong.append(f"{group}/{version}, Kind={kind}: {told}\n")
        return "\n".join(wrong)

    return check
