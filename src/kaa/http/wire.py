"""How heads of HTTP messages are written: pure, and shared by the listener and the client."""

import datetime
import re
from collections.abc import Iterable, Sequence

import orjson

from kaa.http.api import Header, Response

__all__ = [
    "REASONS",
    "Head",
    "header_name",
    "header_value",
    "http_date",
    "render_headers",
    "request_head",
    "status_response",
]

REASONS = {
    100: "Continue",
    101: "Switching Protocols",
    200: "OK",
    201: "Created",
    202: "Accepted",
    204: "No Content",
    206: "Partial Content",
    301: "Moved Permanently",
    302: "Found",
    303: "See Other",
    304: "Not Modified",
    307: "Temporary Redirect",
    308: "Permanent Redirect",
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    406: "Not Acceptable",
    408: "Request Timeout",
    409: "Conflict",
    410: "Gone",
    411: "Length Required",
    412: "Precondition Failed",
    413: "Request Entity Too Large",
    414: "Request URI Too Long",
    415: "Unsupported Media Type",
    417: "Expectation Failed",
    422: "Unprocessable Entity",
    426: "Upgrade Required",
    429: "Too Many Requests",
    431: "Request Header Fields Too Large",
    500: "Internal Server Error",
    501: "Not Implemented",
    502: "Bad Gateway",
    503: "Service Unavailable",
    504: "Gateway Timeout",
    505: "HTTP Version Not Supported",
}
_UNSAFE = re.compile(r"[\r\n\0]")
_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_TARGET = re.compile(r"[!-~]+")
_NAMES: dict[bytes, str] = {}
_NAMES_MAX = 1024
_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def header_name(raw: bytes) -> str:
    """The lower-case name. The names seen first are remembered, up to a bound."""
    name = _NAMES.get(raw)
    if name is None:
        name = raw.decode("ascii").lower()
        if len(_NAMES) < _NAMES_MAX and len(raw) <= 64:
            _NAMES[raw] = name
    return name


def header_value(raw: bytes) -> str:
    """UTF-8 where it is UTF-8 (user names in impersonation headers are), else each byte as one character."""
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw.decode("latin-1")


def http_date(at: float) -> str:
    """`Sun, 06 Nov 1994 08:49:37 GMT`."""
    t = datetime.datetime.fromtimestamp(int(at), datetime.UTC)
    return (
        f"{_DAYS[t.weekday()]}, {t.day:02d} {_MONTHS[t.month - 1]} {t.year} "
        f"{t.hour:02d}:{t.minute:02d}:{t.second:02d} GMT"
    )


def render_headers(headers: Iterable[Header]) -> bytes:
    """Header lines. Line ends within a value become spaces: nothing can be smuggled in through one."""
    lines = []
    for name, value in headers:
        if not _TOKEN.fullmatch(name):
            raise ValueError(f"not a header name: {name!r}")
        if _UNSAFE.search(value):
            value = _UNSAFE.sub(" ", value)
        lines.append(f"{name}: {value}\r\n")
    return "".join(lines).encode()


def request_head(method: str, target: str, host: str, headers: Sequence[Header], body_bytes: int) -> bytes:
    """A request's head. Raises ValueError for a method, target or header name that would not be one."""
    if not _TOKEN.fullmatch(method):
        raise ValueError(f"not a method: {method!r}")
    if not _TARGET.fullmatch(target):
        raise ValueError(f"not a request target: {target!r}: percent-encode it")
    line = f"{method} {target} HTTP/1.1\r\nHost: {host}\r\n".encode()
    length = b"Content-Length: %d\r\n" % body_bytes if body_bytes or method in ("POST", "PUT", "PATCH") else b""
    return line + render_headers(headers) + length + b"\r\n"


class Head:
    """Heads of answers; the part that depends only on status and content type is made once."""

    __slots__ = ("_starts", "date_line")

    def __init__(self) -> None:
        self._starts: dict[tuple[int, str], bytes] = {}
        self.date_line = b""

    def start(self, status: int, content_type: str) -> bytes:
        """Status line and content type."""
        start = self._starts.get((status, content_type))
        if start is None:
            start = f"HTTP/1.1 {status} {REASONS.get(status, 'Status')}\r\n".encode()
            if content_type and status not in (101, 204, 304):
                start += render_headers((("Content-Type", content_type),))
            if len(self._starts) < 256:
                self._starts[status, content_type] = start
        return start


def status_response(code: int, reason: str, message: str) -> Response:
    """A failure as the API's `Status` object; closes nothing by itself."""
    body = {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": message,
        "reason": reason,
        "code": code,
    }
    return Response(code, orjson.dumps(body))
