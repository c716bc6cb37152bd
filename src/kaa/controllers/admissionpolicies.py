"""The status of validating admission policies: what their expressions say of fields that are not there."""

from __future__ import annotations

import asyncio
from typing import Any

from kaa import cel
from kaa.kinds.admissionregistration.typechecking import TYPES_MAX, resources_of, warnings
from kaa.kinds.registry import Registry, builtin
from kaa.kinds.spec import KindSpec
from kaa.kinds.views.admissionregistration import ValidatingAdmissionPolicy
from kaa.meta.errors import StatusError
from kaa.meta.resource import Resource
from kaa.runtime import Controller, For, Parts, Result, Session

__all__ = ["ValidatingAdmissionPolicyStatusController"]

Json = dict[str, Any]
Kind = tuple[str, str, str]

_DEFINITIONS = Resource(
    "apiextensions.k8s.io", "v1", "customresourcedefinitions", "CustomResourceDefinition", False,
    "customresourcedefinition",
)  # fmt: skip


def unseen(old: ValidatingAdmissionPolicy | None, new: ValidatingAdmissionPolicy | None) -> bool:
    """The spec has not been looked at yet."""
    return new is not None and _unseen(new)


def _unseen(policy: ValidatingAdmissionPolicy) -> bool:
    return policy.status.observed_generation < policy.metadata.generation


class ValidatingAdmissionPolicyStatusController(Controller[ValidatingAdmissionPolicy]):
    """Check the types of each policy's expressions, once per change of it."""

    name, component = "validatingadmissionpolicy-status", "validatingadmissionpolicy-status-controller"
    watches = (For(ValidatingAdmissionPolicy, when=unseen),)

    def __init__(self, parts: Parts) -> None:
        super().__init__(parts)
        self._builtin: Registry = builtin()

    async def reconcile(self, obj: ValidatingAdmissionPolicy, io: Session) -> Result | None:
        """Write what was found, and which generation it was found of."""
        if obj.deleting or not _unseen(obj):
            return None
        types: dict[Kind, cel.Type] = {}
        for resources in resources_of(obj.spec):
            count = 0
            for resource in resources:
                found = await self._type(io, *resource)
                if found is not None:
                    types.setdefault(*found)
                    count += 1
                if count == TYPES_MAX:
                    break
            if count == TYPES_MAX:
                break
        params = await self._params(io, obj.spec.get("paramKind"))
        # Types of kinds such as Pod take longer to make, and many expressions to check, than the loop may wait.
        told = await asyncio.to_thread(warnings, obj.spec, types, params)
        checking: Json = {"expressionWarnings": told} if told else {}
        await io.update_status(obj, {"observedGeneration": obj.metadata.generation, "typeChecking": checking})
        return None

    async def _type(self, io: Session, group: str, version: str, plural: str) -> tuple[Kind, cel.Type] | None:
        spec = self._builtin.get(group, version, plural)
        if spec is not None:
            made = await asyncio.to_thread(_of_builtin, spec)
            return ((group, version, spec.kind), made) if made is not None else None
        if not group:
            return None
        try:
            definition = await io.client.get_json(_DEFINITIONS, f"{plural}.{group}")
        except StatusError as error:
            if error.code == 404:
                return None  # nobody knows it yet; what is wrong is seen when the policy runs
            raise
        return _custom(definition, version)

    async def _params(self, io: Session, wanted: Json | None) -> cel.Type | None:
        if not wanted:
            return None
        group, _, version = wanted["apiVersion"].rpartition("/")
        spec = self._builtin.by_kind(wanted["apiVersion"], wanted["kind"])
        if spec is not None:
            return await asyncio.to_thread(_of_builtin, spec)
        for definition in (await io.client.list_json(_DEFINITIONS))["items"]:
            names = definition["spec"]["names"]
            if (definition["spec"]["group"], names["kind"]) == (group, wanted["kind"]):
                found = _custom(definition, version)
                return found[1] if found is not None else None
        return None


def _of_builtin(spec: KindSpec) -> cel.Type | None:
    return cel.type_of_definition(spec.schema)


def _custom(definition: Json, version: str) -> tuple[Kind, cel.Type] | None:
    spec = definition["spec"]
    for each in spec["versions"]:
        schema = (each.get("schema") or {}).get("openAPIV3Schema")
        if each["name"] == version and schema is not None:
            made = cel.type_of_openapi(schema, name=spec["names"]["kind"], resource_root=True)
            return ((spec["group"], version, spec["names"]["kind"]), made) if made is not None else None
    return None
