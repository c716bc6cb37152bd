"""Text into tokens, and literals into values."""

import re
from dataclasses import dataclass
from typing import Any

from .errors import CompileError, Issue

__all__ = ["RESERVED", "SIZE_MAX", "Token", "tokens"]

#: The most code points an expression may have (cel-go's parser's limit).
SIZE_MAX = 100_000

#: Words that are no identifiers.
RESERVED = frozenset(
    "as break const continue else for function if import let loop package namespace return var void while".split()
)

_TOKEN = re.compile(
    r"""
    (?P<space>[\t\n\r\f ]+|//[^\n]*)
  | (?P<string>(?:[rR][bB]?|[bB][rR]?)?(?:'''|\"\"\"|'|"))
  | (?P<float>[0-9]+\.[0-9]+(?:[eE][+-]?[0-9]+)?|[0-9]+[eE][+-]?[0-9]+|\.[0-9]+(?:[eE][+-]?[0-9]+)?)
  | (?P<int>0x[0-9a-fA-F]+[uU]?|[0-9]+[uU]?)
  | (?P<ident>[_a-zA-Z][_a-zA-Z0-9]*)
  | (?P<op>==|!=|<=|>=|&&|\|\||[<>\[\]{}(),.\-!?:+*/%])
    """,
    re.VERBOSE,
)
_CLOSE = {
    (raw, quote): re.compile(
        (r".*?" if raw else r"(?:[^\\]|\\.)*?") + quote
        if len(quote) == 3
        else (rf"[^{quote}\r\n]*{quote}" if raw else rf"(?:[^\\{quote}\r\n]|\\.)*{quote}"),
        re.DOTALL,
    )
    for raw in (False, True)
    for quote in ("'", '"', "'''", '"""')
}
_ESCAPE = re.compile(
    r"""\\(?:([abfnrtv\\?"'`])|[xX]([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|([0-3][0-7]{2})|(.|\Z))""",
    re.DOTALL,
)
_SIMPLE = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}


@dataclass(slots=True)
class Token:
    """One token: its kind (ident, int, uint, double, string, bytes, end, or the operator itself), text and value."""

    kind: str
    position: int
    text: str
    value: Any = None


class _Bad(Exception):
    pass


def _unescape(text: str, *, as_bytes: bool) -> str | bytes:
    if not as_bytes:

        def one(match: re.Match[str]) -> str:
            simple, hex2, hex4, hex8, octal, _bad = match.groups()
            if simple:
                return _SIMPLE.get(simple, simple)
            code = hex2 or hex4 or hex8
            if code is None and octal is None:
                raise _Bad
            point = int(code, 16) if code is not None else int(octal, 8)
            if point > 0x10FFFF or 0xD800 <= point < 0xE000:
                raise _Bad
            return chr(point)

        return _ESCAPE.sub(one, text)
    parts: list[bytes] = []
    at = 0
    for match in _ESCAPE.finditer(text):
        parts.append(text[at : match.start()].encode())
        at = match.end()
        simple, hex2, _hex4, _hex8, octal, _bad = match.groups()
        if simple:
            parts.append(_SIMPLE.get(simple, simple).encode())
        elif hex2 is not None:
            parts.append(bytes((int(hex2, 16),)))
        elif octal is not None:
            parts.append(bytes((int(octal, 8),)))
        else:
            raise _Bad  # \u names a character, and bytes have none
    parts.append(text[at:].encode())
    return b"".join(parts)


def tokens(source: str) -> list[Token]:
    """The tokens of an expression, with one of kind "end" at the end. Raises CompileError with every lexical issue."""
    if len(source) > SIZE_MAX:
        size = len(source)
        issue = Issue(0, f"expression code point size exceeds limit: size: {size}, limit {SIZE_MAX}")
        raise CompileError((issue,), source[:200])
    found: list[Token] = []
    issues: list[Issue] = []
    at, end = 0, len(source)
    match_token = _TOKEN.match
    while at < end:
        match = match_token(source, at)
        if match is None:
            issues.append(Issue(at, f"Syntax error: token recognition error at: '{source[at]}'"))
            at += 1
            if len(issues) > 20:
                break
            continue
        kind, text = match.lastgroup, match.group()
        start, at = at, match.end()
        if kind == "space":
            continue
        if kind == "op" or kind == "ident":
            found.append(Token(text if kind == "op" or text == "in" else "ident", start, text))
        elif kind == "string":
            prefix = text.rstrip("'\"")
            quote = text[len(prefix) :]
            raw, as_bytes = "r" in prefix.lower(), "b" in prefix.lower()
            close = _CLOSE[raw, quote].match(source, at)
            if close is None:
                rest = source[start:].split("\n")[0]
                issues.append(Issue(start, f"Syntax error: token recognition error at: '{rest}'"))
                at = start + len(rest)
                continue
            body = source[at : close.end() - len(quote)]
            at = close.end()
            try:
                value: Any = (body.encode() if as_bytes else body) if raw else _unescape(body, as_bytes=as_bytes)
            except _Bad:
                issues.append(Issue(start, f"invalid {'bytes' if as_bytes else 'string'} literal: unable to unescape"))
                value = b"" if as_bytes else ""
            found.append(Token("bytes" if as_bytes else "string", start, source[start:at], value))
        elif kind == "float":
            found.append(Token("double", start, text, float(text)))
        else:
            unsigned = text[-1] in "uU"
            digits = text[:-1] if unsigned else text
            # A bound, so that reading the number itself stays cheap.
            number = int(digits, 0 if digits[:2] == "0x" else 10) if len(digits) <= 40 else 2**64
            found.append(Token("uint" if unsigned else "int", start, text, number))
    if issues:
        raise CompileError(tuple(issues), source)
    found.append(Token("end", end, "<EOF>"))
    return found
