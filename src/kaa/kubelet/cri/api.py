"""The CRI line: what the kubelet asks of a container runtime, as a protocol and plain values.

The values mean what the messages of CRI v1 mean, field by field, and nothing else; they know nothing of gRPC or of
protobuf. Times are nanoseconds since the epoch (0: not yet), sizes are bytes, CPU time is nanoseconds.
Every call may raise `RuntimeFailed` or one of its subclasses, and nothing else.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Protocol, runtime_checkable

from kaa.kubelet.cri.values import (
    AppArmorProfile,
    Auth,
    Capabilities,
    Container,
    ContainerAttributes,
    ContainerConfig,
    ContainerMetadata,
    ContainerResources,
    ContainerSecurity,
    ContainerState,
    ContainerStats,
    ContainerStatus,
    CpuUsage,
    Device,
    DNSConfig,
    EventKind,
    ExecResult,
    Features,
    FilesystemUsage,
    HugepageLimit,
    IDMapping,
    Image,
    ImageFilesystem,
    ImageSpec,
    InterfaceUsage,
    LinuxContainer,
    LinuxSandbox,
    MemoryUsage,
    Mount,
    NamespaceMode,
    NamespaceOptions,
    NetworkUsage,
    PortMapping,
    PortProtocol,
    ProfileType,
    Propagation,
    RuntimeCondition,
    RuntimeEvent,
    RuntimeStatus,
    Sandbox,
    SandboxConfig,
    SandboxMetadata,
    SandboxSecurity,
    SandboxState,
    SandboxStats,
    SandboxStatus,
    SecurityProfile,
    UserNamespace,
    Version,
)

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
    "DeadlineExceeded",
    "Device",
    "EventKind",
    "EventSource",
    "ExecResult",
    "Features",
    "FilesystemUsage",
    "HugepageLimit",
    "IDMapping",
    "Image",
    "ImageFilesystem",
    "ImagePullFailed",
    "ImageSpec",
    "InterfaceUsage",
    "LinuxContainer",
    "LinuxSandbox",
    "MemoryUsage",
    "Mount",
    "NamespaceMode",
    "NamespaceOptions",
    "NetworkUsage",
    "NotFound",
    "PortMapping",
    "PortProtocol",
    "ProfileType",
    "Propagation",
    "Runtime",
    "RuntimeCondition",
    "RuntimeEvent",
    "RuntimeFailed",
    "RuntimeStatus",
    "Sandbox",
    "SandboxConfig",
    "SandboxMetadata",
    "SandboxSecurity",
    "SandboxState",
    "SandboxStats",
    "SandboxStatus",
    "SecurityProfile",
    "Unsupported",
    "UserNamespace",
    "Version",
]

# Errors ---------------------------------------------------------------------------------------------------------------


class RuntimeFailed(Exception):
    """The runtime refused or failed. `code` is the gRPC status name in lower case (`unknown`, `already_exists`,
    `unavailable`: the runtime can't be reached, ...)."""

    def __init__(self, message: str, code: str = "unknown") -> None:
        super().__init__(message)
        self.message = message
        self.code = code


class NotFound(RuntimeFailed):
    """No such sandbox, container or image."""

    def __init__(self, message: str, code: str = "not_found") -> None:
        super().__init__(message, code)


class Unsupported(RuntimeFailed):
    """This runtime doesn't have the ability; the message names it."""

    def __init__(self, message: str, code: str = "unimplemented") -> None:
        super().__init__(message, code)


class ImagePullFailed(RuntimeFailed):
    """The image could not be fetched; the message is the runtime's, and goes to the user as it is."""


class DeadlineExceeded(RuntimeFailed):
    """The runtime did not answer in time, or a command ran longer than it was allowed."""

    def __init__(self, message: str, code: str = "deadline_exceeded") -> None:
        super().__init__(message, code)


# The line -------------------------------------------------------------------------------------------------------------


@runtime_checkable
class EventSource(Protocol):
    """A stream of hints that containers have changed, so that nobody needs to poll quickly."""

    def events(self) -> AsyncIterator[RuntimeEvent]:
        """Events from now on, until the stream breaks (raises RuntimeFailed) or the iterator is closed. After it
        breaks, list everything and call again."""
        ...


@runtime_checkable
class Runtime(EventSource, Protocol):
    """A container runtime. All calls are safe to make concurrently, and to cancel: a cancelled call may or may not
    have taken effect, and the next list says which."""

    async def version(self) -> Version:
        """Who answers."""
        ...

    async def status(self) -> RuntimeStatus:
        """Whether containers and pod networks can be made now."""
        ...

    async def features(self) -> Features:
        """What the runtime can do; asked of it at the first call and kept."""
        ...

    async def run_sandbox(self, config: SandboxConfig, runtime_handler: str = "") -> str:
        """Make and start a sandbox with its network; its id. On failure nothing usable is left, but a NOT_READY
        sandbox may be listed, to be removed by the caller."""
        ...

    async def stop_sandbox(self, sandbox_id: str) -> None:
        """Stop its containers at once and give back its network. Idempotent; no error if it doesn't exist."""
        ...

    async def remove_sandbox(self, sandbox_id: str) -> None:
        """Remove it with its containers, stopping them first. Idempotent; no error if it doesn't exist."""
        ...

    async def sandbox_status(self, sandbox_id: str) -> SandboxStatus:
        """Raises NotFound."""
        ...

    async def list_sandboxes(self, labels: Mapping[str, str] | None = None) -> list[Sandbox]:
        """All, or those that carry these labels."""
        ...

    async def update_sandbox_resources(
        self, sandbox_id: str, overhead: ContainerResources | None, resources: ContainerResources | None
    ) -> None:
        """Tell the sandbox its pod's new sums. Raises Unsupported where `update_sandbox_resources` isn't a feature."""
        ...

    async def create_container(self, sandbox_id: str, config: ContainerConfig, sandbox: SandboxConfig) -> str:
        """Make a container, not started; its id. `sandbox` is what the sandbox was made with."""
        ...

    async def start_container(self, container_id: str) -> None:
        """Start it; it must be CREATED."""
        ...

    async def stop_container(self, container_id: str, timeout_seconds: float) -> None:
        """Send its stop signal, and SIGKILL after `timeout_seconds` (0: at once); returns when it has ended.
        Idempotent; no error if it doesn't exist."""
        ...

    async def remove_container(self, container_id: str) -> None:
        """Remove it, killing it first if it runs. Idempotent; no error if it doesn't exist."""
        ...

    async def list_containers(self, sandbox_id: str = "", labels: Mapping[str, str] | None = None) -> list[Container]:
        """All, or those of one sandbox, or those that carry these labels."""
        ...

    async def container_status(self, container_id: str) -> ContainerStatus:
        """Raises NotFound."""
        ...

    async def update_container_resources(self, container_id: str, resources: ContainerResources) -> None:
        """Change the limits of a created or running container."""
        ...

    async def exec_sync(self, container_id: str, argv: Sequence[str], timeout_seconds: float = 0) -> ExecResult:
        """Run a command to its end. 0: no limit. Raises DeadlineExceeded when it runs longer."""
        ...

    async def exec(
        self,
        container_id: str,
        argv: Sequence[str],
        *,
        tty: bool = False,
        stdin: bool = False,
        stdout: bool = True,
        stderr: bool = True,
    ) -> str:
        """A URL to which a client upgrades (SPDY or WebSocket) to run the command."""
        ...

    async def attach(
        self, container_id: str, *, tty: bool = False, stdin: bool = False, stdout: bool = True, stderr: bool = True
    ) -> str:
        """A URL for the streams of the container's own process."""
        ...

    async def port_forward(self, sandbox_id: str, ports: Sequence[int] = ()) -> str:
        """A URL for connections into the sandbox."""
        ...

    async def reopen_log(self, container_id: str) -> None:
        """Write to a new log file at the same path from now on; the caller has renamed the old one."""
        ...

    async def container_stats(self, container_id: str) -> ContainerStats:
        """Raises NotFound."""
        ...

    async def list_container_stats(self) -> list[ContainerStats]:
        """Of all running containers."""
        ...

    async def list_sandbox_stats(self) -> list[SandboxStats]:
        """Of all ready sandboxes. Raises Unsupported where `sandbox_stats` isn't a feature."""
        ...

    async def list_images(self) -> list[Image]:
        """All images at the node."""
        ...

    async def image_status(self, ref: str) -> Image | None:
        """The image of that name, digest or id; None if it isn't at the node."""
        ...

    async def pull_image(self, ref: str, auth: Auth | None = None, sandbox: SandboxConfig | None = None) -> str:
        """Fetch it; the reference to make containers from. Raises ImagePullFailed."""
        ...

    async def remove_image(self, ref: str) -> None:
        """Idempotent."""
        ...

    async def image_fs_info(self) -> list[ImageFilesystem]:
        """The file systems that hold images."""
        ...

    def events(self) -> AsyncIterator[RuntimeEvent]:
        """See EventSource. Raises Unsupported, at the first step, where `events` isn't a feature."""
        ...

    async def close(self) -> None:
        """Let go of the connection; containers run on."""
        ...
