"""Which requests a webhook or a policy is about: rules, selectors and conditions."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from kaa.kinds import checks, formats
from kaa.kinds.admissionregistration.expressions import Scope, compiled
from kaa.meta import names
from kaa.meta.problems import Path, Problem, duplicate, invalid, not_supported, required, too_many

__all__ = [
    "FAILURE_POLICIES",
    "MATCH_POLICIES",
    "default_resources",
    "default_rules",
    "match_conditions",
    "match_resources",
    "rule_with_operations",
]

Json = dict[str, Any]
SCOPES = ("*", "Cluster", "Namespaced")
OPERATIONS = ("*", "CONNECT", "CREATE", "DELETE", "UPDATE")
FAILURE_POLICIES = ("Fail", "Ignore")
MATCH_POLICIES = ("Equivalent", "Exact")
CONDITIONS_MAX = 64


def default_rules(rules: Iterable[Json] | None) -> None:
    """A rule is about both scopes."""
    for rule in rules or ():
        rule.setdefault("scope", "*")


def default_resources(found: Json) -> None:
    """Everything that is not said matches all."""
    found.setdefault("matchPolicy", "Equivalent")
    found.setdefault("namespaceSelector", {})
    found.setdefault("objectSelector", {})
    for field in ("resourceRules", "excludeResourceRules"):
        default_rules(found.get(field))


def rule_with_operations(rule: Json, path: Path) -> Iterator[Problem]:
    """Operations, groups, versions, resources, scope."""
    operations = rule.get("operations") or []
    if not operations:
        yield required(path / "operations")
    if len(operations) > 1 and "*" in operations:
        yield invalid(path / "operations", operations, "if '*' is present, must not specify other operations")
    for at, each in enumerate(operations):
        if each not in OPERATIONS:
            yield not_supported((path / "operations")[at], each, OPERATIONS)
    for field, what in (("apiGroups", "API groups"), ("apiVersions", "API versions")):
        values = rule.get(field) or []
        if not values:
            yield required(path / field)
        if len(values) > 1 and "*" in values:
            yield invalid(path / field, values, f"if '*' is present, must not specify other {what}")
        if field == "apiVersions":
            for at, each in enumerate(values):
                if not each:
                    yield required((path / field)[at])
    yield from _resources(rule.get("resources") or [], path / "resources")
    scope = rule.get("scope")
    if scope is not None and scope not in SCOPES:
        yield not_supported(path / "scope", scope, SCOPES)


def _resources(resources: list[str], path: Path) -> Iterator[Problem]:
    """`pods`, `pods/log`, `pods/*`, `*/scale`, `*`, `*/*`: none may be said twice over."""
    if not resources:
        yield required(path)
    all_subresources: set[str] = set()
    on_all_resources: set[str] = set()
    plain_last = False
    for at, each in enumerate(resources):
        if not each:
            yield required(path[at])
            continue
        resource, slash, subresource = each.partition("/")
        if not slash:
            # As in the original, the last one without a subresource decides.
            plain_last = each != "*"
            continue
        if resource in all_subresources:
            yield invalid(path[at], each, f"if '{resource}/*' is present, must not specify {each}")
        if subresource in on_all_resources:
            yield invalid(path[at], each, f"if '*/{subresource}' is present, must not specify {each}")
        if subresource == "*":
            all_subresources.add(resource)
        if resource == "*":
            on_all_resources.add(subresource)
    if len(resources) > 1 and "*/*" in resources:
        yield invalid(path, resources, "if '*/*' is present, must not specify other resources")
    if "*" in resources and plain_last:
        yield invalid(path, resources, "if '*' is present, must not specify other resources without subresources")


def match_resources(found: Json, path: Path) -> Iterator[Problem]:
    """What a policy or a binding is about."""
    policy = found.get("matchPolicy")
    if policy is None:
        yield required(path / "matchPolicy")
    elif policy not in MATCH_POLICIES:
        yield not_supported(path / "matchPolicy", policy, MATCH_POLICIES)
    for field in ("namespaceSelector", "objectSelector"):
        if found.get(field) is None:
            yield required(path / field)
        else:
            yield from checks.label_selector(found[field], path / field)
    for field in ("resourceRules", "excludeResourceRules"):
        for at, rule in enumerate(found.get(field) or ()):
            here = (path / field)[at]
            seen: set[str] = set()
            for place, name in enumerate(rule.get("resourceNames") or ()):
                where = (here / "resourceNames")[place]
                yield from formats.each_wrong(names.path_segment, name, where)
                if name in seen:
                    yield duplicate(where, name)
                seen.add(name)
            yield from rule_with_operations(rule, here)


def match_conditions(found: list[Json], path: Path, scope: Scope) -> Iterator[Problem]:
    """Expressions that must all hold."""
    if len(found) > CONDITIONS_MAX:
        yield too_many(path, len(found), CONDITIONS_MAX)
    seen: set[str] = set()
    for at, each in enumerate(found):
        here = path[at]
        expression, name = each.get("expression", "").strip(), each.get("name", "")
        if not expression:
            yield required(here / "expression")
        else:
            yield from compiled(expression, scope, here / "expression")
        if not name:
            yield required(here / "name")
            continue
        yield from formats.label_name(name, here / "name")
        if name in seen:
            yield duplicate(here / "name", name)
        seen.add(name)
