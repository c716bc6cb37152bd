"""What an object uses of a quota, and which quotas are about it. Pure: for admission and for the quota controller.

An *evaluator* is what knows one kind: the names it can be bounded by (`tracks`), its usage (`usage_of`), the scopes it
is in (`in_scope`), and what it must say to be counted at all (`missing`). Every other kind is only counted.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from kaa.kinds import printing
from kaa.kinds.core.quality import quality_of_service
from kaa.kinds.core.resources import is_extended, is_native
from kaa.meta import quantity
from kaa.meta.quantity import Quantity

__all__ = [
    "Amounts", "add", "amounts", "covers", "exceeded", "in_scope", "missing", "object_count", "resources_named",
    "scopes_of", "shown", "subtract", "texts", "totals", "tracks", "usage_of",
]  # fmt: skip

Json = dict[str, Any]
Amounts = dict[str, Quantity]

ONE = Quantity(quantity.NANO)
ZERO = Quantity(0)

_COMPUTE = ("cpu", "memory", "ephemeral-storage")
_POD_NAMES = frozenset({
    "count/pods", "pods", *_COMPUTE, *(f"requests.{each}" for each in _COMPUTE),
    *(f"limits.{each}" for each in _COMPUTE),
})  # fmt: skip
#: What pods must say of each container where a quota bounds it: a mistake of old that stays as it is.
_REQUIRED = frozenset({"cpu", "memory", "requests.cpu", "requests.memory", "limits.cpu", "limits.memory"})
_SERVICE_NAMES = frozenset({"count/services", "services", "services.loadbalancers", "services.nodeports"})
_CLAIM_NAMES = ("persistentvolumeclaims", "requests.storage")
_CLASS = ".storageclass.storage.k8s.io/"
_CLASS_ANNOTATION = "volume.beta.kubernetes.io/storage-class"
_DEVICES = ".deviceclass.resource.k8s.io/devices"
#: Counted under their own name too, from before there was `count/`.
_OLD_COUNTS = ("configmaps", "resourcequotas", "replicationcontrollers", "secrets")
#: The most devices one request for all of them can be given.
_DEVICES_MAX = 32
_HUGE = ("hugepages-", "requests.hugepages-")


# --- amounts


def amounts(texts_: Mapping[str, Any] | None) -> Amounts:
    """Quantities of a resource list."""
    return {name: quantity.parse(text) for name, text in (texts_ or {}).items()}


def texts(found: Mapping[str, Quantity]) -> dict[str, str]:
    """A resource list as it is written."""
    return {name: str(amount) for name, amount in found.items()}


def shown(found: Mapping[str, Quantity]) -> str:
    """`cpu=1,pods=2`: how messages list amounts."""
    return ",".join(f"{name}={found[name]}" for name in sorted(found))


def add(to: Mapping[str, Quantity], more: Mapping[str, Quantity]) -> Amounts:
    """The sum of two lists."""
    total = dict(to)
    for name, amount in more.items():
        total[name] = total[name] + amount if name in total else amount
    return total


def subtract(from_: Mapping[str, Quantity], less: Mapping[str, Quantity]) -> Amounts:
    """What is left of a list, never below zero."""
    left = dict(from_)
    for name, amount in less.items():
        if name in left:
            left[name] = left[name] - amount if left[name] > amount else Quantity(0, left[name].format)
    return left


def exceeded(wanted: Mapping[str, Quantity], hard: Mapping[str, Quantity]) -> list[str]:
    """The names of which more is wanted than there may be."""
    return [name for name, amount in wanted.items() if name in hard and amount > hard[name]]


# --- pods


def totals(spec: Json, field: str, *, overhead: bool = True) -> Amounts:
    """What a pod asks for as a whole (`field` is "requests" or "limits") at the moment it asks for most.

    Containers together, or an init container with the sidecars started before it if that is more; what the pod says
    for itself goes before its containers; the overhead of its runtime class comes on top.
    """

    def of(part: Json) -> Amounts:
        return amounts((part.get("resources") or {}).get(field))

    total: Amounts = {}
    for container in spec.get("containers") or ():
        total = add(total, of(container))
    sidecars: Amounts = {}
    most: Amounts = {}
    for container in spec.get("initContainers") or ():
        asked = of(container)
        if container.get("restartPolicy") == "Always":
            total, sidecars = add(total, asked), add(sidecars, asked)
            asked = sidecars
        else:
            asked = add(sidecars, asked)
        for name, amount in asked.items():
            most[name] = max(most.get(name, amount), amount)
    for name, amount in most.items():
        total[name] = max(total.get(name, amount), amount)
    if spec.get("resources"):
        own = of(spec)
        total.update({name: own[name] for name in own if name in ("cpu", "memory") or name.startswith("hugepages-")})
    if overhead and spec.get("overhead"):
        more = amounts(spec["overhead"])
        if field == "limits":
            more = {name: amount for name, amount in more.items() if total.get(name)}
        total = add(total, more)
    return total


def _compute(requests: Mapping[str, Quantity], limits: Mapping[str, Quantity]) -> Amounts:
    found: Amounts = {"pods": ONE}
    for name in _COMPUTE:
        if name in requests:
            found[name] = found[f"requests.{name}"] = requests[name]
        if name in limits:
            found[f"limits.{name}"] = limits[name]
    for name, amount in requests.items():
        if name.startswith("hugepages-"):
            found[name] = found[f"requests.{name}"] = amount
        elif is_extended(name):
            found[f"requests.{name}"] = amount
    return found


def _is_over(pod: Json, now: float) -> bool:
    """Whether a pod holds nothing any more: it finished, or should have been gone by now."""
    if (pod.get("status") or {}).get("phase") in ("Succeeded", "Failed"):
        return True
    meta = pod["metadata"]
    ends, grace = meta.get("deletionTimestamp"), meta.get("deletionGracePeriodSeconds")
    if not ends or grace is None:
        return False
    return bool(now > printing.seconds(ends) + grace)


def _pod(pod: Json, now: float) -> Amounts:
    found: Amounts = {"count/pods": ONE}
    if not _is_over(pod, now):
        spec = pod.get("spec") or {}
        found.update(_compute(totals(spec, "requests"), totals(spec, "limits")))
    return found


def _foreign(terms: Json | None) -> bool:
    required = (terms or {}).get("requiredDuringSchedulingIgnoredDuringExecution") or ()
    preferred = (terms or {}).get("preferredDuringSchedulingIgnoredDuringExecution") or ()
    every = (*required, *(each.get("podAffinityTerm") or {} for each in preferred))
    return any(each.get("namespaces") or each.get("namespaceSelector") is not None for each in every)


# --- services, volume claims, device claims, and the rest


def _service(service: Json) -> Amounts:
    spec = service.get("spec") or {}
    ports, kind = spec.get("ports") or (), spec.get("type")
    node_ports = 0
    if kind == "NodePort" or (kind == "LoadBalancer" and spec.get("allocateLoadBalancerNodePorts") is not False):
        node_ports = len(ports)
    elif kind == "LoadBalancer":
        node_ports = sum(1 for port in ports if port.get("nodePort"))
    return {
        "count/services": ONE, "services": ONE, "services.nodeports": Quantity(node_ports * quantity.NANO),
        "services.loadbalancers": ONE if kind == "LoadBalancer" else ZERO,
    }  # fmt: skip


def _whole(amount: Quantity) -> Quantity:
    return amount if amount.nano % quantity.NANO == 0 else Quantity(amount.value * quantity.NANO, amount.format)


def _claim(claim: Json) -> Amounts:
    spec, status = claim.get("spec") or {}, claim.get("status") or {}
    found: Amounts = {"count/persistentvolumeclaims": ONE, "persistentvolumeclaims": ONE}
    class_name = (claim["metadata"].get("annotations") or {}).get(_CLASS_ANNOTATION) or spec.get("storageClassName")
    asked = (spec.get("resources") or {}).get("requests", {}).get("storage")
    if asked is not None:
        size = _whole(quantity.parse(asked))
        given = (status.get("allocatedResources") or {}).get("storage")
        if given is not None and quantity.parse(given) > size:
            size = _whole(quantity.parse(given))
        found["requests.storage"] = size
    if class_name:
        for name in _CLAIM_NAMES:
            if name in found:
                found[class_name + _CLASS + name] = found[name]
    return found


def _device_claim(claim: Json) -> Amounts:
    found: Amounts = {"count/resourceclaims.resource.k8s.io": ONE}
    for request in ((claim.get("spec") or {}).get("devices") or {}).get("requests") or ():
        most: dict[str, int] = {}
        for each in [request["exactly"]] if request.get("exactly") else request.get("firstAvailable") or ():
            count = _DEVICES_MAX if each.get("allocationMode") == "All" else int(each.get("count") or 1)
            name = each.get("deviceClassName", "") + _DEVICES
            most[name] = max(most.get(name, 0), count)
        for name, count in most.items():
            found = add(found, {name: Quantity(count * quantity.NANO)})
    return found


def object_count(qualified: str) -> str:
    """What objects of a kind are counted by: `count/deployments.apps`."""
    return f"count/{qualified}"


def usage_of(qualified: str, obj: Json, now: float) -> Amounts:
    """What an object of a resource (`pods`, `deployments.apps`) uses at a time, by every name it can be bounded by."""
    if qualified == "pods":
        return _pod(obj, now)
    if qualified == "services":
        return _service(obj)
    if qualified == "persistentvolumeclaims":
        return _claim(obj)
    if qualified == "resourceclaims.resource.k8s.io":
        return _device_claim(obj)
    found = {object_count(qualified): ONE}
    if qualified in _OLD_COUNTS:
        found[qualified] = ONE
    return found


def _tracks(qualified: str, name: str) -> bool:
    if qualified == "pods":
        return name in _POD_NAMES or name.startswith(_HUGE) or (name.startswith("requests.") and not is_native(name))
    if qualified == "services":
        return name in _SERVICE_NAMES
    if qualified == "persistentvolumeclaims":
        return name in ("count/persistentvolumeclaims", *_CLAIM_NAMES) or name.endswith(
            tuple(_CLASS + each for each in _CLAIM_NAMES)
        )
    if qualified == "resourceclaims.resource.k8s.io" and name.endswith(_DEVICES):
        return True
    return name == object_count(qualified) or (qualified in _OLD_COUNTS and name == qualified)


def tracks(qualified: str, names: Iterable[str]) -> list[str]:
    """The names, of those that a quota bounds, that objects of this resource count for."""
    return [name for name in names if _tracks(qualified, name)]


def resources_named(names: Iterable[str]) -> set[str]:
    """The resources whose objects count for any of these names."""
    found = set()
    for name in names:
        if name.startswith("count/"):
            found.add(name.removeprefix("count/"))
        elif name in _OLD_COUNTS:
            found.add(name)
        else:
            for qualified in ("pods", "services", "persistentvolumeclaims", "resourceclaims.resource.k8s.io"):
                if _tracks(qualified, name):
                    found.add(qualified)
                    break
    return found


# --- scopes


def scopes_of(quota: Json) -> list[Json]:
    """What an object must be in for a quota to be about it, as expressions."""
    spec = quota.get("spec") or {}
    plain = [{"scopeName": scope, "operator": "Exists"} for scope in spec.get("scopes") or ()]
    return plain + list((spec.get("scopeSelector") or {}).get("matchExpressions") or ())


def _selected(expression: Json, values: set[str]) -> bool:
    operator, wanted = expression.get("operator"), set(expression.get("values") or ())
    if operator == "Exists":
        return bool(values)
    if operator == "DoesNotExist":
        return not values
    if operator == "In":
        return bool(values & wanted)
    return not values or bool(values - wanted)


def in_scope(qualified: str, expression: Json, obj: Json) -> bool:
    """Whether an object is in a scope. Only pods and volume claims are in any."""
    scope, spec = expression.get("scopeName"), obj.get("spec") or {}
    if qualified == "persistentvolumeclaims" and scope == "VolumeAttributesClass":
        status = obj.get("status") or {}
        names = (spec.get("volumeAttributesClassName"), status.get("currentVolumeAttributesClassName"),
                 (status.get("modifyVolumeStatus") or {}).get("targetVolumeAttributesClassName"))  # fmt: skip
        return _selected(expression, {name for name in names if name})
    if qualified != "pods":
        return False
    if scope in ("Terminating", "NotTerminating"):
        return (spec.get("activeDeadlineSeconds") is not None) is (scope == "Terminating")
    if scope in ("BestEffort", "NotBestEffort"):
        return (quality_of_service(spec) == "BestEffort") is (scope == "BestEffort")
    if scope == "PriorityClass":
        name = spec.get("priorityClassName")
        return _selected(expression, {name} if name else set())
    if scope == "CrossNamespacePodAffinity":
        affinity = spec.get("affinity") or {}
        return _foreign(affinity.get("podAffinity")) or _foreign(affinity.get("podAntiAffinity"))
    return False


def covers(scopes: Iterable[Json], qualified: str, obj: Json) -> bool:
    """Whether an object is in every scope of a quota."""
    return all(in_scope(qualified, each, obj) for each in scopes)


def missing(qualified: str, obj: Json, tracked: Iterable[str]) -> str:
    """What an object must say and does not, where a quota bounds it: `must specify cpu for: a,b`; "" for nothing."""
    required = _REQUIRED.intersection(tracked) if qualified == "pods" else ()
    if not required:
        return ""
    lacking: dict[str, set[str]] = {}
    spec = obj.get("spec") or {}
    if spec.get("resources"):  # the pod as a whole has said it
        required = required - set(_compute(*(amounts(spec["resources"].get(each)) for each in ("requests", "limits"))))
    for container in (*(spec.get("containers") or ()), *(spec.get("initContainers") or ())):
        resources = container.get("resources") or {}
        said = _compute(amounts(resources.get("requests")), amounts(resources.get("limits")))
        for name in required:
            if name not in said:
                lacking.setdefault(name, set()).add(container["name"])
    if not lacking:
        return ""
    return "must specify " + "; ".join(f"{name} for: {','.join(sorted(lacking[name]))}" for name in sorted(lacking))
