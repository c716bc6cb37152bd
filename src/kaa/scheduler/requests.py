"""What a pod asks for, in the units nodes are counted in. Pure.

Containers run together, init containers one after the other, and sidecars (init containers that restart always)
from their turn on: the largest need at any moment counts. Overhead comes on top; requests of the pod as a whole
replace the sum of its containers' for the resources they name.
"""

from collections.abc import Mapping

from kaa.kinds.views.core import Container, PodSpec
from kaa.meta import quantity

__all__ = ["CPU", "CPU_DEFAULT_MILLI", "EPHEMERAL", "MEMORY", "MEMORY_DEFAULT_BYTES", "amount", "pod_requests"]

CPU, MEMORY, EPHEMERAL, PODS = "cpu", "memory", "ephemeral-storage", "pods"
#: What a container that asks for nothing counts as when nodes are scored.
CPU_DEFAULT_MILLI = 100
MEMORY_DEFAULT_BYTES = 200 * 1024 * 1024
_POD_LEVEL = (CPU, MEMORY)
Amounts = dict[str, int]
Texts = Mapping[str, str | int | float]


def amount(resource: str, text: str | int | float) -> int:
    """Milli-units of CPU, whole units of anything else."""
    return quantity.milli(text) if resource == CPU else quantity.value(text)


def _amounts(texts: Texts) -> Amounts:
    return {name: amount(name, text) for name, text in texts.items()}


def _of_container(container: Container, missing: Amounts) -> Amounts:
    requests = _amounts(container.resources.requests)
    for name, assumed in missing.items():
        requests.setdefault(name, assumed)
    return requests


def _add(total: Amounts, more: Amounts) -> None:
    for name, value in more.items():
        total[name] = total.get(name, 0) + value


def _raise_to(total: Amounts, least: Amounts) -> None:
    for name, value in least.items():
        if value > total.get(name, 0):
            total[name] = value


def pod_requests(spec: PodSpec, *, missing: Amounts | None = None) -> Amounts:
    """What the pod needs of each resource. `missing` is assumed for containers that do not say."""
    missing = missing or {}
    total: Amounts = {}
    for container in spec.containers:
        _add(total, _of_container(container, missing))
    sidecars: Amounts = {}
    peak: Amounts = {}
    for container in spec.init_containers:
        needs = _of_container(container, missing)
        if container.restart_policy == "Always":
            _add(total, needs)
            _add(sidecars, needs)
            needs = dict(sidecars)
        else:
            _add(needs, sidecars)
        _raise_to(peak, needs)
    _raise_to(total, peak)
    if spec.resources is not None:
        for name, text in spec.resources.requests.items():
            if name in _POD_LEVEL or name.startswith("hugepages-"):
                total[name] = amount(name, text)
    if spec.overhead:
        _add(total, _amounts(spec.overhead))
    return total
