"""Sentences that explain kinds and fields. They are not part of this package: they come, at run time, from the package
`kubernetes-validate` (`pip install 'kaa[explain]'`), which carries the published schemas of each version.
"""

import importlib.util
from pathlib import Path
from typing import Any

import orjson

from kaa import GIT_VERSION
from kaa.base.log import Logger

__all__ = ["MISSING", "Descriptions"]

_log = Logger("server.openapi")

#: What stands in place of a kind's description where there is none.
MISSING = "No descriptions are installed. To have them: pip install 'kaa[explain]', and restart the API server."
PACKAGE = "kubernetes_validate"


class Descriptions:
    """Definition -> its own description and those of its fields. Empty where the package is not installed."""

    def __init__(self, directory: Path | None = None) -> None:
        self._directory = directory
        self._known: dict[str, tuple[str, dict[str, str]]] | None = None

    def of(self, definition: str) -> tuple[str, dict[str, str]]:
        """The description of a definition, and of each of its fields. Reads the file the first time."""
        if self._known is None:
            self._known = self._read()
        return self._known.get(definition, ("", {}))

    @property
    def read(self) -> bool:
        """Whether `of` answers at once."""
        return self._known is not None

    @property
    def installed(self) -> bool:
        """Whether there are any."""
        self.of("")
        return bool(self._known)

    def _read(self) -> dict[str, tuple[str, dict[str, str]]]:
        path = self._path()
        if path is None:
            return {}
        try:
            document = orjson.loads(path.read_bytes())
            # The first name is that of JSON Schema today, the second that of its older drafts.
            definitions: dict[str, Any] = document.get("$defs") or document["definitions"]
            return {
                name: (
                    node.get("description", ""),
                    {field: each["description"] for field, each in (node.get("properties") or {}).items()
                     if isinstance(each, dict) and each.get("description")},
                )
                for name, node in definitions.items()
            }  # fmt: skip
        except (OSError, ValueError, KeyError, AttributeError) as error:
            _log.warning("descriptions cannot be read: explain goes without them", path=str(path), error=str(error))
            return {}

    def _path(self) -> Path | None:
        """The definitions of our version, or else of the newest that is there."""
        directory = self._directory
        if directory is None:
            found = importlib.util.find_spec(PACKAGE)
            if found is None or found.origin is None:
                return None
            directory = Path(found.origin).parent
        ours = ".".join(GIT_VERSION.split(".")[:2]) + "."
        paths = sorted((directory / "kubernetes-json-schema").glob("v*-local/_definitions.json"), key=_version)
        same = [path for path in paths if path.parent.name.startswith(ours)]
        return (same or paths)[-1] if paths else None


def _version(path: Path) -> list[int]:
    text = path.parent.name.removeprefix("v").removesuffix("-local")
    return [int(part) if part.isdigit() else 0 for part in text.split(".")]
