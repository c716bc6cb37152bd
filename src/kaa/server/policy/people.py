"""Roles for users, nodes, and the parts of a control plane."""

__all__ = ["BINDINGS", "NODE", "ROLES"]

#: What the Node authorizer grants uniformly, too; objects of a node's own it narrows down (`authz.node`).
NODE = """
system:node
    create authentication.k8s.io tokenreviews
    create authorization.k8s.io localsubjectaccessreviews,subjectaccessreviews
    read - services
    create,read - nodes
    patch,update - nodes/status
    patch,update - nodes
    create,patch,update - events
    read - pods
    create,delete - pods
    patch,update - pods/status
    create - pods/eviction
    read - configmaps,secrets
    get - persistentvolumeclaims,persistentvolumes
    get - endpoints
    create,read certificates.k8s.io certificatesigningrequests
    create,delete,get,patch,update coordination.k8s.io leases
    get storage.k8s.io volumeattachments
    create - serviceaccounts/token
    get,patch,update - persistentvolumeclaims/status
    read storage.k8s.io csidrivers
    create,delete,get,patch,update storage.k8s.io csinodes
    read node.k8s.io runtimeclasses
    get resource.k8s.io resourceclaims
    create,delete,deletecollection,read,patch,update resource.k8s.io resourceslices
"""

ROLES = """
cluster-admin
    * * *
    * *

system:discovery
    get /api,/api/*,/apis,/apis/*,/healthz,/livez,/openapi,/openapi/*,/readyz,/version,/version/

system:monitoring
    get /healthz,/healthz/*,/livez,/livez/*,/metrics,/metrics/slis,/readyz,/readyz/*

system:basic-user
    create authorization.k8s.io selfsubjectaccessreviews,selfsubjectrulesreviews
    create authentication.k8s.io selfsubjectreviews

system:public-info-viewer
    get /healthz,/livez,/readyz,/version,/version/

admin <admin
edit +admin <edit
view +edit <view

system:aggregate-to-admin +admin
    create authorization.k8s.io localsubjectaccessreviews
    all rbac.authorization.k8s.io rolebindings,roles

system:aggregate-to-edit +edit
    read - pods/attach,pods/exec,pods/portforward,pods/proxy,secrets,services/proxy
    impersonate - serviceaccounts
    write - pods,pods/attach,pods/exec,pods/portforward,pods/proxy
    create - pods/eviction
    write - configmaps,events,persistentvolumeclaims,replicationcontrollers,replicationcontrollers/scale,secrets,
        serviceaccounts,services,services/proxy
    create - serviceaccounts/token
    write apps daemonsets,deployments,deployments/rollback,deployments/scale,replicasets,replicasets/scale,
        statefulsets,statefulsets/scale
    write autoscaling horizontalpodautoscalers
    write batch cronjobs,jobs
    write extensions daemonsets,deployments,deployments/rollback,deployments/scale,ingresses,networkpolicies,
        replicasets,replicasets/scale,replicationcontrollers/scale
    write policy poddisruptionbudgets
    write networking.k8s.io ingresses,networkpolicies
    all coordination.k8s.io leases
    write resource.k8s.io resourceclaims,resourceclaimtemplates

system:aggregate-to-view +view
    read - configmaps,endpoints,persistentvolumeclaims,persistentvolumeclaims/status,pods,replicationcontrollers,
        replicationcontrollers/scale,serviceaccounts,services,services/status
    read - bindings,events,limitranges,namespaces/status,pods/log,pods/status,replicationcontrollers/status,
        resourcequotas,resourcequotas/status
    read - namespaces
    read discovery.k8s.io endpointslices
    read apps controllerrevisions,daemonsets,daemonsets/status,deployments,deployments/scale,deployments/status,
        replicasets,replicasets/scale,replicasets/status,statefulsets,statefulsets/scale,statefulsets/status
    read autoscaling horizontalpodautoscalers,horizontalpodautoscalers/status
    read batch cronjobs,cronjobs/status,jobs,jobs/status
    read extensions daemonsets,daemonsets/status,deployments,deployments/scale,deployments/status,ingresses,
        ingresses/status,networkpolicies,replicasets,replicasets/scale,replicasets/status,replicationcontrollers/scale
    read policy poddisruptionbudgets,poddisruptionbudgets/status
    read networking.k8s.io ingresses,ingresses/status,networkpolicies
    read resource.k8s.io resourceclaims,resourceclaims/status,resourceclaimtemplates

system:heapster
    read - events,namespaces,nodes,pods
    read extensions deployments

system:node-problem-detector
    get - nodes
    patch - nodes/status
    events

system:kubelet-api-admin
    read - nodes
    proxy - nodes
    * - nodes/configz,nodes/healthz,nodes/log,nodes/metrics,nodes/pods,nodes/proxy,nodes/stats

system:node-bootstrapper
    create,read certificates.k8s.io certificatesigningrequests

system:auth-delegator
    create authentication.k8s.io tokenreviews
    create authorization.k8s.io subjectaccessreviews

system:kube-aggregator
    read - endpoints,services

system:kube-controller-manager
    events
    create coordination.k8s.io leases
    get,update coordination.k8s.io leases kube-controller-manager
    create - secrets,serviceaccounts
    delete - secrets
    get - configmaps,namespaces,secrets,serviceaccounts
    update - secrets,serviceaccounts
    create authentication.k8s.io tokenreviews
    create authorization.k8s.io subjectaccessreviews
    list,watch * *
    create - serviceaccounts/token

system:kube-dns
    list,watch - endpoints,services

system:persistent-volume-provisioner
    create,delete,read - persistentvolumes
    read,update - persistentvolumeclaims
    read storage.k8s.io storageclasses
    watch - events
    events

system:certificates.k8s.io:certificatesigningrequests:nodeclient
    create certificates.k8s.io certificatesigningrequests/nodeclient

system:certificates.k8s.io:certificatesigningrequests:selfnodeclient
    create certificates.k8s.io certificatesigningrequests/selfnodeclient

system:volume-scheduler
    readupdate - persistentvolumes
    read storage.k8s.io storageclasses
    readupdate - persistentvolumeclaims

system:certificates.k8s.io:legacy-unknown-approver
    approve certificates.k8s.io signers kubernetes.io/legacy-unknown

system:certificates.k8s.io:kubelet-serving-approver
    approve certificates.k8s.io signers kubernetes.io/kubelet-serving

system:certificates.k8s.io:kube-apiserver-client-approver
    approve certificates.k8s.io signers kubernetes.io/kube-apiserver-client

system:certificates.k8s.io:kube-apiserver-client-kubelet-approver
    approve certificates.k8s.io signers kubernetes.io/kube-apiserver-client-kubelet

system:service-account-issuer-discovery
    get /.well-known/openid-configuration,/.well-known/openid-configuration/,/openid/v1/jwks,/openid/v1/jwks/

system:node-proxier
    list,watch - endpoints,services
    read - nodes
    events
    list,watch discovery.k8s.io endpointslices
    list,watch networking.k8s.io servicecidrs

system:kube-scheduler
    events
    create coordination.k8s.io leases
    get,update coordination.k8s.io leases kube-scheduler
    read - nodes
    delete,read - pods
    create - bindings,pods/binding
    patch,update - pods/status
    read - replicationcontrollers,services
    read apps,extensions replicasets
    read apps statefulsets
    read policy poddisruptionbudgets
    read - persistentvolumeclaims,persistentvolumes
    create authentication.k8s.io tokenreviews
    create authorization.k8s.io subjectaccessreviews
    read storage.k8s.io csinodes
    read - namespaces
    read storage.k8s.io csidrivers
    read storage.k8s.io csistoragecapacities
    read storage.k8s.io volumeattachments
    read resource.k8s.io deviceclasses
    create,delete,readupdate resource.k8s.io resourceclaims
    readupdate resource.k8s.io resourceclaims/status
    update - pods/finalizers
    read resource.k8s.io resourceslices
"""

#: Binding and role of the same name, and whom it is bound to. The role of nodes is bound to nobody: they are the Node
#: authorizer's, which knows what is whose.
BINDINGS: tuple[tuple[str, tuple[tuple[str, str], ...]], ...] = (
    ("cluster-admin", (("Group", "system:masters"),)),
    ("system:monitoring", (("Group", "system:monitoring"),)),
    ("system:discovery", (("Group", "system:authenticated"),)),
    ("system:basic-user", (("Group", "system:authenticated"),)),
    ("system:public-info-viewer", (("Group", "system:authenticated"), ("Group", "system:unauthenticated"))),
    ("system:node-proxier", (("User", "system:kube-proxy"),)),
    ("system:kube-controller-manager", (("User", "system:kube-controller-manager"),)),
    ("system:kube-dns", (("ServiceAccount", "kube-system/kube-dns"),)),
    ("system:kube-scheduler", (("User", "system:kube-scheduler"),)),
    ("system:volume-scheduler", (("User", "system:kube-scheduler"),)),
    ("system:node", ()),
    ("system:service-account-issuer-discovery", (("Group", "system:serviceaccounts"),)),
)
