"""The rules of CustomResourceDefinition: what it is given, what it must be, and what of it may change."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from kaa.kinds.clientconfig import bundle_is_good, client_config
from kaa.kinds.custom import formats, structural
from kaa.kinds.custom.acceptance import APPROVED, approval, established, protected, terminating
from kaa.kinds.custom.versions import check_shared, check_versions
from kaa.kinds.metadata import finalizer_warnings
from kaa.kinds.spec import NAME_COLUMN, Column, Rules
from kaa.meta import names
from kaa.meta.problems import (
    Path,
    Problem,
    forbidden_field,
    invalid,
    not_supported,
    required,
)

__all__ = ["CRD", "storage_version"]

Json = dict[str, Any]

_SPEC, _STATUS = Path() / "spec", Path() / "status"


def storage_version(obj: Json) -> str:
    """The version objects are stored in; "" where none is marked."""
    return next((str(each["name"]) for each in obj["spec"].get("versions") or () if each.get("storage")), "")


# --- defaults and strategy


def _default(obj: Json) -> None:
    spec = obj.setdefault("spec", {})
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


def _prepare_status(new: Json, _old: Json) -> None:
    # Behind a gate of the original (CRDObservedGenerationTracking) that is closed by default: clients may not set it.
    status = new.get("status") or {}
    status.pop("observedGeneration", None)
    for each in status.get("conditions") or ():
        each.pop("observedGeneration", None)


# --- validation


def _validate(obj: Json) -> Iterator[Problem]:
    spec = obj["spec"]
    if deep := list(_too_deep(spec)):
        yield from deep
        return
    group, plural = spec.get("group", ""), (spec.get("names") or {}).get("plural", "")
    if obj["metadata"].get("name", "") != f"{plural}.{group}":
        yield invalid(Path() / "metadata" / "name", obj["metadata"].get("name", ""),
                      'must be spec.names.plural+"."+spec.group')  # fmt: skip
    if not group:
        yield required(_SPEC / "group")
    elif wrong := list(names.dns1123_subdomain(group)):
        yield invalid(_SPEC / "group", group, ",".join(wrong))
    elif "." not in group:
        yield invalid(_SPEC / "group", group, "should be a domain with at least one dot")
    yield from _one_of(spec.get("scope", ""), ("Cluster", "Namespaced"), _SPEC / "scope")
    yield from check_versions(spec)
    for name in ("plural", "singular", "kind", "listKind"):
        if not (spec.get("names") or {}).get(name):
            yield required(_SPEC / "names" / name)
    yield from _names(spec.get("names") or {}, _SPEC / "names")
    yield from check_shared(spec)
    yield from _conversion(spec)
    status = obj.get("status") or {}
    yield from _names(status.get("acceptedNames") or {}, _STATUS / "acceptedNames")
    yield from _stored(status.get("storedVersions") or [], spec)


def _too_deep(spec: Json) -> Iterator[Problem]:
    """Schemas that nest so deep that nothing else is to walk them."""
    for at, version in enumerate(spec.get("versions") or ()):
        schema = (version.get("schema") or {}).get("openAPIV3Schema") or {}
        if found := structural.too_deep(schema, (_SPEC / "versions")[at] / "schema" / "openAPIV3Schema"):
            yield found


def _one_of(value: str, allowed: tuple[str, ...], path: Path) -> Iterator[Problem]:
    if not value:
        yield required(path)
    elif value not in allowed:
        yield not_supported(path, value, allowed, as_given=True)


def _approval(new: Json, old: Json | None) -> Iterator[Problem]:
    """Groups of the community's take an approval. One that has not changed since is let pass."""
    group = new["spec"].get("group", "")
    if not protected(group):
        return
    state, why = approval(new["metadata"].get("annotations") or {})
    if old is not None and approval(old["metadata"].get("annotations") or {})[0] == state:
        return
    path = (Path() / "metadata" / "annotations")[APPROVED]
    if state == "MissingAnnotation":
        yield required(path, why)
    elif state == "InvalidAnnotation":
        yield invalid(path, (new["metadata"].get("annotations") or {}).get(APPROVED), why)


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
    # The paths are those of the original's own form of the object, which is older than v1.
    found, path = spec.get("conversion") or {}, _SPEC / "conversion"
    strategy = found.get("strategy", "")
    if strategy not in ("", "None") and spec.get("preserveUnknownFields"):
        yield invalid(path / "strategy", strategy, "must be None if spec.preserveUnknownFields is true")
    yield from _one_of(strategy, ("None", "Webhook"), path / "strategy")
    hook = found.get("webhook") or {}
    config, reviewed = hook.get("clientConfig"), hook.get("conversionReviewVersions") or []
    if strategy != "Webhook":
        unwanted = "should not be set when strategy is not set to Webhook"
        if config is not None:
            yield forbidden_field(path / "webhookClientConfig", unwanted)
        if reviewed:
            yield forbidden_field(path / "conversionReviewVersions", unwanted)
        return
    if config is None:
        yield required(path / "webhookClientConfig", "required when strategy is set to Webhook")
    else:
        yield from client_config(config, path / "webhookClientConfig")
    yield from _reviewed(reviewed, path / "conversionReviewVersions")


def _reviewed(versions: list[str], path: Path) -> Iterator[Problem]:
    if not versions:
        yield required(path)
        return
    for at, version in enumerate(versions):
        if version in versions[:at]:
            yield invalid(path[at], version, "duplicate version")
            continue
        for wrong in names.dns1035_label(version):
            yield invalid(path[at], version, wrong)
    if not {"v1", "v1beta1"} & set(versions):
        yield invalid(path, versions, "must include at least one of v1, v1beta1")


def _stored(stored: list[str], spec: Json) -> Iterator[Problem]:
    path = _STATUS / "storedVersions"
    if not stored:
        yield invalid(path, stored, "must have at least one stored version")
        return
    versions = {version.get("name"): version for version in spec.get("versions") or ()}
    for name, version in versions.items():
        if version.get("storage") and name not in stored:
            yield invalid(path, stored, f"must have the storage version {name}")
    for at, name in enumerate(stored):
        if name not in versions:
            yield invalid(path[at], name, f"missing from spec.versions; {name} was previously a storage version, and "
                          "must remain in spec.versions until a storage migration ensures no data remains persisted in "
                          f"{name} and removes {name} from status.storedVersions")  # fmt: skip


_UNKNOWN = "cannot set to true, set x-kubernetes-preserve-unknown-fields to true in spec.versions[*].schema instead"


def _validate_create(obj: Json) -> Iterator[Problem]:
    yield from _approval(obj, None)
    if obj["spec"].get("preserveUnknownFields"):
        yield invalid(_SPEC / "preserveUnknownFields", True, _UNKNOWN)


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
    yield from _ca_bundle(new, old)
    yield from _approval(new, old)
    if spec.get("preserveUnknownFields") and not was.get("preserveUnknownFields"):
        yield invalid(_SPEC / "preserveUnknownFields", True, _UNKNOWN)


def _ca_bundle(new: Json, old: Json) -> Iterator[Problem]:
    """A bundle that was good, of a kind that is served, may not be made a bad one. Elsewhere bad ones are let pass:
    injectors fill them in later."""
    now, then = _bundle(new), _bundle(old)
    if now and established(old) and not bundle_is_good(now) and (not then or bundle_is_good(then)):
        path = _SPEC / "conversion" / "webhookClientConfig" / "caBundle"
        yield invalid(path, now, "unable to load root certificates: unable to parse bytes as PEM block")


def _bundle(obj: Json) -> str:
    hook = (obj["spec"].get("conversion") or {}).get("webhook") or {}
    return str((hook.get("clientConfig") or {}).get("caBundle") or "")


def _validate_status(new: Json, _old: Json) -> Iterator[Problem]:
    yield from _names((new.get("status") or {}).get("acceptedNames") or {}, _STATUS / "acceptedNames")


def _warnings(new: Json, old: Json | None) -> Iterator[str]:
    """Formats that nothing checks, where they are new."""
    known = set(_formats(old)) if old is not None else set()
    for each in dict.fromkeys(_formats(new)):
        if each not in known:
            yield f'unrecognized format "{each}"'
    yield from finalizer_warnings(new, old)


def _formats(obj: Json) -> Iterator[str]:
    def walk(schema: Json) -> Iterator[str]:
        name = schema.get("format")
        if name and schema.get("type") == "string" and not formats.recognized(name):
            yield name
        for word in ("items", "additionalProperties"):
            if isinstance(schema.get(word), dict):
                yield from walk(schema[word])
        for child in (schema.get("properties") or {}).values():
            yield from walk(child)

    for version in obj["spec"].get("versions") or ():
        yield from walk((version.get("schema") or {}).get("openAPIV3Schema") or {})


CRD = Rules(
    going=terminating,
    default=_default,
    prepare_create=_prepare_create,
    prepare_update=_prepare_update,
    prepare_status=_prepare_status,
    validate=_validate,
    validate_create=_validate_create,
    validate_update=_validate_update,
    validate_status=_validate_status,
    warnings=_warnings,
    complete=True,
    generation=True,
    columns=(NAME_COLUMN, Column("Created At", "date")),
    cells=lambda obj, _now: [obj["metadata"]["name"], obj["metadata"].get("creationTimestamp", "")],
)
