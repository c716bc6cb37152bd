"""Who asks: a front proxy's word, client certificates, then bearer tokens, then nobody.

- `certificates`, `requestheader`: who a certificate stands for, or whom a proxy names.
- `serviceaccounts`, `legacytokens`: the cluster's own tokens; `bootstraptokens`, `statictokens`: of Secrets and of a
  file.
- `configuration`, `issuers`, `jwt`: tokens of other issuers, by the authentication configuration file.
- `tokenwebhook`: tokens that a webhook knows; `remembered`: what was found out lately.
- `impersonation`: being taken for another.
- `authentication`: all of it in order.

What a request claims and cannot prove is refused with 401, never taken for anonymous.
"""

from kaa.server.authn.authentication import Authentication, bearer_of
from kaa.server.authn.bootstraptokens import BootstrapTokens
from kaa.server.authn.certificates import CertificateUsers, read_authorities
from kaa.server.authn.impersonation import impersonate
from kaa.server.authn.requestheader import RequestHeaders, RequestHeaderSettings
from kaa.server.authn.serviceaccounts import ServiceAccountTokens
from kaa.server.authn.statictokens import StaticTokens
from kaa.server.authn.tokenwebhook import TokenWebhook

__all__ = [
    "Authentication",
    "BootstrapTokens",
    "CertificateUsers",
    "RequestHeaderSettings",
    "RequestHeaders",
    "ServiceAccountTokens",
    "StaticTokens",
    "TokenWebhook",
    "bearer_of",
    "impersonate",
    "read_authorities",
]
