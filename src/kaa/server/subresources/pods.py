"""`binding`, `eviction` and `ephemeralcontainers` of pods."""

from typing import Any

from kaa.base.clock import format_seconds
from kaa.http.api import Answer
from kaa.meta import errors, selectors
from kaa.server.admission.api import Attributes
from kaa.server.call import Call
from kaa.server.objects import served_form
from kaa.server.verbs import deletions, patches, writes
from kaa.server.verbs.bodies import decode_body, read_object

__all__ = ["bind", "ephemeral_containers", "evict"]

Json = dict[str, Any]


def _success(status: int = 201) -> Json:
    return {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": status}


async def bind(call: Call) -> Answer:
    """POST of a Binding: the pod belongs to a node from now on, once and for all."""
    if call.info.verb != "create":
        raise errors.method_not_allowed(call.spec.resource, call.info.verb)
    body = decode_body(call.request)
    if not isinstance(body, dict) or body.get("kind", "Binding") != "Binding":
        raise errors.bad_request("the body is not a Binding")
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


async def ephemeral_containers(call: Call) -> Answer:
    """get, update and patch of the pod where only `spec.ephemeralContainers` may grow."""
    if call.info.verb == "get":
        entry = call.objects.get(call.spec, call.namespace, call.info.name)
        return writes.answer(call, entry)
    if call.info.verb == "update":
        sent = read_object(call, call.spec)

        def made(old: Json) -> Json:
            return sent
    elif call.info.verb == "patch":
        media = patches.media_type(call)
        body = decode_patch(call)

        def made(old: Json) -> Json:
            return patches.apply_patch(call, media, old, body)
    else:
        raise errors.method_not_allowed(call.spec.resource, call.info.verb)

    def change(old: Json) -> Json:
        new = made(served(old))
        was = old["spec"].get("ephemeralContainers") or []
        now = (new.get("spec") or {}).get("ephemeralContainers") or []
        kept = {each["name"]: each for each in now}
        if any(kept.get(each["name"]) != each for each in was):
            raise errors.StatusError(
                422, "Invalid",
                f'Pod "{call.info.name}" is invalid: spec.ephemeralContainers: Forbidden: existing ephemeral '
                "containers may not be changed or removed",
            )  # fmt: skip
        taken = {each["name"] for part in ("containers", "initContainers") for each in old["spec"].get(part) or ()}
        for each in now:
            if each.get("name") in taken:
                raise errors.StatusError(
                    422, "Invalid",
                    f'Pod "{call.info.name}" is invalid: spec.ephemeralContainers: Duplicate value: "{each["name"]}"',
                )  # fmt: skip
        old["spec"]["ephemeralContainers"] = now
        return old

    return writes.answer(call, await writes.change_object(call, change, trusted=True))


def served(old: Json) -> Json:
    """A copy that a patch may share with its result."""
    import orjson

    copied: Json = orjson.loads(orjson.dumps(old))
    return copied


def decode_patch(call: Call) -> Any:
    """A patch's body; all forms but apply are JSON."""
    import orjson

    try:
        return orjson.loads(call.request.body)
    except orjson.JSONDecodeError as error:
        raise errors.bad_request(f"error decoding the patch as JSON: {error}") from error


async def evict(call: Call) -> Answer:
    """POST of an Eviction: a deletion that the pod's disruption budgets may refuse for now."""
    if call.info.verb != "create":
        raise errors.method_not_allowed(call.spec.resource, call.info.verb)
    body = decode_body(call.request)
    if not isinstance(body, dict) or body.get("kind", "Eviction") != "Eviction":
        raise errors.bad_request("the body is not an Eviction")
    raw = body.get("deleteOptions") or {}
    if raw.get("dryRun"):
        call.ask_dry_run(list(raw["dryRun"]))
    conditions = raw.get("preconditions") or {}
    options = deletions.DeleteOptions(
        raw.get("gracePeriodSeconds"), raw.get("propagationPolicy") or "", conditions.get("uid") or "",
        conditions.get("resourceVersion") or "", raw,
    )  # fmt: skip
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


def _already_down(pod: Json) -> bool:
    """Evicting what is finished, pending or already going disturbs nobody."""
    status = pod.get("status") or {}
    return status.get("phase") in ("Succeeded", "Failed", "Pending", None) or bool(
        pod["metadata"].get("deletionTimestamp")
    )


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
