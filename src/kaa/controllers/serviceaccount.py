"""What each namespace has from the start: the account `default`, and the authority that signs for the API server."""

from collections.abc import Iterable
from typing import Any

from kaa.controllers.settings import settings_of
from kaa.controllers.shared.objects import is_namespace_going
from kaa.kinds.views.core import ConfigMap, Namespace, ServiceAccount
from kaa.meta.errors import StatusError
from kaa.meta.resource import Resource
from kaa.runtime import Controller, For, Maps, Parts, Result, Session

__all__ = ["ROOT_CA_NAME", "RootCAController", "ServiceAccountController"]

ROOT_CA_NAME = "kube-root-ca.crt"
_DESCRIPTION = {
    "kubernetes.io/description": (
        "Contains a CA bundle that can be used to verify the kube-apiserver when using internal endpoints such as the "
        "internal service IP or kubernetes.default.svc. No other usage is guaranteed across distributions of "
        "Kubernetes clusters."
    )
}


def phase_changed(old: Namespace | None, new: Namespace | None) -> bool:
    """A namespace came, or its phase changed."""
    return new is not None and (old is None or old.status.phase != new.status.phase)


def gone(old: Any, new: Any) -> bool:
    """An object is gone."""
    return new is None


def namespace_of(obj: ServiceAccount | ConfigMap, _controller: Any) -> Iterable[str]:
    """Where an object lived."""
    return (obj.namespace,)


class ServiceAccountController(Controller[Namespace]):
    """Keep an account `default` in each Namespace."""

    name, component = "serviceaccount", "service-account-controller"
    watches = (
        For(Namespace, when=phase_changed),
        Maps(ServiceAccount, namespace_of, when=gone, fields="metadata.name=default"),
    )

    def __init__(self, parts: Parts) -> None:
        super().__init__(parts)
        self.accounts = parts.informers.of(ServiceAccount, fields="metadata.name=default").lister

    async def reconcile(self, obj: Namespace, io: Session) -> Result | None:
        if obj.deleting or obj.status.phase == "Terminating" or self.accounts.get("default", obj.name) is not None:
            return None
        await create_once(io, ServiceAccount.resource, {"metadata": {"name": "default", "namespace": obj.name}})
        return None


class RootCAController(Controller[Namespace]):
    """Keep the config map `kube-root-ca.crt` in each Namespace, and keep it true."""

    name, component = "root-ca-certificate-publisher", "root-ca-certificate-publisher-controller"
    watches = (
        For(Namespace, when=phase_changed),
        Maps(ConfigMap, namespace_of, fields=f"metadata.name={ROOT_CA_NAME}"),
    )

    def __init__(self, parts: Parts) -> None:
        super().__init__(parts)
        self.maps = parts.informers.of(ConfigMap, fields=f"metadata.name={ROOT_CA_NAME}").lister
        self.pem = settings_of(parts.settings).root_ca_pem

    async def reconcile(self, obj: Namespace, io: Session) -> Result | None:
        if obj.deleting or obj.status.phase == "Terminating" or not self.pem:
            return None
        data = {"ca.crt": self.pem}
        held = self.maps.get(ROOT_CA_NAME, obj.name)
        if held is None:
            metadata = {"name": ROOT_CA_NAME, "namespace": obj.name, "annotations": _DESCRIPTION}
            await create_once(io, ConfigMap.resource, {"metadata": metadata, "data": data})
        elif held.data != data or not _DESCRIPTION.items() <= held.annotations.items():
            wrong: dict[str, str | None] = {name: None for name in held.data if name not in data}
            patch = {"metadata": {"annotations": _DESCRIPTION}, "data": {**wrong, **data}}
            await io.patch(ConfigMap.resource, ROOT_CA_NAME, patch, namespace=obj.name)
        return None


async def create_once(io: Session, resource: Resource, body: dict[str, Any]) -> None:
    """Create, unless it is there already, or the namespace is going."""
    try:
        await io.create(resource, body)
    except StatusError as error:
        if error.reason != "AlreadyExists" and error.code != 404 and not is_namespace_going(error):
            raise
