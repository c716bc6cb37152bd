"""What workloads have in common: a selector, a template it matches, a count, and how tables show their containers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from kaa.kinds import checks
from kaa.kinds.core.podcheck import validate_template
from kaa.meta.problems import Path, Problem, forbidden_field, invalid, not_supported, required

__all__ = ["container_cells", "format_selector", "selector_problems", "template_problems"]

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


def template_problems(
    spec: Json, path: Path, *, policies: Iterable[str] = ("Always",), matched: bool = True, kind: str = "ReplicaSet"
) -> Iterator[Problem]:
    """The pod template: valid, matched by the selector, with a restart policy the workload can work with."""
    template = spec.get("template") or {}
    here = path / "template"
    selector = spec.get("selector")
    if matched and selector is not None and not checks.is_empty(selector):
        found = (template.get("metadata") or {}).get("labels") or {}
        if not checks.selector_matches(selector, found):
            yield invalid(here / "metadata" / "labels", found, "`selector` does not match template `labels`")
    yield from validate_template(template, here)
    inner = template.get("spec") or {}
    policy = inner.get("restartPolicy", "")
    if policy not in policies:
        yield not_supported(here / "spec" / "restartPolicy", policy, policies)
    if inner.get("activeDeadlineSeconds") is not None and policies == ("Always",):
        yield forbidden_field(
            here / "spec" / "activeDeadlineSeconds", f"activeDeadlineSeconds in {kind} is not Supported"
        )


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
