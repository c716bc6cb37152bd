"""Certificates of a listener, which can be reloaded, and of a client.

TLS 1.2 at least; HTTP/1.1 is the only protocol agreed on. Sessions are not resumed, so that a certificate taken out
of the client CA counts for every new connection.
"""

import os
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

__all__ = ["TlsClient", "TlsServer"]


class TlsServer:
    """A listener's certificate and, optionally, the CA that client certificates are checked against.

    A client without a certificate is let in (the handler decides by `peer.certificate_der`); one with a certificate
    that the CA did not sign fails the handshake. New connections use what `context` gives at that moment: a listener
    asks `reload_if_changed` now and then, so files that are renewed on the disk need no restart.
    """

    def __init__(self, certificate: Path | str, key: Path | str, client_ca: Path | str | None = None) -> None:
        self.certificate = Path(certificate)
        self.key = Path(key)
        self.client_ca = Path(client_ca) if client_ca is not None else None
        self._seen = self._stamps()
        self._current = self._load()

    @property
    def context(self) -> ssl.SSLContext:
        """For the next connection."""
        return self._current

    def reload(self) -> None:
        """Read the files again. On an error (raised) the certificates in use stay."""
        seen = self._stamps()
        self._current = self._load()
        self._seen = seen

    def reload_if_changed(self) -> bool:
        """Reload when a file is another than the one in use; says whether. Raises OSError (ssl.SSLError among them)
        when the files do not fit together, as between the writing of a certificate and of its key: ask again later."""
        if self._stamps() == self._seen:
            return False
        self.reload()
        return True

    def _stamps(self) -> tuple[tuple[int, int, int], ...]:
        """What tells one version of the files from the next."""
        paths = (self.certificate, self.key, *((self.client_ca,) if self.client_ca is not None else ()))
        return tuple((each.st_mtime_ns, each.st_size, each.st_ino) for each in map(os.stat, paths))

    def _load(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.options |= ssl.OP_NO_TICKET | ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION
        context.num_tickets = 0
        context.set_alpn_protocols(["http/1.1"])
        context.load_cert_chain(self.certificate, self.key)
        if self.client_ca is not None:
            context.load_verify_locations(self.client_ca)
            context.verify_mode = ssl.CERT_OPTIONAL
        return context


@dataclass(frozen=True)
class TlsClient:
    """What a client trusts and shows. PEM bytes, as a kubeconfig holds them; keys never touch a file system.

    `ca_pem` None trusts the system's CAs. `server_name` overrides the name that the server's certificate is checked
    for. `insecure` checks nothing. `certificate_source` is called at each new connection and gives (certificate, key)
    for clients whose certificate rotates; it goes before `certificate_pem` and `key_pem`.
    """

    ca_pem: bytes | None = None
    certificate_pem: bytes | None = None
    key_pem: bytes | None = None
    server_name: str | None = None
    insecure: bool = False
    certificate_source: Callable[[], tuple[bytes, bytes]] | None = None

    def context(self) -> ssl.SSLContext:
        """A new context. Raises ssl.SSLError or ValueError when the material is unusable."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.set_alpn_protocols(["http/1.1"])
        if self.insecure:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        elif self.ca_pem is not None:
            context.load_verify_locations(cadata=self.ca_pem.decode("ascii"))
        else:
            context.load_default_certs()
        if self.certificate_source is not None:
            _load_pair(context, *self.certificate_source())
        elif self.certificate_pem is not None:
            if self.key_pem is None:
                raise ValueError("a client certificate is given without its key: set key_pem, too")
            _load_pair(context, self.certificate_pem, self.key_pem)
        return context


def _load_pair(context: ssl.SSLContext, certificate: bytes, key: bytes) -> None:
    # The ssl module reads certificates from paths only; an anonymous file in memory has one and leaves nothing behind.
    descriptor = os.memfd_create("kaa-client-certificate", os.MFD_CLOEXEC)
    try:
        os.write(descriptor, certificate.rstrip() + b"\n" + key)
        context.load_cert_chain(f"/proc/self/fd/{descriptor}")
    finally:
        os.close(descriptor)
