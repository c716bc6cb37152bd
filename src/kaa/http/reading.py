"""Bytes of one connection into requests, in order; or one refusal, after which nothing more is read.

The parser (httptools) calls back into `RequestReader`; what it makes goes to its `Sink`, which is the connection. What
may not be parsed yet waits in `held`: after too many queued requests, or after one that asks for an upgrade, whose
answer decides what the bytes after it are.
"""

import re
from collections import deque
from typing import TYPE_CHECKING, Any, Protocol

import httptools

from kaa.base.log import Logger
from kaa.http.api import Peer, Request, Response
from kaa.http.wire import header_name, header_value, status_response

if TYPE_CHECKING:
    from kaa.http.serve import Server

__all__ = ["KEEP", "OLD", "UPGRADE", "RequestReader", "Sink"]

_log = Logger("http")
_FEED_BYTES = 16 * 1024  # parsed at once, which bounds how many requests can come of it
_REPEATS_MAX = 256  # of headers that stood before
_PARAMETERS_MAX = 1000  # of a query: taking apart more would hold the loop

KEEP, OLD, UPGRADE = 1, 2, 4
"""Flags of a request: keep the connection; HTTP/1.0; asks for an upgrade."""

#: What Go's URL parser refuses: an escape that is none, and bytes that no URL may hold.
_BAD_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")


class _Stop(Exception):
    """Leaves the parser after a refusal."""


class Sink(Protocol):
    """What a reader needs of its connection."""

    #: Requests and refusals that wait for their turn: the reader stops at the limit.
    queue: deque[tuple[Request | Response, int]]
    #: Monotonic seconds by which the request that is being read must be complete.
    deadline: float
    peer: Peer

    def accept(self, request: Request, flags: int) -> None:
        """A whole request."""

    def refused(self, answer: Response) -> None:
        """The last thing that is answered."""

    def interim(self) -> bool:
        """A client waits for leave to send its body: given now (True), or later by `continue_owed`."""

    def pause_reading(self) -> None:
        """Nothing more can be parsed at present."""

    def cut(self) -> None:
        """The reader itself has failed."""


class RequestReader:
    """See the module. `mid`: within a request; `stopped`: nothing more is read."""

    __slots__ = (
        "_body",
        "_body_bytes",
        "_flags",
        "_headers",
        "_in_head",
        "_limits",
        "_owed",
        "_parser",
        "_received",
        "_repeats",
        "_server",
        "_sink",
        "_url",
        "_wanted",
        "continue_owed",
        "held",
        "mid",
        "stopped",
        "upgrading",
    )

    def __init__(self, server: "Server", sink: Sink) -> None:
        self._server = server
        self._limits = server.limits
        self._sink = sink
        self._parser: Any = httptools.HttpRequestParser(self)
        self._headers: dict[str, str] = {}
        self._url = b""
        self._body: list[bytes] = []
        self._body_bytes = 0
        self._received = 0
        self._repeats = 0
        self._flags = 0
        self._wanted = 0  # bytes of a body that the parser leaves to us (a request that asks for an upgrade)
        self._owed: tuple[Request, int] | None = None  # the request they belong to
        self._in_head = False
        self.held = b""
        self.mid = False
        self.stopped = False
        self.upgrading = False
        self.continue_owed = False

    # --- the connection's side ---

    def feed(self, data: bytes) -> None:
        """Parse; what may not be parsed yet goes to `held`."""
        if self._wanted:
            data = self._take_owed(data)
        at, size = 0, len(data)
        while at < size:
            if self.stopped:
                return
            if self.upgrading or len(self._sink.queue) >= self._limits.pipelined_max:
                self.held = data[at:] + self.held
                self._sink.pause_reading()
                break
            piece = data if size <= _FEED_BYTES else data[at : at + _FEED_BYTES]
            at += len(piece)
            before = self._received if self.mid else -1
            try:
                self._parser.feed_data(piece)
            except httptools.HttpParserUpgrade as upgrade:
                self.held = piece[upgrade.args[0] :] + data[at:] + self.held
                self._parser = httptools.HttpRequestParser(self)
                self._upgrade_asked()
                return
            except httptools.HttpParserCallbackError as error:
                if not isinstance(error.__context__, _Stop):
                    _log.error("a callback failed", error=repr(error.__context__), exc=error)
                    self._sink.cut()
                return
            except httptools.HttpParserError as error:
                self.refuse(400, "BadRequest", f"the request is malformed: {error}")
                return
            if self.mid and before >= 0:
                self._received += len(piece)
                if self._in_head and self._received > self._limits.header_bytes_max:
                    self._refuse_head()
                elif self._received > self._limits.header_bytes_max + 8 * self._limits.body_bytes_max + _FEED_BYTES:
                    self._refuse_body()  # chunks of a byte each, or endless trailers

    def release(self) -> None:
        """Parse what was held, unless it waits for the answer to a request that asks for an upgrade."""
        if self.held and not self.upgrading:
            held, self.held = self.held, b""
            self.feed(held)

    def take_held(self) -> bytes:
        """What came behind a granted upgrade: no requests, but the other protocol."""
        held, self.held = self.held, b""
        return held

    def stop(self) -> None:
        """Nothing more is read."""
        self.stopped = True
        self.held = b""

    def refuse(self, status: int, reason: str, message: str) -> None:
        """Answer with a `Status` after what is owed before it, then end the connection."""
        if not self.stopped:
            self.stop()
            self.mid = False
            self._body = []
            self._sink.refused(status_response(status, reason, message))

    # --- the parser's callbacks ---

    def on_message_begin(self) -> None:
        self._headers = {}
        self._url = b""
        self.mid = self._in_head = True
        self._received = 1
        self._repeats = 0
        self._sink.deadline = self._server.now + self._limits.request_read_seconds

    def on_url(self, url: bytes) -> None:
        self._url = self._url + url if self._url else url

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self._in_head:
            return  # a trailer: nothing of ours reads those, and they must not pass for headers
        key = header_name(name)
        headers = self._headers
        if key in headers:
            if key == "host":
                self._bad("the request has several Host headers")
            self._repeats += 1
            if self._repeats > _REPEATS_MAX:  # each one copies what was joined before
                self._refuse_head()
                raise _Stop
            headers[key] = f"{headers[key]}{'; ' if key == 'cookie' else ', '}{header_value(value)}"
        else:
            headers[key] = header_value(value)

    def on_headers_complete(self) -> None:
        self._in_head = False
        headers = self._headers
        version = self._parser.get_http_version()
        if version == "1.1":
            self._flags = KEEP if self._parser.should_keep_alive() else 0
            if "host" not in headers:
                self._bad("the request has no Host header")
        elif version == "1.0":
            self._flags = OLD | (KEEP if self._parser.should_keep_alive() else 0)
        else:
            self.refuse(505, "BadRequest", f"HTTP/{version} is not spoken here: use HTTP/1.1")
            raise _Stop
        coding = headers.get("transfer-encoding")
        if coding is not None:
            if coding.lower() != "chunked" or version == "1.0":
                self.refuse(501, "BadRequest", f"transfer coding {coding!r} is not supported: use chunked alone")
                raise _Stop
        elif int(headers.get("content-length") or 0) > self._limits.body_bytes_max:
            self._refuse_body()
            raise _Stop
        if "expect" in headers:
            self._expected(headers["expect"])

    def on_body(self, data: bytes) -> None:
        self._body_bytes += len(data)
        if self._body_bytes > self._limits.body_bytes_max:
            self._refuse_body()
            raise _Stop
        self._body.append(data)

    def on_message_complete(self) -> None:
        self.mid = False
        self.continue_owed = False
        target = self._url.decode("latin-1")
        if target[0] != "/":
            target = self._origin_form(target)
        path, _, query = target.partition("?")
        if "%" in path and _BAD_ESCAPE.search(path):
            self._bad("the request target has an invalid URL escape")
        if len(query) > _PARAMETERS_MAX and query.count("&") > _PARAMETERS_MAX:
            self._bad(f"the request target has over {_PARAMETERS_MAX} parameters")
        body = b""
        if self._body:
            body = self._body[0] if len(self._body) == 1 else b"".join(self._body)
            self._body = []
            self._body_bytes = 0
        request = Request(self._parser.get_method().decode(), path, query, self._headers, body, self._sink.peer)
        flags = self._flags
        if "upgrade" in self._headers and self._parser.should_upgrade():
            self._owed = (request, flags | UPGRADE)  # the parser leaves by an exception now
            return
        if not flags & KEEP:
            self.stopped = True
        self._sink.accept(request, flags)

    # --- parts of those ---

    def _expected(self, expectation: str) -> None:
        if expectation.lower() != "100-continue":
            self.refuse(417, "BadRequest", f"expectation {expectation!r} is not supported")
            raise _Stop
        self.continue_owed = not self._sink.interim()

    def _origin_form(self, target: str) -> str:
        method = self._parser.get_method()
        if method == b"OPTIONS" and target == "*":
            return target
        scheme, _, rest = target.partition("://")
        if method == b"CONNECT" or scheme.lower() not in ("http", "https"):
            self._bad("the request target is no path: this is not a proxy")
        slash = rest.find("/")
        return rest[slash:] if slash >= 0 else "/"

    def _upgrade_asked(self) -> None:
        """A request asks for another protocol; what follows it is in `held` until its answer decides."""
        if self._owed is None:
            self.refuse(400, "BadRequest", "CONNECT is not supported: this is not a proxy")
            return
        request, flags = self._owed
        if "transfer-encoding" in request.headers:
            self.refuse(400, "BadRequest", "a request to upgrade may not have a chunked body: send Content-Length")
            return
        # The parser takes such a request for ended at its head, so its body is ours to take: read as the next
        # request it would be a way to smuggle one in.
        self._wanted = int(request.headers.get("content-length") or 0)
        if self._wanted:
            self.mid = True
            self.feed(self.take_held())
        else:
            self.upgrading = True
            self._owed = None
            self._sink.accept(request, flags)

    def _take_owed(self, data: bytes) -> bytes:
        piece, rest = data[: self._wanted], data[self._wanted :]
        self._wanted -= len(piece)
        self._body.append(piece)
        if not self._wanted and self._owed is not None:
            (request, flags), self._owed = self._owed, None
            request.body, self._body = b"".join(self._body), []
            self.mid = False
            self.upgrading = True
            self._sink.accept(request, flags)
            if not self.upgrading:
                return rest
            self.held = rest + self.held
            return b""
        return rest

    # --- refusing ---

    def _bad(self, message: str) -> None:
        self.refuse(400, "BadRequest", message)
        raise _Stop

    def _refuse_head(self) -> None:
        limit = self._limits.header_bytes_max
        self.refuse(431, "RequestHeaderFieldsTooLarge", f"request line and headers are over {limit} bytes")

    def _refuse_body(self) -> None:
        limit = self._limits.body_bytes_max
        self.refuse(413, "RequestEntityTooLarge", f"Request entity too large: limit is {limit}")
