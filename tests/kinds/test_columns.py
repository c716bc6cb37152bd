"""The columns of every table: names, order, which only `-o wide` shows (*), and types other than text."""

import pytest
from builders import REGISTRY

#: As kubectl prints them for v1.36.
COLUMNS = """
v1 ComponentStatus | Name, Status, Message, Error
v1 ConfigMap | Name, Data, Age
v1 Endpoints | Name, Endpoints, Age
v1 Event | Last Seen, Type, Reason, Object, Subobject*, Source*, Message, First Seen*, Count*, Name*
v1 LimitRange | Name, Created At:date
v1 Namespace | Name, Status, Age
v1 Node | Name, Status, Roles, Age, Version, Internal-IP*, External-IP*, OS-Image*, Kernel-Version*, \
Container-Runtime*
v1 PersistentVolumeClaim | Name, Status, Volume, Capacity, Access Modes, StorageClass, VolumeAttributesClass, \
Age, VolumeMode*
v1 PersistentVolume | Name, Capacity, Access Modes, Reclaim Policy, Status, Claim, StorageClass, \
VolumeAttributesClass, Reason, Age, VolumeMode*
v1 Pod | Name, Ready, Status, Restarts, Age, IP*, Node*, Nominated Node*, Readiness Gates*
v1 PodTemplate | Name, Containers, Images, Pod Labels
v1 ReplicationController | Name, Desired:integer, Current:integer, Ready:integer, Age, Containers*, Images*, Selector*
v1 ResourceQuota | Name, Request, Limit, Age
v1 Secret | Name, Type, Data, Age
v1 ServiceAccount | Name, Secrets, Age
v1 Service | Name, Type, Cluster-IP, External-IP, Port(s), Age, Selector*
apiregistration.k8s.io/v1 APIService | Name, Service, Available, Age
apps/v1 ControllerRevision | Name, Controller, Revision, Age
apps/v1 DaemonSet | Name, Desired:integer, Current:integer, Ready:integer, Up-to-date:integer, \
Available:integer, Node Selector, Age, Containers*, Images*, Selector*
apps/v1 Deployment | Name, Ready, Up-to-date, Available, Age, Containers*, Images*, Selector*
apps/v1 ReplicaSet | Name, Desired:integer, Current:integer, Ready:integer, Age, Containers*, Images*, Selector*
apps/v1 StatefulSet | Name, Ready, Age, Containers*, Images*
events.k8s.io/v1 Event | Last Seen, Type, Reason, Object, Subobject*, Source*, Message, First Seen*, Count*, Name*
autoscaling/v2 HorizontalPodAutoscaler | Name, Reference, Targets, MinPods, MaxPods, Replicas, Age
autoscaling/v1 HorizontalPodAutoscaler | Name, Reference, Targets, MinPods, MaxPods, Replicas, Age
batch/v1 CronJob | Name, Schedule, Timezone, Suspend:boolean, Active:integer, Last Schedule, Age, Containers*, \
Images*, Selector*
batch/v1 Job | Name, Status, Completions, Duration, Age, Containers*, Images*, Selector*
certificates.k8s.io/v1 CertificateSigningRequest | Name, Age, SignerName, Requestor, RequestedDuration, Condition
networking.k8s.io/v1 IngressClass | Name, Controller, Parameters, Age
networking.k8s.io/v1 Ingress | Name, Class, Hosts, Address, Ports, Age
networking.k8s.io/v1 IPAddress | Name, ParentRef
networking.k8s.io/v1 NetworkPolicy | Name, Pod-Selector, Age
networking.k8s.io/v1 ServiceCIDR | Name, CIDRs, Age
policy/v1 PodDisruptionBudget | Name, Min Available, Max Unavailable, Allowed Disruptions:integer, Age
rbac.authorization.k8s.io/v1 ClusterRoleBinding | Name, Role, Age, Users*, Groups*, ServiceAccounts*
rbac.authorization.k8s.io/v1 ClusterRole | Name, Created At:date
rbac.authorization.k8s.io/v1 RoleBinding | Name, Role, Age, Users*, Groups*, ServiceAccounts*
rbac.authorization.k8s.io/v1 Role | Name, Created At:date
storage.k8s.io/v1 CSIDriver | Name, AttachRequired:boolean, PodInfoOnMount:boolean, StorageCapacity:boolean, \
TokenRequests, RequiresRepublish:boolean, Modes, Age
storage.k8s.io/v1 CSINode | Name, Drivers:integer, Age
storage.k8s.io/v1 CSIStorageCapacity | Name, StorageClassName, Capacity
storage.k8s.io/v1 StorageClass | Name, Provisioner, ReclaimPolicy, VolumeBindingMode, AllowVolumeExpansion, Age
storage.k8s.io/v1 VolumeAttachment | Name, Attacher, PV, Node, Attached:boolean, Age
storage.k8s.io/v1 VolumeAttributesClass | Name, DriverName, Age
admissionregistration.k8s.io/v1 MutatingAdmissionPolicy | Name, Mutations:integer, ParamKind, Age
admissionregistration.k8s.io/v1 MutatingAdmissionPolicyBinding | Name, PolicyName, ParamRef, Age
admissionregistration.k8s.io/v1 MutatingWebhookConfiguration | Name, Webhooks:integer, Age
admissionregistration.k8s.io/v1 ValidatingAdmissionPolicy | Name, Validations:integer, ParamKind, Age
admissionregistration.k8s.io/v1 ValidatingAdmissionPolicyBinding | Name, PolicyName, ParamRef, Age
admissionregistration.k8s.io/v1 ValidatingWebhookConfiguration | Name, Webhooks:integer, Age
apiextensions.k8s.io/v1 CustomResourceDefinition | Name, Created At:date
scheduling.k8s.io/v1 PriorityClass | Name, Value:integer, Global-Default:boolean, Age, PreemptionPolicy
coordination.k8s.io/v1 Lease | Name, Holder, Age
node.k8s.io/v1 RuntimeClass | Name, Handler, Age
discovery.k8s.io/v1 EndpointSlice | Name, AddressType, Ports, Endpoints, Age
resource.k8s.io/v1 DeviceClass | Name, Age
resource.k8s.io/v1 ResourceClaim | Name, State, Age
resource.k8s.io/v1 ResourceClaimTemplate | Name, Age
resource.k8s.io/v1 ResourceSlice | Name, Node, Driver, Pool, Age
flowcontrol.apiserver.k8s.io/v1 FlowSchema | Name, PriorityLevel, MatchingPrecedence, DistinguisherMethod, Age, \
MissingPL
flowcontrol.apiserver.k8s.io/v1 PriorityLevelConfiguration | Name, Type, NominalConcurrencyShares, Queues, \
HandSize, QueueLengthLimit, Age
"""
ROWS = [line.split(" | ") for line in COLUMNS.strip().splitlines()]


@pytest.mark.parametrize(("kind", "columns"), ROWS, ids=[row[0] for row in ROWS])
def test_the_columns_of_a_kind(kind: str, columns: str) -> None:
    spec = REGISTRY.by_kind(*kind.split())
    assert spec is not None
    shown = [
        f"{each.name}{'*' if each.priority else ''}{'' if each.type == 'string' else f':{each.type}'}"
        for each in spec.columns
    ]
    assert ", ".join(shown) == columns
    assert [each.name for each in spec.columns if not each.description] == []


def test_every_kind_has_a_row() -> None:
    served = {f"{spec.api_version} {spec.kind}" for spec in REGISTRY.all() if "get" in spec.verbs}
    assert served == {row[0] for row in ROWS}
