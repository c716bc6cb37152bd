"""A YAML body as what JSON has, read as the original reads it: by events, so neither depth nor aliases can hurt.

The rules are those of YAML 1.1 as Go's reader has them, which is where PyYAML differs: times stay text, `1:30` is no
number in base sixty, `1e3` is one, `0o17` is octal. A second document is refused rather than dropped.
"""

from __future__ import annotations

import base64
import binascii
import math
import re
from dataclasses import dataclass, field
from typing import Any

from kaa.base.lazy import Lazy

yaml = Lazy("yaml")

__all__ = ["Document", "YamlProblem", "read"]

#: The nesting Go's JSON reader allows is 10,000; no object of the API comes near this.
DEPTH_MAX = 200
#: Aliases may make a document this many times larger than it is written, and not beyond this many values.
ALIASED_MAX = 100_000

_TAG = "tag:yaml.org,2002:"
_WORDS: dict[str, Any] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("y", "Y", "yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON"), True),
    **dict.fromkeys(("n", "N", "no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF"), False),
}
_INTEGER = re.compile(r"[-+]?(?:0x[0-9a-fA-F]+|0b[01]+|0o?[0-7]*|[1-9][0-9]*)\Z")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?\Z")
_NOT_JSON = {".nan", ".NaN", ".NAN", *(sign + word for sign in ("", "+", "-") for word in (".inf", ".Inf", ".INF"))}


class YamlProblem(ValueError):
    """The text is no YAML, or says what JSON cannot; `str()` is what the client is told."""


@dataclass
class Document:
    """What was read, and `line 3: key "a" already set in map` for each key that stood twice."""

    data: Any = None
    duplicates: list[str] = field(default_factory=list)


@dataclass(slots=True)
class _Open:
    """A collection whose end has not come yet."""

    value: Any
    anchor: str | None
    line: int
    #: Values below it, aliases counted as often as they stand.
    size: int = 1
    #: The key that waits for its value; `_NONE` while a key is due.
    key: Any = None
    waiting: bool = False
    merged: list[Any] = field(default_factory=list)


class _Merge:
    """The key `<<`."""


def read(body: bytes) -> Document:
    """The first and only document. Raises YamlProblem."""
    try:
        return _Reader().read(body)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"line {mark.line + 1}: " if mark is not None else ""
        raise YamlProblem(f"yaml: {where}{getattr(error, 'problem', None) or error}") from error
    except UnicodeDecodeError as error:
        raise YamlProblem(f"yaml: invalid UTF-8 at byte {error.start}") from error


class _Reader:
    def __init__(self) -> None:
        self._document = Document()
        self._stack: list[_Open] = []
        self._anchors: dict[str, tuple[Any, int]] = {}
        self._open_anchors: set[str] = set()

    def read(self, body: bytes) -> Document:
        documents = 0
        event: Any
        for event in yaml.parse(body, Loader=_loader()):
            kind = type(event)
            if kind is yaml.ScalarEvent:
                value = self._scalar(event)
                if event.anchor:
                    self._anchors[event.anchor] = (value, 1)
                self._put(value, 1, event.start_mark.line + 1)
            elif kind is yaml.MappingStartEvent or kind is yaml.SequenceStartEvent:
                self._begin({} if kind is yaml.MappingStartEvent else [], event)
            elif kind is yaml.MappingEndEvent or kind is yaml.SequenceEndEvent:
                self._end()
            elif kind is yaml.AliasEvent:
                self._alias(event)
            elif kind is yaml.DocumentStartEvent:
                documents += 1
                if documents > 1:
                    raise YamlProblem("yaml: more than one document: send one object at a time")
        return self._document

    def _begin(self, value: Any, event: Any) -> None:
        if len(self._stack) >= DEPTH_MAX:
            raise YamlProblem(f"yaml: exceeded max depth of {DEPTH_MAX}")
        if event.anchor:
            self._open_anchors.add(event.anchor)
        self._stack.append(_Open(value, event.anchor, event.start_mark.line + 1))

    def _end(self) -> None:
        done = self._stack.pop()
        for merged in done.merged:
            for key, value in merged.items():
                done.value.setdefault(key, value)
        if done.anchor:
            self._anchors[done.anchor] = (done.value, done.size)
            self._open_anchors.discard(done.anchor)
        self._put(done.value, done.size, done.line)

    def _alias(self, event: Any) -> None:
        name = event.anchor
        if name in self._open_anchors:
            raise YamlProblem(f"yaml: anchor '{name}' value contains itself")
        if name not in self._anchors:
            raise YamlProblem(f"yaml: unknown anchor '{name}' referenced")
        value, size = self._anchors[name]
        self._put(value, size, event.start_mark.line + 1)

    def _put(self, value: Any, size: int, line: int) -> None:
        if not self._stack:
            self._document.data = value
            return
        top = self._stack[-1]
        top.size += size
        if top.size > ALIASED_MAX and self._anchors:
            raise YamlProblem("yaml: document contains excessive aliasing")
        if type(top.value) is list:
            top.value.append(value)
        elif not top.waiting:
            top.key, top.waiting = value, True
        else:
            top.waiting = False
            self._set(top, value, line)

    def _set(self, top: _Open, value: Any, line: int) -> None:
        if top.key is _Merge:
            for each in value if isinstance(value, list) else [value]:
                if not isinstance(each, dict):
                    raise YamlProblem("yaml: map merge requires map or sequence of maps as the value")
                top.merged.append(each)
            return
        key = _key(top.key)
        if key in top.value:
            shown = f'"{key}"' if isinstance(top.key, str) else key
            self._document.duplicates.append(f"line {line}: key {shown} already set in map")
        top.value[key] = value

    def _scalar(self, event: Any) -> Any:
        text, tag = event.value, event.tag
        if tag is None or tag == "!":
            if event.style or not event.implicit[0]:
                return text
            waits_for_key = self._stack and type(self._stack[-1].value) is dict and not self._stack[-1].waiting
            return _Merge if text == "<<" and waits_for_key else _plain(text)
        short = tag.removeprefix(_TAG)
        if short == "str":
            return text
        if short == "binary":
            try:
                return base64.b64decode(text, validate=False).decode()
            except (binascii.Error, UnicodeDecodeError) as error:
                raise YamlProblem("yaml: !!binary value contains invalid base64 data") from error
        if short in ("int", "float", "bool", "null"):
            value = _plain(text)
            fits = {"int": int, "float": (int, float), "bool": bool, "null": type(None)}[short]
            if not isinstance(value, fits):  # type: ignore[arg-type]
                raise YamlProblem(f"yaml: cannot decode !!str `{text[:40]}` as a !!{short}")
            return value
        if tag.startswith(_TAG) and short != "timestamp":
            raise YamlProblem(f"yaml: the tag !!{short[:60]} is not accepted")
        return text


def _plain(text: str) -> Any:
    if text in _WORDS:
        return _WORDS[text]
    if text in _NOT_JSON:
        raise YamlProblem(f"json: unsupported value: {text}")
    if text[0] not in "+-.0123456789":
        return text
    bare = text.replace("_", "")
    if len(bare) < 400 and _INTEGER.match(bare):
        sign = -1 if bare[0] == "-" else 1
        digits = bare.lstrip("+-")
        base = {"0x": 16, "0b": 2, "0o": 8}.get(digits[:2], 8 if digits[0] == "0" and len(digits) > 1 else 10)
        number = sign * int(digits if base == 10 or digits[1] not in "xbo" else digits[2:] or "0", base)
        return number if -(1 << 63) <= number < 1 << 64 else float(number)
    if _FLOAT.match(bare):
        value = float(bare)
        return text if math.isinf(value) else value
    return text


def _key(key: Any) -> str:
    if isinstance(key, str):
        return key
    if isinstance(key, bool):
        return "true" if key else "false"
    if isinstance(key, int | float):
        return str(key)
    raise YamlProblem("yaml: invalid map key: keys are texts")


def _loader() -> Any:
    return getattr(yaml, "CSafeLoader", yaml.SafeLoader)
