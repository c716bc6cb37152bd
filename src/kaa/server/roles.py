"""The default roles and bindings as objects, and how what stands is reconciled with them.

The tables are in `kaa.server.policy`. Reconciling adds what is missing and takes nothing away: rules and subjects that
an administrator has added stay, and so do those that a later release no longer has.
"""

from collections.abc import Iterable, Iterator
from typing import Any

from kaa.server.policy import controllers, namespaced, own, people
from kaa.server.policy.rules import missing_rules
from kaa.server.policy.table import RoleRow, read_roles

__all__ = ["AUTOUPDATE", "cluster_role_bindings", "cluster_roles", "namespaced_roles", "node_rules", "reconciled"]

Json = dict[str, Any]
GROUP = "rbac.authorization.k8s.io"
AUTOUPDATE = "rbac.authorization.kubernetes.io/autoupdate"
LABELS = {"kubernetes.io/bootstrapping": "rbac-defaults"}


def cluster_roles() -> Iterator[Json]:
    """Every default ClusterRole."""
    for text in (people.ROLES, people.NODE, own.ROLES):
        for row in read_roles(text):
            yield _role(row)
    for row in read_roles(controllers.ROLES):
        row.name = controllers.PREFIX + row.name
        yield _role(row)


def cluster_role_bindings() -> Iterator[Json]:
    """Every default ClusterRoleBinding."""
    for name, subjects in (*people.BINDINGS, *own.BINDINGS):
        yield _binding(name, "ClusterRole", name, subjects)
    for row in read_roles(controllers.ROLES):
        name = controllers.PREFIX + row.name
        yield _binding(name, "ClusterRole", name, (("ServiceAccount", f"kube-system/{row.name}"),))


def namespaced_roles() -> Iterator[Json]:
    """Roles and bindings of the cluster's own namespaces."""
    for row in read_roles(namespaced.ROLES):
        yield _role(row)
    for namespace, name, role, subjects in namespaced.BINDINGS:
        yield _binding(name, "Role", role, subjects, namespace)


def node_rules() -> list[Json]:
    """What any node may do, as far as it is not about a certain object."""
    return next(read_roles(people.NODE)).rules


def _metadata(name: str, namespace: str = "") -> Json:
    meta: Json = {"name": name, "labels": dict(LABELS), "annotations": {AUTOUPDATE: "true"}}
    return {**meta, "namespace": namespace} if namespace else meta


def _role(row: RoleRow) -> Json:
    role: Json = {
        "kind": "Role" if row.namespace else "ClusterRole",
        "apiVersion": f"{GROUP}/v1",
        "metadata": _metadata(row.name, row.namespace),
        "rules": row.rules,
    }
    role["metadata"]["labels"].update(row.labels)
    if row.aggregates:
        role["aggregationRule"] = {"clusterRoleSelectors": [{"matchLabels": {row.aggregates: "true"}}]}
    return role


def _binding(name: str, kind: str, role: str, subjects: Iterable[tuple[str, str]], namespace: str = "") -> Json:
    made: Json = {
        "kind": "RoleBinding" if namespace else "ClusterRoleBinding",
        "apiVersion": f"{GROUP}/v1",
        "metadata": _metadata(name, namespace),
        "roleRef": {"apiGroup": GROUP, "kind": kind, "name": role},
    }
    listed = [_subject(*each) for each in subjects]
    if listed:
        made["subjects"] = listed
    return made


def _subject(kind: str, name: str) -> Json:
    if kind == "ServiceAccount":
        namespace, _, account = name.partition("/")
        return {"kind": kind, "name": account, "namespace": namespace}
    return {"kind": kind, "apiGroup": GROUP, "name": name}


def reconciled(wanted: Json, standing: Json) -> Json | None:
    """What stands with what it lacks of `wanted`; None where it lacks nothing, or is to be left alone.

    A binding to another role than the wanted one is left to who made it: a roleRef cannot be changed.
    """
    meta = standing["metadata"]
    if (meta.get("annotations") or {}).get(AUTOUPDATE) == "false":
        return None
    changes: Json = {}
    if "roleRef" in wanted:
        if any(wanted["roleRef"].get(part) != (standing.get("roleRef") or {}).get(part) for part in ("kind", "name")):
            return None
        held = standing.get("subjects") or []
        lacking = [each for each in wanted.get("subjects") or () if not any(_same(each, other) for other in held)]
        if lacking:
            changes["subjects"] = [*held, *lacking]
    elif "aggregationRule" in wanted:
        selectors = (standing.get("aggregationRule") or {}).get("clusterRoleSelectors") or []
        lacking = [each for each in wanted["aggregationRule"]["clusterRoleSelectors"] if each not in selectors]
        if lacking:
            changes["aggregationRule"] = {"clusterRoleSelectors": [*selectors, *lacking]}
    else:
        held = standing.get("rules") or []
        lacking = missing_rules(wanted["rules"], held)
        if lacking:
            changes["rules"] = [*held, *lacking]
    for part in ("labels", "annotations"):
        have = meta.get(part) or {}
        add = {key: value for key, value in wanted["metadata"][part].items() if key not in have}
        if add:
            changes.setdefault("metadata", {**meta})[part] = {**have, **add}
    return {**standing, **changes} if changes else None


def _same(one: Json, other: Json) -> bool:
    return all((one.get(part) or "") == (other.get(part) or "") for part in ("kind", "name", "namespace"))
