"""What a rule of RBAC covers: a request, or another rule."""

from collections.abc import Iterable, Iterator
from typing import Any

from kaa.server.request import RequestInfo

__all__ = ["COMPARED_MAX", "Grant", "TooManyRules", "compact", "missing_rules", "shown"]

Json = dict[str, Any]
#: One thing of a rule: path, group, resource, name; what does not apply is "".
At = tuple[str, str, str, str]


#: A rule stands for every combination of its words. So many are compared with what is held, in all, and no more: a
#: body can hold a hundred thousand verbs and as many resources.
COMPARED_MAX = 500_000


class TooManyRules(ValueError):
    """The rules stand for more combinations than can be compared."""


class Grant:
    """One rule, compiled: which verbs, on which resources and names, or on which paths."""

    __slots__ = ("groups", "names", "paths", "resources", "rule", "verbs")

    def __init__(self, rule: Json) -> None:
        self.rule = rule
        self.verbs = frozenset(rule.get("verbs") or ())
        self.groups = frozenset(rule.get("apiGroups") or ())
        self.resources = frozenset(rule.get("resources") or ())
        self.names = frozenset(rule.get("resourceNames") or ())
        self.paths = tuple(rule.get("nonResourceURLs") or ())

    def about(self, info: RequestInfo) -> bool:
        """Whether this rule covers the verb and the resource, or the path; `names` is left to be asked."""
        if info.verb not in self.verbs and "*" not in self.verbs:
            return False
        if not info.is_resource:
            return any(_path_covers(path, info.path) for path in self.paths)
        if info.group not in self.groups and "*" not in self.groups:
            return False
        resources = self.resources
        if "*" in resources:
            return True
        if not info.subresource:
            return info.resource in resources
        return f"{info.resource}/{info.subresource}" in resources or f"*/{info.subresource}" in resources

    def allows(self, info: RequestInfo) -> bool:
        """Whether this rule covers what is asked."""
        return self.about(info) and (not self.names or not info.is_resource or info.name in self.names)

    def covers(self, at: At, verb: str) -> bool:
        """Whether it grants one verb on one thing of another rule."""
        path, group, resource, name = at
        if verb not in self.verbs and "*" not in self.verbs:
            return False
        if path:
            return any(_path_covers(each, path) for each in self.paths)
        if group not in self.groups and "*" not in self.groups:
            return False
        if self.names and name not in self.names:
            return False
        if "*" in self.resources or resource in self.resources:
            return True
        return "/" in resource and f"*/{resource.partition('/')[2]}" in self.resources


def _path_covers(pattern: str, path: str) -> bool:
    return pattern == "*" or pattern == path or (pattern.endswith("*") and path.startswith(pattern.rstrip("*")))


def missing_rules(wanted: Iterable[Json], held: Iterable[Json | Grant], compared_max: int = 0) -> list[Json]:
    """What of `wanted` no held rule covers, one rule per resource with the verbs that are missing, in order.

    Raises TooManyRules where that takes more comparisons than `compared_max` (0: any number); never for who holds
    everything.
    """
    grants = [each if isinstance(each, Grant) else Grant(each) for each in held]
    left = [rule for rule in wanted if not any(_covers_all(each, rule) for each in grants)]
    if compared_max and sum(map(_combinations, left)) * max(1, len(grants)) > compared_max:
        raise TooManyRules(
            f"the rules stand for {sum(map(_combinations, left))} combinations of verbs and resources, more than can "
            "be compared with what is held: write fewer at a time"
        )
    missing = (
        (at, verb) for rule in left for at, verb in _pieces(rule) if not any(each.covers(at, verb) for each in grants)
    )
    return _merged(missing)


def _covers_all(grant: Grant, rule: Json) -> bool:
    """One held rule covers every word of a wanted one by its asterisks."""
    if "*" not in grant.verbs or rule.get("nonResourceURLs"):
        return False
    return "*" in grant.groups and "*" in grant.resources and not grant.names


def _combinations(rule: Json) -> int:
    def count(part: str) -> int:
        return len(rule.get(part) or ())

    of_resources = count("apiGroups") * count("resources") * max(1, count("resourceNames"))
    return count("verbs") * (of_resources + count("nonResourceURLs"))


def compact(rules: Iterable[Json]) -> list[Json]:
    """The same rules, with one rule for each resource."""
    return _merged(piece for rule in rules for piece in _pieces(rule))


def _merged(pieces: Iterable[tuple[At, str]]) -> list[Json]:
    verbs_of: dict[At, list[str]] = {}
    for at, verb in pieces:
        verbs = verbs_of.setdefault(at, [])
        if verb not in verbs:
            verbs.append(verb)
    found: list[Json] = []
    for (path, group, resource, name), verbs in verbs_of.items():
        if path:
            # The original merges the verbs of resources only.
            found += [{"nonResourceURLs": [path], "verbs": [verb]} for verb in verbs]
        else:
            named = {"resourceNames": [name]} if name else {}
            found.append({"apiGroups": [group], "resources": [resource], **named, "verbs": verbs})
    return sorted(found, key=shown)


def _pieces(rule: Json) -> Iterator[tuple[At, str]]:
    for verb in rule.get("verbs") or ():
        for path in rule.get("nonResourceURLs") or ():
            yield (path, "", "", ""), verb
        for group in rule.get("apiGroups") or ():
            for resource in rule.get("resources") or ():
                for name in rule.get("resourceNames") or ("",):
                    yield ("", group, resource, name), verb


_SHOWN = (("apiGroups", "APIGroups"), ("resources", "Resources"), ("nonResourceURLs", "NonResourceURLs"),
          ("resourceNames", "ResourceNames"), ("verbs", "Verbs"))  # fmt: skip


def shown(rule: Json) -> str:
    """A rule as refusals show it: `{APIGroups:[""], Resources:["pods"], Verbs:["get" "list"]}`."""
    parts = [f"{label}:[{' '.join(_quoted(each) for each in rule[part])}]" for part, label in _SHOWN if rule.get(part)]
    return "{" + ", ".join(parts) + "}"


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
