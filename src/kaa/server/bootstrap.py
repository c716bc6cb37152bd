"""The objects every cluster has: its namespaces, its roles, and the `kubernetes` service with its endpoints.

Made at start where they are missing, and kept true (default roles get back what they lack, unless their owner has said
`rbac.authorization.kubernetes.io/autoupdate: "false"`). Everything goes through the same path as a client's write.
"""

import asyncio
import ipaddress
from collections.abc import Coroutine, Iterable, Iterator
from typing import Any

from kaa.base.log import Logger
from kaa.base.tasks import Scope
from kaa.http.api import Request
from kaa.kinds.scheduling.priority import SYSTEM_PRIORITIES
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
#: What the cluster's own pods are: the kubelets' and those of the control plane.
PRIORITY_CLASSES: tuple[Json, ...] = (
    {
        "metadata": {"name": "system-node-critical"},
        "value": SYSTEM_PRIORITIES["system-node-critical"],
        "description": "Used for system critical pods that must not be moved from their current node.",
    },
    {
        "metadata": {"name": "system-cluster-critical"},
        "value": SYSTEM_PRIORITIES["system-cluster-critical"],
        "description": "Used for system critical pods that must run in the cluster, but can be moved to another node "
        "if necessary.",
    },
)
NAMESPACES = ("default", "kube-system", "kube-public", "kube-node-lease")


async def bootstrap(parts: Parts, service_cidr: str, advertise: str, port: int) -> None:
    """Make what is missing, and bring up to date what this server owns."""
    namespaces: list[Json] = [
        {"kind": "Namespace", "apiVersion": "v1", "metadata": {"name": name}} for name in NAMESPACES
    ]
    classes: list[Json] = [
        {"kind": "PriorityClass", "apiVersion": "scheduling.k8s.io/v1", **each} for each in PRIORITY_CLASSES
    ]
    await _together(_ensure(parts, each, renew=()) for each in (*namespaces, *classes))
    # Each is a write of its own, and writers who wait together share one sync.
    await _together(
        _reconcile(parts, each)
        for each in (*roles.cluster_roles(), *roles.namespaced_roles(), *roles.cluster_role_bindings())
    )
    for obj, renew in _kubernetes_service(service_cidr, advertise, port or DEFAULT_PORT):
        await _ensure(parts, obj, renew=renew)


async def _together(works: Iterable[Coroutine[Any, Any, None]]) -> None:
    scope = Scope("bootstrap")
    try:
        await asyncio.gather(*(scope.spawn(work, name="object") for work in works))
    finally:
        await scope.close()


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


def _call(parts: Parts, wanted: Json) -> Call:
    spec = parts.registry.by_kind(wanted["apiVersion"], wanted["kind"])
    assert spec is not None
    meta = wanted["metadata"]
    namespace, name = meta.get("namespace", ""), meta["name"]
    info = RequestInfo("create", "", True, spec.resource.group, spec.resource.version, spec.resource.plural, "",
                       namespace, name)  # fmt: skip
    return Call(Request("POST", spec.resource.path(namespace), headers={"user-agent": "kube-apiserver"}), info, SELF,
                spec, parts)  # fmt: skip


async def _reconcile(parts: Parts, wanted: Json) -> None:
    """Add to a role or binding what it lacks (see `roles.reconciled`)."""
    call = _call(parts, wanted)
    entry = parts.objects.find(call.spec, call.namespace, call.info.name)
    if entry is None:
        await _create(call, wanted)
    elif roles.reconciled(wanted, entry.decode()) is not None:
        await writes.change_object(call, lambda old: roles.reconciled(wanted, old) or old)
        _log.info("brought up to date", kind=wanted["kind"], name=call.info.name)


async def _create(call: Call, wanted: Json) -> None:
    try:
        await writes.create_object(call, wanted)
    except errors.StatusError as error:
        if error.reason != "AlreadyExists":
            raise


async def _ensure(parts: Parts, wanted: Json, renew: tuple[str, ...]) -> None:
    call = _call(parts, wanted)
    entry = parts.objects.find(call.spec, call.namespace, call.info.name)
    if entry is None:
        await _create(call, wanted)
        return
    standing = entry.decode()
    call.spec.default(wanted)
    if all(standing.get(part) == wanted.get(part) for part in renew):
        return

    def change(old: Json) -> Json:
        for part in renew:
            old[part] = wanted[part]
        return old

    await writes.change_object(call, change)
    _log.info("brought up to date", kind=wanted["kind"], name=call.info.name)
