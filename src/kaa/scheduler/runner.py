"""Runs the moments of a profile's plugins for one pod."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from kaa.base import ids
from kaa.kinds.views.core import Pod
from kaa.scheduler.arrays import EVERY, Bools, Rows, np
from kaa.scheduler.framework import Code, Cycle, Narrowed, Nomination, Plugin, Reach, Status
from kaa.scheduler.kept import Kept, KeptAnswers
from kaa.scheduler.messages import NO_NODES, fit_message
from kaa.scheduler.nominations import Nominations
from kaa.scheduler.snapshot import Snapshot

__all__ = ["Decision", "Refusal", "Runner"]

_NOMINATED = "nominated"


@dataclass(frozen=True, slots=True)
class Decision:
    """Where a pod goes. `score` is 0 when there was nothing to choose."""

    node: str
    score: int
    feasible: int


@dataclass(slots=True)
class Refusal:
    """No node for now: who said so, and what users are told."""

    nodes: int
    pre_filter: str = ""
    reasons: dict[str, int] = field(default_factory=dict)
    #: Names of the plugins that refused: their hints decide when to try again. None named: any change may help.
    plugins: frozenset[str] = frozenset()
    #: Where fewer pods could help.
    helpable: Any = None
    post_filter: str = ""

    @property
    def message(self) -> str:
        """For the condition and the event."""
        if not self.nodes:
            return NO_NODES
        return fit_message(self.nodes, self.pre_filter, self.reasons, self.post_filter)


class Runner:
    """One profile over one snapshot."""

    def __init__(self, snapshot: Snapshot, plugins: Sequence[Plugin], weights: Mapping[str, int]) -> None:
        self.snapshot = snapshot
        self.plugins = list(plugins)
        self.nominations = Nominations()
        sorters = self._with("sort_key")
        if len(sorters) != 1:
            raise ValueError(f"a profile needs exactly one plugin that sorts the queue, not {len(sorters)}")
        self.sort_key = sorters[0].sort_key
        self.pre_enqueue = self._with("pre_enqueue")
        self.post_filters = self._with("post_filter")
        self.by_name = {each.name: each for each in self.plugins}
        self._pre_filters = self._with("pre_filter")
        self._filters = self._with("filter")
        scorers = [(each, weights.get(each.name, 1)) for each in self._with("score")]
        self._local_scorers = [(p, w) for p, w in scorers if p.reach is not Reach.CLUSTER and w]
        self._cluster_scorers = [(p, w) for p, w in scorers if p.reach is Reach.CLUSTER and w]
        self._samplers = [(each, weights.get(each.name, 1)) for each in self.plugins if each.sample]
        self._reservers = [p for p in self.plugins if p.has("reserve") or p.has("permit") or p.has("unreserve")]
        self._pre_binders, self._binders = self._with("pre_bind"), self._with("bind")
        self._post_binders = self._with("post_bind")
        self._kept = KeptAnswers(snapshot, self._pre_filters, self._filters, self._local_scorers)

    def _with(self, moment: str) -> list[Plugin]:
        return [each for each in self.plugins if each.has(moment)]

    def admits(self, pod: Pod) -> tuple[str, Status] | None:
        """PreEnqueue: the plugin that keeps the pod out of the queue, or None."""
        for plugin in self.pre_enqueue:
            status = plugin.pre_enqueue(pod)
            if not status.ok:
                return plugin.name, status
        return None

    # --- deciding ----------------------------------------------------------------------------------------------------

    def cycle(self, pod: Pod) -> Cycle:
        """A new cycle for a pod. Raises SelectorError later, from a plugin, when its selectors cannot be read."""
        cycle = Cycle(pod, self.snapshot.shapes.of(pod), self.snapshot)
        cycle.failures = lambda row: self._failures(cycle, row)
        return cycle

    def decide(self, cycle: Cycle) -> Decision | Refusal:
        """The best node, ties broken by chance; or why there is none. Does not touch the snapshot in the end."""
        size = self.snapshot.table.size
        if not size:
            return Refusal(0)
        kept = self._kept.of(cycle)
        if kept.refusal is not None:
            return self._refused_everywhere(*kept.refusal)
        filters, refusal, rows = self._pre_filter(cycle, kept.narrowed)
        if refusal is not None:
            return refusal
        if rows is not None:
            return self._decide_among(cycle, kept, filters, rows)
        mask = kept.mask
        for plugin in filters:
            mask = mask & plugin.filter(cycle, EVERY)
        if self.nominations:
            mask = self._respect_nominations(cycle, mask)
            nominated = self.snapshot.table.rows.get(self.nominations.of(cycle.pod.uid), -1)
            if nominated >= 0 and mask[nominated]:
                return Decision(self.snapshot.table.names[nominated], 0, 1)
        if self._samplers:
            mask = self._sampled(cycle, mask)
        scorers = self._cluster_scorers
        total = kept.total
        if mask is kept.mask and not any(raw[3] for raw in kept.raws) and not self._samplers:
            # The usual case: cluster plugins score over everything there is, or have nothing to say.
            feasible: Rows | None = None
            count = int(np.count_nonzero(mask))
        else:
            count = int(np.count_nonzero(mask))
            feasible = EVERY if count == size else np.flatnonzero(mask)
        if not count:
            return self._explain(cycle, kept, filters, EVERY, size)
        if count == 1:
            return Decision(self.snapshot.table.names[int(np.argmax(mask))], 0, 1)
        if feasible is None:
            feasible = EVERY if count == size else np.flatnonzero(mask)
        scores = total if feasible is EVERY else total[feasible]
        base = 0
        for plugin, weight, raw, nonzero in kept.raws:
            if nonzero:
                scores = scores + weight * plugin.normalize(cycle, raw[feasible], feasible)
            else:
                base += weight * int(plugin.normalize(cycle, raw[:1], slice(0, 1))[0])
        scores = self._add_cluster_scores(cycle, scorers, scores, feasible)
        return self._pick(scores, feasible, base, count)

    def _add_cluster_scores(self, cycle: Cycle, scorers: Sequence[tuple[Plugin, int]], scores: Any, rows: Rows) -> Any:
        for plugin, weight in scorers:
            if plugin.pre_score(cycle, rows).code is Code.SKIP:
                continue
            found = plugin.score(cycle, rows)
            if plugin.has("normalize"):
                found = plugin.normalize(cycle, found, rows)
            scores = scores + weight * found
        for plugin, weight in self._samplers:
            numbers: Any = range(len(scores)) if rows is EVERY else rows
            scores = scores + weight * np.fromiter((plugin.score_one(cycle, int(n)) for n in numbers), np.int64)
        return scores

    def _pick(self, scores: Any, rows: Rows, base: int, count: int) -> Decision:
        best = scores.max()
        ties = np.flatnonzero(scores == best)
        at = int(ties[0]) if len(ties) == 1 else int(ties[ids.choice(range(len(ties)))])
        row = at if rows is EVERY else int(rows[at])  # type: ignore[index]
        return Decision(self.snapshot.table.names[row], int(best) + base, count)

    def _decide_among(self, cycle: Cycle, kept: Kept, filters: list[Plugin], rows: Any) -> Decision | Refusal:
        """Few rows: nothing is kept, everything is asked about these."""
        mask = np.ones(len(rows), np.bool_)
        for plugin in (*kept.filters, *filters):
            mask &= plugin.filter(cycle, rows)
        feasible = rows[mask]
        if self.nominations:
            every = np.zeros(self.snapshot.table.size, np.bool_)
            every[feasible] = True
            feasible = np.flatnonzero(self._respect_nominations(cycle, every))
        if not len(feasible):
            return self._explain(cycle, kept, filters, rows, self.snapshot.table.size)
        if len(feasible) == 1:
            return Decision(self.snapshot.table.names[int(feasible[0])], 0, 1)
        scores = np.zeros(len(feasible), np.int64)
        for plugin, weight in self._local_scorers:
            if plugin.pre_score(cycle, feasible).code is Code.SKIP:
                continue
            found = plugin.score(cycle, feasible)
            scores += weight * (plugin.normalize(cycle, found, feasible) if plugin.has("normalize") else found)
        scores = self._add_cluster_scores(cycle, self._cluster_scorers, scores, feasible)
        return self._pick(scores, feasible, 0, len(feasible))

    def _pre_filter(self, cycle: Cycle, narrowed: Any) -> tuple[list[Plugin], Refusal | None, Any]:
        """The cluster plugins that have something to filter."""
        skipped = set()
        for plugin in self._pre_filters:
            if plugin.reach is not Reach.CLUSTER:
                continue
            answer = plugin.pre_filter(cycle)
            if isinstance(answer, Narrowed):
                narrowed = answer.rows if narrowed is None else np.intersect1d(narrowed, answer.rows)
            elif answer.code is Code.SKIP:
                skipped.add(plugin.name)
            elif not answer.ok:
                return [], self._refused_everywhere(plugin.name, answer), None
        active = [p for p in self._filters if p.reach is Reach.CLUSTER and p.name not in skipped]
        return active, None, narrowed

    # --- nominations and dry runs ------------------------------------------------------------------------------------

    def _respect_nominations(self, cycle: Cycle, mask: Bools) -> Bools:
        """Without the nodes where the pod would take room from one that matters at least as much."""
        snapshot = self.snapshot
        for node in self.nominations.nodes:
            row = snapshot.table.rows.get(node)
            if row is None or not mask[row]:
                continue
            others = [
                pod for pod in self.nominations.on(node)
                if pod.uid != cycle.pod.uid and pod.uid not in snapshot.pods
                and (pod.spec.priority or 0) >= cycle.priority
            ]  # fmt: skip
            if not others:
                continue
            for pod in others:
                snapshot.assume(pod, snapshot.shapes.of(pod), node)
            failures = self._failures(cycle, row)
            for pod in others:
                snapshot.forget(pod.uid)
            if failures:
                mask = mask.copy()
                mask[row] = False
                cycle.data.setdefault(_NOMINATED, []).extend(failures)
        return mask

    def _failures(self, cycle: Cycle, row: int) -> list[str]:
        """Why the pod does not pass on a row, with everything as it is now; empty when it does."""
        rows = np.array([row])
        active = []
        for plugin in self._filters:
            answer = plugin.pre_filter(cycle) if plugin.has("pre_filter") else None
            if isinstance(answer, Status) and answer.code is Code.SKIP:
                continue
            active.append(plugin)
        for plugin in active:
            if not plugin.filter(cycle, rows)[0]:
                return [why.message for why in plugin.explain(cycle, rows) if why.where[0]]
        return []

    def _sampled(self, cycle: Cycle, mask: Bools) -> Bools:
        """Candidates in random order, one by one, until enough have passed."""
        enough = max(plugin.sample for plugin, _ in self._samplers)
        passed = np.zeros(len(mask), np.bool_)
        found = 0
        for row in ids.shuffled(np.flatnonzero(mask).tolist()):
            if all(plugin.filter_one(cycle, row).ok for plugin, _ in self._samplers):
                passed[row] = True
                found += 1
                if found >= enough:
                    break
        return passed

    # --- refusing ----------------------------------------------------------------------------------------------------

    def _refused_everywhere(self, plugin: str, status: Status) -> Refusal:
        size = self.snapshot.table.size
        if status.code is Code.ERROR:
            raise RuntimeError(f"plugin {plugin}: {status.message}")
        helpable = np.full(size, status.code is Code.UNSCHEDULABLE)
        return Refusal(size, status.message, {}, frozenset((plugin,)), helpable)

    def _explain(self, cycle: Cycle, kept: Kept, filters: list[Plugin], rows: Rows, size: int) -> Refusal:
        """The first plugin that fails on a node gives its reasons; all of them are counted."""
        active = {each.name for each in (*kept.filters, *filters)}
        asked = size if rows is EVERY else len(rows)  # type: ignore[arg-type]
        open_ = np.ones(asked, np.bool_)
        unhelpable = np.zeros(asked, np.bool_)
        refusal = Refusal(size)
        plugins = set()
        for plugin in self._filters:
            if plugin.name not in active or not open_.any():
                continue
            failing = open_ & ~plugin.filter(cycle, rows)
            if not failing.any():
                continue
            plugins.add(plugin.name)
            for why in plugin.explain(cycle, rows):
                where = why.where & failing
                count = int(np.count_nonzero(where))
                if count:
                    refusal.reasons[why.message] = refusal.reasons.get(why.message, 0) + count
                    if why.code is Code.UNRESOLVABLE:
                        unhelpable |= where
            open_ &= ~failing
        if rows is not EVERY and asked < size:
            message = f"node(s) didn't satisfy plugin(s) [{' '.join(sorted(kept.narrowed_by))}]"
            refusal.reasons[message] = size - asked
            plugins.update(kept.narrowed_by)
        helpable = np.zeros(size, np.bool_)
        # What is still open failed for the sake of a nominated pod; whoever asks with a higher priority may help that.
        helpable[rows] = ~unhelpable
        for reason in cycle.data.get(_NOMINATED, ()):
            refusal.reasons[reason] = refusal.reasons.get(reason, 0) + 1
        refusal.helpable = helpable
        refusal.plugins = frozenset(plugins)
        return refusal

    async def after_refusal(self, cycle: Cycle, refusal: Refusal) -> Nomination:
        """PostFilter: adds what the plugins say to the refusal's message; the first that succeeds nominates."""
        said = []
        result = Nomination(Status(Code.UNSCHEDULABLE))
        for plugin in self.post_filters:
            nomination = await plugin.post_filter(cycle, refusal.helpable)
            if nomination.status.message:
                said.append(nomination.status.message)
            if nomination.node is not None:
                result = nomination
            if nomination.status.ok:
                return nomination
        refusal.post_filter = ", ".join(said)
        return result

    # --- binding -----------------------------------------------------------------------------------------------------

    def reserve(self, cycle: Cycle, node: str) -> tuple[str, Status] | None:
        """Reserve and Permit: the plugin that refuses, or None. A refusal has been undone already."""
        for plugin in self._reservers:
            for moment in (plugin.reserve, plugin.permit):
                status = moment(cycle, node)
                if status.code is Code.WAIT:
                    status = Status(Code.ERROR, "Permit answered Wait, which this release does not serve")
                if not status.ok:
                    self.unreserve(cycle, node)
                    return plugin.name, status
        return None

    def unreserve(self, cycle: Cycle, node: str) -> None:
        """Undo what was reserved, the last first."""
        for plugin in reversed(self._reservers):
            plugin.unreserve(cycle, node)

    async def bind(self, cycle: Cycle, node: str) -> None:
        """PreBind, Bind, PostBind. Raises RuntimeError for a refusal, and what the API raises."""
        for plugin in self._pre_binders:
            status = await plugin.pre_bind(cycle, node)
            if not status.ok and status.code is not Code.SKIP:
                raise RuntimeError(f"running PreBind plugin {plugin.name}: {status.message}")
        for plugin in self._binders:
            status = await plugin.bind(cycle, node)
            if status.code is Code.SKIP:
                continue
            if not status.ok:
                raise RuntimeError(f"running Bind plugin {plugin.name}: {status.message}")
            break
        for plugin in self._post_binders:
            plugin.post_bind(cycle, node)
