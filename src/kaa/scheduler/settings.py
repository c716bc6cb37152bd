"""What can be chosen about a scheduler."""

from dataclasses import dataclass, field

__all__ = ["SchedulerSettings"]


@dataclass(frozen=True)
class SchedulerSettings:
    """The settings of one scheduler process."""

    #: Pods with this `spec.schedulerName` are scheduled here; all others are only counted on their nodes.
    scheduler_name: str = "default-scheduler"
    #: Bindings, and other writes about pods, in flight at once. When all are out, decisions wait.
    writes_in_flight_max: int = 64
    #: A pod that did not fit waits this long before the second try, and twice as long each time, up to the maximum.
    backoff_seconds: float = 1.0
    backoff_seconds_max: float = 10.0
    #: A pod that nothing moved is tried again after this long all the same.
    unschedulable_seconds_max: float = 300.0
    #: How long a written binding may take to show in the watch before it is looked up.
    assumed_seconds_max: float = 60.0
    #: The loop gives way to other tasks after this long.
    turn_seconds_max: float = 0.004
    #: Weights of score plugins that differ from the default, by name.
    weights: dict[str, int] = field(default_factory=dict)
    #: Plugins left out, by name. A profile keeps exactly one that sorts the queue.
    disabled_plugins: tuple[str, ...] = ()
