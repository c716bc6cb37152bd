"""What a form is, and what all of them share."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Protocol

import orjson

from kaa.kinds.spec import KindSpec
from kaa.server.cache import Cached

__all__ = ["MADE_OBJECTS", "PEOPLE_OBJECTS", "PIECE_OBJECTS", "Form", "Json", "items", "items_length", "wire_of"]

Json = dict[str, Any]

#: A list leaves in pieces of this many objects, so that no piece is large and nothing is joined twice.
PIECE_OBJECTS = 128
#: The same where each object has to be decoded: what fits into a few milliseconds.
MADE_OBJECTS = 16
#: Indented, or as YAML, for people: slower again.
PEOPLE_OBJECTS = 4


class Form(Protocol):
    """One way to write objects. `key` tells forms apart where their bytes are kept."""

    key: Any
    content_type: str
    #: Objects that one step of a list may take.
    step: int

    def one(self, spec: KindSpec, cached: Cached) -> bytes:
        """One object, as the answer to a get or a write."""

    def listing(self, spec: KindSpec, objects: Sequence[Cached], metadata: Json, step: int = 0) -> Iterable[bytes]:
        """A list, as pieces of one body, each made when it is asked for; an empty piece is a place to pause.

        The first piece of a JSON list ends with the bracket that opens its items, the last one closes it; between
        them, pieces are whole items with commas, or one comma. `step` is the items of a piece (0: the form's own).
        """

    def event(self, spec: KindSpec, cached: Cached) -> bytes:
        """The object of a watch event."""

    def plain(self, spec: KindSpec, obj: Json) -> bytes:
        """An object that is not in the cache: a dry run's answer, a review, a status."""


def wire_of(spec: KindSpec, cached: Cached) -> bytes:
    """The entry's JSON in the version that `spec` serves."""
    return cached.served(spec)


def items(head: Json, field: bytes, objects: Sequence[Cached], step: int,
           make: Callable[[Cached], bytes]) -> Iterator[bytes]:  # fmt: skip
    """A JSON list in pieces."""
    # `items_length` counts these bytes.
    yield orjson.dumps(head)[:-1] + b',"%b":[' % field
    for start in range(0, len(objects), step):
        if start:
            yield b","
        yield b",".join(map(make, objects[start : start + step]))
    yield b"]}\n"


def items_length(head: Json, field: bytes, count: int, size: int) -> int:
    """Bytes of the list that `items` makes of so many objects, which are so many bytes together."""
    return len(orjson.dumps(head)) - 1 + len(b',"%b":[' % field) + size + max(0, count - 1) + len(b"]}\n")
