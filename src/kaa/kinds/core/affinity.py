"""What is validated of where a pod may run: affinity, tolerations, spreading."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from kaa.kinds import checks
from kaa.meta import names
from kaa.meta.problems import Path, Problem, duplicate, forbidden_field, invalid, not_supported, required

__all__ = ["TAINT_EFFECTS", "validate_affinity", "validate_node_selector", "validate_spread", "validate_tolerations"]

Json = dict[str, Any]

REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
PREFERRED = "preferredDuringSchedulingIgnoredDuringExecution"
TAINT_EFFECTS = ("NoSchedule", "PreferNoSchedule", "NoExecute")
TOLERATION_OPERATORS = ("Equal", "Exists")
_POSITIVE = "must be greater than zero"


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
            # Values that no label can have are allowed here: a wish that never comes true harms nobody.
            yield from _node_term(term.get("preference") or {}, where / "preference", values=False)
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
        yield from _node_term(term, (path / "nodeSelectorTerms")[at], values=True)


def _node_term(term: Json, path: Path, *, values: bool) -> Iterator[Problem]:
    for at, each in enumerate(term.get("matchExpressions") or ()):
        yield from _node_requirement(each, (path / "matchExpressions")[at], checked=values)
    for at, each in enumerate(term.get("matchFields") or ()):
        here = (path / "matchFields")[at]
        operator, key, given = each.get("operator", ""), each.get("key", ""), each.get("values") or ()
        if operator not in ("In", "NotIn"):
            yield invalid(here / "operator", operator, "not a valid selector operator")
        elif len(given) != 1:
            yield required(
                here / "values", "must be only one value when `operator` is 'In' or 'NotIn' for node field selector"
            )
        if key != "metadata.name":
            yield invalid(here / "key", key, "not a valid field selector key")
            continue
        for place, value in enumerate(given):
            for wrong in names.dns1123_subdomain(value):
                yield invalid((here / "values")[place], value, wrong)


def _node_requirement(each: Json, here: Path, *, checked: bool) -> Iterator[Problem]:
    operator, values = each.get("operator", ""), each.get("values") or ()
    if operator in ("In", "NotIn"):
        if not values:
            yield required(here / "values", "must be specified when `operator` is 'In' or 'NotIn'")
    elif operator in ("Exists", "DoesNotExist"):
        if values:
            yield forbidden_field(here / "values", "may not be specified when `operator` is 'Exists' or 'DoesNotExist'")
    elif operator in ("Gt", "Lt"):
        if len(values) != 1:
            yield required(here / "values", "must be specified single value when `operator` is 'Lt' or 'Gt'")
    else:
        yield invalid(here / "operator", operator, "not a valid selector operator")
    for wrong in names.qualified_name(each.get("key", "")):
        yield invalid(here / "key", each.get("key", ""), wrong)
    if checked:
        for place, value in enumerate(values):
            for wrong in names.label_value(value):
                yield invalid((here / "values")[place], value, wrong)


def _pod_term(term: Json, path: Path) -> Iterator[Problem]:
    selector = term.get("labelSelector")
    yield from checks.label_selector(selector, path / "labelSelector")
    yield from checks.label_selector(term.get("namespaceSelector"), path / "namespaceSelector")
    for name in term.get("namespaces") or ():
        for wrong in names.dns1123_label(name):
            yield invalid(path / "namespace", name, wrong)  # the original's path: singular, without an index
    match, mismatch = term.get("matchLabelKeys") or [], term.get("mismatchLabelKeys") or []
    if match or mismatch:
        yield from _label_keys(match, mismatch, selector, path)
    key = term.get("topologyKey", "")
    if not key:
        yield required(path / "topologyKey", "can not be empty")
    for wrong in names.qualified_name(key):
        yield invalid(path / "topologyKey", key, wrong)


_NO_SELECTOR = "must not be specified when labelSelector is not set"


def _label_keys(match: list[str], mismatch: list[str], selector: Json | None, path: Path) -> Iterator[Problem]:
    """Labels whose value the pod itself brings into the selector."""
    for field, keys in (("matchLabelKeys", match), ("mismatchLabelKeys", mismatch)):
        if keys and selector is None:
            yield forbidden_field(path / field, _NO_SELECTOR)
            continue
        for at, key in enumerate(keys):
            for wrong in names.qualified_name(key):
                yield invalid((path / field)[at], key, wrong)
    if selector is not None:
        # The server has put an expression for each of matchLabelKeys into the selector: another one was there before.
        selected = set(selector.get("matchLabels") or ())
        for each in selector.get("matchExpressions") or ():
            key = each.get("key", "")
            if key in match and key in selected:
                yield invalid(path[match.index(key)], key, "exists in both matchLabelKeys and labelSelector")
            selected.add(key)
    for at, key in enumerate(match):
        if key in mismatch:
            yield invalid((path / "matchLabelKeys")[at], key, "exists in both matchLabelKeys and mismatchLabelKeys")


def validate_tolerations(tolerations: list[Json], path: Path) -> Iterator[Problem]:
    """Which taints a pod bears."""
    for at, each in enumerate(tolerations):
        key, operator, effect = each.get("key", ""), each.get("operator", ""), each.get("effect", "")
        value = each.get("value", "")
        if key:
            for wrong in names.qualified_name(key):
                yield invalid(path[at] / "key", key, wrong)
        elif operator != "Exists":
            yield invalid(
                path[at] / "operator",
                operator,
                'operator must be Exists when `key` is empty, which means "match all values and all keys"',
            )
        if effect != "NoExecute" and each.get("tolerationSeconds") is not None:
            yield invalid(path[at] / "effect", effect, "effect must be 'NoExecute' when `tolerationSeconds` is set")
        if operator == "Exists":
            if value:
                yield invalid(path[at] / "operator", value, "value must be empty when `operator` is 'Exists'")
        elif operator in ("", "Equal"):
            wrongs = names.label_value(value)
            if wrongs:
                yield invalid(path[at] / "operator", value, ";".join(wrongs))
        else:
            yield not_supported(path[at] / "operator", operator, TOLERATION_OPERATORS)
        if effect and effect not in TAINT_EFFECTS:
            yield not_supported(path[at] / "effect", effect, TAINT_EFFECTS, as_given=True)


def validate_spread(constraints: list[Json], path: Path) -> Iterator[Problem]:
    """How evenly pods stand over domains."""
    kinds = [(each.get("topologyKey", ""), each.get("whenUnsatisfiable", "")) for each in constraints]
    for at, each in enumerate(constraints):
        here = path[at]
        skew, domains = each.get("maxSkew", 0), each.get("minDomains")
        key, unsatisfiable = kinds[at]
        if skew <= 0:
            yield invalid(here / "maxSkew", skew, _POSITIVE)
        if not key:
            yield required(here / "topologyKey", "can not be empty")
        if unsatisfiable not in ("DoNotSchedule", "ScheduleAnyway"):
            yield not_supported(here / "whenUnsatisfiable", unsatisfiable, ("DoNotSchedule", "ScheduleAnyway"))
        if kinds[at] in kinds[at + 1 :]:
            yield duplicate(here / "{topologyKey, whenUnsatisfiable}", f"{{{key}, {unsatisfiable}}}")
        if domains is not None:
            if domains <= 0:
                yield invalid(here / "minDomains", domains, _POSITIVE)
            if unsatisfiable != "DoNotSchedule":
                yield invalid(
                    here / "minDomains",
                    domains,
                    f"can only use minDomains if whenUnsatisfiable=DoNotSchedule, not {unsatisfiable}",
                )
        for field in ("nodeAffinityPolicy", "nodeTaintsPolicy"):
            policy = each.get(field)
            if policy is not None and policy not in ("Honor", "Ignore"):
                yield not_supported(here / field, policy, ("Honor", "Ignore"))
        selector = each.get("labelSelector")
        if each.get("matchLabelKeys"):
            yield from _spread_keys(each["matchLabelKeys"], selector, here / "matchLabelKeys")
        yield from checks.label_selector(selector, here / "labelSelector")


def _spread_keys(keys: list[str], selector: Json | None, path: Path) -> Iterator[Problem]:
    selected: set[str] = set()
    if selector is None:
        yield forbidden_field(path, _NO_SELECTOR)
    else:
        selected.update(selector.get("matchLabels") or ())
        selected.update(each.get("key", "") for each in selector.get("matchExpressions") or ())
    for at, key in enumerate(keys):
        for wrong in names.qualified_name(key):
            yield invalid(path[at], key, wrong)
        if key in selected:
            yield invalid(path[at], key, "exists in both matchLabelKeys and labelSelector")
