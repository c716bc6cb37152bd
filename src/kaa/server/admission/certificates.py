"""Certificate requests: who may approve and sign for a signer, and what no signer signs."""

from inspect import isawaitable
from typing import Any

from kaa.kinds.certificates.pem import request_subject
from kaa.kinds.spec import KindSpec
from kaa.server.admission.api import Attributes, Authorizing, Operation, Plugin
from kaa.server.request import RequestInfo, User

__all__ = ["CertificateApproval", "CertificateSigning", "CertificateSubjectRestriction", "may"]

Json = dict[str, Any]

REQUESTS = "certificatesigningrequests.certificates.k8s.io"
GROUP = "certificates.k8s.io"
CLIENT_SIGNER = "kubernetes.io/kube-apiserver-client"


async def may(authorize: Authorizing, user: User, info: RequestInfo) -> bool:
    """What the authorizer says, now or when it has been asked."""
    decision = authorize(user, info)
    if isawaitable(decision):
        decision = await decision
    return bool(decision.allowed)


async def _may_for(authorize: Authorizing, user: User, verb: str, signer: str) -> bool:
    """Whether a user may do something for a signer, by its name or for its whole domain."""
    for name in (signer, f"{signer.partition('/')[0]}/*"):
        if await may(authorize, user, RequestInfo(verb, "", True, GROUP, "v1", "signers", "", "", name)):
            return True
    return False


def _signer(obj: Json | None) -> str:
    return str(((obj or {}).get("spec") or {}).get("signerName") or "")


class CertificateApproval(Plugin):
    """Approving and denying needs the verb `approve` on the signer."""

    name = "CertificateApproval"

    def __init__(self, authorize: Authorizing) -> None:
        self._authorize = authorize

    def handles(self, spec: KindSpec, subresource: str, operation: Operation) -> bool:
        """Updates of a request's approval."""
        return (spec.resource.qualified, subresource, operation) == (REQUESTS, "approval", "UPDATE")

    async def validate(self, attributes: Attributes) -> None:
        """Raise 403. The signer that stands counts, not the one that is written."""
        signer = _signer(attributes.old)
        if not await _may_for(self._authorize, attributes.user, "approve", signer):
            raise attributes.forbidden(f'user not permitted to approve requests with signerName "{signer}"')


class CertificateSigning(Plugin):
    """Issuing needs the verb `sign` on the signer."""

    name = "CertificateSigning"

    def __init__(self, authorize: Authorizing) -> None:
        self._authorize = authorize

    def handles(self, spec: KindSpec, subresource: str, operation: Operation) -> bool:
        """Updates of a request's status."""
        return (spec.resource.qualified, subresource, operation) == (REQUESTS, "status", "UPDATE")

    async def validate(self, attributes: Attributes) -> None:
        """Raise 403 where the certificate or the conditions change."""
        new, old = ((each or {}).get("status") or {} for each in (attributes.object, attributes.old))
        if all((new.get(part) or None) == (old.get(part) or None) for part in ("certificate", "conditions")):
            return
        signer = _signer(attributes.old)
        if not await _may_for(self._authorize, attributes.user, "sign", signer):
            raise attributes.forbidden(f'user not permitted to sign requests with signerName "{signer}"')


class CertificateSubjectRestriction(Plugin):
    """No client certificate is asked for with the group that may do everything."""

    name = "CertificateSubjectRestriction"

    def handles(self, spec: KindSpec, subresource: str, operation: Operation) -> bool:
        """Creates of requests."""
        return (spec.resource.qualified, subresource, operation) == (REQUESTS, "", "CREATE")

    def validate(self, attributes: Attributes) -> None:
        """Raise 403."""
        if _signer(attributes.object) != CLIENT_SIGNER:
            return
        try:
            _, organizations = request_subject(((attributes.object or {}).get("spec") or {}).get("request") or "")
        except ValueError as error:
            raise attributes.forbidden(f"failed to parse CSR: {error}") from error
        if "system:masters" in organizations:
            raise attributes.forbidden(f"use of {CLIENT_SIGNER} signer with system:masters group is not allowed")
