"""Views of the core group: pods, nodes, services and what pods read."""

from typing import Any

from kaa.kinds.views.base import LabelSelectorView, Part, View
from kaa.meta.resource import Resource

__all__ = [
    "ConfigMap", "Container", "ContainerState", "ContainerStatus", "Endpoints", "EnvVar", "EventView", "Handler",
    "Namespace", "Node", "Pod", "PodCondition", "PodSpec", "PodStatus", "PriorityClass", "Probe",
    "ReplicationController", "Secret", "Service",
    "ServiceAccount", "ServicePortView", "Taint", "Toleration", "Volume", "VolumeMount",
]  # fmt: skip

Json = dict[str, Any]


class KeyRef(Part, frozen=True):
    """A key of a config map or secret."""

    name: str = ""
    key: str = ""
    optional: bool = False


class FieldRef(Part, frozen=True):
    """A field of the pod."""

    api_version: str = "v1"
    field_path: str = ""


class ResourceFieldRef(Part, frozen=True):
    """A resource of a container."""

    container_name: str = ""
    resource: str = ""
    divisor: str = "0"


class EnvVarSource(Part, frozen=True):
    """Where a variable's value comes from."""

    field_ref: FieldRef | None = None
    resource_field_ref: ResourceFieldRef | None = None
    config_map_key_ref: KeyRef | None = None
    secret_key_ref: KeyRef | None = None


class EnvVar(Part, frozen=True):
    """One environment variable."""

    name: str = ""
    value: str = ""
    value_from: EnvVarSource | None = None


class LocalRef(Part, frozen=True):
    """An object of the same namespace."""

    name: str = ""
    optional: bool = False


class EnvFromSource(Part, frozen=True):
    """Every key of a config map or secret as a variable."""

    prefix: str = ""
    config_map_ref: LocalRef | None = None
    secret_ref: LocalRef | None = None


class ContainerPort(Part, frozen=True):
    """A port a container listens on."""

    name: str = ""
    container_port: int = 0
    host_port: int = 0
    host_ip: str = ""
    protocol: str = "TCP"


class VolumeMount(Part, frozen=True):
    """Where a volume appears in a container."""

    name: str = ""
    mount_path: str = ""
    sub_path: str = ""
    sub_path_expr: str = ""
    read_only: bool = False
    recursive_read_only: str | None = None
    mount_propagation: str | None = None


class ExecAction(Part, frozen=True):
    """Run a command in the container."""

    command: tuple[str, ...] = ()


class HttpHeader(Part, frozen=True):
    """A header of a probe."""

    name: str = ""
    value: str = ""


class HttpGetAction(Part, frozen=True):
    """Ask over HTTP."""

    path: str = "/"
    port: int | str = 80
    host: str = ""
    scheme: str = "HTTP"
    http_headers: tuple[HttpHeader, ...] = ()


class TcpAction(Part, frozen=True):
    """Open a connection."""

    port: int | str = 0
    host: str = ""


class GrpcAction(Part, frozen=True):
    """Ask the gRPC health service."""

    port: int = 0
    service: str = ""


class SleepAction(Part, frozen=True):
    """Wait."""

    seconds: int = 0


class Handler(Part, frozen=True):
    """What a probe or a lifecycle hook does."""

    exec: ExecAction | None = None
    http_get: HttpGetAction | None = None
    tcp_socket: TcpAction | None = None
    grpc: GrpcAction | None = None
    sleep: SleepAction | None = None


class Probe(Handler, frozen=True):
    """A periodic check of a container."""

    initial_delay_seconds: int = 0
    timeout_seconds: int = 1
    period_seconds: int = 10
    success_threshold: int = 1
    failure_threshold: int = 3
    termination_grace_period_seconds: int | None = None


class Lifecycle(Part, frozen=True):
    """What happens right after a start and right before a stop."""

    post_start: Handler | None = None
    pre_stop: Handler | None = None
    stop_signal: str | None = None


class ResourceRequirements(Part, frozen=True):
    """What a container asks for and may use, as quantities in text."""

    requests: dict[str, str | int | float] = {}
    limits: dict[str, str | int | float] = {}


class ContainerResizePolicy(Part, frozen=True):
    """Whether a resource can change in place."""

    resource_name: str = ""
    restart_policy: str = ""


class Container(Part, frozen=True):
    """One container of a pod."""

    name: str = ""
    image: str = ""
    command: tuple[str, ...] = ()
    args: tuple[str, ...] = ()
    working_dir: str = ""
    ports: tuple[ContainerPort, ...] = ()
    env_from: tuple[EnvFromSource, ...] = ()
    env: tuple[EnvVar, ...] = ()
    resources: ResourceRequirements = ResourceRequirements()
    resize_policy: tuple[ContainerResizePolicy, ...] = ()
    restart_policy: str | None = None
    restart_policy_rules: tuple[Json, ...] = ()
    volume_mounts: tuple[VolumeMount, ...] = ()
    volume_devices: tuple[Json, ...] = ()
    liveness_probe: Probe | None = None
    readiness_probe: Probe | None = None
    startup_probe: Probe | None = None
    lifecycle: Lifecycle | None = None
    termination_message_path: str = "/dev/termination-log"
    termination_message_policy: str = "File"
    image_pull_policy: str = ""
    security_context: Json | None = None
    stdin: bool = False
    stdin_once: bool = False
    tty: bool = False
    target_container_name: str = ""


class Volume(Part, frozen=True):
    """One volume of a pod; the sources Kaa's parts read are plain JSON under their wire names."""

    name: str = ""
    empty_dir: Json | None = None
    host_path: Json | None = None
    config_map: Json | None = None
    secret: Json | None = None
    projected: Json | None = None
    downward_api: Json | None = None
    persistent_volume_claim: Json | None = None
    ephemeral: Json | None = None
    csi: Json | None = None
    nfs: Json | None = None
    iscsi: Json | None = None
    image: Json | None = None


class Toleration(Part, frozen=True):
    """A taint a pod tolerates."""

    key: str = ""
    operator: str = "Equal"
    value: str = ""
    effect: str = ""
    toleration_seconds: int | None = None


class NamedPart(Part, frozen=True):
    """A reference by name alone."""

    name: str = ""


class HostAlias(Part, frozen=True):
    """A line of the pod's hosts file."""

    ip: str = ""
    hostnames: tuple[str, ...] = ()


class TopologySpreadConstraint(Part, frozen=True):
    """How pods spread over a topology."""

    max_skew: int = 1
    topology_key: str = ""
    when_unsatisfiable: str = "DoNotSchedule"
    label_selector: LabelSelectorView | None = None
    min_domains: int | None = None
    node_affinity_policy: str = "Honor"
    node_taints_policy: str = "Ignore"
    match_label_keys: tuple[str, ...] = ()


class PodSpec(Part, frozen=True):
    """What a pod should be."""

    volumes: tuple[Volume, ...] = ()
    init_containers: tuple[Container, ...] = ()
    containers: tuple[Container, ...] = ()
    ephemeral_containers: tuple[Container, ...] = ()
    restart_policy: str = "Always"
    termination_grace_period_seconds: int = 30
    active_deadline_seconds: int | None = None
    dns_policy: str = "ClusterFirst"
    dns_config: Json | None = None
    node_selector: dict[str, str] = {}
    service_account_name: str = ""
    automount_service_account_token: bool | None = None
    node_name: str = ""
    host_network: bool = False
    host_pid: bool = False
    host_ipc: bool = False
    host_users: bool | None = None
    share_process_namespace: bool = False
    security_context: Json = {}
    image_pull_secrets: tuple[NamedPart, ...] = ()
    hostname: str = ""
    subdomain: str = ""
    set_hostname_as_fqdn: bool = False
    affinity: Json | None = None
    scheduler_name: str = "default-scheduler"
    tolerations: tuple[Toleration, ...] = ()
    host_aliases: tuple[HostAlias, ...] = ()
    priority_class_name: str = ""
    priority: int | None = None
    preemption_policy: str | None = None
    readiness_gates: tuple[Json, ...] = ()
    scheduling_gates: tuple[NamedPart, ...] = ()
    runtime_class_name: str | None = None
    enable_service_links: bool = True
    overhead: dict[str, str | int | float] = {}
    resources: ResourceRequirements | None = None
    resource_claims: tuple[Json, ...] = ()
    topology_spread_constraints: tuple[TopologySpreadConstraint, ...] = ()
    os: NamedPart | None = None


class PodCondition(Part, frozen=True):
    """One condition, of a pod or another object."""

    type: str = ""
    status: str = ""
    reason: str = ""
    message: str = ""
    last_transition_time: str | None = None
    last_probe_time: str | None = None
    last_heartbeat_time: str | None = None
    observed_generation: int = 0


class StateWaiting(Part, frozen=True):
    """Why a container has not started."""

    reason: str = ""
    message: str = ""


class StateRunning(Part, frozen=True):
    """Since when a container runs."""

    started_at: str | None = None


class StateTerminated(Part, frozen=True):
    """How a container ended."""

    exit_code: int = 0
    signal: int = 0
    reason: str = ""
    message: str = ""
    started_at: str | None = None
    finished_at: str | None = None
    container_id: str = ""


class ContainerState(Part, frozen=True):
    """Exactly one of the three, or none yet."""

    waiting: StateWaiting | None = None
    running: StateRunning | None = None
    terminated: StateTerminated | None = None


class ContainerStatus(Part, frozen=True):
    """How one container is doing."""

    name: str = ""
    state: ContainerState = ContainerState()
    last_state: ContainerState = ContainerState()
    ready: bool = False
    restart_count: int = 0
    image: str = ""
    image_id: str = ""
    container_id: str = ""
    started: bool | None = None


class PodIP(Part, frozen=True):
    """An address of a pod or its host."""

    ip: str = ""


class PodStatus(Part, frozen=True):
    """How a pod is doing."""

    phase: str = "Pending"
    conditions: tuple[PodCondition, ...] = ()
    message: str = ""
    reason: str = ""
    nominated_node_name: str = ""
    host_ip: str = ""
    host_ips: tuple[PodIP, ...] = ()
    pod_ip: str = ""
    pod_ips: tuple[PodIP, ...] = ()
    start_time: str | None = None
    init_container_statuses: tuple[ContainerStatus, ...] = ()
    container_statuses: tuple[ContainerStatus, ...] = ()
    ephemeral_container_statuses: tuple[ContainerStatus, ...] = ()
    qos_class: str = ""
    observed_generation: int = 0


class Pod(View, frozen=True):
    """A pod."""

    resource = Resource("", "v1", "pods", "Pod", True, "pod")
    spec: PodSpec = PodSpec()
    status: PodStatus = PodStatus()

    @property
    def finished(self) -> bool:
        """Succeeded or Failed: it will never run again."""
        return self.status.phase in ("Succeeded", "Failed")

    @property
    def ready(self) -> bool:
        """The Ready condition is True."""
        return self.condition("Ready") == "True"

    def condition(self, kind: str) -> str:
        """The status of a condition: "True", "False", "Unknown", or "" when it is not there."""
        for each in self.status.conditions:
            if each.type == kind:
                return each.status
        return ""


class Taint(Part, frozen=True):
    """What keeps pods off a node."""

    key: str = ""
    value: str = ""
    effect: str = ""
    time_added: str | None = None


class NodeSpec(Part, frozen=True):
    """What a node should be."""

    pod_cidr: str = ""
    pod_cidrs: tuple[str, ...] = ()
    provider_id: str = ""
    unschedulable: bool = False
    taints: tuple[Taint, ...] = ()


class NodeAddress(Part, frozen=True):
    """How a node is reached."""

    type: str = ""
    address: str = ""


class DaemonEndpoint(Part, frozen=True):
    """A port of the node's agent."""

    port: int = 0


class NodeDaemonEndpoints(Part, frozen=True):
    """The ports of the node's agent."""

    kubelet_endpoint: DaemonEndpoint = DaemonEndpoint()


class ContainerImage(Part, frozen=True):
    """An image a node holds."""

    names: tuple[str, ...] = ()
    size_bytes: int = 0


class NodeStatus(Part, frozen=True):
    """How a node is doing."""

    capacity: dict[str, str | int | float] = {}
    allocatable: dict[str, str | int | float] = {}
    conditions: tuple[PodCondition, ...] = ()
    addresses: tuple[NodeAddress, ...] = ()
    daemon_endpoints: NodeDaemonEndpoints = NodeDaemonEndpoints()
    images: tuple[ContainerImage, ...] = ()
    node_info: Json = {}


class Node(View, frozen=True):
    """A node."""

    resource = Resource("", "v1", "nodes", "Node", False, "node")
    spec: NodeSpec = NodeSpec()
    status: NodeStatus = NodeStatus()

    @property
    def ready(self) -> bool:
        """The Ready condition is True."""
        return any(c.type == "Ready" and c.status == "True" for c in self.status.conditions)

    def address(self, kind: str = "InternalIP") -> str:
        """The first address of a type, or ""."""
        return next((a.address for a in self.status.addresses if a.type == kind), "")


class NamespaceSpec(Part, frozen=True):
    """What must happen before a namespace is gone."""

    finalizers: tuple[str, ...] = ()


class NamespaceStatus(Part, frozen=True):
    """Whether a namespace is going."""

    phase: str = "Active"
    conditions: tuple[PodCondition, ...] = ()


class Namespace(View, frozen=True):
    """A namespace."""

    resource = Resource("", "v1", "namespaces", "Namespace", False, "namespace")
    spec: NamespaceSpec = NamespaceSpec()
    status: NamespaceStatus = NamespaceStatus()


class ServiceAccount(View, frozen=True):
    """An identity for pods."""

    resource = Resource("", "v1", "serviceaccounts", "ServiceAccount", True, "serviceaccount")
    automount_service_account_token: bool | None = None
    image_pull_secrets: tuple[NamedPart, ...] = ()
    secrets: tuple[NamedPart, ...] = ()


class ConfigMap(View, frozen=True):
    """Configuration; `binary_data` values are base64."""

    resource = Resource("", "v1", "configmaps", "ConfigMap", True, "configmap")
    data: dict[str, str] = {}
    binary_data: dict[str, str] = {}
    immutable: bool = False


class Secret(View, frozen=True):
    """A secret; `data` values are base64."""

    resource = Resource("", "v1", "secrets", "Secret", True, "secret")
    data: dict[str, str] = {}
    type: str = "Opaque"
    immutable: bool = False


class ServicePortView(Part, frozen=True):
    """A port of a service."""

    name: str = ""
    protocol: str = "TCP"
    app_protocol: str | None = None
    port: int = 0
    target_port: int | str = 0
    node_port: int = 0


class ServiceSpec(Part, frozen=True):
    """What a service should be."""

    ports: tuple[ServicePortView, ...] = ()
    selector: dict[str, str] = {}
    cluster_ip: str = ""
    cluster_ips: tuple[str, ...] = ()
    type: str = "ClusterIP"
    external_ips: tuple[str, ...] = ()
    session_affinity: str = "None"
    session_affinity_config: Json | None = None
    load_balancer_ip: str = ""
    load_balancer_source_ranges: tuple[str, ...] = ()
    load_balancer_class: str | None = None
    allocate_load_balancer_node_ports: bool = True
    external_name: str = ""
    external_traffic_policy: str = "Cluster"
    internal_traffic_policy: str = "Cluster"
    health_check_node_port: int = 0
    publish_not_ready_addresses: bool = False
    ip_families: tuple[str, ...] = ()
    ip_family_policy: str | None = None
    traffic_distribution: str | None = None


class LoadBalancerIngress(Part, frozen=True):
    """An address a load balancer serves on."""

    ip: str = ""
    hostname: str = ""
    ip_mode: str | None = None


class LoadBalancerStatus(Part, frozen=True):
    """Where a load balancer serves."""

    ingress: tuple[LoadBalancerIngress, ...] = ()


class ServiceStatus(Part, frozen=True):
    """How a service is doing."""

    load_balancer: LoadBalancerStatus = LoadBalancerStatus()
    conditions: tuple[PodCondition, ...] = ()


class Service(View, frozen=True):
    """A stable name and address for pods."""

    resource = Resource("", "v1", "services", "Service", True, "service")
    spec: ServiceSpec = ServiceSpec()
    status: ServiceStatus = ServiceStatus()


class ReplicationControllerSpec(Part, frozen=True):
    """How many pods, of what template."""

    replicas: int = 1
    min_ready_seconds: int = 0
    selector: dict[str, str] = {}
    template: Json = {}


class ReplicationControllerStatus(Part, frozen=True):
    """How many there are."""

    replicas: int = 0
    fully_labeled_replicas: int = 0
    ready_replicas: int = 0
    available_replicas: int = 0
    observed_generation: int = 0
    conditions: tuple[PodCondition, ...] = ()


class ReplicationController(View, frozen=True):
    """The older form of a replica set."""

    resource = Resource("", "v1", "replicationcontrollers", "ReplicationController", True, "replicationcontroller")
    spec: ReplicationControllerSpec = ReplicationControllerSpec()
    status: ReplicationControllerStatus = ReplicationControllerStatus()


class Endpoints(View, frozen=True):
    """The older form of a service's endpoints."""

    resource = Resource("", "v1", "endpoints", "Endpoints", True, "endpoints")
    subsets: tuple[Json, ...] = ()


class EventView(View, frozen=True):
    """Something that happened to an object."""

    resource = Resource("", "v1", "events", "Event", True, "event")
    involved_object: Json = {}
    reason: str = ""
    message: str = ""
    type: str = ""
    count: int = 0


class PriorityClass(View, frozen=True):
    """How much a pod matters."""

    resource = Resource("scheduling.k8s.io", "v1", "priorityclasses", "PriorityClass", False, "priorityclass")
    value: int = 0
    global_default: bool = False
    preemption_policy: str = "PreemptLowerPriority"
