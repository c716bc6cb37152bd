"""CustomResourceDefinitions for tests."""

from typing import Any

from tests.server.world import Api

from kaa.base.clock import REAL

Json = dict[str, Any]

CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"


def version(name: str = "v1", schema: Json | None = None, **more: Any) -> Json:
    """One version. `schema` is of `spec`; by default anything goes in it."""
    spec = schema if schema is not None else {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    properties = {"spec": spec, "status": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}
    return {"name": name, "served": True, "storage": name == "v1",
            "schema": {"openAPIV3Schema": {"type": "object", "properties": properties}}, **more}  # fmt: skip


def definition(*versions: Json, kind: str = "Widget", group: str = "example.com", scope: str = "Namespaced",
               names: Json | None = None, **spec: Any) -> Json:  # fmt: skip
    """A definition of `widgets.example.com`, or whatever kind is asked for."""
    plural = kind.lower() + "s"
    return {
        "kind": "CustomResourceDefinition",
        "apiVersion": "apiextensions.k8s.io/v1",
        "metadata": {"name": f"{plural}.{group}"},
        "spec": {"group": group, "scope": scope, "names": {"kind": kind, "plural": plural, **(names or {})},
                 "versions": list(versions) or [version()], **spec},
    }  # fmt: skip


async def define(api: Api, crd: Json, seconds: float = 5.0) -> Json:
    """Create a definition, and wait until it is established."""
    (await api.post(CRDS, crd)).ok(201)
    return await until(api, crd["metadata"]["name"], "Established", "True", seconds)


async def until(api: Api, name: str, kind: str, value: str, seconds: float = 5.0) -> Json:
    """Wait for a condition of a definition."""
    deadline = REAL.monotonic() + seconds
    while True:
        found = (await api.get(f"{CRDS}/{name}")).ok()
        conditions = {each["type"]: each["status"] for each in found.get("status", {}).get("conditions", ())}
        if conditions.get(kind) == value:
            return found
        assert REAL.monotonic() < deadline, found.get("status")
        await REAL.sleep(0.002)


WIDGETS = "/apis/example.com/v1/namespaces/default/widgets"


def widget(name: str, api_version: str = "example.com/v1", /, **spec: Any) -> Json:
    return {"kind": "Widget", "apiVersion": api_version, "metadata": {"name": name}, "spec": spec}
