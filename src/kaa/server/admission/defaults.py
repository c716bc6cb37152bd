"""The explicit list of admission plugins, in the order they run."""

from collections.abc import Sequence

from kaa.server.admission.api import Chain, Plugin
from kaa.server.admission.lifecycle import NamespaceLifecycle
from kaa.server.admission.pods import DefaultTolerationSeconds, ServiceAccountAdmission
from kaa.server.objects import Objects

__all__ = ["KNOWN", "UnknownPlugin", "default_chain"]

KNOWN = ("NamespaceLifecycle", "ServiceAccount", "DefaultTolerationSeconds")
#: What the original has and this release has not: refused by name, so that nobody counts on it.
NOT_YET = (
    "AlwaysPullImages", "CertificateApproval", "CertificateSigning", "CertificateSubjectRestriction",
    "DefaultIngressClass", "DefaultStorageClass", "EventRateLimit", "ExtendedResourceToleration", "ImagePolicyWebhook",
    "LimitRanger", "MutatingAdmissionPolicy", "MutatingAdmissionWebhook", "NamespaceAutoProvision", "NamespaceExists",
    "NodeRestriction", "OwnerReferencesPermissionEnforcement", "PersistentVolumeClaimResize", "PodNodeSelector",
    "PodSecurity", "PodTolerationRestriction", "Priority", "ResourceQuota", "RuntimeClass",
    "StorageObjectInUseProtection", "TaintNodesByCondition", "ValidatingAdmissionPolicy", "ValidatingAdmissionWebhook",
)  # fmt: skip


class UnknownPlugin(ValueError):
    """A name that `--enable-admission-plugins` or its opposite does not know."""


def default_chain(objects: Objects, enable: Sequence[str] = (), disable: Sequence[str] = ()) -> Chain:
    """The chain with some added and some taken out. Raises UnknownPlugin by name."""
    for name in (*enable, *disable):
        if name not in KNOWN and name not in NOT_YET:
            raise UnknownPlugin(f'admission plugin "{name}" is unknown: this release has {", ".join(KNOWN)}')
    for name in enable:
        if name in NOT_YET:
            raise UnknownPlugin(f'admission plugin "{name}" is not served yet: this release has {", ".join(KNOWN)}')
    plugins: list[Plugin] = [
        NamespaceLifecycle(objects),
        ServiceAccountAdmission(objects),
        DefaultTolerationSeconds(),
    ]
    return Chain([plugin for plugin in plugins if plugin.name not in disable])
