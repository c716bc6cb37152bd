"""Admission by others: webhooks that change (mutating) or refuse (validating) what is written.

- A **configuration** lists **hooks**; all hooks of all configurations, in the order of their names, are asked.
- A **hook** is compiled once per revision of its configuration (`hooks`), and looked for once per resource,
  subresource and operation; a server without any pays nothing for a write.
- A **call** asks one hook with an AdmissionReview and reads its answer (`calls`).
- Mutating hooks are asked one after another, and again where something has changed the object since (`mutating`);
  validating ones all at once (`validating`).
"""

from kaa.server.admission.webhooks.mutating import MutatingAdmissionWebhook
from kaa.server.admission.webhooks.validating import ValidatingAdmissionWebhook

__all__ = ["MutatingAdmissionWebhook", "ValidatingAdmissionWebhook"]
