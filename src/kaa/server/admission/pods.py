"""What every pod gets: a service account with its token, and two tolerations."""

from typing import Any

from kaa.base import ids
from kaa.kinds.spec import KindSpec
from kaa.meta import errors
from kaa.server.admission.api import Attributes, Operation, Plugin
from kaa.server.objects import Objects

__all__ = ["DefaultTolerationSeconds", "ServiceAccountAdmission"]

Json = dict[str, Any]

TOKEN_PATH = "/var/run/secrets/kubernetes.io/serviceaccount"
TOKEN_SECONDS = 3607
MIRROR = "kubernetes.io/config.mirror"


class ServiceAccountAdmission(Plugin):
    """Gives a pod its namespace's default account if it names none, and mounts that account's token and the CA."""

    name = "ServiceAccount"

    def __init__(self, objects: Objects) -> None:
        self._objects = objects
        spec = objects.registry.get("", "v1", "serviceaccounts")
        assert spec is not None
        self._accounts = spec

    def handles(self, spec: KindSpec, subresource: str, operation: Operation) -> bool:
        """Creates of pods."""
        return spec.resource.qualified == "pods" and not subresource and operation == "CREATE"

    def mutate(self, attributes: Attributes) -> None:
        """Fill in the account and its volume; raises 403 when the account does not exist."""
        pod = attributes.object
        assert pod is not None
        spec = pod.setdefault("spec", {})
        if MIRROR in (pod["metadata"].get("annotations") or {}):
            return
        name = spec.get("serviceAccountName") or "default"
        spec["serviceAccountName"] = spec["serviceAccount"] = name
        entry = self._objects.find(self._accounts, attributes.namespace, name)
        if entry is None:
            raise errors.forbidden(
                attributes.spec.resource, attributes.name,
                f"error looking up service account {attributes.namespace}/{name}: serviceaccount \"{name}\" not found",
            )  # fmt: skip
        account = entry.decode()
        if not spec.get("imagePullSecrets") and account.get("imagePullSecrets"):
            spec["imagePullSecrets"] = account["imagePullSecrets"]
        wanted = spec.get("automountServiceAccountToken")
        if wanted is None:
            wanted = account.get("automountServiceAccountToken", True)
        if wanted:
            _mount_token(spec)


def _mount_token(spec: Json) -> None:
    volume = next(
        (each["name"] for each in spec.get("volumes") or () if each["name"].startswith("kube-api-access-")), None
    )
    needed = False
    name = volume or f"kube-api-access-{ids.suffix()}"
    for part in ("initContainers", "containers"):
        for container in spec.get(part) or ():
            mounts = container.get("volumeMounts") or []
            if any(each.get("mountPath") == TOKEN_PATH for each in mounts):
                continue
            container["volumeMounts"] = [*mounts, {"name": name, "readOnly": True, "mountPath": TOKEN_PATH}]
            needed = True
    if not needed or volume:
        return
    spec["volumes"] = [
        *(spec.get("volumes") or []),
        {
            "name": name,
            "projected": {
                "sources": [
                    {"serviceAccountToken": {"expirationSeconds": TOKEN_SECONDS, "path": "token"}},
                    {"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
                    {
                        "downwardAPI": {
                            "items": [
                                {
                                    "path": "namespace",
                                    "fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.namespace"},
                                }
                            ]
                        }
                    },
                ],
                "defaultMode": 0o644,
            },
        },
    ]


class DefaultTolerationSeconds(Plugin):
    """Pods stay five minutes on a node that is not ready or unreachable, unless they say otherwise."""

    name = "DefaultTolerationSeconds"
    seconds = 300
    keys = ("node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable")

    def handles(self, spec: KindSpec, subresource: str, operation: Operation) -> bool:
        """Creates and updates of pods."""
        return spec.resource.qualified == "pods" and not subresource and operation in ("CREATE", "UPDATE")

    def mutate(self, attributes: Attributes) -> None:
        """Add the tolerations that are missing."""
        assert attributes.object is not None
        spec = attributes.object.setdefault("spec", {})
        tolerations = spec.get("tolerations") or []
        missing = []
        for key in self.keys:
            if not any(
                each.get("key") in (key, None, "") and each.get("effect") in ("NoExecute", None, "")
                for each in tolerations
            ):
                missing.append(
                    {"key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": self.seconds}
                )
        if missing:
            spec["tolerations"] = [*tolerations, *missing]
