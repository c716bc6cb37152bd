"""`binding` and `eviction` of pods."""

from dataclasses import replace
from typing import Any

from kaa.base.clock import format_seconds
from kaa.http.api import Answer
from kaa.meta import errors, selectors
from kaa.server.admission.api import Attributes
from kaa.server.call import Call
from kaa.server.objects import served_form
from kaa.server.verbs import deletions, writes
from kaa.server.verbs.bodies import read_part

__all__ = ["bind", "bind_by_name", "evict", "resize"]

Json = dict[str, Any]


def _success(status: int = 201) -> Json:
    return {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": status}


async def bind(call: Call) -> Answer:
    """POST of a Binding: the pod belongs to a node from now on, once and for all."""
    if call.info.verb != "create":
        raise errors.method_not_allowed(call.spec.resource, call.info.verb)
    body = read_part(call, "v1", "Binding")
    _check_name(call, body)
    return await _bind(call, body)


async def bind_by_name(call: Call) -> Answer:
    """POST of a Binding to the collection of bindings, which is the older way: the pod is named in its metadata."""
    body = read_part(call, "v1", "Binding")
    pods = call.parts.registry.get("", "v1", "pods")
    assert pods is not None
    name = body["metadata"].get("name") or ""
    if not name:
        raise errors.bad_request("the Binding names no pod: set metadata.name")
    info = replace(call.info, resource="pods", subresource="binding", name=name)
    return await _bind(replace(call, info=info, spec=pods), body)


async def _bind(call: Call, body: Json) -> Answer:
    target = body.get("target") or {}
    node = target.get("name")
    if target.get("kind") not in (None, "", "Node") or not node:
        raise errors.StatusError(
            422, "Invalid", f'Binding "{call.info.name}" is invalid: target.name: Required value: name a Node'
        )
    sent = body.get("metadata") or {}
    now = format_seconds(call.clock.now())

    def change(pod: Json) -> Json:
        spec, meta = pod["spec"], pod["metadata"]
        if sent.get("uid") and sent["uid"] != meta["uid"]:
            raise errors.conflict(
                call.spec.resource, call.info.name,
                f"Precondition failed: UID in precondition: {sent['uid']}, UID in object meta: {meta['uid']}",
            )  # fmt: skip
        if meta.get("deletionTimestamp"):
            raise errors.conflict(
                call.spec.resource,
                call.info.name,
                f"pod {call.info.name} is being deleted, cannot be assigned to a host",
            )
        if spec.get("nodeName"):
            raise errors.conflict(
                call.spec.resource, call.info.name,
                f"pod {call.info.name} is already assigned to node \"{spec['nodeName']}\"",
            )  # fmt: skip
        if spec.get("schedulingGates"):
            raise errors.conflict(
                call.spec.resource, call.info.name, f"pod {call.info.name} has non-empty .spec.schedulingGates"
            )
        spec["nodeName"] = node
        if sent.get("annotations"):
            meta.setdefault("annotations", {}).update(sent["annotations"])
        status = pod.setdefault("status", {})
        conditions = [each for each in status.get("conditions") or () if each["type"] != "PodScheduled"]
        conditions.append(
            {"type": "PodScheduled", "status": "True", "lastProbeTime": None, "lastTransitionTime": now,
             **({"observedGeneration": meta["generation"]} if meta.get("generation") else {})}
        )  # fmt: skip
        status["conditions"] = conditions
        return pod

    await writes.change_object(call, change, trusted=True)
    return writes.answer_plain(call, _success(), 201)


def resize(call: Call) -> Any:
    """Refused by name: no kubelet of this release resizes a running pod."""
    raise errors.StatusError(
        501, "NotImplemented",
        "pods/resize is not served by this release: change the template of the pod's controller instead",
    )  # fmt: skip


async def evict(call: Call) -> Answer:
    """POST of an Eviction: a deletion that the pod's disruption budgets may refuse for now."""
    if call.info.verb != "create":
        raise errors.method_not_allowed(call.spec.resource, call.info.verb)
    body = read_part(call, "policy/v1", "Eviction")
    _check_name(call, body)
    options = deletions.options_of(call, body.get("deleteOptions") or {})
    entry = call.objects.get(call.spec, call.namespace, call.info.name)
    pod = served_form(call.spec, entry)
    attributes = Attributes("CREATE", call.spec, call.namespace, call.info.name, "eviction", body, pod,
                            call.user, call.dry_run, warnings=call.warnings)  # fmt: skip
    await call.parts.admission.mutate(attributes)
    await call.parts.admission.validate(attributes)
    if not _already_down(pod):
        await _spend_budget(call, pod)
    await deletions.delete_object(call, options)
    return writes.answer_plain(call, _success(), 201)


def _check_name(call: Call, body: Json) -> None:
    name = body["metadata"].get("name") or call.info.name
    if name != call.info.name:
        raise errors.bad_request(
            f"name in URL does not match name in {body['kind']} object: {call.info.name} and {name}: "
            "name the pod in both"
        )


def _already_down(pod: Json) -> bool:
    """Evicting what is finished, pending or already going disturbs nobody."""
    status = pod.get("status") or {}
    return status.get("phase") in ("Succeeded", "Failed", "Pending", None) or bool(
        pod["metadata"].get("deletionTimestamp")
    )


def _is_ready(pod: Json) -> bool:
    conditions = (pod.get("status") or {}).get("conditions") or ()
    return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)


async def _spend_budget(call: Call, pod: Json) -> None:
    """Take one allowed disruption from the pod's budget; 429 when there is none."""
    budgets = call.parts.registry.get("policy", "v1", "poddisruptionbudgets")
    assert budgets is not None
    labels = pod["metadata"].get("labels") or {}
    matching = []
    for entry in call.objects.of(budgets).in_namespace(call.namespace):
        budget = entry.decode()
        if selectors.from_object((budget.get("spec") or {}).get("selector")).matches(labels):
            matching.append((entry, budget))
    if not matching:
        return
    if len(matching) > 1:
        raise errors.internal(
            "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support."
        )
    entry, budget = matching[0]
    status = budget.get("status") or {}
    if not _is_ready(pod):
        policy = (budget.get("spec") or {}).get("unhealthyPodEvictionPolicy")
        desired = status.get("desiredHealthy", 0)
        if policy == "AlwaysAllow" or (desired > 0 and status.get("currentHealthy", 0) >= desired):
            return  # it serves nobody, so nothing is lost with it
    name = budget["metadata"]["name"]
    if status.get("observedGeneration", 0) < budget["metadata"].get("generation", 0):
        error = errors.too_many_requests("Cannot evict pod as it would violate the pod's disruption budget.", 10)
        error.details["causes"] = [{
            "reason": "DisruptionBudget",
            "message": f"The disruption budget {name} is still being processed by the server.",
        }]  # fmt: skip
        raise error
    if status.get("disruptionsAllowed", 0) <= 0:
        error = errors.too_many_requests("Cannot evict pod as it would violate the pod's disruption budget.", 0)
        error.details = {"causes": [{
            "reason": "DisruptionBudget",
            "message": f"The disruption budget {name} needs {status.get('desiredHealthy', 0)} healthy pods and has "
            f"{status.get('currentHealthy', 0)} currently",
        }]}  # fmt: skip
        raise error
    if call.dry_run:
        return
    status["disruptionsAllowed"] -= 1
    status.setdefault("disruptedPods", {})[pod["metadata"]["name"]] = format_seconds(call.clock.now())
    if await call.objects.replace(budgets, budget, entry) is None:
        raise errors.too_many_requests("Cannot evict pod: its disruption budget is changing, please try again", 1)
