"""What is validated of probes and lifecycle handlers: one way each of asking or telling a container something."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from kaa.kinds import checks
from kaa.meta import names
from kaa.meta.problems import Path, Problem, forbidden_field, invalid, required

__all__ = ["LIFECYCLE_HANDLERS", "validate_handler", "validate_probe"]

Json = dict[str, Any]

HANDLERS = ("exec", "httpGet", "tcpSocket", "grpc")
LIFECYCLE_HANDLERS = ("exec", "httpGet", "tcpSocket", "sleep")


def validate_probe(probe: Json, path: Path, *, once: bool, readiness: bool) -> Iterator[Problem]:
    yield from validate_handler(probe, path, HANDLERS)
    for name in ("initialDelaySeconds", "timeoutSeconds", "periodSeconds", "successThreshold", "failureThreshold"):
        yield from checks.non_negative(probe, name, path)
    grace = probe.get("terminationGracePeriodSeconds")
    if grace is not None:
        if readiness:
            yield invalid(path / "terminationGracePeriodSeconds", grace, "must not be set for readinessProbes")
        elif grace <= 0:
            yield invalid(path / "terminationGracePeriodSeconds", grace, "must be greater than 0")
    if once and probe.get("successThreshold", 1) != 1:
        yield invalid(path / "successThreshold", probe["successThreshold"], "must be 1")


def validate_handler(handler: Json, path: Path, kinds: tuple[str, ...]) -> Iterator[Problem]:
    given = 0
    for kind in kinds:
        found = handler.get(kind)
        if found is None:
            continue
        if given:
            yield forbidden_field(path / kind, "may not specify more than 1 handler type")
            continue
        given += 1
        if kind == "exec":
            if not found.get("command"):
                yield required(path / "exec" / "command")
        elif kind == "httpGet":
            if not found.get("path"):
                yield required(path / "httpGet" / "path")
            yield from checks.port_name_or_number(found.get("port", 0), path / "httpGet" / "port")
            yield from checks.one_of(found, "scheme", ("HTTP", "HTTPS"), path / "httpGet", needed=True)
            for at, header in enumerate(found.get("httpHeaders") or ()):
                for wrong in names.http_header_name(header.get("name", "")):
                    where = (path / "httpGet" / "httpHeaders")[at]
                    yield invalid(where / "name", header.get("name", ""), wrong)
        elif kind == "tcpSocket":
            yield from checks.port_name_or_number(found.get("port", 0), path / "tcpSocket" / "port")
        elif kind == "grpc":
            for wrong in names.port_number(found.get("port", 0)):
                yield invalid(path / "grpc" / "port", found.get("port", 0), wrong)
        elif kind == "sleep" and found.get("seconds", 0) < 0:
            yield invalid(path / "sleep" / "seconds", found.get("seconds"), "must be greater than or equal to 0")
    if not given:
        yield required(path, "must specify a handler type")
