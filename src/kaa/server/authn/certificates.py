"""x509: the common name is the user, the organisations are the groups. The listener has verified the chain already."""

from functools import lru_cache

from kaa.meta import errors
from kaa.server.request import User

__all__ = ["user_of_certificate"]


@lru_cache(maxsize=1024)
def user_of_certificate(der: bytes) -> User:
    """The user a client certificate names; raises 401 for one that names nobody."""
    from cryptography import x509
    from cryptography.x509.oid import NameOID

    subject = x509.load_der_x509_certificate(der).subject
    names = subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    if not names or not names[0].value:
        raise errors.unauthorized("Unauthorized: the client certificate has no common name")
    groups = [str(each.value) for each in subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)]
    return User(str(names[0].value), (*groups, "system:authenticated"))
