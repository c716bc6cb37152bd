"""Fields that stand twice in one JSON object, and what else a strict reader refuses, told in the document's order.

Parsers keep the last of two fields and say nothing. Looking for them costs a third of a microsecond per KB: without
escapes that could hide one, each key brings exactly one colon more than the strings do, so a document that is written
again with fewer colons has lost a key.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import orjson

__all__ = ["has_duplicates", "strict_errors"]

#: What is told of one document at most, as in the original: a hostile one has a million unknown fields.
ERRORS_MAX = 100


def has_duplicates(raw: bytes, data: Any, written: bytes | None = None) -> bool:
    """Whether a field stands twice in `raw`, whose parsed form, as yet unchanged, is `data`.

    `written` is `data` written as JSON again, where the caller has it. Raises TypeError for what nests too deeply.

    Exact where the document holds no backslash-u escape; with one it may be True in vain.
    """
    return b"\\u" in raw or raw.count(b":") != (written or orjson.dumps(data)).count(b":")


def strict_errors(raw: bytes, unknown: Iterable[str] = ()) -> list[str]:
    """What a strict reader refuses of a body that is valid JSON, in the order it meets it, each once.

    `unknown` are the texts the structure found (`unknown field "spec.foo"`); duplicates are found here. A field that
    is unknown is not told as a duplicate too.
    """
    refused = dict.fromkeys(unknown)
    found: dict[str, None] = {}
    _walk(json.loads(raw, object_pairs_hook=_Pairs), "", refused, found)
    for text in refused:
        found.setdefault(text)
    return list(found)[:ERRORS_MAX]


class _Pairs(list[tuple[str, Any]]):
    """An object as its fields in order, doubled ones among them."""


def _walk(value: Any, path: str, refused: dict[str, None], found: dict[str, None]) -> None:
    if isinstance(value, _Pairs):
        seen: set[str] = set()
        for name, child in value:
            below = f"{path}.{name}" if path else name
            text = f'unknown field "{below}"'
            if text in refused:
                found.setdefault(text)
                continue
            if name in seen:
                found.setdefault(f'duplicate field "{below}"')
            seen.add(name)
            if isinstance(child, list):
                _walk(child, below, refused, found)
    elif isinstance(value, list):
        for at, child in enumerate(value):
            if isinstance(child, list):
                _walk(child, f"{path}[{at}]", refused, found)
