"""What workloads have in common: a selector, a template it matches, a count, and how tables show their containers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from kaa.kinds import checks
from kaa.kinds.core.podcheck import validate_template
from kaa.kinds.core.podwarn import template_warnings
from kaa.meta import names
from kaa.meta.problems import Path, Problem, forbidden_field, invalid, not_supported, required

__all__ = [
    "always_problems",
    "container_cells",
    "decremented",
    "format_selector",
    "match_problems",
    "name_warnings",
    "selector_problems",
    "template_problems",
    "workload_warnings",
]

Json = dict[str, Any]


def selector_problems(spec: Json, path: Path, kind: str) -> Iterator[Problem]:
    """A selector there must be, and an empty one would own every pod."""
    selector = spec.get("selector")
    if selector is None:
        yield required(path / "selector")
        return
    yield from checks.label_selector(selector, path / "selector")
    if checks.is_empty(selector):
        yield invalid(path / "selector", selector, f"empty selector is invalid for {kind}")


def template_problems(spec: Json, path: Path, *, kind: str = "ReplicaSet") -> Iterator[Problem]:
    """The pod template of a workload that runs on: valid, matched by the selector, restarting always."""
    template = spec.get("template") or {}
    here = path / "template"
    if not checks.is_empty(spec.get("selector")):
        yield from match_problems(spec, here)
    yield from validate_template(template, here)
    yield from always_problems(template, here, kind)


def match_problems(spec: Json, path: Path) -> Iterator[Problem]:
    """The selector selects what the template makes. `path` is the template's."""
    found = ((spec.get("template") or {}).get("metadata") or {}).get("labels") or {}
    if not checks.selector_matches(spec.get("selector") or {}, found):
        shown = dict(sorted(found.items())) or None
        yield invalid(path / "metadata" / "labels", shown, "`selector` does not match template `labels`")


def always_problems(template: Json, path: Path, kind: str) -> Iterator[Problem]:
    """A workload that runs on restarts its pods, and gives them no deadline."""
    inner = template.get("spec") or {}
    policy = inner.get("restartPolicy", "")
    if policy != "Always":
        yield not_supported(path / "spec" / "restartPolicy", policy, ("Always",))
    if inner.get("activeDeadlineSeconds") is not None:
        yield forbidden_field(
            path / "spec" / "activeDeadlineSeconds", f"activeDeadlineSeconds in {kind} is not Supported"
        )


def workload_warnings(obj: Json, old: Json | None, *, named: bool = True) -> Iterator[str]:
    """What the writer of a workload is warned of: its name, which its pods' host names begin with, and its template."""
    if old is None and named:
        yield from name_warnings(obj)
    template = (obj.get("spec") or {}).get("template")
    if old is None or template != (old.get("spec") or {}).get("template"):
        yield from template_warnings(template, "spec.template")


def name_warnings(obj: Json) -> Iterator[str]:
    """A name that no host can have makes pods that are not called as they are."""
    wrongs = names.dns1123_label(obj["metadata"].get("name", ""))
    if wrongs:
        yield (
            "metadata.name: this is used in Pod names and hostnames, which can result in surprising behavior; "
            f"a DNS label is recommended: [{' '.join(wrongs)}]"
        )


def decremented(status: Json, was: Json, path: Path) -> Iterator[Problem]:
    """The count of hash collisions, which only grows."""
    count, before = status.get("collisionCount"), was.get("collisionCount")
    if before is not None and (count is None or count < before):
        yield invalid(path / "collisionCount", count or 0, "cannot be decremented")


def format_selector(selector: Json | None) -> str:
    """A LabelSelector as `kubectl get -o wide` shows it."""
    if selector is None:
        return "<none>"
    if checks.is_empty(selector):
        return "<none>"
    terms = [(key, f"{key}={value}") for key, value in (selector.get("matchLabels") or {}).items()]
    for each in selector.get("matchExpressions") or ():
        key, values = each.get("key", ""), ",".join(sorted(each.get("values") or ()))
        text = {
            "In": f"{key} in ({values})",
            "NotIn": f"{key} notin ({values})",
            "Exists": key,
            "DoesNotExist": f"!{key}",
        }.get(each.get("operator", ""), key)
        terms.append((key, text))
    return ",".join(text for _, text in sorted(terms))


def container_cells(template: Json | None) -> list[str]:
    """Names and images of a template's containers."""
    containers = ((template or {}).get("spec") or {}).get("containers") or ()
    return [
        ",".join(each.get("name", "") for each in containers),
        ",".join(each.get("image", "") for each in containers),
    ]
