"""The explicit list of admission plugins, in the order they run, which is the original's."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

from kaa.base.clock import REAL, Clock
from kaa.server.admission.api import Authorizing, Chain, Plugin
from kaa.server.admission.certificates import CertificateApproval, CertificateSigning, CertificateSubjectRestriction
from kaa.server.admission.eventrates import EventRateLimit
from kaa.server.admission.expressions import Evaluator
from kaa.server.admission.lifecycle import NamespaceAutoProvision, NamespaceExists, NamespaceLifecycle
from kaa.server.admission.limits import LimitRanger
from kaa.server.admission.network import DefaultIngressClass, DenyServiceExternalIPs
from kaa.server.admission.noderestriction import NodeRestriction
from kaa.server.admission.nodes import PodTopologyLabels, TaintNodesByCondition
from kaa.server.admission.owners import OwnerReferencesPermissionEnforcement
from kaa.server.admission.placement import (
    AlwaysPullImages,
    ExtendedResourceToleration,
    LimitPodHardAntiAffinityTopology,
    PodNodeSelector,
    PodTolerationRestriction,
)
from kaa.server.admission.pods import DefaultTolerationSeconds, ServiceAccountAdmission
from kaa.server.admission.podsecurity import PodSecurity, PodSecuritySettings
from kaa.server.admission.policies import MutatingAdmissionPolicy, ValidatingAdmissionPolicy
from kaa.server.admission.priority import Priority
from kaa.server.admission.quota import ResourceQuota
from kaa.server.admission.runtimeclasses import RuntimeClassAdmission
from kaa.server.admission.storage import (
    DefaultStorageClass,
    PersistentVolumeClaimResize,
    StorageObjectInUseProtection,
)
from kaa.server.admission.webhooks import MutatingAdmissionWebhook, ValidatingAdmissionWebhook
from kaa.server.objects import Objects
from kaa.server.webhooks import Webhooks

__all__ = ["CONFIGURABLE", "KNOWN", "Given", "UnknownPlugin", "default_chain"]

Json = dict[str, Any]


@dataclass
class Given:
    """What plugins are made from."""

    objects: Objects
    #: Whom to ask whether a user may do something else too.
    authorize: Authorizing
    clock: Clock = REAL
    #: By the name of a plugin: what the AdmissionConfiguration tells it.
    configurations: Mapping[str, Json] = field(default_factory=dict)
    #: How webhooks are asked; made here where the server has none yet.
    webhooks: Webhooks | None = None

    @cached_property
    def hooks(self) -> Webhooks:
        """How webhooks are asked."""
        return self.webhooks or Webhooks(self.objects, self.clock)

    @cached_property
    def evaluator(self) -> Evaluator:
        """What runs the expressions of webhooks and policies."""
        return Evaluator(self.objects, self.authorize)

    def configuration(self, name: str) -> Json | None:
        """What a plugin is told, or None."""
        return self.configurations.get(name)


class Known(NamedTuple):
    """One plugin of the list."""

    name: str
    make: Callable[[Given], Plugin]
    #: Whether it runs without being asked for.
    default: bool = True


def _pod_security(given: Given) -> Plugin:
    configuration = given.configuration("PodSecurity")
    settings = PodSecuritySettings.from_configuration(configuration) if configuration is not None else None
    return PodSecurity(given.objects, settings, given.clock)


#: What there is, in the original's order; what is not by default is so there too.
PLUGINS: tuple[Known, ...] = (
    Known("NamespaceAutoProvision", lambda given: NamespaceAutoProvision(given.objects, given.clock), False),
    Known("NamespaceLifecycle", lambda given: NamespaceLifecycle(given.objects)),
    Known("NamespaceExists", lambda given: NamespaceExists(given.objects), False),
    Known("LimitPodHardAntiAffinityTopology", lambda _given: LimitPodHardAntiAffinityTopology(), False),
    Known("LimitRanger", lambda given: LimitRanger(given.objects)),
    Known("ServiceAccount", lambda given: ServiceAccountAdmission(given.objects)),
    Known("NodeRestriction", lambda given: NodeRestriction(given.objects, given.authorize), False),
    Known("TaintNodesByCondition", lambda _given: TaintNodesByCondition()),
    Known("AlwaysPullImages", lambda _given: AlwaysPullImages(), False),
    Known("PodSecurity", _pod_security),
    Known("PodNodeSelector", lambda given: PodNodeSelector(given.objects, given.configuration("PodNodeSelector")),
          False),
    Known("Priority", lambda given: Priority(given.objects)),
    Known("DefaultTolerationSeconds", lambda _given: DefaultTolerationSeconds()),
    Known("PodTolerationRestriction",
          lambda given: PodTolerationRestriction(given.objects, given.configuration("PodTolerationRestriction")),
          False),
    Known("EventRateLimit", lambda given: EventRateLimit(given.configuration("EventRateLimit"), given.clock), False),
    Known("ExtendedResourceToleration", lambda _given: ExtendedResourceToleration(), False),
    Known("DefaultStorageClass", lambda given: DefaultStorageClass(given.objects)),
    Known("StorageObjectInUseProtection", lambda _given: StorageObjectInUseProtection()),
    Known("OwnerReferencesPermissionEnforcement",
          lambda given: OwnerReferencesPermissionEnforcement(given.objects.registry, given.authorize), False),
    Known("PersistentVolumeClaimResize", lambda given: PersistentVolumeClaimResize(given.objects)),
    Known("RuntimeClass", lambda given: RuntimeClassAdmission(given.objects)),
    Known("CertificateApproval", lambda given: CertificateApproval(given.authorize)),
    Known("CertificateSigning", lambda given: CertificateSigning(given.authorize)),
    Known("CertificateSubjectRestriction", lambda _given: CertificateSubjectRestriction()),
    Known("DefaultIngressClass", lambda given: DefaultIngressClass(given.objects)),
    Known("DenyServiceExternalIPs", lambda _given: DenyServiceExternalIPs(), False),
    Known("PodTopologyLabels", lambda given: PodTopologyLabels(given.objects)),
    Known("MutatingAdmissionPolicy", lambda given: MutatingAdmissionPolicy(given.objects, given.evaluator)),
    Known("MutatingAdmissionWebhook",
          lambda given: MutatingAdmissionWebhook(given.objects, given.hooks, given.evaluator)),
    Known("ValidatingAdmissionPolicy", lambda given: ValidatingAdmissionPolicy(given.objects, given.evaluator)),
    Known("ValidatingAdmissionWebhook",
          lambda given: ValidatingAdmissionWebhook(given.objects, given.hooks, given.evaluator)),
    Known("ResourceQuota", lambda given: ResourceQuota(given.objects, given.clock)),
)  # fmt: skip
KNOWN = tuple(each.name for each in PLUGINS)
#: Those that take a configuration.
CONFIGURABLE = frozenset({"EventRateLimit", "PodNodeSelector", "PodSecurity", "PodTolerationRestriction"})
#: What the original has and this release has not: refused by name, so that nobody counts on it.
NOT_SERVED = {
    "AlwaysAdmit": "it does nothing",
    "AlwaysDeny": "it lets nothing through",
    "ClusterTrustBundleAttest": "cluster trust bundles have no stable version",
    "ImagePolicyWebhook": "use a ValidatingAdmissionWebhook",
    "NodeDeclaredFeatureValidator": "no node of this release declares features",
}  # fmt: skip


class UnknownPlugin(ValueError):
    """A name that `--enable-admission-plugins` or its opposite does not know."""


def default_chain(given: Given, enable: Sequence[str] = (), disable: Sequence[str] = ()) -> Chain:
    """The chain with some added and some taken out. Raises UnknownPlugin, or ConfigError and ValueError of a plugin
    that cannot use its configuration, by name."""
    for name in (*enable, *disable):
        if name not in KNOWN and name not in NOT_SERVED:
            raise UnknownPlugin(f'admission plugin "{name}" is unknown: this release has {", ".join(KNOWN)}')
    for name in enable:
        if name in NOT_SERVED:
            raise UnknownPlugin(
                f'admission plugin "{name}" is not served ({NOT_SERVED[name]}): this release has {", ".join(KNOWN)}'
            )
    if twice := set(enable) & set(disable):
        raise UnknownPlugin(f"admission plugins are both enabled and disabled: {', '.join(sorted(twice))}")
    plugins = []
    for each in PLUGINS:
        if (each.default or each.name in enable) and each.name not in disable:
            try:
                plugins.append(each.make(given))
            except ValueError as error:
                raise UnknownPlugin(f'admission plugin "{each.name}" cannot be configured: {error}') from error
    return Chain(plugins)
