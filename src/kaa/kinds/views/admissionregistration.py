"""Views of the admission group."""

from typing import Any

from kaa.kinds.views.base import Part, View
from kaa.meta.resource import Resource

__all__ = ["ValidatingAdmissionPolicy"]


class ValidatingAdmissionPolicyStatus(Part, frozen=True):
    """What has been found out about the policy's expressions."""

    observed_generation: int = 0
    type_checking: dict[str, Any] | None = None


class ValidatingAdmissionPolicy(View, frozen=True):
    """What must hold of a write. The spec is plain: expressions are for who compiles them."""

    resource = Resource(
        "admissionregistration.k8s.io", "v1", "validatingadmissionpolicies", "ValidatingAdmissionPolicy", False,
        "validatingadmissionpolicy",
    )  # fmt: skip
    spec: dict[str, Any] = {}
    status: ValidatingAdmissionPolicyStatus = ValidatingAdmissionPolicyStatus()
