"""One role for each controller; its account has the role's name behind the prefix, and is in kube-system."""

__all__ = ["PREFIX", "ROLES"]

PREFIX = "system:controller:"

ROLES = """
attachdetach-controller
    list,watch - persistentvolumeclaims,persistentvolumes
    read - nodes
    patch,update - nodes/status
    list,watch - pods
    events
    create,delete,read storage.k8s.io volumeattachments
    read storage.k8s.io csidrivers
    read storage.k8s.io csinodes
clusterrole-aggregation-controller
    escalate,read,patch,update rbac.authorization.k8s.io clusterroles
cronjob-controller
    read,update batch cronjobs
    create,delete,read,patch,update batch jobs
    update batch cronjobs/status
    update batch cronjobs/finalizers
    delete,list,watch - pods
    events
daemon-set-controller
    read apps,extensions daemonsets
    update apps,extensions daemonsets/status
    update apps,extensions daemonsets/finalizers
    list,watch - nodes
    create,delete,list,patch,watch - pods
    create - pods/binding
    create,delete,read,patch,update apps controllerrevisions
    events
deployment-controller
    read,update apps,extensions deployments
    update apps,extensions deployments/status
    update apps,extensions deployments/finalizers
    create,delete,read,patch,update apps,extensions replicasets
    read,update - pods
    events
disruption-controller
    read apps,extensions deployments
    read apps,extensions replicasets
    read - replicationcontrollers
    read policy poddisruptionbudgets
    read apps statefulsets
    update policy poddisruptionbudgets/status
    patch,update - pods/status
    get * */scale
    events
endpoint-controller
    read - pods,services
    create,delete,read,update - endpoints
    create - endpoints/restricted
    events
endpointslice-controller
    read - nodes,pods,services
    update - services/finalizers
    create,delete,read,update discovery.k8s.io endpointslices
    events
endpointslicemirroring-controller
    read - endpoints,services
    update - services/finalizers
    update - endpoints/finalizers
    create,delete,read,update discovery.k8s.io endpointslices
    events
expand-controller
    readupdate - persistentvolumes
    patch,update - persistentvolumeclaims/status
    read - persistentvolumeclaims
    events
ephemeral-volume-controller
    read - pods
    update - pods/finalizers
    create,read - persistentvolumeclaims
    events
resource-claim-controller
    read - pods
    update - pods/finalizers
    create,delete,read resource.k8s.io resourceclaims
    patch,update resource.k8s.io resourceclaims,resourceclaims/status
    patch,update - pods/status
    events
generic-garbage-collector
    delete,readupdate * *
    events
horizontal-pod-autoscaler
    read autoscaling horizontalpodautoscalers
    update autoscaling horizontalpodautoscalers/status
    get,update * */scale
    list,watch - pods
    list,watch metrics.k8s.io pods
    read custom.metrics.k8s.io *
    read external.metrics.k8s.io *
    events
job-controller
    readupdate batch jobs
    update batch jobs/status
    update batch jobs/finalizers
    create,delete,list,patch,watch - pods
    events
namespace-controller
    delete,read - namespaces
    update - namespaces/finalize,namespaces/status
    delete,deletecollection,read * *
node-controller
    delete,readupdate - nodes
    patch,update - nodes/status
    patch,update - pods/status
    delete,read - pods
    events
persistent-volume-binder
    create,delete,read,update - persistentvolumes
    update - persistentvolumes/status
    read,update - persistentvolumeclaims
    update - persistentvolumeclaims/status
    create,delete,read - pods
    read storage.k8s.io storageclasses
    list,watch - nodes
    events
    watch - events
pod-garbage-collector
    delete,list,watch - pods
    read - nodes
    patch - pods/status
replicaset-controller
    read,update apps,extensions replicasets
    update apps,extensions replicasets/status
    update apps,extensions replicasets/finalizers
    create,delete,list,patch,watch - pods
    events
replication-controller
    read,update - replicationcontrollers
    update - replicationcontrollers/status
    update - replicationcontrollers/finalizers
    create,delete,list,patch,watch - pods
    events
resourcequota-controller
    list,watch * *
    update - resourcequotas/status
    events
route-controller
    list,watch - nodes
    patch - nodes/status
    events
service-account-controller
    create - serviceaccounts
    events
service-controller
    read - services
    patch,update - services/status
    list,watch - nodes
    events
service-cidrs-controller
    readupdate networking.k8s.io servicecidrs
    patch,update networking.k8s.io servicecidrs/finalizers
    patch,update networking.k8s.io servicecidrs/status
    read networking.k8s.io ipaddresses
    events
statefulset-controller
    list,watch - pods
    read apps statefulsets
    update apps statefulsets/status
    update apps statefulsets/finalizers
    create,delete,get,patch,update - pods
    create,delete,readupdate apps controllerrevisions
    create,read - persistentvolumeclaims
    delete,update - persistentvolumeclaims
    update - pods/finalizers
    events
ttl-controller
    list,patch,update,watch - nodes
    events
certificate-controller
    delete,read certificates.k8s.io certificatesigningrequests
    update certificates.k8s.io certificatesigningrequests/approval,certificatesigningrequests/status
    approve certificates.k8s.io signers kubernetes.io/kube-apiserver-client-kubelet
    sign certificates.k8s.io signers kubernetes.io/kube-apiserver-client,kubernetes.io/kube-apiserver-client-kubelet,
        kubernetes.io/kubelet-serving,kubernetes.io/legacy-unknown
    create authorization.k8s.io subjectaccessreviews
    events
pvc-protection-controller
    read,update - persistentvolumeclaims
    read - pods
    events
pv-protection-controller
    read,update - persistentvolumes
    events
volumeattributesclass-protection-controller
    read - persistentvolumeclaims
    read - persistentvolumes
    read,update storage.k8s.io volumeattributesclasses
    events
ttl-after-finished-controller
    delete,read batch jobs
    events
root-ca-cert-publisher
    create,update - configmaps
    events
validatingadmissionpolicy-status-controller
    read admissionregistration.k8s.io validatingadmissionpolicies
    get,patch,update admissionregistration.k8s.io validatingadmissionpolicies/status
    events
legacy-service-account-token-cleaner
    get - configmaps kube-apiserver-legacy-service-account-token-tracking
    delete,patch - secrets
selinux-warning-controller
    events
    read - persistentvolumes
    read - persistentvolumeclaims
    read - pods
    read storage.k8s.io csidrivers
"""
