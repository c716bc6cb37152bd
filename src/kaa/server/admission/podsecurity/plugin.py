"""When the standards are asked.

Of pods (refused, warned of, told to the audit log); of what makes pods (never refused); and of the pods that stand when
a namespace becomes stricter (warned of).
"""

from typing import Any

from kaa.base.clock import REAL, Clock
from kaa.kinds.spec import KindSpec
from kaa.meta import errors
from kaa.server.admission.api import Attributes, Operation, Plugin
from kaa.server.admission.lookup import PerEntry, kind
from kaa.server.admission.podsecurity.policy import (
    LEVELS,
    MODES,
    PREFIX,
    LevelVersion,
    PodSecuritySettings,
    Policy,
    policy_of,
)
from kaa.server.admission.podsecurity.standards import evaluate
from kaa.server.objects import Objects

__all__ = ["PodSecurity"]

Json = dict[str, Any]

#: Parts of pods that hold no pod.
_IGNORED = frozenset({"exec", "attach", "binding", "eviction", "log", "portforward", "proxy", "status"})
#: Where what makes pods keeps their template.
_TEMPLATES = {
    "podtemplates": ("template",),
    "replicationcontrollers": ("spec", "template"),
    "replicasets.apps": ("spec", "template"),
    "deployments.apps": ("spec", "template"),
    "statefulsets.apps": ("spec", "template"),
    "daemonsets.apps": ("spec", "template"),
    "jobs.batch": ("spec", "template"),
    "cronjobs.batch": ("spec", "jobTemplate", "spec", "template"),
}
#: Pods looked at when a namespace becomes stricter, and how many of them at a stretch.
PODS_MAX, PODS_STEP = 3000, 50
_SECCOMP_POD = "seccomp.security.alpha.kubernetes.io/pod"
_SECCOMP_CONTAINER = "container.seccomp.security.alpha.kubernetes.io/"


class PodSecurity(Plugin):
    """The Pod Security Standards, by the labels of namespaces."""

    name = "PodSecurity"

    def __init__(self, objects: Objects, settings: PodSecuritySettings | None = None, clock: Clock = REAL) -> None:
        self._objects = objects
        self._clock = clock
        self._settings = settings = settings or PodSecuritySettings()
        self._namespaces = kind(objects, "", "v1", "namespaces")
        self._pods = kind(objects, "", "v1", "pods")
        self._policies = PerEntry(lambda entry: policy_of(entry.labels, settings.defaults))

    def handles(self, spec: KindSpec, subresource: str, operation: Operation) -> bool:
        """Pods, what makes them, and namespaces."""
        if operation not in ("CREATE", "UPDATE"):
            return False
        qualified = spec.resource.qualified
        if qualified == "pods":
            return subresource not in _IGNORED
        return not subresource and (qualified == "namespaces" or qualified in _TEMPLATES)

    async def _namespace(self, attributes: Attributes) -> None:
        settings, new, old = self._settings, attributes.object or {}, attributes.old
        labels = new["metadata"].get("labels") or {}
        policy, problems = policy_of(labels, settings.defaults)
        name = attributes.name or new["metadata"].get("name", "")
        before = settings.defaults
        if old is not None:
            before, problems_before = policy_of(old["metadata"].get("labels") or {}, settings.defaults)
            if problems and [*map(str, problems)] == [*map(str, problems_before)]:
                problems = []  # it has been so before
        if problems:
            raise errors.invalid(attributes.spec.resource, name, problems)
        if name in settings.namespaces:
            if old is None or policy != before:
                attributes.warnings.extend(_ignored(name, policy, labels, settings.defaults))
        elif old is not None and _stricter(policy.enforce, before.enforce):
            attributes.warnings.extend(await self._standing(name, policy.enforce))

    def validate(self, attributes: Attributes) -> Any:
        """Raise 403 (a pod) or 422 (a namespace with labels that nobody understands)."""
        qualified = attributes.spec.resource.qualified
        if qualified == "namespaces":
            return self._namespace(attributes)
        entry = self._objects.find(self._namespaces, "", attributes.namespace)
        if entry is None:
            raise errors.internal(f"failed to lookup namespace {attributes.namespace}")
        policy, problems = self._policies.of(entry)
        if policy.privileged and not problems:
            return None
        settings, new = self._settings, attributes.object or {}
        if attributes.namespace in settings.namespaces or attributes.user.name in settings.usernames:
            attributes.audit["pod-security.kubernetes.io/exempt"] = (
                "namespace" if attributes.namespace in settings.namespaces else "user"
            )
            return None
        enforced = qualified == "pods"
        if enforced:
            if attributes.old is not None and not _changed(new, attributes.old):
                return None
            template: Json | None = new
        else:
            if policy.warn.level == policy.audit.level == "privileged" and not problems:
                return None
            template = new
            for field in _TEMPLATES[qualified]:
                template = (template or {}).get(field)
        if template is not None:
            self._evaluate(attributes, policy, problems, template, enforced=enforced)
        return None

    def _evaluate(self, attributes: Attributes, policy: Policy, problems: list[Any], pod: Json, *,
                  enforced: bool) -> None:  # fmt: skip
        spec = pod.get("spec") or {}
        if spec.get("runtimeClassName") in self._settings.runtime_classes:
            attributes.audit["pod-security.kubernetes.io/exempt"] = "runtimeClass"
            return
        audit = attributes.audit
        if problems:
            audit["pod-security.kubernetes.io/error"] = f"Failed to parse policy: {', '.join(map(str, problems))}"
        annotations = (pod.get("metadata") or {}).get("annotations") or {}
        told: dict[LevelVersion, str] = {}

        def wrong(asked: LevelVersion) -> str:
            if asked not in told:
                found = evaluate(asked.level, asked.version, annotations, spec)
                told[asked] = f'PodSecurity "{asked}": {", ".join(map(str, found))}' if found else ""
            return told[asked]

        refused = ""
        if enforced:
            audit["pod-security.kubernetes.io/enforce-policy"] = str(policy.enforce)
            refused = wrong(policy.enforce)
        if text := wrong(policy.audit):
            audit["pod-security.kubernetes.io/audit-violations"] = f"would violate {text}"
        if refused:
            raise attributes.forbidden(f"violates {refused}")
        if text := wrong(policy.warn):
            attributes.warnings.append(f"would violate {text}")

    async def _standing(self, namespace: str, enforce: LevelVersion) -> list[str]:
        """Warnings of the pods there that could no longer be made: each finding once, with the first pod's name."""
        there = self._objects.of(self._pods).in_namespace(namespace)
        decoded = []
        for number, each in enumerate(there[: 2 * PODS_MAX], 1):
            decoded.append(each.decode())
            if number % PODS_STEP == 0:
                await self._clock.sleep(0)
        pods = self._first_of_each_owner(decoded)
        by_finding: dict[str, list[str]] = {}
        for number, pod in enumerate(pods[:PODS_MAX], 1):
            if number % PODS_STEP == 0:
                await self._clock.sleep(0)
            annotations = pod["metadata"].get("annotations") or {}
            found = evaluate(enforce.level, enforce.version, annotations, pod["spec"])
            if found:
                by_finding.setdefault(", ".join(each.reason for each in found), []).append(pod["metadata"]["name"])
        warnings = []
        if max(len(pods), len(there)) > PODS_MAX:
            warnings.append(f"new PodSecurity enforce level only checked against the first {PODS_MAX} of {len(there)} "
                            "existing pods")  # fmt: skip
        if by_finding:
            warnings.append(
                f'existing pods in namespace "{namespace}" violate the new PodSecurity enforce level "{enforce}"'
            )
        return warnings + sorted(f"{_first(names)}: {finding}" for finding, names in by_finding.items())

    def _first_of_each_owner(self, pods: list[Json]) -> list[Json]:
        """Those that differ first: of the pods of one controller, one comes before the rest of all."""
        first: list[Json] = []
        rest: list[Json] = []
        seen: set[str] = set()
        for pod in pods:
            if pod["spec"].get("runtimeClassName") in self._settings.runtime_classes:
                continue
            owner = next((each["uid"] for each in pod["metadata"].get("ownerReferences") or ()
                          if each.get("controller")), None)  # fmt: skip
            (rest if owner in seen else first).append(pod)
            if owner:
                seen.add(owner)
        return first + rest


def _first(names: list[str]) -> str:
    name, others = min(names), len(names) - 1
    return name if not others else f"{name} (and {others} other {'pod' if others == 1 else 'pods'})"


def _stricter(new: LevelVersion, old: LevelVersion) -> bool:
    """Whether pods that were admitted may no longer be."""
    if new == old or new.level == "privileged":
        return False
    return new.version != old.version or LEVELS.index(new.level) > LEVELS.index(old.level)


def _ignored(name: str, policy: Policy, labels: Json, defaults: Policy) -> list[str]:
    """That an exempt namespace has labels all the same."""
    if policy.privileged or policy == defaults:
        return []
    stated = [
        f"{mode}={asked}"
        for mode in MODES
        if (asked := getattr(policy, mode)).level != "privileged"
        and (PREFIX + mode in labels or f"{PREFIX}{mode}-version" in labels)
    ]
    return [f'namespace "{name}" is exempt from Pod Security, and the policy ({", ".join(stated)}) will be ignored']


def _changed(new: Json, old: Json) -> bool:
    """Whether an update of a pod changes anything that the standards are about."""
    marks, marks_before = (each["metadata"].get("annotations") or {} for each in (new, old))
    if marks.get(_SECCOMP_POD) != marks_before.get(_SECCOMP_POD):
        return True
    for field in ("containers", "initContainers", "ephemeralContainers"):
        ours, before = new["spec"].get(field) or (), old["spec"].get(field) or ()
        if field != "ephemeralContainers" and len(ours) != len(before):
            return True
        images = {each["name"]: each.get("image") for each in before}
        for each in ours:
            key = _SECCOMP_CONTAINER + each["name"]
            if images.get(each["name"], "") != each.get("image") or marks.get(key) != marks_before.get(key):
                return True
    return False
