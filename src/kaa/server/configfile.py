"""Configuration files of `apiserver.config.k8s.io`: read strictly, and read again when they change.

A field that is not known is refused by its path: a rule with a typing error that is silently left out is a hole.
"""

import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Generic, TypeVar

from kaa.base.clock import Clock
from kaa.base.lazy import Lazy
from kaa.base.log import Logger

yaml = Lazy("yaml")

__all__ = ["ConfigError", "FileOf", "Section", "read_config", "seconds"]

Json = dict[str, Any]
T = TypeVar("T")
_log = Logger("apiserver")

FILE_BYTES_MAX = 4 << 20
POLL_SECONDS = 2.0


class ConfigError(ValueError):
    """The file cannot be used; the text names the file, the field and what is wrong."""


class Section:
    """A part of a file, with its path. Whoever reads it asks for its fields, then calls `end`."""

    def __init__(self, value: Any, path: str) -> None:
        if not isinstance(value, dict):
            raise ConfigError(f"{path}: must be an object")
        self.value: Json = value
        self.path = path
        self._left = set(value)

    def _take(self, name: str) -> Any:
        self._left.discard(name)
        return self.value.get(name)

    def text(self, name: str, default: str = "", *, required: bool = False, among: tuple[str, ...] = ()) -> str:
        """A text field."""
        value = self._take(name)
        if value is None or value == "":
            if required:
                raise ConfigError(f"{self.path}.{name}: Required value")
            return default
        if not isinstance(value, str):
            raise ConfigError(f"{self.path}.{name}: Invalid value: must be a string")
        if among and value not in among:
            supported = ", ".join(f'"{each}"' for each in among)
            raise ConfigError(f'{self.path}.{name}: Unsupported value: "{value}": supported values: {supported}')
        return value

    def optional(self, name: str) -> str | None:
        """A text field in which "" says something else than nothing."""
        value = self._take(name)
        if value is not None and not isinstance(value, str):
            raise ConfigError(f"{self.path}.{name}: Invalid value: must be a string")
        return value

    def flag(self, name: str, default: bool) -> bool:
        """A boolean."""
        value = self._take(name)
        if value is None:
            return default
        if not isinstance(value, bool):
            raise ConfigError(f"{self.path}.{name}: Invalid value: must be a boolean")
        return value

    def texts(self, name: str) -> list[str]:
        """A list of texts."""
        value = self._take(name) or []
        if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
            raise ConfigError(f"{self.path}.{name}: Invalid value: must be a list of strings")
        return value

    def section(self, name: str) -> "Section | None":
        """An object, or None where it is absent."""
        value = self._take(name)
        return None if value is None else Section(value, f"{self.path}.{name}" if self.path else name)

    def sections(self, name: str) -> list["Section"]:
        """A list of objects."""
        value = self._take(name) or []
        if not isinstance(value, list):
            raise ConfigError(f"{self.path}.{name}: Invalid value: must be a list")
        path = f"{self.path}.{name}" if self.path else name
        return [Section(each, f"{path}[{number}]") for number, each in enumerate(value)]

    def end(self) -> None:
        """Nothing else may be there."""
        if self._left:
            raise ConfigError(f'{self.path or "the file"}: unknown field "{min(self._left)}"')


def seconds(section: Section, name: str, default: float) -> float:
    """A duration as Go writes it: `30s`, `5m`, `1m30s`, `250ms`."""
    text = section.text(name)
    if not text:
        return default
    units: Mapping[str, float] = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
    total, rest = 0.0, text
    while rest:
        number = 0
        while number < len(rest) and (rest[number].isdigit() or rest[number] == "."):
            number += 1
        unit = next((each for each in units if rest[number:].startswith(each)), "")
        if not number or not unit:
            raise ConfigError(f'{section.path}.{name}: Invalid value: "{text}": write a duration such as 30s or 5m')
        total += float(rest[:number]) * units[unit]
        rest = rest[number + len(unit) :]
    return total


def read_config(raw: bytes, kind: str, versions: tuple[str, ...], path: Path) -> Section:
    """The root of a file of a kind. Raises ConfigError."""
    if len(raw) > FILE_BYTES_MAX:
        raise ConfigError(f"{path}: larger than {FILE_BYTES_MAX} bytes")
    try:
        root = Section(yaml.load(raw, _loader()), str(path))
    except yaml.YAMLError as error:
        raise ConfigError(f"{path}: {error}") from error
    root.path = ""
    group = "apiserver.config.k8s.io"
    supported = tuple(f"{group}/{each}" for each in versions)
    if root.text("apiVersion") not in supported or root.text("kind") != kind:
        raise ConfigError(f"{path}: must be kind {kind} of {' or '.join(supported)}")
    return root


class FileOf(Generic[T]):
    """What a file says, renewed while `run` runs. A file that turns unusable is reported, and the last good one counts.

    `make` gets the bytes and raises ConfigError; it is called at once, so that a server with a wrong file does not
    start.
    """

    def __init__(self, path: Path, make: Callable[[bytes], T], changed: Callable[[T], None]) -> None:
        self._path, self._make, self._changed = path, make, changed
        raw = self._read()
        self._seen = hashlib.sha256(raw).digest()
        self.current = make(raw)
        changed(self.current)

    def _read(self) -> bytes:
        try:
            return self._path.read_bytes()
        except OSError as error:
            raise ConfigError(f"{self._path}: {error.strerror or error}") from error

    def refresh(self) -> bool:
        """Read the file again; whether it says something else. Errors are logged."""
        try:
            raw = self._read()
            digest = hashlib.sha256(raw).digest()
            if digest == self._seen:
                return False
            self._seen = digest
            self.current = self._make(raw)
        except ConfigError as error:
            _log.error("a configuration file cannot be used; the last good one still counts", error=str(error))
            return False
        _log.info("a configuration file was read again", path=str(self._path))
        self._changed(self.current)
        return True

    async def run(self, clock: Clock) -> None:
        """Look at the file now and then, until cancelled."""
        while True:
            await clock.sleep(POLL_SECONDS)
            self.refresh()


def _loader() -> Any:
    return getattr(yaml, "CSafeLoader", yaml.SafeLoader)
