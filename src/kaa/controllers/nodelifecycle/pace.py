"""How fast nodes may be emptied. Pure: the caller says what time it is.

Nodes wait per zone. A zone that is well empties one node in ten seconds; one with many unhealthy nodes hardly any, for
then the network is the likelier culprit; and when every zone seems dead nothing is emptied at all.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from kaa.controllers.settings import NodeLifecycleSettings
from kaa.kinds.views.core import Node

__all__ = ["Pacer", "zone_of", "zone_rates"]


def zone_of(node: Node) -> str:
    """The failure domain of a node; "" when it names none."""
    labels = node.labels
    region = labels.get("topology.kubernetes.io/region", "")
    zone = labels.get("topology.kubernetes.io/zone", "")
    return f"{region}/{zone}" if region or zone else ""


def zone_rates(counts: Mapping[str, tuple[int, int]], settings: NodeLifecycleSettings) -> tuple[dict[str, float], bool]:
    """Nodes per second for each zone from its (ready, not ready) nodes, and whether every zone is down."""
    rates: dict[str, float] = {}
    down = 0
    for zone, (ready, not_ready) in counts.items():
        total = ready + not_ready
        if ready == 0 and not_ready > 0:
            down += 1
            rates[zone] = settings.eviction_rate
        elif not_ready > 2 and not_ready / total >= settings.unhealthy_zone_threshold:
            rates[zone] = settings.secondary_eviction_rate if total > settings.large_zone_nodes else 0.0
        else:
            rates[zone] = settings.eviction_rate
    if counts and down == len(counts):
        return dict.fromkeys(counts, 0.0), True
    return rates, False


@dataclass(slots=True)
class _Zone:
    rate: float
    tokens: float = 1.0
    at: float = 0.0
    waiting: dict[str, None] = field(default_factory=dict)


class Pacer:
    """Nodes that wait to be emptied, in order of arrival. Bounded by the nodes of the cluster."""

    def __init__(self, rate: float) -> None:
        self._first_rate = rate
        self._zones: dict[str, _Zone] = {}

    def add(self, zone: str, node: str, now: float) -> None:
        """Have a node wait its turn; adding one that waits does nothing."""
        held = self._zones.get(zone)
        if held is None:
            held = self._zones[zone] = _Zone(self._first_rate, at=now)
        held.waiting.setdefault(node)

    def remove(self, node: str) -> None:
        """It is well again, or gone."""
        for zone in self._zones.values():
            zone.waiting.pop(node, None)

    def set_rates(self, rates: Mapping[str, float], now: float) -> None:
        """Nodes per second from now on; zones that are not named are forgotten."""
        for name in [each for each in self._zones if each not in rates]:
            del self._zones[name]
        for name, rate in rates.items():
            zone = self._zones.get(name)
            if zone is None:
                self._zones[name] = _Zone(rate, at=now)
            else:
                _refill(zone, now)
                zone.rate = rate

    def take(self, now: float) -> list[str]:
        """The nodes whose turn it is."""
        taken: list[str] = []
        for zone in self._zones.values():
            _refill(zone, now)
            while zone.waiting and zone.rate > 0 and zone.tokens >= 1.0 - 1e-9:
                node = next(iter(zone.waiting))
                del zone.waiting[node]
                zone.tokens -= 1.0
                taken.append(node)
        return taken

    def next_seconds(self, now: float) -> float | None:
        """How long until a turn may come; None when nobody waits, or nobody's turn will come at these rates."""
        waits: list[float] = []
        for zone in self._zones.values():
            if zone.waiting and zone.rate > 0:
                _refill(zone, now)
                waits.append(max(0.0, 1.0 - zone.tokens) / zone.rate)
        return min(waits) if waits else None


def _refill(zone: _Zone, now: float) -> None:
    zone.tokens = min(1.0, zone.tokens + max(0.0, now - zone.at) * zone.rate)
    zone.at = now
