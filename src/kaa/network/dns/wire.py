"""DNS messages as bytes: reading a query, writing an answer. No I/O.

Only what a cluster's server needs: one question, the record types of the specification, EDNS0 sizes, compression on
output. Reading walks the name once; in the usual case, a short query with or without an OPT record, that is all.
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from typing import Any

Name = tuple[str, ...]
A, NS, CNAME, SOA, PTR, TXT, AAAA, SRV, OPT, ANY = 1, 2, 5, 6, 12, 16, 28, 33, 41, 255
CLASS_IN, CLASS_CHAOS = 1, 3
NOERROR, FORMERR, SERVFAIL, NXDOMAIN, NOTIMP, REFUSED = 0, 1, 2, 3, 4, 5
UDP_BYTES_MAX = 1232
"""Our own bound for UDP answers: what passes everywhere without fragments."""

_HEAD = struct.Struct("!HHHHHH")
_TAIL = struct.Struct("!HH")
_RECORD = struct.Struct("!HHIH")


class Malformed(ValueError):
    """Not a DNS message that can be read. `id` is what a FORMERR answers to, or None when even that is missing."""

    def __init__(self, why: str, id: int | None = None) -> None:
        super().__init__(why)
        self.id = id


@dataclass(slots=True)
class Query:
    """One question."""

    id: int
    flags: int
    """The second word of the header, as sent."""
    question: bytes
    """Name, type and class as sent: an answer repeats it, upper and lower case included."""
    type: int
    klass: int
    udp_bytes_max: int
    """How large an answer over UDP may be: 512, or what EDNS0 says, within our own bound."""
    edns: bool
    """The query has an OPT record, so the answer must."""
    edns_version: int = 0

    @property
    def opcode(self) -> int:
        """0 is a standard query; nothing else is served."""
        return self.flags >> 11 & 15

    @property
    def key(self) -> bytes:
        """The question without regard to case. Lengths are below any letter, so lowering the bytes is safe."""
        return self.question.lower()

    def name(self) -> Name:
        """The labels, in lower case."""
        labels = []
        at, data = 0, self.question.lower()
        while size := data[at]:
            labels.append(data[at + 1 : at + 1 + size].decode("latin-1"))
            at += size + 1
        return tuple(labels)


def parse_query(data: bytes) -> Query:
    """Read a query. Raises Malformed; answers (QR set) raise it without an id, so that nobody answers an answer."""
    if len(data) < 12:
        raise Malformed("shorter than a header")
    id_, flags, questions, answers, authorities, extras = _HEAD.unpack_from(data)
    if flags & 0x8000:
        raise Malformed("an answer, not a query")
    if questions != 1 or answers or authorities:
        raise Malformed("not exactly one question", id_)
    at, size = 12, len(data)
    while True:
        if at >= size:
            raise Malformed("the name does not end", id_)
        length = data[at]
        if not length:
            break
        if length > 63 or at > 12 + 254:
            raise Malformed("a label or the name is too long, or compressed", id_)
        at += length + 1
    end = at + 5
    if end > size:
        raise Malformed("no type and class", id_)
    type_, klass = _TAIL.unpack_from(data, at + 1)
    limit, edns, version = 512, False, 0
    if extras:
        found = _find_opt(data, end, extras, id_)
        if found is not None:
            edns = True
            limit = min(max(found[0], 512), UDP_BYTES_MAX)
            version = found[1]
    return Query(id_, flags, data[12:end], type_, klass, limit, edns, version)


def _find_opt(data: bytes, at: int, count: int, id_: int) -> tuple[int, int] | None:
    """(payload size, version) of the OPT record among the additional ones."""
    for _ in range(min(count, 8)):
        at = _skip_name(data, at, id_)
        if at + 10 > len(data):
            raise Malformed("a record is cut off", id_)
        type_, size, ttl, length = _RECORD.unpack_from(data, at)
        if type_ == OPT:
            return size, ttl >> 16 & 0xFF
        at += 10 + length
    return None


def _skip_name(data: bytes, at: int, id_: int | None = None) -> int:
    try:
        while length := data[at]:
            if length >= 0xC0:
                return at + 2
            at += length + 1
    except IndexError:
        raise Malformed("a name is cut off", id_) from None
    return at + 1


@dataclass(frozen=True, slots=True)
class Record:
    """One resource record of class IN.

    `data` by type: A and AAAA the address as text; NS, CNAME, PTR a Name; TXT a text; SRV (priority, weight, port,
    Name); SOA (Name, Name, serial, refresh, retry, expire, minimum).
    """

    name: Name
    type: int
    ttl: int
    data: str | Name | tuple[Any, ...]


def encode(
    query: Query,
    rcode: int,
    answers: Sequence[Record] = (),
    authority: Sequence[Record] = (),
    extra: Sequence[Record] = (),
    *,
    authoritative: bool = True,
    bytes_max: int = 65535,
) -> bytes:
    """A whole answer. What does not fit is left out: the additional records silently, others with the TC flag set."""
    out = bytearray(12)
    out += query.question
    seen: dict[Name, int] = {}
    _remember(seen, query.name(), 12)
    room = bytes_max - (11 if query.edns else 0)
    counts = [0, 0, 0]
    truncated = False
    for section, records in enumerate((answers, authority, extra)):
        for record in records:
            before = len(out)
            _write(out, record, seen)
            if len(out) > room:
                del out[before:]
                truncated = truncated or section < 2
                break
            counts[section] += 1
        if truncated:
            break
    if query.edns:
        # Owner root, type OPT, our size, no flags. Version 0 is all we speak: 16 (BADVERS) for more.
        out += b"\0" + _RECORD.pack(OPT, UDP_BYTES_MAX, (rcode >> 4) << 24, 0)
    out[:12] = reply_head(
        query,
        rcode & 15,
        counts[0],
        counts[1],
        counts[2] + query.edns,
        authoritative=authoritative,
        truncated=truncated,
    )
    return bytes(out)


def reply_head(
    query: Query, rcode: int, answers: int, authority: int, extra: int, *, authoritative: bool, truncated: bool = False
) -> bytes:
    """The header of an answer: recursion is always available, and desired when it was."""
    flags = 0x8080 | (query.flags & 0x7900) | (0x0400 if authoritative else 0) | (0x0200 if truncated else 0) | rcode
    return _HEAD.pack(query.id, flags, 1, answers, authority, extra)


def _remember(seen: dict[Name, int], name: Name, at: int) -> None:
    for i in range(len(name)):
        if at > 0x3FFF:
            return
        seen.setdefault(name[i:], at)
        at += len(name[i].encode("latin-1")) + 1


def _write_name(out: bytearray, name: Name, seen: dict[Name, int]) -> None:
    for i, label in enumerate(name):
        if (known := seen.get(name[i:])) is not None:
            out += (0xC000 | known).to_bytes(2, "big")
            return
        if len(out) <= 0x3FFF:
            seen[name[i:]] = len(out)
        encoded = label.encode("latin-1")
        out.append(len(encoded))
        out += encoded
    out.append(0)


def _write(out: bytearray, record: Record, seen: dict[Name, int]) -> None:
    _write_name(out, record.name, seen)
    out += _RECORD.pack(record.type, CLASS_IN, record.ttl, 0)
    at = len(out)
    _write_data(out, record, seen)
    struct.pack_into("!H", out, at - 2, len(out) - at)


def _write_data(out: bytearray, record: Record, seen: dict[Name, int]) -> None:
    # SRV targets are not compressed, as RFC 2782 wants.
    data: Any = record.data
    match record.type:
        case 1:
            out += IPv4Address(data).packed
        case 28:
            out += IPv6Address(data).packed
        case 2 | 5 | 12:
            _write_name(out, data, seen)
        case 16:
            text = data.encode()
            for i in range(0, len(text) or 1, 255):
                part = text[i : i + 255]
                out.append(len(part))
                out += part
        case 33:
            priority, weight, port, target = data
            out += struct.pack("!HHH", priority, weight, port)
            _write_name(out, target, {})
        case 6:
            primary, mail, *numbers = data
            _write_name(out, primary, seen)
            _write_name(out, mail, seen)
            out += struct.pack("!IIIII", *numbers)
        case _:
            raise ValueError(f"cannot write records of type {record.type}")


def text_name(text: str) -> Name:
    """`"web.default.svc."` -> `("web", "default", "svc")`, in lower case."""
    return tuple(label for label in text.lower().split(".") if label)


def name_text(name: Name) -> str:
    """The other way, without the final dot."""
    return ".".join(name)


def addresses_in(data: bytes) -> list[Record]:
    """The A, AAAA and CNAME records among the answers of another server's message. Raises Malformed."""
    if len(data) < 12:
        raise Malformed("shorter than a header")
    _, _, questions, answers, _, _ = _HEAD.unpack_from(data)
    at = 12
    for _ in range(questions):
        at = _skip_name(data, at) + 4
    found = []
    for _ in range(answers):
        owner = _read_name(data, at)
        at = _skip_name(data, at)
        if at + 10 > len(data):
            raise Malformed("a record is cut off")
        type_, _, ttl, length = _RECORD.unpack_from(data, at)
        at += 10
        body = data[at : at + length]
        if len(body) < length:
            raise Malformed("a record is cut off")
        if type_ == A and length == 4:
            found.append(Record(owner, A, ttl, str(IPv4Address(bytes(body)))))
        elif type_ == AAAA and length == 16:
            found.append(Record(owner, AAAA, ttl, str(IPv6Address(bytes(body)))))
        elif type_ == CNAME:
            found.append(Record(owner, CNAME, ttl, _read_name(data, at)))
        at += length
    return found


def _read_name(data: bytes, at: int) -> Name:
    labels: list[str] = []
    jumps = 0
    try:
        while length := data[at]:
            if length >= 0xC0:
                jumps += 1
                if jumps > 32:
                    raise Malformed("a name points in circles")
                at = (length & 0x3F) << 8 | data[at + 1]
                continue
            labels.append(data[at + 1 : at + 1 + length].lower().decode("latin-1"))
            at += length + 1
    except IndexError:
        raise Malformed("a name is cut off") from None
    return tuple(labels)


def question(name: Name, type_: int, id_: int) -> bytes:
    """A query of our own: recursion desired, no EDNS."""
    out = bytearray(_HEAD.pack(id_, 0x0100, 1, 0, 0, 0))
    _write_name(out, name, {})
    return bytes(out + _TAIL.pack(type_, CLASS_IN))


def _ttls(data: bytes) -> list[tuple[int, int, int]]:
    """(offset of the TTL, TTL, section) of every record but OPT, in a message of another server. Raises Malformed."""
    if len(data) < 12:
        raise Malformed("shorter than a header")
    _, _, questions, *counts = _HEAD.unpack_from(data)
    at = 12
    for _ in range(questions):
        at = _skip_name(data, at) + 4
    found = []
    for section, count in enumerate(counts):
        for _ in range(count):
            at = _skip_name(data, at)
            if at + 10 > len(data):
                raise Malformed("a record is cut off")
            type_, _, ttl, length = _RECORD.unpack_from(data, at)
            if type_ != OPT:
                found.append((at + 4, ttl, section))
            at += 10 + length
    return found


def min_ttl(data: bytes) -> int | None:
    """The smallest TTL of the answer and authority records; None when there are none. Raises Malformed."""
    ttls = [ttl for _, ttl, section in _ttls(data) if section < 2]
    return min(ttls) if ttls else None


def with_ttl_less(data: bytes, seconds: int) -> bytes:
    """The message with every TTL lowered, for an answer that comes from a cache."""
    out = bytearray(data)
    for at, ttl, _ in _ttls(data):
        struct.pack_into("!I", out, at, max(0, ttl - seconds))
    return bytes(out)
