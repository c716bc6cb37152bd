"""Which module holds the rules of which kind. A kind that is not listed has none: its tables say all.

Modules are loaded when a kind is first used, so that starting costs nothing for kinds nobody writes.
"""

from importlib import import_module

from kaa.kinds.spec import Rules

__all__ = ["rules_of"]

#: (group, version, kind) -> (module below this package, attribute).
_MODULES: dict[tuple[str, str, str], tuple[str, str]] = {}


def rules_of(group: str, version: str, kind: str) -> Rules:
    """The rules of a kind, or empty ones."""
    place = _MODULES.get((group, version, kind))
    if place is None:
        return Rules()
    found = getattr(import_module(f"kaa.kinds.{place[0]}"), place[1])
    assert isinstance(found, Rules)
    return found
