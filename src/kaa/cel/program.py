"""Environments compile expressions to programs; programs run within a budget."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from . import addresses, amounts, collections, kubernetes, optionals, standard, strings
from .checker import FIRST_SLOT, check
from .compiler import compile_node
from .errors import BudgetExceeded, CompileError, EvaluationError, Issue, WrongResult
from .estimate import Estimate, estimate
from .functions import Registry
from .parser import parse
from .syntax import Node, Variable
from .types import Type, assignable
from .values import Frame, ObjectValue, is_list, is_map

__all__ = ["REGISTRY", "Budget", "Environment", "LazyObject", "Program", "to_json"]

#: The original's limits (apiserver/pkg/apis/cel): of one evaluation, and of all rules of an object or request.
PER_CALL_LIMIT = 1_000_000
BUDGET = 10_000_000
#: Of the match conditions of one webhook or policy.
MATCH_CONDITIONS_BUDGET = 2_500_000
#: What an evaluation may make, compare and show, beside what its cost says, in characters (an element counts as
#: `values.STEP`). The original has no such account: there, `[a, a]` bound and doubled sixty times never ends.
_WORK_MAX = 8_000_000

#: The functions of the API server's expressions.
REGISTRY = standard.REGISTRY.extended(
    optionals.REGISTRY,
    strings.REGISTRY,
    collections.REGISTRY,
    addresses.REGISTRY,
    amounts.REGISTRY,
    kubernetes.REGISTRY,
)


@dataclass(slots=True)
class Budget:
    """What all evaluations for one object or request may cost together. One budget serves one request."""

    remaining: int = BUDGET
    per_call: int = PER_CALL_LIMIT

    @property
    def spent_out(self) -> bool:
        """Nothing is left: no more rules are run."""
        return self.remaining < 0


class LazyObject(dict[str, Any]):
    """An object whose fields are worked out when they are first read, such as a policy's `variables`."""

    __slots__ = ("thunks",)

    def __init__(self, thunks: Mapping[str, Callable[[], Any]]) -> None:
        super().__init__()
        self.thunks = thunks

    def __missing__(self, name: str) -> Any:
        value = self[name] = self.thunks[name]()
        return value

    def __contains__(self, name: object) -> bool:
        return name in self.thunks


class Program:
    """A compiled expression. It holds no state: it may run many times, and in several threads at once."""

    __slots__ = ("_names", "_root", "_run", "_size", "result", "source", "used")

    def __init__(self, source: str, root: Node, variables: tuple[str, ...], size: int, used: frozenset[str]) -> None:
        self.source = source
        #: The type of the result.
        self.result = root.type
        #: The variables the expression mentions.
        self.used = used
        self._root = root
        self._names = variables
        self._size = size
        self._run = compile_node(root)

    def evaluate(self, bindings: Mapping[str, Any], budget: Budget | None = None) -> Any:
        """The value. Raises EvaluationError, or BudgetExceeded; the cost is taken from the budget in any case.

        Bindings are JSON, read as the variables' types say, and neither copied nor changed. A variable that the
        expression does not mention need not be bound.
        """
        return self.evaluate_costing(bindings, budget)[0]

    def evaluate_costing(self, bindings: Mapping[str, Any], budget: Budget | None = None) -> tuple[Any, int]:
        """As `evaluate`, with what it cost."""
        limit = PER_CALL_LIMIT if budget is None else budget.per_call
        frame: Frame = [0, limit, _WORK_MAX]
        get = bindings.get
        for name in self._names:
            frame.append(get(name))
        frame += [None] * (self._size - len(frame))
        try:
            value = self._run(frame)
            if frame[0] > limit:
                raise BudgetExceeded
        except (TypeError, AttributeError, KeyError, IndexError) as error:
            # A value is not of the type its schema says; the schema is checked before, so this is rare.
            raise EvaluationError("no such overload") from error
        except RecursionError:
            raise EvaluationError("value is nested too deeply") from None
        finally:
            if budget is not None:
                budget.remaining -= frame[0]
        return value, frame[0]

    def cost_estimate(self) -> Estimate:
        """The least and most it can cost, by the sizes the variables' types allow."""
        return estimate(self._root)


class Environment:
    """What expressions of one place may mention: variables with their types, functions, and types to make."""

    def __init__(
        self,
        variables: Mapping[str, Type],
        *,
        registry: Registry = REGISTRY,
        objects: Mapping[str, Type] | None = None,
    ) -> None:
        self.registry = registry
        self.objects = dict(objects or {})
        self.names = tuple(variables)
        self.variables = {
            name: Variable(name, kind, FIRST_SLOT + number, declared=True)
            for number, (name, kind) in enumerate(variables.items())
        }

    def extended(self, variables: Mapping[str, Type]) -> "Environment":
        """An environment with more variables."""
        kinds = {name: variable.type for name, variable in self.variables.items()} | dict(variables)
        return Environment(kinds, registry=self.registry, objects=self.objects)

    def compile(self, expression: str, result: Type | None = None) -> Program:
        """The program of an expression. Raises CompileError, also where it yields another type than `result`."""
        root = parse(expression)
        checked = check(expression, root, self.variables, self.registry, self.objects)
        if result is not None and (root.type.kind == "dyn") != (result.kind == "dyn") and result.kind != "dyn":
            raise WrongResult(str(result), str(root.type), expression)
        if result is not None and assignable(result, root.type, {}) is None:
            raise WrongResult(str(result), str(root.type), expression)
        try:
            return Program(expression, root, self.names, checked.slots, checked.used)
        except RecursionError:
            raise CompileError((Issue(0, "expression nests too deeply"),), expression) from None


def to_json(value: Any) -> Any:
    """A result as JSON holds it, without views. Raises EvaluationError for what JSON has not."""
    if value is None or isinstance(value, str | bool | int | float):
        return int(value) if isinstance(value, int) and not isinstance(value, bool) else value
    if is_list(value):
        return [to_json(item) for item in value]
    if is_map(value):
        raw = value if isinstance(value, dict) else value.raw
        if isinstance(raw, ObjectValue):
            return {key: to_json(item) for key, item in raw.items()}
        made: dict[str, Any] = {}
        for key, item in raw.items():
            if not isinstance(key, str):
                raise EvaluationError(f"unsupported key type {type(key).__name__} in JSON: only strings can be keys")
            made[key] = to_json(item)
        return made
    from .times import Duration, Timestamp, duration_text, timestamp_text

    if isinstance(value, Timestamp):
        return timestamp_text(value)
    if isinstance(value, Duration):
        return duration_text(value)
    if isinstance(value, bytes):
        from base64 import b64encode

        return b64encode(value).decode()
    raise EvaluationError(f"a value of type {getattr(value, 'cel_type', type(value).__name__)} has no form in JSON")
