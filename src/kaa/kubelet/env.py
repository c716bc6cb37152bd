"""A container's environment. Pure: what it refers to is looked up through `Sources`, at hand before this is called."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol

from kaa.kinds.views import ConfigMap, Pod, Secret, Service
from kaa.kinds.views.core import Container, EnvVarSource
from kaa.kubelet.downward import PodFacts, field_value, resource_value
from kaa.kubelet.errors import ConfigError
from kaa.kubelet.secretdata import secret_bytes

__all__ = ["Environment", "Sources", "environment", "expand", "service_env"]

_REFERENCE = re.compile(r"\$(\$|\(([^()]*)\))")


class Sources(Protocol):
    """Objects of the pod's namespace, by name; None: there is none."""

    def config_map(self, name: str) -> ConfigMap | None:
        """A config map."""

    def secret(self, name: str) -> Secret | None:
        """A secret."""


@dataclass(frozen=True, slots=True)
class Environment:
    """The variables in order, and what had to be left out, as messages for InvalidEnvironmentVariableNames events."""

    variables: dict[str, str]
    skipped: tuple[str, ...] = ()


def environment(
    pod: Pod, container: Container, sources: Sources, services: Mapping[str, str], facts: PodFacts
) -> Environment:
    """Everything the container sees; its own variables win over envFrom, both over service links."""
    result: dict[str, str] = {}
    skipped: list[str] = []
    for each in container.env_from:
        if each.config_map_ref is not None:
            name, optional, kind = each.config_map_ref.name, each.config_map_ref.optional, "configMap"
            found = sources.config_map(name)
            if found is None and not optional:
                raise ConfigError(f'configmap "{name}" not found')
            data = dict(found.data) if found else {}
        elif each.secret_ref is not None:
            name, optional, kind = each.secret_ref.name, each.secret_ref.optional, "secret"
            held = sources.secret(name)
            if held is None and not optional:
                raise ConfigError(f'secret "{name}" not found')
            data = (
                {key: secret_bytes(value).decode("utf-8", "replace") for key, value in held.data.items()}
                if held
                else {}
            )
        else:
            continue
        bad = []
        for key in sorted(data):
            prefixed = each.prefix + key
            if valid_name(prefixed):
                result[prefixed] = data[key]
            else:
                bad.append(prefixed)
        if bad:
            skipped.append(
                f"Keys [{', '.join(bad)}] from the EnvFrom {kind} {pod.namespace}/{name} were skipped since they are "
                "considered invalid environment variable names."
            )
    # Only what was set before can be referred to: by a variable of `env`, of envFrom, or of a service.
    known = dict(services)
    known.update(result)
    for variable in container.env:
        value: str | None
        if variable.value_from is not None:
            value = _value_from(pod, container, variable.value_from, sources, facts)
            if value is None:
                continue
        else:
            value = expand(variable.value, known)
        result[variable.name] = known[variable.name] = value
    for name, value in services.items():
        result.setdefault(name, value)
    return Environment(result, tuple(skipped))


def valid_name(name: str) -> bool:
    """Printable ASCII without `=`: what the API allows since 1.34."""
    return bool(name) and all(" " <= char <= "~" and char != "=" for char in name)


def _value_from(pod: Pod, container: Container, source: EnvVarSource, sources: Sources, facts: PodFacts) -> str | None:
    if source.field_ref is not None:
        return field_value(pod, source.field_ref.field_path, facts)
    if source.resource_field_ref is not None:
        ref = source.resource_field_ref
        return resource_value(pod, container, ref.container_name, ref.resource, ref.divisor, facts)
    if source.config_map_key_ref is not None:
        key = source.config_map_key_ref
        found = sources.config_map(key.name)
        if found is None:
            if key.optional:
                return None
            raise ConfigError(f'configmap "{key.name}" not found')
        if key.key not in found.data:
            if key.optional:
                return None
            raise ConfigError(f"couldn't find key {key.key} in ConfigMap {pod.namespace}/{key.name}")
        return found.data[key.key]
    if source.secret_key_ref is not None:
        key = source.secret_key_ref
        held = sources.secret(key.name)
        if held is None:
            if key.optional:
                return None
            raise ConfigError(f'secret "{key.name}" not found')
        if key.key not in held.data:
            if key.optional:
                return None
            raise ConfigError(f"couldn't find key {key.key} in Secret {pod.namespace}/{key.name}")
        return secret_bytes(held.data[key.key]).decode("utf-8", "replace")
    raise ConfigError("a valueFrom names a source that this kubelet does not support (fileKeyRef is not)")


def expand(text: str, known: Mapping[str, str]) -> str:
    """`$(NAME)` by its value; unknown names stay as they are, `$$` is a `$` that starts no reference."""

    def replace(match: re.Match[str]) -> str:
        if match[1] == "$":
            return "$"
        return known.get(match[2], match[0])

    return _REFERENCE.sub(replace, text) if "$" in text else text


def service_env(pod: Pod, services: Iterable[Service]) -> dict[str, str]:
    """The variables of service links: those of the pod's namespace (unless it declines), and always the API's own."""
    result: dict[str, str] = {}
    links = pod.spec.enable_service_links
    chosen: dict[str, Service] = {}
    for service in services:
        ip = service.spec.cluster_ip
        if not ip or ip == "None":
            continue
        own = service.namespace == pod.namespace and links
        master = service.namespace == "default" and service.name == "kubernetes"
        if own or (master and service.name not in chosen):
            chosen[service.name] = service
    for service in chosen.values():
        result.update(_links(service))
    return result


def _links(service: Service) -> dict[str, str]:
    prefix = service.name.upper().replace("-", "_")
    ip = service.spec.cluster_ip
    shown = f"[{ip}]" if ":" in ip else ip
    result = {f"{prefix}_SERVICE_HOST": ip}
    for index, port in enumerate(service.spec.ports):
        protocol = port.protocol or "TCP"
        url = f"{protocol.lower()}://{shown}:{port.port}"
        if index == 0:
            result[f"{prefix}_SERVICE_PORT"] = str(port.port)
            result[f"{prefix}_PORT"] = url
        if port.name:
            result[f"{prefix}_SERVICE_PORT_{port.name.upper().replace('-', '_')}"] = str(port.port)
        base = f"{prefix}_PORT_{port.port}_{protocol.upper()}"
        result[base] = url
        result[f"{base}_PROTO"] = protocol.lower()
        result[f"{base}_PORT"] = str(port.port)
        result[f"{base}_ADDR"] = ip
    return result
