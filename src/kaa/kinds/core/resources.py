"""What is validated of resources: their names, their amounts, requests within limits, and claims on devices."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Any

from kaa.meta import names, quantity
from kaa.meta.problems import (
    NOWHERE,
    Path,
    Problem,
    duplicate,
    forbidden_field,
    invalid,
    not_found_field,
    not_supported,
    required,
)

__all__ = [
    "QUOTA_RESOURCES",
    "container_resource_name",
    "is_native",
    "is_overcommittable",
    "is_quota_resource",
    "quantity_problems",
    "quota_resource_name",
    "resource_name",
    "validate_pod_resources",
    "validate_resources",
]

Json = dict[str, Any]
NameCheck = Callable[[str, Path], Iterator[Problem]]

CONTAINER_RESOURCES = frozenset({"cpu", "memory", "ephemeral-storage"})
_COUNTS = frozenset(
    {
        "pods", "resourcequotas", "services", "replicationcontrollers", "secrets", "configmaps",
        "persistentvolumeclaims", "services.nodeports", "services.loadbalancers",
    }
)  # fmt: skip
#: What a quota may bound without a domain.
QUOTA_RESOURCES = (
    CONTAINER_RESOURCES
    | _COUNTS
    | {"requests.storage"}
    | {f"{kind}.{name}" for kind in ("requests", "limits") for name in CONTAINER_RESOURCES}
)
_STANDARD = QUOTA_RESOURCES | {"storage"}
NEGATIVE = "must be greater than or equal to 0"


def is_huge(name: str) -> bool:
    """Whether a resource is pages of memory of one size."""
    return name.startswith("hugepages-")


def is_native(name: str) -> bool:
    """Whether Kubernetes itself defines the resource."""
    return "/" not in name or "kubernetes.io/" in name


def is_overcommittable(name: str) -> bool:
    """Whether a request may be below its limit: extended resources and huge pages are whole or nothing."""
    return is_native(name) and not is_huge(name)


def is_extended(name: str) -> bool:
    """Whether a resource is one a device plugin or an operator brought, under a name that a quota can bound too."""
    return not is_native(name) and not name.startswith("requests.") and not names.qualified_name(f"requests.{name}")


def is_integer(name: str) -> bool:
    """Whether an amount is a count."""
    return name in _COUNTS or is_extended(name)


def is_quota_resource(name: str) -> bool:
    """Whether a quota knows the resource by name."""
    return name in QUOTA_RESOURCES or name.startswith(("hugepages-", "requests.hugepages-"))


def resource_name(name: str, path: Path) -> Iterator[Problem]:
    """The name of any resource: qualified, and known where it has no domain."""
    wrongs = names.qualified_name(name)
    for wrong in wrongs:
        yield invalid(path, name, wrong)
    if not wrongs and "/" not in name and name not in _STANDARD and not is_quota_resource(name):
        yield invalid(path, name, "must be a standard resource type or fully qualified")


def container_resource_name(name: str, path: Path) -> Iterator[Problem]:
    """The name of a resource a container may ask for."""
    yield from resource_name(name, path)
    if "/" not in name:
        if name not in CONTAINER_RESOURCES and not is_huge(name):
            yield invalid(path, name, "must be a standard resource for containers")
    elif not is_native(name) and not is_extended(name):
        yield invalid(path, name, "doesn't follow extended resource name standard")


def _pod_resource_name(name: str, path: Path) -> Iterator[Problem]:
    wrongs = list(resource_name(name, path))
    yield from wrongs
    if not wrongs and name not in ("cpu", "memory") and not is_huge(name):
        yield not_supported(path, name, ("cpu", "hugepages-", "memory"))


def quota_resource_name(name: str, path: Path) -> Iterator[Problem]:
    """The name of a resource a quota may bound."""
    yield from resource_name(name, path)
    if "/" not in name and not is_quota_resource(name):
        yield invalid(path, name, "must be a standard resource for quota")


def quantity_problems(name: str, amount: str, path: Path) -> Iterator[Problem]:
    """An amount of a resource: not negative, and whole where it is a count."""
    parsed = quantity.parse(amount)
    if parsed.nano < 0:
        yield invalid(path, amount, NEGATIVE)
    if is_integer(name) and parsed.milli % 1000:
        yield invalid(path, amount, "must be an integer")


def _pages(name: str, amount: str) -> bool:
    """Whether an amount of huge pages is a multiple of the page's size."""
    try:
        size = quantity.parse(name.removeprefix("hugepages-"))
    except quantity.QuantityError:
        return False
    return size.nano > 0 and not size.nano % quantity.NANO and quantity.parse(amount).value % size.value == 0


def validate_resources(
    resources: Json, path: Path, claims: Iterable[str] = (), *, check: NameCheck = container_resource_name
) -> Iterator[Problem]:
    """Requests and limits. `claims` are the names that the pod gives its claims on devices."""
    limits: Mapping[str, str] = resources.get("limits") or {}
    requests: Mapping[str, str] = resources.get("requests") or {}
    # The pods of a cluster ask for a few different things.
    if not _sound(tuple(limits.items()), tuple(requests.items()), check):
        yield from _amounts(limits, requests, path, check)
    if resources.get("claims"):
        yield from _claims(resources["claims"], path / "claims", sorted(claims))


@lru_cache(maxsize=4096)
def _sound(limits: tuple[tuple[str, str], ...], requests: tuple[tuple[str, str], ...], check: NameCheck) -> bool:
    return next(_amounts(dict(limits), dict(requests), NOWHERE, check), None) is None


def _amounts(limits: Mapping[str, str], requests: Mapping[str, str], path: Path, check: NameCheck) -> Iterator[Problem]:
    for kind, amounts in (("limits", limits), ("requests", requests)):
        for name, amount in amounts.items():
            if name not in ("cpu", "memory"):
                where = (path / kind)[name]
                if check is not container_resource_name or name not in CONTAINER_RESOURCES:
                    yield from check(name, where)
                yield from quantity_problems(name, amount, where)
            elif quantity.parse(amount).nano < 0:
                yield invalid((path / kind)[name], amount, NEGATIVE)
            if kind == "requests":
                limit = limits.get(name)
                if limit is None:
                    if not is_overcommittable(name):
                        yield required(path / "limits", "Limit must be set for non overcommitable resources")
                elif amount != limit:
                    order = quantity.parse(amount), quantity.parse(limit)
                    if order[0] != order[1] and not is_overcommittable(name):
                        yield invalid(path / kind, amount, f"must be equal to {name} limit of {limit}")
                    elif order[0] > order[1]:
                        yield invalid(path / kind, amount, f"must be less than or equal to {name} limit of {limit}")
            if is_huge(name) and not _pages(name, amount):
                yield invalid((path / kind)[name], amount, f"{amount} is not positive integer multiple of {name}")
    found = {*limits, *requests}
    if any(map(is_huge, found)) and not found & {"cpu", "memory"}:
        yield forbidden_field(path, "HugePages require cpu or memory")


def _claims(found: list[Json], path: Path, known: list[str]) -> Iterator[Problem]:
    seen: set[str] = set()
    for at, claim in enumerate(found):
        name, request = claim.get("name", ""), claim.get("request", "")
        if not name:
            yield required(path[at])
            continue
        if name in seen:
            yield duplicate(path[at], name)  # the whole claim is taken already
        else:
            for wrong in names.dns1123_label(request) if request else ():
                yield invalid(path[at] / "request", request, wrong)
            key = f"{name}/{request}" if request else name
            if key in seen:
                yield duplicate(path[at], key)
            elif not request and any(each.partition("/")[0] == name for each in seen):
                yield duplicate(path[at], name)
            seen.add(key)
        if name not in known:
            listing = f": {', '.join(known)}" if known else " which is empty"
            yield not_found_field(path[at], name, f"must be one of the names in pod.spec.resourceClaims{listing}")


def validate_pod_resources(spec: Json, path: Path, claims: Iterable[str]) -> Iterator[Problem]:
    """What a whole pod asks for: at least what its containers do together, and at most its limits for each."""
    resources = spec["resources"]
    here = path / "resources"
    if resources.get("claims") is not None:
        yield forbidden_field(here / "claims", "claims cannot be set for Resources at pod-level")
    yield from validate_resources(resources, here, claims, check=_pod_resource_name)
    requests, limits = resources.get("requests") or {}, resources.get("limits") or {}
    for name, total in sorted(aggregate_requests(spec).items()):
        asked = requests.get(name, "0")
        if total > quantity.parse(asked):
            yield invalid(
                (here / "requests")[name],
                asked,
                f"must be greater than or equal to aggregate container requests of {total}",
            )
    for at, container in enumerate(spec.get("containers") or ()):
        for name, amount in ((container.get("resources") or {}).get("limits") or {}).items():
            limit = limits.get(name)
            if limit is not None and quantity.parse(amount) > quantity.parse(limit):
                yield invalid(
                    (here / "containers")[at][name] / "limits",
                    amount,
                    f"must be less than or equal to pod limits of {limit}",
                )


def aggregate_requests(spec: Json) -> dict[str, quantity.Quantity]:
    """What the containers of a pod request together at the moment they request most."""

    def of(container: Json) -> dict[str, quantity.Quantity]:
        asked = (container.get("resources") or {}).get("requests") or {}
        return {name: quantity.parse(amount) for name, amount in asked.items()}

    def add(total: dict[str, quantity.Quantity], more: Mapping[str, quantity.Quantity]) -> None:
        for name, amount in more.items():
            total[name] = total[name] + amount if name in total else amount

    total: dict[str, quantity.Quantity] = {}
    sidecars: dict[str, quantity.Quantity] = {}
    most: dict[str, quantity.Quantity] = {}
    for container in spec.get("containers") or ():
        add(total, of(container))
    for container in spec.get("initContainers") or ():
        asked = of(container)
        if container.get("restartPolicy") == "Always":
            # A sidecar stays: the ones that start after it run beside it.
            add(total, asked)
            add(sidecars, asked)
            asked = dict(sidecars)
        else:
            add(asked, sidecars)
        for name, amount in asked.items():
            most[name] = max(most.get(name, amount), amount)
    for name, amount in most.items():
        total[name] = max(total.get(name, amount), amount)
    return total
