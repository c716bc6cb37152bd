"""ValidatingAdmissionPolicy: what must hold of a write, by expressions; refused, warned of or noted else."""

from __future__ import annotations

from dataclasses import dataclass
from inspect import isawaitable
from typing import Any

import orjson

from kaa import cel
from kaa.kinds.admissionregistration.environments import environment
from kaa.meta import errors
from kaa.server.admission.api import Attributes
from kaa.server.admission.expressions import Condition, Failed, OutOfBudget, Run, Scene
from kaa.server.admission.policies.source import Binding, Invocation, Misconfigured, Policy, PolicyPlugin
from kaa.server.admission.review import Versions
from kaa.server.objects import Objects

__all__ = ["ValidatingAdmissionPolicy"]

Json = dict[str, Any]

MESSAGE_BYTES_MAX = 5 * 1024
AUDIT_BYTES_MAX = 10 * 1024
FAILURE_KEY = "validation.policy.admission.k8s.io/validation_failure"
CODES = {"Forbidden": 403, "Unauthorized": 401, "RequestEntityTooLarge": 413, "Invalid": 422}


@dataclass(frozen=True, slots=True)
class _Denied:
    """What does not hold: the place of the expression, why, and the reason that the client is told."""

    index: int
    message: str
    reason: str = "Invalid"


@dataclass(frozen=True, slots=True)
class _Outcome:
    denied: tuple[_Denied, ...] = ()
    #: Audit annotations by key, and what went wrong with others.
    notes: tuple[tuple[str, str], ...] = ()
    note_errors: tuple[str, ...] = ()


class _Validation:
    """One expression that must hold, and what is said where it does not."""

    def __init__(self, found: Json, env: cel.Environment, message_env: cel.Environment) -> None:
        self.condition = Condition.compiled(found["expression"], env)
        self.message = (found.get("message") or "").strip()
        self.reason = found.get("reason") or "Invalid"
        said = found.get("messageExpression") or ""
        self.message_expression = Condition.compiled(said, message_env, "string") if said.strip() else None

    def text(self, run: Run) -> str:
        """The message; raises OutOfBudget."""
        if self.message_expression is not None:
            try:
                made = run.value(self.message_expression)
            except OutOfBudget:
                raise
            except Failed:
                made = None
            if isinstance(made, str):
                made = made.strip()
                if made and "\n" not in made and len(made.encode()) <= MESSAGE_BYTES_MAX:
                    return str(made)
        return self.message or f"failed expression: {self.condition.expression.strip()}"


class ValidatingPolicy(Policy):
    """A policy with its expressions."""

    def __init__(self, found: Json, objects: Objects) -> None:
        super().__init__(found, objects)
        params = self.param_kind is not None
        env = environment(params=params, variables=self.variables)
        plain = environment(params=params, authorizer=False, variables=self.variables)
        self.validations = [_Validation(each, env, plain) for each in self.spec.get("validations") or ()]
        self.annotations = [
            (each["key"], Condition.compiled(each["valueExpression"], plain, "string", "null"))
            for each in self.spec.get("auditAnnotations") or ()
        ]

    def judge(self, run: Run) -> _Outcome:
        """Run everything; called once more, in a thread, where the first try is too expensive."""
        denied: list[_Denied] = []
        for index, each in enumerate(self.validations):
            try:
                if run.value(each.condition) is not True:
                    denied.append(_Denied(index, self._said(each, run), each.reason))
            except OutOfBudget as failure:
                return _Outcome(self._failures([_Denied(0, str(failure))]))
            except _NoMessage as failure:
                denied += self._failures([_Denied(index, str(failure))])
            except Failed as failure:
                denied += self._failures([_Denied(index, str(failure))])
        notes: list[tuple[str, str]] = []
        wrong: list[str] = []
        apart = run.again(cel.BUDGET)
        for key, condition in self.annotations:
            try:
                value = apart.value(condition)
            except OutOfBudget as failure:
                return _Outcome(self._failures([_Denied(0, str(failure))]))
            except Failed as failure:
                if not self.ignore:
                    wrong.append(str(failure))
                continue
            if isinstance(value, str) and value.strip():
                notes.append((key, value.strip()))
        return _Outcome(tuple(denied), tuple(notes), tuple(wrong))

    def _said(self, validation: _Validation, run: Run) -> str:
        try:
            return validation.text(run)
        except OutOfBudget as failure:
            raise _NoMessage(f"failed messageExpression: {failure}") from failure

    def _failures(self, found: list[_Denied]) -> tuple[_Denied, ...]:
        return () if self.ignore else tuple(found)


class _NoMessage(Failed):
    """There was no budget left for the message."""


class ValidatingAdmissionPolicy(PolicyPlugin):
    """Runs every policy that is bound here; the first denial is the answer."""

    name = "ValidatingAdmissionPolicy"
    resource, bindings_resource = "validatingadmissionpolicies", "validatingadmissionpolicybindings"
    make = ValidatingPolicy

    async def validate(self, attributes: Attributes) -> None:
        """Raise what the first denied validation says; warn of, and note, what bindings want warned of and noted."""
        found = await self.invocations(attributes)
        if not found:
            return
        versions = Versions(self.objects, attributes)
        namespace = self.evaluator.namespace(attributes)
        denied: list[tuple[Policy, Binding | None, str, str]] = []
        notes: dict[tuple[str, str], list[str]] = {}
        for each in found:
            policy = each.policy
            assert isinstance(policy, ValidatingPolicy)
            if isinstance(each, Misconfigured):
                if not policy.ignore:
                    denied.append((policy, each.binding, each.message, "Invalid"))
                continue
            scene = Scene(attributes, await versions.of(each.spec), each.param, namespace)
            outcome = await self._judge(policy, scene)
            for one in outcome.denied:
                self._act(each, one, attributes, denied)
            for key, value in outcome.notes:
                kept = notes.setdefault((policy.name, key), [])
                if value not in kept:
                    kept.append(value.encode()[:AUDIT_BYTES_MAX].decode(errors="ignore"))
            denied += [(policy, each.binding, why, "Invalid") for why in outcome.note_errors]
        for (name, key), values in notes.items():
            attributes.audit[f"{name}/{key}"] = ", ".join(values)
        if denied:
            raise _refusal(attributes, *denied[0])

    async def _judge(self, policy: ValidatingPolicy, scene: Scene) -> _Outcome:
        if policy.conditions:
            try:
                holds = policy.conditions.match(self.evaluator, scene)
                if not (holds if isinstance(holds, bool) else await holds):
                    return _Outcome()
            except Failed as failure:
                return _Outcome((_Denied(0, str(failure)),))
        outcome = self.evaluator.run(policy.judge, scene, policy.variables)
        return await outcome if isawaitable(outcome) else outcome

    def _act(self, invocation: Invocation, denied: _Denied, attributes: Attributes,
             found: list[tuple[Policy, Binding | None, str, str]]) -> None:  # fmt: skip
        policy, binding = invocation.policy, invocation.binding
        for action in binding.actions:
            match action:
                case "Deny":
                    found.append((policy, binding, denied.message, denied.reason))
                case "Warn":
                    attributes.warnings.append(
                        f"Validation failed for ValidatingAdmissionPolicy '{policy.name}' with binding "
                        f"'{binding.name}': {denied.message}"
                    )
                case "Audit":
                    failure = {"message": denied.message, "policy": policy.name, "binding": binding.name,
                               "expressionIndex": denied.index, "validationActions": list(binding.actions)}  # fmt: skip
                    # The first one stands: annotations are not written over.
                    attributes.audit.setdefault(FAILURE_KEY, orjson.dumps([failure]).decode())


def _refusal(attributes: Attributes, policy: Policy, binding: Binding | None, why: str,
             reason: str) -> errors.StatusError:  # fmt: skip
    bound = f" with binding '{binding.name}'" if binding is not None else ""
    message = f"ValidatingAdmissionPolicy '{policy.name}'{bound} denied request: {why}"
    error = errors.forbidden(attributes.spec.resource, attributes.name, message)
    error.code, error.reason = CODES.get(reason, 422), reason
    error.details["causes"] = [{"message": message}]
    return error
