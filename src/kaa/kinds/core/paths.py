"""Paths of files and directories: those that may not leave the directory they start in."""

from __future__ import annotations

from collections.abc import Iterator

from kaa.meta.problems import Path, Problem, invalid

__all__ = ["local_path", "no_backsteps"]


def no_backsteps(value: str, path: Path) -> Iterator[Problem]:
    """A path, absolute or not, that never steps up."""
    if ".." in value and ".." in value.split("/"):
        yield invalid(path, value, "must not contain '..'")


def local_path(value: str, path: Path, *, reserved: bool = False) -> Iterator[Problem]:
    """A relative path that stays below where it starts. `reserved`: names that start with two dots are kept free."""
    if value.startswith("/"):
        yield invalid(path, value, "must be a relative path")
    yield from no_backsteps(value, path)
    if reserved and value.startswith("..") and not value.startswith("../"):
        yield invalid(path, value, "must not start with '..'")
