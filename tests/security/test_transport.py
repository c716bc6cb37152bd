"""Over TLS, with real certificates: whose certificates count, what listeners take, what lies on the disk."""

import asyncio
import datetime
import os
import ssl
import stat
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import orjson
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from kaa.base.clock import REAL
from kaa.cluster import certificates
from kaa.cluster.pki import Authority, KeyPair
from kaa.http.tls import TlsServer
from kaa.server.server import ApiServer, ServerSettings
from kaa.store.memory import MemoryStore
from kaa.store.sqlite import SqliteStore

REVIEW = "/apis/authentication.k8s.io/v1/selfsubjectreviews"


@dataclass
class Listening:
    server: ApiServer
    authority: Authority
    directory: Path

    def context(self, pair: KeyPair | None) -> ssl.SSLContext:
        context = ssl.create_default_context(cadata=self.authority.pem.decode())
        if pair is not None:
            path = self.directory / "shown.pem"
            path.write_bytes(pair.certificate + pair.key)
            context.load_cert_chain(path)
        return context

    async def ask(self, raw: bytes, pair: KeyPair | None = None) -> tuple[int, bytes]:
        """One request on a connection of its own; 0 where the handshake or the connection fails."""
        try:
            reader, writer = await asyncio.open_connection(
                "127.0.0.1", self.server.port, ssl=self.context(pair), server_hostname="localhost"
            )
        except (ssl.SSLError, OSError) as error:
            return 0, str(error).encode()
        try:
            writer.write(raw)
            answer = await asyncio.wait_for(reader.read(), 5)
        except (ssl.SSLError, OSError) as error:
            return 0, str(error).encode()
        finally:
            writer.close()
        return int(answer.split(b" ", 2)[1]) if answer else 0, answer.partition(b"\r\n\r\n")[2]

    async def who(self, pair: KeyPair | None, *headers: str) -> dict | None:
        lines = [f"POST {REVIEW} HTTP/1.1", "Host: localhost", "Content-Length: 0", "Connection: close", *headers]
        code, body = await self.ask("\r\n".join([*lines, "", ""]).encode(), pair)
        return orjson.loads(body)["status"]["userInfo"] if code == 201 else None


@pytest.fixture
async def listening(tmp_path) -> AsyncIterator[Listening]:
    authority = Authority(tmp_path, "ca", "kubernetes")
    certificate, key = authority.server_files("apiserver", "kube-apiserver", ["localhost", "127.0.0.1"])
    store = MemoryStore(REAL)
    server = ApiServer(
        store, ServerSettings(secure_port=0), tls=TlsServer(certificate, key, authority.certificate_path)
    )
    await server.start()
    try:
        yield Listening(server, authority, tmp_path)
    finally:
        await server.stop(0.1)
        await store.close()


def issued(
    signer: Authority | None,
    name: str,
    *groups: str,
    days: tuple[float, float] = (-1, 1),
    usage=ExtendedKeyUsageOID.CLIENT_AUTH,
    issuer: str = "kubernetes",
    ca: bool = False,
    by: tuple[ec.EllipticCurvePrivateKey, x509.Name] | None = None,
) -> tuple[KeyPair, ec.EllipticCurvePrivateKey]:
    """A certificate as somebody would like to have it; of an authority, of a key of its own, or of somebody between."""
    key = ec.generate_private_key(ec.SECP256R1())
    attributes = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, each) for each in groups]
    subject = x509.Name([*attributes, *([x509.NameAttribute(NameOID.COMMON_NAME, name)] if name else [])])
    signing, signed_by = by or (
        (signer._key, signer._certificate.subject) if signer is not None
        else (key, x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer)]))
    )  # fmt: skip
    now = datetime.datetime.now(datetime.UTC)
    builder = (
        x509.CertificateBuilder().subject_name(subject).issuer_name(signed_by).public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + datetime.timedelta(days=days[0]))
        .not_valid_after(now + datetime.timedelta(days=days[1]))
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
    )  # fmt: skip
    if usage is not None:
        builder = builder.add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
    raw = builder.sign(signing, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return KeyPair(raw, pem), key


async def test_whose_certificates_count(listening: Listening, tmp_path) -> None:
    own = listening.authority
    good, _ = issued(own, "jane", "dev")
    found = await listening.who(good)
    assert found is not None and (found["username"], found["groups"]) == ("jane", ["dev", "system:authenticated"])
    # A certificate without usages may be anything, a client too (as in Go).
    assert (await listening.who(issued(own, "jane", usage=None)[0]) or {})["username"] == "jane"
    other = Authority(tmp_path / "other", "ca", "kubernetes")  # by the same name
    leaf, leaf_key = issued(own, "jane", "dev")  # an honest certificate, which is no authority
    jane = x509.load_pem_x509_certificate(leaf.certificate).subject
    below, _ = issued(None, "admin", "system:masters", by=(leaf_key, jane))
    for what, pair in {
        "of another authority": other.client("admin", ["system:masters"]),
        "signed by itself": issued(None, "admin", "system:masters")[0],
        "an authority of its own": issued(None, "admin", "system:masters", ca=True)[0],
        "signed by a certificate that is no authority": KeyPair(below.certificate + leaf.certificate, below.key),
        "expired": issued(own, "admin", "system:masters", days=(-3, -2))[0],
        "not valid yet": issued(own, "admin", "system:masters", days=(2, 3))[0],
        "for servers": own.server("admin", ["localhost"]),
        "for servers, with groups": issued(own, "admin", "system:masters", usage=ExtendedKeyUsageOID.SERVER_AUTH)[0],
        "for signing code": issued(own, "admin", "system:masters", usage=ExtendedKeyUsageOID.CODE_SIGNING)[0],
        "without a name": issued(own, "", "system:masters")[0],
    }.items():
        assert await listening.who(pair) is None, what
    # A certificate is shown with its key, or not at all.
    stolen = KeyPair(good.certificate, own.client("eve").key)
    with pytest.raises(ssl.SSLError):
        listening.context(stolen)


async def test_claims_in_headers_are_nothing(listening: Listening) -> None:
    jane = listening.authority.client("jane")
    claims = ("X-Remote-User: admin", "X-Remote-Group: system:masters", "x_remote_user: admin")
    assert (await listening.who(jane, *claims) or {})["username"] == "jane"
    assert await listening.who(None, *claims) is None
    assert await listening.who(None, "Authorization: Bearer x\r\nAuthorization: Bearer y") is None


async def test_impersonation_cannot_be_smuggled(listening: Listening) -> None:
    jane = listening.authority.client("jane")
    admin = listening.authority.client("admin", ["system:masters"])
    for header in ("Impersonate-User: admin", "impersonate-user: admin", "IMPERSONATE-USER:admin",
                   "Impersonate-User: a\r\nImpersonate-User: admin", "Impersonate-Group: system:masters",
                   "Impersonate-User: jane\r\nImpersonate-Group: system:masters"):  # fmt: skip
        assert await listening.who(jane, header) is None, header
    for header in ("Impersonate_User: admin", "Impersonate-User : admin", " Impersonate-User: admin",
                   "X: y\n Impersonate-User: admin"):  # fmt: skip
        found = await listening.who(jane, header)
        assert found is None or found["username"] == "jane", header
    assert (await listening.who(admin, "Impersonate-User: bob") or {})["username"] == "bob"


async def test_methods_and_targets(listening: Listening) -> None:
    jane = listening.authority.client("jane")
    end = b" HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    for line, codes in (
        (b"CONNECT 169.254.169.254:80", (400, 403, 404, 405)), (b"CONNECT localhost:22", (400, 403, 404, 405)),
        (b"TRACE /version", (403, 405)), (b"PROPFIND /api/v1/secrets", (403, 405)),
        (b"OPTIONS *", (400, 403, 404, 405)),
        (b"GET http://169.254.169.254/latest/meta-data/", (403, 404)),
        (b"GET https://evil.example.com/api/v1/secrets", (403,)),
        (b"GET /api/v1/namespaces/default/../../secrets", (403, 404)), (b"GET /version/../api/v1/secrets", (403, 404)),
        (b"GET /api/v1/secrets;x=y", (403, 404)), (b"GET /%61pi/v1/secrets", (403,)),
        (b"GET //api/v1/secrets", (403, 404)),
        (b"GET /version", (200,)),
    ):  # fmt: skip
        code, body = await listening.ask(line + end, jane)
        assert code in codes, (line, code, body[:200])
        assert b"x-trace" not in body.lower()
    override = (
        b"GET /version HTTP/1.1\r\nHost: localhost\r\nX-HTTP-Method-Override: DELETE\r\nConnection: close\r\n\r\n"
    )
    assert (await listening.ask(override, jane))[0] == 200
    for host in (b"evil.example.com", b"127.0.0.1:1", b"[::1]"):
        raw = b"GET /version HTTP/1.1\r\nHost: " + host + b"\r\nConnection: close\r\n\r\n"
        code, body = await listening.ask(raw, jane)
        assert code == 200 and host not in body


def mode(path: Path) -> int:
    return stat.S_IMODE(os.stat(path).st_mode)


async def test_keys_and_data_are_their_owner_s(tmp_path) -> None:
    before = os.umask(0)  # whatever the process was started with
    try:
        pki = tmp_path / "pki"
        certificates.ensure_server(pki, ["localhost"])
        certificates.ensure_parts(pki, "https://127.0.0.1:6443")
        certificates.ensure_node(pki, "https://127.0.0.1:6443", "n", ["127.0.0.1"])
        kubeconfig = certificates.ensure_admin(pki, "https://127.0.0.1:6443", tmp_path / "kubeconfig")
        store = await SqliteStore.open(str(tmp_path / "store.db"))
        server = ApiServer(store, ServerSettings(secure_port=0))
        await server.start(listen=False)
        files = [each for each in tmp_path.rglob("*") if each.is_file()]
        await server.stop()
        await store.close()
    finally:
        os.umask(before)
    secret = [each for each in files if each.suffix in (".key", ".kubeconfig") or "store.db" in each.name]
    assert {"ca.key", "sa.key", "admin.key", "apiserver.key", "store.db", "store.db-wal"} <= {e.name for e in secret}
    for path in [*secret, kubeconfig]:
        if path.exists():
            assert mode(path) & 0o077 == 0, (path, oct(mode(path)))
    assert mode(pki) == 0o700
    assert mode(pki / "ca.crt") == 0o644  # the authority's certificate is for everybody
