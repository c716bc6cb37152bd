"""The rules of CustomResourceDefinition: what it is given, what it must be, and what of it may change."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from kaa.kinds.clientconfig import client_config
from kaa.kinds.custom import expressions, paths, structural
from kaa.kinds.custom.acceptance import established, terminating
from kaa.kinds.custom.schema import compile_node, prune
from kaa.kinds.custom.values import MISSING, compile_checker, same
from kaa.kinds.spec import NAME_COLUMN, Column, Rules
from kaa.meta import names
from kaa.meta.problems import Path, Problem, forbidden_field, invalid, not_supported, required

__all__ = ["CRD", "storage_version"]

Json = dict[str, Any]

_SPEC, _STATUS = Path() / "spec", Path() / "status"
COLUMN_TYPES = ("boolean", "date", "integer", "number", "string")
COLUMN_FORMATS = ("byte", "date", "date-time", "double", "float", "int32", "int64", "password")
#: Fields one version may offer to field selectors.
SELECTABLE_MAX = 8
APPROVED = "api-approved.kubernetes.io"


def storage_version(obj: Json) -> str:
    """The version objects are stored in; "" where none is marked."""
    return next((str(each["name"]) for each in obj["spec"].get("versions") or () if each.get("storage")), "")


# --- defaults and strategy


def _default(obj: Json) -> None:
    spec = obj.get("spec") or {}
    found = spec.get("names")
    if isinstance(found, dict) and found.get("kind"):
        found.setdefault("singular", found["kind"].lower())
        found.setdefault("listKind", found["kind"] + "List")
    conversion = spec.setdefault("conversion", {"strategy": "None"}) or {}
    service = ((conversion.get("webhook") or {}).get("clientConfig") or {}).get("service")
    if service is not None:
        service.setdefault("port", 443)


def _prepare_create(obj: Json) -> None:
    obj["status"] = {"acceptedNames": {"kind": "", "plural": ""}, "conditions": [],
                     "storedVersions": [name for name in (storage_version(obj),) if name]}  # fmt: skip


def _prepare_update(new: Json, _old: Json) -> None:
    status = new.setdefault("status", {})
    stored = status.get("storedVersions") or []
    version = storage_version(new)
    if version and version not in stored:
        status["storedVersions"] = [*stored, version]


# --- validation


def _validate(obj: Json) -> Iterator[Problem]:
    spec = obj["spec"]
    group, plural = spec.get("group", ""), (spec.get("names") or {}).get("plural", "")
    if obj["metadata"].get("name", "") != f"{plural}.{group}":
        yield invalid(Path() / "metadata" / "name", obj["metadata"].get("name", ""),
                      'must be spec.names.plural+"."+spec.group')  # fmt: skip
    yield from _approval(obj, group)
    if not group:
        yield required(_SPEC / "group")
    elif wrong := list(names.dns1123_subdomain(group)):
        yield invalid(_SPEC / "group", group, ",".join(wrong))
    elif "." not in group:
        yield invalid(_SPEC / "group", group, "should be a domain with at least one dot")
    scope = spec.get("scope", "")
    if not scope:
        yield required(_SPEC / "scope")
    elif scope not in ("Cluster", "Namespaced"):
        yield not_supported(_SPEC / "scope", scope, ("Cluster", "Namespaced"))
    if spec.get("preserveUnknownFields"):
        yield invalid(_SPEC / "preserveUnknownFields", True, "must be false")
    yield from _versions(spec)
    for name in ("plural", "singular", "kind", "listKind"):
        if not (spec.get("names") or {}).get(name):
            yield required(_SPEC / "names" / name)
    yield from _names(spec.get("names") or {}, _SPEC / "names")
    yield from _conversion(spec)
    status = obj.get("status") or {}
    yield from _names(status.get("acceptedNames") or {}, _STATUS / "acceptedNames")
    yield from _stored(status.get("storedVersions") or [], spec)


def _approval(obj: Json, group: str) -> Iterator[Problem]:
    if not any(group == each or group.endswith(f".{each}") for each in ("k8s.io", "kubernetes.io")):
        return
    value = (obj["metadata"].get("annotations") or {}).get(APPROVED, "")
    path = (Path() / "metadata" / "annotations")[APPROVED]
    if not value:
        yield required(path, f'protected groups must have approval annotation "{APPROVED}", see '
                       "https://github.com/kubernetes/enhancements/pull/1111")  # fmt: skip
    elif not value.startswith("unapproved") and "://" not in value:
        yield invalid(path, value, f'protected groups must have approval annotation "{APPROVED}" with either a URL or '
                      'a reason starting with "unapproved", see '
                      "https://github.com/kubernetes/enhancements/pull/1111")  # fmt: skip


def _versions(spec: Json) -> Iterator[Problem]:
    versions = spec.get("versions") or []
    path = _SPEC / "versions"
    for at, version in enumerate(versions):
        if wrong := list(names.dns1035_label(version.get("name", ""))):
            yield invalid(path[at] / "name", version.get("name", ""), ",".join(wrong))
        if version.get("deprecationWarning") is not None:
            here = path[at] / "deprecationWarning"
            text = version["deprecationWarning"]
            if not version.get("deprecated"):
                yield invalid(here, text, "can only be set for deprecated versions")
            if not text:
                yield invalid(here, text, "must not be empty")
            elif len(text) > 256:
                yield invalid(here, text, "must be no more than 256 characters")
            elif not text.isprintable():
                yield invalid(here, text, "must only contain printable UTF-8 characters; non-printable character found")
    if len({version.get("name") for version in versions}) != len(versions):
        yield invalid(path, versions, "must contain unique version names")
    if sum(1 for version in versions if version.get("storage")) != 1:
        yield invalid(path, versions, "must have exactly one version marked as storage version")
    # What all versions share, the original keeps, and names, once for all of them.
    whole = {word: _shared(versions, word) for word in ("schema", "subresources", "additionalPrinterColumns")}
    for at, version in enumerate(versions):
        here = path[at]
        if at == 0 or not whole["schema"]:
            yield from _schema(version, _SPEC / "validation" if whole["schema"] else here / "schema")
        if at == 0 or not whole["subresources"]:
            yield from _subresources(version.get("subresources") or {},
                                     (_SPEC if whole["subresources"] else here) / "subresources")  # fmt: skip
        if at == 0 or not whole["additionalPrinterColumns"]:
            where = (_SPEC if whole["additionalPrinterColumns"] else here) / "additionalPrinterColumns"
            for number, column in enumerate(version.get("additionalPrinterColumns") or ()):
                yield from _column(column, where[number])
        yield from _selectable(version, here)


def _shared(versions: list[Json], word: str) -> bool:
    return all(same(version.get(word), versions[0].get(word)) for version in versions)


def _schema(version: Json, path: Path) -> Iterator[Problem]:
    schema = (version.get("schema") or {}).get("openAPIV3Schema")
    here = path / "openAPIV3Schema"
    if schema is None:
        yield required(here, "schemas are required")
        return
    found = structural.check(schema, here)
    if not found:
        found = [*_defaults(schema, here, True), *expressions.check(schema, here)]
    yield from found


def _defaults(schema: Json, path: Path, root: bool = False) -> Iterator[Problem]:
    """Defaults must satisfy the schema they stand in, and hold nothing that would be pruned."""
    default = schema.get("default")
    if default is not None:
        if root:
            yield forbidden_field(path / "default", "must not be used at the root")
        else:
            node = compile_node({name: value for name, value in schema.items() if name != "default"})
            unknown: list[str] = []
            prune(node, _copy(default), "", unknown)
            for name in unknown:
                yield invalid(path / "default", default, f"must not contain unknown field {name}")
            for problem in compile_checker(node)(default, MISSING, Path()):
                yield invalid(path / "default", default, problem.detail_text.partition(": ")[2].partition(": ")[2])
        return
    for name, child in (schema.get("properties") or {}).items():
        if not (root and name == "metadata"):
            yield from _defaults(child, (path / "properties")[name])
    for word in ("items", "additionalProperties"):
        if isinstance(schema.get(word), dict):
            yield from _defaults(schema[word], path / word)


def _copy(value: Any) -> Any:
    import orjson

    return orjson.loads(orjson.dumps(value))


def _subresources(found: Json, path: Path) -> Iterator[Problem]:
    scale = found.get("scale")
    if scale is None:
        return
    for name, below, needed in (("specReplicasPath", "spec", True), ("statusReplicasPath", "status", True),
                                ("labelSelectorPath", "", False)):  # fmt: skip
        text, here = scale.get(name) or "", path / f"scale.{name}"
        if not text:
            if needed:
                yield required(here)
            continue
        try:
            paths.dotted(text)
        except paths.PathError as error:
            yield invalid(here, text, str(error))
            continue
        if below and not text.startswith(f".{below}."):
            yield invalid(here, text, f"should be a json path under .{below}")
        elif not below and not text.startswith((".spec.", ".status.")):
            yield invalid(here, text, "should be a json path under either .spec or .status")


def _column(column: Json, path: Path) -> Iterator[Problem]:
    if not column.get("name"):
        yield required(path / "name")
    types = f"must be one of {','.join(COLUMN_TYPES)}"
    if not column.get("type"):
        yield required(path / "type", types)
    elif column["type"] not in COLUMN_TYPES:
        yield invalid(path / "type", column["type"], types)
    if column.get("format") and column["format"] not in COLUMN_FORMATS:
        yield invalid(path / "format", column["format"], f"must be one of {','.join(COLUMN_FORMATS)}")
    text = column.get("jsonPath") or ""
    if not text:
        yield required(path / "JSONPath")
    elif not text.startswith("."):
        yield invalid(path / "JSONPath", text, "must be a simple json path starting with .")
    else:
        try:
            paths.compile_path(text)
        except paths.PathError as error:
            yield invalid(path / "JSONPath", text, str(error))


def _selectable(version: Json, path: Path) -> Iterator[Problem]:
    found = version.get("selectableFields") or []
    schema = (version.get("schema") or {}).get("openAPIV3Schema") or {}
    if len(found) > SELECTABLE_MAX:
        yield Problem(path / "selectableFields", "FieldValueTooMany",
                      f"Too many: {len(found)}: must have at most {SELECTABLE_MAX} items")  # fmt: skip
    seen = set()
    for at, each in enumerate(found):
        here, text = (path / "selectableFields")[at] / "jsonPath", each.get("jsonPath") or ""
        if not text:
            yield required(here)
            continue
        try:
            fields = paths.dotted(text)
        except paths.PathError:
            yield invalid(here, text, "is an invalid path: must be a simple path of fields, such as .spec.color")
            continue
        if fields[0] == "metadata":
            yield invalid(here, text, "must not point to fields in metadata")
        node: Json | None = schema
        for name in fields:
            node = ((node or {}).get("properties") or {}).get(name)
        if node is None:
            yield invalid(here, text, "is an invalid path: does not refer to a valid field")
        elif node.get("type") not in ("string", "boolean", "integer"):
            yield invalid(here, text, "must point to a field of type string, boolean or integer. Enum string fields "
                          "and strings with formats are allowed.")  # fmt: skip
        if text in seen:
            yield Problem(here, "FieldValueDuplicate", f'Duplicate value: "{text}"')
        seen.add(text)


def _names(found: Json, path: Path) -> Iterator[Problem]:
    for name in ("plural", "singular"):
        if found.get(name) and (wrong := list(names.dns1035_label(found[name]))):
            yield invalid(path / name, found[name], ",".join(wrong))
    for name in ("kind", "listKind"):
        if found.get(name) and (wrong := list(names.dns1035_label(found[name].lower()))):
            yield invalid(
                path / name, found[name], "may have mixed case, but should otherwise match: " + ",".join(wrong)
            )
    for name in ("shortNames", "categories"):
        for at, each in enumerate(found.get(name) or ()):
            if wrong := list(names.dns1035_label(each)):
                yield invalid((path / name)[at], each, ",".join(wrong))
    if found.get("kind") and found["kind"] == found.get("listKind"):
        yield invalid(path / "listKind", found["listKind"], "kind and listKind may not be the same")


def _conversion(spec: Json) -> Iterator[Problem]:
    found, path = spec.get("conversion") or {}, _SPEC / "conversion"
    strategy = found.get("strategy", "")
    if strategy not in ("None", "Webhook"):
        yield (not_supported(path / "strategy", strategy, ("None", "Webhook")) if strategy
               else required(path / "strategy"))  # fmt: skip
    hook = found.get("webhook")
    if strategy != "Webhook":
        if hook is not None:
            yield forbidden_field(path / "webhook", 'should not be set when strategy is not set to "Webhook"')
        return
    here = path / "webhook"
    config = (hook or {}).get("clientConfig")
    if config is None:
        yield required(here / "clientConfig", 'required when strategy is set to "Webhook"')
    else:
        yield from client_config(config, here / "clientConfig")
    reviewed = (hook or {}).get("conversionReviewVersions") or []
    if not reviewed:
        yield required(here / "conversionReviewVersions")
    elif not {"v1", "v1beta1"} & set(reviewed):
        yield invalid(here / "conversionReviewVersions", reviewed, "must include at least one of v1, v1beta1")


def _stored(stored: list[str], spec: Json) -> Iterator[Problem]:
    path = _STATUS / "storedVersions"
    if not stored:
        yield invalid(path, stored, "must have at least one stored version")
        return
    versions = {version.get("name"): version for version in spec.get("versions") or ()}
    for name, version in versions.items():
        if version.get("storage") and name not in stored:
            yield invalid(path, version, f"must have the storage version {name}")
    for at, name in enumerate(stored):
        if name not in versions:
            yield invalid(path[at], name, "must appear in spec.versions")


def _validate_update(new: Json, old: Json) -> Iterator[Problem]:
    spec, was = new["spec"], old["spec"]
    fixed: list[tuple[str, ...]] = [("group",), ("names", "plural")]
    if established(old):
        fixed = [("scope",), ("names", "kind"), *fixed]
    for place in fixed:
        path, now, then = _SPEC, spec, was
        for name in place:
            path, now, then = path / name, (now or {}).get(name), (then or {}).get(name)
        if now != then:
            yield invalid(path, now, "field is immutable")


def _validate_status(new: Json, _old: Json) -> Iterator[Problem]:
    yield from _stored((new.get("status") or {}).get("storedVersions") or [], new["spec"])


CRD = Rules(
    going=terminating,
    default=_default,
    prepare_create=_prepare_create,
    prepare_update=_prepare_update,
    validate=_validate,
    validate_update=_validate_update,
    validate_status=_validate_status,
    generation=True,
    columns=(NAME_COLUMN, Column("Created At", "date")),
    cells=lambda obj, _now: [obj["metadata"]["name"], obj["metadata"].get("creationTimestamp", "")],
)
