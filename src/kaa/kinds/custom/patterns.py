"""Regular expressions of schemas, in the syntax of the original (RE2), which cannot be made to take forever."""

from functools import lru_cache

__all__ = ["Pattern", "PatternError", "compile_pattern"]

WHAT = "error parsing regexp: "


class PatternError(ValueError):
    """The text is no regular expression."""


class Pattern:
    """A compiled expression; `found_in` is whether it matches anywhere, as JSON Schema means it."""

    __slots__ = ("_compiled", "text")

    def __init__(self, text: str) -> None:
        from kaa.cel import EvaluationError, regex  # most servers see no pattern, and none before they have started

        self.text = text
        try:
            self._compiled = regex.compile_pattern(text)
        except EvaluationError as error:
            reason = str(error).removeprefix(WHAT)
            raise PatternError(WHAT + _in_go(reason)) from None

    def found_in(self, value: str) -> bool:
        """Whether it matches somewhere in the value."""
        return self._compiled.search(value) is not None


#: What the library calls a mistake, and what the original's does.
_MISTAKES = (
    ("missing )", "missing closing )"), ("missing ]", "missing closing ]"),
    ("no argument for repetition operator", "missing argument to repetition operator"),
    ("bad repetition operator", "invalid nested repetition operator"),
    ("invalid repetition size", "invalid repeat count"), ("trailing \\", "trailing backslash at end of expression"),
    ("invalid perl operator", "invalid or unsupported Perl syntax"),
    ("invalid named capture group", "invalid named capture"),
)  # fmt: skip


def _in_go(reason: str) -> str:
    """A mistake as the original words it: what it is, and the part of the pattern it is in between backquotes."""
    what, _, where = reason.partition(": ")
    for theirs, ours in _MISTAKES:
        if what.startswith(theirs):
            what = ours
            break
    return f"{what}: `{where}`" if where else what


@lru_cache(maxsize=4096)
def compile_pattern(text: str) -> Pattern:
    """A pattern, compiled once. Raises PatternError."""
    return Pattern(text)
