"""Levels, versions and modes, from labels and from the cluster's defaults."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, NamedTuple

from kaa.meta.problems import Path, Problem, invalid

__all__ = ["LATEST", "LEVELS", "Level", "LevelVersion", "PodSecuritySettings", "Policy", "policy_of"]

Level = Literal["privileged", "baseline", "restricted"]
#: From mild to strict.
LEVELS: tuple[Level, ...] = ("privileged", "baseline", "restricted")
LATEST = "latest"
PREFIX = "pod-security.kubernetes.io/"
MODES = ("enforce", "audit", "warn")

_VERSION = re.compile(r"v1\.(0|[1-9][0-9]{0,8})\Z")
_LABELS = Path("metadata") / "labels"


class LevelVersion(NamedTuple):
    """`restricted:latest`."""

    level: Level = "privileged"
    version: str = LATEST

    def __str__(self) -> str:
        return f"{self.level}:{self.version}"


_NOTHING = LevelVersion()


@dataclass(frozen=True)
class Policy:
    """What holds in a namespace."""

    enforce: LevelVersion = _NOTHING
    audit: LevelVersion = _NOTHING
    warn: LevelVersion = _NOTHING

    @property
    def privileged(self) -> bool:
        """Whether nothing is asked of pods in any mode."""
        return self.enforce.level == self.audit.level == self.warn.level == "privileged"


@dataclass(frozen=True)
class PodSecuritySettings:
    """The cluster's defaults, and who and what is exempt from them."""

    #: What holds in a namespace whose labels say nothing, for each mode.
    defaults: Policy = field(default_factory=Policy)
    #: Users whose pods are not asked anything.
    usernames: frozenset[str] = frozenset()
    #: Runtime classes that hold their pods well enough without.
    runtime_classes: frozenset[str] = frozenset()
    #: Namespaces in which nothing is asked, whatever their labels say.
    namespaces: frozenset[str] = frozenset()

    @classmethod
    def from_configuration(cls, configuration: Mapping[str, Any]) -> "PodSecuritySettings":
        """From a PodSecurityConfiguration. Raises ValueError naming the field."""
        given, policy = configuration.get("defaults") or {}, Policy()
        for mode in MODES:
            level = given.get(mode) or "privileged"
            version = given.get(f"{mode}-version") or LATEST
            if level not in LEVELS:
                raise ValueError(f"defaults.{mode}: {level!r} must be one of {', '.join(LEVELS)}")
            if version != LATEST and not _VERSION.match(version):
                raise ValueError(f'defaults.{mode}-version: {version!r} must be "latest" or "v1.x"')
            policy = replace(policy, **{mode: LevelVersion(level, version)})
        exempt = configuration.get("exemptions") or {}
        return cls(policy, *(frozenset(exempt.get(each) or ()) for each in
                             ("usernames", "runtimeClasses", "namespaces")))  # fmt: skip


def policy_of(labels: Mapping[str, str], defaults: Policy) -> tuple[Policy, list[Problem]]:
    """The policy that a namespace's labels state, over the defaults; and what is wrong with them.

    A level nobody knows counts as restricted where pods are refused, and as privileged where one only warns.
    """
    if not any(key.startswith(PREFIX) for key in labels):
        return defaults, []
    found: dict[str, LevelVersion] = {}
    problems: list[Problem] = []
    for mode in MODES:
        stated: LevelVersion = getattr(defaults, mode)
        key = PREFIX + mode
        level = labels.get(key)
        if level is not None:
            if level in LEVELS:
                stated = stated._replace(level=level)
            else:
                problems.append(invalid(_LABELS[key], level, f"must be one of {', '.join(LEVELS)}"))
                stated = stated._replace(level="restricted" if mode == "enforce" else "privileged")
        key = f"{PREFIX}{mode}-version"
        version = labels.get(key)
        if version is not None:
            wrong = version != LATEST and not _VERSION.match(version)
            if wrong:
                problems.append(invalid(_LABELS[key], version, 'must be "latest" or "v1.x"'))
            stated = stated._replace(version=LATEST if wrong else version)
        found[mode] = stated
    return Policy(**found), problems
