"""Libraries that most processes never need are loaded when they are first used."""

from importlib import import_module
from typing import Any

__all__ = ["Lazy"]


class Lazy:
    """A module that is imported when something of it is asked for: `yaml = Lazy("yaml")`."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, attribute: str) -> Any:
        value = getattr(import_module(self._name), attribute)
        setattr(self, attribute, value)
        return value
