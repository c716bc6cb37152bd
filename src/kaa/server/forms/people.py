"""What people like to read: JSON with indents, and YAML."""

from collections.abc import Iterable, Sequence
from typing import Any

import orjson

from kaa.kinds.spec import KindSpec
from kaa.server.cache import Cached
from kaa.server.forms.accept import JSON_TYPE, YAML_TYPE
from kaa.server.forms.api import PEOPLE_OBJECTS, Form, Json
from kaa.server.forms.plain import JSON

__all__ = ["PRETTY", "PrettyForm", "YamlForm", "for_people", "to_yaml"]


def for_people(agent: str) -> bool:
    """Whether a user agent shows its user what it gets: these have their JSON indented, unless they say otherwise."""
    return agent.startswith(("curl", "Wget", "Mozilla/5.0"))


class PrettyForm:
    """Another form's JSON with indents, for people (`?pretty=true`, or a browser or curl)."""

    content_type = JSON_TYPE
    step = PEOPLE_OBJECTS

    def __init__(self, inner: Form) -> None:
        self.inner = inner
        self.key: Any = ("pretty", inner.key)

    def one(self, spec: KindSpec, cached: Cached) -> bytes:
        """Indented."""
        return _indent(self.inner.one(spec, cached))

    event = one

    def listing(self, spec: KindSpec, objects: Sequence[Cached], metadata: Json, step: int = 0) -> Iterable[bytes]:
        """Indented piece by piece."""
        pieces = iter(self.inner.listing(spec, objects, metadata, step or self.step))
        yield _indent(next(pieces) + b"]}")[: -len(b"]\n}")]
        begun = False
        for piece in pieces:
            if piece[:1] == b"{":
                items = _indent(b"[%b]" % piece)[2:-2].replace(b"\n", b"\n  ")
                yield b"%b  %b" % (b",\n" if begun else b"\n", items)
                begun = True
        yield b"\n  ]\n}" if begun else b"]\n}"

    def plain(self, spec: KindSpec, obj: Json) -> bytes:
        """Indented."""
        return _indent(self.inner.plain(spec, obj))


def _indent(wire: bytes) -> bytes:
    return orjson.dumps(orjson.loads(wire), option=orjson.OPT_INDENT_2)


class YamlForm:
    """Another form's JSON as YAML, for people."""

    content_type = YAML_TYPE
    step = PEOPLE_OBJECTS

    def __init__(self, inner: Form) -> None:
        self.inner = inner
        self.key: Any = ("yaml", inner.key)

    def one(self, spec: KindSpec, cached: Cached) -> bytes:
        """As YAML."""
        return to_yaml(orjson.loads(self.inner.one(spec, cached)))

    event = one

    def listing(self, spec: KindSpec, objects: Sequence[Cached], metadata: Json, step: int = 0) -> Iterable[bytes]:
        """As YAML piece by piece, the items last."""
        pieces = iter(self.inner.listing(spec, objects, metadata, step or self.step))
        head = orjson.loads(next(pieces) + b"]}")
        field = next(reversed(head))
        del head[field]
        yield to_yaml(head) + (b"%b:\n" if objects else b"%b: []\n") % field.encode()
        for piece in pieces:
            if piece[:1] == b"{":
                yield to_yaml(orjson.loads(b"[%b]" % piece))

    def plain(self, spec: KindSpec, obj: Json) -> bytes:
        """As YAML."""
        return to_yaml(orjson.loads(self.inner.plain(spec, obj)))


def to_yaml(obj: Any) -> bytes:
    """Block style, keys sorted, as people know it."""
    import yaml  # not on the path of programs, so not at start

    dumper = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
    text: bytes = yaml.dump(obj, Dumper=dumper, default_flow_style=False, encoding="utf-8", allow_unicode=True)
    return text


PRETTY = PrettyForm(JSON)
