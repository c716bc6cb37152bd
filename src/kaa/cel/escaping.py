"""Names of fields as expressions write them: `a-b` is `a__dash__b`, `namespace` is `__namespace__`."""

import re

__all__ = ["escape", "unescape"]

_KEYWORDS = frozenset(
    "true false null in as break const continue else for function if import let loop package namespace return "
    "var void while".split()
)
_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
_ESCAPABLE = re.compile(r"[A-Za-z_./-][A-Za-z0-9_./-]*\Z")
_ESCAPES = {"__": "__underscores__", ".": "__dot__", "-": "__dash__", "/": "__slash__"}
_BACK = {"underscores": "__", "dot": ".", "dash": "-", "slash": "/"}
_SPECIAL = re.compile(r"__|[-./]")
_ESCAPED = re.compile(r"__([^_]+)__")


def escape(name: str) -> str | None:
    """The identifier of a field; None where it has none and cannot be reached from expressions."""
    if name in _KEYWORDS:
        return f"__{name}__"
    if "__" not in name and _IDENTIFIER.match(name):
        return name
    if not _ESCAPABLE.match(name):
        return None
    return _SPECIAL.sub(lambda match: _ESCAPES[match.group()], name)


def unescape(identifier: str) -> str | None:
    """The field of an identifier; None where it is no escaped name."""
    wrong = False

    def back(match: re.Match[str]) -> str:
        nonlocal wrong
        word = match.group(1)
        if word in _KEYWORDS:
            wrong = wrong or len(match.group()) != len(identifier)
            return word
        if word not in _BACK:
            wrong = True
        return _BACK.get(word, "")

    made = _ESCAPED.sub(back, identifier)
    return None if wrong else made
