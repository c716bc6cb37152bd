"""Objects for tables of cases, decoded, defaulted and prepared as a create would leave them."""

from typing import Any

from kaa.kinds.registry import builtin
from kaa.kinds.spec import KindSpec

REGISTRY = builtin()
Json = dict[str, Any]


def spec_of(api_version: str, kind: str) -> KindSpec:
    found = REGISTRY.by_kind(api_version, kind)
    assert found is not None, f"{api_version} {kind} is not served"
    return found


def created(obj: Json) -> tuple[Json, list[str]]:
    """The object as it would be stored, and the problems that a create would be refused for."""
    spec = spec_of(obj["apiVersion"], obj["kind"])
    meta = obj.setdefault("metadata", {})
    meta.setdefault("name", "x")
    if spec.namespaced:
        meta.setdefault("namespace", "default")
    out, unknown = spec.decode(obj)
    assert unknown == []
    spec.default(out)
    meta.setdefault("uid", "u-1")
    spec.prepare_create(out)
    return out, [str(problem) for problem in spec.validate_create(out)]


def updated(new: Json, old: Json) -> list[str]:
    """The problems that an update would be refused for. `new` is prepared in place."""
    spec = spec_of(old["apiVersion"], old["kind"])
    spec.decode(new)
    spec.default(new)
    spec.prepare_update(new, old)
    return [str(problem) for problem in [*spec.validate(new), *spec.validate_update(new, old)]]


def container(**more: Any) -> Json:
    return {"name": "c", "image": "nginx:1", **more}


def pod(**spec: Any) -> Json:
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {}, "spec": {"containers": [container()], **spec}}


def template(labels: Json | None = None, **spec: Any) -> Json:
    return {"metadata": {"labels": labels or {"app": "web"}}, "spec": {"containers": [container()], **spec}}


def workload(kind: str, **spec: Any) -> Json:
    selector = {"matchLabels": {"app": "web"}}
    return {"apiVersion": "apps/v1", "kind": kind, "metadata": {},
            "spec": {"selector": selector, "template": template(), **spec}}  # fmt: skip


def service(**spec: Any) -> Json:
    return {"apiVersion": "v1", "kind": "Service", "metadata": {}, "spec": {"ports": [{"port": 80}], **spec}}
