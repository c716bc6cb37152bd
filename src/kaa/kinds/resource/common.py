"""What claims, classes and slices share: names, selectors, tolerations, opaque parameters."""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import orjson

from kaa.kinds import formats
from kaa.kinds.resource.expressions import selects_devices
from kaa.meta import names
from kaa.meta.problems import Path, Problem, duplicate, invalid, not_supported, required, too_long, too_many

__all__ = [
    "binding_conditions",
    "configuration",
    "fully_qualified_name",
    "label",
    "pool_name",
    "qualified_name",
    "raw_object",
    "selectors",
    "some",
    "some_in_map",
    "some_unique",
    "taint",
    "toleration",
    "uid",
]

Json = dict[str, Any]
Check = Callable[[Any, Path], Iterator[Problem]]

REQUESTS_MAX = 32
SELECTORS_MAX = 32
EXPRESSION_BYTES_MAX = 10 * 1024
PARAMETERS_BYTES_MAX = 10 * 1024
ID_BYTES_MAX = 32
DOMAIN_BYTES_MAX = 63
POOL_BYTES_MAX = 253
BINDING_CONDITIONS_MAX = 4
EFFECTS = ("NoExecute", "NoSchedule", "None")

# -- lists


def some(values: Sequence[Any], most: int, check: Check, path: Path) -> Iterator[Problem]:
    """Each value, unless there are too many: then only that is said."""
    if 0 <= most < len(values):
        yield too_many(path, len(values), most)
        return
    for at, each in enumerate(values):
        yield from check(each, path[at])


def some_unique(
    values: Sequence[Any], most: int, check: Check, key: Callable[[Any], Hashable], path: Path
) -> Iterator[Problem]:
    """Each value, and those that stand there again."""
    yield from some(values, most, check, path)
    if 0 <= most < len(values):
        return
    seen: set[Hashable] = set()
    for at, each in enumerate(values):
        found = key(each)
        if found in seen:
            yield duplicate(path[at], found)
        seen.add(found)


def some_in_map(
    values: Mapping[str, Any], most: int, key_length: int, key_check: Check, check: Check, path: Path
) -> Iterator[Problem]:
    """Each key and its value; keys that are too long are shortened in paths."""
    if 0 <= most < len(values):
        yield too_many(path, len(values), most)
        return
    for key, each in values.items():
        here = path[_shortened(key, key_length)]
        yield from key_check(key, here)
        yield from check(each, here)


def _shortened(text: str, most: int) -> str:
    most = max(most, 16)
    if len(text) <= most:
        return text
    rest = most - 3
    return f"{text[: (rest + 1) // 2]}...{text[len(text) - rest // 2 :]}"


# -- names


def label(value: str, path: Path) -> Iterator[Problem]:
    """A request, a device, a counter."""
    yield from formats.each_wrong(names.dns1123_label, value, path)


def pool_name(value: str, path: Path) -> Iterator[Problem]:
    """Domains separated by slashes."""
    if not value:
        yield required(path)
        return
    if len(value.encode()) > POOL_BYTES_MAX:
        yield too_long(path, POOL_BYTES_MAX)
    for part in value.split("/"):
        yield from formats.each_wrong(names.dns1123_subdomain, part, path)


def _identifier(value: str, path: Path) -> Iterator[Problem]:
    if len(value.encode()) > ID_BYTES_MAX:
        yield too_long(path, ID_BYTES_MAX)
    yield from formats.each_wrong(names.c_identifier, value, path)


def qualified_name(value: str, path: Path) -> Iterator[Problem]:
    """An attribute or a capacity: an identifier, perhaps of a domain."""
    parts = value.split("/")
    if len(parts) == 1:
        yield from _identifier(value, path)
    elif len(parts) == 2:
        if not parts[0]:
            yield invalid(path, "", "the domain must not be empty")
        else:
            yield from formats.driver_name(parts[0], path)
        if not parts[1]:
            yield invalid(path, "", "the name must not be empty")
        else:
            yield from _identifier(parts[1], path)


def fully_qualified_name(value: str, path: Path) -> Iterator[Problem]:
    """An identifier of a domain."""
    yield from qualified_name(value, path)
    if "/" not in value:
        yield invalid(path, value, "a fully qualified name must be a domain and a name separated by a slash")


_UUID = re.compile("[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}")


def uid(value: str, path: Path) -> Iterator[Problem]:
    """A UUID in its usual form."""
    if not _UUID.fullmatch(value):
        wrong = "invalid UUID format" if len(value) == 36 else f"invalid UUID length: {len(value)}"
        yield invalid(path, value, f"error validating uid: {wrong}")
    elif value != value.lower():
        yield invalid(
            path,
            value,
            "uid must be in RFC 4122 normalized form, `xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx` with lowercase "
            "hexadecimal characters",
        )


# -- selectors and configuration


def selectors(found: Sequence[Json], path: Path) -> Iterator[Problem]:
    """CEL expressions about a device."""
    yield from some(found, SELECTORS_MAX, _selector, path)


def _selector(found: Json, path: Path) -> Iterator[Problem]:
    cel = found.get("cel")
    if cel is None:
        yield required(path / "cel")
        return
    expression, here = cel.get("expression", ""), path / "cel" / "expression"
    if len(expression.encode()) > EXPRESSION_BYTES_MAX:
        yield too_long(here, EXPRESSION_BYTES_MAX)
        return
    yield from selects_devices(expression, here)


def configuration(found: Json, path: Path) -> Iterator[Problem]:
    """Parameters that only a driver understands."""
    opaque, here = found.get("opaque"), path / "opaque"
    if opaque is None:
        yield required(here)
        return
    yield from formats.driver_name(opaque.get("driver", ""), here / "driver")
    yield from raw_object(opaque.get("parameters"), here / "parameters", PARAMETERS_BYTES_MAX)


def raw_object(value: Any, path: Path, bytes_max: int) -> Iterator[Problem]:
    """A JSON object of any shape."""
    if value is None:
        yield required(path)
    elif len(orjson.dumps(value)) > bytes_max:
        yield too_long(path, bytes_max)
    elif not isinstance(value, dict):
        yield invalid(path, "<value omitted>", "must be a valid JSON object")


# -- taints and tolerations


def taint(found: Json, path: Path) -> Iterator[Problem]:
    """What keeps claims away from a device."""
    value, effect = found.get("value", ""), found.get("effect", "")
    yield from formats.label_name(found.get("key", ""), path / "key")
    if value:
        yield from formats.each_wrong(names.label_value, value, path / "value")
    if not effect:
        yield required(path / "effect")
    elif effect not in EFFECTS:
        yield not_supported(path / "effect", effect, EFFECTS)


def toleration(found: Json, path: Path) -> Iterator[Problem]:
    """Which taints a request bears."""
    key, operator, value, effect = (found.get(field, "") for field in ("key", "operator", "value", "effect"))
    if key:
        yield from formats.label_name(key, path / "key")
    if operator == "Exists":
        if value:
            yield invalid(path / "value", value, "must be empty for operator `Exists`")
    elif operator == "Equal":
        yield from formats.each_wrong(names.label_value, value, path / "value")
    elif not operator:
        yield required(path / "operator")
    else:
        yield not_supported(path / "operator", operator, ("Equal", "Exists"))
    if effect and effect not in EFFECTS:
        yield not_supported(path / "effect", effect, EFFECTS)


def binding_conditions(found: Json, path: Path) -> Iterator[Problem]:
    """Conditions to wait for before a pod is bound, and those that tell that waiting is vain."""
    good, bad = found.get("bindingConditions") or [], found.get("bindingFailureConditions") or []
    for field, values in (("bindingConditions", good), ("bindingFailureConditions", bad)):
        yield from some(values, BINDING_CONDITIONS_MAX, formats.label_name, path / field)
    yield from _again(good, path / "bindingConditions")
    here = path / "bindingFailureConditions"
    for at, each in enumerate(bad):
        if each in bad[:at]:
            yield duplicate(here[at], each)
        if each in good:
            yield invalid(here[at], each, "bindingFailureConditions must not overlap with bindingConditions")
    if bad and not good:
        text = "bindingConditions are required to use bindingFailureConditions"
        yield formats.of_nothing(invalid(path / "bindingConditions", None, text))
    if good and not bad:
        text = "bindingFailureConditions are required to use bindingConditions"
        yield formats.of_nothing(invalid(here, None, text))


def _again(values: Iterable[str], path: Path) -> Iterator[Problem]:
    seen: set[str] = set()
    for at, each in enumerate(values):
        if each in seen:
            yield duplicate(path[at], each)
        seen.add(each)
