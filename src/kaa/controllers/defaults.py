"""What a cluster runs."""

from collections.abc import Callable
from typing import Any

from kaa.controllers.admissionpolicies import ValidatingAdmissionPolicyStatusController
from kaa.controllers.bootstraptokens import BootstrapSignerController, TokenCleanerController
from kaa.controllers.certificates import ApprovingController, CleanerController, SigningController
from kaa.controllers.deployment import DeploymentController
from kaa.controllers.endpoints import EndpointsController, EndpointSliceController, EndpointSliceMirroringController
from kaa.controllers.garbage import GarbageCollector
from kaa.controllers.loadbalancer import LoadBalancerController
from kaa.controllers.namespace import NamespaceController
from kaa.controllers.nodeipam import NodeIpamController
from kaa.controllers.nodelifecycle import NodeLifecycleController, TaintEvictionController
from kaa.controllers.podgc import PodGCController
from kaa.controllers.replicas import ReplicaSetController, ReplicationControllerController
from kaa.controllers.resourcequota import ResourceQuotaController
from kaa.controllers.serviceaccount import RootCAController, ServiceAccountController
from kaa.controllers.settings import ControllersSettings
from kaa.controllers.volumeprotection import ClaimProtectionController, VolumeProtectionController
from kaa.runtime import Controller, Parts

__all__ = ["CONTROLLERS", "default_controllers", "default_makers"]

CONTROLLERS: tuple[type[Controller[Any]], ...] = (
    NamespaceController,
    ServiceAccountController,
    RootCAController,
    ApprovingController,
    SigningController,
    CleanerController,
    DeploymentController,
    ReplicaSetController,
    ReplicationControllerController,
    EndpointSliceController,
    EndpointSliceMirroringController,
    EndpointsController,
    NodeIpamController,
    NodeLifecycleController,
    TaintEvictionController,
    PodGCController,
    LoadBalancerController,
    ResourceQuotaController,
    ClaimProtectionController,
    VolumeProtectionController,
    ValidatingAdmissionPolicyStatusController,
    TokenCleanerController,
    BootstrapSignerController,
    GarbageCollector,  # last: it shares the caches that the others ask for
)
"""In the order in which they start."""


def default_makers(settings: ControllersSettings | None = None) -> list[Callable[[Parts], Controller[Any]]]:
    """What `Manager` takes: the controllers that are not switched off. Raises ValueError for an unknown name."""
    disabled = settings.disabled if settings is not None else frozenset()
    names = {each.name for each in CONTROLLERS}
    if unknown := disabled - names:
        raise ValueError(f"no controller is called {', '.join(sorted(unknown))}; there are {', '.join(sorted(names))}")
    return [each for each in CONTROLLERS if each.name not in disabled]


def default_controllers(parts: Parts, settings: ControllersSettings | None = None) -> list[Controller[Any]]:
    """The controllers themselves, made from `parts`; `settings` when `parts` hold none."""
    if settings is not None:
        parts.settings = settings
    return [make(parts) for make in default_makers(settings)]
