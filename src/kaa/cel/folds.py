"""Macros over lists and maps. Each is a loop of its own; costs are those of the original's one loop, step by step.

The original expands a macro to a fold: a condition before each step, the step, and the result, each of known cost.
Going on costs 2 (`all`), 3 (`exists`) or nothing; a step costs 1 for the accumulator beside what its body costs.
"""

from typing import Any

from .cost import CREATE_LIST
from .errors import BudgetExceeded, EvaluationError, no_such_overload
from .running import Build, Run, iterable
from .syntax import Fold
from .values import Frame, is_list, work

__all__ = ["compile_fold"]


def compile_fold(node: Fold, build: Build) -> Run:
    """The closure of a macro."""
    over = build(node.range)
    slots = tuple(variable.slot for variable in node.variables)
    body = build(node.body)
    if node.macro in ("all", "exists"):
        return _quantifier(over, slots, body, decides=node.macro == "exists")
    if node.macro == "exists_one":
        return _exists_one(over, slots, body)
    condition = None
    if node.condition is not None:
        condition = body if node.condition is node.body else build(node.condition)
    if node.macro == "filter":
        return _collect(over, slots, condition, None)
    if node.macro == "map":
        return _collect(over, slots, condition, body)
    return _collect_map(over, slots, condition, body, entries=node.macro == "transformMapEntry")


def _pairs(value: Any) -> Any:
    """Index and element, or key and value."""
    if is_list(value):
        return enumerate(value)
    return ((key, value[key]) for key in iterable(value))


def _quantifier(over: Run, slots: tuple[int, ...], body: Run, *, decides: bool) -> Run:
    # Before each step the original asks whether the outcome is open still; `exists` negates it first.
    going_on = 3 if decides else 2
    two = len(slots) == 2
    first, second = slots[0], slots[-1]

    def run(frame: Frame) -> bool:
        items = over(frame)
        failed: EvaluationError | None = None
        limit = frame[1]
        iterable(items)
        left = len(items)
        for item in _pairs(items) if two else items:
            left -= 1
            frame[0] += going_on + 1
            if frame[0] > limit:
                raise BudgetExceeded
            if two:
                frame[first], frame[second] = item
            else:
                frame[first] = item
            try:
                value = body(frame)
                if value is decides:
                    # It asks once more, unless this was the last element.
                    frame[0] += going_on + 1 if left else 1
                    return bool(decides)
                if type(value) is not bool:
                    raise no_such_overload()
            except EvaluationError as error:
                failed = failed or error
        frame[0] += 1
        if failed is not None:
            raise failed
        return not decides

    return run


def _exists_one(over: Run, slots: tuple[int, ...], body: Run) -> Run:
    two = len(slots) == 2
    first, second = slots[0], slots[-1]

    def run(frame: Frame) -> bool:
        items = over(frame)
        count = 0
        for item in _pairs(items) if two else iterable(items):
            if frame[0] > frame[1]:
                raise BudgetExceeded
            if two:
                frame[first], frame[second] = item
            else:
                frame[first] = item
            value = body(frame)
            if value is True:
                frame[0] += 2
                count += 1
            elif value is not False:
                raise no_such_overload()
        frame[0] += 2
        return count == 1

    return run


def _collect(over: Run, slots: tuple[int, ...], condition: Run | None, body: Run | None) -> Run:
    """filter (no body: the element itself) and map (no condition)."""
    two = len(slots) == 2
    first, second = slots[0], slots[-1]
    # The accumulator, a list of one element, and their sum; the element itself for filter.
    step = 1 + CREATE_LIST + 1 + (body is None)

    def run(frame: Frame) -> list[Any]:
        items = over(frame)
        made: list[Any] = []
        iterable(items)
        work(frame, len(items))
        for item in _pairs(items) if two else iterable(items):
            if frame[0] > frame[1]:
                raise BudgetExceeded
            if two:
                frame[first], frame[second] = item
            else:
                frame[first] = item
            if condition is not None:
                wanted = condition(frame)
                if wanted is False:
                    continue
                if wanted is not True:
                    raise no_such_overload()
            frame[0] += step
            made.append(frame[first] if body is None else body(frame))
        frame[0] += 1
        return made

    return run


def _collect_map(over: Run, slots: tuple[int, ...], condition: Run | None, body: Run, *, entries: bool) -> Run:
    first, second = slots
    step = 2 if entries else 3

    def run(frame: Frame) -> dict[Any, Any]:
        items = over(frame)
        made: dict[Any, Any] = {}
        iterable(items)
        work(frame, len(items))
        for key, value in _pairs(items):
            if frame[0] > frame[1]:
                raise BudgetExceeded
            frame[first], frame[second] = key, value
            if condition is not None:
                wanted = condition(frame)
                if wanted is False:
                    continue
                if wanted is not True:
                    raise no_such_overload()
            frame[0] += step
            result = body(frame)
            if not entries:
                made[key] = result
                continue
            for name in result:
                if name in made:
                    raise EvaluationError(f"insert failed: key {name} already exists")
                made[name] = result[name]
        frame[0] += 1
        return made

    return run
