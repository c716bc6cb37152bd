"""The versions of a definition: what each brings of its own, and what the original keeps once for all of them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import orjson

from kaa.kinds.custom import defaults, expressions, paths, rulechecks, structural
from kaa.kinds.custom.values import same
from kaa.meta import names
from kaa.meta.problems import Path, Problem, duplicate, invalid, required, too_many

__all__ = ["check_shared", "check_versions"]

Json = dict[str, Any]

_SPEC = Path() / "spec"
COLUMN_TYPES = ("boolean", "date", "integer", "number", "string")
COLUMN_FORMATS = ("byte", "date", "date-time", "double", "float", "int32", "int64", "password")
#: Fields one version may offer to field selectors.
SELECTABLE_MAX = 8


def check_versions(spec: Json) -> Iterator[Problem]:
    """Every problem of single versions, and of their list."""
    versions = spec.get("versions") or []
    path = _SPEC / "versions"
    for at, version in enumerate(versions):
        if not (version.get("schema") or {}).get("openAPIV3Schema"):
            yield required(path[at] / "schema" / "openAPIV3Schema", "schemas are required")
    if spec.get("preserveUnknownFields") and any(_has_default(each) for each in versions):
        yield invalid(_SPEC / "preserveUnknownFields", True, "must be false in order to use defaults in the schema")
    whole = _whole(versions)
    for at, version in enumerate(versions):
        if wrong := list(names.dns1035_label(version.get("name", ""))):
            yield invalid(path[at] / "name", version.get("name", ""), ",".join(wrong))
        yield from _deprecation(version, path[at] / "deprecationWarning")
        for word in _PARTS:
            if word not in whole:
                yield from _part(version, word, path[at], version)
    if len({version.get("name") for version in versions}) != len(versions):
        yield invalid(path, versions, "must contain unique version names")
    if sum(1 for version in versions if version.get("storage")) != 1:
        yield invalid(path, versions, "must have exactly one version marked as storage version")


def _deprecation(version: Json, path: Path) -> Iterator[Problem]:
    text = version.get("deprecationWarning")
    if text is None:
        return
    if not version.get("deprecated"):
        yield invalid(path, text, "can only be set for deprecated versions")
        return
    if len(text.encode()) > 256:
        yield invalid(path, text, "must be <= 256 characters long")
    if not text:
        yield invalid(path, text, "must not be an empty string")
    at = next((at for at, char in enumerate(text) if not char.isprintable()), None)
    if at is not None:
        index = len(text[:at].encode())
        yield invalid(path, text, "must only contain printable UTF-8 characters; non-printable character found at "
                      f"index {index}")  # fmt: skip


#: Parts of a version that the original keeps, and names, once where all versions have the same, in order of checking.
_PARTS = ("schema", "subresources", "additionalPrinterColumns", "selectableFields")


def _whole(versions: list[Json]) -> set[str]:
    return {word for word in _PARTS
            if versions and all(same(each.get(word), versions[0].get(word)) for each in versions)}  # fmt: skip


def check_shared(spec: Json) -> Iterator[Problem]:
    """Every problem of what all versions have alike."""
    versions = spec.get("versions") or []
    whole = _whole(versions)
    for word in _PARTS:
        if word in whole:
            yield from _part(versions[0], word, _SPEC, *versions)


def _part(version: Json, word: str, path: Path, *served: Json) -> Iterator[Problem]:
    """The problems of one part of a version, or of all that are `served` by the same part."""
    match word:
        case "schema":
            here = path / ("validation" if path is _SPEC else "schema")
            status = any((each.get("subresources") or {}).get("status") is not None for each in served)
            yield from _schema(version, here / "openAPIV3Schema", status)
        case "subresources":
            yield from _subresources(version.get("subresources") or {}, path / "subresources")
        case "additionalPrinterColumns":
            for number, column in enumerate(version.get("additionalPrinterColumns") or ()):
                yield from _column(column, (path / "additionalPrinterColumns")[number])
        case _:
            yield from _selectable(version, path / "selectableFields")


def _schema(version: Json, path: Path, status: bool) -> Iterator[Problem]:
    schema = (version.get("schema") or {}).get("openAPIV3Schema")
    if not schema:
        return
    yield from structural.at_root(schema, path, status=status)
    sound = False
    if structural.readable(schema):
        found = structural.structure(schema, path) or list(defaults.check(schema, path))
        yield from found
        sound = not found
    wrong = [*structural.words(schema, path), *rulechecks.check_words(schema, path)]
    yield from wrong
    if sound and not wrong:
        yield from rulechecks.check(schema, path)


def _has_default(version: Json) -> bool:
    return b'"default":' in orjson.dumps((version.get("schema") or {}).get("openAPIV3Schema"))


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
    seen = set()
    for at, each in enumerate(found):
        here, text = path[at] / "jsonPath", each.get("jsonPath") or ""
        if not text:
            yield required(here)
            continue
        try:
            steps, node = expressions.field_path(text, schema, lists=False)
        except expressions.BadPath as error:
            yield invalid(here, text, f"is an invalid path: {error}")
            continue
        if steps[0] == "metadata":
            yield invalid(here, text, "must not point to fields in metadata")
        if node.get("type") not in ("string", "boolean", "integer"):
            yield invalid(here, text, "must point to a field of type string, boolean or integer. Enum string fields "
                          "and strings with formats are allowed.")  # fmt: skip
        if steps in seen:
            yield duplicate(here, text)
        seen.add(steps)
    if len(seen) > SELECTABLE_MAX:
        yield too_many(path, len(seen), SELECTABLE_MAX)
