"""What is served, told to clients: the classic documents per group, and the aggregated one.

Everything is derived from the registry, made when first asked for, and kept until the registry changes. What a group
says is kept as long as the group's own kinds stay, so that a custom kind that comes or goes costs its own group and the
joining of the others, however many there are. The ETag is the hash of the document: who holds it gets 304.
"""

import base64
import hashlib
from collections.abc import Callable
from functools import lru_cache
from typing import Any, NoReturn

import orjson

from kaa.http.api import Request, Response
from kaa.kinds import protobuf
from kaa.kinds.registry import Group, Registry
from kaa.kinds.spec import KindSpec
from kaa.meta import errors
from kaa.server import forms
from kaa.server.forms.people import to_yaml
from kaa.server.request import User

__all__ = ["Discovery"]

Json = dict[str, Any]

_GROUP, _SHAPE = "apidiscovery.k8s.io", "APIGroupDiscoveryList"
#: The versions of the aggregated document. The older one is for clients of 1.26 to 1.29.
_VERSIONS = ("v2", "v2beta1")
_SERVED = (forms.JSON_TYPE, forms.YAML_TYPE, forms.PROTOBUF_TYPE)
#: Documents kept at once; beyond it they are made anew.
KEPT_MAX = 2048
_META = "k8s.io.apimachinery.pkg.apis.meta.v1."


class _Served:
    """What one state of the registry serves, sorted by group."""

    def __init__(self, registry: Registry) -> None:
        self.generation = registry.generation
        self.kinds: dict[str, dict[str, list[KindSpec]]] = {}
        for spec in registry.all():
            resource = spec.resource
            self.kinds.setdefault(resource.group, {}).setdefault(resource.version, []).append(spec)
        listed = registry.groups()
        place = {group.name: at for at, group in enumerate(listed)}
        #: Built-in groups in the original's order of priority; custom ones, all of one priority, by name.
        self.groups = sorted(listed, key=lambda group: (self._custom(group), place[group.name]))
        #: Documents by what was asked: their bytes and ETag.
        self.documents: dict[tuple[str, str, str], tuple[bytes, str]] = {}

    def _custom(self, group: Group) -> str:
        kinds = self.kinds.get(group.name, {})
        return group.name if all(spec.custom for each in kinds.values() for spec in each) else ""


class Discovery:
    """The documents under /api and /apis."""

    def __init__(self, registry: Registry, address: Callable[[], str]) -> None:
        self._registry = registry
        self._address = address
        self._served = _Served(registry)
        #: Group -> its kinds, and its part of the aggregated document made of them.
        self._parts: dict[str, tuple[list[KindSpec], bytes]] = {}

    def api(self, request: Request, user: User) -> Response:
        """/api and /api/v1."""
        return self._answer(request, request.path.rstrip("/"))

    apis = api

    def _answer(self, request: Request, path: str) -> Response:
        media, version = _wanted(request.headers.get("accept", ""), path in ("/api", "/apis"))
        served = self._served
        if served.generation != self._registry.generation:
            served = self._served = _Served(self._registry)
            for group in self._parts.keys() - served.kinds.keys():
                del self._parts[group]
        kept = served.documents.get((path, version, media))
        if kept is None:
            body = self._aggregated(served, path, version) if version else orjson.dumps(self._make(served, path))
            if media != forms.JSON_TYPE:
                body = _rewritten(orjson.loads(body), media)
            kept = (body, '"' + hashlib.sha512(body).hexdigest().upper() + '"')
            if len(served.documents) < KEPT_MAX:
                served.documents[(path, version, media)] = kept
        body, tag = kept
        content_type = f"{media};g={_GROUP};v={version};as={_SHAPE}" if version else media
        headers = (("Etag", tag), ("Vary", "Accept"), ("Cache-Control", "public"))
        if tag in (each.strip() for each in request.headers.get("if-none-match", "").split(",")):
            return Response(304, b"", content_type, headers)
        return Response(200, body, content_type, headers)

    def _make(self, served: _Served, path: str) -> Json:
        if path == "/api":
            core = next((group.versions for group in served.groups if not group.name), ())
            return {
                "kind": "APIVersions",
                "versions": list(core),
                "serverAddressByClientCIDRs": [{"clientCIDR": "0.0.0.0/0", "serverAddress": self._address()}],
            }
        if path == "/apis":
            named = [_group(group) for group in served.groups if group.name]
            return {"kind": "APIGroupList", "apiVersion": "v1", "groups": named}
        parts = path.split("/")[2:]
        if path.startswith("/api/"):
            return _resources(served, "", parts[0]) if len(parts) == 1 else _unknown()
        if len(parts) == 1:
            for group in served.groups:
                if group.name and group.name == parts[0]:
                    return {"kind": "APIGroup", "apiVersion": "v1", **_group(group)}
            _unknown()
        return _resources(served, parts[0], parts[1]) if len(parts) == 2 and parts[0] else _unknown()

    def _aggregated(self, served: _Served, path: str, version: str) -> bytes:
        items = [self._part(served, group) for group in served.groups if (group.name == "") == (path == "/api")]
        head = orjson.dumps({"kind": _SHAPE, "apiVersion": f"{_GROUP}/{version}", "metadata": {}})
        return b'%b,"items":[%b]}' % (head[:-1], b",".join(items))

    def _part(self, served: _Served, group: Group) -> bytes:
        versions = served.kinds.get(group.name, {})
        kinds = [spec for version in group.versions for spec in versions.get(version, ())]
        known = self._parts.get(group.name)
        if known is not None and known[0] == kinds:
            return known[1]
        metadata: Json = {"name": group.name} if group.name else {}
        told = [
            {"version": version, "resources": [_aggregated_resource(spec) for spec in _by_name(versions[version])],
             "freshness": "Current"}
            for version in group.versions if version in versions
        ]  # fmt: skip
        made = orjson.dumps({"metadata": metadata, "versions": told})
        self._parts[group.name] = (kinds, made)
        return made


def _unknown() -> NoReturn:
    raise errors.not_found_path()


def _by_name(kinds: list[KindSpec]) -> list[KindSpec]:
    return sorted(kinds, key=lambda spec: spec.resource.plural)


def _group(group: Group) -> Json:
    versions = [{"groupVersion": f"{group.name}/{version}", "version": version} for version in group.versions]
    return {"name": group.name, "versions": versions, "preferredVersion": versions[0]}


def _resources(served: _Served, group: str, version: str) -> Json:
    resources: list[Json] = []
    for spec in served.kinds.get(group, {}).get(version, ()):
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
    # The core group's list says no apiVersion: it is older than the field.
    typed = {"kind": "APIResourceList", "apiVersion": "v1"} if group else {"kind": "APIResourceList"}
    return {
        **typed,
        "groupVersion": f"{group}/{version}" if group else version,
        "resources": sorted(resources, key=lambda each: each["name"]),
    }


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
    if spec.storable and "watch" in spec.verbs:
        entry["storageVersionHash"] = _storage_hash(spec)
    return entry


def _storage_hash(spec: KindSpec) -> str:
    """The version that is stored, hashed as the original does it, so that two servers can be compared."""
    resource = spec.resource
    stored = spec.conversion.stored if spec.conversion else (resource.group, resource.version, resource.kind)
    return base64.b64encode(hashlib.sha256("/".join(stored).encode()).digest()[:8]).decode()


def _aggregated_resource(spec: KindSpec) -> Json:
    own = (spec.resource.group, spec.resource.version)
    entry: Json = {
        "resource": spec.resource.plural,
        "responseKind": _response_kind(spec.response_kind, own),
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
            {"subresource": name, "responseKind": _response_kind(sub.kind, own), "verbs": sorted(sub.verbs)}
            for name, sub in sorted(spec.subresources.items())
        ]
    return entry


def _response_kind(kind: tuple[str, str, str], own: tuple[str, str]) -> Json:
    """Group and version are left empty where they are those of the resource."""
    group, version, name = kind
    if (group, version) == own:
        group = version = ""
    return {"group": group, "version": version, "kind": name}


def _rewritten(document: Json, media: str) -> bytes:
    if media == forms.YAML_TYPE:
        return to_yaml(document)
    kind, api_version = document["kind"], document.get("apiVersion", "v1")
    # The old kinds of discovery are known to OpenAPI under no version; their messages are those of meta/v1.
    raw = protobuf.encode(_META + kind, document)
    return protobuf.encode_envelope(api_version, kind, raw)


@lru_cache(maxsize=256)
def _wanted(accept: str, aggregates: bool) -> tuple[str, str]:
    """The media type of the answer, and the version of the aggregated document or "" for the classic one.

    What the client likes most counts, then what it names first. The aggregated document is served as JSON.
    """
    if not accept:
        return forms.JSON_TYPE, ""
    found: list[tuple[float, int, tuple[str, str]]] = []
    for position, clause in enumerate(accept.split(",")):
        media, *parameters = (part.strip() for part in clause.split(";"))
        values = dict(parameter.partition("=")[::2] for parameter in parameters)
        try:
            quality = float(values.get("q", "1"))
        except ValueError:
            quality = 0.0
        plain = {"*/*": forms.JSON_TYPE, "application/*": forms.JSON_TYPE}.get(media, media)
        if plain not in _SERVED:
            continue
        version = ""
        if "as" in values:
            version = values.get("v", "")
            meant = (values["as"], values.get("g")) == (_SHAPE, _GROUP) and version in _VERSIONS
            if not aggregates or not meant or plain != forms.JSON_TYPE:
                continue
        found.append((-quality, position, (plain, version)))
    if not found:
        raise errors.not_acceptable(_SERVED)
    return min(found)[2]
