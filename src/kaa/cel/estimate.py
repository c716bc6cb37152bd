"""What an expression can cost at least and at most, by the sizes its types allow: cel-go's `checker/cost.go`.

The original refuses rules by this number, so it is counted as the original counts it, on the folds its macros expand
to, even where that is not what happens when the expression runs.
"""

from dataclasses import dataclass

from .static_costs import ONE, UNKNOWN, Range, function_cost
from .syntax import (
    Bind,
    Call,
    Fold,
    Ident,
    ListNode,
    Literal,
    Logic,
    MapNode,
    Node,
    ObjectNode,
    Select,
    Variable,
)  # fmt: skip
from .types import Type

__all__ = ["PER_RULE_LIMIT", "TOTAL_LIMIT", "Estimate", "estimate", "over_budget"]

#: The most a rule of a custom resource may cost by estimate, times how often it can run; and all rules together.
PER_RULE_LIMIT = 10_000_000
TOTAL_LIMIT = 100_000_000

_ZERO = Range(0, 0)
_LIST, _MAP, _OBJECT = Range(10, 10), Range(30, 30), Range(40, 40)


@dataclass(frozen=True, slots=True)
class Estimate:
    """The least and the most; `types.UNBOUNDED` where nothing bounds it."""

    least: int
    most: int


def over_budget(cost: int, limit: int, name: str = "estimated rule cost") -> str:
    """How the original says that an estimate is too high; "" where it is not."""
    if cost <= limit:
        return ""
    factor = cost / limit
    # Far over, the estimate itself says no more than that the rule is quadratic or worse.
    shown = "more than 100x" if factor > 100 else f"{factor:f}x" if factor < 1.5 else f"{factor:.1f}x"
    return (
        f"{name} exceeds budget by factor of {shown} (try simplifying the rule, or adding maxItems, maxProperties, "
        "and maxLength where arrays, maps, and strings are declared)"
    )


def estimate(root: Node) -> Estimate:
    """The cost of a checked tree."""
    cost = _Estimator().cost(root)
    return Estimate(cost.least, cost.most)


@dataclass(slots=True)
class _Local:
    """What is known of a name that a macro introduced."""

    declared: Type | None
    size: Range | None
    entry: Range | None


class _Estimator:
    def __init__(self) -> None:
        self.sizes: dict[int, Range] = {}
        #: The sizes of the elements or values of a container.
        self.entries: dict[int, Range] = {}
        self.locals: dict[int, _Local] = {}

    # -- what is known of sizes

    def declared(self, node: Node) -> Type | None:
        """The declaration a node leads to from a variable, which may say how large it can be."""
        match node:
            case Ident(variable=Variable() as variable):
                if variable.declared:
                    return variable.type
                local = self.locals.get(variable.slot)
                return local.declared if local else None
            case Select(test=False, optional=False):
                below = self.declared(node.operand)
                # A key of a map written as a field is not followed: neither does the original.
                field = below.fields.get(node.name) if below is not None else None
                return field.type if field is not None else None
            case Call(function="_[_]"):
                below = self.declared(node.args[0])
                if below is not None and below.kind in ("list", "map"):
                    return below.params[-1]
        return None

    def size(self, node: Node) -> Range | None:
        """How large a value can be; None where nothing is known."""
        known = self.sizes.get(id(node))
        if known is not None:
            return known
        match node:
            case Literal():
                count = len(node.value) if isinstance(node.value, str | bytes) else 1
                return Range(count, count)
            case ListNode():
                return Range(len(node.elements), len(node.elements))
            case MapNode():
                return Range(len(node.entries), len(node.entries))
        found = self.declared_size(self.declared(node))
        if found is not None:
            return found
        if node.type.scalar:
            return ONE
        if isinstance(node, Ident) and node.variable is not None:
            local = self.locals.get(node.variable.slot)
            return local.size if local else None
        return None

    @staticmethod
    def declared_size(kind: Type | None) -> Range | None:
        """What a declaration says of sizes. Scalars of a schema have none, which the original counts as nothing."""
        if kind is None:
            return None
        if kind.max_elements is not None:
            return Range(0, kind.max_elements)
        return _ZERO if kind.kind in ("bool", "int", "uint", "double", "object") else None

    def entry(self, node: Node) -> Range | None:
        """How large the elements of a container can be, where an expression made it."""
        known = self.entries.get(id(node))
        if known is None and isinstance(node, Ident) and node.variable is not None:
            local = self.locals.get(node.variable.slot)
            return local.entry if local else None
        return known

    def size_or_unknown(self, node: Node) -> Range:
        return self.size(node) or UNKNOWN

    # -- costs

    def cost(self, node: Node) -> Range:
        match node:
            case Literal():
                return _ZERO
            case Ident():
                return ONE
            case Select():
                return self.select(node)
            case Call():
                return self.call(node)
            case Logic():
                costs = [self.cost(term) for term in node.terms]
                # The first term may decide.
                return Range(costs[0].least, sum_of(costs).most)
            case ListNode():
                return self.list_literal(node)
            case MapNode():
                costs = [self.cost(part) for key, value, _ in node.entries for part in (key, value)]
                self.entries[id(node)] = self.union_of([value for _, value, _ in node.entries])
                return sum_of([*costs, _MAP])
            case ObjectNode():
                return sum_of([*(self.cost(entry[2]) for entry in node.entries), _OBJECT])
            case Fold():
                return self.fold(node)
            case Bind():
                return self.bind(node)
        raise TypeError(node)

    def select(self, node: Select) -> Range:
        if node.type_name or node.variable is not None:
            return ONE
        operand = self.cost(node.operand)
        if node.test:
            return operand
        if node.optional or node.operand.type.kind in ("map", "object", "param"):
            return operand.plus(ONE)
        return operand

    def list_literal(self, node: ListNode) -> Range:
        costs = [self.cost(element) for element in node.elements]
        self.entries[id(node)] = self.union_of(node.elements)
        return sum_of([*costs, _LIST])

    def union_of(self, nodes: list[Node]) -> Range:
        if not nodes:
            return _ZERO
        found = self.size_or_unknown(nodes[0])
        for node in nodes[1:]:
            found = found.union(self.size_or_unknown(node))
        return found

    def call(self, node: Call) -> Range:
        costs = [self.cost(arg) for arg in node.args]
        if node.function == "dyn":
            self.copy(node, node.args[0])
            return costs[0].plus(ONE)
        target = _ZERO if node.target is None else self.cost(node.target)
        if node.function == "_?_:_":
            return self.conditional(node, costs)
        made: Range | None = None
        size: Range | None = None
        for overload in node.overloads:
            cost, result = function_cost(overload.cost, self, node)
            made = cost if made is None else made.union(cost)
            if result is not None:
                size = result if size is None else size.union(result)
        if node.function == "_[_]":
            size = self.entry(node.args[0])
        elif any(overload.cost in ("add_text", "list_add") for overload in node.overloads):
            one, other = (self.entry(arg) for arg in node.args)
            if one is not None and other is not None:
                self.entries[id(node)] = one.union(other)
        if size is not None:
            self.sizes[id(node)] = size
        return sum_of([target, made or ONE, *costs])

    def conditional(self, node: Call, costs: list[Range]) -> Range:
        _, then, otherwise = node.args
        self.sizes[id(node)] = self.size_or_unknown(then).union(self.size_or_unknown(otherwise))
        one, other = self.entry(then), self.entry(otherwise)
        if one is not None and other is not None:
            self.entries[id(node)] = one.union(other)
        return costs[0].plus(costs[1].union(costs[2]))

    def copy(self, to: Node, source: Node) -> None:
        size, entry = self.size(source), self.entry(source)
        if size is not None:
            self.sizes[id(to)] = size
        if entry is not None:
            self.entries[id(to)] = entry

    # -- macros

    def fold(self, node: Fold) -> Range:
        over = self.cost(node.range)
        kind, entry = self.declared(node.range), self.entry(node.range)
        is_map = node.range.type.kind == "map"
        parts = kind.params if kind is not None and kind.kind in ("list", "map") else ()
        keys = parts[0] if is_map and parts else None
        values = parts[-1] if parts else None
        index = ONE if entry is not None and not is_map else None
        if len(node.variables) == 2:
            known = [_Local(keys, index, None), _Local(values, entry, None)]
        else:
            known = [_Local(keys if is_map else values, None if is_map else entry, None)]
        for variable, local in zip(node.variables, known, strict=True):
            self.locals[variable.slot] = local
        condition = self.cost(node.condition) if node.condition is not None else None
        body = condition if node.condition is node.body and condition is not None else self.cost(node.body)
        count = self.size_or_unknown(node.range)
        start, going_on, step, result = self.step(node, condition, body)
        if node.macro in ("filter", "map", "transformMap", "transformMapEntry"):
            self.sizes[id(node)] = count
            if node.macro in ("filter", "map"):
                kept = self.declared_or_size(node.variables[0]) if node.macro == "filter" else self.size(node.body)
                self.entries[id(node)] = _ZERO.union(kept or UNKNOWN)
        else:
            self.sizes[id(node)] = ONE
        return sum_of([over, start, count.times(step.plus(going_on)), result])

    def declared_or_size(self, variable: Variable) -> Range | None:
        return self.size(Ident(0, type=variable.type, name=variable.name, variable=variable))

    @staticmethod
    def step(node: Fold, condition: Range | None, body: Range) -> tuple[Range, Range, Range, Range]:
        """What the fold of a macro costs: to start, to ask whether to go on, one step, and the result."""
        if node.macro in ("all", "exists"):
            going_on = Range(2, 2) if node.macro == "all" else Range(3, 3)
            return _ZERO, going_on, Range(1, Range(1, 1).plus(body).most), ONE
        if node.macro == "exists_one":
            return _ZERO, _ZERO, body.plus(Range(1, 2)), Range(2, 2)
        if node.macro in ("filter", "map"):
            element = ONE if node.macro == "filter" else body
            step, start = sum_of([Range(2, 2), _LIST, element]), _LIST
        else:
            step, start = body.plus(Range(3, 3) if node.macro == "transformMap" else Range(2, 2)), _MAP
        if condition is not None:
            step = condition.plus(step.union(ONE))
        return start, _ZERO, step, ONE

    def bind(self, node: Bind) -> Range:
        value = self.cost(node.value)
        if node.variable is not None:
            self.locals[node.variable.slot] = _Local(
                self.declared(node.value), self.size(node.value), self.entry(node.value)
            )
        body = self.cost(node.body)
        if node.macro == "bind":
            self.copy(node, node.body)
            return sum_of([_LIST, value, body])
        # hasValue, and one of of() around the bound body, and none().
        return sum_of([value, ONE, Range(1, 1).plus(body).plus(_LIST).union(ONE)])


def sum_of(costs: list[Range]) -> Range:
    """All of them."""
    total = _ZERO
    for cost in costs:
        total = total.plus(cost)
    return total
