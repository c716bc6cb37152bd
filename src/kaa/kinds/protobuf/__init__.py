"""Objects as protobuf and back: the form that clients in Go send and ask for on built-in kinds.

Nothing is generated: a message is read and written by its field numbers, compiled to closures on first use.

- `wire`: numbers, lengths and tags, as every protobuf has them.
- `fields`: the tables of a message: its fields by number and by JSON name, and which messages have a form of their own
  in JSON (quantities, times, raw JSON).
- `reading`, `writing`: a message's bytes as JSON, and JSON as a message's bytes.
- `envelope`: the four magic bytes and the `Unknown` message around an object; lists; frames of a watch.

Go clients write every plain field, zero or not, and pointers only when set. JSON leaves out the zeros of most plain
fields; which of them it keeps is in the tables (mark "k"), derived from the Go types. What a message means (validation,
defaults) does not belong here.
"""

from kaa.kinds.protobuf.envelope import (
    MAGIC,
    decode_envelope,
    encode_envelope,
    encode_list,
    encode_watch_event,
    message_of,
)
from kaa.kinds.protobuf.reading import decode
from kaa.kinds.protobuf.wire import MalformedProtobuf
from kaa.kinds.protobuf.writing import encode

__all__ = [
    "MAGIC",
    "MalformedProtobuf",
    "decode",
    "decode_envelope",
    "encode",
    "encode_envelope",
    "encode_list",
    "encode_watch_event",
    "message_of",
]
