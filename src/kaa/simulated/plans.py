"""When a simulated container ends, and how.

A plan comes from annotations of the container or its pod, or else from the command:

- `simulated.kaa.dev/exit-after: "3s"` and `simulated.kaa.dev/exit-code: "1"` end each container of the pod; with
  `.NAME` after the key, only the container of that name;
- `simulated.kaa.dev/start-error: "no such file"` makes starts fail;
- the commands `true`, `false`, `sleep N` and `sh -c "exit N"` end as they would; every other runs on.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from kaa.kubelet.cri import api

__all__ = ["ANNOTATION", "Plan", "command_outcome", "parse_duration", "plan_of", "start_error"]

ANNOTATION = "simulated.kaa.dev/"
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
_PART = re.compile(r"([0-9]+(?:\.[0-9]+)?)(ms|s|m|h)")


@dataclass(frozen=True, slots=True)
class Plan:
    """An end that will come by itself."""

    seconds: float
    exit_code: int
    message: str = ""


def parse_duration(text: str) -> float:
    """Seconds of `3s`, `500ms`, `1m30s`. Raises ValueError."""
    parts = _PART.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise ValueError(f"{text!r} is not a duration like 3s, 500ms or 1m30s")
    return sum(float(number) * _UNITS[unit] for number, unit in parts)


def _word(container: api.ContainerConfig, pod: api.SandboxConfig, key: str) -> str:
    """The container's own annotation, or its pod's for it, or its pod's for all."""
    for annotations in (container.annotations, pod.annotations):
        for full in (f"{ANNOTATION}{key}.{container.metadata.name}", ANNOTATION + key):
            if full in annotations:
                return annotations[full]
    return ""


def start_error(container: api.ContainerConfig, pod: api.SandboxConfig) -> str:
    """What its start fails with; empty when it doesn't."""
    return _word(container, pod, "start-error")


def plan_of(container: api.ContainerConfig, pod: api.SandboxConfig) -> Plan | None:
    """None: it runs until it is stopped."""
    after, code = _word(container, pod, "exit-after"), _word(container, pod, "exit-code")
    if not after and not code:
        return command_outcome([*container.command, *container.args])
    try:
        return Plan(parse_duration(after or "0s"), int(code or 0))
    except ValueError as error:
        # A plan nobody can read: say so where the user looks, and end as a broken command would.
        return Plan(0.0, 128, f"the plan in the annotations {ANNOTATION}exit-* can't be read: {error}")


def command_outcome(argv: Sequence[str]) -> Plan | None:
    """How a command that is understood ends; None for all others."""
    if len(argv) == 3 and argv[0].rpartition("/")[2] in ("sh", "bash") and argv[1] == "-c":
        argv = argv[2].split()
        if len(argv) == 2 and argv[0] == "exit" and argv[1].isdigit():
            return Plan(0.0, int(argv[1]))
    name = argv[0].rpartition("/")[2] if argv else ""
    if name == "sleep" and len(argv) == 2:
        try:
            return Plan(float(argv[1].removesuffix("s")), 0)
        except ValueError:
            return None
    return {"true": Plan(0.0, 0), "false": Plan(0.0, 1)}.get(name)
