"""Roles within the cluster's own namespaces, and what they are bound to."""

__all__ = ["BINDINGS", "ROLES"]

ROLES = """
kube-system/extension-apiserver-authentication-reader
    read - configmaps extension-apiserver-authentication
kube-system/system:controller:bootstrap-signer
    read - secrets
kube-system/system:controller:cloud-provider
    create,read - configmaps
kube-system/system:controller:token-cleaner
    delete,read - secrets
    events
kube-system/system::leader-locking-kube-controller-manager
    watch - configmaps
    get,update - configmaps kube-controller-manager
kube-system/system::leader-locking-kube-scheduler
    watch - configmaps
    get,update - configmaps kube-scheduler
kube-public/system:controller:bootstrap-signer
    read - configmaps
    update - configmaps cluster-info
    events
"""

_ACCOUNT = "ServiceAccount"
#: Namespace, binding, role, subjects.
BINDINGS: tuple[tuple[str, str, str, tuple[tuple[str, str], ...]], ...] = (
    ("kube-system", "system::extension-apiserver-authentication-reader", "extension-apiserver-authentication-reader",
     (("User", "system:kube-controller-manager"), ("User", "system:kube-scheduler"))),
    ("kube-system", "system::leader-locking-kube-controller-manager", "system::leader-locking-kube-controller-manager",
     (("User", "system:kube-controller-manager"), (_ACCOUNT, "kube-system/kube-controller-manager"))),
    ("kube-system", "system::leader-locking-kube-scheduler", "system::leader-locking-kube-scheduler",
     (("User", "system:kube-scheduler"), (_ACCOUNT, "kube-system/kube-scheduler"))),
    ("kube-system", "system:controller:bootstrap-signer", "system:controller:bootstrap-signer",
     ((_ACCOUNT, "kube-system/bootstrap-signer"),)),
    ("kube-system", "system:controller:cloud-provider", "system:controller:cloud-provider",
     ((_ACCOUNT, "kube-system/cloud-provider"),)),
    ("kube-system", "system:controller:token-cleaner", "system:controller:token-cleaner",
     ((_ACCOUNT, "kube-system/token-cleaner"),)),
    ("kube-public", "system:controller:bootstrap-signer", "system:controller:bootstrap-signer",
     ((_ACCOUNT, "kube-system/bootstrap-signer"),)),
)  # fmt: skip
