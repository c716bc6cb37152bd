"""Objects of custom kinds from one version to another.

Stored bytes are in the version that was the storage version when they were written. Where versions differ in their name
alone, the name is put in its place when the bytes go out. Where a webhook converts, whoever is about to answer asks for
its entries to be `ready`; what the webhook said is kept with the entry, once per version and revision.
"""

from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import Any

import orjson

from kaa.base import ids
from kaa.kinds import metadata
from kaa.kinds.custom.kind import CustomKind
from kaa.kinds.spec import KindSpec
from kaa.meta import errors
from kaa.meta.problems import Path, Problem
from kaa.server.cache import Cached
from kaa.server.webhooks import WebhookError, Webhooks

__all__ = ["Conversions"]

Json = dict[str, Any]

TIMEOUT_SECONDS = 30.0
#: Objects in one question to a webhook: a list is asked for in as many questions as it takes.
BATCH_OBJECTS = 500
#: Of metadata, a webhook may change these only.
_MAY_CHANGE = ("labels", "annotations")
_PROBLEMS: dict[str, Callable[[Json], Iterator[Problem]]] = {
    "labels": lambda pairs: metadata.labels(pairs, Path() / "metadata" / "labels"),
    "annotations": lambda pairs: metadata.annotation_sizes(pairs, Path() / "metadata" / "annotation"),
}
_GROUP = "apiextensions.k8s.io"


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
            asked = [each.decode() for each in batch]
            made = await self._ask(spec, asked, spec.api_version, listed=len(entries) > 1)
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

    async def _ask(self, spec: CustomKind, objects: list[Json], version: str, *, listed: bool = False) -> list[Json]:
        hook = spec.definition["spec"]["conversion"]["webhook"]
        told = next(each for each in hook["conversionReviewVersions"] if each in ("v1", "v1beta1"))
        uid = ids.uid()
        question = {
            "kind": "ConversionReview",
            "apiVersion": f"apiextensions.k8s.io/{told}",
            "request": {"uid": uid, "desiredAPIVersion": version, "objects": objects},
        }
        what = f"conversion webhook for {objects[0]['apiVersion']}, Kind={spec.list_kind if listed else spec.kind}"
        try:
            answer = await self._webhooks.ask(hook["clientConfig"], question, timeout_seconds=TIMEOUT_SECONDS)
            made = _converted(answer, told, uid)
        except WebhookError as error:
            raise _failed(f"{what} failed: {error}") from error
        if len(made) != len(objects):
            raise _failed(f"{what} returned {len(made)} objects, expected {len(objects)}")
        try:
            return [_checked(new, old, at if listed else None, version)
                    for at, (new, old) in enumerate(zip(made, objects, strict=True))]  # fmt: skip
        except _Unusable as error:
            raise _failed(f"{what} returned {error}") from error


def _failed(message: str) -> errors.StatusError:
    return errors.StatusError(500, "", message)


class _Unusable(ValueError):
    """What a webhook made of an object cannot stand for it."""


def _converted(answer: Json, told: str, uid: str) -> list[Any]:
    """The objects in an answer; raises WebhookError where it says there are none. Answers of v1beta1 need not say what,
    and whom, they answer."""
    if told == "v1":
        group, _, version = str(answer.get("apiVersion", "")).rpartition("/")
        kind = f"{group}/{version}, Kind={answer.get('kind', '')}"
        if kind != f"{_GROUP}/v1, Kind=ConversionReview":
            raise WebhookError(f"expected webhook response of {_GROUP}/v1, Kind=ConversionReview, got {kind}")
    response = answer.get("response")
    if not isinstance(response, dict):
        raise WebhookError("no response provided")
    if told == "v1" and response.get("uid") != uid:
        raise WebhookError(f'expected response.uid="{uid}", got "{response.get("uid") or ""}"')
    result = response.get("result") or {}
    if result.get("status") != "Success":
        raise WebhookError(str(result.get("message") or "")
                           or f"response.result.status was '{result.get('status') or ''}', not 'Success'")  # fmt: skip
    made = response.get("convertedObjects")
    return made if isinstance(made, list) else []


def _checked(new: Any, old: Json, at: int | None, version: str) -> Json:
    """The converted object with the metadata it had, but for labels and annotations. `at` is its place in a list."""
    told = at is not None
    where = f"converted object at index {at}" if told else "object at index 0"
    if not isinstance(new, dict):
        raise _Unusable(f"invalid {where}: it is no object")
    if new.get("apiVersion") != version:
        raise _Unusable(f"invalid {where}: invalid groupVersion (expected {version}, received {new.get('apiVersion')})")
    if new.get("kind") != old["kind"]:
        raise _Unusable(f"invalid {where}: invalid kind (expected {old['kind']}, received {new.get('kind')})")
    given, was = new.get("metadata"), old["metadata"]
    for name, word in (("name", "name"), ("namespace", "namespace"), ("uid", "UID")):
        then, now = was.get(name, ""), (given.get(name) or "") if isinstance(given, dict) else ""
        if then != now:
            raise _Unusable(f"invalid {where if told else 'object'}: must have the same {word}: {then} != {now}")
    try:
        return {**new, "metadata": _restored(given, was)}
    except _Unusable as error:
        raise _Unusable(f"invalid metadata{f' in object at index {at}' if told else ''}: {error}") from error


def _restored(given: Any, was: Json) -> Json:
    if not isinstance(given, dict):
        raise _Unusable("missing metadata in converted object")
    kept = {name: value for name, value in was.items() if name not in _MAY_CHANGE}
    for name in _MAY_CHANGE:
        pairs = given.get(name)
        if pairs is None:
            continue
        if not isinstance(pairs, dict):
            raise _Unusable(f"invalid metadata.{name} in converted object: it is no map")
        for key, value in pairs.items():
            if not isinstance(value, str):
                raise _Unusable(f"metadata.{name}[{key}] must be a string in converted object")
        if pairs != was.get(name):
            wrong = list(_PROBLEMS[name](pairs))
            if wrong:
                raise _Unusable(str(wrong[0]) if len(wrong) == 1 else f"[{', '.join(map(str, wrong))}]")
        if pairs:
            kept[name] = pairs
    return kept


def _in_order(obj: Json) -> Json:
    """Kind, apiVersion and metadata first, with the revision first of all: as entries are written."""
    meta = obj["metadata"]
    metadata = {"resourceVersion": meta["resourceVersion"], **meta} if "resourceVersion" in meta else meta
    return {"kind": obj["kind"], "apiVersion": obj["apiVersion"], "metadata": metadata, **obj}
