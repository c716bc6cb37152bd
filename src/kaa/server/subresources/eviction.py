"""`eviction`: a deletion that the pod's disruption budgets may refuse for now.

What is finished, pending or going already disturbs nobody and needs no budget. Everything else spends one disruption
of its budget, by compare-and-swap, so that no budget is ever overspent; a condition on the pod says why it goes.
"""

from dataclasses import replace
from typing import Any

from kaa.base.clock import format_seconds
from kaa.http.api import Answer
from kaa.kinds.spec import KindSpec
from kaa.meta import errors, selectors
from kaa.meta.resource import Resource
from kaa.server.cache import Cached
from kaa.server.call import Call
from kaa.server.objects import served_form
from kaa.server.subresources.answers import success
from kaa.server.verbs import deletions, writeoptions, writes
from kaa.server.verbs.bodies import read_part

__all__ = ["evict"]

Json = dict[str, Any]

#: Budgets whose pods leave faster than their controller can tell are left alone.
DISRUPTED_MAX = 2000
#: A pod or budget that others keep changing is tried this often before the client is told to come again.
TRIES = 20
VIOLATED = "Cannot evict pod as it would violate the pod's disruption budget."
#: What a client should wait where the budget is about to be worked out anew.
RETRY_SECONDS = 10


async def evict(call: Call) -> Answer:
    """POST of an Eviction."""
    if call.info.verb != "create":
        raise errors.method_not_allowed(call.spec.resource, call.info.verb)
    writeoptions.check(call, "CreateOptions")
    body = read_part(call, "policy/v1", "Eviction")
    if body["metadata"].get("name") != call.info.name:
        raise errors.bad_request("name in URL does not match name in Eviction object")
    options = deletions.options_of(call, body.get("deleteOptions") or {})
    entry = call.objects.get(call.spec, call.namespace, call.info.name)
    attributes = call.attributes("CREATE", body, served_form(call.spec, entry), options="CreateOptions")
    await call.parts.admission.mutate(attributes)
    await call.parts.admission.validate(attributes)
    await _evict(call, options)
    return writes.answer_plain(call, success(201), 201)


async def _evict(call: Call, options: deletions.DeleteOptions) -> None:
    for attempt in range(TRIES):
        pod = served_form(call.spec, call.objects.get(call.spec, call.namespace, call.info.name))
        if not _disturbs_nobody(pod):
            break
        # A pending pod may become ready meanwhile, and then a budget counts it: it goes as it was seen, or not at all.
        pinned = not options.revision and not _is_over(pod)
        try:
            await _delete(call, _pinned(options, pod) if pinned else options)
            return
        except errors.StatusError as error:
            if error.reason != "Conflict" or not pinned or attempt == TRIES - 1:
                raise
    budget = await _spend_budget(call, pod)
    if budget is None:
        await _delete(call, options)
        return
    try:
        await _delete(call, options if options.revision else _pinned(options, pod))
    except errors.StatusError as error:
        if error.reason == "Conflict" and not options.revision:
            # It was not ready when its budget was asked, and has changed since: to be asked again.
            raise _unsettled(budget) from error
        raise


def _pinned(options: deletions.DeleteOptions, pod: Json) -> deletions.DeleteOptions:
    return replace(options, revision=pod["metadata"]["resourceVersion"])


def _is_over(pod: Json) -> bool:
    phase = (pod.get("status") or {}).get("phase")
    return phase in ("Succeeded", "Failed") or bool(pod["metadata"].get("deletionTimestamp"))


def _disturbs_nobody(pod: Json) -> bool:
    return _is_over(pod) or (pod.get("status") or {}).get("phase") in ("Pending", None)


async def _delete(call: Call, options: deletions.DeleteOptions) -> None:
    """Say on the pod why it goes, then delete it."""
    if not call.dry_run:
        written = await writes.change_object(call, _tell_why(call, options), subresource="status", trusted=True)
        if options.revision:
            options = replace(options, revision=_revision_of(written, options.revision))
    await deletions.delete_object(call, options, admission=False)  # the eviction has been admitted


def _revision_of(written: Cached | Json, before: str) -> str:
    return before if isinstance(written, dict) else str(written.revision)


def _tell_why(call: Call, options: deletions.DeleteOptions) -> Any:
    now = format_seconds(call.clock.now())

    def change(pod: Json) -> Json:
        deletions.check_preconditions(call.spec, pod, options)
        status = pod.setdefault("status", {})
        wanted: Json = {"type": "DisruptionTarget", "status": "True", "reason": "EvictionByEvictionAPI",
                        "message": "Eviction API: evicting", "lastProbeTime": None}  # fmt: skip
        if pod["metadata"].get("generation"):
            wanted["observedGeneration"] = pod["metadata"]["generation"]
        conditions = list(status.get("conditions") or ())
        for at, each in enumerate(conditions):
            if each["type"] == wanted["type"]:
                since = each.get("lastTransitionTime") if each["status"] == "True" else now
                conditions[at] = {**wanted, "lastTransitionTime": since}
                break
        else:
            conditions.append({**wanted, "lastTransitionTime": now})
        status["conditions"] = conditions
        return pod

    return change


# --- budgets


def _is_ready(pod: Json) -> bool:
    conditions = (pod.get("status") or {}).get("conditions") or ()
    return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)


def _budgets_of(call: Call, kind: KindSpec, pod: Json) -> list[tuple[Cached, Json]]:
    labels = pod["metadata"].get("labels") or {}
    found = []
    for entry in call.objects.of(kind).in_namespace(call.namespace):
        budget = entry.decode()
        selector = (budget.get("spec") or {}).get("selector")
        if selector is not None and selectors.from_object(selector).matches(labels):
            found.append((entry, budget))
    return found


async def _spend_budget(call: Call, pod: Json) -> str | None:
    """Take one allowed disruption from the pod's budget; 429 when there is none.

    Returns the budget's name where the pod may go for not being ready, and must not have changed since.
    """
    kind = call.parts.registry.get("policy", "v1", "poddisruptionbudgets")
    assert kind is not None
    for _ in range(TRIES):
        matching = _budgets_of(call, kind, pod)
        if not matching:
            return None
        if len(matching) > 1:
            raise errors.StatusError(
                500, "",
                "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support.",
            )  # fmt: skip
        entry, budget = matching[0]
        if not _is_ready(pod) and _lets_unready_go(budget):
            return str(budget["metadata"]["name"])
        _decrement(call, budget, pod["metadata"]["name"])
        if call.dry_run or await call.objects.replace(kind, budget, entry) is not None:
            return None
    name = matching[0][1]["metadata"]["name"]
    raise errors.timeout(f'couldn\'t update PodDisruptionBudget "{name}" due to conflicts', RETRY_SECONDS)


def _lets_unready_go(budget: Json) -> bool:
    """A pod that is not ready serves nobody: its budget may not count it."""
    if (budget.get("spec") or {}).get("unhealthyPodEvictionPolicy") == "AlwaysAllow":
        return True
    status = budget.get("status") or {}
    desired = status.get("desiredHealthy", 0)
    return bool(desired > 0 and status.get("currentHealthy", 0) >= desired)


def _decrement(call: Call, budget: Json, pod_name: str) -> None:
    status: Json = budget.setdefault("status", {})
    name, allowed = budget["metadata"]["name"], status.get("disruptionsAllowed", 0)
    if status.get("observedGeneration", 0) < budget["metadata"].get("generation", 0):
        raise _unsettled(name)
    resource = Resource("policy", "v1", "poddisruptionbudget", "PodDisruptionBudget", True)
    if allowed < 0:
        raise errors.forbidden(resource, name, "pdb disruptions allowed is negative")
    if len(status.get("disruptedPods") or {}) > DISRUPTED_MAX:
        raise errors.forbidden(
            resource, name, "DisruptedPods map too big - too many evictions not confirmed by PDB controller"
        )
    if allowed == 0:
        raise _refused(0, f"The disruption budget {name} needs {status.get('desiredHealthy', 0)} healthy pods and has "
                          f"{status.get('currentHealthy', 0)} currently")  # fmt: skip
    now = format_seconds(call.clock.now())
    status["disruptionsAllowed"] = allowed - 1
    if allowed == 1:
        _no_more_allowed(status, now)
    status["disruptedPods"] = {**(status.get("disruptedPods") or {}), pod_name: now}


def _no_more_allowed(status: Json, now: str) -> None:
    condition = {"type": "DisruptionAllowed", "status": "False", "reason": "InsufficientPods", "message": "",
                 "observedGeneration": status.get("observedGeneration", 0), "lastTransitionTime": now}  # fmt: skip
    others = [each for each in status.get("conditions") or () if each.get("type") != condition["type"]]
    for each in status.get("conditions") or ():
        if each.get("type") == condition["type"] and each.get("status") == "False":
            condition["lastTransitionTime"] = each.get("lastTransitionTime", now)
    status["conditions"] = [*others, condition]


def _unsettled(name: str) -> errors.StatusError:
    return _refused(RETRY_SECONDS, f"The disruption budget {name} is still being processed by the server.")


def _refused(seconds: int, why: str) -> errors.StatusError:
    error = errors.too_many_requests(VIOLATED, seconds)
    if not seconds:
        del error.details["retryAfterSeconds"]
    error.details["causes"] = [{"reason": "DisruptionBudget", "message": why}]
    return error
