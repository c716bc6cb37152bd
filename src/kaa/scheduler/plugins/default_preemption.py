"""Pods that matter more may have the place of pods that matter less."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from kaa.base import ids
from kaa.base.clock import format_seconds, parse_seconds
from kaa.client.client import Client
from kaa.kinds.views.core import Pod
from kaa.meta.errors import StatusError
from kaa.meta.selectors import LabelSelector
from kaa.scheduler.arrays import Bools, np
from kaa.scheduler.framework import Code, Cycle, Nomination, Plugin, Status
from kaa.scheduler.messages import fit_message
from kaa.scheduler.snapshot import Placed, Snapshot

__all__ = ["Budget", "Budgets", "Candidate", "DefaultPreemption", "Record", "choose"]

_NO_VICTIMS = "No preemption victims found for incoming pod"
_NOT_HELPFUL = "Preemption is not helpful for scheduling"
_CANDIDATES_SHARE = 10
_CANDIDATES_MIN = 100


@dataclass(frozen=True)
class Budget:
    """A disruption budget, as far as preemption looks at it."""

    selector: LabelSelector
    allowed: int
    #: Names of pods whose disruption has been counted already.
    disrupted: frozenset[str] = frozenset()


Budgets = Callable[[str], Iterable[Budget]]
"""The disruption budgets of a namespace."""

Record = Callable[[Pod, str, str, str], None]
"""(about, type, reason, message): records an event."""


@dataclass(frozen=True)
class Candidate:
    """A node, and what would have to go from it. Victims are sorted, the one that matters most first."""

    node: str
    victims: tuple[Placed, ...]
    violations: int


class DefaultPreemption(Plugin):
    """PostFilter: finds the node where the least is lost, nominates it, and removes the victims.

    Disruption budgets are kept where possible, not always: priority goes first.
    """

    name = "DefaultPreemption"

    def __init__(
        self, client: Client | None = None, budgets: Budgets | None = None, record: Record | None = None
    ) -> None:
        self._client = client
        self._budgets: Budgets = budgets or (lambda namespace: ())
        self._record: Record = record or (lambda about, type_, reason, message: None)

    async def post_filter(self, cycle: Cycle, helpable: Bools) -> Nomination:
        """Looks at the nodes where fewer pods could help, beginning anywhere, until there are enough candidates."""
        snapshot, pod = cycle.snapshot, cycle.pod
        if pod.spec.preemption_policy == "Never":
            return _no("not eligible due to preemptionPolicy=Never.")
        if self._victims_are_going(snapshot, cycle):
            return _no("not eligible due to terminating pod on the nominated node.")
        size = snapshot.table.size
        nodes = [snapshot.table.names[int(row)] for row in np.flatnonzero(helpable)]
        if all(priority >= cycle.priority for priority in snapshot.priorities):
            reasons = {_NO_VICTIMS: len(nodes), _NOT_HELPFUL: size - len(nodes)}
            return _no(fit_message(size, "", reasons), node="")
        candidates, reasons = await self._candidates(cycle, nodes)
        if not candidates:
            reasons[_NOT_HELPFUL] = reasons.get(_NOT_HELPFUL, 0) + size - len(nodes)
            return _no(fit_message(size, "", reasons), node="")
        chosen = choose(candidates)
        return Nomination(Status(), chosen.node, lambda: self._remove(pod, chosen))

    def _victims_are_going(self, snapshot: Snapshot, cycle: Cycle) -> bool:
        nominated = cycle.pod.status.nominated_node_name
        return bool(nominated) and any(
            placed.pod.deleting and (placed.pod.spec.priority or 0) < cycle.priority
            for placed in snapshot.pods_on.get(nominated, {}).values()
        )

    async def _candidates(self, cycle: Cycle, nodes: Sequence[str]) -> tuple[list[Candidate], dict[str, int]]:
        enough = min(len(nodes), max(len(nodes) * _CANDIDATES_SHARE // 100, _CANDIDATES_MIN))
        start = ids.choice(range(len(nodes))) if nodes else 0
        found: list[Candidate] = []
        reasons: dict[str, int] = {}
        for node in (*nodes[start:], *nodes[:start]):
            if cycle.pause is not None:
                await cycle.pause()
            answer = self._on_node(cycle, node)
            if isinstance(answer, Candidate):
                found.append(answer)
                # Only when one keeps every budget is it right to stop early.
                if len(found) >= enough and any(not each.violations for each in found):
                    break
            else:
                for reason in answer:
                    reasons[reason] = reasons.get(reason, 0) + 1
        return found, reasons

    def _on_node(self, cycle: Cycle, node: str) -> Candidate | list[str]:
        """Takes every lesser pod away, then gives back as many as can stay; leaves the snapshot as it was."""
        snapshot = cycle.snapshot
        row = snapshot.table.rows.get(node)
        if row is None:
            return [_NOT_HELPFUL]  # gone while we waited
        lesser = [
            placed for placed in snapshot.pods_on.get(node, {}).values()
            if (placed.pod.spec.priority or 0) < cycle.priority
        ]  # fmt: skip
        if not lesser:
            return [_NO_VICTIMS]
        away = {placed.pod.uid: placed for placed in lesser}
        for placed in lesser:
            snapshot.remove_pod(placed.pod.uid)
        try:
            failures = cycle.failures(row)
            if failures:
                return failures
            lesser.sort(key=_importance)
            violating, keeping = self._split(lesser)
            victims, violations = [], 0
            for placed in (*violating, *keeping):
                _restore(snapshot, away.pop(placed.pod.uid))
                if cycle.failures(row):
                    snapshot.remove_pod(placed.pod.uid)
                    away[placed.pod.uid] = placed
                    victims.append(placed)
                    violations += any(placed is each for each in violating)
            if not victims:
                return [_NOT_HELPFUL]
            return Candidate(node, tuple(sorted(victims, key=_importance)), violations)
        finally:
            for placed in away.values():
                _restore(snapshot, placed)

    def _split(self, pods: Sequence[Placed]) -> tuple[list[Placed], list[Placed]]:
        """Those whose going would break a budget, and the others."""
        violating: list[Placed] = []
        keeping: list[Placed] = []
        left: dict[tuple[str, int], int] = {}
        for placed in pods:
            broken = False
            pod = placed.pod
            for number, budget in enumerate(self._budgets(pod.namespace)):
                if not pod.labels or budget.selector.empty or not budget.selector.matches(pod.labels):
                    continue
                if pod.name in budget.disrupted:
                    continue
                at = (pod.namespace, number)
                left[at] = left.get(at, budget.allowed) - 1
                broken = broken or left[at] < 0
            (violating if broken else keeping).append(placed)
        return violating, keeping

    async def _remove(self, pod: Pod, candidate: Candidate) -> None:
        """Says why, then deletes. Raises what the API raises, other than that a victim is gone."""
        assert self._client is not None
        for placed in candidate.victims:
            victim = placed.pod
            if victim.deleting:
                continue
            now = format_seconds(self._client.clock.now())
            condition = {
                "type": "DisruptionTarget", "status": "True", "reason": "PreemptionByScheduler",
                "message": f"{pod.spec.scheduler_name}: preempting to accommodate a higher priority pod",
                "lastTransitionTime": now,
            }  # fmt: skip
            try:
                await self._client.patch(
                    Pod.resource, victim.name, {"metadata": {"uid": victim.uid}, "status": {"conditions": [condition]}},
                    namespace=victim.namespace, kind="strategic", subresource="status",
                )  # fmt: skip
                await self._client.delete(Pod.resource, victim.name, namespace=victim.namespace, uid=victim.uid)
            except StatusError as error:
                if error.code not in (404, 409):
                    raise
                continue  # gone, or another pod of that name by now
            self._record(victim, "Normal", "Preempted", f"Preempted by pod {pod.uid} on node {candidate.node}")


def _no(message: str, node: str | None = None) -> Nomination:
    return Nomination(Status(Code.UNSCHEDULABLE, f"preemption: {message}"), node)


def _restore(snapshot: Snapshot, placed: Placed) -> None:
    if placed.assumed:
        again = snapshot.assume(placed.pod, placed.shape, placed.node)
        again.expires = placed.expires
    else:
        snapshot.set_pod(placed.pod)


def _started(placed: Placed) -> float:
    """When it began to run; those that have not begun are the youngest."""
    at = placed.pod.status.start_time
    return parse_seconds(at) if at else float("inf")


def _importance(placed: Placed) -> tuple[int, float]:
    """The smaller, the more a pod matters: by priority, then by how long it has run."""
    return -(placed.pod.spec.priority or 0), _started(placed)


def choose(candidates: Sequence[Candidate]) -> Candidate:
    """Where the least is lost: fewest broken budgets, then the least important top victim, then the smallest sum of
    priorities, then the fewest victims, then those that began last; the first of what is still equal."""

    def loss(candidate: Candidate) -> tuple[int, int, int, int, float]:
        priorities = [placed.pod.spec.priority or 0 for placed in candidate.victims]
        top = [each for each in candidate.victims if (each.pod.spec.priority or 0) == max(priorities)]
        return (
            candidate.violations,
            max(priorities),
            # Shifted to be positive, so that two pods of negative priority weigh more than one.
            sum(priority + 2**31 for priority in priorities),
            len(priorities),
            -min(_started(each) for each in top),
        )

    return min(candidates, key=loss)
