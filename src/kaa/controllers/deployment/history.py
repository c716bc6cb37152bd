"""Replica sets of a deployment: which is new, which revision each is, what they are called. Pure."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import orjson

from kaa.controllers.deployment.rollout import max_surge, oldest_first
from kaa.controllers.shared.objects import at_seconds, owner_reference
from kaa.kinds.views.apps import Deployment, ReplicaSet
from kaa.runtime.status import to_wire

__all__ = [
    "DESIRED",
    "HASH_LABEL",
    "MAX",
    "REVISION",
    "REVISION_HISTORY",
    "find_new",
    "max_revision",
    "new_replica_set",
    "revision_of_set",
    "same_template",
    "scale_annotations",
    "template_hash",
    "to_clean_up",
    "wanted_annotations",
]

Json = dict[str, Any]

REVISION = "deployment.kubernetes.io/revision"
REVISION_HISTORY = "deployment.kubernetes.io/revision-history"
DESIRED = "deployment.kubernetes.io/desired-replicas"
MAX = "deployment.kubernetes.io/max-replicas"
HASH_LABEL = "pod-template-hash"

_NOT_COPIED = frozenset(
    {
        "kubectl.kubernetes.io/last-applied-configuration",
        REVISION,
        REVISION_HISTORY,
        DESIRED,
        MAX,
        "deprecated.deployment.rollback.to",
    }
)
_HISTORY_CHARACTERS_MAX = 2000
_UNLIMITED = 2**31 - 1
_SAFE = "bcdfghjklmnpqrstvwxz2456789"


def _plain(template: Json) -> Json:
    """A template without what the controller itself adds, and without nulls."""
    metadata = {name: value for name, value in (template.get("metadata") or {}).items() if value}
    labels = metadata.get("labels")
    if labels and HASH_LABEL in labels:
        metadata["labels"] = {name: value for name, value in labels.items() if name != HASH_LABEL}
    return {"metadata": metadata, "spec": template.get("spec") or {}}


def same_template(one: Json, other: Json) -> bool:
    """Whether pods of both would be alike: the hash label is not compared."""
    return _plain(one) == _plain(other)


def template_hash(template: Json, collisions: int | None) -> str:
    """The value of the `pod-template-hash` label: stable for a template, another one after each collision."""
    digest = hashlib.blake2b(orjson.dumps(_plain(template), option=orjson.OPT_SORT_KEYS), digest_size=4)
    if collisions is not None:
        digest.update(collisions.to_bytes(4, "little"))
    return "".join(_SAFE[ord(digit) % len(_SAFE)] for digit in str(int.from_bytes(digest.digest(), "big")))


def find_new(deployment: Deployment, sets: Sequence[ReplicaSet]) -> ReplicaSet | None:
    """The oldest replica set with the deployment's template."""
    wanted = _plain(deployment.spec.template)
    for each in oldest_first(sets):
        if _plain(each.spec.template) == wanted:
            return each
    return None


def revision_of_set(set_: ReplicaSet) -> int:
    """Its revision; 0 when it does not say one."""
    try:
        return int(set_.annotations.get(REVISION, "") or 0)
    except ValueError:
        return 0


def max_revision(sets: Iterable[ReplicaSet]) -> int:
    """The highest revision among them."""
    return max((revision_of_set(each) for each in sets), default=0)


def scale_annotations(deployment: Deployment) -> dict[str, str]:
    """What each active replica set remembers of the size it was part of, for proportional scaling."""
    replicas = deployment.spec.replicas
    return {DESIRED: str(replicas), MAX: str(replicas + max_surge(deployment))}


def wanted_annotations(deployment: Deployment, present: Mapping[str, str], revision: int) -> dict[str, str]:
    """The annotations of the new replica set that are to be set or changed, given the ones it has.

    One that becomes the new one again (a rollback) gets the next revision, and its former one goes to its history.
    """
    changed = {
        name: value
        for name, value in deployment.annotations.items()
        if name not in _NOT_COPIED and present.get(name) != value
    }
    old = present.get(REVISION, "")
    try:
        old_number = int(old) if old else 0
    except ValueError:
        return changed  # not ours to repair
    if old_number < revision:
        changed[REVISION] = str(revision)
        if old:
            changed[REVISION_HISTORY] = _longer_history(present.get(REVISION_HISTORY, ""), old)
    return changed


def _longer_history(history: str, revision: str) -> str:
    revisions = [*(each for each in history.split(",") if each), revision]
    while len(revisions) > 1 and len(",".join(revisions)) > _HISTORY_CHARACTERS_MAX:
        revisions.pop(0)
    return ",".join(revisions)


def new_replica_set(deployment: Deployment, replicas: int, revision: int) -> Json:
    """The replica set for the deployment's present template."""
    template = deployment.spec.template
    hash_ = template_hash(template, deployment.status.collision_count)
    metadata = dict(template.get("metadata") or {})
    labels = metadata["labels"] = {**(metadata.get("labels") or {}), HASH_LABEL: hash_}
    selector: Json = to_wire(deployment.spec.selector) if deployment.spec.selector is not None else {}
    selector["matchLabels"] = {**(selector.get("matchLabels") or {}), HASH_LABEL: hash_}
    spec: Json = {"replicas": replicas, "selector": selector, "template": {**template, "metadata": metadata}}
    if deployment.spec.min_ready_seconds:
        spec["minReadySeconds"] = deployment.spec.min_ready_seconds
    return {
        "apiVersion": "apps/v1",
        "kind": "ReplicaSet",
        "metadata": {
            "name": f"{deployment.name}-{hash_}",
            "namespace": deployment.namespace,
            "labels": labels,
            "annotations": {**wanted_annotations(deployment, {}, revision), **scale_annotations(deployment)},
            "ownerReferences": [owner_reference(deployment)],
        },
        "spec": spec,
    }


def to_clean_up(deployment: Deployment, old: Sequence[ReplicaSet]) -> list[ReplicaSet]:
    """Old replica sets beyond the revision history limit that want and have no pods; lowest revisions first."""
    limit = deployment.spec.revision_history_limit
    if limit is None or limit == _UNLIMITED:
        return []
    candidates = sorted(
        (each for each in old if not each.deleting),
        key=lambda each: (revision_of_set(each), at_seconds(each.metadata.creation_timestamp), each.name),
    )
    return [
        each
        for each in candidates[: max(0, len(candidates) - limit)]
        if not each.spec.replicas
        and not each.status.replicas
        and each.metadata.generation <= each.status.observed_generation
    ]
