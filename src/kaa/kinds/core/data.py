"""ConfigMaps and Secrets: keys, sizes, types and immutability; and ServiceAccounts, which name Secrets."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Any

import orjson

from kaa.kinds import printing
from kaa.kinds.spec import AGE_COLUMN, NAME_COLUMN, Column, Rules
from kaa.meta import names
from kaa.meta.problems import Path, Problem, forbidden_field, invalid, required, too_long

__all__ = ["CONFIG_MAP", "SECRET", "SERVICE_ACCOUNT"]

Json = dict[str, Any]
SIZE_MAX = 1024 * 1024
_FROZEN = "field is immutable when `immutable` is set"


def _config_validate(obj: Json) -> Iterator[Problem]:
    data, binary = obj.get("data") or {}, obj.get("binaryData") or {}
    size = 0
    for key, value in data.items():
        for wrong in names.config_map_key(key):
            yield invalid((Path() / "data")[key], key, wrong)
        if key in binary:
            yield invalid((Path() / "data")[key], key, "duplicate of key present in binaryData")
        size += len(value) if value.isascii() else len(value.encode())
    for key, value in binary.items():
        for wrong in names.config_map_key(key):
            yield invalid((Path() / "binaryData")[key], key, wrong)
        size += _decoded_size(value)
    if size > SIZE_MAX:
        yield too_long(Path(), SIZE_MAX)


def _decoded_size(value: str) -> int:
    return len(value) // 4 * 3 - value[-2:].count("=")


def _frozen(fields: tuple[str, ...], new: Json, old: Json) -> Iterator[Problem]:
    if not old.get("immutable"):
        return
    if not new.get("immutable"):
        yield forbidden_field(Path() / "immutable", _FROZEN)
    for name in fields:
        if (new.get(name) or {}) != (old.get(name) or {}):
            yield forbidden_field(Path() / name, _FROZEN)


def _config_update(new: Json, old: Json) -> Iterator[Problem]:
    yield from _frozen(("data", "binaryData"), new, old)


def _config_cells(obj: Json, now: float) -> list[Any]:
    count = len(obj.get("data") or {}) + len(obj.get("binaryData") or {})
    return [obj["metadata"].get("name", ""), count, printing.age(obj, now)]


CONFIG_MAP = Rules(
    validate=_config_validate,
    validate_update=_config_update,
    columns=(NAME_COLUMN, Column("Data"), AGE_COLUMN),
    cells=_config_cells,
)


def _secret_default(obj: Json) -> None:
    obj["type"] = obj.get("type") or "Opaque"
    plain = obj.pop("stringData", None)
    if plain:
        # Write-only: what is kept, and read back, is data.
        data = obj.setdefault("data", {})
        for key, value in plain.items():
            data[key] = base64.b64encode(value.encode()).decode()


_ACCOUNT = "kubernetes.io/service-account.name"


def _secret_validate(obj: Json) -> Iterator[Problem]:
    data = obj.get("data") or {}
    path = Path() / "data"
    size = 0
    for key, value in data.items():
        for wrong in names.config_map_key(key):
            yield invalid(path[key], key, wrong)
        size += _decoded_size(value)
    if size > SIZE_MAX:
        yield too_long(path, SIZE_MAX)
    kind = obj.get("type", "")
    if kind == "kubernetes.io/service-account-token":
        if not (obj["metadata"].get("annotations") or {}).get(_ACCOUNT):
            yield required((Path() / "metadata" / "annotations")[_ACCOUNT])
    elif kind in ("kubernetes.io/dockercfg", "kubernetes.io/dockerconfigjson"):
        key = ".dockercfg" if kind.endswith("cfg") else ".dockerconfigjson"
        wrong = _json_problem(data[key]) if key in data else ""
        if key not in data:
            yield required(path[key])
        elif wrong:
            yield invalid(path[key], "<secret contents redacted>", wrong)
    elif kind == "kubernetes.io/basic-auth":
        if "username" not in data and "password" not in data:
            yield required(path["username"])
            yield required(path["password"])
    elif kind == "kubernetes.io/ssh-auth":
        if not data.get("ssh-privatekey"):
            yield required(path["ssh-privatekey"])
    elif kind == "kubernetes.io/tls":
        for key in ("tls.crt", "tls.key"):
            if key not in data:
                yield required(path[key])


def _json_problem(value: str) -> str:
    """What is wrong with a JSON object in base64, as the original's reader says it; "" where nothing is."""
    raw = base64.b64decode(value)
    try:
        found = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        text = raw.decode(errors="replace")
        if error.pos >= len(text.rstrip()):
            return "unexpected end of JSON input"
        return f"invalid character '{text[error.pos]}' looking for beginning of value"
    if isinstance(found, dict) or found is None:
        return ""
    word = {str: "string", bool: "bool", list: "array"}.get(type(found), "number")
    return f"json: cannot unmarshal {word} into Go value of type map[string]interface {{}}"


def _secret_update(new: Json, old: Json) -> Iterator[Problem]:
    if new.get("type") != old.get("type"):
        yield invalid(Path() / "type", new.get("type"), "field is immutable")
    yield from _frozen(("data",), new, old)


def _secret_cells(obj: Json, now: float) -> list[Any]:
    return [obj["metadata"].get("name", ""), obj.get("type", ""), len(obj.get("data") or {}), printing.age(obj, now)]


SECRET = Rules(
    default=_secret_default,
    validate=_secret_validate,
    validate_update=_secret_update,
    selectable={"type": lambda obj: str(obj.get("type", ""))},
    columns=(NAME_COLUMN, Column("Type"), Column("Data"), AGE_COLUMN),
    cells=_secret_cells,
)


def _account_cells(obj: Json, now: float) -> list[Any]:
    return [obj["metadata"].get("name", ""), len(obj.get("secrets") or ()), printing.age(obj, now)]


_MOUNTABLE = "kubernetes.io/enforce-mountable-secrets"


def _account_warnings(obj: Json, old: Json | None) -> Iterator[str]:
    notes = obj["metadata"].get("annotations") or {}
    if _MOUNTABLE in notes and (old is None or (old["metadata"].get("annotations") or {}) != notes):
        yield (
            f"metadata.annotations[{_MOUNTABLE}]: deprecated in v1.32+; "
            "prefer separate namespaces to isolate access to mounted secrets"
        )


SERVICE_ACCOUNT = Rules(
    warnings=_account_warnings,
    columns=(NAME_COLUMN, Column("Secrets"), AGE_COLUMN),
    cells=_account_cells,
)
