"""NodeRestriction: a node writes only what is its own, so that who takes over a node has not taken over the cluster.

The Node authorizer decides what a node may read and which kinds it may write; this looks into what is written.
"""

from collections.abc import Awaitable, Callable, Iterator
from typing import Any

from kaa.kinds.certificates.pem import request_subject
from kaa.kinds.spec import KindSpec
from kaa.meta import errors
from kaa.server.admission.api import Attributes, Authorizing, Operation, Plugin
from kaa.server.admission.audiences import TokenAudiences
from kaa.server.admission.lookup import kind
from kaa.server.objects import Objects
from kaa.server.request import User

__all__ = ["NodeRestriction", "node_of"]

Json = dict[str, Any]

PREFIX, GROUP = "system:node:", "system:nodes"
MIRROR = "kubernetes.io/config.mirror"
LEASES = "kube-node-lease"
#: Labels of the project's own domains that a kubelet sets on its node.
KUBELET_LABELS = frozenset({
    "kubernetes.io/hostname", "kubernetes.io/os", "kubernetes.io/arch", "node.kubernetes.io/instance-type",
    "topology.kubernetes.io/zone", "topology.kubernetes.io/region", "failure-domain.beta.kubernetes.io/zone",
    "failure-domain.beta.kubernetes.io/region", "beta.kubernetes.io/instance-type", "beta.kubernetes.io/os",
    "beta.kubernetes.io/arch",
})  # fmt: skip
#: Domains of which (and below which) all labels are the kubelet's to set.
KUBELET_DOMAINS = ("kubelet.kubernetes.io", "node.kubernetes.io")
RESTRICTED_DOMAIN = "node-restriction.kubernetes.io"
SIGNERS = ("kubernetes.io/kubelet-serving", "kubernetes.io/kube-apiserver-client-kubelet")
_RESOURCES = frozenset({
    "pods", "nodes", "persistentvolumeclaims", "serviceaccounts", "leases.coordination.k8s.io",
    "csinodes.storage.k8s.io", "resourceslices.resource.k8s.io", "certificatesigningrequests.certificates.k8s.io",
})  # fmt: skip


def node_of(user: User) -> str | None:
    """The node that asks: its name, "" where that cannot be told, None for somebody else."""
    if GROUP not in user.groups or not user.name.startswith(PREFIX):
        return None
    return user.name.removeprefix(PREFIX)


def _in(domain: str, root: str) -> bool:
    return domain == root or domain.endswith(f".{root}")


def forbidden_labels(new: Json, old: Json) -> list[str]:
    """The labels, of those that differ, that no node may set."""
    found = []
    for key in sorted({*new, *old}):
        if new.get(key) == old.get(key) and (key in new) == (key in old):
            continue
        domain = key.partition("/")[0] if "/" in key else ""
        ours = _in(domain, "kubernetes.io") or _in(domain, "k8s.io")
        allowed = key in KUBELET_LABELS or any(_in(domain, each) for each in KUBELET_DOMAINS)
        if _in(domain, RESTRICTED_DOMAIN) or (ours and not allowed):
            found.append(key)
    return found


class NodeRestriction(Plugin):
    """Keeps nodes (users of the group system:nodes) to their own node, its pods, lease, CSINode and tokens."""

    name = "NodeRestriction"

    def __init__(self, objects: Objects, authorize: Authorizing) -> None:
        self._objects = objects
        self._audiences = TokenAudiences(objects, authorize)
        self._nodes = kind(objects, "", "v1", "nodes")
        self._pods = kind(objects, "", "v1", "pods")
        self._checks: dict[str, Callable[[str, Attributes], Awaitable[None] | None]] = {
            "pods": self._pod, "nodes": self._node, "persistentvolumeclaims": self._claim,
            "serviceaccounts": self._account, "leases.coordination.k8s.io": self._lease,
            "csinodes.storage.k8s.io": self._csi_node, "resourceslices.resource.k8s.io": self._slice,
            "certificatesigningrequests.certificates.k8s.io": self._request,
        }  # fmt: skip

    def handles(self, spec: KindSpec, subresource: str, operation: Operation) -> bool:
        """Writes of what nodes write."""
        return spec.resource.qualified in _RESOURCES and operation != "CONNECT"

    def mutate(self, attributes: Attributes) -> Awaitable[None] | None:
        """Raise 403 for what is not the node's. Asked before others fill in, as in the original."""
        node = node_of(attributes.user)
        if node is None:
            return None
        if not node:
            raise attributes.forbidden(f'could not determine node from user "{attributes.user.name}"')
        return self._checks[attributes.resource](node, attributes)

    # --- pods

    def _pod(self, node: str, attributes: Attributes) -> None:
        if attributes.subresource == "":
            if attributes.operation == "CREATE":
                for why in self._pod_wrongs(node, attributes.object or {}):
                    raise attributes.forbidden(why)
            elif attributes.operation == "DELETE":
                if ((attributes.old or {}).get("spec") or {}).get("nodeName") != node:
                    raise attributes.forbidden(f'node "{node}" can only delete pods with spec.nodeName set to itself')
            else:
                raise attributes.forbidden(
                    f'unexpected operation "{attributes.operation}", node "{node}" can only create and delete mirror '
                    "pods"
                )
        elif attributes.subresource == "status":
            self._pod_status(node, attributes)
        elif attributes.subresource == "eviction":
            name = attributes.name or (attributes.object or {}).get("metadata", {}).get("name", "")
            pod = self._objects.get(self._pods, attributes.namespace, name)
            if pod.fields.get("spec.nodeName") != node:
                raise attributes.forbidden(f"node {node} can only evict pods with spec.nodeName set to itself")
        else:
            raise attributes.forbidden(
                f"unexpected pod subresource \"{attributes.subresource}\", only 'status' and 'eviction' are allowed"
            )

    def _pod_wrongs(self, node: str, pod: Json) -> Iterator[str]:
        meta, spec = pod["metadata"], pod.get("spec") or {}
        if MIRROR not in (meta.get("annotations") or {}):
            yield f'pod does not have "{MIRROR}" annotation, node "{node}" can only create mirror pods'
        if spec.get("nodeName") != node:
            yield f'node "{node}" can only create pods with spec.nodeName set to itself'
        owners = meta.get("ownerReferences") or ()
        if len(owners) > 1:
            yield f'node "{node}" can only create pods with a single owner reference set to itself'
        itself = f'node "{node}" can only create pods with an owner reference set to itself'
        if not owners:
            yield itself
            return
        owner = owners[0]
        if (owner.get("apiVersion"), owner.get("kind"), owner.get("name")) != ("v1", "Node", node):
            yield itself
        if not owner.get("controller"):
            yield f'node "{node}" can only create pods with a controller owner reference set to itself'
        if owner.get("blockOwnerDeletion"):
            yield f'node "{node}" must not set blockOwnerDeletion on an owner reference'
        uid = self._objects.get(self._nodes, "", node).decode()["metadata"]["uid"]
        if owner.get("uid") != uid:
            yield f"node {node} UID mismatch: expected {owner.get('uid')} got {uid}"
        for what in _references(spec):
            yield f'node "{node}" can not create pods that reference {what}'

    def _pod_status(self, node: str, attributes: Attributes) -> None:
        new, old = attributes.object or {}, attributes.old or {}
        if (old.get("spec") or {}).get("nodeName") != node:
            raise attributes.forbidden(
                f'node "{node}" can only update pod status for pods with spec.nodeName set to itself'
            )
        if (new["metadata"].get("labels") or {}) != (old["metadata"].get("labels") or {}):
            raise attributes.forbidden(f'node "{node}" cannot update labels through pod status')
        field = "resourceClaimStatuses"
        if ((new.get("status") or {}).get(field) or []) != ((old.get("status") or {}).get(field) or []):
            raise attributes.forbidden(f'node "{node}" cannot update resource claim statues')

    # --- nodes, and what is theirs by name

    def _node(self, node: str, attributes: Attributes) -> None:
        if attributes.name != node:
            raise attributes.forbidden(f'node "{node}" is not allowed to modify node "{attributes.name}"')
        new, old = attributes.object, attributes.old
        if new is None:
            return
        spec, labels = new.get("spec") or {}, new["metadata"].get("labels") or {}
        if attributes.operation == "CREATE":
            if spec.get("configSource") is not None:
                raise attributes.forbidden(f'node "{node}" is not allowed to create pods with a non-nil configSource')
            if wrong := forbidden_labels(labels, {}):
                raise attributes.forbidden(
                    f'node "{node}" is not allowed to set the following labels: {", ".join(wrong)}'
                )
            return
        assert old is not None
        was = old.get("spec") or {}
        if spec.get("configSource") is not None and spec["configSource"] != was.get("configSource"):
            raise attributes.forbidden(
                f'node "{node}" is not allowed to update configSource to a new non-nil configSource'
            )
        if (spec.get("taints") or []) != (was.get("taints") or []):
            raise attributes.forbidden(f'node "{node}" is not allowed to modify taints')
        if (new["metadata"].get("ownerReferences") or []) != (old["metadata"].get("ownerReferences") or []):
            raise attributes.forbidden(f'node "{node}" is not allowed to modify ownerReferences')
        if wrong := forbidden_labels(labels, old["metadata"].get("labels") or {}):
            raise attributes.forbidden(f"is not allowed to modify labels: {', '.join(wrong)}")

    def _lease(self, node: str, attributes: Attributes) -> None:
        if attributes.namespace != LEASES:
            raise attributes.forbidden(f'can only access leases in the "{LEASES}" system namespace')
        if attributes.name != node:
            raise attributes.forbidden("can only access node lease with the same name as the requesting node")

    def _csi_node(self, node: str, attributes: Attributes) -> None:
        if attributes.name != node:
            raise attributes.forbidden("can only access CSINode with the same name as the requesting node")

    def _slice(self, node: str, attributes: Attributes) -> None:
        for operation, verb, obj in (("CREATE", "create", attributes.object), ("DELETE", "delete", attributes.old)):
            if attributes.operation == operation and ((obj or {}).get("spec") or {}).get("nodeName") != node:
                raise attributes.forbidden(
                    f"can only {verb} ResourceSlice with the same NodeName as the requesting node"
                )

    # --- claims, tokens, certificates

    def _claim(self, node: str, attributes: Attributes) -> None:
        if attributes.subresource != "status":
            raise attributes.forbidden("may only update PVC status")
        if attributes.operation != "UPDATE":
            raise attributes.forbidden(f'unexpected operation "{attributes.operation}"')
        if _without_progress(attributes.object or {}) != _without_progress(attributes.old or {}):
            raise attributes.forbidden(
                f'node "{node}" is not allowed to update fields other than status.capacity and status.conditions'
            )

    def _account(self, node: str, attributes: Attributes) -> Awaitable[None] | None:
        if (attributes.operation, attributes.subresource) != ("CREATE", "token"):
            return None
        bound = ((attributes.object or {}).get("spec") or {}).get("boundObjectRef") or {}
        name, uid = bound.get("name"), bound.get("uid")
        if (bound.get("apiVersion"), bound.get("kind")) != ("v1", "Pod") or not name:
            raise attributes.forbidden("node requested token not bound to a pod")
        if not uid:
            raise attributes.forbidden("node requested token with a pod binding without a uid")
        entry = self._objects.find(self._pods, attributes.namespace, name)
        if entry is None:
            raise errors.not_found(self._pods.resource, name)
        pod = entry.decode()
        if pod["metadata"]["uid"] != uid:
            raise attributes.forbidden(
                f"the UID in the bound object reference ({uid}) does not match the UID in record. The object might "
                "have been deleted and then recreated"
            )
        if entry.fields.get("spec.nodeName") != node:
            raise attributes.forbidden("node requested token bound to a pod scheduled on a different node")
        return self._audiences.check(attributes, pod)

    def _request(self, node: str, attributes: Attributes) -> None:
        spec = (attributes.object or {}).get("spec") or {}
        if attributes.operation != "CREATE" or attributes.subresource or spec.get("signerName") not in SIGNERS:
            return
        try:
            common_name, _ = request_subject(spec.get("request") or "")
        except ValueError as error:
            raise attributes.forbidden(f"unable to parse csr: {error}") from error
        if common_name != PREFIX + node:
            raise attributes.forbidden(f"can only create a node CSR with CN={PREFIX}{node}")


def _without_progress(claim: Json) -> Json:
    """A claim without what the node that holds it may tell of it."""
    meta = {key: value for key, value in claim["metadata"].items() if key not in ("resourceVersion", "managedFields")}
    told = ("capacity", "conditions", "allocatedResources", "allocatedResourceStatuses")
    status = {key: value for key, value in (claim.get("status") or {}).items() if key not in told}
    return {**claim, "metadata": meta, "status": status}


def _references(spec: Json) -> Iterator[str]:
    """What of the API a pod refers to: a mirror pod may refer to nothing."""
    if spec.get("serviceAccountName"):
        yield "a service account"
    secrets = bool(spec.get("imagePullSecrets"))
    maps = claims = bundles = False
    for part in ("containers", "initContainers", "ephemeralContainers"):
        for container in spec.get(part) or ():
            sources = [*(container.get("envFrom") or ()),
                       *(each.get("valueFrom") or {} for each in container.get("env") or ())]  # fmt: skip
            for source in sources:
                secrets = secrets or "secretRef" in source or "secretKeyRef" in source
                maps = maps or "configMapRef" in source or "configMapKeyRef" in source
    for volume in spec.get("volumes") or ():
        projected = (volume.get("projected") or {}).get("sources") or ()
        secrets = secrets or "secret" in volume or any("secret" in each for each in projected)
        secrets = secrets or any(
            (value.get("secretRef") or value.get("nodePublishSecretRef") or value.get("secretName"))
            for key, value in volume.items() if isinstance(value, dict) and key != "secret"
        )  # fmt: skip
        maps = maps or "configMap" in volume or any("configMap" in each for each in projected)
        bundles = bundles or any("clusterTrustBundle" in each for each in projected)
        claims = claims or "persistentVolumeClaim" in volume
    found = {
        "secrets": secrets, "configmaps": maps, "clustertrustbundles": bundles, "persistentvolumeclaims": claims,
        "resourceclaims": bool(spec.get("resourceClaims")),
    }  # fmt: skip
    yield from (what for what, there in found.items() if there)
