"""FlowSchemas: which requests belong to which priority level."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from kaa.kinds import formats, printing
from kaa.kinds.flowcontrol.fixed import SCHEMAS
from kaa.kinds.flowcontrol.status import validate_status
from kaa.kinds.row import name as _name
from kaa.kinds.row import spec as _spec
from kaa.kinds.row import status as _status
from kaa.kinds.spec import AGE_COLUMN, NAME_COLUMN, Column, Rules
from kaa.meta import names
from kaa.meta.problems import Path, Problem, forbidden_field, invalid, not_supported, required

__all__ = ["RULES"]

Json = dict[str, Any]
_SPEC = Path() / "spec"
PRECEDENCE_MAX = 10000
VERBS = ("create", "delete", "deletecollection", "get", "list", "patch", "proxy", "update", "watch")
#: Kind of a subject -> the field that says who.
_SUBJECTS = {"ServiceAccount": "serviceAccount", "User": "user", "Group": "group"}


def _default(obj: Json) -> None:
    spec = obj.setdefault("spec", {})
    spec["matchingPrecedence"] = spec.get("matchingPrecedence") or 1000


def _validate(obj: Json) -> Iterator[Problem]:
    spec, name = _spec(obj), _name(obj)
    precedence, here = spec.get("matchingPrecedence", 0), _SPEC / "matchingPrecedence"
    if precedence <= 0:
        yield invalid(here, precedence, "must be a positive value")
    if precedence > PRECEDENCE_MAX:
        yield invalid(here, precedence, f"must not be greater than {PRECEDENCE_MAX}")
    if precedence == 1 and name != "exempt":
        yield invalid(here, precedence, "only the schema named 'exempt' may have matchingPrecedence 1")
    method = spec.get("distinguisherMethod")
    if method is not None and method.get("type") not in ("ByNamespace", "ByUser"):
        shown = {"Type": method.get("type", "")}
        yield not_supported(_SPEC / "distinguisherMethod" / "type", shown, ("ByNamespace", "ByUser"))
    level, here = (spec.get("priorityLevelConfiguration") or {}).get("name", ""), _SPEC / "priorityLevelConfiguration"
    if level:
        yield from formats.each_wrong(names.dns1123_subdomain, level, here / "name")
    else:
        yield required(here / "name", "must reference a priority level")
    for at, rule in enumerate(spec.get("rules") or ()):
        yield from _rule(rule, (_SPEC / "rules")[at])
    if name in SCHEMAS and spec != SCHEMAS[name]:
        yield invalid(_SPEC, spec, f"spec of '{name}' must equal the fixed value")


def _rule(rule: Json, path: Path) -> Iterator[Problem]:
    for at, subject in enumerate(rule.get("subjects") or ()):
        yield from _subject(subject, (path / "subjects")[at])
    if not rule.get("subjects"):
        yield required(path / "subjects", "subjects must contain at least one value")
    if not rule.get("resourceRules") and not rule.get("nonResourceRules"):
        yield required(path, "at least one of resourceRules and nonResourceRules has to be non-empty")
    for at, each in enumerate(rule.get("resourceRules") or ()):
        yield from _resource_rule(each, (path / "resourceRules")[at])
    for at, each in enumerate(rule.get("nonResourceRules") or ()):
        yield from _path_rule(each, (path / "nonResourceRules")[at])


def _subject(subject: Json, path: Path) -> Iterator[Problem]:
    kind = subject.get("kind", "")
    ours = _SUBJECTS.get(kind)
    if ours is None:
        yield not_supported(path / "kind", kind, _SUBJECTS)
        return
    found = subject.get(ours)
    if found is None:
        yield required(path / ours, f"{ours} is required when subject kind is '{kind}'")
    else:
        yield from _who(found, kind, path / ours)
    for other, field in sorted(_SUBJECTS.items(), key=lambda pair: ("serviceAccount", "user", "group").index(pair[1])):
        if field != ours and subject.get(field) is not None:
            yield forbidden_field(path / field, f"{field} is forbidden when subject kind is not '{other}'")


def _who(found: Json, kind: str, path: Path) -> Iterator[Problem]:
    name = found.get("name", "")
    if not name:
        yield required(path / "name")
    elif kind == "ServiceAccount" and name != "*":
        yield from formats.each_wrong(names.dns1123_subdomain, name, path / "name")
    if kind == "ServiceAccount":
        if found.get("namespace"):
            yield from formats.each_wrong(names.dns1123_label, found["namespace"], path / "namespace")
        else:
            yield required(path / "namespace", "must specify namespace for service account")


def _verbs(verbs: list[str], path: Path) -> Iterator[Problem]:
    if not verbs:
        yield required(path, "verbs must contain at least one value")
    elif "*" in verbs:
        yield from _alone(verbs, path, "verbs")
    elif not set(verbs) <= set(VERBS):
        yield not_supported(path, verbs, VERBS)


def _alone(values: list[str], path: Path, what: str) -> Iterator[Problem]:
    if len(values) > 1 and "*" in values:
        yield invalid(path, values, f"if '*' is present, must not specify other {what}")


def _resource_rule(rule: Json, path: Path) -> Iterator[Problem]:
    yield from _verbs(rule.get("verbs") or [], path / "verbs")
    for field, one, other in (("apiGroups", "api group", "api groups"), ("resources", "resource", "resources")):
        values = rule.get(field) or []
        if not values:
            yield required(path / field, f"resource rules must supply at least one {one}")
        yield from _alone(values, path / field, other)
    namespaces, here = rule.get("namespaces") or [], path / "namespaces"
    if not namespaces and not rule.get("clusterScope"):
        yield required(here, "resource rules that are not cluster scoped must supply at least one namespace")
    elif "*" in namespaces:
        yield from _alone(namespaces, here, "namespaces")
    else:
        intro = "each member of this list must be '*' or a DNS-1123 label; "
        for at, each in enumerate(namespaces):
            for wrong in names.dns1123_label(each):
                yield invalid(here[at], each, intro + wrong)


def _path_rule(rule: Json, path: Path) -> Iterator[Problem]:
    yield from _verbs(rule.get("verbs") or [], path / "verbs")
    urls, here = rule.get("nonResourceURLs") or [], path / "nonResourceURLs"
    if not urls:
        yield required(here, "nonResourceURLs must contain at least one value")
    elif "*" in urls:
        yield from _alone(urls, here, "non-resource URLs")
    else:
        for at, each in enumerate(urls):
            wrong = next((text for holds, text in _URL_RULES if holds(each)), "")
            if each != "/" and wrong:
                yield invalid(here[at], each, wrong)


_URL_RULES: Iterable[tuple[Callable[[str], bool], str]] = (
    (lambda url: not url, "must not be empty"),
    (lambda url: not url.startswith("/"), "must start with slash"),
    (lambda url: " " in url, "must not contain white-space"),
    (lambda url: "//" in url, "must not contain double slash"),
    (
        lambda url: url.count("*") > 1 or ("*" in url and not url.endswith("/*")),
        "wildcard can only do suffix matching",
    ),
)


def _dangling(obj: Json) -> str:
    for each in _status(obj).get("conditions") or ():
        if each.get("type") == "Dangling":
            return str(each.get("status", ""))
    return "?"


RULES = Rules(
    default=_default,
    validate=_validate,
    complete=True,
    validate_status=validate_status,
    generation=True,
    columns=(
        NAME_COLUMN,
        Column("PriorityLevel", description="the level its requests belong to"),
        Column("MatchingPrecedence", description="of all schemas that match a request, the lowest counts"),
        Column("DistinguisherMethod", description="what makes requests different flows"),
        AGE_COLUMN,
        Column("MissingPL", description="whether the level it names is not there"),
    ),
    cells=lambda obj, now: [
        _name(obj),
        (_spec(obj).get("priorityLevelConfiguration") or {}).get("name", ""),
        _spec(obj).get("matchingPrecedence", 0),
        (_spec(obj).get("distinguisherMethod") or {}).get("type") or "<none>",
        printing.age(obj, now),
        _dangling(obj),
    ],
)
