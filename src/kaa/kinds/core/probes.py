"""What is validated of probes and lifecycle handlers: one way each of asking or telling a container something."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from kaa.kinds import checks
from kaa.meta import names
from kaa.meta.problems import Path, Problem, forbidden_field, invalid, not_supported, required

__all__ = ["LIFECYCLE_HANDLERS", "validate_handler", "validate_lifecycle", "validate_probe"]

Json = dict[str, Any]

HANDLERS = ("exec", "httpGet", "tcpSocket", "grpc")
LIFECYCLE_HANDLERS = ("exec", "httpGet", "tcpSocket", "sleep")
_OTHERS = frozenset({"exec", "tcpSocket", "grpc"})
_TIMINGS = ("initialDelaySeconds", "timeoutSeconds", "periodSeconds", "successThreshold", "failureThreshold")


def validate_probe(probe: Json, path: Path, *, readiness: bool) -> Iterator[Problem]:
    """How a container is asked, how often, and how many answers count. Only readiness may want several successes."""
    if "httpGet" in probe and not probe.keys() & _OTHERS:
        yield from _http(probe["httpGet"], path / "httpGet")
    else:
        yield from validate_handler(probe, path, HANDLERS)
    for name in _TIMINGS:
        if name in probe and probe[name] < 0:
            yield invalid(path / name, probe[name], checks.NON_NEGATIVE)
    grace = probe.get("terminationGracePeriodSeconds")
    if grace is not None and grace <= 0:
        yield invalid(path / "terminationGracePeriodSeconds", grace, "must be greater than 0")
    if readiness:
        if grace is not None:
            yield invalid(path / "terminationGracePeriodSeconds", grace, "must not be set for readinessProbes")
    elif probe.get("successThreshold", 0) != 1:
        yield invalid(path / "successThreshold", probe.get("successThreshold", 0), "must be 1")


def validate_lifecycle(lifecycle: Json, path: Path, grace: int | None) -> Iterator[Problem]:
    """What is done after a container started and before it is stopped."""
    for name in ("postStart", "preStop"):
        if lifecycle.get(name) is not None:
            yield from validate_handler(lifecycle[name], path / name, LIFECYCLE_HANDLERS, grace)


def validate_handler(handler: Json, path: Path, kinds: tuple[str, ...], grace: int | None = None) -> Iterator[Problem]:
    """Exactly one way. `grace` is the pod's grace period: a sleep may not outlast it."""
    given = False
    for kind in kinds:
        if kind not in handler:
            continue
        if given:
            yield forbidden_field(path / kind, "may not specify more than 1 handler type")
            continue
        given = True
        found = handler[kind]
        if kind == "httpGet":
            yield from _http(found, path / kind)
        elif kind == "exec":
            if not found.get("command"):
                yield required(path / kind / "command")
        elif kind == "sleep":
            seconds = found.get("seconds", 0)
            if grace is not None and not 0 <= seconds <= grace:
                yield invalid(
                    path / kind,
                    seconds,
                    f"must be non-negative and less than terminationGracePeriodSeconds ({grace})",
                )
        else:
            yield from checks.port_name_or_number(found.get("port", 0), path / kind / "port")
    if not given:
        yield required(path, "must specify a handler type")


def _http(found: Json, path: Path) -> Iterator[Problem]:
    if not found.get("path"):
        yield required(path / "path")
    port = found.get("port", 0)
    for wrong in names.port_name(port) if type(port) is str else names.port_number(port):
        yield invalid(path / "port", port, wrong)
    scheme = found.get("scheme", "")
    if scheme not in ("HTTP", "HTTPS"):
        yield not_supported(path / "scheme", scheme, ("HTTP", "HTTPS"))
    for header in found.get("httpHeaders") or ():
        for wrong in names.http_header_name(header.get("name", "")):
            yield invalid(path / "httpHeaders", header.get("name", ""), wrong)
