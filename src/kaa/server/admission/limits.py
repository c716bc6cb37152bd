"""LimitRanger: what a namespace's LimitRanges give to containers that ask for nothing, and refuse of what is asked."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from kaa.kinds.core.usage import Amounts, amounts, totals
from kaa.kinds.spec import KindSpec
from kaa.meta.quantity import NANO, Quantity
from kaa.server.admission.api import Attributes, Operation, Plugin
from kaa.server.admission.lookup import ByNamespace, kind
from kaa.server.objects import Objects

__all__ = ["LimitRanger"]

Json = dict[str, Any]

ANNOTATION = "kubernetes.io/limit-ranger"


@dataclass(frozen=True)
class _Item:
    """One row of a LimitRange, its amounts read."""

    type: str
    min: Amounts
    max: Amounts
    ratio: Amounts


@dataclass(frozen=True)
class _Range:
    """A LimitRange: what containers get by default, as it is written, and the rows."""

    requests: dict[str, str]
    limits: dict[str, str]
    items: tuple[_Item, ...]


def _compiled(obj: Json) -> _Range:
    requests: dict[str, str] = {}
    limits: dict[str, str] = {}
    items = []
    for each in (obj.get("spec") or {}).get("limits") or ():
        if each.get("type") == "Container":
            requests.update(each.get("defaultRequest") or {})
            limits.update(each.get("default") or {})
        parts = (amounts(each.get(field)) for field in ("min", "max", "maxLimitRequestRatio"))
        items.append(_Item(each.get("type", ""), *parts))
    return _Range(requests, limits, tuple(items))


class LimitRanger(Plugin):
    """Fills in what containers did not say, and refuses what is out of bounds: containers, pods, volume claims."""

    name = "LimitRanger"

    def __init__(self, objects: Objects) -> None:
        self._ranges = ByNamespace(objects.of(kind(objects, "", "v1", "limitranges")), _compiled)

    def handles(self, spec: KindSpec, subresource: str, operation: Operation) -> bool:
        """Pods when they are made or resized; claims when they are made or changed."""
        if spec.resource.qualified == "pods":
            return (subresource, operation) in (("", "CREATE"), ("resize", "UPDATE"))
        return spec.resource.qualified == "persistentvolumeclaims" and not subresource and (
            operation in ("CREATE", "UPDATE")
        )  # fmt: skip

    def mutate(self, attributes: Attributes) -> None:
        """Give containers the defaults; an annotation tells what was given."""
        if attributes.resource != "pods":
            return
        for each in self._ranges.of(attributes.namespace):
            if each.requests or each.limits:
                assert attributes.object is not None
                _fill(attributes.object, each)

    def validate(self, attributes: Attributes) -> None:
        """Raise 403 with everything that is out of bounds by the first range that has something to refuse."""
        for each in self._ranges.of(attributes.namespace):
            obj = attributes.object or {}
            if attributes.old is not None and obj["metadata"].get("deletionTimestamp"):
                return  # it is on its way out: its finalizers must be let go
            check = _pod_wrongs if attributes.resource == "pods" else _claim_wrongs
            wrongs = list(dict.fromkeys(check(obj.get("spec") or {}, each)))
            if wrongs:
                raise attributes.forbidden(wrongs[0] if len(wrongs) == 1 else f"[{', '.join(wrongs)}]")


def _fill(pod: Json, defaults: _Range) -> None:
    spec = pod.get("spec") or {}
    told: list[str] = []
    for part, word in (("containers", "container"), ("initContainers", "init container")):
        for container in spec.get(part) or ():
            for field, given in (("requests", defaults.requests), ("limits", defaults.limits)):
                have = (container.get("resources") or {}).get(field) or {}
                lacking = {name: amount for name, amount in given.items() if name not in have}
                if lacking:
                    container["resources"] = {**(container.get("resources") or {}), field: {**have, **lacking}}
                    told.append(f"{', '.join(sorted(lacking))} {field[:-1]} for {word} {container['name']}")
    if told:
        annotations = pod["metadata"].get("annotations") or {}
        pod["metadata"]["annotations"] = {**annotations, ANNOTATION: "LimitRanger plugin set: " + "; ".join(told)}


def _pod_wrongs(spec: Json, limit_range: _Range) -> Iterator[str]:
    for item in limit_range.items:
        if item.type == "Container":
            for part in ("containers", "initContainers"):
                for container in spec.get(part) or ():
                    resources = container.get("resources") or {}
                    requests, limits = amounts(resources.get("requests")), amounts(resources.get("limits"))
                    yield from _wrongs(item, requests, limits)
        elif item.type == "Pod":
            yield from _wrongs(item, totals(spec, "requests", overhead=False), totals(spec, "limits", overhead=False))


def _claim_wrongs(spec: Json, limit_range: _Range) -> Iterator[str]:
    requests = amounts((spec.get("resources") or {}).get("requests"))
    for item in limit_range.items:
        if item.type == "PersistentVolumeClaim":
            for name, least in sorted(item.min.items()):
                yield from _too_little(item.type, name, least, requests, {})
            for name, most in sorted(item.max.items()):
                start, asked = f"maximum {name} usage per {item.type} is {most}", requests.get(name)
                if asked is None:
                    yield f"{start}.  No request is specified"
                elif asked > most:
                    yield f"{start}, but request is {asked}"


def _wrongs(item: _Item, requests: Amounts, limits: Amounts) -> Iterator[str]:
    for name, least in sorted(item.min.items()):
        yield from _too_little(item.type, name, least, requests, limits)
    for name, most in sorted(item.max.items()):
        yield from _too_much(item.type, name, most, requests, limits)
    for name, ratio in sorted(item.ratio.items()):
        yield from _too_far_apart(item.type, name, ratio, requests, limits)


def _too_little(type_: str, name: str, least: Quantity, requests: Amounts, limits: Amounts) -> Iterator[str]:
    asked, limit = requests.get(name), limits.get(name)
    start = f"minimum {name} usage per {type_} is {least}"
    if asked is None:
        yield f"{start}.  No request is specified"
    elif asked < least:
        yield f"{start}, but request is {asked}"
    elif limit is not None and limit < least:
        yield f"{start}, but limit is {limit}"


def _too_much(type_: str, name: str, most: Quantity, requests: Amounts, limits: Amounts) -> Iterator[str]:
    asked, limit = requests.get(name), limits.get(name)
    start = f"maximum {name} usage per {type_} is {most}"
    if limit is None:
        yield f"{start}.  No limit is specified"
    elif limit > most:
        yield f"{start}, but limit is {limit}"
    elif asked is not None and asked > most:
        yield f"{start}, but request is {asked}"


def _too_far_apart(type_: str, name: str, most: Quantity, requests: Amounts, limits: Amounts) -> Iterator[str]:
    asked, limit = requests.get(name), limits.get(name)
    start = f"{name} max limit to request ratio per {type_} is {most}"
    if not asked:
        yield f"{start}, but no request is specified or request is 0"
    elif not limit:
        yield f"{start}, but no limit is specified or limit is 0"
    elif limit.nano * NANO > most.nano * asked.nano:
        yield f"{start}, but provided ratio is {limit.nano / asked.nano:f}"
