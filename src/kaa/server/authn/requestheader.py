"""Users that a front proxy has authenticated: it shows a certificate of its own authority, and says who asks."""

from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import unquote

from cryptography import x509
from cryptography.x509.oid import NameOID

from kaa.http.api import Request
from kaa.server.authn.certificates import CertificateError, CertificateUsers, issued_by
from kaa.server.request import User

__all__ = ["RequestHeaderSettings", "RequestHeaders"]


@dataclass(frozen=True)
class RequestHeaderSettings:
    """What a front proxy sends, and who may be one."""

    #: Headers that hold the user, the UID and the groups; the first that is there counts (of groups: all).
    username_headers: tuple[str, ...] = ("X-Remote-User",)
    uid_headers: tuple[str, ...] = ()
    group_headers: tuple[str, ...] = ("X-Remote-Group",)
    #: What headers of further things begin with.
    extra_headers_prefix: tuple[str, ...] = ("X-Remote-Extra-",)
    #: Common names of certificates that proxies may show; empty allows any that the authority has issued.
    allowed_names: tuple[str, ...] = ()


class RequestHeaders:
    """The user a proxy names, where the peer is a proxy."""

    def __init__(self, settings: RequestHeaderSettings, authorities: Sequence[x509.Certificate]) -> None:
        self._settings, self._authorities = settings, tuple(authorities)
        self._users = CertificateUsers()

    def trusted(self, der: bytes, now: float) -> bool:
        """Whether a certificate is a proxy's."""
        if not issued_by(der, self._authorities):
            return False
        try:
            self._users(der, now)
        except CertificateError:
            return False
        names = x509.load_der_x509_certificate(der).subject.get_attributes_for_oid(NameOID.COMMON_NAME)
        return not self._settings.allowed_names or any(each.value in self._settings.allowed_names for each in names)

    def __call__(self, request: Request, now: float) -> User | None:
        """The user, or None where the peer is no proxy, or names nobody."""
        settings, headers = self._settings, request.headers
        name = next((headers[each.lower()] for each in settings.username_headers if headers.get(each.lower())), "")
        der = request.peer.certificate_der
        if not name or der is None or not self.trusted(der, now):
            return None
        uid = next((headers[each.lower()] for each in settings.uid_headers if headers.get(each.lower())), "")
        groups = [
            value for each in settings.group_headers for value in headers.get(each.lower(), "").split(", ") if value
        ]
        extra: dict[str, tuple[str, ...]] = {}
        for prefix in settings.extra_headers_prefix:
            for header, value in headers.items():
                if header.startswith(prefix.lower()):
                    extra[unquote(header[len(prefix) :])] = tuple(value.split(", "))
        if "system:authenticated" not in groups:
            groups.append("system:authenticated")
        return User(name, tuple(groups), uid, extra)
