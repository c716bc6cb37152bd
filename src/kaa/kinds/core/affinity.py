"""What is validated of where a pod may run: affinity, tolerations, spreading."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from kaa.kinds import checks
from kaa.meta import names
from kaa.meta.problems import Path, Problem, duplicate, forbidden_field, invalid, not_supported, required

__all__ = ["validate_affinity", "validate_node_selector", "validate_spread", "validate_tolerations"]

Json = dict[str, Any]

REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
PREFERRED = "preferredDuringSchedulingIgnoredDuringExecution"
TAINT_EFFECTS = ("NoExecute", "NoSchedule", "PreferNoSchedule")


def validate_affinity(found: Json, path: Path) -> Iterator[Problem]:
    """Node affinity, pod affinity and anti-affinity."""
    node = found.get("nodeAffinity")
    if node is not None:
        here = path / "nodeAffinity"
        if node.get(REQUIRED) is not None:
            yield from validate_node_selector(node[REQUIRED], here / REQUIRED)
        for at, term in enumerate(node.get(PREFERRED) or ()):
            where = (here / PREFERRED)[at]
            yield from _weight(term, where)
            yield from _node_term(term.get("preference") or {}, where / "preference")
    for kind in ("podAffinity", "podAntiAffinity"):
        pods = found.get(kind)
        if pods is None:
            continue
        here = path / kind
        for at, term in enumerate(pods.get(REQUIRED) or ()):
            yield from _pod_term(term, (here / REQUIRED)[at])
        for at, term in enumerate(pods.get(PREFERRED) or ()):
            where = (here / PREFERRED)[at]
            yield from _weight(term, where)
            yield from _pod_term(term.get("podAffinityTerm") or {}, where / "podAffinityTerm")


def _weight(term: Json, path: Path) -> Iterator[Problem]:
    weight = term.get("weight", 0)
    if not 1 <= weight <= 100:
        yield invalid(path / "weight", weight, "must be in the range 1-100")


def validate_node_selector(selector: Json, path: Path) -> Iterator[Problem]:
    """Terms of which one must match."""
    terms = selector.get("nodeSelectorTerms") or ()
    if not terms:
        yield required(path / "nodeSelectorTerms", "must have at least one node selector term")
    for at, term in enumerate(terms):
        yield from _node_term(term, (path / "nodeSelectorTerms")[at])


def _node_term(term: Json, path: Path) -> Iterator[Problem]:
    for at, each in enumerate(term.get("matchExpressions") or ()):
        here = (path / "matchExpressions")[at]
        operator, values = each.get("operator", ""), each.get("values") or ()
        if operator in ("In", "NotIn"):
            if not values:
                yield required(here / "values", "must be specified when `operator` is 'In' or 'NotIn'")
        elif operator in ("Exists", "DoesNotExist"):
            if values:
                yield forbidden_field(
                    here / "values", "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"
                )
        elif operator in ("Gt", "Lt"):
            if len(values) != 1:
                yield required(here / "values", "must be specified single value when `operator` is 'Lt' or 'Gt'")
        else:
            yield invalid(here / "operator", operator, "not a valid selector operator")
        for wrong in names.qualified_name(each.get("key", "")):
            yield invalid(here / "key", each.get("key", ""), wrong)
    for at, each in enumerate(term.get("matchFields") or ()):
        here = (path / "matchFields")[at]
        if each.get("operator") not in ("In", "NotIn"):
            yield invalid(here / "operator", each.get("operator", ""), "not a valid selector operator")
        elif len(each.get("values") or ()) != 1:
            yield required(
                here / "values", "must be only one value when `operator` is 'In' or 'NotIn' for node field selector"
            )
        if each.get("key") != "metadata.name":
            yield invalid(here / "key", each.get("key", ""), "not a valid field selector key")


def _pod_term(term: Json, path: Path) -> Iterator[Problem]:
    yield from checks.label_selector(term.get("labelSelector"), path / "labelSelector")
    yield from checks.label_selector(term.get("namespaceSelector"), path / "namespaceSelector")
    for at, name in enumerate(term.get("namespaces") or ()):
        for wrong in names.dns1123_label(name):
            yield invalid((path / "namespaces")[at], name, wrong)
    key = term.get("topologyKey", "")
    if not key:
        yield required(path / "topologyKey", "can not be empty")
    for wrong in names.qualified_name(key):
        yield invalid(path / "topologyKey", key, wrong)


def validate_tolerations(tolerations: list[Json], path: Path) -> Iterator[Problem]:
    """Which taints a pod bears."""
    for at, each in enumerate(tolerations):
        here = path[at]
        key, operator, effect = each.get("key", ""), each.get("operator", ""), each.get("effect", "")
        if key:
            for wrong in names.qualified_name(key):
                yield invalid(here / "key", key, wrong)
        elif operator != "Exists":
            yield invalid(
                here / "operator",
                operator,
                'operator must be Exists when `key` is empty, which means "match all values and all keys"',
            )
        if each.get("tolerationSeconds") is not None and effect != "NoExecute":
            yield invalid(here / "effect", effect, "effect must be 'NoExecute' when `tolerationSeconds` is set")
        if operator in ("", "Equal"):
            for wrong in names.label_value(each.get("value", "")):
                yield invalid(here / "operator", each.get("value", ""), wrong)
        elif operator == "Exists":
            if each.get("value"):
                yield invalid(here / "operator", each, "value must be empty when `operator` is 'Exists'")
        else:
            yield not_supported(here / "operator", operator, ("Equal", "Exists"))
        if effect and effect not in TAINT_EFFECTS:
            yield not_supported(here / "effect", effect, TAINT_EFFECTS)


def validate_spread(constraints: list[Json], path: Path) -> Iterator[Problem]:
    """How evenly pods stand over domains."""
    seen: set[tuple[str, str]] = set()
    for at, each in enumerate(constraints):
        here = path[at]
        skew, domains = each.get("maxSkew", 0), each.get("minDomains")
        unsatisfiable, key = each.get("whenUnsatisfiable", ""), each.get("topologyKey", "")
        if skew <= 0:
            yield invalid(here / "maxSkew", skew, "must be greater than zero")
        if not key:
            yield required(here / "topologyKey", "can not be empty")
        for wrong in names.qualified_name(key) if key else ():
            yield invalid(here / "topologyKey", key, wrong)
        if unsatisfiable not in ("DoNotSchedule", "ScheduleAnyway"):
            yield not_supported(here / "whenUnsatisfiable", unsatisfiable, ("DoNotSchedule", "ScheduleAnyway"))
        if (key, unsatisfiable) in seen:
            yield duplicate(here / "{topologyKey, whenUnsatisfiable}", f"{{{key}, {unsatisfiable}}}")
        seen.add((key, unsatisfiable))
        if domains is not None:
            if domains <= 0:
                yield invalid(here / "minDomains", domains, "must be greater than zero")
            if unsatisfiable != "DoNotSchedule":
                yield invalid(
                    here / "minDomains",
                    domains,
                    f"can only use minDomains if whenUnsatisfiable=DoNotSchedule, not {unsatisfiable}",
                )
        for field in ("nodeAffinityPolicy", "nodeTaintsPolicy"):
            yield from checks.one_of(each, field, ("Honor", "Ignore"), here)
        yield from checks.label_selector(each.get("labelSelector"), here / "labelSelector")
