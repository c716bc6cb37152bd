"""IngressClasses: who serves the ingresses of a class."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from kaa.kinds import checks, formats, printing
from kaa.kinds.spec import AGE_COLUMN, NAME_COLUMN, Column, Rules
from kaa.meta import names
from kaa.meta.problems import Path, Problem, forbidden_field, not_supported, required, too_long

__all__ = ["RULES"]

Json = dict[str, Any]
_SPEC = Path() / "spec"
CONTROLLER_BYTES_MAX = 250


def _default(obj: Json) -> None:
    parameters = (obj.get("spec") or {}).get("parameters")
    if parameters is not None:
        parameters.setdefault("scope", "Cluster")


def _validate(obj: Json) -> Iterator[Problem]:
    spec = obj.get("spec") or {}
    controller = spec.get("controller", "")
    if len(controller.encode()) > CONTROLLER_BYTES_MAX:
        yield too_long(_SPEC / "controller", CONTROLLER_BYTES_MAX)
    yield from checks.domain_prefixed_path(controller, _SPEC / "controller")
    if spec.get("parameters") is not None:
        yield from _parameters(spec["parameters"], _SPEC / "parameters")


def _parameters(found: Json, path: Path) -> Iterator[Problem]:
    yield from formats.reference(found, path)
    scope, namespace = found.get("scope"), found.get("namespace")
    if scope is None:
        yield required(path / "scope")
    elif scope not in ("Cluster", "Namespace"):
        yield not_supported(path / "scope", scope, ("Cluster", "Namespace"))
    elif scope == "Namespace":
        if namespace is None:
            yield required(path / "namespace", "`parameters.scope` is set to 'Namespace'")
        else:
            yield from formats.each_wrong(names.dns1123_label, namespace, path / "namespace")
    elif namespace is not None:
        yield forbidden_field(path / "namespace", "`parameters.scope` is set to 'Cluster'")


def _update(new: Json, old: Json) -> Iterator[Problem]:
    yield from checks.immutable(new.get("spec") or {}, old.get("spec") or {}, "controller", _SPEC)


def _cells(obj: Json, now: float) -> list[Any]:
    spec = obj.get("spec") or {}
    found = spec.get("parameters")
    text = "<none>"
    if found:
        group = f".{found['apiGroup']}" if found.get("apiGroup") is not None else ""
        text = f"{found.get('kind', '')}{group}/{found.get('name', '')}"
    return [obj["metadata"].get("name", ""), spec.get("controller", ""), text, printing.age(obj, now)]


RULES = Rules(
    default=_default,
    validate=_validate,
    complete=True,
    validate_update=_update,
    generation=True,
    columns=(
        NAME_COLUMN,
        Column("Controller", description="what serves the ingresses of this class"),
        Column("Parameters", description="the object that configures the controller for this class"),
        AGE_COLUMN,
    ),
    cells=_cells,
)
