"""Which module holds the rules of which kind. A kind that is not listed has none: its tables say all.

Modules are loaded when a kind is first used, so that starting costs nothing for kinds nobody writes.
"""

from importlib import import_module

from kaa.kinds.spec import Rules

__all__ = ["modules", "rules_of"]

#: group -> kind -> module below this package, and the attribute where it is not `RULES`.
_MODULES: dict[str, dict[str, str]] = {
    "": {
        "Pod": "core.pod",
        "ReplicationController": "apps.replicaset:CONTROLLER_RULES",
    },
    "apps": {
        "Deployment": "apps.deployment",
        "ReplicaSet": "apps.replicaset",
        "DaemonSet": "apps.daemonset",
        "StatefulSet": "apps.statefulset",
        "ControllerRevision": "apps.statefulset:REVISION_RULES",
    },
}


def modules() -> dict[tuple[str, str], str]:
    """(group, kind) -> the module with its rules."""
    return {(group, kind): place for group, kinds in _MODULES.items() for kind, place in kinds.items()}


def rules_of(group: str, version: str, kind: str) -> Rules:
    """The rules of a kind, or empty ones. A version with rules of its own is listed as `Kind/version`."""
    kinds = _MODULES.get(group, {})
    place = kinds.get(f"{kind}/{version}") or kinds.get(kind)
    if place is None:
        return Rules()
    module, _, attribute = place.partition(":")
    found = getattr(import_module(f"kaa.kinds.{module}"), attribute or "RULES")
    assert isinstance(found, Rules)
    return found
