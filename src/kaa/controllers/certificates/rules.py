"""What the built-in signers sign. Texts are the original's: they end up in the conditions of requests."""

import base64
import binascii
from collections.abc import Sequence

from cryptography import x509
from cryptography.x509.oid import NameOID

from kaa.kinds.views.certificates import CertificateSigningRequest

__all__ = [
    "KUBELET_CLIENT",
    "KUBELET_SERVING",
    "KUBE_APISERVER_CLIENT",
    "LEGACY_UNKNOWN",
    "SIGNERS",
    "Refused",
    "check",
    "is_kubelet_client",
    "parse",
]

KUBE_APISERVER_CLIENT = "kubernetes.io/kube-apiserver-client"
KUBELET_CLIENT = "kubernetes.io/kube-apiserver-client-kubelet"
KUBELET_SERVING = "kubernetes.io/kubelet-serving"
LEGACY_UNKNOWN = "kubernetes.io/legacy-unknown"
SIGNERS = (KUBE_APISERVER_CLIENT, KUBELET_CLIENT, KUBELET_SERVING, LEGACY_UNKNOWN)

NODES, NODE_PREFIX = "system:nodes", "system:node:"
_SIGN, _ENCIPHER, _CLIENT, _SERVER = "digital signature", "key encipherment", "client auth", "server auth"


class Refused(ValueError):
    """The signer does not sign this; the text goes into the request's condition."""


def parse(csr: CertificateSigningRequest) -> x509.CertificateSigningRequest:
    """The request itself. Raises ValueError."""
    try:
        return x509.load_pem_x509_csr(base64.b64decode(csr.spec.request))
    except (ValueError, binascii.Error) as error:
        raise ValueError(f'unable to parse csr "{csr.name}": {error}') from error


def check(signer: str, request: x509.CertificateSigningRequest, usages: Sequence[str]) -> None:
    """Raise Refused for what a built-in signer does not sign."""
    if signer == KUBELET_CLIENT:
        _check_kubelet_client(request, usages)
    elif signer == KUBELET_SERVING:
        _check_kubelet_serving(request, usages)
    elif signer == KUBE_APISERVER_CLIENT:
        _check_client(usages)
    # legacy-unknown signs anything that has been approved


def is_kubelet_client(csr: CertificateSigningRequest, request: x509.CertificateSigningRequest) -> bool:
    """Whether it is what a kubelet asks for to be a client of the API."""
    if csr.spec.signer_name != KUBELET_CLIENT:
        return False
    try:
        _check_kubelet_client(request, csr.spec.usages)
    except Refused:
        return False
    return True


def common_name(request: x509.CertificateSigningRequest) -> str:
    """The subject's common name, or ""."""
    found = request.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(found[0].value) if found else ""


def _check_kubelet_client(request: x509.CertificateSigningRequest, usages: Sequence[str]) -> None:
    _check_organization(request)
    for kind, what in ((x509.DNSName, "DNS"), (x509.RFC822Name, "Email"), (x509.IPAddress, "IP"),
                       (x509.UniformResourceIdentifier, "URI")):  # fmt: skip
        if _names(request, kind):
            raise Refused(f"{what} subjectAltNames are not allowed")
    _check_common_name(request)
    _check_usages(usages, _CLIENT)


def _check_kubelet_serving(request: x509.CertificateSigningRequest, usages: Sequence[str]) -> None:
    _check_organization(request)
    if not _names(request, x509.DNSName) and not _names(request, x509.IPAddress):
        raise Refused("DNS or IP subjectAltName is required")
    if _names(request, x509.RFC822Name):
        raise Refused("Email subjectAltNames are not allowed")
    if _names(request, x509.UniformResourceIdentifier):
        raise Refused("URI subjectAltNames are not allowed")
    _check_usages(usages, _SERVER)
    _check_common_name(request)


def _check_client(usages: Sequence[str]) -> None:
    for usage in usages:
        if usage not in (_SIGN, _ENCIPHER, _CLIENT):
            raise Refused(f"invalid usage for client certificate: {usage}")
    if _CLIENT not in usages:
        raise Refused(f"missing required usage for client certificate: {_CLIENT}")


def _check_organization(request: x509.CertificateSigningRequest) -> None:
    found = [str(each.value) for each in request.subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)]
    if found != [NODES]:
        raise Refused("subject organization is not system:nodes")


def _check_common_name(request: x509.CertificateSigningRequest) -> None:
    if not common_name(request).startswith(NODE_PREFIX):
        raise Refused("subject common name does not begin with system:node:")


def _check_usages(usages: Sequence[str], purpose: str) -> None:
    """A key that encrypts nothing (any but RSA) does without key encipherment."""
    required = {_SIGN, _ENCIPHER, purpose}
    if set(usages) not in (required, required - {_ENCIPHER}):
        raise Refused(f"usages did not match [{' '.join(sorted(required))}]")


def _names(request: x509.CertificateSigningRequest, kind: type[x509.GeneralName]) -> bool:
    try:
        held = request.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (x509.ExtensionNotFound, ValueError):
        return False
    return any(isinstance(each, kind) for each in held)
