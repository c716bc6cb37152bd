"""The downward API: a pod's own fields and resources as text, for environment variables and volumes. Pure."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import ROUND_CEILING, Decimal

from kaa.kinds.views import Pod
from kaa.kinds.views.core import Container
from kaa.kubelet.amounts import all_containers, exact
from kaa.kubelet.errors import ConfigError

__all__ = ["PodFacts", "field_value", "quoted_map", "resource_value"]

_SUBSCRIPT = re.compile(r"^metadata\.(labels|annotations)\['(.*)'\]$")


@dataclass(frozen=True, slots=True)
class PodFacts:
    """What is known of a pod on this node beyond its object."""

    pod_ips: tuple[str, ...] = ()
    host_ip: str = ""
    node_name: str = ""
    allocatable: Mapping[str, str] = field(default_factory=dict)
    """Of the node: what a limit that isn't set comes to."""


def field_value(pod: Pod, path: str, facts: PodFacts) -> str:
    """The field's text. Raises ConfigError for a path that isn't one."""
    if match := _SUBSCRIPT.match(path):
        return (pod.labels if match[1] == "labels" else pod.annotations).get(match[2], "")
    match path:
        case "metadata.name":
            return pod.name
        case "metadata.namespace":
            return pod.namespace
        case "metadata.uid":
            return pod.uid
        case "metadata.labels":
            return quoted_map(pod.labels)
        case "metadata.annotations":
            return quoted_map(pod.annotations)
        case "spec.nodeName":
            return pod.spec.node_name or facts.node_name
        case "spec.serviceAccountName":
            return pod.spec.service_account_name
        case "status.hostIP" | "status.hostIPs":
            return facts.host_ip
        case "status.podIP":
            return facts.pod_ips[0] if facts.pod_ips else ""
        case "status.podIPs":
            return ",".join(facts.pod_ips)
    raise ConfigError(f"unsupported fieldPath: {path}")


def resource_value(
    pod: Pod, container: Container | None, name: str, resource: str, divisor: str, facts: PodFacts
) -> str:
    """`limits.cpu` and the like, divided and rounded up. `name` picks a container of the pod when `container` is
    None; a limit that isn't set is the node's allocatable."""
    if container is None or (name and name != container.name):
        container = next((c for c in all_containers(pod) if c.name == name), None)
        if container is None:
            raise ConfigError(f"container {name} not found")
    kind, _, what = resource.partition(".")
    if kind not in ("limits", "requests") or not what:
        raise ConfigError(f"unsupported container resource : {resource}")
    amounts = container.resources.limits if kind == "limits" else container.resources.requests
    amount = amounts.get(what)
    if amount is None and kind == "limits":
        amount = facts.allocatable.get(what)
    by = exact(str(divisor or "1")) or Decimal(1)
    value = exact(str(amount)) if amount is not None else Decimal(0)
    return str(int((value / by).to_integral_value(ROUND_CEILING)))


def quoted_map(items: Mapping[str, str]) -> str:
    """Sorted lines of `key="value"`, the value quoted as Go does."""
    return "\n".join(f"{key}={_quote(items[key])}" for key in sorted(items))


_ESCAPES = {"\n": "\\n", "\t": "\\t", "\r": "\\r", '"': '\\"', "\\": "\\\\", "\a": "\\a", "\b": "\\b", "\f": "\\f",
            "\v": "\\v"}  # fmt: skip


def _quote(text: str) -> str:
    pieces = []
    for char in text:
        if char in _ESCAPES:
            pieces.append(_ESCAPES[char])
        elif char.isprintable():
            pieces.append(char)
        else:
            code = ord(char)
            pieces.append(f"\\x{code:02x}" if code < 0x80 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}")
    return '"' + "".join(pieces) + '"'
