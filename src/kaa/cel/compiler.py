"""A checked tree into closures: one call for each node, with everything that can be decided early decided here.

A closure takes the frame ([cost, limit, work left, variables...]) and answers with a value. Costs are counted as the
original counts them (`kaa.cel.cost`); loops, and calls that can be long, stop as soon as the limit is passed, the rest
at the end, which no one can tell apart: between them lies no more than the expression is long.
"""

from .calls import compile_call, compile_logic
from .fields import compile_ident, compile_select
from .folds import compile_fold
from .makers import compile_bind, compile_list, compile_map, compile_object
from .running import Run, constant_run, literal_value
from .syntax import Bind, Call, Fold, Ident, ListNode, Literal, Logic, MapNode, Node, ObjectNode, Select

__all__ = ["compile_node"]


def compile_node(node: Node) -> Run:
    """The closure of a node and all below."""
    match node:
        case Literal():
            return constant_run(literal_value(node))
        case Ident():
            return compile_ident(node)
        case Select():
            return compile_select(node, compile_node)
        case Call():
            return compile_call(node, compile_node)
        case Logic():
            return compile_logic(node, compile_node)
        case ListNode():
            return compile_list(node, compile_node)
        case MapNode():
            return compile_map(node, compile_node)
        case ObjectNode():
            return compile_object(node, compile_node)
        case Fold():
            return compile_fold(node, compile_node)
        case Bind():
            return compile_bind(node, compile_node)
    raise TypeError(node)
