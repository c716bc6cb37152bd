"""Requests of kubelets for their own client certificates are approved by themselves, if authorization says so."""

from typing import Any

from kaa.base.clock import format_seconds
from kaa.controllers.certificates.rules import common_name, is_kubelet_client, parse
from kaa.kinds.views.certificates import CertificateSigningRequest
from kaa.meta.resource import Resource
from kaa.runtime import Controller, For, Result, Session

__all__ = ["ApprovingController"]

_REVIEW = Resource(
    "authorization.k8s.io", "v1", "subjectaccessreviews", "SubjectAccessReview", False, "subjectaccessreview"
)
#: Subresource that the one who asks must be allowed to create -> what the condition says.
_SELF = "selfnodeclient", "Auto approving self kubelet client certificate after SubjectAccessReview."
_OTHER = "nodeclient", "Auto approving kubelet client certificate after SubjectAccessReview."


class NotAllowed(RuntimeError):
    """It looks like a kubelet's request, and who asks may not have it approved. Tried again: permissions may come."""


class ApprovingController(Controller[CertificateSigningRequest]):
    """Approve what a kubelet asks for itself (`selfnodeclient`), or somebody for a new one (`nodeclient`)."""

    name, component = "certificatesigningrequest-approving", "certificatesigningrequest-approving-controller"
    watches = (For(CertificateSigningRequest),)

    async def reconcile(self, obj: CertificateSigningRequest, io: Session) -> Result | None:
        if obj.deleting or obj.status.certificate or obj.has("Approved") or obj.has("Denied"):
            return None
        request = parse(obj)
        if not is_kubelet_client(obj, request):
            return None
        ways = [_SELF] if obj.spec.username == common_name(request) else []
        for permission, message in (*ways, _OTHER):
            if await self._allowed(obj, permission, io):
                await self._approve(obj, message, io)
                return None
        tried = " ".join(permission for permission, _ in (*ways, _OTHER))
        raise NotAllowed(f'recognized csr "{obj.name}" as [{tried}] but subject access review was not approved')

    async def _allowed(self, csr: CertificateSigningRequest, permission: str, io: Session) -> bool:
        spec = csr.spec
        review = {
            "kind": _REVIEW.kind, "apiVersion": _REVIEW.api_version,
            "spec": {
                "user": spec.username, "uid": spec.uid, "groups": list(spec.groups),
                "extra": {key: list(values) for key, values in spec.extra.items()},
                "resourceAttributes": {
                    "group": csr.resource.group, "resource": csr.resource.plural, "verb": "create",
                    "subresource": permission, "version": "*",
                },
            },
        }  # fmt: skip
        answered = await io.client.create(_REVIEW, review)
        return bool((answered.get("status") or {}).get("allowed"))

    async def _approve(self, csr: CertificateSigningRequest, message: str, io: Session) -> None:
        obj: dict[str, Any] = await io.client.get_json(csr.resource, csr.name)
        now = format_seconds(io.clock.now())
        condition = {
            "type": "Approved", "status": "True", "reason": "AutoApproved", "message": message, "lastUpdateTime": now,
        }  # fmt: skip
        status = obj.setdefault("status", {})
        status["conditions"] = [*(status.get("conditions") or ()), condition]
        await io.update(csr.resource, obj, subresource="approval")
        self.log.info("approved", csr=csr.name, user=csr.spec.username)
