"""The options every write has in its query, checked before anything is done: one Invalid names all that is wrong.

`fieldManager`, `dryRun` and `fieldValidation` are those of creates, updates and patches, `force` is apply's. Options
are named as the API names them: CreateOptions, UpdateOptions, PatchOptions, DeleteOptions.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from kaa.meta import errors
from kaa.meta.problems import Path, Problem, forbidden_field, invalid, not_supported, required, too_long
from kaa.meta.resource import Resource
from kaa.server.call import Call

__all__ = ["DRY_RUN_VALUES", "check", "dry_run_problems", "flag", "refuse"]

LEVELS = ("", "Ignore", "Strict", "Warn")
DRY_RUN_VALUES = ("All",)
MANAGER_BYTES_MAX = 128


def check(call: Call, kind: str, *, apply: bool = False) -> None:
    """Refuse what the options say wrongly (422). `kind` is "CreateOptions", "UpdateOptions" or "PatchOptions"."""
    query = call.request.query
    if not apply and "dryRun" not in query and "field" not in query and "force" not in query:
        return
    found = list(_problems(call, kind, apply))
    if found:
        raise refuse(kind, found)


def _problems(call: Call, kind: str, apply: bool) -> Iterator[Problem]:
    request, root = call.request, Path()
    manager = request.param("fieldManager")
    if kind == "PatchOptions":
        if apply:
            if not manager:
                yield required(root / "fieldManager", "is required for apply patch")
        elif flag(call, "force") is not None:
            yield forbidden_field(root / "force", "may not be specified for non-apply patch")
    if len(manager.encode()) > MANAGER_BYTES_MAX:
        yield too_long(root / "fieldManager", MANAGER_BYTES_MAX)
    for at, letter in enumerate(manager):
        if not letter.isprintable():
            yield invalid(root / "fieldManager", manager, f"invalid character U+{ord(letter):04X} (at position {at})")
    yield from dry_run_problems(request.params.get("dryRun", []))
    level = request.param("fieldValidation")
    if level not in LEVELS:
        yield not_supported(root / "fieldValidation", level, LEVELS)


def dry_run_problems(values: Iterable[str]) -> Iterator[Problem]:
    """What is wrong with `dryRun`: it knows one word."""
    asked = list(values)
    if any(each not in DRY_RUN_VALUES for each in asked):
        yield not_supported(Path() / "dryRun", asked, DRY_RUN_VALUES)


def flag(call: Call, name: str) -> bool | None:
    """A truth value in the query; None where it is not given. All but `false` and `0` is true, as in the original."""
    values = call.request.params.get(name)
    return None if not values else values[0].lower() not in ("false", "0")


def refuse(kind: str, problems: Iterable[Problem]) -> errors.StatusError:
    """422 about options."""
    return errors.invalid(Resource("meta.k8s.io", "v1", "", kind, False), "", problems)
