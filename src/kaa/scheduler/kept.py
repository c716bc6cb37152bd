"""What local plugins answered for one shape, kept up row by row.

A local plugin's answer (NODE or ROW reach) about a node holds until the node's row changes; so for a pod like the one
before, only the row that got that one is asked about again.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from kaa.scheduler.arrays import EVERY, Bools, Rows, np
from kaa.scheduler.framework import Code, Cycle, Narrowed, Plugin, Reach, Status
from kaa.scheduler.shapes import Shape
from kaa.scheduler.snapshot import Snapshot

__all__ = ["Kept", "KeptAnswers"]

_KEPT_MAX = 256
_INFEASIBLE = -1


class Kept:
    """The local plugins' answers for one shape."""

    __slots__ = (
        "filters", "layout", "mask", "narrowed", "narrowed_by", "node_mask", "plain", "position", "raws", "refusal",
        "shape", "total",
    )  # fmt: skip

    def __init__(self, shape: Shape) -> None:
        self.shape = shape
        self.layout = -1
        self.position = -1
        self.refusal: tuple[str, Status] | None = None
        self.narrowed: Any = None
        self.narrowed_by: tuple[str, ...] = ()
        self.filters: list[Plugin] = []
        self.node_mask: Any = None
        self.mask: Any = None
        #: Weighted sum of the scores that need no normalizing; -1 where the pod does not fit.
        self.total: Any = None
        self.plain: list[tuple[Plugin, int]] = []
        self.raws: list[list[Any]] = []  # plugin, weight, raw scores, whether any is not zero


class KeptAnswers:
    """The answers for the shapes asked about lately; the one unused the longest goes first."""

    def __init__(
        self,
        snapshot: Snapshot,
        pre_filters: Sequence[Plugin],
        filters: Sequence[Plugin],
        scorers: Sequence[tuple[Plugin, int]],
    ) -> None:
        self.snapshot = snapshot
        self._pre_filters = [each for each in pre_filters if each.reach is not Reach.CLUSTER]
        self._filters = [each for each in filters if each.reach is not Reach.CLUSTER]
        self._scorers = scorers
        self._kept: dict[int, Kept] = {}

    def of(self, cycle: Cycle) -> Kept:
        """The answers for the cycle's shape, as of now."""
        table = self.snapshot.table
        number = id(cycle.shape)
        kept = self._kept.pop(number, None)
        if kept is None:
            while len(self._kept) >= _KEPT_MAX:
                del self._kept[next(iter(self._kept))]
            kept = Kept(cycle.shape)
        self._kept[number] = kept  # the last one used stands last
        if kept.layout == table.layout:
            if kept.position == table.position:
                return kept
            changed = table.changed_since(kept.position)
            if changed is not None and len(changed[0]) * 4 <= table.size:
                self._refresh(cycle, kept, *changed)
                kept.position = table.position
                return kept
        self._build(cycle, kept)
        kept.layout, kept.position = table.layout, table.position
        return kept

    def _build(self, cycle: Cycle, kept: Kept) -> None:
        kept.refusal, kept.narrowed, kept.narrowed_by = None, None, ()
        skipped = set()
        for plugin in self._pre_filters:
            answer = plugin.pre_filter(cycle)
            if isinstance(answer, Narrowed):
                kept.narrowed = answer.rows if kept.narrowed is None else np.intersect1d(kept.narrowed, answer.rows)
                kept.narrowed_by = (*kept.narrowed_by, plugin.name)
            elif answer.code is Code.SKIP:
                skipped.add(plugin.name)
            elif not answer.ok:
                kept.refusal = plugin.name, answer
                return
        kept.filters = [p for p in self._filters if p.name not in skipped]
        kept.plain, kept.raws = [], []
        if kept.narrowed is not None:
            return
        size = self.snapshot.table.size
        kept.node_mask = self._masks(cycle, kept, Reach.NODE, EVERY, np.ones(size, np.bool_))
        kept.mask = self._masks(cycle, kept, Reach.ROW, EVERY, kept.node_mask.copy())
        for plugin, weight in self._scorers:
            if plugin.pre_score(cycle, EVERY).code is Code.SKIP:
                continue
            if plugin.has("normalize"):
                raw = np.array(plugin.score(cycle, EVERY))
                kept.raws.append([plugin, weight, raw, bool(raw.any())])
            else:
                kept.plain.append((plugin, weight))
        kept.total = self._totals(cycle, kept, EVERY, kept.mask)

    def _refresh(self, cycle: Cycle, kept: Kept, rows: Any, nodes_changed: bool) -> None:
        if kept.refusal is not None or kept.narrowed is not None:
            return
        if nodes_changed:
            kept.node_mask[rows] = self._masks(cycle, kept, Reach.NODE, rows, np.ones(len(rows), np.bool_))
            for entry in kept.raws:
                entry[2][rows] = entry[0].score(cycle, rows)
                entry[3] = bool(entry[2].any())
        mask = self._masks(cycle, kept, Reach.ROW, rows, kept.node_mask[rows])
        kept.mask[rows] = mask
        kept.total[rows] = self._totals(cycle, kept, rows, mask)

    def _masks(self, cycle: Cycle, kept: Kept, reach: Reach, rows: Rows, mask: Bools) -> Bools:
        for plugin in kept.filters:
            if plugin.reach is reach:
                mask &= plugin.filter(cycle, rows)
        return mask

    def _totals(self, cycle: Cycle, kept: Kept, rows: Rows, mask: Bools) -> Any:
        total: Any = 0
        for plugin, weight in kept.plain:
            found = plugin.score(cycle, rows)
            total = total + (found if weight == 1 else weight * found)
        return np.where(mask, total, _INFEASIBLE)
