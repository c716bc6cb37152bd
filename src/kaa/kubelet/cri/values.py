"""What goes over the CRI line, as plain values: what the runtime is, sandboxes, containers, images, statistics.

Frozen, with the defaults of the wire. Times are in nanoseconds, as the runtime gives them.
"""

import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

__all__ = [
    "AppArmorProfile",
    "Auth",
    "Capabilities",
    "Container",
    "ContainerAttributes",
    "ContainerConfig",
    "ContainerMetadata",
    "ContainerResources",
    "ContainerSecurity",
    "ContainerState",
    "ContainerStats",
    "ContainerStatus",
    "CpuUsage",
    "DNSConfig",
    "Device",
    "EventKind",
    "ExecResult",
    "Features",
    "FilesystemUsage",
    "HugepageLimit",
    "IDMapping",
    "Image",
    "ImageFilesystem",
    "ImageSpec",
    "InterfaceUsage",
    "LinuxContainer",
    "LinuxSandbox",
    "MemoryUsage",
    "Mount",
    "NamespaceMode",
    "NamespaceOptions",
    "NetworkUsage",
    "PortMapping",
    "PortProtocol",
    "ProfileType",
    "Propagation",
    "RuntimeCondition",
    "RuntimeEvent",
    "RuntimeStatus",
    "Sandbox",
    "SandboxConfig",
    "SandboxMetadata",
    "SandboxSecurity",
    "SandboxState",
    "SandboxStats",
    "SandboxStatus",
    "SecurityProfile",
    "UserNamespace",
    "Version",
]

# What the runtime is --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Version:
    """Who answers: `containerd`, `1.6.20`, CRI API `v1`."""

    version: str = ""
    runtime_name: str = ""
    runtime_version: str = ""
    runtime_api_version: str = ""


@dataclass(frozen=True, slots=True)
class RuntimeCondition:
    """`type` is RuntimeReady or NetworkReady, or the runtime's own."""

    type: str = ""
    status: bool = False
    reason: str = ""
    message: str = ""


@dataclass(frozen=True, slots=True)
class RuntimeStatus:
    """The conditions the node's Ready condition is made from."""

    conditions: Sequence[RuntimeCondition] = ()

    def condition(self, type_: str) -> RuntimeCondition:
        """The condition of that type; a false one with reason `Missing` when the runtime doesn't state it."""
        for condition in self.conditions:
            if condition.type == type_:
                return condition
        return RuntimeCondition(type_, False, "Missing", f"the runtime does not state {type_}")

    @property
    def runtime_ready(self) -> bool:
        """Containers can be started."""
        return self.condition("RuntimeReady").status

    @property
    def network_ready(self) -> bool:
        """Pods that don't use the host's network can be started."""
        return self.condition("NetworkReady").status


@dataclass(frozen=True, slots=True)
class Features:
    """What this runtime can do, asked once after connecting. What is False must be refused by name."""

    events: bool = False
    """`events()` works, by CRI or by the runtime's own event stream."""
    user_namespaces: bool = False
    recursive_read_only_mounts: bool = False
    image_volumes: bool = False
    sandbox_stats: bool = False
    supplemental_groups_policy: bool = False
    stop_signal: bool = False
    update_sandbox_resources: bool = False
    cgroup_driver: str = ""
    """`cgroupfs` or `systemd` when the runtime says so; empty when it must be configured by hand."""
    runtime_handlers: Sequence[str] = ()
    """Names usable as RuntimeClass handlers; empty when the runtime doesn't list them."""


# Sandboxes ------------------------------------------------------------------------------------------------------------


class PortProtocol(enum.IntEnum):
    """Of a port mapping."""

    TCP = 0
    UDP = 1
    SCTP = 2


class Propagation(enum.IntEnum):
    """Of a mount: None, HostToContainer, Bidirectional in the API's words."""

    PRIVATE = 0
    HOST_TO_CONTAINER = 1
    BIDIRECTIONAL = 2


class NamespaceMode(enum.IntEnum):
    """Whose namespace a container uses."""

    POD = 0
    CONTAINER = 1
    NODE = 2
    TARGET = 3


class ProfileType(enum.IntEnum):
    """Of a seccomp or AppArmor profile."""

    RUNTIME_DEFAULT = 0
    UNCONFINED = 1
    LOCALHOST = 2


class SandboxState(enum.IntEnum):
    """A sandbox is ready from its creation until it is stopped or its pause process dies."""

    READY = 0
    NOT_READY = 1


class ContainerState(enum.IntEnum):
    """Of a container, in the order it lives."""

    CREATED = 0
    RUNNING = 1
    EXITED = 2
    UNKNOWN = 3


class EventKind(enum.IntEnum):
    """What happened to a container (or a sandbox, which is one)."""

    CREATED = 0
    STARTED = 1
    STOPPED = 2
    DELETED = 3
    OOM = 100
    """Only from event streams that tell it apart (containerd's own)."""


@dataclass(frozen=True, slots=True)
class DNSConfig:
    """What goes into the pod's resolv.conf."""

    servers: Sequence[str] = ()
    searches: Sequence[str] = ()
    options: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class PortMapping:
    """A host port; `host_ip` empty means every address."""

    container_port: int
    host_port: int = 0
    protocol: PortProtocol = PortProtocol.TCP
    host_ip: str = ""


@dataclass(frozen=True, slots=True)
class IDMapping:
    """A range of a user namespace."""

    host_id: int = 0
    container_id: int = 0
    length: int = 0


@dataclass(frozen=True, slots=True)
class UserNamespace:
    """POD: one of its own with these ranges; NODE: the host's."""

    mode: NamespaceMode = NamespaceMode.NODE
    uids: Sequence[IDMapping] = ()
    gids: Sequence[IDMapping] = ()


@dataclass(frozen=True, slots=True)
class NamespaceOptions:
    """`target_id` is the container whose process namespace is joined when `pid` is TARGET."""

    network: NamespaceMode = NamespaceMode.POD
    pid: NamespaceMode = NamespaceMode.CONTAINER
    ipc: NamespaceMode = NamespaceMode.POD
    target_id: str = ""
    userns: UserNamespace | None = None


@dataclass(frozen=True, slots=True)
class SecurityProfile:
    """Seccomp or AppArmor; `localhost_ref` is a file path (seccomp) or a loaded profile's name (AppArmor)."""

    profile_type: ProfileType = ProfileType.RUNTIME_DEFAULT
    localhost_ref: str = ""


AppArmorProfile = SecurityProfile


@dataclass(frozen=True, slots=True)
class SandboxSecurity:
    """The security context of the sandbox itself."""

    namespaces: NamespaceOptions = NamespaceOptions()
    run_as_user: int | None = None
    run_as_group: int | None = None
    readonly_rootfs: bool = False
    supplemental_groups: Sequence[int] = ()
    privileged: bool = False
    seccomp: SecurityProfile | None = None
    apparmor: SecurityProfile | None = None
    supplemental_groups_policy: int = 0
    """0 Merge, 1 Strict."""


@dataclass(frozen=True, slots=True)
class HugepageLimit:
    """`page_size` as the kernel writes it: 2MB, 1GB."""

    page_size: str = ""
    limit: int = 0


@dataclass(frozen=True, slots=True)
class ContainerResources:
    """Linux limits; 0 and empty mean: not set."""

    cpu_period: int = 0
    cpu_quota: int = 0
    cpu_shares: int = 0
    memory_limit: int = 0
    oom_score_adj: int = 0
    cpuset_cpus: str = ""
    cpuset_mems: str = ""
    hugepages: Sequence[HugepageLimit] = ()
    unified: Mapping[str, str] = field(default_factory=dict)
    """Raw cgroup v2 values by file name."""
    memory_swap_limit: int = 0


@dataclass(frozen=True, slots=True)
class LinuxSandbox:
    """What a Linux sandbox adds."""

    cgroup_parent: str = ""
    security: SandboxSecurity = SandboxSecurity()
    sysctls: Mapping[str, str] = field(default_factory=dict)
    overhead: ContainerResources | None = None
    resources: ContainerResources | None = None


@dataclass(frozen=True, slots=True)
class SandboxMetadata:
    """Whose sandbox it is, and which try at it. The four together are unique at a runtime."""

    name: str = ""
    uid: str = ""
    namespace: str = ""
    attempt: int = 0


@dataclass(frozen=True, slots=True)
class SandboxConfig:
    """A pod's shell: namespaces, network, log directory. `hostname` must be empty on the host's network (runc
    refuses to set it without a UTS namespace of the pod's own)."""

    metadata: SandboxMetadata
    hostname: str = ""
    log_directory: str = ""
    dns: DNSConfig | None = None
    port_mappings: Sequence[PortMapping] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    linux: LinuxSandbox = LinuxSandbox()


@dataclass(frozen=True, slots=True)
class Sandbox:
    """A line of `list_sandboxes`."""

    id: str = ""
    metadata: SandboxMetadata = SandboxMetadata()
    state: SandboxState = SandboxState.READY
    created_at: int = 0
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    runtime_handler: str = ""


@dataclass(frozen=True, slots=True)
class SandboxStatus:
    """A sandbox in full. `ips` is empty for a pod on the host's network."""

    id: str = ""
    metadata: SandboxMetadata = SandboxMetadata()
    state: SandboxState = SandboxState.READY
    created_at: int = 0
    ips: Sequence[str] = ()
    namespaces: NamespaceOptions = NamespaceOptions()
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    runtime_handler: str = ""


# Containers -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ContainerMetadata:
    """The container's name in its pod, and which try at it (its restart count)."""

    name: str = ""
    attempt: int = 0


@dataclass(frozen=True, slots=True)
class ImageSpec:
    """`image` is what the runtime resolves: for a container, the reference that `pull_image` or `image_status` gave."""

    image: str = ""
    annotations: Mapping[str, str] = field(default_factory=dict)
    user_specified_image: str = ""
    runtime_handler: str = ""


@dataclass(frozen=True, slots=True)
class Mount:
    """A host path (or, where `image_volumes` is a feature, an image) in the container."""

    container_path: str = ""
    host_path: str = ""
    readonly: bool = False
    propagation: Propagation = Propagation.PRIVATE
    recursive_read_only: bool = False
    image: ImageSpec | None = None
    image_sub_path: str = ""
    uid_mappings: Sequence[IDMapping] = ()
    """Of the pod's user namespace, for an id-mapped mount."""
    gid_mappings: Sequence[IDMapping] = ()


@dataclass(frozen=True, slots=True)
class Device:
    """A device node; `permissions` from `rwm`."""

    container_path: str = ""
    host_path: str = ""
    permissions: str = "rwm"


@dataclass(frozen=True, slots=True)
class Capabilities:
    """Names without `CAP_`, or `ALL`."""

    add: Sequence[str] = ()
    drop: Sequence[str] = ()
    add_ambient: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class ContainerSecurity:
    """What the container may do. `run_as_user` and `run_as_username` exclude each other; both unset: the image's."""

    capabilities: Capabilities | None = None
    privileged: bool = False
    namespaces: NamespaceOptions = NamespaceOptions()
    run_as_user: int | None = None
    run_as_username: str = ""
    run_as_group: int | None = None
    readonly_rootfs: bool = False
    supplemental_groups: Sequence[int] = ()
    no_new_privs: bool = False
    masked_paths: Sequence[str] = ()
    readonly_paths: Sequence[str] = ()
    seccomp: SecurityProfile | None = None
    apparmor: SecurityProfile | None = None
    supplemental_groups_policy: int = 0
    """0 Merge, 1 Strict."""


@dataclass(frozen=True, slots=True)
class LinuxContainer:
    """What a Linux container adds."""

    resources: ContainerResources = field(default_factory=ContainerResources)
    security: ContainerSecurity = ContainerSecurity()


@dataclass(frozen=True, slots=True)
class ContainerConfig:
    """A container to be made. `command` and `args` replace the image's entry point and command when not empty;
    `log_path` is relative to the sandbox's log directory."""

    metadata: ContainerMetadata
    image: ImageSpec
    command: Sequence[str] = ()
    args: Sequence[str] = ()
    working_dir: str = ""
    envs: Sequence[tuple[str, str]] = ()
    mounts: Sequence[Mount] = ()
    devices: Sequence[Device] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    log_path: str = ""
    stdin: bool = False
    stdin_once: bool = False
    tty: bool = False
    linux: LinuxContainer = field(default_factory=LinuxContainer)
    cdi_devices: Sequence[str] = ()
    stop_signal: str = ""
    """`SIGTERM`, ...; empty: the image's. Only where `stop_signal` is a feature."""


@dataclass(frozen=True, slots=True)
class Container:
    """A line of `list_containers`."""

    id: str = ""
    sandbox_id: str = ""
    metadata: ContainerMetadata = ContainerMetadata()
    image: ImageSpec = field(default_factory=ImageSpec)
    image_ref: str = ""
    state: ContainerState = ContainerState.CREATED
    created_at: int = 0
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    image_id: str = ""


@dataclass(frozen=True, slots=True)
class ContainerStatus:
    """A container in full. `reason` is the runtime's: Completed, Error, OOMKilled, StartError."""

    id: str = ""
    metadata: ContainerMetadata = ContainerMetadata()
    state: ContainerState = ContainerState.CREATED
    created_at: int = 0
    started_at: int = 0
    finished_at: int = 0
    exit_code: int = 0
    image: ImageSpec = field(default_factory=ImageSpec)
    image_ref: str = ""
    reason: str = ""
    message: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    mounts: Sequence[Mount] = ()
    log_path: str = ""
    resources: ContainerResources | None = None
    image_id: str = ""


@dataclass(frozen=True, slots=True)
class ExecResult:
    """What a command run to its end gave."""

    stdout: bytes = b""
    stderr: bytes = b""
    exit_code: int = 0


@dataclass(frozen=True, slots=True)
class RuntimeEvent:
    """Something happened to `container_id` (which may be a sandbox's id). A hint to look, not a state: events may be
    lost across a reconnect, and the receiver lists again after one."""

    kind: EventKind
    container_id: str
    sandbox_id: str = ""
    """Empty when the stream doesn't say."""
    at: int = 0
    exit_code: int | None = None


# Images ---------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Auth:
    """Credentials for a registry; all empty: anonymous."""

    username: str = ""
    password: str = ""
    auth: str = ""
    server_address: str = ""
    identity_token: str = ""
    registry_token: str = ""


@dataclass(frozen=True, slots=True)
class Image:
    """An image at the node. `uid` and `username` say whom it runs as by default (needed for runAsNonRoot)."""

    id: str = ""
    repo_tags: Sequence[str] = ()
    repo_digests: Sequence[str] = ()
    size: int = 0
    uid: int | None = None
    username: str = ""
    spec: ImageSpec | None = None
    pinned: bool = False


@dataclass(frozen=True, slots=True)
class ImageFilesystem:
    """Where images are kept, and how much they use."""

    mountpoint: str = ""
    used_bytes: int = 0
    inodes_used: int = 0
    at: int = 0


# Statistics -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ContainerAttributes:
    """Whose statistics they are."""

    id: str = ""
    metadata: ContainerMetadata = ContainerMetadata()
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class CpuUsage:
    """`usage_core_nanoseconds` only grows; None: not known."""

    at: int = 0
    usage_core_nanoseconds: int | None = None
    usage_nano_cores: int | None = None


@dataclass(frozen=True, slots=True)
class MemoryUsage:
    """None: not known."""

    at: int = 0
    working_set_bytes: int | None = None
    available_bytes: int | None = None
    usage_bytes: int | None = None
    rss_bytes: int | None = None
    page_faults: int | None = None
    major_page_faults: int | None = None


@dataclass(frozen=True, slots=True)
class FilesystemUsage:
    """A writable layer."""

    at: int = 0
    mountpoint: str = ""
    used_bytes: int | None = None
    inodes_used: int | None = None


@dataclass(frozen=True, slots=True)
class ContainerStats:
    """None for what the runtime didn't measure."""

    attributes: ContainerAttributes = field(default_factory=ContainerAttributes)
    cpu: CpuUsage | None = None
    memory: MemoryUsage | None = None
    writable_layer: FilesystemUsage | None = None


@dataclass(frozen=True, slots=True)
class InterfaceUsage:
    """Counters of one link."""

    name: str = ""
    rx_bytes: int | None = None
    rx_errors: int | None = None
    tx_bytes: int | None = None
    tx_errors: int | None = None


@dataclass(frozen=True, slots=True)
class NetworkUsage:
    """Of a sandbox's network namespace."""

    at: int = 0
    default_interface: InterfaceUsage | None = None
    interfaces: Sequence[InterfaceUsage] = ()


@dataclass(frozen=True, slots=True)
class SandboxStats:
    """A sandbox's own, with those of its containers."""

    id: str = ""
    metadata: SandboxMetadata = SandboxMetadata()
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    cpu: CpuUsage | None = None
    memory: MemoryUsage | None = None
    network: NetworkUsage | None = None
    processes: int | None = None
    containers: Sequence[ContainerStats] = ()
