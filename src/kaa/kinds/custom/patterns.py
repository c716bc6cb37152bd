"""Regular expressions of schemas, in the syntax of the original (RE2), which cannot be made to take forever."""

from functools import lru_cache

import re2

__all__ = ["Pattern", "PatternError", "compile_pattern"]

#: What one compiled pattern may take.
MEMORY_BYTES_MAX = 1 << 20


class PatternError(ValueError):
    """The text is no regular expression."""


class Pattern:
    """A compiled expression; `found_in` is whether it matches anywhere, as JSON Schema means it."""

    __slots__ = ("_compiled", "text")

    def __init__(self, text: str) -> None:
        options = re2.Options()
        options.log_errors = False
        options.max_mem = MEMORY_BYTES_MAX
        self.text = text
        try:
            self._compiled = re2.compile(text, options=options)
        except re2.error as error:
            reason = error.args[0].decode(errors="replace") if isinstance(error.args[0], bytes) else str(error)
            raise PatternError(f"error parsing regexp: {reason}") from None

    def found_in(self, value: str) -> bool:
        """Whether it matches somewhere in the value."""
        return self._compiled.search(value) is not None


@lru_cache(maxsize=4096)
def compile_pattern(text: str) -> Pattern:
    """A pattern, compiled once. Raises PatternError."""
    return Pattern(text)
