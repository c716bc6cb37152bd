"""Objects as protobuf and back: the form that clients in Go send and ask for on built-in kinds.

Nothing is generated: a message is read and written by its field numbers (a table) along its schema. The envelope is
four magic bytes and an `Unknown` message that says apiVersion and kind and holds the object's own bytes.

Go clients write every plain field, zero or not, and pointers only when set. The JSON form has no zeros for plain
fields, so a zero is kept only where it can mean something: fields that are pointers in the API's Go types, and required
ones.
"""

import base64
import struct
from collections.abc import Callable
from datetime import UTC, datetime
from functools import cache
from typing import Any

import orjson

from kaa.kinds import tables
from kaa.meta.quantity import parse as parse_quantity
from kaa.meta.schema import Schema

__all__ = ["MAGIC", "MalformedProtobuf", "decode", "decode_envelope", "encode", "encode_envelope",
           "encode_list", "encode_watch_event", "message_of"]  # fmt: skip

Json = dict[str, Any]
MAGIC = b"k8s\x00"
DEPTH_MAX = 64

_META = "k8s.io.apimachinery.pkg.apis.meta.v1."
_RUNTIME = "k8s.io.apimachinery.pkg.runtime."
_APIEXT = "k8s.io.apiextensions_apiserver.pkg.apis.apiextensions.v1."
QUANTITY = "k8s.io.apimachinery.pkg.api.resource.Quantity"
INT_OR_STRING = "k8s.io.apimachinery.pkg.util.intstr.IntOrString"

#: Protobuf field names that differ from the JSON names.
_JSON_NAMES = {
    "xKubernetesPreserveUnknownFields": "x-kubernetes-preserve-unknown-fields",
    "xKubernetesEmbeddedResource": "x-kubernetes-embedded-resource",
    "xKubernetesIntOrString": "x-kubernetes-int-or-string",
    "xKubernetesListMapKeys": "x-kubernetes-list-map-keys",
    "xKubernetesListType": "x-kubernetes-list-type",
    "xKubernetesMapType": "x-kubernetes-map-type",
    "xKubernetesValidations": "x-kubernetes-validations",
}
_JSON_NAMES_OF = {
    (_APIEXT + "JSONSchemaProps", "schema"): "$schema",
    (_APIEXT + "JSONSchemaProps", "ref"): "$ref",
}

#: Fields whose zero means something because absence means something else: pointers in the API's Go types.
_POINTERS = frozenset(
    """activeDeadlineSeconds allocateLoadBalancerNodePorts allowPrivilegeEscalation allowVolumeExpansion
    allowWatchBookmarks attachRequired automountServiceAccountToken averageUtilization backoffLimit
    backoffLimitPerIndex blockOwnerDeletion collisionCount completions containerLimit controller currentReplicas
    defaultMode deletionGracePeriodSeconds enableServiceLinks endPort expirationSeconds failedJobsHistoryLimit
    force fsGroup fsGroupChangePolicy globalDefault gracePeriodSeconds handSize hostUsers immutable
    jobsHistoryLimit lendablePercent limit manualSelector maxFailedIndexes maxSkew minDomains minReadySeconds
    minReplicas mode nominalConcurrencyShares observedGeneration optional orphanDependents parallelism partition
    percent pid podInfoOnMount port preserveUnknownFields priority privileged progressDeadlineSeconds ready
    readOnlyRootFilesystem replicas requiresRepublish revisionHistoryLimit runAsGroup runAsNonRoot runAsUser
    seLinuxMount sendInitialEvents serving setHostnameAsFQDN shareProcessNamespace sinceSeconds sizeBytes
    stabilizationWindowSeconds started startingDeadlineSeconds storageCapacity storageClassName
    successfulJobsHistoryLimit suspend tailLines terminating terminatingReplicas terminationGracePeriodSeconds
    timeoutSeconds tolerationSeconds ttlSecondsAfterFinished value volumeAttributesClassName""".split()
)
#: ... except in these messages, where the same name is a plain field.
_PLAIN = frozenset(
    {
        ("k8s.io.api.core.v1.Probe", "timeoutSeconds"),
        ("k8s.io.api.core.v1.EnvVar", "value"),
        ("k8s.io.api.core.v1.Taint", "value"),
        ("k8s.io.api.core.v1.Toleration", "value"),
        ("k8s.io.api.core.v1.ServicePort", "port"),
        ("k8s.io.api.apps.v1.DeploymentSpec", "minReadySeconds"),
        ("k8s.io.api.apps.v1.ReplicaSetSpec", "minReadySeconds"),
        ("k8s.io.api.apps.v1.StatefulSetSpec", "minReadySeconds"),
        ("k8s.io.api.apps.v1.DaemonSetSpec", "minReadySeconds"),
        ("k8s.io.api.core.v1.ReplicationControllerSpec", "minReadySeconds"),
        ("k8s.io.api.core.v1.PersistentVolumeSpec", "storageClassName"),
        (_META + "ListOptions", "limit"),
        (_META + "ListOptions", "allowWatchBookmarks"),
    }
)


class MalformedProtobuf(ValueError):
    """The bytes are not what they should be; the text says where."""


# --- reading ---------------------------------------------------------------------------------------------------------


def decode_envelope(body: bytes) -> tuple[str, str, bytes]:
    """apiVersion, kind and the object's own bytes. Raises MalformedProtobuf."""
    if not body.startswith(MAGIC):
        raise MalformedProtobuf(
            "provided data does not appear to be a protobuf message, expected prefix [107 56 115 0]"
        )
    api_version = kind = ""
    raw = b""
    for number, wire, value in _fields(body[len(MAGIC) :]):
        if number == 1 and wire == 2:
            for inner, inner_wire, text in _fields(value):
                if inner_wire == 2:
                    if inner == 1:
                        api_version = _text(text)
                    elif inner == 2:
                        kind = _text(text)
        elif number == 2 and wire == 2:
            raw = value
    return api_version, kind, raw


def decode(message: str, schema: Schema, raw: bytes) -> Json:
    """A message's bytes as the JSON form of the object (without apiVersion and kind). Raises MalformedProtobuf."""
    return _read(message, schema, raw, 0)


def _read(message: str, schema: Schema | None, raw: bytes, depth: int) -> Json:
    if depth > DEPTH_MAX:
        raise MalformedProtobuf(f"{message} is nested deeper than {DEPTH_MAX} levels")
    plan = _plan(message)
    out: Json = {}
    for number, wire, value in _fields(raw):
        field = plan.get(number)
        if field is None:
            continue  # a field of a newer client
        name, label, kind = field
        if label == "map":
            _read_map(out, name, kind, schema, value, depth)
            continue
        if kind in _BY_SELF:
            made = _read_special(kind, value)
            if made is not None:
                _store(out, name, label, made)
            continue
        if kind in _SCALARS:
            if label == "repeated" and wire == 2 and kind not in ("string", "bytes"):
                out.setdefault(name, []).extend(_packed(kind, value))
                continue
            made = _scalar(kind, wire, value, f"{message}.{name}")
            if label != "repeated" and not made and not _keeps_zero(message, name, schema):
                continue
            _store(out, name, label, made)
            continue
        if wire != 2:
            raise MalformedProtobuf(f"{message}.{name} has wire type {wire} where a message belongs")
        child = schema.child(name) if schema is not None else None
        if label == "repeated":
            items = child.items if child is not None else None
            out.setdefault(name, []).append(_read(kind, items, value, depth + 1))
        elif schema is not None and child is None and not schema.preserve_unknown:
            out.update(_read(kind, schema, value, depth + 1))  # a Go struct inlined into its parent's JSON
        else:
            out[name] = _read(kind, child, value, depth + 1)
    return out


def _store(out: Json, name: str, label: str, made: Any) -> None:
    if label == "repeated":
        out.setdefault(name, []).append(made)
    else:
        out[name] = made


def _read_map(out: Json, name: str, kind: str, schema: Schema | None, entry: bytes, depth: int) -> None:
    key, value = "", b""
    for number, wire, part in _fields(entry):
        if wire == 2:
            if number == 1:
                key = _text(part)
            else:
                value = part
    target = out.setdefault(name, {})
    if kind == "string":
        target[key] = _text(value)
    elif kind == "bytes":
        target[key] = base64.b64encode(value).decode()
    elif kind in _BY_SELF:
        target[key] = _read_special(kind, value)
    elif (plan := _plan(kind)) and list(plan.values()) == [("items", "repeated", "string")]:
        target[key] = _read(kind, None, value, depth + 1).get("items", [])  # a named list of strings
    else:
        child = schema.child(name) if schema is not None else None
        target[key] = _read(kind, child.values if child is not None else None, value, depth + 1)


def _keeps_zero(message: str, name: str, schema: Schema | None) -> bool:
    if name in _POINTERS and (message, name) not in _PLAIN:
        return True
    if schema is None or name not in schema.required:
        return False
    child = schema.fields.get(name)
    return child is not None and child.type in ("integer", "boolean")


def _read_special(kind: str, value: Any) -> Any:
    raw = bytes(value) if isinstance(value, bytes | bytearray | memoryview) else b""
    fields = {number: part for number, _, part in _fields(raw)}
    if kind == QUANTITY:
        return _text(fields.get(1, b"")) or "0"
    if kind == INT_OR_STRING:
        return _text(fields.get(3, b"")) if fields.get(1) else _signed(fields.get(2, 0), 32)
    if kind in (_META + "Time", _META + "MicroTime"):
        if not fields:
            return None
        seconds, nanos = _signed(fields.get(1, 0), 64), _signed(fields.get(2, 0), 32)
        try:
            at = datetime.fromtimestamp(seconds, UTC)
        except (OverflowError, OSError, ValueError) as error:
            raise MalformedProtobuf(f"time {seconds} is out of range") from error
        text = at.strftime("%Y-%m-%dT%H:%M:%S")
        return f"{text}.{nanos // 1000:06d}Z" if kind.endswith("MicroTime") else f"{text}Z"
    if kind == _APIEXT + "JSONSchemaPropsOrBool":
        return _schema_of(fields[2]) if 2 in fields else bool(fields.get(1))
    if kind == _APIEXT + "JSONSchemaPropsOrArray":
        if 1 in fields:
            return _schema_of(fields[1])
        return [_schema_of(part) for number, _, part in _fields(raw) if number == 2]
    if kind == _APIEXT + "JSONSchemaPropsOrStringArray":
        if 1 in fields:
            return _schema_of(fields[1])
        return [_text(part) for number, _, part in _fields(raw) if number == 2]
    # RawExtension, FieldsV1, JSON: bytes that are JSON already.
    inner = fields.get(1, b"")
    if not inner:
        return None
    try:
        return orjson.loads(inner)
    except orjson.JSONDecodeError as error:
        raise MalformedProtobuf(f"embedded JSON does not parse: {error}") from error


def _schema_of(raw: Any) -> Json:
    definition = "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSONSchemaProps"
    return _read(_APIEXT + "JSONSchemaProps", tables.schema(definition), bytes(raw), 1)


_BY_SELF = frozenset({
    QUANTITY, INT_OR_STRING, _META + "Time", _META + "MicroTime", _META + "FieldsV1",
    _RUNTIME + "RawExtension", _APIEXT + "JSON", _APIEXT + "JSONSchemaPropsOrBool", _APIEXT + "JSONSchemaPropsOrArray",
    _APIEXT + "JSONSchemaPropsOrStringArray",
})  # fmt: skip
_SCALARS = frozenset({"string", "bytes", "bool", "int32", "int64", "double"})


def _scalar(kind: str, wire: int, value: Any, where: str) -> Any:
    if kind in ("string", "bytes"):
        if wire != 2:
            raise MalformedProtobuf(f"{where} has wire type {wire} where text belongs")
        return _text(value) if kind == "string" else base64.b64encode(value).decode()
    if kind == "double":
        if wire != 1:
            raise MalformedProtobuf(f"{where} has wire type {wire} where a double belongs")
        return struct.unpack("<d", value)[0]
    if wire != 0:
        raise MalformedProtobuf(f"{where} has wire type {wire} where a number belongs")
    return bool(value) if kind == "bool" else _signed(value, 64)


def _packed(kind: str, raw: bytes) -> list[Any]:
    if kind == "double":
        return list(struct.unpack(f"<{len(raw) // 8}d", raw))
    found, at = [], 0
    while at < len(raw):
        value, at = _varint(raw, at)
        found.append(bool(value) if kind == "bool" else _signed(value, 64))
    return found


def _text(raw: Any) -> str:
    try:
        return bytes(raw).decode()
    except UnicodeDecodeError as error:
        raise MalformedProtobuf(f"text is not UTF-8: {error}") from error


def _signed(value: Any, bits: int) -> int:
    number = int(value)
    if bits == 32:
        number &= 0xFFFFFFFF
    return number - (1 << bits) if number >= 1 << (bits - 1) else number


def _varint(raw: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        if at >= len(raw) or shift > 63:
            raise MalformedProtobuf("unexpected end of a number")
        byte = raw[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value & 0xFFFFFFFFFFFFFFFF, at
        shift += 7


def _fields(raw: bytes) -> list[tuple[int, int, Any]]:
    found: list[tuple[int, int, Any]] = []
    at, end = 0, len(raw)
    while at < end:
        key, at = _varint(raw, at)
        number, wire = key >> 3, key & 7
        value: Any
        if wire == 0:
            value, at = _varint(raw, at)
        elif wire == 2:
            size, at = _varint(raw, at)
            value = raw[at : at + size]
            if len(value) != size:
                raise MalformedProtobuf("unexpected EOF")
            at += size
        elif wire in (1, 5):
            size = 8 if wire == 1 else 4
            value = raw[at : at + size]
            if len(value) != size:
                raise MalformedProtobuf("unexpected EOF")
            at += size
        else:
            raise MalformedProtobuf(f"wire type {wire} is not known")
        found.append((number, wire, value))
    return found


@cache
def _plan(message: str) -> dict[int, tuple[str, str, str]]:
    """Field number -> (JSON name, label, type), types with their full names."""
    fields = tables.protobuf_fields().get(message)
    if fields is None:
        raise MalformedProtobuf(f"the message {message} is not known")
    package = message.rpartition(".")[0]
    plan = {}
    for name, (number, label, kind) in fields.items():
        if kind not in _SCALARS:
            kind = kind[1:] if kind.startswith(".") else f"{package}.{kind}"
        plan[number] = (_JSON_NAMES_OF.get((message, name), _JSON_NAMES.get(name, name)), label, kind)
    return plan


# --- writing ---------------------------------------------------------------------------------------------------------


def encode_envelope(api_version: str, kind: str, raw: bytes) -> bytes:
    """An object's own bytes in their envelope."""
    meta = _blob(1, api_version.encode()) + _blob(2, kind.encode())
    return b"".join((MAGIC, _blob(1, meta), _blob(2, raw), _blob(3, b""), _blob(4, b"")))


def encode_list(metadata: Json, items: list[bytes]) -> bytes:
    """The bytes of any kind's list message: they all have metadata and items under the same numbers."""
    meta = encode(_META + "ListMeta", metadata)
    return b"".join([_blob(1, meta), *(_blob(2, each) for each in items)])


def message_of(api_version: str, kind: str) -> str:
    """The message of a built-in kind; raises MalformedProtobuf for a kind that has none."""
    group, _, version = api_version.rpartition("/")
    if (api_version, kind) == ("v1", "Status"):
        return _META + "Status"
    message = tables.protobuf_message(tables.definition_of(group, version, kind))
    if message not in tables.protobuf_fields():
        raise MalformedProtobuf(f"{kind} of {api_version} has no protobuf form: use JSON")
    return message


def encode_watch_event(kind: str, enveloped: bytes) -> bytes:
    """A watch event as a length-delimited frame; its object is enveloped, the event itself is not."""
    event = _blob(1, kind.encode()) + _blob(2, _blob(1, enveloped))
    return struct.pack(">I", len(event)) + event


def encode(message: str, obj: Json) -> bytes:
    """The JSON form of an object as a message's bytes; apiVersion and kind are the envelope's."""
    return b"".join(_write(message, obj, 0))


def _write(message: str, obj: Json, depth: int) -> list[bytes]:
    if depth > DEPTH_MAX:
        raise MalformedProtobuf(f"{message} is nested deeper than {DEPTH_MAX} levels")
    out: list[bytes] = []
    for number, (name, label, kind) in _plan(message).items():
        value = obj.get(name)
        if value is None:
            if name not in obj and kind not in _SCALARS and label == "optional" and name in _INLINED:
                inner = b"".join(_write(kind, obj, depth + 1))
                if inner:
                    out.append(_blob(number, inner))
            continue
        if label == "map":
            for key in sorted(value):
                inner = _one(2, kind, value[key], depth)
                out.append(_blob(number, _blob(1, key.encode()) + inner))
        elif label == "repeated":
            out.extend(_one(number, kind, each, depth) for each in value)
        else:
            out.append(_one(number, kind, value, depth))
    return out


#: Go structs that are inlined into their parent's JSON, by their protobuf field name.
_INLINED = frozenset({"deviceConfiguration", "ephemeralContainerCommon", "handler", "ingressRuleValue",
                      "localObjectReference", "persistentVolumeSource", "rule", "ruleWithOperations",
                      "volumeSource"})  # fmt: skip


def _one(number: int, kind: str, value: Any, depth: int) -> bytes:
    writer = _WRITERS.get(kind)
    if writer is not None:
        return writer(number, value)
    if isinstance(value, list):  # a named list of strings, such as ExtraValue
        return _blob(number, b"".join(_blob(1, each.encode()) for each in value))
    return _blob(number, b"".join(_write(kind, value, depth + 1)))


def _number(value: int) -> bytes:
    value &= 0xFFFFFFFFFFFFFFFF
    if value < 0x80:
        return bytes((value,))
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _blob(number: int, raw: bytes) -> bytes:
    return _number(number << 3 | 2) + _number(len(raw)) + raw


def _int(number: int, value: Any) -> bytes:
    return _number(number << 3) + _number(int(value))


def _time(number: int, value: str) -> bytes:
    at = datetime.fromisoformat(value.replace("Z", "+00:00"))
    seconds = int((at.replace(microsecond=0) - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds())
    inner = _int(1, seconds) + (_int(2, at.microsecond * 1000) if at.microsecond else b"")
    return _blob(number, inner)


def _int_or_string(number: int, value: int | str) -> bytes:
    inner = _int(1, 1) + _blob(3, value.encode()) if isinstance(value, str) else _int(1, 0) + _int(2, value)
    return _blob(number, inner)


def _raw_json(number: int, value: Any) -> bytes:
    return _blob(number, _blob(1, orjson.dumps(value)))


def _schema_or_bool(number: int, value: Any) -> bytes:
    inner = (
        _int(1, int(value))
        if isinstance(value, bool)
        else (_int(1, 1) + _blob(2, encode(_APIEXT + "JSONSchemaProps", value)))
    )
    return _blob(number, inner)


def _schema_or_array(number: int, value: Any) -> bytes:
    if isinstance(value, list):
        return _blob(number, b"".join(_blob(2, encode(_APIEXT + "JSONSchemaProps", each)) for each in value))
    return _blob(number, _blob(1, encode(_APIEXT + "JSONSchemaProps", value)))


def _schema_or_strings(number: int, value: Any) -> bytes:
    if isinstance(value, list):
        return _blob(number, b"".join(_blob(2, each.encode()) for each in value))
    return _blob(number, _blob(1, encode(_APIEXT + "JSONSchemaProps", value)))


_WRITERS: dict[str, Callable[[int, Any], bytes]] = {
    "string": lambda number, value: _blob(number, str(value).encode()),
    "bytes": lambda number, value: _blob(number, base64.b64decode(value)),
    "bool": _int,
    "int32": _int,
    "int64": _int,
    "double": lambda number, value: _number(number << 3 | 1) + struct.pack("<d", value),
    QUANTITY: lambda number, value: _blob(number, _blob(1, str(parse_quantity(value)).encode())),
    INT_OR_STRING: _int_or_string,
    _META + "Time": _time,
    _META + "MicroTime": _time,
    _META + "FieldsV1": _raw_json,
    _RUNTIME + "RawExtension": _raw_json,
    _APIEXT + "JSON": _raw_json,
    _APIEXT + "JSONSchemaPropsOrBool": _schema_or_bool,
    _APIEXT + "JSONSchemaPropsOrArray": _schema_or_array,
    _APIEXT + "JSONSchemaPropsOrStringArray": _schema_or_strings,
}
