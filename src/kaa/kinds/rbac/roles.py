"""Roles and bindings: which rules make sense, what a binding may not change."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

from kaa.kinds import checks, printing
from kaa.kinds.spec import AGE_COLUMN, NAME_COLUMN, Column, Rules
from kaa.meta import names
from kaa.meta.problems import Path, Problem, invalid, not_supported, required

__all__ = ["BINDING", "CLUSTER_BINDING", "CLUSTER_ROLE", "ROLE"]

Json = dict[str, Any]
GROUP = "rbac.authorization.k8s.io"


def _rules(obj: Json, *, namespaced: bool) -> Iterator[Problem]:
    for at, rule in enumerate(obj.get("rules") or ()):
        here = (Path() / "rules")[at]
        if not rule.get("verbs"):
            yield required(here / "verbs", "verbs must contain at least one value")
        if rule.get("nonResourceURLs"):
            if namespaced:
                yield invalid(
                    here / "nonResourceURLs",
                    rule["nonResourceURLs"],
                    "namespaced rules cannot apply to non-resource URLs",
                )
            if rule.get("apiGroups") or rule.get("resources") or rule.get("resourceNames"):
                yield invalid(
                    here / "nonResourceURLs",
                    rule["nonResourceURLs"],
                    "rules cannot apply to both regular resources and non-resource URLs",
                )
            continue
        if not rule.get("apiGroups"):
            yield required(here / "apiGroups", "resource rules must supply at least one api group")
        if not rule.get("resources"):
            yield required(here / "resources", "resource rules must supply at least one resource")
    aggregation = obj.get("aggregationRule")
    if aggregation is not None:
        selectors = aggregation.get("clusterRoleSelectors") or ()
        here = Path() / "aggregationRule" / "clusterRoleSelectors"
        if not selectors:
            yield required(here, "at least one clusterRoleSelector required if aggregationRule is non-nil")
        for at, selector in enumerate(selectors):
            yield from checks.label_selector(selector, here[at])


_ROLE_COLUMNS = (NAME_COLUMN, Column("Created At", "date", description="when it was created"))


def _role_cells(obj: Json, _now: float) -> list[Any]:
    return [obj["metadata"].get("name", ""), obj["metadata"].get("creationTimestamp", "")]


ROLE = Rules(
    validate=partial(_rules, namespaced=True),
    complete=True,
    name_check=names.path_segment,
    columns=_ROLE_COLUMNS,
    cells=_role_cells,
    allow_create_on_update=True,
)
CLUSTER_ROLE = Rules(
    validate=partial(_rules, namespaced=False),
    complete=True,
    name_check=names.path_segment,
    columns=_ROLE_COLUMNS,
    cells=_role_cells,
    allow_create_on_update=True,
)


def _default(obj: Json) -> None:
    reference = obj.setdefault("roleRef", {})
    reference["apiGroup"] = reference.get("apiGroup") or GROUP
    for subject in obj.get("subjects") or ():
        if not subject.get("apiGroup"):
            subject["apiGroup"] = GROUP if subject.get("kind") in ("User", "Group") else ""
        if not subject["apiGroup"]:
            del subject["apiGroup"]


def _binding(obj: Json, *, namespaced: bool) -> Iterator[Problem]:
    reference, path = obj.get("roleRef") or {}, Path() / "roleRef"
    if reference.get("apiGroup") != GROUP:
        yield not_supported(path / "apiGroup", reference.get("apiGroup", ""), (GROUP,))
    allowed = ("Role", "ClusterRole") if namespaced else ("ClusterRole",)
    if reference.get("kind") not in allowed:
        yield not_supported(path / "kind", reference.get("kind", ""), allowed, as_given=True)
    if not reference.get("name"):
        yield required(path / "name")
    else:
        for wrong in names.path_segment(reference["name"]):
            yield invalid(path / "name", reference["name"], wrong)
    for at, subject in enumerate(obj.get("subjects") or ()):
        here = (Path() / "subjects")[at]
        kind, name, group = subject.get("kind", ""), subject.get("name", ""), subject.get("apiGroup", "")
        if not name:
            yield required(here / "name")
        if kind == "ServiceAccount":
            if name:
                for wrong in names.dns1123_subdomain(name):
                    yield invalid(here / "name", name, wrong)
            if group:
                yield not_supported(here / "apiGroup", group, ("",))
            # Within a namespace, an account without one is of the binding's.
            if not namespaced and not subject.get("namespace"):
                yield required(here / "namespace")
        elif kind in ("User", "Group"):
            if not name:
                yield invalid(here / "name", "", f"{kind.lower()} name cannot be empty")
            if group != GROUP:
                yield not_supported(here / "apiGroup", group, (GROUP,))
        else:
            yield not_supported(here / "kind", kind, ("ServiceAccount", "User", "Group"), as_given=True)


def _binding_update(new: Json, old: Json) -> Iterator[Problem]:
    if new.get("roleRef") != old.get("roleRef"):
        # As the original's struct is shown: by its internal names.
        shown = {field: (new.get("roleRef") or {}).get(field[:1].lower() + field[1:], "") for field in ("Kind", "Name")}
        group = (new.get("roleRef") or {}).get("apiGroup", "")
        yield invalid(Path() / "roleRef", {"APIGroup": group, **shown}, "cannot change roleRef")


_BINDING_COLUMNS = (
    NAME_COLUMN,
    Column("Role", description="the role that is given"),
    AGE_COLUMN,
    Column("Users", priority=1, description="the users it is given to"),
    Column("Groups", priority=1, description="the groups it is given to"),
    Column("ServiceAccounts", priority=1, description="the service accounts it is given to"),
)


def _binding_cells(obj: Json, now: float) -> list[Any]:
    reference = obj.get("roleRef") or {}
    by_kind: dict[str, list[str]] = {"User": [], "Group": [], "ServiceAccount": []}
    for each in obj.get("subjects") or ():
        name = each.get("name", "")
        shown = f"{each.get('namespace', '')}/{name}" if each.get("kind") == "ServiceAccount" else name
        by_kind.setdefault(each.get("kind", ""), []).append(shown)
    return [
        obj["metadata"].get("name", ""),
        f"{reference.get('kind', '')}/{reference.get('name', '')}",
        printing.age(obj, now),
        ", ".join(by_kind["User"]),
        ", ".join(by_kind["Group"]),
        ", ".join(by_kind["ServiceAccount"]),
    ]


BINDING = Rules(
    default=_default,
    validate=partial(_binding, namespaced=True),
    complete=True,
    validate_update=_binding_update,
    name_check=names.path_segment,
    columns=_BINDING_COLUMNS,
    cells=_binding_cells,
    allow_create_on_update=True,
)
CLUSTER_BINDING = Rules(
    default=_default,
    validate=partial(_binding, namespaced=False),
    complete=True,
    validate_update=_binding_update,
    name_check=names.path_segment,
    columns=_BINDING_COLUMNS,
    cells=_binding_cells,
    allow_create_on_update=True,
)
