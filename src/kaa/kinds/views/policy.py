"""Views of the policy group."""

from kaa.kinds.views.base import LabelSelectorView, Part, View
from kaa.meta.resource import Resource

__all__ = ["PodDisruptionBudget"]


class PodDisruptionBudgetSpec(Part, frozen=True):
    """How many pods must stay, or may go. At most one of the two is set."""

    min_available: int | str | None = None
    max_unavailable: int | str | None = None
    selector: LabelSelectorView | None = None
    unhealthy_pod_eviction_policy: str | None = None


class PodDisruptionBudgetStatus(Part, frozen=True):
    """How many may go now."""

    observed_generation: int = 0
    #: Pods whose eviction has been granted and not been seen yet, with the time it was.
    disrupted_pods: dict[str, str] = {}
    disruptions_allowed: int = 0
    current_healthy: int = 0
    desired_healthy: int = 0
    expected_pods: int = 0


class PodDisruptionBudget(View, frozen=True):
    """How many of some pods may be disrupted at once."""

    resource = Resource("policy", "v1", "poddisruptionbudgets", "PodDisruptionBudget", True, "poddisruptionbudget")
    spec: PodDisruptionBudgetSpec = PodDisruptionBudgetSpec()
    status: PodDisruptionBudgetStatus = PodDisruptionBudgetStatus()
