"""The cluster's certificates: its own authorities, made at first start, and what they sign.

Keys are P-256 (an RSA key takes tens of milliseconds to make). Files are written once, keys with mode 0600; a server
certificate is made again when the names or addresses it must hold have changed, or when it nears its end.
"""

import datetime
import ipaddress
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from kaa.base.clock import REAL, Clock

__all__ = ["Authority", "KeyPair", "load_or_make_key", "pem_of", "write_pair", "write_private"]

CA_YEARS, LEAF_YEARS = 10, 1
#: A certificate is renewed when less than this is left of its life, or less than a third of it.
RENEW_DAYS = 60
LEAF_SECONDS = 365 * 86400.0 * LEAF_YEARS
#: Clocks differ: certificates are valid from a while before they are made, those of short lives from a share of it.
BACKDATE_SECONDS = 3600.0


@dataclass(frozen=True)
class KeyPair:
    """A certificate and its key, in PEM."""

    certificate: bytes
    key: bytes


def write_private(path: Path, content: bytes) -> None:
    """Write a file only its owner can read, all of it or nothing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.new")
    with open(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


def load_or_make_key(path: Path) -> ec.EllipticCurvePrivateKey:
    """The P-256 key in a file, made at first use. Raises ValueError when the file holds something else."""
    if path.exists():
        key = serialization.load_pem_private_key(path.read_bytes(), None)
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            raise ValueError(f"{path} is not a P-256 key: remove it to have a new one made")
        return key
    key = ec.generate_private_key(ec.SECP256R1())
    write_private(path, pem_of(key))
    return key


def pem_of(key: ec.EllipticCurvePrivateKey) -> bytes:
    """A private key, in PEM."""
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def write_pair(certificate: Path, key: Path, pair: KeyPair) -> None:
    """Put a certificate and its key in place. Who reads between the two finds that they do not fit, and asks again."""
    write_private(key, pair.key)
    write_private(certificate, pair.certificate)


class Authority:
    """A certificate authority kept in `DIR/NAME.crt` and `DIR/NAME.key`."""

    def __init__(self, directory: Path, name: str, common_name: str, clock: Clock = REAL,
                 leaf_seconds: float = LEAF_SECONDS) -> None:  # fmt: skip
        self.certificate_path = directory / f"{name}.crt"
        self.key_path = directory / f"{name}.key"
        self._leaf_seconds = leaf_seconds
        self._directory = directory
        self._clock = clock
        self._key = load_or_make_key(self.key_path)
        if self.certificate_path.exists():
            self._certificate = x509.load_pem_x509_certificate(self.certificate_path.read_bytes())
        else:
            self._certificate = self._make_own(common_name)
            write_private(self.certificate_path, self.pem)
            self.certificate_path.chmod(0o644)

    @property
    def pem(self) -> bytes:
        """The authority's certificate, for those who should trust it."""
        return self._certificate.public_bytes(serialization.Encoding.PEM)

    def client(self, common_name: str, organizations: Sequence[str] = ()) -> KeyPair:
        """A client certificate: the user is the common name, the groups are the organisations."""
        return self._issue(common_name, organizations, (), ExtendedKeyUsageOID.CLIENT_AUTH)

    def server(self, common_name: str, names: Sequence[str]) -> KeyPair:
        """A server certificate for DNS names and addresses."""
        return self._issue(common_name, (), names, ExtendedKeyUsageOID.SERVER_AUTH)

    def client_files(self, name: str, common_name: str, organizations: Sequence[str] = ()) -> tuple[Path, Path]:
        """A client certificate in `DIR/NAME.crt` and `.key`, made or renewed when it has to be."""
        return self._files(name, lambda: self.client(common_name, organizations), ())

    def server_files(self, name: str, common_name: str, names: Sequence[str]) -> tuple[Path, Path]:
        """A server certificate in files, made again also when it lacks one of the names."""
        return self._files(name, lambda: self.server(common_name, names), names)

    def _files(self, name: str, make, names: Sequence[str]) -> tuple[Path, Path]:  # type: ignore[no-untyped-def]
        certificate, key = self._directory / f"{name}.crt", self._directory / f"{name}.key"
        if not (certificate.exists() and key.exists() and self._still_good(certificate, names)):
            write_pair(certificate, key, make())
        return certificate, key

    def renew(self) -> list[str]:
        """Make those certificates of the directory anew that this authority has signed and that near their end, for
        the same names and purposes and with new keys. The names of the files, without their endings."""
        renewed = []
        for path in sorted(self._directory.glob("*.crt")):
            key = path.with_suffix(".key")
            if path == self.certificate_path or not key.exists():
                continue
            held = x509.load_pem_x509_certificate(path.read_bytes())
            if held.issuer != self._certificate.subject or not self._nears_end(held):
                continue
            write_pair(path, key, self._reissue(held))
            renewed.append(path.stem)
        return renewed

    def _nears_end(self, certificate: x509.Certificate) -> bool:
        ends = certificate.not_valid_after_utc
        margin = min(datetime.timedelta(days=RENEW_DAYS), (ends - certificate.not_valid_before_utc) / 3)
        return ends - self._now() < margin

    def _still_good(self, path: Path, names: Sequence[str]) -> bool:
        certificate = x509.load_pem_x509_certificate(path.read_bytes())
        if certificate.issuer != self._certificate.subject:
            return False
        if self._nears_end(certificate):
            return False
        if not names:
            return True
        held = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        have = {str(each.value) for each in held}
        return set(names) <= have

    def _now(self) -> datetime.datetime:
        return datetime.datetime.fromtimestamp(self._clock.now(), datetime.UTC)

    def _make_own(self, common_name: str) -> x509.Certificate:
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
        now = self._now()
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(subject)
            .public_key(self._key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(hours=1))
            .not_valid_after(now + datetime.timedelta(days=365 * CA_YEARS))
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .add_extension(_usage(sign_certificates=True), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(self._key.public_key()), critical=False)
            .sign(self._key, hashes.SHA256())
        )

    def _issue(self, common_name: str, organizations: Sequence[str], names: Sequence[str],
               purpose: x509.ObjectIdentifier) -> KeyPair:  # fmt: skip
        attributes = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, each) for each in organizations]
        attributes.append(x509.NameAttribute(NameOID.COMMON_NAME, common_name))
        held = x509.SubjectAlternativeName([_general_name(each) for each in names]) if names else None
        return self._sign(x509.Name(attributes), held, x509.ExtendedKeyUsage([purpose]))

    def _reissue(self, held: x509.Certificate) -> KeyPair:
        """The same for another span of time."""
        found = {each.oid: each.value for each in held.extensions}
        names, purposes = found.get(x509.SubjectAlternativeName.oid), found.get(x509.ExtendedKeyUsage.oid)
        assert names is None or isinstance(names, x509.SubjectAlternativeName)
        assert isinstance(purposes, x509.ExtendedKeyUsage)
        return self._sign(held.subject, names, purposes)

    def _sign(self, subject: x509.Name, names: x509.SubjectAlternativeName | None,
              purposes: x509.ExtendedKeyUsage) -> KeyPair:  # fmt: skip
        key = ec.generate_private_key(ec.SECP256R1())
        now, seconds = self._now(), self._leaf_seconds
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._certificate.subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(seconds=min(BACKDATE_SECONDS, seconds / 10)))
            .not_valid_after(now + datetime.timedelta(seconds=seconds))
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(sign_certificates=False), critical=True)
            .add_extension(purposes, critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False)
        )
        if names is not None:
            builder = builder.add_extension(names, critical=False)
        certificate = builder.sign(self._key, hashes.SHA256())
        return KeyPair(certificate.public_bytes(serialization.Encoding.PEM), pem_of(key))


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _usage(*, sign_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=not sign_certificates,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=sign_certificates,
        crl_sign=sign_certificates,
        encipher_only=False,
        decipher_only=False,
    )
