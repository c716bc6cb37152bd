"""The audit policy file: what is told of which requests."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path as FilePath
from typing import Any

from kaa.base.lazy import Lazy
from kaa.meta import names
from kaa.meta.problems import Path, Problem, invalid, not_supported, required
from kaa.server.request import RequestInfo, User

yaml = Lazy("yaml")

__all__ = ["LEVELS", "NOTHING", "STAGES", "AuditPolicyError", "Policy", "Ruling", "load_policy", "parse_policy"]

Json = dict[str, Any]

LEVELS = ("None", "Metadata", "Request", "RequestResponse")
STAGES = ("RequestReceived", "ResponseStarted", "ResponseComplete", "Panic")
_POLICY_FIELDS = ("apiVersion", "kind", "metadata", "rules", "omitStages", "omitManagedFields")
_RULE_FIELDS = (
    "level", "users", "userGroups", "verbs", "resources", "namespaces", "nonResourceURLs", "omitStages",
    "omitManagedFields",
)  # fmt: skip
_RESOURCE_FIELDS = ("group", "resources", "resourceNames")
_LISTS = ("users", "userGroups", "verbs", "namespaces", "nonResourceURLs", "omitStages")


class AuditPolicyError(ValueError):
    """The file can't be used; the text says what to mend."""


@dataclass(frozen=True, slots=True)
class Ruling:
    """What is told of a request. `level` counts from 0 (None) to 3 (RequestResponse)."""

    level: int
    omit_stages: frozenset[str] = frozenset()
    omit_managed_fields: bool = False


NOTHING = Ruling(0)

Fits = Callable[[User, RequestInfo], bool]


class Policy:
    """Rules in order. The first that fits decides."""

    def __init__(self, rules: Sequence[tuple[Fits, Ruling]]) -> None:
        self._rules = tuple(rules)

    def of(self, user: User, info: RequestInfo) -> Ruling:
        """What is told of this request; NOTHING where no rule fits."""
        for fits, ruling in self._rules:
            if fits(user, info):
                return ruling
        return NOTHING


def load_policy(path: FilePath) -> Policy:
    """Read the file. Raises AuditPolicyError with every problem of it."""
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise AuditPolicyError(f'failed to read file path "{path}": {error.strerror}') from error
    try:
        return parse_policy(raw)
    except AuditPolicyError as error:
        raise AuditPolicyError(f'{error}: from file "{path}"') from error


def parse_policy(raw: bytes) -> Policy:
    """From the contents of a file. Raises AuditPolicyError."""
    try:
        document = yaml.safe_load(raw)
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        raise AuditPolicyError(f"failed decoding: {error}") from error
    if not isinstance(document, dict) or document.get("kind") != "Policy":
        raise AuditPolicyError("failed decoding: it must be kind Policy, apiVersion audit.k8s.io/v1")
    if document.get("apiVersion") != "audit.k8s.io/v1":
        raise AuditPolicyError(f"unknown group version field {document.get('apiVersion')} in policy")
    problems = list(_validate(document))
    if problems:
        text = ", ".join(map(str, problems))
        raise AuditPolicyError(text if len(problems) == 1 else f"[{text}]")
    if not document.get("rules"):
        raise AuditPolicyError("loaded illegal policy with 0 rules")
    omitted, managed = document.get("omitStages") or (), bool(document.get("omitManagedFields"))
    return Policy([(_fits(rule), _ruling(rule, omitted, managed)) for rule in document["rules"]])


# --- rules of the file, in the wording of the original


def _validate(document: Json) -> Iterator[Problem]:
    yield from _unknown(document, _POLICY_FIELDS, Path())
    yield from _stages(document.get("omitStages"), Path("omitStages"))
    rules = document.get("rules") or []
    if not isinstance(rules, list):
        yield invalid(Path("rules"), str(type(rules).__name__), "must be a list")
        return
    for at, rule in enumerate(rules):
        here = Path("rules")[at]
        if not isinstance(rule, dict):
            yield invalid(here, str(rule), "must be a mapping")
            continue
        yield from _rule(rule, here)


def _unknown(part: Json, known: Sequence[str], path: Path) -> Iterator[Problem]:
    for name in part:
        if name not in known:
            yield invalid(path / str(name), part[name], f"unknown field; there are {', '.join(known)}")


def _stages(stages: Any, path: Path) -> Iterator[Problem]:
    for at, stage in enumerate(stages if isinstance(stages, list) else ()):
        if stage not in STAGES:
            yield invalid(path[at], stage, f"allowed stages are {','.join(STAGES)}")


def _rule(rule: Json, path: Path) -> Iterator[Problem]:
    yield from _unknown(rule, _RULE_FIELDS, path)
    level = rule.get("level")
    if not level:
        yield required(path / "level")
    elif level not in LEVELS:
        yield not_supported(path / "level", level, LEVELS, as_given=True)
    wrong = False
    for name in _LISTS:
        value = rule.get(name) or []
        if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
            yield invalid(path / name, str(value), "must be a list of strings")
            wrong = True
    if wrong:
        return
    for at, url in enumerate(rule.get("nonResourceURLs") or ()):
        here = (path / "nonResourceURLs")[at]
        if url == "*":
            continue
        if not url.startswith("/"):
            yield invalid(here, url, "non-resource URL rules must begin with a '/' character")
        if "*" in url[:-1]:
            yield invalid(here, url, "non-resource URL wildcards '*' must be the final character of the rule")
    yield from _resources(rule.get("resources") or [], path / "resources")
    yield from _stages(rule.get("omitStages"), path / "omitStages")
    if rule.get("nonResourceURLs") and (rule.get("resources") or rule.get("namespaces")):
        yield invalid(
            path / "nonResourceURLs", rule["nonResourceURLs"],
            "rules cannot apply to both regular resources and non-resource URLs",
        )  # fmt: skip


def _resources(listed: Any, path: Path) -> Iterator[Problem]:
    for at, each in enumerate(listed if isinstance(listed, list) else [None]):
        if not isinstance(each, dict):
            yield invalid(path[at], str(each), "must be a mapping with group and resources")
            continue
        yield from _unknown(each, _RESOURCE_FIELDS, path[at])
        group = each.get("group") or ""
        if group and (wrong := names.dns1123_subdomain(group)):
            yield invalid(path / "group", group, ",".join(wrong))
        if each.get("resourceNames") and not each.get("resources"):
            yield invalid(
                path / "resourceNames", each["resourceNames"], "using resourceNames requires at least one resource"
            )


# --- what a rule comes to


def _ruling(rule: Json, omitted: Sequence[str], managed: bool) -> Ruling:
    own = rule.get("omitManagedFields")
    return Ruling(
        LEVELS.index(rule["level"]),
        frozenset(omitted) | frozenset(rule.get("omitStages") or ()),
        managed if own is None else bool(own),
    )


def _fits(rule: Json) -> Fits:
    """The rule as one function: only what it mentions is looked at."""
    checks: list[Fits] = []
    if users := frozenset(rule.get("users") or ()):
        checks.append(lambda user, info: user.name in users)
    if groups := frozenset(rule.get("userGroups") or ()):
        checks.append(lambda user, info: not groups.isdisjoint(user.groups))
    if verbs := frozenset(rule.get("verbs") or ()):
        checks.append(lambda user, info: info.verb in verbs)
    namespaces, resources = frozenset(rule.get("namespaces") or ()), rule.get("resources") or ()
    if namespaces or resources:
        checks.append(lambda user, info: info.is_resource)
        if namespaces:
            checks.append(lambda user, info: info.namespace in namespaces)
        if resources:
            checks.append(_fits_resource(resources))
    elif urls := tuple(rule.get("nonResourceURLs") or ()):
        exact = frozenset(urls)
        starts = tuple(each[:-1] for each in urls if each.endswith("*"))
        checks.append(lambda user, info: not info.is_resource
                      and (info.path in exact or (bool(starts) and info.path.startswith(starts))))  # fmt: skip
    if len(checks) == 1:
        return checks[0]

    def fits(user: User, info: RequestInfo) -> bool:
        return all(check(user, info) for check in checks)

    return fits


def _fits_resource(listed: Sequence[Json]) -> Fits:
    by_group: dict[str, list[tuple[tuple[str, ...], frozenset[str]]]] = {}
    for each in listed:
        entry = tuple(each.get("resources") or ()), frozenset(each.get("resourceNames") or ())
        by_group.setdefault(each.get("group") or "", []).append(entry)

    def fits(user: User, info: RequestInfo) -> bool:
        for resources, only in by_group.get(info.group, ()):
            if not resources:
                return True
            if only and info.name not in only:
                continue
            sub = info.subresource
            whole = f"{info.resource}/{sub}" if sub else info.resource
            for each in resources:
                if each in (whole, "*"):
                    return True
                if sub and each.startswith("*/") and each[2:] == sub:
                    return True
                if each.endswith("/*") and each[:-2] == info.resource:
                    return True
        return False

    return fits
