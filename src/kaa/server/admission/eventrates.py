"""EventRateLimit: floods of events are answered with 429, by server, namespace, user, or source and object."""

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from kaa.base.clock import REAL, Clock
from kaa.kinds.spec import KindSpec
from kaa.meta import errors
from kaa.server.admission.api import Attributes, Operation, Plugin

__all__ = ["EventRateLimit"]

Json = dict[str, Any]

TYPES = ("Server", "Namespace", "User", "SourceAndObject")
CACHE_SIZE = 4096


@dataclass
class _Limit:
    """A limit and its buckets: (tokens left, when that was) by key."""

    type: str
    qps: float
    burst: float
    keys_max: int
    buckets: OrderedDict[str, tuple[float, float]]

    def take(self, key: str, now: float) -> bool:
        left, then = self.buckets.pop(key, (self.burst, now))
        left = min(self.burst, left + (now - then) * self.qps)
        self.buckets[key] = (left - 1 if left >= 1 else left, now)
        while len(self.buckets) > self.keys_max:
            self.buckets.popitem(last=False)
        return left >= 1


class EventRateLimit(Plugin):
    """Limits writes of events. Without a configuration there is nothing to limit, and the server does not start."""

    name = "EventRateLimit"

    def __init__(self, configuration: Mapping[str, Any] | None, clock: Clock = REAL) -> None:
        """From an `eventratelimit.admission.k8s.io` Configuration. Raises ValueError naming the field."""
        self._clock = clock
        self._limits: list[_Limit] = []
        for at, each in enumerate((configuration or {}).get("limits") or ()):
            if each.get("type") not in TYPES:
                raise ValueError(f"limits[{at}].type: {each.get('type')!r} must be one of {', '.join(TYPES)}")
            for field in ("qps", "burst"):
                if not isinstance(each.get(field), int) or each[field] <= 0:
                    raise ValueError(f"limits[{at}].{field}: must be positive")
            keys = each.get("cacheSize") or CACHE_SIZE
            self._limits.append(_Limit(each["type"], each["qps"], each["burst"], keys, OrderedDict()))
        if not self._limits:
            raise ValueError("limits: at least one is needed; give them by --admission-control-config-file")

    def handles(self, spec: KindSpec, subresource: str, operation: Operation) -> bool:
        """Events of both groups."""
        return spec.resource.plural == "events" and spec.resource.group in ("", "events.k8s.io") and (
            operation in ("CREATE", "UPDATE") and not subresource
        )  # fmt: skip

    def validate(self, attributes: Attributes) -> None:
        """Raise 429."""
        now, event = self._clock.monotonic(), attributes.object or {}
        refused = False
        for limit in self._limits:  # each counts it, also when another has refused it already
            refused = not limit.take(_key(limit.type, attributes, event), now) or refused
        if refused:
            raise errors.StatusError(
                429, "TooManyRequests", "limit reached on type " + "/".join(each.type for each in self._limits)
                + ": please try again later", {"retryAfterSeconds": 1},
            )  # fmt: skip


def _key(type_: str, attributes: Attributes, event: Json) -> str:
    if type_ == "Namespace":
        return attributes.namespace
    if type_ == "User":
        return attributes.user.name
    if type_ == "SourceAndObject":
        source = event.get("source") or event.get("deprecatedSource") or {}
        about = event.get("involvedObject") or event.get("regarding") or {}
        names = ("kind", "namespace", "name", "uid", "apiVersion")
        return "".join([source.get("component", ""), source.get("host", ""), *(about.get(each, "") for each in names)])
    return ""
