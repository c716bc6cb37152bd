"""What stands in certificate requests and certificates. Pure: parsing only, nothing is trusted here."""

from __future__ import annotations

import base64
import binascii
import re

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.x509.oid import NameOID

__all__ = ["certificate_problem", "request_problem", "request_subject"]

_BLOCK = re.compile(
    rb"-----BEGIN ([^\r\n]*?)-----[ \t]*\r?\n((?:[^\r\n:]+:[^\r\n]*\r?\n)*)\r?\n?([A-Za-z0-9+/=\s]*?)-----END \1-----"
)
REQUEST_BYTES_MAX = 64 * 1024


def _blocks(raw: bytes) -> list[tuple[str, bool, bytes]]:
    """(type, whether it has headers, contents) of each PEM block. What is no block is skipped, as in the original."""
    found = []
    for match in _BLOCK.finditer(raw):
        try:
            contents = base64.b64decode(b"".join(match[3].split()), validate=True)
        except binascii.Error:
            continue
        found.append((match[1].decode("latin-1"), bool(match[2]), contents))
    return found


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text)
    except binascii.Error:
        return b""


def request_problem(text: str) -> str:
    """What is wrong with a request (base64 of PEM of PKCS#10); "" where it can be read and is signed by its own key."""
    blocks = _blocks(_decoded(text))
    if not blocks or blocks[0][0] != "CERTIFICATE REQUEST":
        return "PEM block type must be CERTIFICATE REQUEST"
    try:
        request = x509.load_der_x509_csr(blocks[0][2])
        valid = request.is_signature_valid
    except UnsupportedAlgorithm:
        return "x509: cannot verify signature: algorithm unimplemented"
    except (ValueError, TypeError) as error:
        return f"asn1: structure error: {error}"
    return "" if valid else "x509: invalid signature: parent certificate cannot sign this kind of certificate"


def request_subject(text: str) -> tuple[str, tuple[str, ...]]:
    """The common name and the organizations a request (base64 of PEM of PKCS#10) asks for. Raises ValueError."""
    blocks = _blocks(_decoded(text))
    if not blocks or blocks[0][0] != "CERTIFICATE REQUEST":
        raise ValueError("PEM block type must be CERTIFICATE REQUEST")
    try:
        subject = x509.load_der_x509_csr(blocks[0][2]).subject
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise ValueError(f"asn1: structure error: {error}") from error
    names = subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    organizations = subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)
    return str(names[0].value) if names else "", tuple(str(each.value) for each in organizations)


def certificate_problem(text: str) -> str:
    """What is wrong with an issued chain (base64 of PEM); "" for one or more certificates and nothing else."""
    if not text:
        return ""
    blocks = _blocks(_decoded(text))
    for kind, has_headers, contents in blocks:
        if kind != "CERTIFICATE":
            return f'only CERTIFICATE PEM blocks are allowed, found "{kind}"'
        if has_headers:
            return "no PEM block headers are permitted"
        if not contents:
            return "found CERTIFICATE PEM block containing 0 certificates"
        try:
            x509.load_der_x509_certificate(contents)
        except (ValueError, TypeError):
            return "x509: malformed certificate"
    return "" if blocks else "must contain at least one CERTIFICATE PEM block"
