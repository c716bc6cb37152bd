"""Webhooks as configured, compiled, and which of them are about a write."""

from collections.abc import Sequence
from dataclasses import dataclass

from kaa.kinds.spec import KindSpec
from kaa.meta import errors
from kaa.server.admission.api import Attributes, Operation, Plugin
from kaa.server.admission.expressions import Conditions, Evaluator, Failed, Scene
from kaa.server.admission.lookup import PerEntry, kind
from kaa.server.admission.matching import Rules, Selectors, is_exempt
from kaa.server.admission.review import Versions
from kaa.server.cache import Cached, Change
from kaa.server.objects import Objects
from kaa.server.webhooks import Webhooks

__all__ = ["Hook", "Matched", "WebhookPlugin"]

GROUP = "admissionregistration.k8s.io"
#: Asked where nothing else is said.
SECONDS = 10.0
#: Custom resources come and go, and with each change of a definition there are new ones to be known.
MATCHED_MAX = 4096


class Hook:
    """One webhook of a configuration."""

    def __init__(self, found: dict[str, object], configuration: str, objects: Objects) -> None:
        hook: dict[str, object] = found
        self.name = str(hook["name"])
        self.configuration = configuration
        self.client_config = dict(hook["clientConfig"])  # type: ignore[call-overload]
        self.ignore = hook.get("failurePolicy") == "Ignore"
        self.side_effects = str(hook.get("sideEffects") or "")
        self.seconds = float(hook.get("timeoutSeconds") or SECONDS)  # type: ignore[arg-type]
        self.again_if_needed = hook.get("reinvocationPolicy") == "IfNeeded"
        #: The first version of AdmissionReview that we speak too.
        self.review_version = next(each for each in hook["admissionReviewVersions"]  # type: ignore[attr-defined]
                                   if each in ("v1", "v1beta1"))  # fmt: skip
        self.rules = Rules(hook.get("rules") or (), equivalent=hook.get("matchPolicy") != "Exact")  # type: ignore[arg-type]
        self.selectors = Selectors(hook, objects)
        self.conditions = Conditions(hook.get("matchConditions") or (), ignore=self.ignore)  # type: ignore[arg-type]


@dataclass(frozen=True, slots=True)
class Matched:
    """A hook whose rules are about a write, in the version it asks for."""

    hook: Hook
    #: Its place among all hooks.
    index: int
    spec: KindSpec


class WebhookPlugin(Plugin):
    """What both kinds of webhooks share: configurations, and whom to ask."""

    #: The plural of the configurations.
    resource = ""

    def __init__(self, objects: Objects, webhooks: Webhooks, evaluator: Evaluator) -> None:
        self.objects = objects
        self.webhooks = webhooks
        self.evaluator = evaluator
        self._cache = objects.of(kind(objects, GROUP, "v1", self.resource))
        self._compiled = PerEntry(self._compile)
        self._hooks: list[Hook] | None = None
        self._matched: dict[tuple[KindSpec, str, Operation], tuple[Matched, ...]] = {}
        self._cache.on_change(self._configured)

    def _configured(self, change: Change) -> None:
        self._hooks = None
        self._matched.clear()
        self.changed()

    def _compile(self, entry: Cached) -> list[Hook]:
        return [Hook(each, entry.name, self.objects) for each in entry.decode().get("webhooks") or ()]

    def hooks(self) -> Sequence[Hook]:
        """All of them, in order."""
        if self._hooks is None:
            self._hooks = [hook for entry in self._cache.in_namespace("") for hook in self._compiled.of(entry)]
        return self._hooks

    def handles(self, spec: KindSpec, subresource: str, operation: Operation) -> bool:
        """Where a rule of a hook matches. Configurations themselves are never subject to hooks."""
        if is_exempt(spec):
            return False
        found = []
        for index, hook in enumerate(self.hooks()):
            if matches := hook.rules.of(self.objects.registry, spec, subresource, operation):
                found.append(Matched(hook, index, matches[0].spec))
        if len(self._matched) > MATCHED_MAX:
            self._matched.clear()
        self._matched[(spec, subresource, operation)] = tuple(found)
        return bool(found)

    def matched(self, attributes: Attributes) -> tuple[Matched, ...]:
        """The hooks whose rules match."""
        key = (attributes.spec, attributes.subresource, attributes.operation)
        if key not in self._matched:
            self.handles(*key)  # a configuration has changed since the chain asked
        return self._matched[key]

    async def applies(self, matched: Matched, attributes: Attributes, versions: Versions) -> bool:
        """Whether selectors and conditions match too. Raises StatusError."""
        hook = matched.hook
        if not hook.selectors.match(attributes):
            return False
        if not hook.conditions:
            return True
        scene = Scene(attributes, await versions.of(matched.spec))
        try:
            holds = hook.conditions.match(self.evaluator, scene)
            return holds if isinstance(holds, bool) else await holds
        except Failed as failure:
            raise errors.forbidden(attributes.spec.resource, attributes.name, str(failure)) from failure
