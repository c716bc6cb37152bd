"""What can be set about the controllers."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

__all__ = ["ControllersSettings", "NodeLifecycleSettings", "PodGCSettings", "SigningSettings", "settings_of"]


@dataclass(frozen=True)
class NodeLifecycleSettings:
    """When a node counts as lost, and how fast its pods are sent away."""

    #: How often the nodes' heartbeats are looked at.
    monitor_period_seconds: float = 5.0
    #: A node that gave no sign for so long is Unknown. Must be several times the kubelet's lease renewal (10 s).
    monitor_grace_seconds: float = 50.0
    #: The same for a node that has just been registered.
    startup_grace_seconds: float = 60.0
    #: Nodes per second that are tainted so that their pods leave, in a zone that is well.
    eviction_rate: float = 0.1
    #: The same in a zone with many unhealthy nodes, when it is large; a small zone then stops altogether.
    secondary_eviction_rate: float = 0.01
    #: Nodes from which on a zone is large.
    large_zone_nodes: int = 50
    #: Share of unhealthy nodes from which on a zone is disrupted.
    unhealthy_zone_threshold: float = 0.55


@dataclass(frozen=True)
class PodGCSettings:
    """When pods that nobody else removes are removed."""

    #: Finished pods that are kept, in the whole cluster; the oldest go first.
    terminated_pods_max: int = 12_500
    #: How often it looks.
    period_seconds: float = 20.0
    #: How long a node must be missing before its pods are removed.
    quarantine_seconds: float = 40.0


@dataclass(frozen=True)
class SigningSettings:
    """The authority that signs what CertificateSigningRequests ask the built-in signers for."""

    #: The authority's certificate (PEM), and its key; they are read again when they change. None: nothing is signed.
    certificate_file: Path | None = None
    key_file: Path | None = None
    #: How long certificates are valid; requests may ask for less.
    duration_seconds: float = 365 * 86400.0


@dataclass(frozen=True)
class ControllersSettings:
    """The settings tree of the controllers."""

    #: The certificate authority that pods check the API server's certificate with (PEM), put into `kube-root-ca.crt`
    #: of each namespace. Empty: no such config map is made.
    root_ca_pem: str = ""
    #: The range that nodes get their pod ranges from. Empty: nodes get none.
    cluster_cidr: str = "10.244.0.0/16"
    #: The size of each node's range, as the prefix length.
    node_cidr_mask: int = 24
    #: Endpoints in one EndpointSlice.
    endpoints_per_slice_max: int = 100
    #: News that only counts (a pod turned ready) is looked at once in so long; what must be acted on, at once.
    batch_seconds: float = 0.2
    #: How often discovery is read again for kinds that came or went.
    discovery_period_seconds: float = 30.0
    #: How often each quota is counted anew, whatever happened.
    quota_period_seconds: float = 300.0
    node_lifecycle: NodeLifecycleSettings = field(default_factory=NodeLifecycleSettings)
    pod_gc: PodGCSettings = field(default_factory=PodGCSettings)
    signing: SigningSettings = field(default_factory=SigningSettings)
    #: Controllers that are not run, by name.
    disabled: frozenset[str] = frozenset()


def settings_of(settings: Any) -> ControllersSettings:
    """The controllers' branch of a process's settings: the tree itself, its `controllers`, or the defaults."""
    if isinstance(settings, ControllersSettings):
        return settings
    branch = getattr(settings, "controllers", None)
    return branch if isinstance(branch, ControllersSettings) else ControllersSettings()
