"""A write as webhooks and expressions are told of it: in the version they ask for, and as an AdmissionRequest."""

from typing import Any

from kaa.kinds.spec import KindSpec
from kaa.meta import errors
from kaa.server.admission.api import Attributes
from kaa.server.admission.matching import kind_of, namespace_of
from kaa.server.objects import Objects, convert
from kaa.server.request import User

__all__ = ["Versioned", "Versions", "decoded", "request_of", "user_info"]

Json = dict[str, Any]


class Versioned:
    """The objects of a write in one version. Until something changes them they are the write's own."""

    __slots__ = ("changed", "kind", "object", "old", "spec")

    def __init__(self, spec: KindSpec, kind: tuple[str, str, str], obj: Json | None, old: Json | None) -> None:
        self.spec = spec
        #: Group, version and kind of the objects.
        self.kind = kind
        self.object = obj
        self.old = old
        self.changed = False

    def replace(self, new: Json) -> None:
        """Something has been changed."""
        self.object = new
        self.changed = True


class Versions:
    """The objects of a write in whichever version is asked for, one at a time: a change in one goes on in the next."""

    def __init__(self, objects: Objects, attributes: Attributes) -> None:
        self._objects = objects
        self._attributes = attributes
        self._last: Versioned | None = None

    async def of(self, spec: KindSpec) -> Versioned:
        """The objects as `spec` has them. Raises 500 where they cannot be converted."""
        attributes, last = self._attributes, self._last
        if last is not None and last.spec is spec:
            return last
        kind = kind_of(spec, attributes.subresource)
        # What is made has no past, even where a plugin is shown what it is made of (the pod of an eviction).
        obj, old = attributes.object, attributes.old if attributes.operation != "CREATE" else None
        whole = kind == kind_of(spec, "")  # what has a kind of its own (a Scale) is the same in all versions
        source = attributes.spec
        if last is not None:
            obj, source = last.object, last.spec
        if whole and obj is not None and source is not spec:
            obj = await convert(self._objects, obj, source, spec)
        if whole and old is not None and attributes.spec is not spec:
            old = await convert(self._objects, old, attributes.spec, spec)
        made = Versioned(spec, kind, obj, old)
        made.changed = last is not None and last.changed
        self._last = made
        return made

    async def write_back(self) -> None:
        """Let the write be of what has become of its object."""
        last, attributes = self._last, self._attributes
        if last is None or not last.changed or last.object is None:
            return
        obj = last.object
        if last.spec is not attributes.spec and kind_of(last.spec, attributes.subresource) == kind_of(last.spec, ""):
            obj = await convert(self._objects, obj, last.spec, attributes.spec)
        attributes.replace_object(obj)
        last.changed = False


def decoded(objects: Objects, versioned: Versioned, patched: Any, *, strict: bool = False) -> Json:
    """What a patch has made of an object, as an object again: types checked, what is unknown dropped, defaults added.

    Raises 500, as the original does: the mistake is the patch's, not the client's.
    """
    spec, kind = versioned.spec, versioned.kind
    own = kind_of(spec, "") == kind
    group, version, name = kind
    api_version = f"{group}/{version}" if group else version
    reader = spec if own else objects.registry.by_kind(api_version, name)
    if type(patched) is not dict:
        raise errors.internal("the patched object is no object")
    if patched.get("kind") != name or patched.get("apiVersion") != api_version:
        raise errors.internal(
            f"the patch makes {api_version}, Kind={name} into {patched.get('apiVersion')}, Kind={patched.get('kind')}"
        )
    if reader is None:
        return patched
    try:
        obj, unknown = reader.decode(patched)
    except errors.StatusError as error:
        why = error.message.partition(f"cannot be handled as a {name}: ")[2] or error.message
        raise errors.internal(why) from error
    if strict and unknown and not spec.custom:
        raise errors.internal(f"strict decoding error: {', '.join(unknown)}")
    if type(obj.get("metadata")) is not dict:
        obj["metadata"] = {}
    reader.default(obj)
    return obj


def request_of(attributes: Attributes, versioned: Versioned) -> Json:
    """The AdmissionRequest without uid and objects: what expressions see as `request`."""
    spec, asked = versioned.spec.resource, attributes.spec.resource
    subresource = attributes.subresource
    request: Json = {
        "kind": _kind(versioned.kind),
        "resource": {"group": spec.group, "version": spec.version, "resource": spec.plural},
    }
    if subresource:
        request["subResource"] = subresource
    request["requestKind"] = _kind(kind_of(attributes.spec, subresource))
    request["requestResource"] = {"group": asked.group, "version": asked.version, "resource": asked.plural}
    if subresource:
        request["requestSubResource"] = subresource
    if attributes.name:
        request["name"] = attributes.name
    if namespace := namespace_of(attributes):
        request["namespace"] = namespace
    request["operation"] = attributes.operation
    request["userInfo"] = user_info(attributes.user)
    request["dryRun"] = attributes.dry_run
    request["options"] = attributes.options_of() if attributes.options_of is not None else None
    return request


def _kind(kind: tuple[str, str, str]) -> Json:
    group, version, name = kind
    return {"group": group, "version": version, "kind": name}


def user_info(user: User) -> Json:
    """A user as the API shows one."""
    shown: Json = {"username": user.name}
    if user.uid:
        shown["uid"] = user.uid
    if user.groups:
        shown["groups"] = list(user.groups)
    if user.extra:
        shown["extra"] = {name: list(values) for name, values in user.extra.items()}
    return shown
