"""Quantities as the kubelet needs them (whole units, thousandths), and the classes of service that follow from them."""

from collections.abc import Iterable, Mapping
from decimal import Decimal

from kaa.kinds.views import Pod
from kaa.kinds.views.core import Container
from kaa.meta.quantity import NANO, parse
from kaa.meta.quantity import milli as quantity_milli
from kaa.meta.quantity import value as quantity_value

__all__ = [
    "GUARANTEED_OOM_SCORE",
    "all_containers",
    "cpu_quota",
    "cpu_shares",
    "exact",
    "is_sidecar",
    "limit_of",
    "milli",
    "oom_score_adj",
    "pod_sums",
    "qos_class",
    "request_of",
    "whole",
]

QUOTA_PERIOD_US = 100_000
GUARANTEED_OOM_SCORE = -997
BEST_EFFORT_OOM_SCORE = 1000


def exact(text: str | int | float) -> Decimal:
    """The amount as a number. Raises QuantityError (the API server has validated what reaches here)."""
    return Decimal(parse(text).nano) / NANO


milli = quantity_milli
whole = quantity_value


def cpu_shares(milli_cpu: int) -> int:
    """cgroup v1 cpu.shares of a CPU request; at least 2, at most 262144."""
    return min(262144, max(2, milli_cpu * 1024 // 1000)) if milli_cpu else 2


def cpu_quota(milli_cpu: int) -> int:
    """Microseconds per 100 ms period of a CPU limit; at least 1000. 0: no limit."""
    return max(1000, milli_cpu * QUOTA_PERIOD_US // 1000) if milli_cpu else 0


def is_sidecar(container: Container) -> bool:
    """Of an init container: it keeps running beside the app containers."""
    return container.restart_policy == "Always"


def all_containers(pod: Pod) -> Iterable[Container]:
    """Init and app containers; ephemeral ones have no resources."""
    yield from pod.spec.init_containers
    yield from pod.spec.containers


def request_of(container: Container, name: str) -> str | int | float | None:
    """A request; a limit without one counts as the request, as admission would have defaulted it."""
    resources = container.resources
    return resources.requests.get(name, resources.limits.get(name))


def limit_of(container: Container, name: str) -> str | int | float | None:
    """A limit."""
    return container.resources.limits.get(name)


def qos_class(pod: Pod) -> str:
    """Guaranteed, Burstable or BestEffort, by cpu and memory of all containers, or of the pod where it states them."""
    parts = [pod.spec.resources] if pod.spec.resources else [c.resources for c in all_containers(pod)]
    any_set = False
    guaranteed = True
    for resources in parts:
        for name in ("cpu", "memory"):
            limit = exact(str(resources.limits.get(name, 0)))
            request = exact(str(resources.requests.get(name, resources.limits.get(name, 0))))
            any_set = any_set or bool(limit) or bool(request)
            if not limit or limit != request:
                guaranteed = False
    if not any_set:
        return "BestEffort"
    return "Guaranteed" if guaranteed else "Burstable"


def _sum(pod: Pod, name: str, of: Mapping[str, object] | str) -> tuple[Decimal, bool]:
    """The pod's effective sum (sidecars add up; other init containers are a floor), and whether each app container
    states the resource."""
    pick = limit_of if of == "limits" else request_of
    complete = True
    total = Decimal(0)
    sidecars = Decimal(0)
    floor = Decimal(0)
    for container in pod.spec.init_containers:
        amount = pick(container, name)
        value = exact(str(amount)) if amount is not None else Decimal(0)
        if is_sidecar(container):
            complete = complete and amount is not None
            sidecars += value
            floor = max(floor, sidecars)
        else:
            floor = max(floor, sidecars + value)
    for container in pod.spec.containers:
        amount = pick(container, name)
        complete = complete and amount is not None
        total += exact(str(amount)) if amount is not None else Decimal(0)
    return max(total + sidecars, floor), complete


def pod_sums(pod: Pod) -> tuple[int, int, int, int]:
    """(requested milli-CPU, CPU limit in milli-CPU or 0, requested memory bytes, memory limit or 0) of the pod."""
    stated = pod.spec.resources
    values: list[int] = []
    for name, scale in (("cpu", 1000), ("memory", 1)):
        request, _ = _sum(pod, name, "requests")
        limit, complete = _sum(pod, name, "limits")
        if not complete:
            limit = Decimal(0)
        if stated is not None:
            if name in stated.limits:
                limit = exact(str(stated.limits[name]))
            if name in stated.requests or name in stated.limits:
                request = exact(str(stated.requests.get(name, stated.limits.get(name, 0))))
        if name in pod.spec.overhead:
            overhead = exact(str(pod.spec.overhead[name]))
            request += overhead
            limit += overhead if limit else 0
        values += [int(request * scale), int(limit * scale)]
    return values[0], values[1], values[2], values[3]


def oom_score_adj(pod: Pod, container: Container, memory_capacity: int) -> int:
    """Who dies first when the node's memory is out: best effort first, guaranteed last."""
    if pod.spec.priority is not None and pod.spec.priority >= 2_000_000_000:
        return GUARANTEED_OOM_SCORE
    match qos_class(pod):
        case "Guaranteed":
            return GUARANTEED_OOM_SCORE
        case "BestEffort":
            return BEST_EFFORT_OOM_SCORE
    requested = whole(request_of(container, "memory") or 0)
    score = 1000 - (1000 * requested) // max(1, memory_capacity)
    # Above the guaranteed ones, below the best-effort ones.
    if score < 1000 + GUARANTEED_OOM_SCORE:
        return 1000 + GUARANTEED_OOM_SCORE
    return 999 if score >= 1000 else int(score)
