"""What the controllers share: throttling, discovery in both forms, metadata-only caches that come and go."""

from tests.controllers.world import world

from kaa.base.clock import Clock
from kaa.base.tasks import Scope
from kaa.client.informers import Informers
from kaa.controllers.shared.discovery import DiscoveryReader
from kaa.controllers.shared.throttle import Throttle
from kaa.kinds.views import ConfigMap
from kaa.kinds.views.base import metadata_view
from kaa.runtime import WorkQueue


class Steps(Clock):
    at = 100.0

    def monotonic(self) -> float:
        return self.at


class Recording(WorkQueue):
    def __init__(self) -> None:
        super().__init__(Steps())
        self.wishes: list[tuple[str, float]] = []

    def add(self, key: str) -> None:
        self.wishes.append((key, 0.0))

    def add_after(self, key: str, seconds: float) -> None:
        self.wishes.append((key, round(seconds, 3)))


def test_the_first_is_told_at_once_and_the_rest_at_the_end_of_the_window() -> None:
    queue, clock = Recording(), Steps()
    throttle = Throttle(queue, clock, 1.0)
    for at in (100.0, 100.2, 100.9, 101.5, 103.5):
        clock.at = at
        throttle.add("a")
    assert queue.wishes == [("a", 0.0), ("a", 0.8), ("a", 0.1), ("a", 0.5), ("a", 0.0)]


async def test_discovery_says_the_same_in_both_forms_and_costs_nothing_unchanged() -> None:
    async with world(nodes=()) as at:
        reader = DiscoveryReader(at.client)
        aggregated = await reader.read()
        assert await reader.read() is aggregated
        plain = DiscoveryReader(at.client)
        core, _ = await plain._get("/api")
        groups, _ = await plain._get("/apis")
        classic = await plain._classic(core, groups)
        assert set(classic.served) >= set(aggregated.served)
        assert classic.kinds.items() >= aggregated.kinds.items()
        deployments = aggregated.kind("apps/v1", "Deployment")
        assert deployments is not None
        assert (deployments.plural, deployments.namespaced) == ("deployments", True)


async def test_metadata_of_any_resource_can_be_followed_and_left() -> None:
    async with world(nodes=()) as at:
        view = metadata_view(ConfigMap.resource)
        assert metadata_view(ConfigMap.resource) is view
        informers = Informers(at.client)
        async with Scope("test") as scope:
            await informers.start(scope)
            informer = informers.of(view)
            await informer.wait_synced()
            body = {"metadata": {"name": "a", "namespace": "default", "labels": {"x": "y"}}, "data": {"k": "v"}}
            await at.client.create(ConfigMap.resource, body)
            held = await at.until(lambda: informer.lister.get("a", "default"))
            assert held.labels == {"x": "y"}
            assert not hasattr(held, "data")
            informers.drop(informer)
            assert informers.covering(ConfigMap.resource, "") is None
