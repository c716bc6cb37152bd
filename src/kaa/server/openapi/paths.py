"""The operations on a kind, as a document lists them."""

from collections.abc import Iterator
from typing import Any

from kaa.kinds.spec import KindSpec, SubresourceSpec
from kaa.server.openapi.definitions import Definitions

__all__ = ["paths_of", "root_path"]

Json = dict[str, Any]

PATCH_TYPES = ("application/json-patch+json", "application/merge-patch+json",
               "application/strategic-merge-patch+json", "application/apply-patch+yaml")  # fmt: skip
#: Custom kinds have no keys to merge by, and no protobuf.
CUSTOM_PATCH_TYPES = tuple(each for each in PATCH_TYPES if "strategic" not in each)
JSON, YAML, PROTOBUF = "application/json", "application/yaml", "application/vnd.kubernetes.protobuf"
WATCHED = (f"{JSON};stream=watch", f"{PROTOBUF};stream=watch")

#: verb -> (method, where, the word of x-kubernetes-action)
VERBS = {
    "list": ("get", "collection", "list"),
    "create": ("post", "collection", "post"),
    "deletecollection": ("delete", "collection", "deletecollection"),
    "get": ("get", "object", "get"),
    "update": ("put", "object", "put"),
    "patch": ("patch", "object", "patch"),
    "delete": ("delete", "object", "delete"),
}
LIST = {
    "allowWatchBookmarks": "boolean", "continue": "string", "fieldSelector": "string", "labelSelector": "string",
    "limit": "integer", "resourceVersion": "string", "resourceVersionMatch": "string", "sendInitialEvents": "boolean",
    "timeoutSeconds": "integer", "watch": "boolean",
}  # fmt: skip
WRITE = {"dryRun": "string", "fieldManager": "string", "fieldValidation": "string"}
DELETE = {"dryRun": "string", "gracePeriodSeconds": "integer", "orphanDependents": "boolean",
          "propagationPolicy": "string"}  # fmt: skip
QUERY = {
    "list": LIST,
    "create": WRITE,
    "update": WRITE,
    "patch": {**WRITE, "force": "boolean"},
    "delete": DELETE,
    "deletecollection": {**{name: kind for name, kind in LIST.items() if name not in ("allowWatchBookmarks", "watch")},
                         **DELETE},
}  # fmt: skip
_CHANNELS = {"container": "string", "stderr": "boolean", "stdin": "boolean", "stdout": "boolean", "tty": "boolean"}
#: Subresources that speak streams or text rather than objects, with what is asked of them.
STREAMS = {
    "attach": _CHANNELS,
    "exec": {**_CHANNELS, "command": "string"},
    "log": {
        "container": "string", "follow": "boolean", "insecureSkipTLSVerifyBackend": "boolean", "limitBytes": "integer",
        "previous": "boolean", "sinceSeconds": "integer", "stream": "string", "tailLines": "integer",
        "timestamps": "boolean",
    },
    "portforward": {"ports": "integer"},
    "proxy": {"path": "string"},
}  # fmt: skip
#: A connection's verb is its method's.
CONNECTS = {"create": "post", "delete": "delete", "get": "get", "patch": "patch", "update": "put"}
CODES = {"create": ("200", "201", "202"), "update": ("200", "201"), "patch": ("200", "201"), "delete": ("200", "202")}


def paths_of(spec: KindSpec, definitions: Definitions) -> Iterator[tuple[str, Json]]:
    """(path, item) of every path at which a kind answers."""
    resource = spec.resource
    root = resource.root
    base = f"{root}/namespaces/{{namespace}}" if spec.namespaced else root
    collection, single = f"{base}/{resource.plural}", f"{base}/{resource.plural}/{{name}}"
    items: dict[str, Json] = {}
    for verb, (method, place, _) in VERBS.items():
        if verb in spec.verbs:
            path = collection if place == "collection" else single
            items.setdefault(path, {})[method] = _operation(spec, verb, definitions)
    if spec.namespaced and "list" in spec.verbs:
        everywhere = f"{root}/{resource.plural}"
        items[everywhere] = {"get": _operation(spec, "list", definitions, everywhere=True)}
    for name, sub in spec.subresources.items():
        if name in STREAMS:
            items[f"{single}/{name}"] = _streams(spec, sub, definitions)
            if name == "proxy":
                items[f"{single}/{name}/{{path}}"] = _streams(spec, sub, definitions, path=True)
            continue
        for verb in sorted(sub.verbs):
            method = VERBS[verb][0]
            items.setdefault(f"{single}/{name}", {})[method] = _operation(spec, verb, definitions, sub=sub)
    for path, item in items.items():
        names = [name for name in ("name", "namespace", "path") if f"{{{name}}}" in path]
        item["parameters"] = [_parameter(name, "path", "string", definitions) for name in names]
        if not (STREAMS.keys() - {"log"}) & set(path.split("/")):
            item["parameters"].append(_parameter("pretty", "query", "string", definitions))
        yield path, item


def _streams(spec: KindSpec, sub: SubresourceSpec, definitions: Definitions, *, path: bool = False) -> Json:
    """The operations of a subresource that connects or tells, each by its method."""
    resource = spec.resource
    log = sub.name == "log"
    media = ("text/plain", JSON) if log else ("*/*",)
    item: Json = {}
    for method in sorted(CONNECTS[verb] for verb in sub.verbs):
        asked = [(name, type_) for name, type_ in sorted(STREAMS[sub.name].items()) if not path or name != "path"]
        answer: Json = {"description": "OK"}
        if definitions.v3:
            answer["content"] = {each: {"schema": {"type": "string"}} for each in media}
        else:
            answer["schema"] = {"type": "string"}
        scope = "Namespaced" if spec.namespaced else ""
        verb = "read" if log else "connect"
        told = "" if log else method.capitalize()
        tail = sub.name.capitalize() + ("WithPath" if path else "")
        item[method] = {
            "description": f"{verb} {sub.name} of the specified {resource.kind}",
            "operationId": f"{verb}{_group_words(resource.group)}{resource.version.capitalize()}{told}{scope}"
                           f"{resource.kind}{tail}",
            "tags": [tag_of(resource.group, resource.version)],
            "x-kubernetes-action": "get" if log else "connect",
            "x-kubernetes-group-version-kind": dict(zip(("group", "version", "kind"), sub.kind, strict=True)),
            "parameters": [_parameter(name, "query", type_, definitions) for name, type_ in asked],
            "responses": {"200": answer, "401": {"description": "Unauthorized"}},
        }  # fmt: skip
        if not definitions.v3:
            item[method]["produces"] = list(media)
    return item


def root_path(group: str, version: str, definitions: Definitions) -> tuple[str, Json]:
    """The path at which a group version tells what it serves."""
    media = (JSON, YAML, PROTOBUF)
    schema = definitions.meta("APIResourceList")
    answer: Json = {"description": "OK"}
    if definitions.v3:
        answer["content"] = {each: {"schema": schema} for each in media}
    else:
        answer["schema"] = schema
    operation: Json = {
        "description": "get available resources",
        "operationId": f"get{_group_words(group)}{version.capitalize()}APIResources",
        "tags": [tag_of(group, version)],
        "responses": {"200": answer, "401": {"description": "Unauthorized"}},
    }
    if not definitions.v3:
        operation["produces"] = list(media)
    return (f"/apis/{group}/{version}/" if group else f"/api/{version}/"), {"get": operation}


def _operation(spec: KindSpec, verb: str, definitions: Definitions, *, sub: SubresourceSpec | None = None,
               everywhere: bool = False) -> Json:  # fmt: skip
    resource = spec.resource
    own = (resource.group, resource.version, resource.kind)
    kind = sub.kind if sub is not None else own
    shown = definitions.kind(spec) if kind == own else definitions.body_kind(*kind)
    answer = shown
    if verb == "list":
        answer = definitions.listing(spec)
    elif verb == "deletecollection":
        answer = definitions.meta("Status")
    operation: Json = {
        "description": _DOES[verb].format(kind=resource.kind, part=f"{sub.name} of " if sub else ""),
        "operationId": _operation_id(spec, verb, sub.name if sub else "", everywhere),
        "tags": [tag_of(resource.group, resource.version)],
        "x-kubernetes-action": VERBS[verb][2],
        "x-kubernetes-group-version-kind": {"group": kind[0], "version": kind[1], "kind": kind[2]},
    }
    parameters = [_parameter(name, "query", type_, definitions) for name, type_ in sorted(QUERY.get(verb, {}).items())]
    _add_body(operation, parameters, verb, shown, definitions, spec.custom)
    if parameters:
        operation["parameters"] = parameters
    codes = CODES.get(verb, ("200",)) if sub is None or verb != "create" else ("200", "201", "202")
    operation["responses"] = {code: _response(code, verb, answer, spec, definitions) for code in codes}
    operation["responses"]["401"] = {"description": "Unauthorized"}
    if not definitions.v3:
        operation["produces"] = list(_media(verb, spec))
    return operation


_DOES = {
    "list": "list or watch objects of kind {kind}",
    "create": "create {part}a {kind}",
    "deletecollection": "delete a collection of {kind}",
    "get": "read {part}the specified {kind}",
    "update": "replace {part}the specified {kind}",
    "patch": "partially update {part}the specified {kind}",
    "delete": "delete a {kind}",
}


def tag_of(group: str, version: str) -> str:
    """The tag that a group version's operations share: `rbacAuthorization_v1`."""
    words = _group_words(group)
    return f"{words[:1].lower()}{words[1:]}_{version}"


def _group_words(group: str) -> str:
    """`flowcontrol.apiserver.k8s.io` -> `FlowcontrolApiserver`."""
    parts = (group or "core").removesuffix(".k8s.io").replace("-", ".").split(".")
    return "".join(part[:1].upper() + part[1:] for part in parts)


def _operation_id(spec: KindSpec, verb: str, sub: str, everywhere: bool) -> str:
    """As the published documents name operations: generated clients call their functions so."""
    resource = spec.resource
    group = _group_words(resource.group)
    words = {"get": "read", "update": "replace", "deletecollection": "delete"}
    middle = "Collection" if verb == "deletecollection" else ""
    scope = "Namespaced" if spec.namespaced and not everywhere else ""
    tail = sub.capitalize() + ("ForAllNamespaces" if everywhere else "")
    return f"{words.get(verb, verb)}{group}{resource.version.capitalize()}{middle}{scope}{resource.kind}{tail}"


def _parameter(name: str, place: str, type_: str, definitions: Definitions) -> Json:
    parameter: Json = {"name": name, "in": place}
    if place == "path":
        parameter["required"] = True
    typed = {"type": type_, "uniqueItems": True}
    parameter.update({"schema": typed} if definitions.v3 else typed)
    return parameter


def _add_body(operation: Json, parameters: list[Json], verb: str, shown: Json, definitions: Definitions,
              custom: bool) -> None:  # fmt: skip
    types: tuple[str, ...] = (JSON, YAML) if custom else ("*/*",)
    if verb == "patch":
        schema, types = definitions.meta("Patch"), CUSTOM_PATCH_TYPES if custom else PATCH_TYPES
    elif verb in ("create", "update"):
        schema = shown
    elif verb in ("delete", "deletecollection"):
        schema = definitions.meta("DeleteOptions")
    else:
        return
    required = verb not in ("delete", "deletecollection")
    if definitions.v3:
        operation["requestBody"] = {"content": {each: {"schema": schema} for each in types}}
        if required:
            operation["requestBody"]["required"] = True
        return
    body: Json = {"name": "body", "in": "body", "schema": schema}
    if required:
        body["required"] = True
    parameters.append(body)
    operation["consumes"] = list(types)


def _media(verb: str, spec: KindSpec) -> tuple[str, ...]:
    media = (JSON, YAML, PROTOBUF) if spec.protobuf else (JSON, YAML)
    if verb == "list" and "watch" in spec.verbs and not spec.custom:
        return (*media, *(each for each in WATCHED if each.partition(";")[0] in media))
    return media


def _response(code: str, verb: str, answer: Json, spec: KindSpec, definitions: Definitions) -> Json:
    response: Json = {"description": {"200": "OK", "201": "Created", "202": "Accepted"}[code]}
    schema = answer
    if verb == "delete":
        # An object that goes at once is answered by a Status, one that has to wait by itself.
        status = definitions.meta("Status")
        schema = {"anyOf": [answer, status]} if definitions.v3 else status
    if definitions.v3:
        response["content"] = {each: {"schema": schema} for each in _media(verb, spec)}
    else:
        response["schema"] = schema
    return response
