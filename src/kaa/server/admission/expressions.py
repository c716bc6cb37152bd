"""Expressions of webhooks and policies, run on a write: what they see, what they may cost, and where they run.

An evaluation is tried in the loop with a budget of a few milliseconds; what needs more is run again in a thread, with
the whole budget, so that no expression holds up anybody else. Authorizers are asked from there through the loop.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from inspect import isawaitable
from typing import Any, Protocol, TypeVar

from kaa import cel
from kaa.kinds.admissionregistration.environments import (
    Variable,
    Wrong,
    compile_expression,
    compile_variables,
    environment,
)
from kaa.server.admission.api import Attributes, Authorizing
from kaa.server.admission.matching import namespace_of
from kaa.server.admission.review import Versioned, request_of
from kaa.server.objects import Objects
from kaa.server.request import RequestInfo, User

__all__ = ["Condition", "Conditions", "Evaluator", "Failed", "OutOfBudget", "Run", "Scene", "variables_of"]

Json = dict[str, Any]
T = TypeVar("T")

#: What is tried in the loop: about two milliseconds. A question to the authorizer is dear by its cost, not by its time.
TRIAL = 40_000
AUTHORIZATION = 350_000
#: Evaluations that are in threads at the same time; more of them wait.
THREADS_MAX = 2
ANSWER_SECONDS = 10.0
NO_BUDGET = "validation failed due to running out of cost budget, no further validation rules will be run"


class Decided(Protocol):
    """An authorizer's answer."""

    @property
    def allowed(self) -> bool: ...

    @property
    def reason(self) -> str: ...


class Failed(Exception):
    """An expression gave no value; `str()` is what the user is told."""


class OutOfBudget(Failed):
    """The budget of the whole is spent: nothing more is run."""


class _Expensive(Exception):
    """More than may be done in the loop."""


@dataclass(frozen=True, slots=True)
class Condition:
    """One compiled expression, or why there is none."""

    expression: str
    program: cel.Program | None
    error: str = ""

    @classmethod
    def compiled(cls, expression: str, env: cel.Environment, *answers: str) -> Condition:
        """Of an expression as it is stored: what does not compile any more fails when it is run."""
        try:
            return cls(expression, compile_expression(env, expression, answers or ("bool",)))
        except Wrong as error:
            return cls(expression, None, str(error))


class _Authorizer:
    """Answers expressions: in the loop at once, from a thread through the loop."""

    def __init__(self, ask: Authorizing, user: User, loop: asyncio.AbstractEventLoop | None) -> None:
        self._ask = ask
        self._user = user
        self._loop = loop
        self._known: dict[cel.Access, cel.Decision] = {}

    def decide(self, access: cel.Access) -> cel.Decision:
        """See `cel.Authorizer`. One write asks each question once."""
        known = self._known.get(access)
        if known is None:
            known = self._known[access] = self._decide(access)
        return known

    def _decide(self, access: cel.Access) -> cel.Decision:
        user = self._user if access.service_account is None else _account(*access.service_account)
        info = RequestInfo(access.verb, access.path) if access.path else RequestInfo(
            access.verb, "", True, access.group, access.version, access.resource, access.subresource,
            access.namespace, access.name,
        )  # fmt: skip
        if self._loop is None:
            found = self._ask(user, info)
            if isawaitable(found):
                if asyncio.iscoroutine(found):
                    found.close()
                raise _Expensive  # who has to wait does so in a thread
            return cel.Decision(found.allowed, found.reason)
        coming = asyncio.run_coroutine_threadsafe(self._asked(user, info), self._loop)
        try:
            decided = coming.result(ANSWER_SECONDS)
        except Exception as error:
            return cel.Decision(False, "", str(error) or "the authorizer did not answer in time")
        return cel.Decision(decided.allowed, decided.reason)

    async def _asked(self, user: User, info: RequestInfo) -> Decided:
        found = self._ask(user, info)
        decided: Decided = await found if isawaitable(found) else found
        return decided


def _account(namespace: str, name: str) -> User:
    groups = ("system:serviceaccounts", f"system:serviceaccounts:{namespace}", "system:authenticated")
    return User(f"system:serviceaccount:{namespace}:{name}", groups)


@dataclass(slots=True)
class Scene:
    """A write as expressions see it, in one version. `params` is a policy's parameter, or None."""

    attributes: Attributes
    versioned: Versioned
    params: Json | None = None
    #: The namespace's object; None where there is none, or nobody looks at it.
    namespace: Json | None = None


class Run:
    """One set of expressions on one scene, within one budget. Used by one thread at a time."""

    def __init__(self, bindings: Json, budget: cel.Budget, *, trial: bool) -> None:
        self.bindings = bindings
        self.budget = budget
        self._trial = trial

    def value(self, condition: Condition) -> Any:
        """The value of an expression. Raises Failed; OutOfBudget when nothing more is to be run."""
        program = condition.program
        if program is None:
            raise Failed(f"compilation error: {condition.error}")
        budget = self.budget
        if self._trial:
            # Checks are allowed for by the number of places they stand at.
            budget.remaining = min(budget.remaining, TRIAL) + AUTHORIZATION * program.source.count(".check(")
            budget.per_call = budget.remaining
        try:
            value = program.evaluate(self.bindings, budget)
        except cel.BudgetExceeded as error:
            if self._trial:
                raise _Expensive from error
            if budget.remaining < 0:
                raise OutOfBudget(NO_BUDGET) from error
            raise Failed(f"expression '{condition.expression}' resulted in error: {error}") from error
        except cel.EvaluationError as error:
            if budget.remaining < 0:
                raise (_Expensive if self._trial else OutOfBudget)(NO_BUDGET) from error
            raise Failed(f"expression '{condition.expression}' resulted in error: {error}") from error
        if budget.remaining < 0:
            raise (_Expensive if self._trial else OutOfBudget)(NO_BUDGET)
        return value

    def again(self, remaining: int) -> Run:
        """The same scene with another budget."""
        return Run(self.bindings, cel.Budget(remaining), trial=self._trial)


class Evaluator:
    """Runs expressions. One per server."""

    def __init__(self, objects: Objects, ask: Authorizing) -> None:
        self._objects = objects
        self._ask = ask
        self._threads = asyncio.Semaphore(THREADS_MAX)

    def namespace(self, attributes: Attributes) -> Json | None:
        """The object of the write's namespace, for `namespaceObject`; a namespace has none of its own."""
        name = namespace_of(attributes)
        if not name or not attributes.spec.namespaced:
            return None
        spec = self._objects.registry.get("", "v1", "namespaces")
        assert spec is not None
        return self._objects.get(spec, "", name).decode()

    def run(self, work: Callable[[Run], T], scene: Scene, variables: Sequence[Variable] = (),
            budget: int | None = None) -> T | Awaitable[T]:  # fmt: skip
        """What `work` makes of the scene: at once, or to be awaited where that takes long. It may be called twice, so
        it must change nothing. It raises what it likes, but for what is told here by exceptions of its own."""
        try:
            return work(self._prepared(scene, variables, cel.Budget(TRIAL, TRIAL), None))
        except _Expensive:
            return self._aside(work, scene, variables, cel.BUDGET if budget is None else budget)

    async def _aside(self, work: Callable[[Run], T], scene: Scene, variables: Sequence[Variable], budget: int) -> T:
        run = self._prepared(scene, variables, cel.Budget(budget), asyncio.get_running_loop())
        async with self._threads:
            return await asyncio.to_thread(work, run)

    def _prepared(self, scene: Scene, variables: Sequence[Variable], budget: cel.Budget,
                  loop: asyncio.AbstractEventLoop | None) -> Run:  # fmt: skip
        attributes, versioned = scene.attributes, scene.versioned
        authorizer = _Authorizer(self._ask, attributes.user, loop)
        resource = attributes.spec.resource
        own = cel.Access(
            group=resource.group, version=resource.version, resource=resource.plural,
            subresource=attributes.subresource, namespace=namespace_of(attributes), name=attributes.name,
        )  # fmt: skip
        bindings: Json = {
            "object": versioned.object,
            "oldObject": versioned.old,
            "namespaceObject": scene.namespace,
            "request": request_of(attributes, versioned),
            "params": scene.params,
            "authorizer": cel.AuthorizerValue(authorizer),
            "authorizer.requestResource": cel.ResourceCheck(authorizer, own),
        }
        if variables:
            thunks = {each.name: _thunk(each, bindings, budget) for each in variables}
            bindings["variables"] = cel.LazyObject(thunks)
        else:
            bindings["variables"] = {}
        return Run(bindings, budget, trial=loop is None)


def _thunk(variable: Variable, bindings: Mapping[str, Any], budget: cel.Budget) -> Callable[[], Any]:
    def work_out() -> Any:
        if variable.program is None:
            raise cel.EvaluationError(f'composited variable "{variable.name}" fails to compile: {variable.error}')
        try:
            value = variable.program.evaluate(bindings, budget)
        except cel.EvaluationError as error:
            raise cel.EvaluationError(f'composited variable "{variable.name}" fails to evaluate: {error}') from error
        return _as_read(value, variable.program.result)

    return work_out


#: Types whose values are the same as JSON holds them.
_PLAIN = frozenset({"dyn", "bool", "int", "uint", "double", "string", "null", "opaque", "type"})


def _as_read(value: Any, kind: cel.Type) -> Any:
    """A value in the form in which fields of its type are read: JSON, which is read as the type says."""
    if kind.kind in _PLAIN:
        return value
    try:
        return cel.to_json(value)
    except cel.EvaluationError:
        return value


class Conditions:
    """`matchConditions`: expressions that must all hold."""

    def __init__(self, found: Sequence[Json], *, params: bool = False, variables: Sequence[Variable] | None = None,
                 ignore: bool) -> None:  # fmt: skip
        env = environment(params=params, variables=variables)
        self._conditions = [Condition.compiled(each["expression"], env) for each in found]
        self._variables = tuple(variables or ())
        self._ignore = ignore

    def __bool__(self) -> bool:
        return bool(self._conditions)

    def match(self, evaluator: Evaluator, scene: Scene) -> bool | Awaitable[bool]:
        """Whether all hold; a false one decides, whatever fails beside it. Raises Failed, unless failures are ignored,
        and then it does not match."""
        return evaluator.run(self._match, scene, self._variables, cel.MATCH_CONDITIONS_BUDGET)

    def _match(self, run: Run) -> bool:
        failures: list[str] = []
        for each in self._conditions:
            try:
                if run.value(each) is False:
                    return False
            except OutOfBudget:
                if self._ignore:
                    return False
                raise
            except Failed as failure:
                failures.append(str(failure))
        if not failures:
            return True
        if self._ignore:
            return False
        kept = list(dict.fromkeys(failures))
        raise Failed(kept[0] if len(kept) == 1 else f"[{', '.join(kept)}]")


def variables_of(found: Sequence[Json], *, params: bool) -> list[Variable]:
    """A policy's variables, compiled."""
    return compile_variables([(each["name"], each["expression"]) for each in found], params=params)
