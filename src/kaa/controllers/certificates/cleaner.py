"""Requests whose time has passed go: what was decided after an hour, what nobody decided after a day."""

import base64
import binascii

from cryptography import x509

from kaa.base.tasks import Scope
from kaa.controllers.shared.objects import at_seconds
from kaa.kinds.views.base import View
from kaa.kinds.views.certificates import CertificateSigningRequest
from kaa.meta.errors import StatusError
from kaa.runtime import Controller, Parts, Result, Session

__all__ = ["CleanerController", "why_to_remove"]

SWEEP_SECONDS = 3600.0
DECIDED_SECONDS = 3600.0
PENDING_SECONDS = 24 * 3600.0
_SWEEP = "sweep"


def why_to_remove(csr: CertificateSigningRequest, now: float) -> str:
    """Why a request's time has passed; "" while it has not."""
    conditions, issued = csr.status.conditions, bool(csr.status.certificate)
    if not conditions and _older(csr.metadata.creation_timestamp, PENDING_SECONDS, now):
        return "it was never decided upon"
    for each in conditions:
        age, kind = each.last_update_time, each.type
        if kind == "Approved" and issued and _older(age, DECIDED_SECONDS, now):
            return "its certificate was issued long ago"
        if kind == "Approved" and not issued and _older(age, PENDING_SECONDS, now):
            return "it was approved and never issued"
        if kind in ("Denied", "Failed") and _older(age, DECIDED_SECONDS, now):
            return f"it was {kind.lower()} long ago"
        if kind == "Approved" and issued and _expired(csr.status.certificate, now):
            return "its certificate has expired"
    return ""


def _older(stamp: str | None, seconds: float, now: float) -> bool:
    return bool(stamp) and now - at_seconds(stamp) > seconds


def _expired(certificate: str, now: float) -> bool:
    try:
        held = x509.load_pem_x509_certificate(base64.b64decode(certificate))
    except (ValueError, binascii.Error):
        return False
    return held.not_valid_after_utc.timestamp() < now


class CleanerController(Controller[View]):
    """Sweep every hour."""

    name, component = "certificatesigningrequest-cleaner", "certificatesigningrequest-cleaner-controller"

    def __init__(self, parts: Parts) -> None:
        super().__init__(parts)
        self.requests = parts.informers.of(CertificateSigningRequest).lister

    async def start(self, scope: Scope) -> None:
        """Sweep now, and then every hour."""
        self.enqueue(_SWEEP)

    async def reconcile_key(self, key: str, io: Session) -> Result | None:
        """One sweep."""
        for csr in list(self.requests.all()):
            why = why_to_remove(csr, io.clock.now())
            if not why:
                continue
            self.log.info("removing a request for a certificate", csr=csr.name, why=why)
            try:
                await io.client.delete(csr.resource, csr.name, uid=csr.uid)
            except StatusError as error:
                if error.code not in (404, 409):
                    raise
        return Result(SWEEP_SECONDS)
