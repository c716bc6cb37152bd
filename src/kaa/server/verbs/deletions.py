"""delete and deletecollection: at once, after a grace period, or when the last finalizer is gone.

`metadata.deletionTimestamp` set means: going. What holds an object back are its grace period (pods, until their node
has stopped them) and its finalizers; the propagation policy is two of these (`foregroundDeletion`, `orphan`), which
the garbage collector takes off when it is done with the dependents.
"""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, replace
from inspect import isawaitable
from typing import Any

from kaa.base.clock import format_seconds, parse_seconds
from kaa.http.api import Answer
from kaa.kinds.spec import KindSpec
from kaa.meta import errors
from kaa.meta.problems import Path, Problem, invalid
from kaa.meta.resource import Resource
from kaa.server import forms
from kaa.server.cache import Cached
from kaa.server.call import Call
from kaa.server.objects import served_form
from kaa.server.verbs import writeoptions
from kaa.server.verbs.bodies import read_part
from kaa.server.verbs.reads import filter_of
from kaa.server.verbs.writes import CHANGE_TRIES, MODIFIED, answer, answer_plain

__all__ = ["DeleteOptions", "delete", "delete_collection", "delete_object", "options_of", "read_options"]

Json = dict[str, Any]

#: Objects of a collection that are deleted at the same time.
TOGETHER = 32
FOREGROUND, ORPHAN = "foregroundDeletion", "orphan"
POLICIES = ("Foreground", "Background", "Orphan")
#: Kinds whose dependents stay unless the deletion says otherwise: what their first clients counted on.
ORPHANED = frozenset({"replicationcontrollers", "jobs.batch"})
JOBS_WARNING = (
    "child pods are preserved by default when jobs are deleted; set propagationPolicy=Background to remove them or set "
    "propagationPolicy=Orphan to suppress this warning"
)
#: Kinds that take no part in garbage collection: no policy puts a finalizer on them.
UNCOLLECTED = frozenset({"events", "events.events.k8s.io"})
#: What the client may say of an object that cannot be read back; this store has none such to force away.
UNREADABLE = "ignoreStoreReadErrorWithClusterBreakingPotential"


@dataclass(frozen=True, slots=True)
class DeleteOptions:
    """What a deletion was asked to be; None and "" where nothing was said."""

    grace_seconds: int | None = None
    #: A policy, also where the older `orphanDependents` said it.
    propagation: str = ""
    uid: str = ""
    revision: str = ""
    #: `orphanDependents: false` was said: a deletion that only begins is answered with 202 then.
    cascading: bool = False
    raw: Any = None


def read_options(call: Call) -> DeleteOptions:
    """Delete options from the body, or where there is none from the query. Raises 400 or 422."""
    body = read_part(call, "v1", "DeleteOptions") if call.request.body.strip() else _from_query(call)
    return options_of(call, body)


def _from_query(call: Call) -> Json:
    request = call.request
    found: Json = {}
    if not request.query:
        return {}
    if text := request.param("gracePeriodSeconds"):
        try:
            found["gracePeriodSeconds"] = int(text)
        except ValueError as error:
            raise errors.bad_request(f'strconv.ParseInt: parsing "{text[:40]}": invalid syntax') from error
    if text := request.param("propagationPolicy"):
        found["propagationPolicy"] = text
    for name in ("orphanDependents", UNREADABLE):
        if (value := writeoptions.flag(call, name)) is not None:
            found[name] = value
    return found


def options_of(call: Call, body: Json) -> DeleteOptions:
    """Delete options as they came, in a body of their own or inside something else. Raises 422."""
    dry_run = [*(body.get("dryRun") or ()), *call.request.params.get("dryRun", ())]
    found = list(_problems(body, dry_run))
    if found:
        raise writeoptions.refuse("DeleteOptions", found)
    if body.get(UNREADABLE):
        raise errors.StatusError(
            501, "NotImplemented",
            f"{UNREADABLE} is not served by this release: its stores hold no object that cannot be read back",
        )  # fmt: skip
    if body.get("dryRun"):
        call.ask_dry_run(list(body["dryRun"]))
    orphan, policy = body.get("orphanDependents"), body.get("propagationPolicy") or ""
    if orphan is not None:
        policy = "Orphan" if orphan else "Background"
    grace = body.get("gracePeriodSeconds")
    conditions = body.get("preconditions") or {}
    return DeleteOptions(
        None if grace is None else grace if grace >= 0 else 1,  # less than none is a second
        policy, conditions.get("uid") or "", conditions.get("resourceVersion") or "", orphan is False, body,
    )  # fmt: skip


def _problems(body: Json, dry_run: list[str]) -> Iterator[Problem]:
    root = Path()
    policy, orphan = body.get("propagationPolicy"), body.get("orphanDependents")
    if orphan is not None and policy is not None:
        yield invalid(root / "propagationPolicy", policy, "orphanDependents and deletionPropagation cannot be both set")
    if policy is not None and policy not in POLICIES:
        listing = ", ".join(f'"{each}"' for each in (*POLICIES, "nil"))
        yield Problem(root / "propagationPolicy", "FieldValueNotSupported",
                      f'Unsupported value: "{policy}": supported values: {listing}')  # fmt: skip
    yield from writeoptions.dry_run_problems(dry_run)
    if body.get(UNREADABLE):
        for name in ("dryRun", "propagationPolicy", "orphanDependents", "gracePeriodSeconds", "preconditions"):
            if dry_run if name == "dryRun" else body.get(name) is not None:
                yield invalid(root / UNREADABLE, True, f"cannot be set together with .{name}")


async def delete(call: Call) -> Answer:
    """DELETE of one object."""
    options = read_options(call)
    call.form()
    result, gone = await delete_object(call, options)
    if gone and call.spec.resource.qualified not in RETURNED:
        return answer_plain(call, _success(call, result))
    return answer(call, result, 202 if options.cascading and not gone else 200)


#: Kinds whose deletion answers with the object rather than with a Status, as the published API says.
RETURNED = frozenset({
    "pods", "services", "serviceaccounts", "podtemplates", "persistentvolumeclaims", "persistentvolumes",
    "resourcequotas", "csidrivers.storage.k8s.io", "csinodes.storage.k8s.io", "storageclasses.storage.k8s.io",
    "volumeattachments.storage.k8s.io", "volumeattributesclasses.storage.k8s.io", "resourceclaims.resource.k8s.io",
    "resourceclaimtemplates.resource.k8s.io", "resourceslices.resource.k8s.io", "deviceclasses.resource.k8s.io",
    "ipaddresses.networking.k8s.io", "servicecidrs.networking.k8s.io",
})  # fmt: skip


def _success(call: Call, result: Cached | Json) -> Json:
    resource = call.spec.resource
    uid = (result if isinstance(result, dict) else result.decode())["metadata"]["uid"]
    details: Json = {"name": call.info.name, "kind": resource.plural, "uid": uid}
    if resource.group:
        details["group"] = resource.group
    return {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details}


async def delete_object(call: Call, options: DeleteOptions, name: str = "", namespace: str = "", *,
                        admission: bool = True) -> tuple[Cached | Json, bool]:  # fmt: skip
    """Delete one object; returns its last state, and whether it is gone already. Without `admission` the caller has
    seen to that.

    What has a grace is first marked as going, even when that grace is none: who watches sees it marked before it is
    deleted, as with the original.
    """
    spec, info = call.spec, call.info
    name, namespace = name or info.name, namespace or call.namespace
    if spec.resource.qualified == "jobs.batch" and not options.propagation:
        call.warnings.append(JOBS_WARNING)
    for _ in range(CHANGE_TRIES):
        current = call.objects.get(spec, namespace, name)
        if (coming := call.objects.ready(spec, (current,))) is not None:
            await coming
        old = served_form(spec, current)
        check_preconditions(spec, old, options)
        if admission:
            attributes = call.attributes("DELETE", None, old, subresource="", name=name, namespace=namespace,
                                         options="DeleteOptions", raw_options=options.raw or {})  # fmt: skip
            await call.parts.admission.mutate(attributes)
            await call.parts.admission.validate(attributes)
        new, stays = going(call, old, options)
        if call.dry_run:
            return new, not stays
        if new != old:
            written = await call.objects.replace(spec, new, current)
            if written is None:
                if options.revision:
                    break
                continue
            current = written
        if stays:
            return current, False
        removed = await call.objects.remove(spec, current)
        if removed is not None:
            return removed, True
        if options.revision:
            if new == old:
                break
            # It was this deletion itself that took it past the revision it was asked for.
            options = replace(options, revision="")
    raise errors.conflict(spec.resource, name, MODIFIED)


def check_preconditions(spec: KindSpec, old: Json, options: DeleteOptions) -> None:
    """Raise 409 where the object is not the one the client means. The original names the kind here."""
    meta, kind = old["metadata"], spec.resource
    by_kind = Resource(kind.group, kind.version, kind.kind, kind.kind, kind.namespaced)
    if options.uid and options.uid != meta["uid"]:
        raise errors.conflict(
            by_kind, meta["name"], f"the UID in the precondition ({options.uid}) does not match the UID in record "
            f"({meta['uid']}). The object might have been deleted and then recreated",
        )  # fmt: skip
    if options.revision and options.revision != meta["resourceVersion"]:
        raise errors.conflict(
            by_kind, meta["name"], f"the ResourceVersion in the precondition ({options.revision}) does not match the "
            f"ResourceVersion in record ({meta['resourceVersion']}). The object might have been modified",
        )  # fmt: skip


def going(call: Call, old: Json, options: DeleteOptions) -> tuple[Json, bool]:
    """The object with its deletion begun, and whether something holds it; else it is to be removed now."""
    spec, now = call.spec, call.clock.now()
    new = {**old, "metadata": dict(old["metadata"])}
    meta = new["metadata"]
    marked = meta.get("deletionTimestamp")
    if spec.rules.going is not None and not marked:
        spec.rules.going(new, format_seconds(now))
    grace = _grace(spec, old, options)
    if marked and meta.get("deletionGracePeriodSeconds"):
        left = int(meta["deletionGracePeriodSeconds"])
        if grace is None or grace >= left:
            return old, True  # a deletion under way is only ever shortened
        meta["deletionTimestamp"] = format_seconds(parse_seconds(marked) - left + grace)
    elif marked:
        grace = None  # nothing is left to shorten
    elif grace is not None:
        meta["deletionTimestamp"] = format_seconds(now + grace)
        if meta.get("generation"):
            meta["generation"] += 1
    if grace is not None:
        meta["deletionGracePeriodSeconds"] = grace
    finalizers = _with_policy(spec, list(meta.get("finalizers") or []), options.propagation)
    _set_finalizers(meta, finalizers)
    held_by_spec = _is_namespace(new) and bool(new.get("spec", {}).get("finalizers"))
    if finalizers or held_by_spec:
        if grace is None:
            if not marked and meta.get("generation"):
                meta["generation"] += 1
            meta.setdefault("deletionTimestamp", format_seconds(now))
            meta["deletionGracePeriodSeconds"] = 0
        if held_by_spec:
            new["status"] = {**(new.get("status") or {}), "phase": "Terminating"}
        return new, True
    if grace is None:
        return old, False  # it goes as it is
    return new, grace > 0


def _is_namespace(obj: Json) -> bool:
    return bool(obj["kind"] == "Namespace" and obj["apiVersion"] == "v1")


def _set_finalizers(meta: Json, finalizers: list[str]) -> None:
    if finalizers:
        meta["finalizers"] = finalizers
    else:
        meta.pop("finalizers", None)


def _with_policy(spec: KindSpec, finalizers: list[str], propagation: str) -> list[str]:
    """The finalizers with what the policy asks for: said now, or by a finalizer that is there, or by the kind."""
    resource = spec.resource.qualified
    if resource in UNCOLLECTED:
        return finalizers
    if not propagation:
        if ORPHAN in finalizers or FOREGROUND in finalizers or resource not in ORPHANED:
            return finalizers
        propagation = "Orphan"
    wanted = {"Orphan": ORPHAN, "Foreground": FOREGROUND}.get(propagation, "")
    if wanted and wanted in finalizers and not {ORPHAN, FOREGROUND} - {wanted} & set(finalizers):
        return finalizers  # where it stands
    kept = [each for each in finalizers if each not in (FOREGROUND, ORPHAN)]
    return [*kept, wanted] if wanted else kept


def _grace(spec: KindSpec, old: Json, options: DeleteOptions) -> int | None:
    """Seconds until the object is to be gone; None for kinds without grace, or where a pending one stays as it is."""
    default = spec.grace_seconds(old)
    if default is None:
        return None
    if old["metadata"].get("deletionTimestamp"):
        return options.grace_seconds
    if default == 0:
        # Nothing runs anywhere (not scheduled, or finished): there is nobody to wait for, whatever was asked.
        return 0
    return default if options.grace_seconds is None else options.grace_seconds


async def delete_collection(call: Call) -> Answer:
    """DELETE of a collection: every object that the selectors match, or the first `limit` of them.

    The answer lists them as they were found.
    """
    if call.spec.namespaced and not call.namespace:
        # Lists go over all namespaces, deletions never do: one namespace at a time.
        raise errors.method_not_allowed(call.spec.resource, "deletecollection")
    options = read_options(call)
    selection = filter_of(call)
    form = call.form()
    limit = _limit(call.request.param("limit")) if call.request.query else 0
    metadata: Json = {"resourceVersion": str(call.objects.cache.revision)}
    call.objects.check_readable(call.spec, selection.namespace)
    found = [
        entry for entry in call.objects.of(call.spec).in_namespace(selection.namespace) if selection.matches(entry)
    ]
    if limit:
        found = found[:limit]
    for start in range(0, len(found), TOGETHER):
        # Writes that wait together are committed together.
        step = found[start : start + TOGETHER]
        results = await asyncio.gather(
            *(delete_object(call, options, entry.name, entry.namespace) for entry in step), return_exceptions=True
        )
        for result in results:
            if isinstance(result, errors.StatusError) and result.reason == "NotFound":
                continue  # somebody else was first
            if isinstance(result, BaseException):
                raise result
    answer = forms.render_list(form, call.spec, found, metadata, call.warning_headers())
    return await answer if isawaitable(answer) else answer


def _limit(text: str) -> int:
    try:
        return max(0, int(text or 0))
    except ValueError as error:
        raise errors.bad_request(f'strconv.ParseInt: parsing "{text[:40]}": invalid syntax') from error
