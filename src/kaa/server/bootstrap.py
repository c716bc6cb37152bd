"""The objects every cluster has: its namespaces, its roles, and the `kubernetes` service with its endpoints.

Made at start where they are missing, and kept true (default roles are renewed unless their owner has said
`rbac.authorization.kubernetes.io/autoupdate: "false"`). Everything goes through the same path as a client's write.
"""

import ipaddress
from collections.abc import Iterator
from typing import Any

from kaa.base.log import Logger
from kaa.http.api import Request
from kaa.meta import errors
from kaa.server import roles
from kaa.server.call import Call, Parts
from kaa.server.request import RequestInfo, User
from kaa.server.verbs import writes

__all__ = ["bootstrap"]

Json = dict[str, Any]
_log = Logger("apiserver")
SELF = User("system:apiserver", ("system:masters", "system:authenticated"))
#: The target of the `kubernetes` service while nothing listens.
DEFAULT_PORT = 6443
NAMESPACES = ("default", "kube-system", "kube-public", "kube-node-lease")


async def bootstrap(parts: Parts, service_cidr: str, advertise: str, port: int) -> None:
    """Make what is missing, and bring up to date what this server owns."""
    for name in NAMESPACES:
        await _ensure(parts, {"kind": "Namespace", "apiVersion": "v1", "metadata": {"name": name}}, renew=())
    for role in (*roles.cluster_roles(), *roles.namespaced_roles()):
        await _ensure(parts, role, renew=("rules",))
    for binding in roles.cluster_role_bindings():
        await _ensure(parts, binding, renew=("subjects",))
    for obj, renew in _kubernetes_service(service_cidr, advertise, port or DEFAULT_PORT):
        await _ensure(parts, obj, renew=renew)


def _kubernetes_service(service_cidr: str, advertise: str, port: int) -> Iterator[tuple[Json, tuple[str, ...]]]:
    """The service, and both forms of its endpoints, which point to where this server is reached."""
    ip = str(ipaddress.ip_network(service_cidr)[1])
    meta = {"name": "kubernetes", "namespace": "default"}
    own = {"component": "apiserver", "provider": "kubernetes"}
    yield (
        {
            "kind": "Service",
            "apiVersion": "v1",
            "metadata": {**meta, "labels": own},
            "spec": {
                "type": "ClusterIP",
                "clusterIP": ip,
                "ports": [{"name": "https", "port": 443, "protocol": "TCP", "targetPort": port}],
            },
        },
        (),
    )
    if ipaddress.ip_address(advertise).is_loopback:
        # Nobody but this machine can reach such a server, and endpoints may not be loopback addresses.
        return
    skip_mirror = {"endpointslice.kubernetes.io/skip-mirror": "true"}
    yield (
        {
            "kind": "Endpoints",
            "apiVersion": "v1",
            "metadata": {**meta, "labels": skip_mirror},
            "subsets": [
                {
                    "addresses": [{"ip": advertise}],
                    "ports": [{"name": "https", "port": port, "protocol": "TCP"}],
                }
            ],
        },
        ("subsets",),
    )
    yield (
        {
            "kind": "EndpointSlice",
            "apiVersion": "discovery.k8s.io/v1",
            "metadata": {**meta, "labels": {"kubernetes.io/service-name": "kubernetes"}},
            "addressType": "IPv4",
            "endpoints": [{"addresses": [advertise], "conditions": {"ready": True}}],
            "ports": [{"name": "https", "port": port, "protocol": "TCP"}],
        },
        ("endpoints", "ports"),
    )


async def _ensure(parts: Parts, wanted: Json, renew: tuple[str, ...]) -> None:
    spec = parts.registry.by_kind(wanted["apiVersion"], wanted["kind"])
    assert spec is not None
    meta = wanted["metadata"]
    namespace, name = meta.get("namespace", ""), meta["name"]
    info = RequestInfo("create", "", True, spec.resource.group, spec.resource.version, spec.resource.plural, "",
                       namespace, name)  # fmt: skip
    call = Call(Request("POST", spec.resource.path(namespace), headers={"user-agent": "kube-apiserver"}), info, SELF,
                spec, parts)  # fmt: skip
    entry = parts.objects.find(spec, namespace, name)
    if entry is None:
        try:
            await writes.create_object(call, wanted)
        except errors.StatusError as error:
            if error.reason != "AlreadyExists":
                raise
        return
    standing = entry.decode()
    annotations = standing["metadata"].get("annotations") or {}
    if annotations.get("rbac.authorization.kubernetes.io/autoupdate") == "false":
        return
    spec.default(wanted)
    if all(standing.get(part) == wanted.get(part) for part in renew):
        return

    def change(old: Json) -> Json:
        for part in renew:
            old[part] = wanted[part]
        return old

    await writes.change_object(call, change)
    _log.info("brought up to date", kind=wanted["kind"], name=name)
