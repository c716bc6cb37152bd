"""The part of a Dockerfile that needs no container to run in: everything but RUN and its kin."""

import json
import os
import re
import shlex
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from kaa.cluster.images import (
    BuiltImage,
    File,
    ImageConfig,
    ImageError,
    build_image,
    files_of_directory,
    layer_of_files,
)

__all__ = ["bases_of", "build_from_directory"]

_REFUSED = {
    "RUN": "run the command before the build and COPY its result",
    "ADD": "use COPY",
    "ARG": "write the value where it is used",
    "ONBUILD": "leave it out",
    "SHELL": 'write commands as lists: CMD ["prog", "arg"]',
    "HEALTHCHECK": "give the pod a livenessProbe",
    "VOLUME": "give the pod a volume",
    "MAINTAINER": "use LABEL",
}
_STEP = re.compile(r"\s*([A-Za-z]+)\s+(.*)", re.DOTALL)

FindBase = Callable[[str], BuiltImage]
"""Gives a local image by name. Raises ImageError."""


def build_from_directory(directory: Path, find_base: FindBase) -> BuiltImage:
    """The image of a directory: by its `Dockerfile`, or else its content as the root file system.

    Supported: FROM (scratch, or a local image), COPY, ENV, ENTRYPOINT, CMD, WORKDIR, USER, EXPOSE, LABEL, STOPSIGNAL.
    Everything else is refused by name. Raises ImageError.
    """
    if not directory.is_dir():
        raise ImageError(f"{directory} is not a directory")
    path = directory / "Dockerfile"
    if not path.exists():
        return build_image(directory)
    build = _Build(directory, find_base)
    for number, word, rest in _steps(path.read_text()):
        try:
            build.step(word.upper(), rest)
        except ImageError as error:
            raise ImageError(f"Dockerfile line {number}: {error}") from error
    return build.image()


def bases_of(directory: Path) -> list[str]:
    """The local images a directory is built on, to be fetched before. Raises ImageError."""
    path = directory / "Dockerfile"
    if not path.exists():
        return []
    steps = _steps(path.read_text())
    return [rest for _, word, rest in steps if word.upper() == "FROM" and rest != "scratch"]


def _steps(text: str) -> Iterator[tuple[int, str, str]]:
    """(line number, instruction, its rest), with continued lines joined."""
    pending, start = "", 0
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        start = start or number
        if line.rstrip().endswith("\\"):
            pending += line.rstrip()[:-1] + " "
            continue
        match = _STEP.match(pending + line)
        if match is None:
            raise ImageError(f"Dockerfile line {start}: {line.strip()!r} is not an instruction")
        yield start, match.group(1), match.group(2).strip()
        pending, start = "", 0
    if pending:
        raise ImageError(f"Dockerfile line {start}: the last line ends in a continuation")


@dataclass
class _Build:
    directory: Path
    find_base: FindBase
    base: BuiltImage | None = None
    config: ImageConfig | None = None

    def __post_init__(self) -> None:
        self.files: dict[str, File] = {}

    def step(self, word: str, rest: str) -> None:
        """One instruction."""
        if word in _REFUSED:
            raise ImageError(
                f"{word} is not supported: Kaa builds without running anything; {_REFUSED[word]}, or build the image "
                "with buildah and load it with `kaa image load`"
            )
        if word == "FROM":
            self._from(rest)
            return
        if self.config is None:
            raise ImageError("the first instruction must be FROM")
        handler = getattr(self, f"_{word.lower()}", None)
        if handler is None:
            raise ImageError(f"{word} is not an instruction that is known here")
        handler(rest)

    def image(self) -> BuiltImage:
        """What the steps gave."""
        if self.config is None:
            raise ImageError("Dockerfile: it has no FROM")
        layers = self.base.layers if self.base else ()
        if self.files or not layers:
            layers = (*layers, layer_of_files(self.files))
        return BuiltImage(layers, self.config)

    def _from(self, rest: str) -> None:
        if self.config is not None:
            raise ImageError("several FROM: stages are not supported; build them apart")
        if len(rest.split()) != 1:
            raise ImageError(f"FROM {rest}: only a name is supported, no platform and no AS")
        self.base = None if rest == "scratch" else self.find_base(rest)
        self.config = self.base.config if self.base else ImageConfig()

    def _set(self, **changes: object) -> None:
        assert self.config is not None
        self.config = replace(self.config, **changes)  # type: ignore[arg-type]

    def _inside(self, path: str) -> str:
        assert self.config is not None
        return os.path.join("/", self.config.workdir, path)

    def _copy(self, rest: str) -> None:
        words = json.loads(rest) if rest.startswith("[") else shlex.split(rest)
        flags = [word for word in words if word.startswith("--")]
        chmod = None
        for flag in flags:
            if not re.fullmatch(r"--chmod=[0-7]+", flag):
                raise ImageError(f"COPY {flag} is not supported; only --chmod=OCTAL is, and files belong to root")
            chmod = int(flag.partition("=")[2], 8)
        *sources, target = [word for word in words if word not in flags]
        if not sources:
            raise ImageError("COPY needs a source and a target")
        into = self._inside(target)
        folder = target.endswith("/") or target in (".", "..") or len(sources) > 1
        for pattern in sources:
            for source in self._sources(pattern):
                self._copy_one(source, into, folder, chmod)

    def _sources(self, pattern: str) -> list[Path]:
        pattern = os.path.normpath(pattern.lstrip("/"))
        if pattern.startswith(".."):
            raise ImageError(f"COPY {pattern}: outside of the directory that is built")
        found = [self.directory] if pattern == "." else sorted(self.directory.glob(pattern))
        if not found:
            raise ImageError(f"COPY {pattern}: there is no such file")
        return found

    def _copy_one(self, source: Path, into: str, folder: bool, chmod: int | None) -> None:
        if source.is_dir():
            for path, file in files_of_directory(source, into):
                if not (source == self.directory and os.path.relpath(path, into) == "Dockerfile"):
                    self._put(path, file, chmod)
        else:
            path = os.path.join(into, source.name) if folder else into
            self._put(path, File(source.read_bytes(), source.stat().st_mode & 0o777), chmod)

    def _put(self, path: str, file: File, chmod: int | None) -> None:
        self.files[path] = replace(file, mode=chmod) if chmod is not None and not file.directory else file

    def _env(self, rest: str) -> None:
        self._set(env={**self.config.env, **_pairs(rest)})  # type: ignore[union-attr]

    def _label(self, rest: str) -> None:
        self._set(labels={**self.config.labels, **_pairs(rest)})  # type: ignore[union-attr]

    def _entrypoint(self, rest: str) -> None:
        self._set(entrypoint=_argv(rest), cmd=())

    def _cmd(self, rest: str) -> None:
        self._set(cmd=_argv(rest))

    def _workdir(self, rest: str) -> None:
        self._set(workdir=os.path.normpath(self._inside(rest)))

    def _user(self, rest: str) -> None:
        self._set(user=rest)

    def _expose(self, rest: str) -> None:
        self._set(ports=(*self.config.ports, *rest.split()))  # type: ignore[union-attr]

    def _stopsignal(self, rest: str) -> None:
        self._set(stop_signal=rest)


def _argv(rest: str) -> tuple[str, ...]:
    if rest.startswith("["):
        try:
            words = json.loads(rest)
        except json.JSONDecodeError as error:
            raise ImageError(f"{rest} is not a list of strings in JSON") from error
        return tuple(map(str, words))
    return ("/bin/sh", "-c", rest)


def _pairs(rest: str) -> dict[str, str]:
    words = shlex.split(rest)
    if "=" not in words[0]:
        return {words[0]: rest.split(None, 1)[1]} if len(words) > 1 else {words[0]: ""}
    if bad := [word for word in words if "=" not in word]:
        raise ImageError(f"{bad[0]!r} is not KEY=VALUE")
    return {key: value for key, _, value in (word.partition("=") for word in words)}
