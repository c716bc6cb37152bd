"""A scheduler's decisions without an API: nodes and pods in, a decision or a refusal out."""

from tests.scheduler.builders import NodeBuilder, PodBuilder

from kaa.meta import selectors
from kaa.scheduler.registry import WEIGHTS, default_plugins
from kaa.scheduler.runner import Decision, Refusal, Runner
from kaa.scheduler.snapshot import Snapshot


class World:
    def __init__(
        self, *objects: NodeBuilder | PodBuilder, selector: selectors.LabelSelector | None = None, **more
    ) -> None:
        self.snapshot = Snapshot()
        plugins = default_plugins(selector_of=lambda shape: selector or selectors.EVERYTHING, **more)
        self.runner = Runner(self.snapshot, plugins, WEIGHTS)
        for each in objects:
            self.put(each)

    def put(self, each: NodeBuilder | PodBuilder):
        if isinstance(each, NodeBuilder):
            return self.snapshot.set_node(each.view())
        return self.snapshot.set_pod(each.view())

    def decide(self, pod: PodBuilder) -> Decision | Refusal:
        return self.runner.decide(self.runner.cycle(pod.view()))

    def node(self, pod: PodBuilder) -> str:
        result = self.decide(pod)
        assert isinstance(result, Decision), result.message
        return result.node

    def bind(self, pod: PodBuilder) -> str:
        node = self.node(pod)
        view = pod.view()
        self.snapshot.assume(view, self.snapshot.shapes.of(view), node)
        return node

    async def refused(self, pod: PodBuilder) -> Refusal:
        cycle = self.runner.cycle(pod.view())
        result = self.runner.decide(cycle)
        assert isinstance(result, Refusal), result
        if result.nodes:
            await self.runner.after_refusal(cycle, result)
        return result

    async def message(self, pod: PodBuilder) -> str:
        return (await self.refused(pod)).message

    def passing(self, pod: PodBuilder) -> set[str]:
        """The nodes that could run the pod."""
        cycle = self.runner.cycle(pod.view())
        table = self.snapshot.table
        return {name for name, row in table.rows.items() if not cycle.failures(row)}

    def scores(self, plugin: str, pod: PodBuilder) -> dict[str, int]:
        """One plugin's normalized scores over all nodes; empty when it has nothing to say."""
        from kaa.scheduler.arrays import EVERY
        from kaa.scheduler.framework import Code

        cycle = self.runner.cycle(pod.view())
        one = self.runner.by_name[plugin]
        if one.pre_score(cycle, EVERY).code is Code.SKIP:
            return {}
        found = one.score(cycle, EVERY)
        if one.has("normalize"):
            found = one.normalize(cycle, found, EVERY)
        return {name: int(found[row]) for name, row in self.snapshot.table.rows.items()}
