"""The file of `--admission-control-config-file`: an AdmissionConfiguration with what plugins are to know."""

from collections.abc import Collection
from pathlib import Path
from typing import Any

from kaa.base.lazy import Lazy
from kaa.server.configfile import ConfigError, read_config

yaml = Lazy("yaml")

__all__ = ["read_configuration"]

Json = dict[str, Any]


def read_configuration(path: Path | None, configurable: Collection[str]) -> dict[str, Json]:
    """What each plugin is to know, by its name. `configurable` are those that take anything; others are refused.

    Raises ConfigError.
    """
    if path is None:
        return {}
    try:
        root = read_config(path.read_bytes(), "AdmissionConfiguration", ("v1",), path)
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror or error}") from error
    root.text("apiVersion")
    root.text("kind")
    found: dict[str, Json] = {}
    for each in root.sections("plugins"):
        name = each.text("name", required=True)
        if name not in configurable:
            raise ConfigError(
                f'{each.path}.name: "{name}" takes no configuration in this release; these do: '
                f"{', '.join(sorted(configurable))}"
            )
        stated, other = each.section("configuration"), each.text("path")
        each.end()
        found[name] = stated.value if stated is not None else _file(path.parent / other) if other else {}
    root.end()
    return found


def _file(path: Path) -> Json:
    try:
        read = yaml.safe_load(path.read_text())
    except (OSError, yaml.YAMLError) as error:
        raise ConfigError(f"{path}: {error}") from error
    if not isinstance(read, dict):
        raise ConfigError(f"{path}: must be an object")
    return read
