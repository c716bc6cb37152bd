"""One question to one webhook, and its answer, read as strictly as the original reads it."""

import base64
import binascii
from dataclasses import dataclass
from typing import Any

from kaa.base import ids
from kaa.meta import errors
from kaa.server.admission.api import Attributes
from kaa.server.admission.review import Versioned, request_of
from kaa.server.admission.webhooks.hooks import Hook
from kaa.server.webhooks import WebhookError, Webhooks

__all__ = ["NotCalled", "Verdict", "ask"]

Json = dict[str, Any]


class NotCalled(Exception):
    """The webhook could not be asked, or gave no usable answer: its failure policy decides. `str()` is the message."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """An answer that allows."""

    #: A JSON patch as it came, decoded from base64; b"" for none.
    patch: bytes
    patch_type: str
    audit: dict[str, str]


async def ask(webhooks: Webhooks, hook: Hook, attributes: Attributes, versioned: Versioned, *, mutating: bool,
              seconds: float) -> Verdict:  # fmt: skip
    """Ask, and add what it says to warnings and audit. Raises StatusError for a refusal, NotCalled otherwise."""
    if attributes.dry_run and hook.side_effects not in ("None", "NoneOnDryRun"):
        raise errors.bad_request(f'admission webhook "{hook.name}" does not support dry run')
    uid = ids.uid()
    shape = f"admission.k8s.io/{hook.review_version}"
    request = {"uid": uid, **request_of(attributes, versioned)}
    options = request.pop("options")
    request.update(object=versioned.object, oldObject=versioned.old)
    request["dryRun"] = request.pop("dryRun")
    request["options"] = options
    review = {"kind": "AdmissionReview", "apiVersion": shape, "request": request}
    try:
        answer = await webhooks.ask(hook.client_config, review, timeout_seconds=seconds)
    except WebhookError as error:
        raise _failed(hook, f"failed to call webhook: {error}") from error
    try:
        response = _verified(answer, uid, shape, mutating=mutating)
        verdict = _verdict(response, hook, mutating=mutating)
    except ValueError as error:
        raise _failed(hook, f"received invalid webhook response: {error}") from error
    attributes.audit.update(verdict.audit)
    attributes.warnings.extend(str(each) for each in response.get("warnings") or ())
    if not response.get("allowed"):
        raise _refusal(hook, response.get("status") or {})
    return verdict


def _failed(hook: Hook, why: str) -> NotCalled:
    return NotCalled(f'failed calling webhook "{hook.name}": {why}')


def _verified(answer: Json, uid: str, shape: str, *, mutating: bool) -> Json:
    """The response; raises ValueError. Answers of v1beta1 are not asked who they are from."""
    response = answer.get("response")
    if type(response) is not dict:
        raise ValueError("webhook response was absent")
    if shape.endswith("/v1"):
        if response.get("uid") != uid:
            raise ValueError(f'expected response.uid="{uid}", got "{response.get("uid") or ""}"')
        group_version, kind = answer.get("apiVersion"), answer.get("kind")
        if (group_version, kind) != (shape, "AdmissionReview"):
            got = f"{group_version or '/'}, Kind={kind or ''}"
            raise ValueError(f"expected webhook response of {shape}, Kind=AdmissionReview, got {got}")
        patch, patch_type = response.get("patch"), response.get("patchType")
        if mutating:
            if patch and patch_type is None:
                raise ValueError("webhook returned response.patch but not response.patchType")
            if not patch and patch_type is not None:
                raise ValueError("webhook returned response.patchType but not response.patch")
            if patch and not patch_type:
                raise ValueError('webhook returned invalid response.patchType of ""')
        else:
            if patch:
                raise ValueError("validating webhook may not return response.patch")
            if patch_type is not None:
                raise ValueError("validating webhook may not return response.patchType")
    return response


def _verdict(response: Json, hook: Hook, *, mutating: bool) -> Verdict:
    patch = b""
    if mutating and response.get("patch"):
        try:
            patch = base64.b64decode(response["patch"], validate=True)
        except (binascii.Error, TypeError, ValueError) as error:
            raise ValueError(f"response.patch is not in base64: {error}") from error
    for name, kind in (("auditAnnotations", dict), ("warnings", list), ("status", dict)):
        if response.get(name) is not None and type(response[name]) is not kind:
            raise ValueError(f"response.{name} has the wrong type")
    audit = {f"{hook.name}/{key}": str(value) for key, value in (response.get("auditAnnotations") or {}).items()}
    # v1beta1 did not say of which type a patch is.
    kind_of_patch = "JSONPatch" if hook.review_version == "v1beta1" else str(response.get("patchType") or "")
    return Verdict(patch, kind_of_patch, audit)


def _refusal(hook: Hook, status: Json) -> errors.StatusError:
    """What the client is told: the webhook's own status, with who it was in front of the message."""
    code = status.get("code")
    code = code if type(code) is int and code >= 400 else 400
    reason, message = str(status.get("reason") or ""), str(status.get("message") or "")
    denied = f'admission webhook "{hook.name}" denied the request'
    text = f"{denied}: {message or reason}" if message or reason else f"{denied} without explanation"
    details = status.get("details")
    return errors.StatusError(code, reason, text, details if type(details) is dict else None)
