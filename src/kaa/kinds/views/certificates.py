"""Views of the certificates group."""

from kaa.kinds.views.base import Part, View
from kaa.meta.resource import Resource

__all__ = ["CertificateSigningRequest", "CertificateSigningRequestCondition"]


class CertificateSigningRequestSpec(Part, frozen=True):
    """What is asked, by whom, of whom. Bytes are in base64."""

    request: str = ""
    signer_name: str = ""
    expiration_seconds: int | None = None
    usages: tuple[str, ...] = ()
    username: str = ""
    uid: str = ""
    groups: tuple[str, ...] = ()
    extra: dict[str, tuple[str, ...]] = {}


class CertificateSigningRequestCondition(Part, frozen=True):
    """What was decided: Approved, Denied, Failed."""

    type: str = ""
    status: str = ""
    reason: str = ""
    message: str = ""
    last_update_time: str | None = None


class CertificateSigningRequestStatus(Part, frozen=True):
    """Decisions, and the certificate (PEM in base64)."""

    conditions: tuple[CertificateSigningRequestCondition, ...] = ()
    certificate: str = ""


class CertificateSigningRequest(View, frozen=True):
    """Somebody asks for a certificate."""

    resource = Resource(
        "certificates.k8s.io", "v1", "certificatesigningrequests", "CertificateSigningRequest", False,
        "certificatesigningrequest",
    )  # fmt: skip
    spec: CertificateSigningRequestSpec = CertificateSigningRequestSpec()
    status: CertificateSigningRequestStatus = CertificateSigningRequestStatus()

    def has(self, condition: str) -> bool:
        """Whether it was decided so."""
        return any(each.type == condition and each.status in ("True", "") for each in self.status.conditions)
