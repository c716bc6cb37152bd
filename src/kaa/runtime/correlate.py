"""Which events to write, which to count, which to drop. Pure: the caller says what time it is.

The rules and numbers are those of the original's event correlator: an event equal to an earlier one raises that one's
count; from the tenth distinct message of one reason for one object within ten minutes on they are written as one
"(combined from similar events)"; and one object's events of one source are cut at a burst of 25, then one in 5 minutes.
"""

from collections import OrderedDict
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from kaa.base.clock import format_seconds

__all__ = ["COMBINED", "Correlator", "Occurrence", "Written"]

Json = dict[str, Any]
T = TypeVar("T")

COMBINED = "(combined from similar events): "
REMEMBERED_MAX = 4096
DISTINCT_MESSAGES_MAX = 10
SIMILAR_SECONDS = 600.0
BURST = 25
REFILL_SECONDS = 300.0


@dataclass(frozen=True, slots=True)
class Occurrence:
    """Something that happened to an object, before it is known how it will be written."""

    component: str
    host: str
    type: str
    reason: str
    message: str
    #: (apiVersion, kind, namespace, name, uid, resourceVersion, fieldPath)
    about: tuple[str, str, str, str, str, str, str]
    at: float
    annotations: tuple[tuple[str, str], ...] = ()

    @property
    def namespace(self) -> str:
        """Where the event is written: the object's namespace, "default" for what has none."""
        return self.about[2] or "default"


@dataclass(slots=True)
class Written:
    """An event as it is to be: created when `count` is 1 or nothing is known of it, else patched."""

    name: str
    namespace: str
    count: int
    first_at: float
    last_at: float
    message: str
    key: tuple[Any, ...]
    occurrence: Occurrence

    def to_json(self) -> Json:
        """The whole event, in core/v1."""
        what = self.occurrence
        fields = ("apiVersion", "kind", "namespace", "name", "uid", "resourceVersion", "fieldPath")
        metadata: Json = {"name": self.name, "namespace": self.namespace}
        if what.annotations:
            metadata["annotations"] = dict(what.annotations)
        source: Json = {"component": what.component}
        if what.host:
            source["host"] = what.host
        return {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": metadata,
            "involvedObject": {field: value for field, value in zip(fields, what.about, strict=True) if value},
            "reason": what.reason,
            "message": self.message,
            "source": source,
            "firstTimestamp": format_seconds(self.first_at),
            "lastTimestamp": format_seconds(self.last_at),
            "count": self.count,
            "type": what.type,
            "eventTime": None,
            "reportingComponent": what.component,
            "reportingInstance": what.host,
        }

    def to_patch(self) -> Json:
        """What a repeat changes."""
        return {"count": self.count, "message": self.message, "lastTimestamp": format_seconds(self.last_at)}


class _Remembered(Generic[T]):
    """The last so many keys; the one not used for longest goes first."""

    def __init__(self, count_max: int = REMEMBERED_MAX) -> None:
        self._held: OrderedDict[tuple[Any, ...], T] = OrderedDict()
        self._count_max = count_max

    def get(self, key: tuple[Any, ...]) -> T | None:
        value = self._held.get(key)
        if value is not None:
            self._held.move_to_end(key)
        return value

    def put(self, key: tuple[Any, ...], value: T) -> None:
        self._held[key] = value
        self._held.move_to_end(key)
        if len(self._held) > self._count_max:
            self._held.popitem(last=False)

    def drop(self, key: tuple[Any, ...]) -> None:
        self._held.pop(key, None)


@dataclass(slots=True)
class _Similar:
    messages: set[str]
    last_at: float


@dataclass(slots=True)
class _Bucket:
    tokens: float
    at: float


class Correlator:
    """Decides occurrence by occurrence. Remembers 4096 keys of each sort."""

    def __init__(self) -> None:
        self._similar: _Remembered[_Similar] = _Remembered()
        self._seen: _Remembered[Written] = _Remembered()
        self._buckets: _Remembered[_Bucket] = _Remembered()
        self._last_nanoseconds = 0

    def take(self, what: Occurrence) -> Written | None:
        """How to write it; None when the object has had too many events lately."""
        source = (what.component, what.host)
        about = what.about
        similar_key = (*source, *about[:5], what.type, what.reason)
        # The revision is left out: a repeat is one, even when the object has changed in the meantime.
        message = what.message
        key: tuple[Any, ...] = (*source, *about[:5], about[6], what.type, what.reason, what.message)
        similar = self._similar.get(similar_key)
        if similar is None or what.at - similar.last_at > SIMILAR_SECONDS:
            similar = _Similar(set(), what.at)
        similar.messages.add(what.message)
        similar.last_at = what.at
        self._similar.put(similar_key, similar)
        if len(similar.messages) >= DISTINCT_MESSAGES_MAX:
            similar.messages.pop()  # one less, so that the set does not grow
            message, key = COMBINED + what.message, similar_key
        seen = self._seen.get(key)
        if seen is None:
            written = Written(self._name(what), what.namespace, 1, what.at, what.at, message, key, what)
        else:
            written = Written(seen.name, what.namespace, seen.count + 1, seen.first_at, what.at, message, key, what)
        self._seen.put(key, written)
        return written if self._allowed((*source, *about[:5]), what.at) else None

    def forget(self, written: Written) -> None:
        """It is not on the server (any more): its next repeat is a new event."""
        if self._seen.get(written.key) is written:
            self._seen.drop(written.key)

    def renamed(self, written: Written) -> Written:
        """The same under a new name, for one whose name is taken."""
        again = Written(
            self._name(written.occurrence), written.namespace, written.count, written.first_at, written.last_at,
            written.message, written.key, written.occurrence,
        )  # fmt: skip
        self._seen.put(written.key, again)
        return again

    def _allowed(self, key: tuple[Any, ...], now: float) -> bool:
        bucket = self._buckets.get(key)
        if bucket is None:
            bucket = _Bucket(float(BURST), now)
        bucket.tokens = min(float(BURST), bucket.tokens + max(0.0, now - bucket.at) / REFILL_SECONDS)
        bucket.at = now
        self._buckets.put(key, bucket)
        if bucket.tokens < 1.0:
            return False
        bucket.tokens -= 1.0
        return True

    def _name(self, what: Occurrence) -> str:
        # Nanoseconds in hexadecimal, as in the original, but never the same twice: clocks stand still at times.
        self._last_nanoseconds = max(self._last_nanoseconds + 1, int(what.at * 1_000_000_000))
        return f"{what.about[3]}.{self._last_nanoseconds:x}"
