"""DeviceClasses: what an administrator calls a kind of device, and how it is set up."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from kaa.kinds.resource import common
from kaa.kinds.row import row as _row
from kaa.kinds.row import spec as _spec
from kaa.kinds.spec import AGE_COLUMN, NAME_COLUMN, Rules
from kaa.meta import names
from kaa.meta.problems import Path, Problem, invalid

__all__ = ["RULES"]

Json = dict[str, Any]
_SPEC = Path() / "spec"
CONFIGURATIONS_MAX = 32


def _validate(obj: Json) -> Iterator[Problem]:
    spec = _spec(obj)
    yield from common.selectors(spec.get("selectors") or (), _SPEC / "selectors")
    yield from common.some(spec.get("config") or (), CONFIGURATIONS_MAX, common.configuration, _SPEC / "config")
    name = spec.get("extendedResourceName")
    if name is not None and not _is_extended_resource(name):
        yield invalid(_SPEC / "extendedResourceName", name, "must be a valid extended resource name")


def _is_extended_resource(name: str) -> bool:
    """A domain other than the system's, and a name that a quota can ask for, too."""
    native = "/" not in name or "kubernetes.io/" in name
    return not native and not name.startswith("requests.") and not names.qualified_name(f"requests.{name}")


RULES = Rules(validate=_validate, complete=True, generation=True, columns=(NAME_COLUMN, AGE_COLUMN), cells=_row())
