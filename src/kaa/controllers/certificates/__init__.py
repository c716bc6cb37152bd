"""CertificateSigningRequests: who may have a certificate, the certificate itself, and what becomes of old requests.

- `rules`: what each of the built-in signers signs; pure.
- `signing`: making a certificate from a request; pure, but for the key's chance.
- `approver`: approves what kubelets ask for themselves, when authorization allows it.
- `signer`: issues what has been approved, for the built-in signers.
- `cleaner`: removes requests whose time has passed.

A *signer* is a name in a request, such as `kubernetes.io/kubelet-serving`; whoever knows that name answers. Names of
others than the built-in signers are left to others.
"""

from kaa.controllers.certificates.approver import ApprovingController
from kaa.controllers.certificates.cleaner import CleanerController
from kaa.controllers.certificates.signer import SigningController

__all__ = ["ApprovingController", "CleanerController", "SigningController"]
