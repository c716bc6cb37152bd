"""`finalize`: taking finalizers off a namespace's spec, which ends it."""

from typing import Any

from kaa.http.api import Answer
from kaa.meta import errors
from kaa.server.call import Call
from kaa.server.verbs import writes
from kaa.server.verbs.bodies import read_object

__all__ = ["finalize"]

Json = dict[str, Any]


async def finalize(call: Call) -> Answer:
    """PUT of a namespace whose `spec.finalizers` is what should remain."""
    if call.info.verb != "update":
        raise errors.method_not_allowed(call.spec.resource, call.info.verb)
    sent = read_object(call, call.spec)
    stated = sent["metadata"].get("resourceVersion")

    def change(old: Json) -> Json:
        if stated and stated != old["metadata"]["resourceVersion"]:
            raise errors.conflict(call.spec.resource, call.info.name, writes.MODIFIED)
        finalizers = (sent.get("spec") or {}).get("finalizers")
        old.setdefault("spec", {}).pop("finalizers", None)
        if finalizers:
            old["spec"]["finalizers"] = finalizers
        return old

    return writes.answer(call, await writes.change_object(call, change, trusted=True, conditional=bool(stated)))
