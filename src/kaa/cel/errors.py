"""What goes wrong with an expression: when it is compiled, when it runs, and when it costs too much.

Texts are those that users of the original know (cel-go's), down to the caret under the column.
"""

from dataclasses import dataclass

__all__ = ["BudgetExceeded", "CompileError", "EvaluationError", "Issue", "no_such_key", "no_such_overload"]

#: How much of a long line is shown on either side of an issue.
_SHOWN = 500


@dataclass(frozen=True, slots=True)
class Issue:
    """One thing that is wrong with a text: where (code points from its start) and what."""

    position: int
    message: str

    def render(self, source: str) -> str:
        """The message with its line and a caret, as cel-go prints it."""
        start = source.rfind("\n", 0, self.position) + 1
        end = source.find("\n", start)
        line = source[start:] if end < 0 else source[start:end]
        number = source.count("\n", 0, start) + 1
        column = shown_column = self.position - start
        if len(line) > 2 * _SHOWN:
            # Of a very long line, what is around the issue.
            first = max(0, column - _SHOWN)
            line, shown_column = line[first : first + 2 * _SHOWN], column - first
        # Wide characters get a wide dot, so that the caret stays under its column.
        dots = "".join("." if ord(c) < 0x80 else "．" for c in line[:shown_column]).ljust(shown_column, ".")
        caret = "^" if shown_column >= len(line) or ord(line[shown_column]) < 0x80 else "＾"
        shown = line.replace("\t", " ")
        return f"ERROR: <input>:{number}:{column + 1}: {self.message}\n | {shown}\n | {dots}{caret}"


class CompileError(ValueError):
    """The expression is no valid program. `str()` is the whole report, every issue with its place."""

    def __init__(self, issues: tuple[Issue, ...], source: str) -> None:
        self.issues = tuple(sorted(issues, key=lambda issue: issue.position))
        self.source = source
        super().__init__("compilation failed: " + "\n".join(issue.render(source) for issue in self.issues))


class WrongResult(CompileError):
    """The expression is valid, but of another type than its place asks for."""

    def __init__(self, expected: str, actual: str, source: str) -> None:
        ValueError.__init__(self, f"must evaluate to {expected}")
        self.issues = ()
        self.source = source
        self.expected, self.actual = expected, actual


class EvaluationError(Exception):
    """A value is not as the expression needs it. The message is cel-go's."""


class BudgetExceeded(Exception):
    """The evaluation was stopped: it cost more than it may. No value can absorb this (unlike EvaluationError)."""

    def __init__(self, message: str = "operation cancelled: actual cost limit exceeded") -> None:
        super().__init__(message)


def no_such_key(key: object) -> EvaluationError:
    """The map has no such key, or the object no such field set."""
    return EvaluationError(f"no such key: {str(key).lower() if isinstance(key, bool) else key}")


def no_such_overload() -> EvaluationError:
    """An operator or function does not take values of these types."""
    return EvaluationError("no such overload")
