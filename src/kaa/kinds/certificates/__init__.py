"""Rules of the certificates group.

- `request`: CertificateSigningRequests, what each way of writing them may change.
- `pem`: the contents of requests and certificates.
"""
