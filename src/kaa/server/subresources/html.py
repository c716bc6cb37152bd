"""Links of a proxied page: those that begin at the root lead through the proxy afterwards. Pure.

A page is rewritten as it comes: only a tag that is cut in two waits for its rest, up to a bound.
"""

import re
import zlib
from collections.abc import Callable
from html import escape, unescape

__all__ = ["PageRewriter"]

TAG_BYTES_MAX = 64 * 1024

#: The attributes that hold URLs, by element: those of the HTML standard, as the original lists them.
_ATTRIBUTES = {
    "a": "href", "applet": "codebase", "area": "href", "audio": "src", "base": "href", "blockquote": "cite",
    "body": "background", "button": "formaction", "command": "icon", "del": "cite", "embed": "src", "form": "action",
    "frame": "longdesc src", "head": "profile", "html": "manifest", "iframe": "longdesc src",
    "img": "longdesc src usemap", "input": "src usemap formaction", "ins": "cite", "link": "href",
    "object": "classid codebase data usemap", "q": "cite", "script": "src", "source": "src", "video": "poster src",
}  # fmt: skip
_TAG = re.compile(rb"<([A-Za-z][A-Za-z0-9]*)(\s(?:[^<>\"']|\"[^\"]*\"|'[^']*')*)>")
_ATTRIBUTE = re.compile(rb"([A-Za-z][A-Za-z0-9-]*)(\s*=\s*)(\"[^\"]*\"|'[^']*'|[^\s\"'=<>`]+)")


class PageRewriter:
    """Fed with pieces of a page, and b"" at its end; gives what to send. `encoding` is the page's Content-Encoding:
    a compressed one is sent as plain text. Raises ValueError for an encoding that is not known, or data that is not in
    it."""

    def __init__(self, link: Callable[[str], str], encoding: str = "") -> None:
        self._link = link
        self._rest = b""
        self._inflate = None
        if encoding in ("gzip", "x-gzip", "deflate"):
            self._inflate = zlib.decompressobj(wbits=47)
        elif encoding not in ("", "identity"):
            raise ValueError(f"the page's encoding {encoding!r} is not known")

    def __call__(self, piece: bytes) -> bytes:
        """The next piece."""
        if self._inflate is not None:
            try:
                piece = self._inflate.decompress(piece) if piece else self._inflate.flush()
                ended = not piece
            except zlib.error as error:
                raise ValueError(f"the page is not in its encoding: {error}") from error
        else:
            ended = not piece
        data, self._rest = self._rest + piece, b""
        cut = data.rfind(b"<")
        if not ended and cut >= 0 and b">" not in data[cut:] and len(data) - cut <= TAG_BYTES_MAX:
            data, self._rest = data[:cut], data[cut:]
        return _TAG.sub(self._tag, data)

    def _tag(self, found: "re.Match[bytes]") -> bytes:
        names = _ATTRIBUTES.get(found[1].decode().lower())
        if names is None:
            return found[0]
        wanted = names.split()

        def change(attribute: "re.Match[bytes]") -> bytes:
            name, equals, value = attribute.groups()
            if name.decode().lower() not in wanted:
                return attribute[0]
            text = value.strip(b"\"'").decode("utf-8", "surrogateescape")
            new = self._link(unescape(text))
            if new == unescape(text):
                return attribute[0]
            quoted = escape(new, quote=True).encode("utf-8", "surrogateescape")
            return bytes(name + equals + b'"' + quoted + b'"')

        return b"<" + found[1] + _ATTRIBUTE.sub(change, found[2]) + b">"
