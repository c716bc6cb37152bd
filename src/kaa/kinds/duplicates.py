"""Fields that stand twice in one JSON object: parsers keep the last and say nothing, a strict reader must say so."""

from __future__ import annotations

import json
from typing import Any

__all__ = ["duplicate_fields"]


def duplicate_fields(raw: bytes) -> list[str]:
    """The texts of what a strict reader refuses (`duplicate field "spec.replicas"`), for a body that is valid JSON.

    Costs a second parse, about 40 us for a pod: for writes that ask for strictness or warnings.
    """
    doubled: dict[int, list[str]] = {}
    alive: list[dict[str, Any]] = []  # an object that a duplicate replaced must not lend its id to another

    def pairs(found: list[tuple[str, Any]]) -> dict[str, Any]:
        out = dict(found)
        if len(out) != len(found):
            alive.append(out)
            listed = [name for name, _ in found]
            doubled[id(out)] = [name for name in out if listed.count(name) > 1]
        return out

    root = json.loads(raw, object_pairs_hook=pairs)
    if not doubled:
        return []
    texts: list[str] = []
    _walk(root, "", doubled, texts)
    return texts


def _walk(value: Any, path: str, doubled: dict[int, list[str]], texts: list[str]) -> None:
    if isinstance(value, dict):
        for name in doubled.get(id(value), ()):
            texts.append(f'duplicate field "{path}.{name}"' if path else f'duplicate field "{name}"')
        for name, child in value.items():
            _walk(child, f"{path}.{name}" if path else name, doubled, texts)
    elif isinstance(value, list):
        for at, child in enumerate(value):
            _walk(child, f"{path}[{at}]", doubled, texts)
