"""What checks share: the containers of a pod, and the words of a finding."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

__all__ = ["Check", "Finding", "containers", "is_windows", "named", "plural", "quoted", "security", "setters"]

Json = dict[str, Any]


class Finding(NamedTuple):
    """What a check forbids of a pod: in short, and where it stands."""

    reason: str
    detail: str

    def __str__(self) -> str:
        return f"{self.reason} ({self.detail})" if self.detail else self.reason


#: (annotations, pod spec) -> what is wrong, or None.
Check = Callable[[Json, Json], Finding | None]


def containers(spec: Json) -> Iterator[Json]:
    """All of a pod's, in the order in which they are reported."""
    for field in ("initContainers", "containers", "ephemeralContainers"):
        yield from spec.get(field) or ()


def security(part: Json) -> Json:
    """The security context of a pod spec or a container; empty where there is none."""
    found: Json = part.get("securityContext") or {}
    return found


def is_windows(spec: Json) -> bool:
    """Whether the pod says that it is one for Windows, which has none of the controls of Linux."""
    return bool((spec.get("os") or {}).get("name") == "windows")


def plural(one: str, many: str, count: int) -> str:
    return one if count == 1 else many


def quoted(texts: Iterable[str]) -> str:
    return ", ".join(f'"{each}"' for each in texts)


def named(names: list[str]) -> str:
    """`container "a"`, `containers "a", "b"`."""
    return f"{plural('container', 'containers', len(names))} {quoted(names)}"


def setters(pod: bool, names: list[str]) -> str:
    """`pod and container "a"`: who set what is forbidden; "" for nobody."""
    return " and ".join((["pod"] if pod else []) + ([named(names)] if names else []))
