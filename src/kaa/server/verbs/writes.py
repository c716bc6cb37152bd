"""create and update: from a decoded object to committed bytes.

The order of a write is the API's: decode, defaults, ownership, mutating admission, what the kind prepares, every
validation problem, validating admission, reservations, commit.
"""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from inspect import isawaitable
from typing import Any

import orjson

from kaa.base import ids
from kaa.base.clock import format_seconds
from kaa.http.api import Answer, Response
from kaa.kinds.spec import KindSpec
from kaa.meta import errors, problems
from kaa.server.admission.api import Attributes
from kaa.server.cache import Cached
from kaa.server.call import Call
from kaa.server.objects import served_form
from kaa.server.request import refusal
from kaa.server.verbs import owners, writeoptions
from kaa.server.verbs.bodies import read_object

__all__ = [
    "MODIFIED", "answer", "answer_plain", "change_object", "check_name", "create", "create_object",
    "one_of_each_owner", "uid_conflict", "unconditional", "update",
]  # fmt: skip

Json = dict[str, Any]

#: A generated name that is taken is generated again this often.
GENERATE_TRIES = 8
#: A read-modify-write that others keep overtaking is tried this often before the client is told.
CHANGE_TRIES = 20
GENERATED_NAME_MAX = 63
SUFFIX_LENGTH = 5

#: Told where references to owners stand twice; the rest of it are their UIDs.
SAME_OWNERS = (
    ".metadata.ownerReferences contains duplicate entries; API server dedups owner references in 1.20+, and may reject "
    "such requests as early as 1.24; please fix your requests; duplicate UID(s) observed: "
)
MODIFIED = "the object has been modified; please apply your changes to the latest version and try again"


def answer(call: Call, result: Cached | Json, status: int = 200) -> Response:
    """A write's answer in the form the client asked for; plain JSON is what a dry run would have written."""
    form = call.form()
    body = form.plain(call.spec, result) if isinstance(result, dict) else form.one(call.spec, result)
    return Response(status, body, form.content_type, tuple(call.warning_headers()))


def answer_plain(call: Call, obj: Json, status: int = 200) -> Response:
    """An object that is not of the path's kind (a Status, a review), as an answer."""
    form = call.form()
    return Response(status, form.plain(call.spec, obj), form.content_type, tuple(call.warning_headers()))


async def create(call: Call) -> Answer:
    """POST to a collection."""
    writeoptions.check(call, "CreateOptions")
    obj = read_object(call, call.spec)
    call.form()  # a form we cannot write is refused before anything is done
    return answer(call, await create_object(call, obj), 201)


async def create_object(call: Call, obj: Json, *, owner: str = "Update") -> Cached | Json:
    """Create a decoded object: the common path of POST, of PUT and of apply on a name that is free."""
    spec = call.spec
    meta = obj["metadata"]
    _fix_namespace(call, obj)
    if meta.get("resourceVersion") not in (None, "", "0"):
        raise errors.bad_request("resourceVersion should not be set on objects to be created")
    meta.pop("resourceVersion", None)
    one_of_each_owner(call, meta)
    for name in ("deletionTimestamp", "deletionGracePeriodSeconds", "selfLink", "uid", "creationTimestamp"):
        meta.pop(name, None)
    spec.default(obj)
    if owner != "Apply":
        # As it came: what admission and the kind's strategy add is nobody's.
        owners.record(call, None, obj, "")
    attributes = call.attributes("CREATE", obj, None, name=meta.get("name", ""), options="CreateOptions")
    # Before there is a name, where it is to be generated; once, however many are tried.
    await call.parts.admission.mutate(attributes)
    _fix_namespace(call, obj)
    meta = obj["metadata"]
    one_of_each_owner(call, meta)
    base = meta.get("generateName")
    if not base or meta.get("name"):
        try:
            return await _create_once(call, spec, obj, attributes)
        except errors.StatusError as error:
            raise _not_generated(call, meta) if base and _is_taken(error) else error from error
    for _ in range(GENERATE_TRIES):
        meta["name"] = base[: GENERATED_NAME_MAX - SUFFIX_LENGTH] + ids.suffix(SUFFIX_LENGTH)
        try:
            return await _create_once(call, spec, obj, attributes)
        except errors.StatusError as error:
            if not _is_taken(error):
                raise
    raise _not_generated(call, meta)


def _is_taken(error: errors.StatusError) -> bool:
    return error.reason == "AlreadyExists"


def _not_generated(call: Call, meta: Json) -> errors.StatusError:
    """409 for a name that was, or was to be, generated: the client is asked to try again."""
    error = errors.already_exists(call.spec.resource, meta["name"])
    error.message += ", the server was not able to generate a unique name for the object"
    error.details["retryAfterSeconds"] = 1
    return error


def one_of_each_owner(call: Call, meta: Json) -> None:
    """Drop references to owners that stand twice, and say so."""
    listed = meta.get("ownerReferences")
    if not listed or len(listed) < 2:
        return
    kept: dict[bytes, Json] = {}  # a body may hold a hundred thousand: each is looked for once
    twice: dict[str, None] = {}
    for owner in listed:
        if kept.setdefault(orjson.dumps(owner, option=orjson.OPT_SORT_KEYS), owner) is not owner:
            twice[str(owner.get("uid"))] = None
    if twice:
        meta["ownerReferences"] = list(kept.values())
        call.warnings.append(SAME_OWNERS + ", ".join(twice))


async def _create_once(call: Call, spec: KindSpec, obj: Json, attributes: Attributes) -> Cached | Json:
    parts, meta = call.parts, obj["metadata"]
    meta["uid"] = ids.uid()
    meta["creationTimestamp"] = format_seconds(parts.clock.now())
    attributes.name = meta.get("name", "")
    spec.prepare_create(obj)
    if spec.rules.asked_by is not None:
        user = call.user
        spec.rules.asked_by(obj, user.name, user.uid, user.groups, user.extra)
    found = list(spec.validate_create(obj))
    if found:
        raise errors.invalid(spec.resource, meta.get("name", ""), found)
    if call.info.verb != "create":
        await _may_create(call)
    try:
        await parts.admission.validate(attributes)
        return await _commit_new(call, spec, obj)
    except BaseException:
        if attributes.undo:
            await attributes.give_back()
        raise


async def _may_create(call: Call) -> None:
    """Who may only update or patch makes nothing new by it. Raises 403."""
    info = replace(call.info, verb="create")
    decision = call.parts.authorize(call.user, info)
    if isawaitable(decision):
        decision = await decision
    if not decision.allowed:
        raise refusal(call.user, info, decision.reason)


async def _commit_new(call: Call, spec: KindSpec, obj: Json) -> Cached | Json:
    """Everything has been admitted: write it, unless its name is taken."""
    meta = obj["metadata"]
    if not spec.acted_on and spec.not_acted_on:
        call.warnings.append(spec.not_acted_on)
    call.warnings.extend(spec.warnings(obj, None))
    existing = call.objects.find(spec, meta.get("namespace", ""), meta["name"])
    if existing is not None:
        raise _taken(spec, existing)
    finish = _reserve(call, spec, obj, None)
    done = False
    try:
        if call.dry_run:
            return obj
        created = await call.objects.create(spec, obj)
        done = True
        return created
    finally:
        if finish is not None:
            finish(done)


def _taken(spec: KindSpec, existing: Cached) -> errors.StatusError:
    error = errors.already_exists(spec.resource, existing.name)
    if b'"deletionTimestamp"' in existing.metadata_wire and existing.decode()["metadata"].get("deletionTimestamp"):
        error.message = f"object is being deleted: {error.message}"
    return error


async def update(call: Call) -> Answer:
    """PUT of an object or its status."""
    spec, info = call.spec, call.info
    writeoptions.check(call, "UpdateOptions")
    new = read_object(call, spec)
    call.form()
    _fix_namespace(call, new)
    meta = new["metadata"]
    check_name(call, meta)
    one_of_each_owner(call, meta)
    uid = meta.get("uid") or ""
    if not info.subresource and call.objects.find(spec, call.namespace, info.name) is None:
        if uid:
            raise uid_conflict(call, uid, "")
        if spec.allow_create_on_update:
            meta.pop("resourceVersion", None)
            return answer(call, await create_object(call, new), 201)
    stated = meta.get("resourceVersion") or ""
    stated = "" if stated == "0" else stated

    def change(old: Json) -> Json:
        if uid and uid != old["metadata"]["uid"]:
            raise uid_conflict(call, uid, old["metadata"]["uid"])
        if not stated and not spec.allow_unconditional_update:
            raise unconditional(call)
        if stated and stated != old["metadata"]["resourceVersion"]:
            raise errors.conflict(spec.resource, info.name, MODIFIED)
        return _copy(new)

    return answer(call, await change_object(call, change, conditional=bool(stated)))


def check_name(call: Call, meta: Json) -> None:
    """The name in the body is that of the path, and it is there; raises 400."""
    name, given = call.info.name, meta.get("name")
    if not given:
        raise errors.bad_request(
            f"the name of the object ({name} based on URL) was undeterminable: name must be provided"
        )
    if given != name:
        raise errors.bad_request(f"the name of the object ({given}) does not match the name on the URL ({name})")


def uid_conflict(call: Call, asked: str, found: str) -> errors.StatusError:
    """409: the object of that name is another one (or, with `found` empty, there is none)."""
    key = call.spec.key(call.namespace, call.info.name)
    return errors.conflict(
        call.spec.resource, call.info.name,
        f"StorageError: invalid object, Code: 4, Key: {key}, ResourceVersion: 0, AdditionalErrorMsg: "
        f"Precondition failed: UID in precondition: {asked}, UID in object meta: {found}",
    )  # fmt: skip


def unconditional(call: Call) -> errors.StatusError:
    """422 where an update must say what it was based on. The original names the resource instead of the kind."""
    path = problems.Path("metadata") / "resourceVersion"
    resource = replace(call.spec.resource, kind=call.spec.resource.plural)
    return errors.invalid(resource, call.info.name, [problems.invalid(path, 0, "must be specified for an update")])


def _copy(obj: Json) -> Json:
    copied: Json = orjson.loads(orjson.dumps(obj))
    return copied


Changer = Callable[[Json], Json | Awaitable[Json]]


async def change_object(
    call: Call,
    change: Changer,
    *,
    conditional: bool = False,
    owner: str = "Update",
    subresource: str | None = None,
    trusted: bool = False,
    admission: bool = True,
) -> Cached | Json:
    """Read, change, check, write; again when overtaken, unless the change is `conditional` on what it saw.

    `change` gets a fresh copy of the object and returns the new one (it may be the same, changed). `owner` is "Apply"
    when the change has done its own accounting of fields. `trusted` changes come from the server itself (a scale, a
    binding): they skip admission, not validation. Without `admission` the change has seen to that itself.
    """
    spec, info, parts = call.spec, call.info, call.parts
    subresource = info.subresource if subresource is None else subresource
    for _ in range(CHANGE_TRIES):
        current = call.objects.get(spec, call.namespace, info.name)
        if (coming := call.objects.ready(spec, (current,))) is not None:
            await coming
        old = served_form(spec, current)
        made = change(served_form(spec, current))
        new = made if isinstance(made, dict) else await made
        _keep_system_metadata(new, old)
        spec.default(new)
        status_only = subresource == "status"
        # As it came: what admission and the kind's strategy change is nobody's. Other subresources keep so little of
        # what came that only the outcome tells.
        late = owner != "Apply" and subresource not in ("", "status", "scale")
        if owner != "Apply" and not late:
            owners.record(call, old, new, subresource)
        attributes = call.attributes("UPDATE", new, old, subresource=subresource, options="UpdateOptions")
        if not trusted and admission:
            await parts.admission.mutate(attributes)
            _keep_identity(spec, new, old)
            one_of_each_owner(call, new["metadata"])
        if status_only:
            spec.prepare_status(new, old)
            found = list(spec.validate_status(new, old))
        elif subresource and spec.prepare_subresource(subresource, new, old):
            found = list(spec.validate_subresource(subresource, new, old))
        elif trusted:
            found = list(spec.validate(new))  # a trusted change states itself what it may change
        else:
            spec.prepare_update(new, old)
            found = list(spec.validate(new)) + list(spec.validate_update(new, old))
        if found:
            raise errors.invalid(spec.resource, info.name, found)
        if late:
            owners.record(call, old, new, subresource)
        owners.keep_times(new, old)
        done = False
        try:
            if not trusted and admission:
                await parts.admission.validate(attributes)
            if not status_only:
                call.warnings.extend(spec.warnings(new, old))
            if call.dry_run:
                finish = _reserve(call, spec, new, old)
                if finish is not None:
                    finish(False)
                return new
            written = await _write(call, spec, new, old, current)
            if written is not None:
                done = True
                return written
        finally:
            if not done and attributes.undo:
                await attributes.give_back()
        if conditional:
            raise errors.conflict(spec.resource, info.name, MODIFIED)
    raise errors.conflict(spec.resource, info.name, MODIFIED)


async def _write(call: Call, spec: KindSpec, new: Json, old: Json, current: Cached) -> Cached | Json | None:
    if _may_go(new):
        # The last finalizer of a deleted object has been taken off: this update is its removal. The answer is what
        # the writer would have left behind.
        return None if await call.objects.remove(spec, current) is None else new
    finish = _reserve(call, spec, new, old)
    done = False
    try:
        written = await call.objects.replace(spec, new, current)
        done = written is not None
        return written
    finally:
        if finish is not None:
            finish(done)


def _may_go(obj: Json) -> bool:
    """Deletion has begun, and nothing holds the object any more."""
    meta = obj["metadata"]
    if not meta.get("deletionTimestamp") or meta.get("finalizers"):
        return False
    if meta.get("deletionGracePeriodSeconds"):
        return False
    return not (obj["kind"] == "Namespace" and obj["apiVersion"] == "v1" and obj.get("spec", {}).get("finalizers"))


def _reserve(call: Call, spec: KindSpec, new: Json, old: Json | None) -> Callable[[bool], None] | None:
    reserve = call.parts.reservations.get(spec.storage_prefix)
    return reserve(new, old) if reserve is not None else None


def _keep_identity(spec: KindSpec, new: Json, old: Json) -> None:
    """An object stays itself whatever admission has made of it. Raises 422."""
    meta, was = new["metadata"], old["metadata"]
    found = [
        problems.invalid(problems.Path("metadata") / name, meta.get(name), "field is immutable")
        for name in ("name", "namespace")
        if meta.get(name) != was.get(name)
    ]
    if found:
        raise errors.invalid(spec.resource, was["name"], found)


def _keep_system_metadata(new: Json, old: Json) -> None:
    """What an update need not say, or may say without effect, is what it was; what it may not say is left to the rules
    of updates, which refuse it."""
    meta, was = new["metadata"], old["metadata"]
    for name in ("creationTimestamp", "resourceVersion", "name", "namespace"):
        if name in was:
            meta[name] = was[name]
        else:
            meta.pop(name, None)
    if not meta.get("uid"):
        meta["uid"] = was["uid"]
    if was.get("deletionTimestamp"):
        meta["deletionTimestamp"] = was["deletionTimestamp"]
    if meta.get("deletionGracePeriodSeconds") is None and "deletionGracePeriodSeconds" in was:
        meta["deletionGracePeriodSeconds"] = was["deletionGracePeriodSeconds"]
    meta.pop("selfLink", None)
    if "managedFields" not in meta and "managedFields" in was:
        # A client that sends none back (most do not know the field) leaves ownership as it is.
        meta["managedFields"] = was["managedFields"]


def _fix_namespace(call: Call, obj: Json) -> None:
    meta, namespace = obj["metadata"], call.namespace
    if not call.spec.namespaced:
        if meta.get("namespace"):
            meta.pop("namespace")
        return
    if not namespace:
        raise errors.bad_request("an empty namespace may not be set during creation")
    if meta.get("namespace") and meta["namespace"] != namespace:
        raise errors.bad_request(
            "the namespace of the provided object does not match the namespace sent on the request"
        )
    meta["namespace"] = namespace
