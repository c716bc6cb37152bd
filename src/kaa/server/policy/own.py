"""What the parts of this implementation need beyond the original's roles.

The original's controllers act each under an account of its own; here they share the identity of the control plane,
which so needs what all of them need together. An agent is kubelet, service proxy and DNS at once. Simulated nodes are
many nodes of one process, which no rule about a node's own objects can fit.
"""

__all__ = ["BINDINGS", "ROLES"]

ROLES = """
kaa:controllers
    * -,apps,batch,autoscaling,policy,discovery.k8s.io,networking.k8s.io,storage.k8s.io,certificates.k8s.io,
        coordination.k8s.io,events.k8s.io,resource.k8s.io,scheduling.k8s.io *
    create authentication.k8s.io,authorization.k8s.io *
    deletecollection,delete,readupdate * *
    escalate,bind rbac.authorization.k8s.io clusterroles
    * *

kaa:scheduler
    all coordination.k8s.io leases
    read storage.k8s.io,resource.k8s.io,scheduling.k8s.io *

kaa:agent
    read - services,namespaces
    read discovery.k8s.io endpointslices
    events

kaa:simulated-nodes
    events
    create authentication.k8s.io tokenreviews
    create authorization.k8s.io subjectaccessreviews
    create,readupdate - nodes
    patch,update - nodes/status
    create,delete,read - pods
    patch,update - pods/status
    create - pods/eviction,serviceaccounts/token
    read - services,namespaces,configmaps,secrets,persistentvolumeclaims,persistentvolumes,serviceaccounts
    create,delete,readupdate coordination.k8s.io leases
    create,delete,readupdate storage.k8s.io csinodes
    read storage.k8s.io csidrivers,volumeattachments
    read node.k8s.io runtimeclasses
"""

BINDINGS: tuple[tuple[str, tuple[tuple[str, str], ...]], ...] = (
    ("kaa:controllers", (("User", "system:kube-controller-manager"),)),
    ("kaa:scheduler", (("User", "system:kube-scheduler"),)),
    ("kaa:agent", (("Group", "system:nodes"),)),
    # What nodes ask for themselves is approved, so that their client certificates are renewed without anybody.
    ("system:certificates.k8s.io:certificatesigningrequests:selfnodeclient", (("Group", "system:nodes"),)),
    ("kaa:simulated-nodes", (("User", "kaa:simulated-nodes"),)),
)
