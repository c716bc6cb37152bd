"""What the pods of each node refer to, kept up with the watch cache.

Only which pods are on which node is kept for all; what a pod refers to is read off it when a node first asks, and kept
until the pod changes in what matters. So a write of a pod costs the others a look-up, and no decoding.
"""

from collections.abc import Iterator
from typing import Any

from kaa.server.cache import Change
from kaa.server.objects import Objects

__all__ = ["NodeReferences", "references_of_pod"]

Json = dict[str, Any]
#: What is referred to, as the resource and the name.
Reference = tuple[str, str]

_NO_PODS: dict[str, None] = {}
#: What of a pod can still come to refer to something when it is bound.
_GROWS = (b'"ephemeralContainers":', b'"resourceClaimStatuses":', b'"extendedResourceClaimStatus":')


class NodeReferences:
    """Answers whether an object is related to a node."""

    def __init__(self, objects: Objects) -> None:
        self._objects = objects
        self._on: dict[str, dict[str, None]] = {}
        self._of: dict[str, frozenset[Reference]] = {}
        #: Volumes: by name the claim (namespace, name) and the secrets (namespace, name) kubelets need for them.
        self._volumes: dict[str, tuple[tuple[str, str], frozenset[tuple[str, str]]]] = {}
        self._specs = {
            name: objects.registry.get(group, version, name)
            for group, version, name in (
                ("", "v1", "pods"), ("", "v1", "persistentvolumes"), ("storage.k8s.io", "v1", "volumeattachments"),
                ("resource.k8s.io", "v1", "resourceslices"),
                ("certificates.k8s.io", "v1", "podcertificaterequests"),
            )
        }  # fmt: skip
        for name, take in (("pods", self._pod_changed), ("persistentvolumes", self._volume_changed)):
            spec = self._specs[name]
            if spec is None:
                continue
            cache = objects.of(spec)
            for entry in cache.objects.values():
                take(Change(entry.revision, entry, None))
            cache.on_change(take)

    def related(self, node: str, resource: str, namespace: str, name: str) -> bool:
        """Whether a node has to do with an object."""
        match resource:
            case "pods":
                return f"{namespace}/{name}" in self._on.get(node, _NO_PODS)
            case "persistentvolumes":
                volume = self._volumes.get(name)
                return volume is not None and self._has(node, "persistentvolumeclaims", *volume[0])
            case "volumeattachments":
                return self._says(resource, "", name, node)
            case "resourceslices" | "podcertificaterequests":
                return self._says(resource, namespace, name, node)
        if self._has(node, resource, namespace, name):
            return True
        return resource == "secrets" and any(
            (namespace, name) in secrets and self._has(node, "persistentvolumeclaims", *claim)
            for claim, secrets in self._volumes.values()
            if secrets
        )

    def _says(self, resource: str, namespace: str, name: str, node: str) -> bool:
        """The object itself names the node."""
        spec = self._specs[resource]
        entry = self._objects.find(spec, namespace, name) if spec is not None else None
        return entry is not None and (entry.decode().get("spec") or {}).get("nodeName") == node

    def _has(self, node: str, resource: str, namespace: str, name: str) -> bool:
        wanted, prefix = (resource, name), f"{namespace}/"
        return any(wanted in self._references(key) for key in self._on.get(node, _NO_PODS) if key.startswith(prefix))

    def _references(self, key: str) -> frozenset[Reference]:
        found = self._of.get(key)
        if found is None:
            spec = self._specs["pods"]
            assert spec is not None
            entry = self._objects.of(spec).get(key)
            found = self._of[key] = frozenset(references_of_pod(entry.decode())) if entry is not None else frozenset()
        return found

    def _pod_changed(self, change: Change) -> None:
        new, old = change.new, change.old
        now = new.fields["spec.nodeName"] if new is not None else ""
        was = old.fields["spec.nodeName"] if old is not None else ""
        if now == was:
            if not now or new is None or not any(mark in new.wire for mark in _GROWS):
                return
            self._of.pop(new.key, None)
            return
        entry = new or old
        assert entry is not None
        self._of.pop(entry.key, None)
        if was:
            on = self._on.get(was, {})
            on.pop(entry.key, None)
            if not on:
                self._on.pop(was, None)
        if now:
            self._on.setdefault(now, {})[entry.key] = None

    def _volume_changed(self, change: Change) -> None:
        entry = change.new or change.old
        assert entry is not None
        self._volumes.pop(entry.name, None)
        if change.new is None:
            return
        spec = change.new.decode().get("spec") or {}
        claim = spec.get("claimRef")
        if claim:
            at = (claim.get("namespace", ""), claim.get("name", ""))
            self._volumes[entry.name] = (at, frozenset(_driver_secrets(spec, at[0])))


def references_of_pod(pod: Json) -> Iterator[Reference]:
    """What a kubelet needs for a pod: accounts, secrets, config maps and claims of its namespace.

    A mirror pod refers to nothing: its node made it, and nobody grants themselves anything.
    """
    meta, spec = pod["metadata"], pod.get("spec") or {}
    if "kubernetes.io/config.mirror" in (meta.get("annotations") or {}):
        return
    if spec.get("serviceAccountName"):
        yield "serviceaccounts", spec["serviceAccountName"]
    for each in spec.get("imagePullSecrets") or ():
        yield "secrets", each.get("name", "")
    for part in ("initContainers", "containers", "ephemeralContainers"):
        for container in spec.get(part) or ():
            yield from _of_container(container)
    for volume in spec.get("volumes") or ():
        yield from _of_volume(volume, meta["name"])
    status = pod.get("status") or {}
    made = {each.get("name"): each.get("resourceClaimName") for each in status.get("resourceClaimStatuses") or ()}
    for claim in spec.get("resourceClaims") or ():
        name = claim.get("resourceClaimName") or made.get(claim.get("name"))
        if name:
            yield "resourceclaims", name
    extended = (status.get("extendedResourceClaimStatus") or {}).get("resourceClaimName")
    if extended:
        yield "resourceclaims", extended


_KINDS = (("secret", "secrets"), ("configMap", "configmaps"))


def _of_container(container: Json) -> Iterator[Reference]:
    for source in container.get("envFrom") or ():
        for part, resource in _KINDS:
            if source.get(f"{part}Ref"):
                yield resource, source[f"{part}Ref"].get("name", "")
    for variable in container.get("env") or ():
        source = variable.get("valueFrom") or {}
        for part, resource in _KINDS:
            if source.get(f"{part}KeyRef"):
                yield resource, source[f"{part}KeyRef"].get("name", "")


def _of_volume(volume: Json, pod_name: str) -> Iterator[Reference]:
    if "secret" in volume:
        yield "secrets", volume["secret"].get("secretName", "")
    elif "configMap" in volume:
        yield "configmaps", volume["configMap"].get("name", "")
    elif "persistentVolumeClaim" in volume:
        yield "persistentvolumeclaims", volume["persistentVolumeClaim"].get("claimName", "")
    elif "ephemeral" in volume:
        yield "persistentvolumeclaims", f"{pod_name}-{volume.get('name', '')}"
    elif "projected" in volume:
        for source in volume["projected"].get("sources") or ():
            for part, resource in _KINDS:
                if source.get(part):
                    yield resource, source[part].get("name", "")
    else:
        yield from (("secrets", name) for _, name in _driver_secrets(volume, ""))


#: Where volume drivers keep the reference to a secret that kubelets need.
_DRIVERS: tuple[tuple[str, str], ...] = (
    ("cephfs", "secretRef"), ("flexVolume", "secretRef"), ("iscsi", "secretRef"), ("rbd", "secretRef"),
    ("scaleIO", "secretRef"), ("storageos", "secretRef"), ("csi", "nodePublishSecretRef"),
    ("csi", "nodeStageSecretRef"), ("csi", "nodeExpandSecretRef"),
)  # fmt: skip


def _driver_secrets(source: Json, namespace: str) -> Iterator[tuple[str, str]]:
    for driver, field in _DRIVERS:
        reference = (source.get(driver) or {}).get(field)
        if reference:
            yield reference.get("namespace") or namespace, reference.get("name", "")
    azure = source.get("azureFile")
    if azure and azure.get("secretName"):
        yield azure.get("secretNamespace") or namespace, azure["secretName"]
