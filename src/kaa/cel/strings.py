"""Extended functions of texts (cel-go's `ext/strings.go`, version 2), and of bytes as base64."""

from base64 import b64decode, b64encode
from typing import Any

from .errors import EvaluationError
from .formatting import format_text, quote
from .functions import Registry
from .values import Frame, work

__all__ = ["REGISTRY"]

REGISTRY = Registry()
_declare = REGISTRY.declare

_LOWER = {ord(upper): upper.lower() for upper in "ABCDEFGHIJKLMNOPQRSTUVWXYZ"}
_UPPER = {ord(lower): lower.upper() for lower in "abcdefghijklmnopqrstuvwxyz"}
#: What Unicode calls white space.
_SPACE = "\t\n\x0b\x0c\r \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u2028\u2029\u202f\u205f\u3000"  # fmt: skip  # noqa: E501


def _char_at(text: str, at: int) -> str:
    if not 0 <= at <= len(text):
        raise EvaluationError(f"index out of range: {at}")
    return text[at : at + 1]


def _index_of(text: str, part: str, at: int = 0) -> int:
    if at < 0 or (part and at > len(text)):
        raise EvaluationError(f"index out of range: {at}")
    return at if not part else text.find(part, at)


def _last_index_of(text: str, part: str, at: int | None = None) -> int:
    if at is None:
        return text.rfind(part)
    if not 0 <= at <= len(text):
        raise EvaluationError(f"index out of range: {at}")
    return at if not part else text.rfind(part, 0, at + len(part))


def _join(frame: Frame, items: Any, separator: str = "") -> str:
    parts = list(items)
    try:
        work(frame, sum(map(len, parts)) + len(separator) * len(parts))
        return separator.join(parts)
    except TypeError:
        raise EvaluationError("no such overload") from None


def _replace(frame: Frame, text: str, old: str, new: str, limit: int = -1) -> str:
    count = text.count(old)
    if limit >= 0:
        count = min(count, limit)
    work(frame, len(text) + count * (len(new) - len(old)))
    return text.replace(old, new, limit)


def _split(frame: Frame, text: str, separator: str, limit: int = -1) -> list[str]:
    work(frame, len(text) + 1)
    if limit == 0:
        return []
    if separator == "":
        if limit < 0 or limit >= len(text):
            return list(text)
        return [*text[: limit - 1], text[limit - 1 :]]
    return text.split(separator, limit - 1 if limit > 0 else -1)


def _substring(text: str, start: int, end: int | None = None) -> str:
    if end is None:
        if not 0 <= start <= len(text):
            raise EvaluationError(f"index out of range: {start}")
        return text[start:]
    if start > end:
        raise EvaluationError(f"invalid substring range. start: {start}, end: {end}")
    for at in (start, end):
        if not 0 <= at <= len(text):
            raise EvaluationError(f"index out of range: {at}")
    return text[start:end]


_declare("<string>.charAt(int) -> string", _char_at)
for _signature in ("<string>.indexOf(string) -> int", "<string>.indexOf(string, int) -> int"):
    _declare(_signature, _index_of, cost="traverse")
for _signature in ("<string>.lastIndexOf(string) -> int", "<string>.lastIndexOf(string, int) -> int"):
    _declare(_signature, _last_index_of, cost="traverse")
_declare("<list(string)>.join() -> string", _join, cost="join", framed=True)
_declare("<list(string)>.join(string) -> string", _join, cost="join", framed=True)
_declare("<string>.lowerAscii() -> string", lambda text: text.translate(_LOWER), cost="scan")
_declare("<string>.upperAscii() -> string", lambda text: text.translate(_UPPER), cost="scan")
_declare("<string>.trim() -> string", lambda text: text.strip(_SPACE), cost="scan")
_declare("<string>.replace(string, string) -> string", _replace, cost="replace", framed=True)
_declare("<string>.replace(string, string, int) -> string", _replace, cost="replace", framed=True)
_declare("<string>.split(string) -> list(string)", _split, cost="split", framed=True)
_declare("<string>.split(string, int) -> list(string)", _split, cost="split", framed=True)
_declare("<string>.substring(int) -> string", _substring, cost="scan")
_declare("<string>.substring(int, int) -> string", _substring, cost="scan")
_declare("<string>.reverse() -> string", lambda text: text[::-1], cost="scan")
_declare("<string>.format(list(dyn)) -> string", format_text, cost="format", framed=True)
_declare("strings.quote(string) -> string", quote, cost="quote")


def _decode(text: str) -> bytes:
    try:
        return b64decode(text + "=" * (-len(text) % 4 if not text.endswith("=") else 0), validate=True)
    except ValueError:
        raise EvaluationError("illegal base64 data") from None


_declare("base64.encode(bytes) -> string", lambda data: b64encode(data).decode(), cost="scan")
_declare("base64.decode(string) -> bytes", _decode, cost="scan")
