"""MutatingAdmissionWebhook: hooks that change what is written, one after another."""

from typing import Any

import orjson

from kaa.base.log import Logger
from kaa.meta import errors, ownership, patch
from kaa.server.admission.api import Attributes
from kaa.server.admission.review import Versioned, Versions, decoded
from kaa.server.admission.webhooks.calls import NotCalled, Verdict, ask
from kaa.server.admission.webhooks.deadline import Deadline
from kaa.server.admission.webhooks.hooks import Matched, WebhookPlugin

__all__ = ["MutatingAdmissionWebhook"]

Json = dict[str, Any]
_log = Logger("apiserver")

INVALID_FIELDS = (
    ".metadata.managedFields was in an invalid state after admission; this could be caused by an outdated mutating "
    "admission controller; please fix your requests: "
)


class _Memory:
    """What has been asked in the first round, and what came of it."""

    def __init__(self) -> None:
        self.may_be_asked_again: set[tuple[str, str]] = set()
        self.to_ask_again: set[tuple[str, str]] = set()
        self.output = b""

    def changed(self) -> None:
        """Something has changed: all that may, are asked again, those after this one too when it is their turn."""
        self.to_ask_again |= self.may_be_asked_again
        self.may_be_asked_again.clear()


class MutatingAdmissionWebhook(WebhookPlugin):
    """Asks; applies the patches; has all plugins look again when something changed."""

    name = "MutatingAdmissionWebhook"
    resource = "mutatingwebhookconfigurations"

    async def mutate(self, attributes: Attributes) -> None:
        """Ask each hook that matches. In the second round only those that want to be asked again, and need to be."""
        memory: _Memory = attributes.memory.setdefault(self.name, _Memory())
        if attributes.round and orjson.dumps(attributes.object) != memory.output:
            memory.changed()
        versions = Versions(self.objects, attributes)
        deadline = Deadline.of(attributes, self.webhooks.clock)
        fields = ((attributes.object or {}).get("metadata") or {}).get("managedFields")
        try:
            for matched in self.matched(attributes):
                hook = matched.hook
                if not await self.applies(matched, attributes, versions):
                    continue
                key = (hook.configuration, hook.name)
                if attributes.round and key not in memory.to_ask_again:
                    continue
                versioned = await versions.of(matched.spec)
                if await self._ask(matched, attributes, versioned, deadline):
                    memory.changed()
                    attributes.again = True
                    await versions.write_back()
                if hook.again_if_needed:
                    memory.may_be_asked_again.add(key)
        finally:
            memory.output = orjson.dumps(attributes.object)
        if fields is not None:
            _keep_valid(attributes, fields)

    async def _ask(self, matched: Matched, attributes: Attributes, versioned: Versioned, deadline: Deadline) -> bool:
        """Whether the hook has changed the object. Raises StatusError."""
        hook, place = matched.hook, f"round_{attributes.round}_index_{matched.index}"
        note = {"configuration": hook.configuration, "webhook": hook.name, "mutated": False}
        try:
            verdict = await ask(self.webhooks, hook, attributes, versioned, mutating=True,
                                seconds=deadline.seconds(hook.seconds))  # fmt: skip
            changed = self._apply(matched, versioned, verdict)
        except NotCalled as error:
            if not hook.ignore:
                raise errors.internal(str(error)) from error
            _log.warning("failed calling webhook, failing open", webhook=hook.name, error=str(error))
            attributes.audit[f"failed-open.mutation.webhook.admission.k8s.io/{place}"] = hook.name
            deadline.check()
            return False
        note["mutated"] = changed
        attributes.audit[f"mutation.webhook.admission.k8s.io/{place}"] = orjson.dumps(note).decode()
        if changed:
            shown = {"configuration": hook.configuration, "webhook": hook.name,
                     "patch": orjson.loads(verdict.patch), "patchType": "JSONPatch"}  # fmt: skip
            attributes.audit[f"patch.webhook.admission.k8s.io/{place}"] = orjson.dumps(shown).decode()
        return changed

    def _apply(self, matched: Matched, versioned: Versioned, verdict: Verdict) -> bool:
        hook = matched.hook
        if not verdict.patch:
            return False
        try:
            operations = orjson.loads(verdict.patch)
        except orjson.JSONDecodeError as error:
            raise errors.internal(str(error)) from error
        if operations is None or operations == []:
            return False
        if versioned.object is None:
            raise errors.internal(
                f'admission webhook "{hook.name}" attempted to modify the object, which is not supported for this '
                "operation"
            )
        if verdict.patch_type != "JSONPatch":
            raise NotCalled(f'failed calling webhook "{hook.name}": unsupported patch type "{verdict.patch_type}"')
        before = versioned.object
        try:
            patched = patch.json_patch(orjson.loads(orjson.dumps(before)), operations)
        except patch.PatchError as error:
            raise errors.internal(str(error)) from error
        new = decoded(self.objects, versioned, patched)
        if new == before:
            return False
        versioned.replace(new)
        return True


def _keep_valid(attributes: Attributes, before: Any) -> None:
    """Who owns what cannot be broken by a hook: what it made unreadable is what it was."""
    assert attributes.object is not None
    meta = attributes.object["metadata"]
    found = meta.get("managedFields")
    if found == before:
        return
    try:
        ownership.read_entries(found or (), trusted=False)
    except (ValueError, TypeError, AttributeError) as error:
        meta["managedFields"] = before
        attributes.warnings.append(INVALID_FIELDS + str(error))
