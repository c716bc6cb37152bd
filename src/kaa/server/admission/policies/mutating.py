"""MutatingAdmissionPolicy: what is changed in a write, by expressions, one policy after another."""

from __future__ import annotations

from dataclasses import dataclass
from inspect import isawaitable
from typing import Any

import orjson

from kaa.kinds.admissionregistration.environments import environment
from kaa.kinds.spec import KindSpec
from kaa.meta import errors
from kaa.server.admission.api import Attributes, Operation
from kaa.server.admission.expressions import Condition, Failed, Run, Scene
from kaa.server.admission.policies import patches
from kaa.server.admission.policies.source import Binding, Invocation, Misconfigured, Policy, PolicyPlugin
from kaa.server.admission.review import Versioned, Versions, decoded
from kaa.server.objects import Objects

__all__ = ["MutatingAdmissionPolicy"]

Json = dict[str, Any]
Key = tuple[str, str, str, str]


@dataclass(frozen=True, slots=True)
class _Mutation:
    """One expression, and what becomes of its answer."""

    condition: Condition
    is_apply: bool


class MutatingPolicy(Policy):
    """A policy with its expressions."""

    def __init__(self, found: Json, objects: Objects) -> None:
        super().__init__(found, objects)
        env = environment(params=self.param_kind is not None, mutation=True, variables=self.variables)
        self.again_if_needed = self.spec.get("reinvocationPolicy") == "IfNeeded"
        self.mutations = []
        for each in self.spec.get("mutations") or ():
            is_apply = each["patchType"] == "ApplyConfiguration"
            text = each["applyConfiguration" if is_apply else "jsonPatch"]["expression"]
            condition = Condition.compiled(text, env, "apply" if is_apply else "jsonpatch")
            self.mutations.append(_Mutation(condition, is_apply))


class _Memory:
    """What has been run in the first round, and what came of it."""

    def __init__(self) -> None:
        self.may_run_again: set[Key] = set()
        self.to_run_again: set[Key] = set()
        self.output = b""

    def changed(self) -> None:
        """Something has changed: all that may are run again."""
        self.to_run_again |= self.may_run_again
        self.may_run_again.clear()


class MutatingAdmissionPolicy(PolicyPlugin):
    """Runs every policy that is bound here. Failures are gathered, and refused together."""

    name = "MutatingAdmissionPolicy"
    resource, bindings_resource = "mutatingadmissionpolicies", "mutatingadmissionpolicybindings"
    make = MutatingPolicy

    def handles(self, spec: KindSpec, subresource: str, operation: Operation) -> bool:
        """Where there is an object to change."""
        return operation != "DELETE" and super().handles(spec, subresource, operation)

    async def mutate(self, attributes: Attributes) -> None:
        """Change the object. Raises StatusError."""
        if attributes.object is None:
            return
        memory: _Memory = attributes.memory.setdefault(self.name, _Memory())
        if attributes.round and orjson.dumps(attributes.object) != memory.output:
            memory.changed()
        versions = Versions(self.objects, attributes)
        namespace = self.evaluator.namespace(attributes)
        wrong: list[tuple[Policy, Binding | None, str, str]] = []
        found = await self.invocations(attributes)
        wrong += [(each.policy, each.binding, each.message, "") for each in found if isinstance(each, Misconfigured)]
        for each in found:
            if isinstance(each, Invocation):
                scene = Scene(attributes, await versions.of(each.spec), each.param, namespace)
                await self._invoke(each, scene, memory, wrong)
        await versions.write_back()
        memory.output = orjson.dumps(attributes.object)
        failed = [each for each in wrong if not each[0].ignore]
        if failed:
            raise _refusal(attributes, failed)

    async def _invoke(self, invocation: Invocation, scene: Scene, memory: _Memory,
                      wrong: list[tuple[Policy, Binding | None, str, str]]) -> None:  # fmt: skip
        policy, binding, attributes = invocation.policy, invocation.binding, scene.attributes
        assert isinstance(policy, MutatingPolicy)
        if policy.conditions:
            try:
                holds = policy.conditions.match(self.evaluator, scene)
                if not (holds if isinstance(holds, bool) else await holds):
                    return
            except Failed as failure:
                wrong.append((policy, binding, str(failure), "Invalid"))
                return
        key = _key(invocation)
        if attributes.round and key not in memory.to_run_again:
            return
        before = scene.versioned.object
        for mutation in policy.mutations:
            try:
                await self._mutate(policy, mutation, scene)
            except Failed as failure:
                wrong.append((policy, binding, str(failure), "Invalid"))
        if scene.versioned.object != before:
            memory.changed()
            attributes.again = True
        if policy.again_if_needed:
            memory.may_run_again.add(key)

    async def _mutate(self, policy: MutatingPolicy, mutation: _Mutation, scene: Scene) -> None:
        def answer(run: Run) -> Any:
            return run.value(mutation.condition)

        coming = self.evaluator.run(answer, scene, policy.variables)
        made = await coming if isawaitable(coming) else coming
        versioned = scene.versioned
        assert versioned.object is not None
        if mutation.is_apply:
            new = patches.applied(_copy(versioned.object), made, self._schema(versioned))
        else:
            changed = patches.patched(versioned.object, made)
            if changed is None:
                return
            new = changed
        new = decoded(self.objects, versioned, _copy(new), strict=not mutation.is_apply)
        if new != versioned.object:
            versioned.replace(new)

    def _schema(self, versioned: Versioned) -> Any:
        group, version, kind = versioned.kind
        if (group, version, kind) == (versioned.spec.resource.group, versioned.spec.resource.version,
                                      versioned.spec.kind):  # fmt: skip
            return versioned.spec.schema
        reader = self.objects.registry.by_kind(f"{group}/{version}" if group else version, kind)
        if reader is None:
            raise errors.service_unavailable(
                f"Resource kind {group}/{version}, Kind={kind} not found. There can be a delay between when "
                "CustomResourceDefinitions are created and when they are available."
            )
        return reader.schema


def _copy(obj: Json) -> Json:
    copied: Json = orjson.loads(orjson.dumps(obj))
    return copied


def _key(invocation: Invocation) -> Key:
    meta = (invocation.param or {}).get("metadata") or {}
    return invocation.policy.name, invocation.binding.name, meta.get("namespace", ""), meta.get("name", "")


def _refusal(attributes: Attributes, failed: list[tuple[Policy, Binding | None, str, str]]) -> errors.StatusError:
    """403 in the words of the first failure; all of them are causes."""
    messages = [
        f"policy '{policy.name}' with binding '{binding.name}' denied request: {why}" if binding is not None
        else f'policy "{policy.name}" denied request: {why}'
        for policy, binding, why, _ in failed
    ]  # fmt: skip
    error = errors.forbidden(attributes.spec.resource, attributes.name, "")
    error.message, error.reason = messages[0], failed[0][3] or error.reason
    error.details["causes"] = [{"message": each} for each in messages]
    return error
