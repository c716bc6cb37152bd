"""The Node authorizer: what a kubelet may see is what the pods of its node refer to.

Wording and order of the questions are the original's (`plugin/pkg/auth/authorizer/node`). It never denies: what it does
not allow is left to the authorizers behind it, with its reason.
"""

from kaa.meta.selectors import SelectorError, parse_fields
from kaa.server.app import Decision
from kaa.server.authz.noderefs import NodeReferences
from kaa.server.objects import Objects
from kaa.server.policy.rules import Grant
from kaa.server.request import RequestInfo, User
from kaa.server.roles import node_rules

__all__ = ["NodeAuthorizer", "node_of"]

PREFIX, GROUP = "system:node:", "system:nodes"
LEASES = "kube-node-lease"
OWN = ("get", "create", "update", "patch", "delete")

ALLOWED = Decision(True)
NO_OPINION = Decision(False)


def node_of(user: User) -> str | None:
    """The node a user is; "" for one that names none, None for who is no node."""
    if not user.name.startswith(PREFIX) or GROUP not in user.groups:
        return None
    return user.name[len(PREFIX) :]


def _no(reason: str) -> Decision:
    return Decision(False, reason)


class NodeAuthorizer:
    """Decides for nodes alone; others get no opinion."""

    def __init__(self, objects: Objects) -> None:
        self.references = NodeReferences(objects)
        self._rules = [Grant(rule) for rule in node_rules()]
        self._uniform: dict[tuple[str, str, str, str], Decision] = {}
        self._special = {
            ("", "secrets"): self._read_object,
            ("", "configmaps"): self._read_object,
            ("", "persistentvolumeclaims"): self._claim,
            ("", "persistentvolumes"): self._get,
            ("resource.k8s.io", "resourceclaims"): self._get,
            ("storage.k8s.io", "volumeattachments"): self._get,
            ("", "serviceaccounts"): self._token,
            ("coordination.k8s.io", "leases"): self._lease,
            ("storage.k8s.io", "csinodes"): self._csi_node,
            ("resource.k8s.io", "resourceslices"): self._slice,
            ("certificates.k8s.io", "podcertificaterequests"): self._certificate_request,
            ("", "nodes"): self._node,
            ("", "pods"): self._pod,
        }

    def __call__(self, user: User, info: RequestInfo) -> Decision:
        """Whether a node may."""
        if not user.name.startswith(PREFIX) or GROUP not in user.groups:
            return NO_OPINION
        node = user.name[len(PREFIX) :]
        if not node:
            return _no(f'unknown node for user "{user.name}"')
        if info.is_resource:
            special = self._special.get((info.group, info.resource))
            if special is not None:
                return special(node, info)
        return self._uniformly(info)

    def _uniformly(self, info: RequestInfo) -> Decision:
        if not info.is_resource:
            return NO_OPINION
        key = (info.verb, info.group, info.resource, info.subresource)
        found = self._uniform.get(key)
        if found is None:
            found = ALLOWED if any(each.allows(info) for each in self._rules) else NO_OPINION
            if len(self._uniform) > 1024:  # verbs are what clients make of them
                self._uniform.clear()
            self._uniform[key] = found
        return found

    def _related(self, node: str, info: RequestInfo) -> Decision:
        if not info.name:
            return _no("No Object name found")
        if self.references.related(node, info.resource, info.namespace, info.name):
            return ALLOWED
        return _no(f"no relationship found between node '{node}' and this object")

    def _read_object(self, node: str, info: RequestInfo) -> Decision:
        if info.verb not in ("get", "list", "watch"):
            return _no("can only read resources of this type")
        if info.subresource:
            return _no("cannot read subresource")
        if not info.namespace:
            return _no("can only read namespaced object of this type")
        return self._related(node, info)

    def _get(self, node: str, info: RequestInfo) -> Decision:
        if info.verb != "get":
            return _no("can only get individual resources of this type")
        if info.subresource:
            return _no("cannot get subresource")
        return self._related(node, info)

    def _claim(self, node: str, info: RequestInfo) -> Decision:
        if info.subresource != "status":
            return self._get(node, info)
        if info.verb not in ("update", "patch"):
            return _no("can only get/update/patch this type")
        return self._related(node, info)

    def _token(self, node: str, info: RequestInfo) -> Decision:
        if info.verb != "create" or not info.name:
            if info.verb == "get" and not info.subresource and info.name:
                # What a credential provider is told of the account of a pod (KubeletServiceAccountTokenForCredential-
                # Providers): the kubelet reads it.
                return self._related(node, info)
            return _no("can only create tokens for individual service accounts")
        if info.subresource != "token":
            return _no("can only create token subresource of serviceaccount")
        return self._related(node, info)

    def _lease(self, node: str, info: RequestInfo) -> Decision:
        if info.verb not in OWN:
            return _no("can only get, create, update, patch, or delete a node lease")
        if info.namespace != LEASES:
            return _no(f'can only access leases in the "{LEASES}" system namespace')
        # The name of what is created is known to admission alone (NodeRestriction), here and below.
        if info.verb != "create" and info.name != node:
            return _no("can only access node lease with the same name as the requesting node")
        return ALLOWED

    def _csi_node(self, node: str, info: RequestInfo) -> Decision:
        if info.verb not in OWN:
            return _no("can only get, create, update, patch, or delete a CSINode")
        if info.subresource:
            return _no("cannot authorize CSINode subresources")
        if info.verb != "create" and info.name != node:
            return _no("can only access CSINode with the same name as the requesting node")
        return ALLOWED

    def _slice(self, node: str, info: RequestInfo) -> Decision:
        if info.subresource:
            return _no("cannot authorize ResourceSlice subresources")
        match info.verb:
            case "create":
                return ALLOWED
            case "get" | "update" | "patch" | "delete":
                return self._related(node, info)
            case "watch" | "list" | "deletecollection":
                # `spec.nodeName` is what the released API calls the field; `nodeName` what its first version did.
                if _selects(info, "spec.nodeName", node) or _selects(info, "nodeName", node):
                    return ALLOWED
                return _no("can only list/watch/deletecollection resourceslices with nodeName field selector")
        return _no("only the following verbs are allowed for a ResourceSlice: get, watch, list, create, update, patch, "
                   "delete, deletecollection")  # fmt: skip

    def _certificate_request(self, node: str, info: RequestInfo) -> Decision:
        if info.subresource:
            return _no("cannot authorize PodCertificateRequest subresources")
        match info.verb:
            case "create":
                return ALLOWED
            case "get":
                return self._related(node, info)
            case "list" | "watch":
                if _selects(info, "spec.nodeName", node):
                    return ALLOWED
                return _no("can only list/watch podcertificaterequests with spec.nodeName field selector")
        return _no("only the following verbs are allowed for a PodCertificateRequest: get, list, watch, create")

    def _node(self, node: str, info: RequestInfo) -> Decision:
        if info.subresource == "status":
            return ALLOWED if info.verb in ("update", "patch") else NO_OPINION
        if info.subresource:
            return NO_OPINION
        if info.verb in ("create", "update", "patch"):
            return ALLOWED
        if info.verb in ("get", "list", "watch"):
            # By name, not by reference: a kubelet reads its Node before there is one.
            if info.name == node:
                return ALLOWED
            if not info.name:
                return _no(f"node '{node}' cannot read all nodes, only its own Node object")
            return _no(f"node '{node}' cannot read '{info.name}', only its own Node object")
        return NO_OPINION

    def _pod(self, node: str, info: RequestInfo) -> Decision:
        verb = info.verb
        match info.subresource:
            case "":
                if verb == "get":
                    return self._get(node, info)
                if verb in ("list", "watch"):
                    if _selects(info, "spec.nodeName", node):
                        return ALLOWED
                    if info.name:
                        return self._related(node, info)
                    return _no("can only list/watch pods with spec.nodeName field selector")
                if verb in ("create", "delete"):
                    return ALLOWED
            case "status":
                if verb in ("update", "patch"):
                    return ALLOWED
            case "eviction":
                if verb == "create":
                    return ALLOWED
        return NO_OPINION


def _selects(info: RequestInfo, field: str, value: str) -> bool:
    """The field selector leaves only objects whose field has this value."""
    if field not in info.field_selector:
        return False
    try:
        return parse_fields(info.field_selector).exact(field) == value
    except SelectorError:
        return False
