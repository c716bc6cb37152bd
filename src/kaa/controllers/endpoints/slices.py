"""From the endpoints there should be and the slices there are to the fewest writes. Pure.

Slices hold the endpoints of one port set. What is right stays where it is; what is wrong is mended in its slice; new
endpoints go first into slices that are written anyway, then into the fullest one that holds them all, then into new
ones. An owner without endpoints keeps one empty slice per family, which says that somebody has looked.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from kaa.kinds.views.net import EndpointPart, EndpointSlice
from kaa.runtime.status import to_wire

__all__ = ["MANAGED_BY", "SERVICE_NAME", "PortSet", "SlicePlan", "SliceShape", "plan_slices", "port_set"]

Json = dict[str, Any]
SERVICE_NAME = "kubernetes.io/service-name"
MANAGED_BY = "endpointslice.kubernetes.io/managed-by"
PortSet = tuple[tuple[Any, ...], ...]


@dataclass(frozen=True, slots=True)
class SliceShape:
    """What all slices of an owner have in common."""

    namespace: str
    #: Generated names begin with it.
    prefix: str
    labels: Mapping[str, str]
    owner: Json
    annotations: Mapping[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class SlicePlan:
    """Slices to make, to patch (merge patches), and to delete."""

    create: list[Json] = field(default_factory=list)
    patch: list[tuple[EndpointSlice, Json]] = field(default_factory=list)
    delete: list[EndpointSlice] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.create or self.patch or self.delete)


def port_set(ports: Sequence[Json]) -> PortSet:
    """The key of a set of ports, whatever their order."""
    return tuple(
        sorted(
            (each.get("name") or "", each.get("port") or 0, each.get("protocol", "TCP"), each.get("appProtocol") or "")
            for each in ports
        )
    )


def ports_wire(ports: PortSet) -> list[Json]:
    """The ports of a key."""
    wire = []
    for name, number, protocol, app_protocol in ports:
        shown: Json = {"name": name, "protocol": protocol}
        if number:
            shown["port"] = number
        if app_protocol:
            shown["appProtocol"] = app_protocol
        wire.append(shown)
    return wire


@dataclass(slots=True)
class _Draft:
    """A slice there is, as it will be."""

    slice: EndpointSlice
    endpoints: list[Json | EndpointPart]
    changed: bool = False


def plan_slices(
    shape: SliceShape,
    family: str,
    wanted: Mapping[PortSet, Sequence[Json]],
    existing: Sequence[EndpointSlice],
    per_slice_max: int = 100,
) -> SlicePlan:
    """The writes for one family of addresses. `existing` are the owner's slices of that family."""
    plan = SlicePlan()
    by_ports: dict[PortSet, list[EndpointSlice]] = {}
    for each in existing:
        if not each.deleting:
            by_ports.setdefault(port_set([to_wire(port) for port in each.ports]), []).append(each)
    wanted = {ports: endpoints for ports, endpoints in wanted.items() if endpoints}
    if not wanted:
        keep = by_ports.get((), [])
        wanted = {(): []}
        if not keep:
            # Whatever slice there is can be the placeholder: emptied rather than replaced.
            spare = next((each for group in by_ports.values() for each in group), None)
            if spare is not None:
                plan.patch.append((spare, _patch(shape, spare, endpoints=[], ports=[])))
                by_ports = {ports: [each for each in group if each is not spare] for ports, group in by_ports.items()}
                wanted = {}
    for ports, endpoints in wanted.items():
        _plan_group(plan, shape, family, ports, endpoints, by_ports.pop(ports, []), per_slice_max)
    for group in by_ports.values():
        plan.delete.extend(group)
    return plan


def _plan_group(
    plan: SlicePlan,
    shape: SliceShape,
    family: str,
    ports: PortSet,
    wanted: Sequence[Json],
    existing: Sequence[EndpointSlice],
    per_slice_max: int,
) -> None:
    missing = {_identity(each): each for each in wanted}
    drafts: list[_Draft] = []
    for each in sorted(existing, key=lambda one: one.name):
        draft = _Draft(each, [])
        for endpoint in each.endpoints:
            found = missing.pop(_identity_of_view(endpoint), None)
            if found is None:
                draft.changed = True
            elif msgspec.convert(found, EndpointPart) == endpoint:
                draft.endpoints.append(endpoint)
            else:
                draft.endpoints.append(found)
                draft.changed = True
        drafts.append(draft)
    rest = list(missing.values())
    for draft in drafts:
        if rest and draft.changed and draft.endpoints:
            rest = _fill(draft, rest, per_slice_max)
    if rest:
        # Not one that is about to be emptied, unless there is nothing else: deleting it is the cheaper write.
        fitting = [each for each in drafts if not each.changed and len(each.endpoints) + len(rest) <= per_slice_max]
        if fitting:
            rest = _fill(max(fitting, key=lambda each: len(each.endpoints)), rest, per_slice_max)
    for draft in drafts:
        if rest and draft.changed:
            rest = _fill(draft, rest, per_slice_max)
    kept = 0
    for draft in drafts:
        if not draft.endpoints and (wanted or kept):
            plan.delete.append(draft.slice)
            continue
        kept += 1
        patch = _patch(shape, draft.slice, endpoints=_wire(draft.endpoints) if draft.changed else None)
        if patch:
            plan.patch.append((draft.slice, patch))
    while rest or not kept:
        plan.create.append(_new_slice(shape, family, ports, rest[:per_slice_max]))
        rest = rest[per_slice_max:]
        kept += 1


def _fill(draft: _Draft, rest: list[Json], per_slice_max: int) -> list[Json]:
    room = max(0, per_slice_max - len(draft.endpoints))
    draft.endpoints.extend(rest[:room])
    draft.changed = draft.changed or bool(room)
    return rest[room:]


def _identity(endpoint: Json) -> tuple[Any, ...]:
    target = endpoint.get("targetRef") or {}
    return target.get("uid", ""), tuple(endpoint["addresses"])


def _identity_of_view(endpoint: EndpointPart) -> tuple[Any, ...]:
    return (endpoint.target_ref or {}).get("uid", ""), endpoint.addresses


def _wire(endpoints: Sequence[Json | EndpointPart]) -> list[Json]:
    return [each if isinstance(each, dict) else to_wire(each) for each in endpoints]


def _patch(
    shape: SliceShape, present: EndpointSlice, *, endpoints: list[Json] | None, ports: list[Json] | None = None
) -> Json:
    """The merge patch that brings a slice up to date; empty when nothing differs."""
    metadata: Json = {}
    for name, have, want in (
        ("labels", present.labels, shape.labels),
        ("annotations", present.annotations, shape.annotations),
    ):
        difference: Json = {key: value for key, value in want.items() if have.get(key) != value}
        if name == "labels":
            difference.update({key: None for key in have if key not in want})
        if difference:
            metadata[name] = difference
    patch: Json = {}
    if endpoints is not None:
        patch["endpoints"] = endpoints
    if ports is not None:
        patch["ports"] = ports
    if not metadata and not patch:
        return {}
    return {"metadata": {"resourceVersion": present.metadata.resource_version, **metadata}, **patch}


def _new_slice(shape: SliceShape, family: str, ports: PortSet, endpoints: Sequence[Json]) -> Json:
    metadata: Json = {
        "generateName": shape.prefix,
        "namespace": shape.namespace,
        "labels": dict(shape.labels),
        "ownerReferences": [shape.owner],
    }
    if shape.annotations:
        metadata["annotations"] = dict(shape.annotations)
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": metadata,
        "addressType": family,
        "endpoints": list(endpoints),
        "ports": ports_wire(ports),
    }
