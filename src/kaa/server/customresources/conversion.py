"""Objects of custom kinds from one version to another.

Stored bytes are in the version that was the storage version when they were written. Where versions differ in their name
alone, the name is put in its place when the bytes go out. Where a webhook converts, whoever is about to answer asks for
its entries to be `ready`; what the webhook said is kept with the entry, once per version and revision.
"""

from collections.abc import Awaitable, Sequence
from typing import Any

import orjson

from kaa.base import ids
from kaa.kinds.custom.kind import CustomKind
from kaa.kinds.spec import KindSpec
from kaa.meta import errors
from kaa.server.cache import Cached
from kaa.server.webhooks import WebhookError, Webhooks

__all__ = ["Conversions"]

Json = dict[str, Any]

TIMEOUT_SECONDS = 30.0
#: Objects in one question to a webhook: a list is asked for in as many questions as it takes.
BATCH_OBJECTS = 500
#: Of metadata, a webhook may change these only.
_MAY_CHANGE = ("labels", "annotations")


class Conversions:
    """Converts, asking webhooks where they are configured. One per server."""

    def __init__(self, webhooks: Webhooks) -> None:
        self._webhooks = webhooks

    def ready(self, spec: KindSpec, entries: Sequence[Cached]) -> Awaitable[None] | None:
        """Have the entries at hand in the version of `spec`. None where they are; otherwise to be awaited.

        Raises 500 when the webhook does not answer, or not as it should.
        """
        if not isinstance(spec, CustomKind) or not spec.converted_by_webhook:
            return None
        key = ("version", spec.api_version)
        missing = [each for each in entries if not each.speaks(spec.api_version) and each.made(key) is None]
        return self._prepare(spec, missing) if missing else None

    async def _prepare(self, spec: CustomKind, entries: Sequence[Cached]) -> None:
        for start in range(0, len(entries), BATCH_OBJECTS):
            batch = entries[start : start + BATCH_OBJECTS]
            made = await self._ask(spec, [each.decode() for each in batch], spec.api_version)
            for entry, obj in zip(batch, made, strict=True):
                body = orjson.dumps(_in_order(obj))
                entry.form(("version", spec.api_version), lambda _entry, body=body: body)

    async def to_stored(self, spec: KindSpec, obj: Json) -> Json:
        """The object in the version that is stored; the argument is left as it is."""
        if not isinstance(spec, CustomKind) or obj["apiVersion"] == spec.storage_version:
            return obj
        if not spec.converted_by_webhook:
            return {**obj, "apiVersion": spec.storage_version}
        return (await self._ask(spec, [obj], spec.storage_version))[0]

    async def to_version(self, spec: KindSpec, obj: Json, target: KindSpec) -> Json:
        """A copy of the object as `target`, another version of `spec`, has it."""
        copied: Json = orjson.loads(orjson.dumps(obj))
        if not isinstance(spec, CustomKind) or not spec.converted_by_webhook:
            return {**copied, "apiVersion": target.api_version}
        return (await self._ask(spec, [copied], target.api_version))[0]

    async def _ask(self, spec: CustomKind, objects: list[Json], version: str) -> list[Json]:
        hook = spec.definition["spec"]["conversion"]["webhook"]
        told = next(each for each in hook["conversionReviewVersions"] if each in ("v1", "v1beta1"))
        uid = ids.uid()
        question = {
            "kind": "ConversionReview",
            "apiVersion": f"apiextensions.k8s.io/{told}",
            "request": {"uid": uid, "desiredAPIVersion": version, "objects": objects},
        }
        what = f"conversion webhook for {objects[0]['apiVersion']}, Kind={spec.kind} failed"
        try:
            answer = await self._webhooks.ask(hook["clientConfig"], question, timeout_seconds=TIMEOUT_SECONDS)
            return _checked(answer, uid, objects, version)
        except WebhookError as error:
            raise errors.internal(f"{what}: {error}") from error


def _checked(answer: Json, uid: str, objects: list[Json], version: str) -> list[Json]:
    response = answer.get("response")
    if not isinstance(response, dict):
        raise WebhookError("the answer has no response")
    if response.get("uid") != uid:
        raise WebhookError(f"expected response.uid={uid}, got {response.get('uid')}")
    result = response.get("result") or {}
    if result.get("status") != "Success":
        raise WebhookError(str(result.get("message") or f"the result is {result.get('status')!r}"))
    made = response.get("convertedObjects")
    if not isinstance(made, list) or len(made) != len(objects):
        count = len(made) if isinstance(made, list) else 0
        raise WebhookError(f"webhook returned {count} objects, expected {len(objects)}")
    return [_checked_object(new, old, at, version) for at, (new, old) in enumerate(zip(made, objects, strict=True))]


def _checked_object(new: Any, old: Json, at: int, version: str) -> Json:
    where = f"webhook returned invalid converted object at index {at}"
    if not isinstance(new, dict) or not isinstance(new.get("metadata"), dict):
        raise WebhookError(f"{where}: missing metadata in converted object")
    if new.get("apiVersion") != version:
        raise WebhookError(f"{where}: invalid groupVersion (expected: {version}, received: {new.get('apiVersion')})")
    if new.get("kind") != old["kind"]:
        raise WebhookError(f"{where}: invalid kind (expected: {old['kind']}, received: {new.get('kind')})")
    meta, was = new["metadata"], old["metadata"]
    for name in ("name", "namespace", "uid"):
        if meta.get(name) != was.get(name):
            raise WebhookError(f"{where}: metadata.{name} mismatch: {meta.get(name)!r} != {was.get(name)!r}")
    kept = {name: value for name, value in was.items() if name not in _MAY_CHANGE}
    kept.update({name: meta[name] for name in _MAY_CHANGE if meta.get(name)})
    return {**new, "metadata": kept}


def _in_order(obj: Json) -> Json:
    """Kind, apiVersion and metadata first, with the revision first of all: as entries are written."""
    meta = obj["metadata"]
    metadata = {"resourceVersion": meta["resourceVersion"], **meta} if "resourceVersion" in meta else meta
    return {"kind": obj["kind"], "apiVersion": obj["apiVersion"], "metadata": metadata, **obj}
