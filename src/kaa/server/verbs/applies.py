"""Server-side apply: what is applied is merged with what is there by who owns which field; a free name is created."""

from typing import Any

import orjson

from kaa.http.api import Answer
from kaa.kinds.spec import KindSpec
from kaa.meta import errors, managed
from kaa.server.call import Call
from kaa.server.verbs import owners, writeoptions, writes
from kaa.server.verbs.identity import check_identity

__all__ = ["Configuration", "apply", "read_configuration"]

Json = dict[str, Any]

#: The name is free, then taken, then free again: told to the client after so many rounds.
ROUNDS = 3


class Configuration:
    """What a client applies, to be applied to one state of an object after the other until a write gets through."""

    def __init__(self, body: Json, duplicates: list[str]) -> None:
        # Results share parts with what was applied, and are decoded in place: each round gets its own.
        self._raw = orjson.dumps(body)
        self._duplicates = duplicates

    def fresh(self) -> Json:
        """A copy to be shared with a result."""
        body: Json = orjson.loads(self._raw)
        return body

    def identity(self) -> Json:
        """What it says of which object it is for."""
        meta = self.fresh().get("metadata") or {}
        return {name: meta[name] for name in ("name", "namespace", "uid", "resourceVersion") if meta.get(name)}

    def check_kind(self, spec: KindSpec) -> None:
        """Refuse another kind or version than the path's."""
        body = self.fresh()
        if body.get("kind") != spec.kind or body.get("apiVersion") != spec.api_version:
            raise errors.bad_request(f"invalid object type: {managed.kind_text(body)}")

    def tell_duplicates(self, call: Call) -> None:
        """Warn of keys that stood twice, or refuse them. As in the original: after all that may fail in applying."""
        if not self._duplicates:
            return
        level = call.request.param("fieldValidation")
        if level == "Strict":
            listing = "\n  ".join(self._duplicates)
            raise errors.bad_request(
                "error strict decoding YAML: error converting YAML to JSON: yaml: unmarshal errors:\n  " + listing
            )
        if level != "Ignore":
            call.warnings.extend(self._duplicates)


def read_configuration(call: Call) -> Configuration:
    """The request's body; raises 400. JSON is YAML, and what most clients send."""
    from kaa.server.verbs import yamlbody  # not on the path of programs, so not at start

    raw = call.request.body
    body: Any = None
    duplicates: list[str] = []
    if raw[:1] == b"{":
        try:
            body = orjson.loads(raw)
        except orjson.JSONDecodeError:
            body = None
        if body is not None and raw.count(b":") != orjson.dumps(body).count(b":"):
            body = None  # perhaps a key stands twice: read slowly, by line
    if body is None:
        try:
            document = yamlbody.read(raw)
        except yamlbody.YamlProblem as error:
            text = str(error)
            prefix = "" if text.startswith("json:") else "error converting YAML to JSON: "
            raise errors.bad_request(f"error decoding YAML: {prefix}{text}") from error
        body, duplicates = document.data, document.duplicates
    if body is None:
        body = {}
    if type(body) is not dict:
        word = {str: "string", bool: "bool", list: "array"}.get(type(body), "number")
        raise errors.bad_request(
            f"error decoding YAML: error unmarshaling JSON: while decoding JSON: json: cannot unmarshal {word} into "
            "Go value of type map[string]interface {}"
        )
    return Configuration(body, duplicates)


async def apply(call: Call) -> Answer:
    """Create or change the object of the path as the body says. The options have been checked."""
    configuration = read_configuration(call)
    spec, info = call.spec, call.info
    force = bool(writeoptions.flag(call, "force"))

    def merged(live: Json | None) -> Json:
        configuration.check_kind(spec)
        new = owners.apply(call, live, configuration.fresh(), force=force)
        configuration.tell_duplicates(call)
        return new if new is live else _as_object(spec, new)

    def change(old: Json) -> Json:
        was = dict(old["metadata"])
        new = merged(old)
        if new is old:
            # Nothing changes, but what is applied may still mean another object, or an older state.
            new = {**old, "metadata": {**old["metadata"], **configuration.identity()}}
        check_identity(call, new, was)
        return new

    for attempt in range(ROUNDS):
        if info.subresource or call.objects.find(spec, call.namespace, info.name) is not None:
            try:
                return writes.answer(call, await writes.change_object(call, change, owner="Apply"))
            except errors.StatusError as error:
                if error.reason != "NotFound" or info.subresource or attempt == ROUNDS - 1:
                    raise
        else:
            try:
                made = await writes.create_object(call, _new(call, merged(None)), owner="Apply")
                return writes.answer(call, made, 201)
            except errors.StatusError as error:
                if error.reason != "AlreadyExists" or attempt == ROUNDS - 1:
                    raise
    raise AssertionError("unreachable")


def _new(call: Call, obj: Json) -> Json:
    """Check an object that is about to be created under the name of the path."""
    meta = obj["metadata"]
    if meta.get("uid"):
        raise errors.conflict(
            call.spec.resource, call.info.name,
            f"uid mismatch: the provided object specified uid {meta['uid']}, and no existing object was found",
        )  # fmt: skip
    # There is no state it could have been read at: what it says of one is passed over.
    meta["resourceVersion"] = "1"
    check_identity(call, obj, {"resourceVersion": "1"})
    del meta["resourceVersion"]
    return obj


def _as_object(spec: KindSpec, merged: Json) -> Json:
    """The merged object as one of the kind: canonical values, no nulls."""
    try:
        obj, _ = spec.decode(merged)
    except errors.StatusError as error:
        why = error.message.partition(f"cannot be handled as a {spec.kind}: ")[2] or error.message
        meta = merged.get("metadata") or {}
        raise errors.bad_request(
            f"failed to convert new typed object ({meta.get('namespace') or ''}/{meta.get('name') or ''}; "
            f"{managed.kind_text(merged)}) to object: {why}",
        ) from error  # fmt: skip
    if type(obj.get("metadata")) is not dict:
        obj["metadata"] = {}
    return obj
