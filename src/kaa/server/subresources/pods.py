"""`binding` and `resize` of pods."""

from collections.abc import Awaitable
from dataclasses import replace
from typing import Any

from kaa.base.clock import format_seconds
from kaa.http.api import Answer
from kaa.meta import errors
from kaa.meta.problems import Path, not_supported, required
from kaa.meta.resource import Resource
from kaa.server.call import Call
from kaa.server.subresources.answers import success
from kaa.server.verbs import patches, reads, writeoptions, writes
from kaa.server.verbs.bodies import read_part

__all__ = ["bind", "bind_by_name", "resize"]

Json = dict[str, Any]

#: Conflicts of bindings name the subresource.
_BINDINGS = Resource("", "v1", "pods/binding", "Binding", True)
NOT_RESIZED = (
    "the kubelets of this release resize no running container: what a pod was started with stays until it is made anew"
)


async def bind(call: Call) -> Answer:
    """POST of a Binding: the pod belongs to a node from now on, once and for all."""
    if call.info.verb != "create":
        raise errors.method_not_allowed(call.spec.resource, call.info.verb)
    writeoptions.check(call, "CreateOptions")
    body = read_part(call, "v1", "Binding")
    if body["metadata"].get("name") != call.info.name:
        raise errors.bad_request("name in URL does not match name in Binding object")
    return await _bind(call, body, call)


async def bind_by_name(call: Call) -> Answer:
    """POST of a Binding to the collection of bindings, which is the older way: the pod is named in its metadata."""
    writeoptions.check(call, "CreateOptions")
    body = read_part(call, "v1", "Binding")
    pods = call.parts.registry.get("", "v1", "pods")
    assert pods is not None
    name = body["metadata"].get("name") or ""
    if not name:
        raise errors.bad_request("the Binding names no pod: set metadata.name")
    info = replace(call.info, resource="pods", subresource="binding", name=name)
    return await _bind(replace(call, info=info, spec=pods), body, call)


async def _bind(call: Call, body: Json, asked: Call) -> Answer:
    target, name = body.get("target") or {}, call.info.name
    node, path = target.get("name"), Path() / "target"
    found = []
    if target.get("kind") not in (None, "", "Node"):
        found.append(not_supported(path / "kind", target["kind"], ("<empty>", "Node")))
    if not node:
        found.append(required(path / "name"))
    if found:
        raise errors.invalid(replace(call.spec.resource, kind="Binding"), name, found)
    sent = body.get("metadata") or {}
    call.objects.get(call.spec, call.namespace, name)  # 404 before anything else is said
    attributes = asked.attributes("CREATE", body, None, name=name, options="CreateOptions")
    await call.parts.admission.mutate(attributes)
    await call.parts.admission.validate(attributes)
    node, sent = (body.get("target") or {}).get("name") or node, body.get("metadata") or {}
    now = format_seconds(call.clock.now())

    def change(pod: Json) -> Json:
        spec, meta = pod["spec"], pod["metadata"]
        if sent.get("uid") and sent["uid"] != meta["uid"]:
            raise writes.uid_conflict(call, sent["uid"], meta["uid"])
        if sent.get("resourceVersion") and sent["resourceVersion"] != meta["resourceVersion"]:
            raise errors.conflict(call.spec.resource, name, writes.MODIFIED)
        if meta.get("deletionTimestamp"):
            raise errors.conflict(_BINDINGS, name, f"pod {name} is being deleted, cannot be assigned to a host")
        if spec.get("nodeName"):
            raise errors.conflict(_BINDINGS, name, f'pod {name} is already assigned to node "{spec["nodeName"]}"')
        if spec.get("schedulingGates"):
            raise errors.conflict(_BINDINGS, name, f"pod {name} has non-empty .spec.schedulingGates")
        spec["nodeName"] = node
        for field in ("annotations", "labels"):
            if sent.get(field):
                meta[field] = {**(meta.get(field) or {}), **sent[field]}
        status = pod.setdefault("status", {})
        conditions = [each for each in status.get("conditions") or () if each["type"] != "PodScheduled"]
        conditions.append(
            {"type": "PodScheduled", "status": "True", "lastProbeTime": None, "lastTransitionTime": now,
             **({"observedGeneration": meta["generation"]} if meta.get("generation") else {})}
        )  # fmt: skip
        status["conditions"] = conditions
        return pod

    await writes.change_object(call, change, trusted=True)
    return writes.answer_plain(call, success(201), 201)


def resize(call: Call) -> Answer | Awaitable[Answer]:
    """get, update and patch of `resize`: resources of containers, of a pod that nobody runs yet.

    A pod that runs on a node which tells no resources of its containers is refused by the rules; one that is on its
    way there is warned of it.
    """
    verb = call.info.verb
    if verb == "get":
        return reads.get(call)
    if verb not in ("update", "patch"):
        raise errors.method_not_allowed(call.spec.resource, verb)
    entry = call.objects.find(call.spec, call.namespace, call.info.name)
    if entry is not None and entry.fields.get("spec.nodeName"):
        call.warnings.append(NOT_RESIZED)
    return writes.update(call) if verb == "update" else patches.patch_object(call)
