"""What a pod, or a pod template, is warned of: allowed, but seldom meant, or without effect."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from heapq import merge
from typing import Any, NamedTuple

from kaa.kinds.core.podnotes import APP_ARMOR, SECCOMP_CONTAINER, SECCOMP_POD
from kaa.meta import quantity

__all__ = ["pod_warnings", "template_warnings"]

Json = dict[str, Any]

_REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
_PREFERRED = "preferredDuringSchedulingIgnoredDuringExecution"

_ANNOTATIONS = {
    "scheduler.alpha.kubernetes.io/critical-pod":
        'non-functional in v1.16+; use the "priorityClassName" field instead',
    "security.alpha.kubernetes.io/sysctls": 'non-functional in v1.11+; use the "sysctls" field instead',
    "security.alpha.kubernetes.io/unsafe-sysctls": 'non-functional in v1.11+; use the "sysctls" field instead',
}  # fmt: skip

#: Labels of nodes that were renamed, and what is said of the old names.
_LABELS = {
    "beta.kubernetes.io/arch": 'deprecated since v1.14; use "kubernetes.io/arch" instead',
    "beta.kubernetes.io/os": 'deprecated since v1.14; use "kubernetes.io/os" instead',
    "failure-domain.beta.kubernetes.io/region": 'deprecated since v1.17; use "topology.kubernetes.io/region" instead',
    "failure-domain.beta.kubernetes.io/zone": 'deprecated since v1.17; use "topology.kubernetes.io/zone" instead',
    "beta.kubernetes.io/instance-type": 'deprecated since v1.17; use "node.kubernetes.io/instance-type" instead',
}

#: Volume sources that do nothing any more, in the order of the original's warnings, with the name in its paths.
_VOLUMES = (
    ("photonPersistentDisk", "photonPersistentDisk", "deprecated in v1.11, non-functional in v1.16+"),
    ("gitRepo", "gitRepo", "deprecated in v1.11, and disabled by default in v1.33+"),
    ("scaleIO", "scaleIO", "deprecated in v1.16, non-functional in v1.22+"),
    ("flocker", "flocker", "deprecated in v1.22, non-functional in v1.25+"),
    ("storageos", "storageOS", "deprecated in v1.22, non-functional in v1.25+"),
    ("quobyte", "quobyte", "deprecated in v1.22, non-functional in v1.25+"),
    ("glusterfs", "glusterfs", "deprecated in v1.25, non-functional in v1.26+"),
    ("cephfs", "cephfs", "deprecated in v1.28, non-functional in v1.31+"),
    ("rbd", "rbd", "deprecated in v1.28, non-functional in v1.31+"),
)  # fmt: skip


def pod_warnings(pod: Json) -> Iterator[str]:
    """Of a pod."""
    yield from _warnings(pod.get("spec") or {}, pod.get("metadata") or {}, "", template=False)


def template_warnings(template: Json | None, path: str) -> Iterator[str]:
    """Of the template at a path, such as `spec.template`."""
    if template:
        yield from _warnings(template.get("spec") or {}, template.get("metadata") or {}, f"{path}.", template=True)


def _warnings(spec: Json, meta: Json, path: str, *, template: bool) -> Iterator[str]:
    get = spec.get
    notes = meta.get("annotations") or {}
    if get("nodeSelector") or get("affinity") or get("topologySpreadConstraints"):
        yield from _placing(spec, path)
    if notes:
        for key, text in _ANNOTATIONS.items():
            if key in notes:
                yield f"{path}metadata.annotations[{key}]: {text}"
    volumes = get("volumes")
    if volumes:
        yield from _volume_warnings(volumes, f"{path}spec.volumes")
    yield from _twice(get("hostAliases"), "ip", f"{path}spec.hostAliases")
    yield from _twice(get("imagePullSecrets"), "name", f"{path}spec.imagePullSecrets")
    for at, each in enumerate(get("imagePullSecrets") or ()):
        if not each.get("name"):
            yield f'{path}spec.imagePullSecrets[{at}].name: invalid empty name ""'
    if get("overhead"):
        yield from _fractions(spec["overhead"], f"{path}spec.overhead")
    if notes and SECCOMP_POD in notes and not (get("securityContext") or {}).get("seccompProfile"):
        yield _seccomp(path, SECCOMP_POD)
    ports: dict[str, _Ports] = {}
    of_ports: list[Iterator[str]] = []
    for kind in ("initContainers", "containers", "ephemeralContainers"):
        for at, container in enumerate(get(kind) or ()):
            here = f"{path}spec.{kind}[{at}]"
            if notes:
                yield from _profiles(container, notes, spec, path, template=template)
            yield from _container(container, here)
            if container.get("ports"):
                of_ports.append(_ports(container["ports"], f"{here}.ports", ports))
    for found in of_ports:
        yield from found
    if get("terminationGracePeriodSeconds", 0) < 0:
        yield (
            f"{path}spec.terminationGracePeriodSeconds: must be >= 0; "
            "negative values are invalid and will be treated as 1"
        )
    for kind in ("podAffinity", "podAntiAffinity"):
        terms = (get("affinity") or {}).get(kind) or {}
        for at, term in enumerate(terms.get(_REQUIRED) or ()):
            yield from _no_selector(term, f"{path}spec.affinity.{kind}.{_REQUIRED}[{at}]")
        for at, term in enumerate(terms.get(_PREFERRED) or ()):
            inner = term.get("podAffinityTerm") or {}
            yield from _no_selector(inner, f"{path}spec.affinity.{kind}.{_PREFERRED}[{at}].podAffinityTerm")


def _no_selector(term: Json, path: str) -> Iterator[str]:
    if term.get("labelSelector") is None:
        yield f"{path}.labelSelector: a null labelSelector results in matching no pod"


def _placing(spec: Json, path: str) -> Iterator[str]:
    for key in spec.get("nodeSelector") or ():
        if key in _LABELS:
            yield f"{path}spec.nodeSelector[{key}]: {_LABELS[key]}"
    node = (spec.get("affinity") or {}).get("nodeAffinity") or {}
    base = f"{path}spec.affinity.nodeAffinity"
    for at, term in enumerate((node.get(_REQUIRED) or {}).get("nodeSelectorTerms") or ()):
        yield from _node_term(term, f"{base}.{_REQUIRED}.nodeSelectorTerms[{at}]")
    for at, each in enumerate(node.get(_PREFERRED) or ()):
        yield from _node_term(each.get("preference") or {}, f"{base}.{_PREFERRED}[{at}].preference")
    for at, each in enumerate(spec.get("topologySpreadConstraints") or ()):
        here = f"{path}spec.topologySpreadConstraints[{at}]"
        key = each.get("topologyKey", "")
        if key in _LABELS:
            yield f"{here}.topologyKey: {key} is {_LABELS[key]}"
        yield from _no_selector(each, here)


def _node_term(term: Json, path: str) -> Iterator[str]:
    for at, each in enumerate(term.get("matchExpressions") or ()):
        key = each.get("key", "")
        if key in _LABELS:
            yield f"{path}.matchExpressions[{at}].key: {key} is {_LABELS[key]}"


def _volume_warnings(volumes: list[Json], path: str) -> Iterator[str]:
    overlaps: list[str] = []
    for at, volume in enumerate(volumes):
        for kind, spelled, text in _VOLUMES:
            if kind in volume:
                yield f"{path}[{at}].{spelled}: {text}"
        overlaps += _overlaps(volume)
    yield from overlaps


def _overlaps(volume: Json) -> Iterator[str]:
    """Files of one volume whose paths stand in each other's way."""
    name = volume.get("name", "")
    for kind, word, said in (("configMap", "ConfigMap", "name"), ("secret", "Secret", "secretName")):
        source = volume.get(kind)
        if source and source.get("items"):
            text = f'volume "{name}" ({word} "{source.get(said, "")}"): overlapping paths'
            yield from _collisions(_paths(source["items"]), _Taken(), text)
    source = volume.get("downwardAPI")
    if source and source.get("items"):
        text = f'volume "{name}" (DownwardAPI): overlapping paths'
        yield from _collisions(_paths(source["items"]), _Taken(), text)
    taken = _Taken()
    for each in (volume.get("projected") or {}).get("sources") or ():
        if not each:
            yield f'volume "{name}" (Projected) has no sources provided'
            continue
        paths, word = _projection(each)
        if paths:
            yield from _collisions(paths, taken, f'volume "{name}" (Projected {word}): overlapping paths')


def _projection(source: Json) -> tuple[list[str], str]:
    for kind, word in (("configMap", "ConfigMap"), ("secret", "Secret")):
        found = source.get(kind)
        if found and found.get("items"):
            return _paths(found["items"]), f'{word} "{found.get("name", "")}"'
    if source.get("downwardAPI"):
        return _paths(source["downwardAPI"].get("items") or ()), "DownwardAPI"
    if source.get("serviceAccountToken"):
        return [source["serviceAccountToken"].get("path", "")], "ServiceAccountToken"
    bundle = source.get("clusterTrustBundle")
    if bundle:
        return [bundle.get("path", "")], f'ClusterTrustBundle "{bundle.get("name") or bundle.get("signerName") or ""}"'
    return [], ""


def _paths(items: Iterable[Json]) -> list[str]:
    return [item.get("path", "") for item in items]


class _Taken:
    """Paths, and which of them is the first, in order, below each directory: a volume may have very many."""

    def __init__(self) -> None:
        self._paths: set[str] = set()
        self._below: dict[str, str] = {}

    def overlapping(self, path: str) -> str:
        """The first path that is this one, above it or below it; "" where there is none."""
        for above in (*_directories(path), path):
            if above in self._paths:
                return above
        return self._below.get(path, "")

    def add(self, path: str) -> None:
        """One more."""
        if path in self._paths:
            return
        self._paths.add(path)
        for above in _directories(path):
            self._below[above] = min(path, self._below.get(above, path))


def _directories(path: str) -> Iterator[str]:
    at = path.find("/", 1)
    while at > 0:
        yield path[:at]
        at = path.find("/", at + 1)


def _collisions(paths: list[str], taken: _Taken, text: str) -> Iterator[str]:
    for path in paths:
        short = path.rstrip("/")
        if not short:
            continue
        other = taken.overlapping(short)
        if other:
            yield f'{text}: "{short}" with "{other}"'
        taken.add(short)


def _twice(found: list[Json] | None, field: str, path: str) -> Iterator[str]:
    seen: set[str] = set()
    for at, each in enumerate(found or ()):
        value = each.get(field, "")
        if value in seen:
            yield f'{path}[{at}].{field}: duplicate {field} "{value}"'
        seen.add(value)


def _fractions(amounts: Json, path: str) -> Iterator[str]:
    for name in ("memory", "ephemeral-storage"):
        amount = amounts.get(name)
        if amount is not None and amount[-1:] in "mun" and quantity.parse(amount).milli % 1000:
            yield f'{path}[{name}]: fractional byte value "{amount}" is invalid, must be an integer'


def _seccomp(path: str, key: str) -> str:
    return f'{path}metadata.annotations[{key}]: non-functional in v1.27+; use the "seccompProfile" field instead'


def _profiles(container: Json, notes: Json, spec: Json, path: str, *, template: bool) -> Iterator[str]:
    context = container.get("securityContext") or {}
    key = SECCOMP_CONTAINER + container.get("name", "")
    if key in notes and not context.get("seccompProfile"):
        yield _seccomp(path, key)
    key = APP_ARMOR + container.get("name", "")
    whole = (spec.get("securityContext") or {}).get("appArmorProfile")
    if key in notes and template and not whole and not context.get("appArmorProfile"):
        yield (f'{path}metadata.annotations[{key}]: deprecated since v1.30; use the "appArmorProfile" field instead')


def _container(container: Json, path: str) -> Iterator[str]:
    resources = container.get("resources")
    if resources:
        for name in ("memory", "ephemeral-storage"):
            for kind in ("limits", "requests"):
                amounts = resources.get(kind)
                if amounts and name in amounts:
                    yield from _fractions({name: amounts[name]}, f"{path}.resources.{kind}")
    variables = container.get("env")
    if variables and len(variables) > 1 and len({each.get("name") for each in variables}) < len(variables):
        seen: set[str] = set()
        for at, each in enumerate(variables):
            name = each.get("name", "")
            value, reference = each.get("value", ""), f"$({name})"
            # One that builds on the one before it is meant.
            builds = each.get("valueFrom") is None and value != reference and reference in value
            if name in seen and not builds:
                yield (
                    f'{path}.env[{at}]: hides previous definition of "{name}", which may be dropped when using apply'
                )
            seen.add(name)


class _Port(NamedTuple):
    at: int
    host: int
    ip: str
    where: str


class _Ports:
    """Definitions of one container port, found by what they can be at odds with: a pod may have very many."""

    def __init__(self) -> None:
        self._all: list[_Port] = []
        self._by: dict[tuple[int, str | None], list[_Port]] = {}

    def add(self, host: int, ip: str, where: str) -> None:
        """One more."""
        made = _Port(len(self._all), host, ip, where)
        self._all.append(made)
        # Of each host port: those with this address, and those with any.
        for key in ((host, ip), (host, None)) if ip else ((host, ip),):
            self._by.setdefault(key, []).append(made)

    def beside(self, host: int, ip: str) -> Iterator[_Port]:
        """Those of before that a definition gets in the way of, in their order."""
        if not host:
            return iter(self._all)
        keys: list[tuple[int, str | None]] = [(0, ""), (0, None), (host, ip), (host, "") if ip else (host, None)]
        return merge(*(self._by.get(each, ()) for each in keys))


def _ports(ports: list[Json], path: str, seen: dict[str, _Ports]) -> Iterator[str]:
    for at, port in enumerate(ports):
        here = f"{path}[{at}]"
        ip, host = port.get("hostIP", ""), port.get("hostPort", 0)
        if ip and not host:
            shown = " ".join(
                f"{word}:{port.get(field, nothing)}"
                for word, field, nothing in (
                    ("Name", "name", ""), ("HostPort", "hostPort", 0), ("ContainerPort", "containerPort", 0),
                    ("Protocol", "protocol", ""), ("HostIP", "hostIP", ""),
                )
            )  # fmt: skip
            yield f"{here}: hostIP set without hostPort: {{{shown}}}"
        others = seen.setdefault(f"{port.get('containerPort', 0)}/{port.get('protocol', '')}", _Ports())
        for other in others.beside(host, ip):
            if (ip, host) == (other.ip, other.host):
                yield f"{here}: duplicate port definition with {other.where}"
            elif not host or not other.host:
                yield f"{here}: overlapping port definition with {other.where}"
            else:
                yield f"{here}: dangerously ambiguous port definition with {other.where}"
        others.add(host, ip, here)
