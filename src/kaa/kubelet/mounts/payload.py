"""What files a volume holds. Pure: objects come through `Sources`, tokens are at hand."""

from collections.abc import Iterable, Mapping
from typing import Any

from kaa.kinds.views import Pod
from kaa.kinds.views.core import Volume
from kaa.kubelet.downward import PodFacts, field_value, resource_value
from kaa.kubelet.env import Sources
from kaa.kubelet.errors import ConfigError, VolumeFailed
from kaa.kubelet.mounts.atomic import File
from kaa.kubelet.secretdata import secret_bytes

__all__ = ["TokenWanted", "files_of", "tokens_of"]

Json = dict[str, Any]
TokenWanted = tuple[str, int]
"""(audience, seconds to live)."""
DEFAULT_MODE = 0o644
TOKEN_SECONDS = 3600


def tokens_of(volume: Volume) -> list[TokenWanted]:
    """The service account tokens a volume needs."""
    if volume.projected is None:
        return []
    return [
        _token_key(source["serviceAccountToken"])
        for source in volume.projected.get("sources") or ()
        if source.get("serviceAccountToken")
    ]


def files_of(
    pod: Pod, volume: Volume, sources: Sources, facts: PodFacts, tokens: Mapping[TokenWanted, str]
) -> dict[str, File]:
    """The files of a config map, secret, downward API or projected volume. Raises VolumeFailed."""
    if volume.config_map is not None:
        source = volume.config_map
        return _config_map(pod, volume.name, source, str(source.get("name") or ""), sources, _mode(source))
    if volume.secret is not None:
        source = volume.secret
        return _secret(pod, volume.name, source, str(source.get("secretName") or ""), sources, _mode(source))
    if volume.downward_api is not None:
        return _downward(pod, volume.name, volume.downward_api, facts, _mode(volume.downward_api))
    assert volume.projected is not None
    return _projected(pod, volume, sources, facts, tokens)


def _projected(
    pod: Pod, volume: Volume, sources: Sources, facts: PodFacts, tokens: Mapping[TokenWanted, str]
) -> dict[str, File]:
    assert volume.projected is not None
    mode = _mode(volume.projected)
    result: dict[str, File] = {}
    for each in volume.projected.get("sources") or ():
        if source := each.get("configMap"):
            result |= _config_map(pod, volume.name, source, str(source.get("name") or ""), sources, mode)
        elif source := each.get("secret"):
            result |= _secret(pod, volume.name, source, str(source.get("name") or ""), sources, mode)
        elif source := each.get("downwardAPI"):
            result |= _downward(pod, volume.name, source, facts, mode)
        elif source := each.get("serviceAccountToken"):
            result[str(source.get("path") or "")] = _token_file(pod, source, tokens, mode)
        else:
            kinds = ", ".join(each) or "empty source"
            raise VolumeFailed(
                volume.name, f"projected volume source {kinds} is not supported by this node", retry_seconds=300
            )
    return result


def _token_file(pod: Pod, source: Json, tokens: Mapping[TokenWanted, str], mode: int) -> File:
    # Only the owner reads a token, when that owner is known: a user every container runs as, or the fsGroup.
    token = tokens[_token_key(source)].encode()
    context = pod.spec.security_context
    if context.get("fsGroup") is not None:
        return File(token, 0o600)
    users = {
        (c.security_context or {}).get("runAsUser", context.get("runAsUser"))
        for c in (*pod.spec.init_containers, *pod.spec.containers)
    }
    user = users.pop() if len(users) == 1 else None
    return File(token, 0o600, owner=user) if user is not None else File(token, mode)


def _token_key(source: Json) -> TokenWanted:
    return str(source.get("audience") or ""), int(source.get("expirationSeconds") or TOKEN_SECONDS)


def _config_map(pod: Pod, volume: str, source: Json, name: str, sources: Sources, mode: int) -> dict[str, File]:
    optional = bool(source.get("optional"))
    found = sources.config_map(name)
    if found is None:
        if optional:
            return {}
        raise VolumeFailed(volume, f'configmap "{name}" not found')
    data = {key: value.encode() for key, value in found.data.items()}
    data |= {key: secret_bytes(value) for key, value in found.binary_data.items()}
    return _pick(data, source, mode, volume, f"{pod.namespace}/{name}", optional)


def _secret(pod: Pod, volume: str, source: Json, name: str, sources: Sources, mode: int) -> dict[str, File]:
    optional = bool(source.get("optional"))
    found = sources.secret(name)
    if found is None:
        if optional:
            return {}
        raise VolumeFailed(volume, f'secret "{name}" not found')
    data = {key: secret_bytes(value) for key, value in found.data.items()}
    return _pick(data, source, mode, volume, f"{pod.namespace}/{name}", optional)


def _pick(
    data: Mapping[str, bytes], source: Json, mode: int, volume: str, where: str, optional: bool
) -> dict[str, File]:
    items: Iterable[Json] | None = source.get("items")
    if not items:
        return {key: File(value, mode) for key, value in data.items()}
    result = {}
    for item in items:
        key = str(item.get("key") or "")
        if key not in data:
            if optional:
                continue
            raise VolumeFailed(volume, f"references non-existent config key: {key} (in {where})")
        item_mode = item.get("mode")
        result[str(item.get("path") or key)] = File(data[key], mode if item_mode is None else int(item_mode))
    return result


def _downward(pod: Pod, volume: str, source: Json, facts: PodFacts, mode: int) -> dict[str, File]:
    result = {}
    for item in source.get("items") or ():
        try:
            if ref := item.get("fieldRef"):
                text = field_value(pod, str(ref.get("fieldPath") or ""), facts)
            else:
                ref = item.get("resourceFieldRef") or {}
                text = resource_value(
                    pod,
                    None,
                    str(ref.get("containerName") or ""),
                    str(ref.get("resource") or ""),
                    str(ref.get("divisor") or "0"),
                    facts,
                )
        except ConfigError as error:
            raise VolumeFailed(volume, error.message) from error
        item_mode = item.get("mode")
        result[str(item["path"])] = File(text.encode(), mode if item_mode is None else int(item_mode))
    return result


def _mode(source: Json) -> int:
    mode = source.get("defaultMode")
    return DEFAULT_MODE if mode is None else int(mode)
