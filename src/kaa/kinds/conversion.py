"""The built-in kinds served in two forms and stored in one: as tables of moves, the server carries them out.

- Events of `events.k8s.io/v1` are stored as core `v1` events.
- HorizontalPodAutoscalers of `autoscaling/v1` are stored as `autoscaling/v2`; what v1 cannot say is kept in
  annotations, under the names of the original.
"""

from __future__ import annotations

from typing import Any

from kaa.kinds.autoscaling import conversion as autoscaling
from kaa.kinds.events.moves import MOVES
from kaa.kinds.spec import Conversion
from kaa.kinds.storage import SHARED

__all__ = ["of"]

Json = dict[str, Any]


def of(group: str, version: str, kind: str) -> Conversion:
    """The conversion of a kind that `SHARED` names."""
    to_stored, from_stored = _FUNCTIONS[(group, version, kind)]
    return Conversion(SHARED[(group, version, kind)], to_stored, from_stored)


_EVENT_MOVES_BACK = {theirs: ours for ours, theirs in MOVES.items()}


def _event_to_stored(obj: Json) -> Json:
    out = {MOVES.get(name, name): value for name, value in obj.items()}
    out["apiVersion"] = "v1"
    out.setdefault("involvedObject", {})
    return out


def _event_from_stored(obj: Json) -> Json:
    out = {_EVENT_MOVES_BACK.get(name, name): value for name, value in obj.items()}
    out["apiVersion"] = "events.k8s.io/v1"
    return out


_FUNCTIONS = {
    ("events.k8s.io", "v1", "Event"): (_event_to_stored, _event_from_stored),
    ("autoscaling", "v1", "HorizontalPodAutoscaler"): (autoscaling.to_stored, autoscaling.from_stored),
}
