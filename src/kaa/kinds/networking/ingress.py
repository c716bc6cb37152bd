"""Ingresses and their classes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from kaa.kinds import checks, printing
from kaa.kinds.spec import AGE_COLUMN, NAME_COLUMN, Column, Rules
from kaa.meta import names
from kaa.meta.problems import Path, Problem, forbidden_field, invalid, not_supported, required

__all__ = ["CLASS", "RULES"]

Json = dict[str, Any]
_SPEC = Path() / "spec"
PATH_TYPES = ("Exact", "ImplementationSpecific", "Prefix")


def _validate(obj: Json) -> Iterator[Problem]:
    spec = obj.get("spec") or {}
    if not spec.get("rules") and spec.get("defaultBackend") is None:
        yield invalid(_SPEC, spec.get("rules") or [], "either `defaultBackend` or `rules` must be specified")
    if spec.get("defaultBackend") is not None:
        yield from _backend(spec["defaultBackend"], _SPEC / "defaultBackend")
    for at, rule in enumerate(spec.get("rules") or ()):
        here = (_SPEC / "rules")[at]
        host = rule.get("host")
        if host:
            yield from _host(host, here / "host")
        http = rule.get("http")
        if http is None:
            continue
        paths = http.get("paths") or ()
        if not paths:
            yield required(here / "http" / "paths")
        for place, each in enumerate(paths):
            yield from _path(each, (here / "http" / "paths")[place])
    for at, tls in enumerate(spec.get("tls") or ()):
        for place, host in enumerate(tls.get("hosts") or ()):
            yield from _host(host, ((_SPEC / "tls")[at] / "hosts")[place])
        if tls.get("secretName"):
            for wrong in names.dns1123_subdomain(tls["secretName"]):
                yield invalid((_SPEC / "tls")[at] / "secretName", tls["secretName"], wrong)
    if spec.get("ingressClassName") is not None:
        for wrong in names.dns1123_subdomain(spec["ingressClassName"]):
            yield invalid(_SPEC / "ingressClassName", spec["ingressClassName"], wrong)


def _host(host: str, path: Path) -> Iterator[Problem]:
    if checks.is_ip(host):
        yield invalid(path, host, "must be a DNS name, not an IP address")
        return
    for wrong in names.wildcard_dns1123_subdomain(host) if "*" in host else names.dns1123_subdomain(host):
        yield invalid(path, host, wrong)


_FORBIDDEN_IN_PATHS = ("//", "/./", "/../", "%2f", "%2F")


def _path(each: Json, path: Path) -> Iterator[Problem]:
    kind, value = each.get("pathType"), each.get("path", "")
    if kind is None:
        yield required(path / "pathType", "pathType must be specified")
        return
    if kind in ("Exact", "Prefix"):
        if not value.startswith("/"):
            yield invalid(path / "path", value, "must be an absolute path")
        if value:
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
        for name in ("kind", "name"):
            if not resource.get(name):
                yield required(path / "resource" / name)
    elif service is not None:
        name = service.get("name", "")
        if not name:
            yield required(path / "service" / "name")
        for wrong in names.dns1035_label(name) if name else ():
            yield invalid(path / "service" / "name", name, wrong)
        port = service.get("port") or {}
        if port.get("name") and port.get("number"):
            yield invalid(path, "", "cannot set both port name & port number")
        elif port.get("name"):
            for wrong in names.port_name(port["name"]):
                yield invalid(path / "service" / "port" / "name", port["name"], wrong)
        elif port.get("number"):
            for wrong in names.port_number(port["number"]):
                yield invalid(path / "service" / "port" / "number", port["number"], wrong)
        else:
            yield required(path, "port name or number is required")
    else:
        yield invalid(path, "", "resource or service backend is required")


def _cells(obj: Json, now: float) -> list[Any]:
    spec, status = obj.get("spec") or {}, obj.get("status") or {}
    hosts = [rule["host"] for rule in spec.get("rules") or () if rule.get("host")]
    shown = ",".join(hosts[:3]) + (f" + {len(hosts) - 3} more..." if len(hosts) > 3 else "")
    found = [
        each.get("ip") or each.get("hostname") or "" for each in (status.get("loadBalancer") or {}).get("ingress") or ()
    ]
    return [
        obj["metadata"].get("name", ""),
        spec.get("ingressClassName") or "<none>",
        shown or "*",
        ",".join(found),
        "80, 443" if spec.get("tls") else "80",
        printing.age(obj, now),
    ]


RULES = Rules(
    validate=_validate,
    generation=True,
    columns=(NAME_COLUMN, Column("Class"), Column("Hosts"), Column("Address"), Column("Ports"), AGE_COLUMN),
    cells=_cells,
)


def _class_default(obj: Json) -> None:
    parameters = (obj.get("spec") or {}).get("parameters")
    if parameters is not None:
        parameters.setdefault("scope", "Cluster")


def _class_validate(obj: Json) -> Iterator[Problem]:
    spec = obj.get("spec") or {}
    controller = spec.get("controller", "")
    if len(controller) > 250:
        yield Problem(_SPEC / "controller", "FieldValueTooLong", "Too long: may not be more than 250 bytes")
    domain, slash, rest = controller.partition("/")
    if not slash or not rest or names.dns1123_subdomain(domain):
        yield invalid(_SPEC / "controller", controller, 'must be a domain-prefixed path (such as "acme.io/foo")')
    parameters = spec.get("parameters")
    if parameters is not None:
        here = _SPEC / "parameters"
        scope = parameters.get("scope")
        if scope not in ("Cluster", "Namespace"):
            yield not_supported(here / "scope", scope, ("Cluster", "Namespace"))
        elif scope == "Namespace" and not parameters.get("namespace"):
            yield required(here / "namespace", "`parameters.scope` is set to 'Namespace'")
        elif scope == "Cluster" and parameters.get("namespace"):
            yield forbidden_field(here / "namespace", "`parameters.scope` is set to 'Cluster'")


def _class_update(new: Json, old: Json) -> Iterator[Problem]:
    yield from checks.immutable(new.get("spec") or {}, old.get("spec") or {}, "controller", _SPEC)


def _class_cells(obj: Json, now: float) -> list[Any]:
    spec = obj.get("spec") or {}
    found = spec.get("parameters")
    text = "<none>"
    if found:
        group = f".{found['apiGroup']}" if found.get("apiGroup") else ""
        text = f"{found.get('kind', '')}{group}/{found.get('name', '')}"
    return [obj["metadata"].get("name", ""), spec.get("controller", ""), text, printing.age(obj, now)]


CLASS = Rules(
    default=_class_default,
    validate=_class_validate,
    validate_update=_class_update,
    generation=True,
    columns=(NAME_COLUMN, Column("Controller"), Column("Parameters"), AGE_COLUMN),
    cells=_class_cells,
)
