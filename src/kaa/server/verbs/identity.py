"""Is the outcome of a patch still the object that was patched, and based on what it says?"""

from typing import Any

from kaa.meta import errors
from kaa.server.call import Call
from kaa.server.verbs import writes

__all__ = ["check_identity"]

Json = dict[str, Any]


def check_identity(call: Call, new: Json, was: Json) -> None:
    """Raise where the outcome is another object than the one with the metadata `was`, or based on an older state.

    What is wrong with other metadata (a changed uid, say) is left to the rules of updates.
    """
    spec = call.spec
    meta = new["metadata"]
    if spec.namespaced:
        if meta.get("namespace") not in (None, "", call.namespace):
            raise errors.bad_request(
                "the namespace of the provided object does not match the namespace sent on the request"
            )
        meta["namespace"] = call.namespace
    writes.check_name(call, meta)
    stated = meta.get("resourceVersion")
    if stated in (None, "", "0"):
        if not spec.allow_unconditional_update:
            raise writes.unconditional(call)
    elif stated != was["resourceVersion"]:
        raise errors.conflict(spec.resource, call.info.name, writes.MODIFIED)
    writes.one_of_each_owner(call, meta)
