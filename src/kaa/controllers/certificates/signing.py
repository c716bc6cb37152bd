"""Making a certificate from a request: subject, names and key are the request's, the rest is the authority's."""

import datetime
from collections.abc import Sequence

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID

__all__ = ["MIN_SECONDS", "Signer", "lifetime_seconds"]

#: Certificates are valid from a little before they are made: clocks differ. Short ones keep their whole life.
BACKDATE_SECONDS = 5 * 60
SHORT_SECONDS = 8 * 3600
MIN_SECONDS = 10 * 60

_KEY_USAGES = {
    "signing": "digital_signature", "digital signature": "digital_signature",
    "content commitment": "content_commitment", "key encipherment": "key_encipherment",
    "key agreement": "key_agreement", "data encipherment": "data_encipherment", "cert sign": "key_cert_sign",
    "crl sign": "crl_sign", "encipher only": "encipher_only", "decipher only": "decipher_only",
}  # fmt: skip
_PURPOSES = {
    "any": ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE,
    "server auth": ExtendedKeyUsageOID.SERVER_AUTH,
    "client auth": ExtendedKeyUsageOID.CLIENT_AUTH,
    "code signing": ExtendedKeyUsageOID.CODE_SIGNING,
    "email protection": ExtendedKeyUsageOID.EMAIL_PROTECTION,
    "s/mime": ExtendedKeyUsageOID.EMAIL_PROTECTION,
    "ipsec end system": x509.ObjectIdentifier("1.3.6.1.5.5.7.3.5"),
    "ipsec tunnel": x509.ObjectIdentifier("1.3.6.1.5.5.7.3.6"),
    "ipsec user": x509.ObjectIdentifier("1.3.6.1.5.5.7.3.7"),
    "timestamping": ExtendedKeyUsageOID.TIME_STAMPING,
    "ocsp signing": ExtendedKeyUsageOID.OCSP_SIGNING,
    "microsoft sgc": x509.ObjectIdentifier("1.3.6.1.4.1.311.10.3.3"),
    "netscape sgc": x509.ObjectIdentifier("2.16.840.1.113730.4.1"),
}


def lifetime_seconds(asked: int | None, seconds_max: float) -> float:
    """How long a certificate is to be valid: what was asked for, within ten minutes and what the authority grants."""
    return seconds_max if asked is None else min(seconds_max, max(MIN_SECONDS, asked))


class Signer:
    """An authority's certificate and key. Raises ValueError when they are not usable."""

    def __init__(self, certificate_pem: bytes, key_pem: bytes) -> None:
        self._certificate = x509.load_pem_x509_certificate(certificate_pem)
        key = serialization.load_pem_private_key(key_pem, None)
        if not isinstance(key, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey):
            raise ValueError("the authority's key must be RSA, ECDSA or Ed25519")
        self._key = key

    def sign(self, request: x509.CertificateSigningRequest, usages: Sequence[str], seconds: float, now: float) -> bytes:
        """The certificate, in PEM."""
        at = datetime.datetime.fromtimestamp(now, datetime.UTC)
        short = seconds < SHORT_SECONDS
        end = at + datetime.timedelta(seconds=seconds - (0 if short else BACKDATE_SECONDS))
        public = request.public_key()
        builder = (
            x509.CertificateBuilder()
            .subject_name(request.subject)
            .issuer_name(self._certificate.subject)
            .public_key(public)
            .serial_number(x509.random_serial_number())
            .not_valid_before(at - datetime.timedelta(seconds=BACKDATE_SECONDS))
            .not_valid_after(min(end, self._certificate.not_valid_after_utc))
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(self._authority_key(), critical=False)
        )
        if usage := _key_usage(usages):
            builder = builder.add_extension(usage, critical=True)
        if purposes := list(dict.fromkeys(_PURPOSES[each] for each in usages if each in _PURPOSES)):
            builder = builder.add_extension(x509.ExtendedKeyUsage(purposes), critical=False)
        try:
            names = request.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
            builder = builder.add_extension(names, critical=not list(request.subject))
        except x509.ExtensionNotFound:
            pass
        algorithm = None if isinstance(self._key, ed25519.Ed25519PrivateKey) else hashes.SHA256()
        return builder.sign(self._key, algorithm).public_bytes(serialization.Encoding.PEM)

    def _authority_key(self) -> x509.AuthorityKeyIdentifier:
        try:
            held = self._certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
            return x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(held)
        except x509.ExtensionNotFound:
            return x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())


def _key_usage(usages: Sequence[str]) -> x509.KeyUsage | None:
    wanted = {_KEY_USAGES[each] for each in usages if each in _KEY_USAGES}
    if not wanted:
        return None
    # These two say something about key agreement, and nothing without it.
    if "key_agreement" not in wanted:
        wanted -= {"encipher_only", "decipher_only"}
    return x509.KeyUsage(**{name: name in wanted for name in set(_KEY_USAGES.values())})
