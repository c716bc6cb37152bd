"""Field paths, and the problems validation yields, in the API's wording.

A rule reads: `yield invalid(path / "replicas", value, "must be greater than or equal to 0")`. Every problem of an
object is reported, each with its path; none stops the others.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import orjson

__all__ = [
    "NOWHERE",
    "OMITTED",
    "Path",
    "Problem",
    "duplicate",
    "forbidden_field",
    "internal_problem",
    "invalid",
    "not_found_field",
    "not_supported",
    "required",
    "too_long",
    "too_many",
    "type_invalid",
]


class Path:
    """`spec.containers[0].ports[name=web]`: built with `/` for a field, `[i]` for an index or key. Rendered lazily."""

    __slots__ = ("_parent", "_text")

    def __init__(self, text: str = "", parent: "Path | None" = None) -> None:
        self._text = text
        self._parent = parent

    def __truediv__(self, field: str) -> "Path":
        return Path(field, self)

    def __getitem__(self, key: int | str) -> "Path":
        return Path(f"[{key}]", self)

    def __str__(self) -> str:
        # Validation makes many paths and shows few: the dots are put in here.
        parts: list[str] = []
        at: Path | None = self
        while at is not None:
            if at._text:
                parts.append(at._text if at._text[0] == "[" else f".{at._text}")
            at = at._parent
        return "".join(reversed(parts)).removeprefix(".") or "<nil>"

    def __repr__(self) -> str:
        return f"Path({str(self)!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Path) and str(self) == str(other)

    def __hash__(self) -> int:
        return hash(str(self))


class _Nowhere(Path):
    """A path that leads nowhere, however far it is followed."""

    __slots__ = ()

    def __truediv__(self, field: str) -> Path:
        return self

    def __getitem__(self, key: int | str) -> Path:
        return self


#: For a first look at what is almost always fine: rules run with it build no paths. Whoever finds a problem with it
#: runs the rules again with the real path.
NOWHERE: Path = _Nowhere()


@dataclass(frozen=True)
class Problem:
    """One thing wrong with one field. `reason` is the API's cause type; `str()` is what users read."""

    path: Path
    reason: str
    detail_text: str

    def __str__(self) -> str:
        return f"{self.path}: {self.detail_text}"


#: The value of a problem that does not say it.
OMITTED: Any = object()


def _shown(value: Any) -> str:
    """A value as the API's messages print it: strings quoted, numbers and booleans bare, the rest as JSON.

    What is absent is printed as the quoted word null.
    """
    if value is None:
        return '"null"'
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return orjson.dumps(value).decode()
    if isinstance(value, int | float):
        return str(value)
    return orjson.dumps(value, default=str).decode()


def invalid(path: Path, value: Any, detail: str) -> Problem:
    """The value breaks a rule. `OMITTED` as the value leaves it out of the text."""
    if value is OMITTED:
        return Problem(path, "FieldValueInvalid", f"Invalid value: {detail}")
    return Problem(path, "FieldValueInvalid", f"Invalid value: {_shown(value)}: {detail}")


def type_invalid(path: Path, value: Any, detail: str) -> Problem:
    """The value has the wrong type."""
    return Problem(path, "FieldValueTypeInvalid", f"Invalid value: {_shown(value)}: {detail}")


def required(path: Path, detail: str = "") -> Problem:
    """The field must be given."""
    return Problem(path, "FieldValueRequired", f"Required value: {detail}" if detail else "Required value")


def not_supported(path: Path, value: Any, supported: Iterable[str], *, as_given: bool = False) -> Problem:
    """The value is none of those allowed, which are listed in order, or `as_given` where the original does so."""
    listing = ", ".join(f'"{each}"' for each in (supported if as_given else sorted(supported)))
    return Problem(path, "FieldValueNotSupported", f"Unsupported value: {_shown(value)}: supported values: {listing}")


def duplicate(path: Path, value: Any, detail: str = "") -> Problem:
    """The value stands twice where it may stand once."""
    return Problem(path, "FieldValueDuplicate", _detailed(f"Duplicate value: {_shown(value)}", detail))


def not_found_field(path: Path, value: Any, detail: str = "") -> Problem:
    """The value names something that is not there."""
    return Problem(path, "FieldValueNotFound", _detailed(f"Not found: {_shown(value)}", detail))


def _detailed(text: str, detail: str) -> str:
    return f"{text}: {detail}" if detail else text


def forbidden_field(path: Path, detail: str) -> Problem:
    """The field may not be set, or not changed."""
    return Problem(path, "FieldValueForbidden", f"Forbidden: {detail}")


def too_long(path: Path, length_max: int, unit: str = "bytes") -> Problem:
    """The text is over its limit."""
    return Problem(path, "FieldValueTooLong", f"Too long: may not be more than {length_max} {unit}")


def too_many(path: Path, count: int, count_max: int) -> Problem:
    """The list is over its limit."""
    return Problem(path, "FieldValueTooMany", f"Too many: {count}: must have at most {count_max} items")


def internal_problem(path: Path, detail: str) -> Problem:
    """The rule itself failed."""
    return Problem(path, "InternalError", f"Internal error: {detail}")
