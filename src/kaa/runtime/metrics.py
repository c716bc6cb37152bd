"""Counters of controllers and queues, and their rendering in the Prometheus text form."""

from bisect import bisect_left
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from kaa.runtime.queue import WorkQueue

__all__ = ["ControllerMetrics", "Histogram", "render"]

_BUCKETS = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)


class Histogram:
    """Counts by upper bound, in seconds."""

    __slots__ = ("counts", "sum")

    def __init__(self) -> None:
        self.counts = [0] * (len(_BUCKETS) + 1)
        self.sum = 0.0

    def observe(self, seconds: float) -> None:
        """One more."""
        self.counts[bisect_left(_BUCKETS, seconds)] += 1
        self.sum += seconds

    @property
    def count(self) -> int:
        """How many."""
        return sum(self.counts)


@dataclass
class ControllerMetrics:
    """What one controller did."""

    name: str
    queue: WorkQueue
    #: Reconciles by how they ended: success, requeue_after, conflict, error.
    results: dict[str, int] = field(default_factory=dict)
    seconds: Histogram = field(default_factory=Histogram)
    #: Seconds from the end of a reconcile until the caches showed what it wrote.
    gate_seconds: Histogram = field(default_factory=Histogram)

    def ended(self, result: str, seconds: float) -> None:
        """One reconcile is over."""
        self.results[result] = self.results.get(result, 0) + 1
        self.seconds.observe(seconds)

    @property
    def reconciles(self) -> int:
        """All of them."""
        return sum(self.results.values())

    @property
    def errors(self) -> int:
        """Those that raised; conflicts are not counted."""
        return self.results.get("error", 0)


def render(controllers: Iterable[ControllerMetrics]) -> str:
    """The text form, families together. Names are the original's where it has the metric."""
    controllers = list(controllers)
    lines: list[str] = []
    numbers: tuple[tuple[str, str, Callable[[ControllerMetrics], float]], ...] = (
        ("workqueue_depth", "gauge", lambda m: len(m.queue)),
        ("workqueue_adds_total", "counter", lambda m: m.queue.adds),
        ("workqueue_retries_total", "counter", lambda m: m.queue.retries),
        ("workqueue_unfinished_work", "gauge", lambda m: m.queue.working),
        ("workqueue_queue_duration_seconds_total", "counter", lambda m: round(m.queue.waited_seconds, 6)),
    )
    for family, kind, read in numbers:
        lines.append(f"# TYPE {family} {kind}")
        lines += [f'{family}{{name="{each.name}"}} {read(each)}' for each in controllers]
    lines.append("# TYPE controller_runtime_reconcile_total counter")
    for each in controllers:
        for result, count in sorted(each.results.items()):
            lines.append(f'controller_runtime_reconcile_total{{controller="{each.name}",result="{result}"}} {count}')
    histograms: tuple[tuple[str, Callable[[ControllerMetrics], Histogram]], ...] = (
        ("workqueue_work_duration_seconds", lambda m: m.seconds),
        ("kaa_write_gate_duration_seconds", lambda m: m.gate_seconds),
    )
    for family, pick in histograms:
        lines.append(f"# TYPE {family} histogram")
        for each in controllers:
            lines += _histogram(family, each.name, pick(each))
    return "\n".join(lines) + "\n"


def _histogram(family: str, name: str, histogram: Histogram) -> Iterable[str]:
    total = 0
    for bound, count in zip((*_BUCKETS, "+Inf"), histogram.counts, strict=True):
        total += count
        yield f'{family}_bucket{{name="{name}",le="{bound}"}} {total}'
    yield f'{family}_sum{{name="{name}"}} {histogram.sum:.6f}'
    yield f'{family}_count{{name="{name}"}} {total}'
