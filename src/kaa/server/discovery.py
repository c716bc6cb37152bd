"""What is served, told to clients: the classic documents per group, and the aggregated one.

Everything is derived from the registry, made when first asked for, and kept until the registry changes. The ETag is
the hash of the document, so that clients who hold it get 304.
"""

import hashlib
from collections.abc import Callable
from typing import Any, NoReturn

import orjson

from kaa.http.api import Request, Response
from kaa.kinds.registry import Group, Registry
from kaa.kinds.spec import KindSpec
from kaa.meta import errors
from kaa.server.request import User

__all__ = ["Discovery"]

Json = dict[str, Any]

_AGGREGATED = ("as=APIGroupDiscoveryList", "g=apidiscovery.k8s.io")
_VERSIONS = ("v2", "v2beta1")


class Discovery:
    """The documents under /api and /apis."""

    def __init__(self, registry: Registry, address: Callable[[], str]) -> None:
        self._registry = registry
        self._address = address
        self._kept: dict[tuple[int, str], tuple[bytes, str]] = {}

    def api(self, request: Request, user: User) -> Response:
        """/api and /api/v1."""
        return self._answer(request, request.path.rstrip("/"))

    apis = api

    def _answer(self, request: Request, path: str) -> Response:
        accept = request.headers.get("accept", "")
        version = _aggregated_version(accept) if path in ("/api", "/apis") else ""
        key = (self._registry.generation, f"{path};{version}")
        kept = self._kept.get(key)
        if kept is None:
            if len(self._kept) > 256:
                self._kept.clear()
            body = orjson.dumps(self._make(path, version))
            kept = self._kept[key] = (body, '"' + hashlib.sha256(body).hexdigest()[:32].upper() + '"')
        body, tag = kept
        content_type = "application/json"
        if version:
            content_type = f"application/json;g=apidiscovery.k8s.io;v={version};as=APIGroupDiscoveryList"
        headers = (("Etag", tag), ("Vary", "Accept"), ("Cache-Control", "public"))
        if request.headers.get("if-none-match") == tag:
            return Response(304, b"", content_type, headers)
        return Response(200, body, content_type, headers)

    def _make(self, path: str, aggregated: str) -> Json:
        groups = self._registry.groups()
        if aggregated:
            core = path == "/api"
            items = [self._aggregated(group) for group in groups if (group.name == "") == core]
            return {
                "kind": "APIGroupDiscoveryList",
                "apiVersion": f"apidiscovery.k8s.io/{aggregated}",
                "metadata": {},
                "items": items,
            }
        if path == "/api":
            return {
                "kind": "APIVersions",
                "versions": [version for group in groups if not group.name for version in group.versions],
                "serverAddressByClientCIDRs": [{"clientCIDR": "0.0.0.0/0", "serverAddress": self._address()}],
            }
        if path == "/apis":
            named = [_group(group) for group in groups if group.name]
            return {"kind": "APIGroupList", "apiVersion": "v1", "groups": named}
        parts = path.split("/")[2:]
        if path.startswith("/api/"):
            return self._resources("", parts[0]) if len(parts) == 1 else _unknown()
        if len(parts) == 1:
            for group in groups:
                if group.name == parts[0]:
                    return {"kind": "APIGroup", "apiVersion": "v1", **_group(group)}
            _unknown()
        return self._resources(parts[0], parts[1]) if len(parts) == 2 else _unknown()

    def _resources(self, group: str, version: str) -> Json:
        resources: list[Json] = []
        for spec in self._registry.of(group, version):
            resources.append(_resource(spec))
            for name, sub in spec.subresources.items():
                entry: Json = {
                    "name": f"{spec.resource.plural}/{name}",
                    "singularName": "",
                    "namespaced": spec.namespaced,
                }
                sub_group, sub_version, kind = sub.kind
                if (sub_group, sub_version) != (group, version):
                    entry["group"] = sub_group
                    entry["version"] = sub_version
                entry["kind"] = kind
                entry["verbs"] = sorted(sub.verbs)
                resources.append(entry)
        if not resources:
            _unknown()
        return {
            "kind": "APIResourceList",
            "apiVersion": "v1",
            "groupVersion": f"{group}/{version}" if group else version,
            "resources": sorted(resources, key=lambda each: each["name"]),
        }

    def _aggregated(self, group: Group) -> Json:
        versions = []
        for version in group.versions:
            resources = []
            for spec in sorted(self._registry.of(group.name, version), key=lambda each: each.resource.plural):
                entry: Json = {
                    "resource": spec.resource.plural,
                    "responseKind": _gvk(*spec.response_kind),
                    "scope": "Namespaced" if spec.namespaced else "Cluster",
                    "singularResource": spec.resource.singular,
                    "verbs": sorted(spec.verbs),
                }
                if spec.short_names:
                    entry["shortNames"] = list(spec.short_names)
                if spec.categories:
                    entry["categories"] = list(spec.categories)
                if spec.subresources:
                    entry["subresources"] = [
                        {"subresource": name, "responseKind": _gvk(*sub.kind), "verbs": sorted(sub.verbs)}
                        for name, sub in sorted(spec.subresources.items())
                    ]
                resources.append(entry)
            versions.append({"version": version, "resources": resources, "freshness": "Current"})
        metadata: Json = {"creationTimestamp": None}
        if group.name:
            metadata["name"] = group.name
        return {"metadata": metadata, "versions": versions}


def _unknown() -> NoReturn:
    raise errors.not_found_path()


def _gvk(group: str, version: str, kind: str) -> Json:
    return {"group": group, "version": version, "kind": kind}


def _group(group: Group) -> Json:
    versions = [{"groupVersion": f"{group.name}/{version}", "version": version} for version in group.versions]
    return {"name": group.name, "versions": versions, "preferredVersion": versions[0]}


def _resource(spec: KindSpec) -> Json:
    resource = spec.resource
    entry: Json = {
        "name": resource.plural,
        "singularName": resource.singular,
        "namespaced": resource.namespaced,
        "kind": spec.response_kind[2],
        "verbs": sorted(spec.verbs),
    }
    if spec.short_names:
        entry["shortNames"] = list(spec.short_names)
    if spec.categories:
        entry["categories"] = list(spec.categories)
    if spec.storable:
        entry["storageVersionHash"] = (
            hashlib.sha256(f"{resource.group}/{spec.storage_version}/{resource.kind}".encode()).hexdigest()[:11] + "="
        )
    return entry


def _aggregated_version(accept: str) -> str:
    """The version of the aggregated document the client wants most; "" for the classic form."""
    for clause in accept.split(","):
        if all(word in clause for word in _AGGREGATED):
            for version in _VERSIONS:
                if f"v={version};" in clause + ";":
                    return version
        elif clause.strip().startswith("application/json"):
            return ""
    return ""
