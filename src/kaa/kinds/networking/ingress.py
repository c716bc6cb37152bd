"""Ingresses: hosts, paths and the backends behind them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from kaa.kinds import checks, formats, printing
from kaa.kinds.spec import AGE_COLUMN, NAME_COLUMN, Column, Rules
from kaa.meta import names
from kaa.meta.problems import Path, Problem, invalid, not_supported, required

__all__ = ["RULES"]

Json = dict[str, Any]
_SPEC = Path() / "spec"
PATH_TYPES = ("Exact", "ImplementationSpecific", "Prefix")
CLASS_ANNOTATION = "kubernetes.io/ingress.class"
_FORBIDDEN_IN_PATHS = ("//", "/./", "/../", "%2f", "%2F")
_NOT_A_NAME = "must be a DNS name, not an IP address"


def _validate(obj: Json) -> Iterator[Problem]:
    spec = obj.get("spec") or {}
    if not spec.get("rules") and spec.get("defaultBackend") is None:
        text = "either `defaultBackend` or `rules` must be specified"
        yield invalid(_SPEC, [], text) if spec.get("rules") == [] else formats.of_nothing(invalid(_SPEC, None, text))
    if spec.get("defaultBackend") is not None:
        yield from _backend(spec["defaultBackend"], _SPEC / "defaultBackend")
    for at, rule in enumerate(spec.get("rules") or ()):
        yield from _rule(rule, (_SPEC / "rules")[at])
    for at, tls in enumerate(spec.get("tls") or ()):
        here = (_SPEC / "tls")[at]
        for place, host in enumerate(tls.get("hosts") or ()):
            yield from _host(host, (here / "hosts")[place])
        if tls.get("secretName"):
            yield from formats.each_wrong(names.dns1123_subdomain, tls["secretName"], here / "secretName")
    if spec.get("ingressClassName") is not None:
        yield from formats.each_wrong(names.dns1123_subdomain, spec["ingressClassName"], _SPEC / "ingressClassName")


def _validate_create(obj: Json) -> Iterator[Problem]:
    """The old way of naming a class, beside the new one, must say the same."""
    noted = (obj["metadata"].get("annotations") or {}).get(CLASS_ANNOTATION)
    named = (obj.get("spec") or {}).get("ingressClassName")
    if noted is not None and named is not None and noted != named:
        here = Path() / "annotations" / CLASS_ANNOTATION
        yield invalid(here, noted, "must match `ingressClassName` when both are specified")


def _host(host: str, path: Path) -> Iterator[Problem]:
    check = names.wildcard_dns1123_subdomain if "*" in host else names.dns1123_subdomain
    yield from formats.each_wrong(check, host, path)


def _rule(rule: Json, path: Path) -> Iterator[Problem]:
    host = rule.get("host")
    if host:
        if checks.is_ip(host):
            yield invalid(path / "host", host, _NOT_A_NAME)
        yield from _host(host, path / "host")
    http = rule.get("http")
    if http is None:
        return
    here = path / "http" / "paths"
    if not http.get("paths"):
        yield required(here)
    for at, each in enumerate(http.get("paths") or ()):
        yield from _path(each, here[at])


def _path(each: Json, path: Path) -> Iterator[Problem]:
    kind, value = each.get("pathType"), each.get("path", "")
    if kind is None:
        yield required(path / "pathType", "pathType must be specified")
        return
    if kind in ("Exact", "Prefix"):
        if not value.startswith("/"):
            yield invalid(path / "path", value, "must be an absolute path")
        for sequence in _FORBIDDEN_IN_PATHS:
            if sequence in value:
                yield invalid(path / "path", value, f"must not contain '{sequence}'")
        for ending in ("/..", "/."):
            if value.endswith(ending):
                yield invalid(path / "path", value, f"cannot end with '{ending}'")
    elif kind == "ImplementationSpecific":
        if value and not value.startswith("/"):
            yield invalid(path / "path", value, "must be an absolute path")
    else:
        yield not_supported(path / "pathType", kind, PATH_TYPES)
    yield from _backend(each.get("backend") or {}, path / "backend")


def _backend(backend: Json, path: Path) -> Iterator[Problem]:
    service, resource = backend.get("service"), backend.get("resource")
    if service is not None and resource is not None:
        yield invalid(path, "", "cannot set both resource and service backends")
    elif resource is not None:
        yield from formats.reference(resource, path / "resource")
    elif service is not None:
        yield from _service(service, path)
    else:
        yield invalid(path, "", "resource or service backend is required")


def _service(service: Json, path: Path) -> Iterator[Problem]:
    here = path / "service"
    name = service.get("name", "")
    if not name:
        yield required(here / "name")
    else:
        # Services may be called by any DNS label (RelaxedServiceNameValidation), so a backend may be, too.
        yield from formats.each_wrong(names.dns1123_label, name, here / "name")
    port = service.get("port") or {}
    if port.get("name") and port.get("number"):
        yield invalid(path, "", "cannot set both port name & port number")
    elif port.get("name"):
        yield from formats.each_wrong(names.port_name, port["name"], here / "port" / "name")
    elif port.get("number"):
        for wrong in names.port_number(port["number"]):
            yield invalid(here / "port" / "number", port["number"], wrong)
    else:
        yield required(path, "port name or number is required")


def _validate_status(new: Json, _old: Json) -> Iterator[Problem]:
    here = Path() / "status" / "loadBalancer" / "ingress"
    for at, each in enumerate(((new.get("status") or {}).get("loadBalancer") or {}).get("ingress") or ()):
        if each.get("ip"):
            yield from formats.address(each["ip"], here[at] / "ip")
        if each.get("hostname"):
            yield from formats.each_wrong(names.dns1123_subdomain, each["hostname"], here[at] / "hostname")
            if checks.is_ip(each["hostname"]):
                yield invalid(here[at] / "hostname", each["hostname"], _NOT_A_NAME)


def _hosts(rules: list[Json]) -> str:
    """The first three, and how many rules there are beyond three."""
    shown: list[str] = []
    more = False
    for rule in rules:
        more = more or len(shown) == 3
        if not more and rule.get("host"):
            shown.append(rule["host"])
    if not shown:
        return "*"
    return ",".join(shown) + (f" + {len(rules) - 3} more..." if more else "")


def _cells(obj: Json, now: float) -> list[Any]:
    spec, status = obj.get("spec") or {}, obj.get("status") or {}
    points = (status.get("loadBalancer") or {}).get("ingress") or ()
    found = {each.get("ip") or each.get("hostname") or "" for each in points} - {""}
    name = spec.get("ingressClassName")
    return [
        obj["metadata"].get("name", ""),
        name if name is not None else "<none>",
        _hosts(spec.get("rules") or []),
        ",".join(sorted(found)),
        "80, 443" if spec.get("tls") else "80",
        printing.age(obj, now),
    ]


RULES = Rules(
    validate=_validate,
    complete=True,
    validate_create=_validate_create,
    validate_status=_validate_status,
    generation=True,
    columns=(
        NAME_COLUMN,
        Column("Class", description="the IngressClass that says who serves this ingress"),
        Column("Hosts", description="the hosts whose requests are taken"),
        Column("Address", description="where the ingress is reached from outside"),
        Column("Ports", description="the ports that are opened: 443 where there is TLS"),
        AGE_COLUMN,
    ),
    cells=_cells,
)
