"""Options of a command, derived from a settings dataclass: one option per field, its help the field's paragraph."""

import types
import typing
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any, TypeVar

import click

__all__ = ["flag_name", "from_options", "settings_options"]

T = TypeVar("T")
Command = TypeVar("Command", bound=Callable[..., Any])


class _CommaList(click.ParamType):  # type: ignore[type-arg]
    name = "list"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, ...]:
        if isinstance(value, tuple):
            return value
        return tuple(part.strip() for part in str(value).split(",") if part.strip())


def flag_name(field_name: str) -> str:
    """`data_dir` -> `--data-dir`."""
    return "--" + field_name.replace("_", "-")


def settings_options(cls: type) -> Callable[[Command], Command]:
    """A decorator that adds the options of a settings class to a command."""
    hints = typing.get_type_hints(cls)

    def decorate(command: Command) -> Command:
        for each in reversed(fields(cls)):
            made = click.option(flag_name(each.name), each.name, **_attributes(each, hints[each.name]))
            command = made(command)
        return command

    return decorate


def from_options(cls: type[T], options: dict[str, Any]) -> T:
    """The settings that a command was given."""
    return cls(**{each.name: options[each.name] for each in fields(cls)})  # type: ignore[arg-type]


def _bare(hint: Any) -> Any:
    """`Path` of `Path | None`."""
    if isinstance(hint, types.UnionType):
        return next(each for each in typing.get_args(hint) if each is not type(None))
    return hint


def _attributes(each: Any, hint: Any) -> dict[str, Any]:
    hint = _bare(hint)
    default = each.default
    attributes: dict[str, Any] = {"default": default, "help": each.metadata["help"]}
    if hint is bool:
        attributes |= {"type": bool, "is_flag": False, "flag_value": "true", "metavar": "[true|false]"}
    elif each.metadata["choices"]:
        attributes["type"] = click.Choice(each.metadata["choices"])
    elif typing.get_origin(hint) is tuple:
        attributes["type"] = _CommaList()
    elif hint is Path:
        attributes["type"] = click.Path(path_type=Path)
    else:
        attributes["type"] = hint
    if each.metadata["metavar"]:
        attributes["metavar"] = each.metadata["metavar"]
    if default not in ("", None, False, Path(""), ()):
        attributes["show_default"] = ",".join(default) if isinstance(default, tuple) else True
    return attributes
