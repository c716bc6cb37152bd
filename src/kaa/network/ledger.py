"""What a process has written into one table of rules, and the difference that a new model makes. Pure.

Both backends render a service port to a `Piece` (chains of its own, and elements of shared maps or chains); the ledger
remembers the pieces and says what changes. How a change is spelled is each backend's matter.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from kaa.network.services import Model, PortKey, ServicePort

__all__ = ["Change", "Element", "Ledger", "Piece", "changed_ports"]

Element = tuple[str, str]
"""(shared map, set or chain; key)."""


@dataclass(slots=True)
class Piece:
    """What one service port puts into one table."""

    chains: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """Chain -> its rules. Only this port has chains of these names."""
    sets: dict[str, str] = field(default_factory=dict)
    """Set -> its declaration. What is in a set stays there while the set does."""
    elements: dict[Element, str] = field(default_factory=dict)
    """Element -> where it leads (empty when it only has to be there). Several ports may claim one element."""


@dataclass(slots=True)
class Change:
    """What must be done, in groups; a chain may be removed only after whatever led to it."""

    sets_new: dict[str, str] = field(default_factory=dict)
    sets_gone: list[str] = field(default_factory=list)
    chains_new: dict[str, tuple[str, ...]] = field(default_factory=dict)
    chains_changed: dict[str, tuple[str, ...]] = field(default_factory=dict)
    chains_gone: list[str] = field(default_factory=list)
    dropped: dict[Element, str] = field(default_factory=dict)
    """With where they led."""
    added: dict[Element, str] = field(default_factory=dict)


class Ledger:
    """The pieces of every service port in one table."""

    def __init__(self, render: Callable[[ServicePort], Piece]) -> None:
        self._render = render
        self._pieces: dict[PortKey, Piece] = {}
        self._owners: dict[Element, dict[PortKey, str]] = {}

    def clear(self) -> None:
        """Nothing is known to be written."""
        self._pieces.clear()
        self._owners.clear()

    def names(self) -> tuple[set[str], set[str]]:
        """The chains and sets of all pieces."""
        chains = {name for piece in self._pieces.values() for name in piece.chains}
        return chains, {name for piece in self._pieces.values() for name in piece.sets}

    def change(self, model: Model, changed: Iterable[PortKey]) -> Change:
        """Take over `model` as far as the `changed` ports go; the difference from before."""
        made = Change()
        touched: dict[Element, str | None] = {}
        for key in changed:
            old = self._pieces.pop(key, None) or Piece()
            port = model.ports.get(key)
            new = self._render(port) if port is not None else Piece()
            if new.chains or new.elements:
                self._pieces[key] = new
            made.sets_new.update((n, text) for n, text in new.sets.items() if n not in old.sets)
            made.sets_gone += [n for n in old.sets if n not in new.sets]
            for name, rules in new.chains.items():
                before = old.chains.get(name)
                if before is None:
                    made.chains_new[name] = rules
                elif before != rules:
                    made.chains_changed[name] = rules
            made.chains_gone += [n for n in old.chains if n not in new.chains]
            for element in old.elements.keys() | new.elements.keys():
                if old.elements.get(element) == new.elements.get(element):
                    continue
                touched.setdefault(element, self._effective(element))
                owners = self._owners.setdefault(element, {})
                owners.pop(key, None)
                if element in new.elements:
                    owners[key] = new.elements[element]
        for element, leads in touched.items():
            after = self._effective(element)
            if after is None:
                self._owners.pop(element, None)
            if leads == after:
                continue
            if leads is not None:
                made.dropped[element] = leads
            if after is not None:
                made.added[element] = after
        return made

    def _effective(self, element: Element) -> str | None:
        # Two services may claim one external address and port: the first by name has it, until it goes.
        owners = self._owners.get(element)
        return owners[min(owners)] if owners else None


def changed_ports(before: Model, after: Model) -> list[PortKey]:
    """The service ports that differ between two models."""
    old, new = before.ports, after.ports
    found = [key for key, port in new.items() if (was := old.get(key)) is not port and was != port]
    return found + [key for key in old if key not in new]
