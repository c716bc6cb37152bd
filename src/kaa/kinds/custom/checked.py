"""Everything a custom resource is checked for when it is written, in the original's order."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from kaa.kinds.custom import embedded, expressions, lists, paths
from kaa.kinds.custom.schema import MISSING, Node
from kaa.kinds.custom.values import compile_checker, problems_of, under
from kaa.meta.problems import Path, Problem, invalid

__all__ = ["Checked", "Scale"]

Json = dict[str, Any]

#: After these, rules are not run: they may count on a value being as its schema says.
_BLOCKING = frozenset({
    "FieldValueNotSupported", "FieldValueRequired", "FieldValueTooLong", "FieldValueTooMany", "FieldValueTypeInvalid",
})  # fmt: skip
_UNCHECKED = ("some validation rules were not checked because the object was invalid; correct the existing errors to "
              "complete validation")  # fmt: skip
_INT32_MAX = 2**31 - 1
_GO_TYPES = {bool: "bool", int: "int64", float: "float64", str: "string", dict: "map[string]interface {}",
             list: "[]interface {}"}  # fmt: skip


class Scale:
    """Where the scale subresource of a custom kind finds its numbers."""

    def __init__(self, raw: Json) -> None:
        self.replicas = paths.dotted(raw["specReplicasPath"])
        self.status_replicas = paths.dotted(raw["statusReplicasPath"])
        #: None where the kind offers no selector.
        self.selector = paths.dotted(raw["labelSelectorPath"]) if raw.get("labelSelectorPath") else None

    def problems(self, obj: Json, *, spec: bool) -> Iterator[Problem]:
        """What of the numbers is none, in the status and, where asked for, in the spec."""
        for fields in (*((self.replicas,) if spec else ()), self.status_replicas):
            yield from _count_problems(obj, fields)
        if self.selector is not None:
            found = paths.find_dotted(obj, self.selector)
            if found is not None and not isinstance(found, str):
                yield invalid(_dotted(self.selector), "", _mistyped(self.selector, found, "string"))


def _count_problems(obj: Json, fields: tuple[str, ...]) -> Iterator[Problem]:
    found = paths.find_dotted(obj, fields)
    if found is None:
        return
    path = _dotted(fields)
    if type(found) is not int:
        yield invalid(path, 0, _mistyped(fields, found, "int64"))
    elif found < 0:
        yield invalid(path, found, "should be a non-negative integer")
    elif found > _INT32_MAX:
        yield invalid(path, found, f"should be less than or equal to {_INT32_MAX}")


def _dotted(fields: tuple[str, ...]) -> Path:
    return Path("." + ".".join(fields))  # shown with its dot in front, as the definition has it


def _mistyped(fields: tuple[str, ...], found: Any, wanted: str) -> str:
    return f".{'.'.join(fields)} accessor error: {found} is of the type {_GO_TYPES[type(found)]}, expected {wanted}"


class Checked:
    """The checks of one version of a custom kind."""

    def __init__(self, raw: Json | None, root: Node, scale: Scale | None) -> None:
        self._root = root
        self._scale = scale
        self._checker = compile_checker(root.raw)
        status = (root.raw.get("properties") or {}).get("status")
        self._status = compile_checker(status) if status is not None else None
        self._rules = expressions.compile_rules(root.raw, root=True) if raw is not None else None
        self._embeds = embedded.has_embedded(root)

    def whole(self, new: Json, old: Json | None) -> Iterator[Problem]:
        """Every problem of an object that is created, or that takes the place of `old`."""
        was = MISSING if old is None else {**old, "apiVersion": new["apiVersion"]}
        found = problems_of(self._checker, new, was, Path())
        if self._scale is not None:
            found += self._scale.problems(new, spec=True)
        yield from self._rest(found, new, old)

    def status(self, new: Json, old: Json) -> Iterator[Problem]:
        """Every problem of a status that is written alone."""
        found: list[Problem] = []
        if self._status is not None and "status" in new:
            problems = problems_of(self._status, new["status"], old.get("status", MISSING), Path())
            found += under(Path() / "status", problems)
        if self._scale is not None:
            found += self._scale.problems(new, spec=False)
        yield from self._rest(found, new, old)

    def _rest(self, found: list[Problem], new: Json, old: Json | None) -> Iterator[Problem]:
        if self._embeds:
            found += embedded.validate(self._root, new, Path())
        if self._root.has_lists and (old is None or next(lists.doubled(self._root, old, Path()), None) is None):
            found += lists.doubled(self._root, new, Path())
        yield from found
        if self._rules is None:
            return
        if any(each.reason in _BLOCKING for each in found):
            yield invalid(Path(), None, _UNCHECKED)
        else:
            yield from expressions.evaluate(self._rules, new, MISSING if old is None else old)
