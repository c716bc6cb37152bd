"""One line per event: level, time, part, message, then its fields as `key=value`.

`kaa logs COMPONENT` shows these lines as they are, so they are written to be read by people first.
"""

import os
import sys
import textwrap
import time
import traceback
from typing import Any, TextIO

__all__ = ["DEBUG", "ERROR", "INFO", "WARNING", "Logger", "set_level", "set_stream"]

DEBUG, INFO, WARNING, ERROR = 10, 20, 30, 40
_LETTER = {DEBUG: "D", INFO: "I", WARNING: "W", ERROR: "E"}
_LEVEL_NAMES = {"debug": DEBUG, "info": INFO, "warning": WARNING, "error": ERROR}


class _Sink:
    level = _LEVEL_NAMES.get(os.environ.get("KAA_LOG_LEVEL", "info").lower(), INFO)
    stream: TextIO = sys.stderr


def set_level(name: str) -> None:
    """`debug`, `info`, `warning` or `error`; raises KeyError for another word."""
    _Sink.level = _LEVEL_NAMES[name.lower()]


def set_stream(stream: TextIO) -> None:
    """Where lines go; standard error until this is called."""
    _Sink.stream = stream


class Logger:
    """Writes the lines of one part. Bound fields come with each of its lines."""

    __slots__ = ("_bound", "part")

    def __init__(self, part: str, **bound: Any) -> None:
        self.part = part
        self._bound = bound

    def bind(self, **fields: Any) -> "Logger":
        """A logger of the same part with more fields on each line."""
        return Logger(self.part, **{**self._bound, **fields})

    def debug(self, message: str, **fields: Any) -> None:
        """For the developer of the part."""
        if _Sink.level <= DEBUG:
            self._write(DEBUG, message, fields)

    def info(self, message: str, **fields: Any) -> None:
        """Something a user would want to find later."""
        if _Sink.level <= INFO:
            self._write(INFO, message, fields)

    def warning(self, message: str, **fields: Any) -> None:
        """Something is off, and the part goes on."""
        if _Sink.level <= WARNING:
            self._write(WARNING, message, fields)

    def error(self, message: str, *, exc: BaseException | None = None, **fields: Any) -> None:
        """Something failed; `exc` adds its traceback below the line."""
        self._write(ERROR, message, fields)
        if exc is not None and _Sink.level <= INFO:
            # Indented: what an error says of others' words must not look like a line of this log.
            _emit(textwrap.indent("".join(traceback.format_exception(exc)), "  "))

    def _write(self, level: int, message: str, fields: dict[str, Any]) -> None:
        at = time.time()
        stamp = time.strftime("%m%d %H:%M:%S", time.localtime(at)) + f".{int(at % 1 * 1000):03d}"
        tail = "".join(f" {key}={_show(value)}" for key, value in {**self._bound, **fields}.items())
        _emit(f"{_LETTER[level]}{stamp} {self.part}: {message}{tail}\n")


def _emit(text: str) -> None:
    try:
        _Sink.stream.write(text)
        _Sink.stream.flush()
    except ValueError:
        # The stream was closed under us while the process is ending; there is nowhere left to say so.
        pass


def _show(value: Any) -> str:
    text = value if isinstance(value, str) else repr(value)
    return repr(text) if " " in text or not text.isprintable() or not text else text
