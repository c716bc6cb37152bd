"""delete and deletecollection: at once, after a grace period, or when the last finalizer is gone.

`metadata.deletionTimestamp` set means: going. What holds an object back are its grace period (pods, until their node
has stopped them) and its finalizers; the propagation policy is two of these (`foregroundDeletion`, `orphan`), which
the garbage collector takes off when it is done with the dependents.
"""

import asyncio
from dataclasses import dataclass
from inspect import isawaitable
from typing import Any

from kaa.base.clock import format_seconds
from kaa.http.api import Answer
from kaa.meta import errors
from kaa.server import forms
from kaa.server.admission.api import Attributes
from kaa.server.cache import Cached
from kaa.server.call import Call
from kaa.server.objects import served_form
from kaa.server.verbs.bodies import read_part
from kaa.server.verbs.reads import filter_of
from kaa.server.verbs.writes import CHANGE_TRIES, MODIFIED, answer, answer_plain

__all__ = ["DeleteOptions", "delete", "delete_collection", "delete_object", "options_of", "read_options"]

Json = dict[str, Any]

#: Objects of a collection that are deleted at the same time.
TOGETHER = 32
FOREGROUND, ORPHAN = "foregroundDeletion", "orphan"
POLICIES = ("Orphan", "Background", "Foreground")


@dataclass(frozen=True, slots=True)
class DeleteOptions:
    """What a deletion was asked to be; None and "" where nothing was said."""

    grace_seconds: int | None = None
    propagation: str = ""
    uid: str = ""
    revision: str = ""
    raw: Any = None


def read_options(call: Call) -> DeleteOptions:
    """Delete options from the body, or where there is none from the query. Raises 400 or 422."""
    request = call.request
    body: Json = read_part(call, "v1", "DeleteOptions") if request.body.strip() else {}
    grace = body.get("gracePeriodSeconds")
    if grace is None and (text := request.param("gracePeriodSeconds")):
        try:
            grace = int(text)
        except ValueError as error:
            raise errors.bad_request(f'gracePeriodSeconds "{text}" is not a number') from error
    propagation = body.get("propagationPolicy") or request.param("propagationPolicy")
    orphan = body.get("orphanDependents")
    if orphan is None and (text := request.param("orphanDependents")):
        orphan = text == "true"
    if orphan is not None:
        if propagation:
            raise _invalid("orphanDependents and deletionPropagation cannot be both set")
        propagation = "Orphan" if orphan else "Background"
    if propagation and propagation not in POLICIES:
        listing = ", ".join(f'"{each}"' for each in ("Foreground", "Background", "Orphan"))
        raise _invalid(f'propagationPolicy: Unsupported value: "{propagation}": supported values: {listing}')
    return _options(call, grace, propagation, body)


def options_of(call: Call, body: Json) -> DeleteOptions:
    """Delete options that came inside something else."""
    return _options(call, body.get("gracePeriodSeconds"), body.get("propagationPolicy") or "", body)


def _options(call: Call, grace: int | None, propagation: str, body: Json) -> DeleteOptions:
    if body.get("dryRun"):
        call.ask_dry_run(list(body["dryRun"]))
    conditions = body.get("preconditions") or {}
    return DeleteOptions(grace, propagation, conditions.get("uid") or "", conditions.get("resourceVersion") or "", body)


def _invalid(why: str) -> errors.StatusError:
    return errors.StatusError(422, "Invalid", f'DeleteOptions.meta.k8s.io "" is invalid: {why}')


async def delete(call: Call) -> Answer:
    """DELETE of one object."""
    options = read_options(call)
    call.form()
    result, gone = await delete_object(call, options)
    if gone and call.spec.resource.plural not in RETURNED:
        return answer_plain(call, _success(call, result))
    return answer(call, result)


#: Kinds whose deletion answers with the object rather than with a Status, as the original's.
RETURNED = frozenset({
    "pods", "services", "serviceaccounts", "podtemplates", "persistentvolumeclaims", "persistentvolumes",
    "resourcequotas", "replicationcontrollers", "customresourcedefinitions",
})  # fmt: skip


def _success(call: Call, result: Cached | Json) -> Json:
    resource = call.spec.resource
    uid = (result if isinstance(result, dict) else result.decode())["metadata"]["uid"]
    details: Json = {"name": call.info.name, "kind": resource.plural, "uid": uid}
    if resource.group:
        details["group"] = resource.group
    return {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details}


async def delete_object(call: Call, options: DeleteOptions, name: str = "",
                        namespace: str = "") -> tuple[Cached | Json, bool]:  # fmt: skip
    """Delete one object; returns its last state, and whether it is gone already."""
    spec, info = call.spec, call.info
    name, namespace = name or info.name, namespace or call.namespace
    for _ in range(CHANGE_TRIES):
        current = call.objects.get(spec, namespace, name)
        old = served_form(spec, current)
        _check_preconditions(call, old, options)
        attributes = Attributes("DELETE", spec, namespace, name, "", None, old, call.user, call.dry_run,
                                options.raw or {}, call.warnings)  # fmt: skip
        await call.parts.admission.mutate(attributes)
        await call.parts.admission.validate(attributes)
        new = going(call, old, options)
        if new is None:
            if call.dry_run:
                return old, True
            removed = await call.objects.remove(spec, current)
            if removed is not None:
                return removed, True
        elif call.dry_run or new == old:
            return (new, False) if call.dry_run else (current, False)
        else:
            written = await call.objects.replace(spec, new, current)
            if written is not None:
                return written, False
        if options.revision:
            break
    raise errors.conflict(spec.resource, name, MODIFIED)


def _check_preconditions(call: Call, old: Json, options: DeleteOptions) -> None:
    meta = old["metadata"]
    if options.uid and options.uid != meta["uid"]:
        raise errors.conflict(
            call.spec.resource, meta["name"],
            f"Precondition failed: UID in precondition: {options.uid}, UID in object meta: {meta['uid']}",
        )  # fmt: skip
    if options.revision and options.revision != meta["resourceVersion"]:
        raise errors.conflict(
            call.spec.resource, meta["name"],
            f"Precondition failed: ResourceVersion in precondition: {options.revision}, "
            f"ResourceVersion in object meta: {meta['resourceVersion']}",
        )  # fmt: skip


def going(call: Call, old: Json, options: DeleteOptions) -> Json | None:
    """The object with its deletion begun, or None when nothing holds it and it is to be removed now."""
    new = {**old, "metadata": dict(old["metadata"])}
    meta = new["metadata"]
    finalizers = _with_policy(list(meta.get("finalizers") or []), options.propagation)
    namespace_held = (
        new["kind"] == "Namespace" and new["apiVersion"] == "v1" and (bool(new.get("spec", {}).get("finalizers")))
    )
    grace = _grace(call, old, options)
    already = meta.get("deletionTimestamp")
    if already:
        left = int(meta.get("deletionGracePeriodSeconds") or 0)
        if grace is None or grace >= left:
            if left == 0 and not finalizers and not namespace_held:
                return None
            if finalizers != list(meta.get("finalizers") or []):
                _set_finalizers(meta, finalizers)
            return new
        # A shorter grace than the one under way: the deadline moves forward, never back.
        grace_seconds = grace
    else:
        grace_seconds = grace or 0
    if grace_seconds == 0 and not finalizers and not namespace_held:
        return None
    now = call.clock.now()
    if already and grace_seconds < int(meta.get("deletionGracePeriodSeconds") or 0):
        meta["deletionTimestamp"] = format_seconds(now + grace_seconds)
    elif not already:
        meta["deletionTimestamp"] = format_seconds(now + grace_seconds)
        if meta.get("generation"):
            meta["generation"] += 1
    meta["deletionGracePeriodSeconds"] = grace_seconds
    _set_finalizers(meta, finalizers)
    if namespace_held:
        new["status"] = {**(new.get("status") or {}), "phase": "Terminating"}
    return new


def _set_finalizers(meta: Json, finalizers: list[str]) -> None:
    if finalizers:
        meta["finalizers"] = finalizers
    else:
        meta.pop("finalizers", None)


def _with_policy(finalizers: list[str], propagation: str) -> list[str]:
    if not propagation:
        return finalizers
    kept = [each for each in finalizers if each not in (FOREGROUND, ORPHAN)]
    if propagation == "Orphan":
        kept.append(ORPHAN)
    elif propagation == "Foreground":
        kept.append(FOREGROUND)
    return kept


def _grace(call: Call, old: Json, options: DeleteOptions) -> int | None:
    default = call.spec.grace_seconds(old)
    if default is None:
        return 0
    if default == 0:
        # Nothing runs anywhere (not scheduled, or finished): there is nobody to wait for, whatever was asked.
        return 0
    if options.grace_seconds is None:
        return default if not old["metadata"].get("deletionTimestamp") else None
    return max(0, options.grace_seconds) if options.grace_seconds >= 0 else 1


async def delete_collection(call: Call) -> Answer:
    """DELETE of a collection: every object that the selectors match, one after another."""
    options = read_options(call)
    selection = filter_of(call)
    form = call.form()
    found = [
        entry for entry in call.objects.of(call.spec).in_namespace(selection.namespace) if selection.matches(entry)
    ]
    deleted: list[Cached] = []
    for start in range(0, len(found), TOGETHER):
        # Writes that wait together are committed together.
        step = found[start : start + TOGETHER]
        results = await asyncio.gather(
            *(delete_object(call, options, entry.name, entry.namespace) for entry in step), return_exceptions=True
        )
        for entry, result in zip(step, results, strict=True):
            if isinstance(result, BaseException):
                if isinstance(result, errors.StatusError) and result.reason == "NotFound":
                    continue  # somebody else was first
                raise result
            deleted.append(result[0] if isinstance(result[0], Cached) else entry)
    metadata = {"resourceVersion": str(call.objects.cache.revision)}
    answer = forms.render_list(form, call.spec, deleted, metadata, call.warning_headers())
    return await answer if isawaitable(answer) else answer
