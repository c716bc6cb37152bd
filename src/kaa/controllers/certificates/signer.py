"""What has been approved is issued, for the built-in signers, by the cluster's authority."""

import asyncio
import base64
import os
from typing import Any

from kaa.base.clock import format_seconds
from kaa.controllers.certificates.rules import SIGNERS, Refused, check, parse
from kaa.controllers.certificates.signing import Signer, lifetime_seconds
from kaa.controllers.settings import settings_of
from kaa.kinds.views.certificates import CertificateSigningRequest
from kaa.runtime import Controller, For, Parts, Result, Session

__all__ = ["SigningController"]


class SigningController(Controller[CertificateSigningRequest]):
    """Issue certificates for approved requests. Without an authority's key nothing is issued."""

    name, component = "certificatesigningrequest-signing", "certificatesigningrequest-signing-controller"
    workers = 2
    watches = (For(CertificateSigningRequest),)

    def __init__(self, parts: Parts) -> None:
        super().__init__(parts)
        self.settings = settings_of(parts.settings).signing
        self._signer: tuple[tuple[int, int], Signer] | None = None

    async def reconcile(self, obj: CertificateSigningRequest, io: Session) -> Result | None:
        if obj.deleting or obj.status.certificate or not obj.has("Approved") or obj.has("Failed"):
            return None
        if obj.spec.signer_name not in SIGNERS or self.settings.certificate_file is None:
            return None
        request = parse(obj)
        now = io.clock.now()
        whole = await io.client.get_json(obj.resource, obj.name)
        status: dict[str, Any] = whole.setdefault("status", {})
        try:
            check(obj.spec.signer_name, request, obj.spec.usages)
        except Refused as error:
            failed = {
                "type": "Failed", "status": "True", "reason": "SignerValidationFailure", "message": str(error),
                "lastUpdateTime": format_seconds(now),
            }  # fmt: skip
            status["conditions"] = [*(status.get("conditions") or ()), failed]
        else:
            signer = await asyncio.to_thread(self._authority)
            seconds = lifetime_seconds(obj.spec.expiration_seconds, self.settings.duration_seconds)
            status["certificate"] = base64.b64encode(signer.sign(request, obj.spec.usages, seconds, now)).decode()
            self.log.info("issued", csr=obj.name, signer=obj.spec.signer_name)
        await io.update(obj.resource, whole, subresource="status")
        return None

    def _authority(self) -> Signer:
        """Read again when the certificate is another: authorities are exchanged, too."""
        certificate, key = self.settings.certificate_file, self.settings.key_file
        assert certificate is not None
        if key is None:
            raise ValueError("the signing certificate is given without its key: set signing.key_file, too")
        seen = os.stat(certificate).st_mtime_ns, os.stat(key).st_mtime_ns
        if self._signer is None or self._signer[0] != seen:
            self._signer = seen, Signer(certificate.read_bytes(), key.read_bytes())
        return self._signer[1]
