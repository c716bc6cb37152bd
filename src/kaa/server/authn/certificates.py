"""x509: the common name is the user, the organisations are the groups. The listener has verified the chain already.

What a listener cannot know is asked here, at each request: a certificate that expires counts no longer on connections
that were made before, and one that is for servers is nobody's. Where several authorities are trusted by the listener,
`issued_by` tells whose certificate it is.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID, ObjectIdentifier

from kaa.server.request import User

__all__ = ["CertificateError", "CertificateUsers", "issued_by", "read_authorities"]

CREDENTIAL_ID = "authentication.kubernetes.io/credential-id"
#: Where a subject may hold the UID of its user (KEP 4815).
UID_OID = ObjectIdentifier("1.3.6.1.4.1.57683.2")
#: What clocks may differ by at the beginning of a certificate made just now.
EARLY_SECONDS = 60.0
_CLIENT = (ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE)


class CertificateError(ValueError):
    """The certificate is nobody's, or nobody's now."""


@dataclass(frozen=True, slots=True)
class _Known:
    user: User | None
    begins: float
    ends: float
    why: str = ""


@lru_cache(maxsize=1024)
def _known(der: bytes) -> _Known:
    try:
        certificate = x509.load_der_x509_certificate(der)
        begins, ends = (
            each.timestamp() for each in (certificate.not_valid_before_utc, certificate.not_valid_after_utc)
        )
        subject = certificate.subject
        try:
            usages = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
        except x509.ExtensionNotFound:
            usages = None
    except ValueError as error:
        return _Known(None, 0, 0, f"x509: {error}")
    if usages is not None and not any(each in usages for each in _CLIENT):
        return _Known(None, begins, ends, "x509: certificate specifies an incompatible key usage")
    names = subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    if not names or not names[0].value:
        return _Known(None, begins, ends, "x509: the client certificate has no common name")
    groups = [str(each.value) for each in subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)]
    if "system:authenticated" not in groups:
        groups.append("system:authenticated")
    uids = subject.get_attributes_for_oid(UID_OID)
    if len(uids) > 1:
        return _Known(None, begins, ends, "expected 1 UID, but found multiple")
    extra = {CREDENTIAL_ID: (f"X509SHA256={hashlib.sha256(der).hexdigest()}",)}
    return _Known(User(str(names[0].value), tuple(groups), str(uids[0].value) if uids else "", extra), begins, ends)


class CertificateUsers:
    """Users by their certificates. With `authorities` only certificates that one of them has issued count."""

    def __init__(self, authorities: Sequence[x509.Certificate] = ()) -> None:
        self._authorities = tuple(authorities)

    def __call__(self, der: bytes, now: float) -> User:
        """The user; raises CertificateError."""
        known = _known(der)
        if known.user is None:
            raise CertificateError(known.why)
        if not known.begins - EARLY_SECONDS <= now < known.ends:
            raise CertificateError("x509: certificate has expired or is not yet valid")
        if self._authorities and not issued_by(der, self._authorities):
            raise CertificateError("x509: certificate signed by unknown authority")
        return known.user


_issued: dict[tuple[bytes, tuple[bytes, ...]], bool] = {}
ISSUED_KEPT_MAX = 1024


def issued_by(der: bytes, authorities: Sequence[x509.Certificate]) -> bool:
    """Whether one of these has signed it. Authorities in between are not looked for."""
    key = (der, tuple(each.fingerprint(each.signature_hash_algorithm) for each in authorities
                      if each.signature_hash_algorithm is not None))  # fmt: skip
    found = _issued.get(key)
    if found is None:
        if len(_issued) >= ISSUED_KEPT_MAX:
            _issued.clear()
        certificate = x509.load_der_x509_certificate(der)
        found = _issued[key] = any(_signed(certificate, each) for each in authorities)
    return found


def _signed(certificate: x509.Certificate, authority: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(authority)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def read_authorities(pem: bytes) -> list[x509.Certificate]:
    """The authorities of a bundle. Raises ValueError."""
    return x509.load_pem_x509_certificates(pem)
