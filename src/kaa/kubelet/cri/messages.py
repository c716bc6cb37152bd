"""The messages of CRI v1 that the adapter uses: attribute -> (field number, kind). Numbers are facts of the protocol.

Requests and answers have a dataclass only where they have more than one field; single fields go through `Single`.
"""

import signal
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from kaa.kubelet.cri import api
from kaa.kubelet.cri.wire import BOOL, BOX, BYTES, INT, PAIR, STR, Kind, Message, converted, enumeration, mapping
from kaa.kubelet.cri.wire import repeated as many

__all__ = ["SIGNALS", "Single"]


@dataclass(frozen=True, slots=True)
class Single:
    """A message of one field that matters."""

    value: Any = None


@dataclass(frozen=True, slots=True)
class Empty:
    """A message without fields."""


EMPTY = Message(Empty, {})


def single(number: int, kind: Kind) -> Message[Single]:
    """The message whose only field of interest has this number."""
    return Message(Single, {"value": (number, kind)})


def _first(value: Single) -> Any:
    return value.value


def wrapped(number: int, kind: Kind) -> Kind:
    """A value inside a message that adds nothing to it."""
    return converted(single(number, kind).kind, Single, _first)


# The numbering is alphabetical in the protocol, not the kernel's; aliases have numbers of their own.
_SIGNAL_NAMES = (
    "ABRT ALRM BUS CHLD CLD CONT FPE HUP ILL INT IO IOT KILL PIPE POLL PROF PWR QUIT SEGV STKFLT STOP SYS TERM TRAP "
    "TSTP TTIN TTOU URG USR1 USR2 VTALRM WINCH XCPU XFSZ RTMIN "
    + " ".join(f"RTMIN+{n}" for n in range(1, 16))
    + " "
    + " ".join(f"RTMAX-{n}" for n in range(14, 0, -1))
    + " RTMAX"
).split()
SIGNALS = {f"SIG{name}": number for number, name in enumerate(_SIGNAL_NAMES, 1)}
_SIGNAL_BY_NUMBER = {number: name for name, number in SIGNALS.items()}


def _signal_number(name: str) -> int:
    if name.isdigit():
        name = signal.Signals(int(name)).name
    name = name.upper() if name.upper().startswith("SIG") else f"SIG{name.upper()}"
    return SIGNALS[name]


_STOP_SIGNAL = converted(INT, _signal_number, lambda number: _SIGNAL_BY_NUMBER.get(number, ""))

ID_MAPPING = Message(api.IDMapping, {"host_id": (1, INT), "container_id": (2, INT), "length": (3, INT)})
_MODE = enumeration(api.NamespaceMode)
USER_NAMESPACE = Message(
    api.UserNamespace, {"mode": (1, _MODE), "uids": (2, many(ID_MAPPING.kind)), "gids": (3, many(ID_MAPPING.kind))}
)
NAMESPACES = Message(
    api.NamespaceOptions,
    {
        "network": (1, _MODE),
        "pid": (2, _MODE),
        "ipc": (3, _MODE),
        "target_id": (4, STR),
        "userns": (5, USER_NAMESPACE.kind),
    },
)
PROFILE = Message(api.SecurityProfile, {"profile_type": (1, enumeration(api.ProfileType)), "localhost_ref": (2, STR)})
SANDBOX_SECURITY = Message(
    api.SandboxSecurity,
    {
        "namespaces": (1, NAMESPACES.kind),
        "run_as_user": (3, BOX),
        "readonly_rootfs": (4, BOOL),
        "supplemental_groups": (5, many(INT)),
        "privileged": (6, BOOL),
        "run_as_group": (8, BOX),
        "seccomp": (9, PROFILE.kind),
        "apparmor": (10, PROFILE.kind),
        "supplemental_groups_policy": (11, INT),
    },
)
HUGEPAGE = Message(api.HugepageLimit, {"page_size": (1, STR), "limit": (2, INT)})
RESOURCES = Message(
    api.ContainerResources,
    {
        "cpu_period": (1, INT),
        "cpu_quota": (2, INT),
        "cpu_shares": (3, INT),
        "memory_limit": (4, INT),
        "oom_score_adj": (5, INT),
        "cpuset_cpus": (6, STR),
        "cpuset_mems": (7, STR),
        "hugepages": (8, many(HUGEPAGE.kind)),
        "unified": (9, mapping()),
        "memory_swap_limit": (10, INT),
    },
)
LINUX_SANDBOX = Message(
    api.LinuxSandbox,
    {
        "cgroup_parent": (1, STR),
        "security": (2, SANDBOX_SECURITY.kind),
        "sysctls": (3, mapping()),
        "overhead": (4, RESOURCES.kind),
        "resources": (5, RESOURCES.kind),
    },
)
SANDBOX_METADATA = Message(
    api.SandboxMetadata, {"name": (1, STR), "uid": (2, STR), "namespace": (3, STR), "attempt": (4, INT)}
)
DNS = Message(api.DNSConfig, {"servers": (1, many(STR)), "searches": (2, many(STR)), "options": (3, many(STR))})
PORT_MAPPING = Message(
    api.PortMapping,
    {
        "protocol": (1, enumeration(api.PortProtocol)),
        "container_port": (2, INT),
        "host_port": (3, INT),
        "host_ip": (4, STR),
    },
)
SANDBOX_CONFIG = Message(
    api.SandboxConfig,
    {
        "metadata": (1, SANDBOX_METADATA.kind),
        "hostname": (2, STR),
        "log_directory": (3, STR),
        "dns": (4, DNS.kind),
        "port_mappings": (5, many(PORT_MAPPING.kind)),
        "labels": (6, mapping()),
        "annotations": (7, mapping()),
        "linux": (8, LINUX_SANDBOX.kind),
    },
)
SANDBOX = Message(
    api.Sandbox,
    {
        "id": (1, STR),
        "metadata": (2, SANDBOX_METADATA.kind),
        "state": (3, enumeration(api.SandboxState)),
        "created_at": (4, INT),
        "labels": (5, mapping()),
        "annotations": (6, mapping()),
        "runtime_handler": (7, STR),
    },
)


@dataclass(frozen=True, slots=True)
class _Addresses:
    first: str = ""
    others: Sequence[str] = ()


def _ips(value: _Addresses) -> list[str]:
    return [ip for ip in (value.first, *value.others) if ip]


_ADDRESSES = Message(_Addresses, {"first": (1, STR), "others": (2, many(wrapped(1, STR)))})
SANDBOX_STATUS = Message(
    api.SandboxStatus,
    {
        "id": (1, STR),
        "metadata": (2, SANDBOX_METADATA.kind),
        "state": (3, enumeration(api.SandboxState)),
        "created_at": (4, INT),
        "ips": (5, converted(_ADDRESSES.kind, lambda ips: _Addresses(ips[0], ips[1:]), _ips)),
        "namespaces": (6, wrapped(1, wrapped(2, NAMESPACES.kind))),
        "labels": (7, mapping()),
        "annotations": (8, mapping()),
        "runtime_handler": (9, STR),
    },
)

IMAGE_SPEC = Message(
    api.ImageSpec,
    {"image": (1, STR), "annotations": (2, mapping()), "user_specified_image": (18, STR), "runtime_handler": (19, STR)},
)
CONTAINER_METADATA = Message(api.ContainerMetadata, {"name": (1, STR), "attempt": (2, INT)})
MOUNT = Message(
    api.Mount,
    {
        "container_path": (1, STR),
        "host_path": (2, STR),
        "readonly": (3, BOOL),
        "propagation": (5, enumeration(api.Propagation)),
        "uid_mappings": (6, many(ID_MAPPING.kind)),
        "gid_mappings": (7, many(ID_MAPPING.kind)),
        "recursive_read_only": (8, BOOL),
        "image": (9, IMAGE_SPEC.kind),
        "image_sub_path": (10, STR),
    },
)
DEVICE = Message(api.Device, {"container_path": (1, STR), "host_path": (2, STR), "permissions": (3, STR)})
CAPABILITIES = Message(api.Capabilities, {"add": (1, many(STR)), "drop": (2, many(STR)), "add_ambient": (3, many(STR))})
CONTAINER_SECURITY = Message(
    api.ContainerSecurity,
    {
        "capabilities": (1, CAPABILITIES.kind),
        "privileged": (2, BOOL),
        "namespaces": (3, NAMESPACES.kind),
        "run_as_user": (5, BOX),
        "run_as_username": (6, STR),
        "readonly_rootfs": (7, BOOL),
        "supplemental_groups": (8, many(INT)),
        "no_new_privs": (11, BOOL),
        "run_as_group": (12, BOX),
        "masked_paths": (13, many(STR)),
        "readonly_paths": (14, many(STR)),
        "seccomp": (15, PROFILE.kind),
        "apparmor": (16, PROFILE.kind),
        "supplemental_groups_policy": (17, INT),
    },
)
LINUX_CONTAINER = Message(
    api.LinuxContainer, {"resources": (1, RESOURCES.kind), "security": (2, CONTAINER_SECURITY.kind)}
)
CONTAINER_CONFIG = Message(
    api.ContainerConfig,
    {
        "metadata": (1, CONTAINER_METADATA.kind),
        "image": (2, IMAGE_SPEC.kind),
        "command": (3, many(STR)),
        "args": (4, many(STR)),
        "working_dir": (5, STR),
        "envs": (6, many(PAIR)),
        "mounts": (7, many(MOUNT.kind)),
        "devices": (8, many(DEVICE.kind)),
        "labels": (9, mapping()),
        "annotations": (10, mapping()),
        "log_path": (11, STR),
        "stdin": (12, BOOL),
        "stdin_once": (13, BOOL),
        "tty": (14, BOOL),
        "linux": (15, LINUX_CONTAINER.kind),
        "cdi_devices": (17, many(wrapped(1, STR))),
        "stop_signal": (18, _STOP_SIGNAL),
    },
)
CONTAINER = Message(
    api.Container,
    {
        "id": (1, STR),
        "sandbox_id": (2, STR),
        "metadata": (3, CONTAINER_METADATA.kind),
        "image": (4, IMAGE_SPEC.kind),
        "image_ref": (5, STR),
        "state": (6, enumeration(api.ContainerState)),
        "created_at": (7, INT),
        "labels": (8, mapping()),
        "annotations": (9, mapping()),
        "image_id": (10, STR),
    },
)
CONTAINER_STATUS = Message(
    api.ContainerStatus,
    {
        "id": (1, STR),
        "metadata": (2, CONTAINER_METADATA.kind),
        "state": (3, enumeration(api.ContainerState)),
        "created_at": (4, INT),
        "started_at": (5, INT),
        "finished_at": (6, INT),
        "exit_code": (7, INT),
        "image": (8, IMAGE_SPEC.kind),
        "image_ref": (9, STR),
        "reason": (10, STR),
        "message": (11, STR),
        "labels": (12, mapping()),
        "annotations": (13, mapping()),
        "mounts": (14, many(MOUNT.kind)),
        "log_path": (15, STR),
        "resources": (16, wrapped(1, RESOURCES.kind)),
        "image_id": (17, STR),
    },
)

CONDITION = Message(
    api.RuntimeCondition, {"type": (1, STR), "status": (2, BOOL), "reason": (3, STR), "message": (4, STR)}
)
RUNTIME_STATUS = Message(api.RuntimeStatus, {"conditions": (1, many(CONDITION.kind))})
VERSION = Message(
    api.Version,
    {"version": (1, STR), "runtime_name": (2, STR), "runtime_version": (3, STR), "runtime_api_version": (4, STR)},
)


@dataclass(frozen=True, slots=True)
class Handler:
    """A runtime handler and what it can do."""

    name: str = ""
    features: "HandlerFeatures | None" = None


@dataclass(frozen=True, slots=True)
class HandlerFeatures:
    """Of one handler."""

    recursive_read_only_mounts: bool = False
    user_namespaces: bool = False


@dataclass(frozen=True, slots=True)
class StatusAnswer:
    """The answer to Status."""

    status: api.RuntimeStatus = field(default_factory=api.RuntimeStatus)
    info: Mapping[str, str] = field(default_factory=dict)
    handlers: Sequence[Handler] = ()
    supplemental_groups_policy: bool | None = None
    """None: the runtime is older than this word."""


HANDLER_FEATURES = Message(HandlerFeatures, {"recursive_read_only_mounts": (1, BOOL), "user_namespaces": (2, BOOL)})
HANDLER = Message(Handler, {"name": (1, STR), "features": (2, HANDLER_FEATURES.kind)})
STATUS_ANSWER = Message(
    StatusAnswer,
    {
        "status": (1, RUNTIME_STATUS.kind),
        "info": (2, mapping()),
        "handlers": (3, many(HANDLER.kind)),
        "supplemental_groups_policy": (4, converted(single(1, BOOL).kind, Single, lambda s: bool(s.value))),
    },
)

IMAGE = Message(
    api.Image,
    {
        "id": (1, STR),
        "repo_tags": (2, many(STR)),
        "repo_digests": (3, many(STR)),
        "size": (4, INT),
        "uid": (5, BOX),
        "username": (6, STR),
        "spec": (7, IMAGE_SPEC.kind),
        "pinned": (8, BOOL),
    },
)
AUTH = Message(
    api.Auth,
    {
        "username": (1, STR),
        "password": (2, STR),
        "auth": (3, STR),
        "server_address": (4, STR),
        "identity_token": (5, STR),
        "registry_token": (6, STR),
    },
)

_MOUNTPOINT = wrapped(1, STR)
FILESYSTEM_USAGE = Message(
    api.FilesystemUsage,
    {"at": (1, INT), "mountpoint": (2, _MOUNTPOINT), "used_bytes": (3, BOX), "inodes_used": (4, BOX)},
)
CPU_USAGE = Message(api.CpuUsage, {"at": (1, INT), "usage_core_nanoseconds": (2, BOX), "usage_nano_cores": (3, BOX)})
MEMORY_USAGE = Message(
    api.MemoryUsage,
    {
        "at": (1, INT),
        "working_set_bytes": (2, BOX),
        "available_bytes": (3, BOX),
        "usage_bytes": (4, BOX),
        "rss_bytes": (5, BOX),
        "page_faults": (6, BOX),
        "major_page_faults": (7, BOX),
    },
)
CONTAINER_ATTRIBUTES = Message(
    api.ContainerAttributes,
    {"id": (1, STR), "metadata": (2, CONTAINER_METADATA.kind), "labels": (3, mapping()), "annotations": (4, mapping())},
)
CONTAINER_STATS = Message(
    api.ContainerStats,
    {
        "attributes": (1, CONTAINER_ATTRIBUTES.kind),
        "cpu": (2, CPU_USAGE.kind),
        "memory": (3, MEMORY_USAGE.kind),
        "writable_layer": (4, FILESYSTEM_USAGE.kind),
    },
)
INTERFACE_USAGE = Message(
    api.InterfaceUsage,
    {"name": (1, STR), "rx_bytes": (2, BOX), "rx_errors": (3, BOX), "tx_bytes": (4, BOX), "tx_errors": (5, BOX)},
)
NETWORK_USAGE = Message(
    api.NetworkUsage,
    {"at": (1, INT), "default_interface": (2, INTERFACE_USAGE.kind), "interfaces": (3, many(INTERFACE_USAGE.kind))},
)


@dataclass(frozen=True, slots=True)
class SandboxAttributes:
    """Whose statistics they are."""

    id: str = ""
    metadata: api.SandboxMetadata = field(default_factory=api.SandboxMetadata)
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class LinuxSandboxStats:
    """The numbers of a Linux sandbox."""

    cpu: api.CpuUsage | None = None
    memory: api.MemoryUsage | None = None
    network: api.NetworkUsage | None = None
    processes: int | None = None
    containers: Sequence[api.ContainerStats] = ()


@dataclass(frozen=True, slots=True)
class SandboxStatsMessage:
    """As it is sent; `flatten` gives the api's."""

    attributes: SandboxAttributes = field(default_factory=SandboxAttributes)
    linux: LinuxSandboxStats = field(default_factory=LinuxSandboxStats)

    def flatten(self) -> api.SandboxStats:
        """One level."""
        a, n = self.attributes, self.linux
        return api.SandboxStats(
            a.id, a.metadata, a.labels, a.annotations, n.cpu, n.memory, n.network, n.processes, n.containers
        )


SANDBOX_ATTRIBUTES = Message(
    SandboxAttributes,
    {"id": (1, STR), "metadata": (2, SANDBOX_METADATA.kind), "labels": (3, mapping()), "annotations": (4, mapping())},
)
LINUX_SANDBOX_STATS = Message(
    LinuxSandboxStats,
    {
        "cpu": (1, CPU_USAGE.kind),
        "memory": (2, MEMORY_USAGE.kind),
        "network": (3, NETWORK_USAGE.kind),
        "processes": (4, wrapped(2, BOX)),
        "containers": (5, many(CONTAINER_STATS.kind)),
    },
)
SANDBOX_STATS = Message(
    SandboxStatsMessage, {"attributes": (1, SANDBOX_ATTRIBUTES.kind), "linux": (2, LINUX_SANDBOX_STATS.kind)}
)


@dataclass(frozen=True, slots=True)
class EventMessage:
    """A line of GetContainerEvents."""

    container_id: str = ""
    kind: api.EventKind = api.EventKind.CREATED
    at: int = 0
    sandbox: api.SandboxStatus | None = None


EVENT = Message(
    EventMessage,
    {
        "container_id": (1, STR),
        "kind": (2, enumeration(api.EventKind)),
        "at": (3, INT),
        "sandbox": (4, SANDBOX_STATUS.kind),
    },
)

# Requests and answers of more than one field ----------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Request:
    """Any request: only the attributes its table names are written."""

    id: str = ""
    handler: str = ""
    sandbox_id: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    config: Any = None
    sandbox: Any = None
    resources: Any = None
    overhead: Any = None
    argv: Sequence[str] = ()
    timeout: int = 0
    tty: bool = False
    stdin: bool = False
    stdout: bool = False
    stderr: bool = False
    ports: Sequence[int] = ()
    image: api.ImageSpec | None = None
    auth: api.Auth | None = None


BY_ID = Message(Request, {"id": (1, STR)})
RUN_SANDBOX = Message(Request, {"config": (1, SANDBOX_CONFIG.kind), "handler": (2, STR)})
SANDBOX_FILTER = Message(Request, {"id": (1, STR), "labels": (3, mapping())})
CONTAINER_FILTER = Message(Request, {"id": (1, STR), "sandbox_id": (3, STR), "labels": (4, mapping())})
CREATE_CONTAINER = Message(
    Request, {"id": (1, STR), "config": (2, CONTAINER_CONFIG.kind), "sandbox": (3, SANDBOX_CONFIG.kind)}
)
STOP_CONTAINER = Message(Request, {"id": (1, STR), "timeout": (2, INT)})
UPDATE_RESOURCES = Message(Request, {"id": (1, STR), "resources": (2, RESOURCES.kind)})
UPDATE_SANDBOX = Message(Request, {"id": (1, STR), "overhead": (2, RESOURCES.kind), "resources": (3, RESOURCES.kind)})
EXEC_SYNC = Message(Request, {"id": (1, STR), "argv": (2, many(STR)), "timeout": (3, INT)})
EXEC = Message(
    Request,
    {
        "id": (1, STR),
        "argv": (2, many(STR)),
        "tty": (3, BOOL),
        "stdin": (4, BOOL),
        "stdout": (5, BOOL),
        "stderr": (6, BOOL),
    },
)
ATTACH = Message(
    Request, {"id": (1, STR), "stdin": (2, BOOL), "tty": (3, BOOL), "stdout": (4, BOOL), "stderr": (5, BOOL)}
)
PORT_FORWARD = Message(Request, {"id": (1, STR), "ports": (2, many(INT))})
BY_IMAGE = Message(Request, {"image": (1, IMAGE_SPEC.kind)})
PULL_IMAGE = Message(
    Request, {"image": (1, IMAGE_SPEC.kind), "auth": (2, AUTH.kind), "sandbox": (3, SANDBOX_CONFIG.kind)}
)
EXEC_RESULT = Message(api.ExecResult, {"stdout": (1, BYTES), "stderr": (2, BYTES), "exit_code": (3, INT)})
