"""ValidatingAdmissionWebhook: hooks that refuse what is written, asked all at once."""

import asyncio

from kaa.base.log import Logger
from kaa.base.tasks import Scope
from kaa.meta import errors
from kaa.server.admission.api import Attributes
from kaa.server.admission.review import Versioned, Versions
from kaa.server.admission.webhooks.calls import NotCalled, ask
from kaa.server.admission.webhooks.deadline import Deadline
from kaa.server.admission.webhooks.hooks import Matched, WebhookPlugin

__all__ = ["ValidatingAdmissionWebhook"]

_log = Logger("apiserver")


class ValidatingAdmissionWebhook(WebhookPlugin):
    """Asks; the first refusal, in the order of the hooks, is the answer."""

    name = "ValidatingAdmissionWebhook"
    resource = "validatingwebhookconfigurations"

    async def validate(self, attributes: Attributes) -> None:
        """Ask all that match, and wait for all of them. Raises StatusError."""
        versions = Versions(self.objects, attributes)
        asked: list[tuple[Matched, Versioned]] = []
        for matched in self.matched(attributes):
            if await self.applies(matched, attributes, versions):
                asked.append((matched, await versions.of(matched.spec)))
        if not asked:
            return
        deadline = Deadline.of(attributes, self.webhooks.clock)
        if len(asked) == 1:
            if (refused := await self._ask(*asked[0], attributes, deadline)) is not None:
                raise refused
            return
        async with Scope("webhooks") as scope:
            tasks = [scope.spawn(self._ask(*each, attributes, deadline), name=each[0].hook.name) for each in asked]
            results = await asyncio.gather(*tasks)
        for refused in results:
            if refused is not None:
                raise refused

    async def _ask(self, matched: Matched, versioned: Versioned, attributes: Attributes,
                   deadline: Deadline) -> errors.StatusError | None:  # fmt: skip
        hook = matched.hook
        try:
            await ask(self.webhooks, hook, attributes, versioned, mutating=False,
                      seconds=deadline.seconds(hook.seconds))  # fmt: skip
        except NotCalled as error:
            if not hook.ignore:
                return errors.internal(str(error))
            _log.warning("failed calling webhook, failing open", webhook=hook.name, error=str(error))
            key = f"failed-open.validating.webhook.admission.k8s.io/round_0_index_{matched.index}"
            attributes.audit[key] = hook.name
        except errors.StatusError as error:
            return error
        return None
