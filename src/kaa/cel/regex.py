"""Regular expressions of RE2: in time linear in the text, whatever the pattern. The one door to the library."""

from functools import lru_cache
from typing import Any

import re2

from .errors import EvaluationError

__all__ = ["compile_pattern", "find", "find_all", "matches"]

#: Longer patterns are refused: a pattern's size bounds the time to match each character.
_PATTERN_MAX = 10_000
_options = re2.Options()
_options.log_errors = False
_options.max_mem = 8 << 20


@lru_cache(maxsize=512)
def compile_pattern(pattern: str) -> Any:
    """The pattern, ready. Raises EvaluationError where RE2 takes it not."""
    if len(pattern) > _PATTERN_MAX:
        raise EvaluationError("error parsing regexp: expression too large")
    try:
        return re2.compile(pattern, options=_options)
    except re2.error as error:
        text = error.args[0] if error.args else ""
        why = text.decode(errors="replace") if isinstance(text, bytes) else str(text)
        raise EvaluationError(f"error parsing regexp: {why}") from None


def matches(text: str, pattern: str) -> bool:
    """Does it match anywhere?"""
    return compile_pattern(pattern).search(text) is not None


def find(text: str, pattern: str) -> str:
    """The first match, or ""."""
    found = compile_pattern(pattern).search(text)
    return "" if found is None else str(found.group())


def find_all(text: str, pattern: str, limit: int = -1) -> list[str]:
    """Every match, or the first `limit`."""
    if limit == 0:
        return []
    found: list[str] = []
    for match in compile_pattern(pattern).finditer(text):
        found.append(match.group())
        if len(found) == limit:
            break
    return found
