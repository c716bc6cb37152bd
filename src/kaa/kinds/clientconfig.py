"""Where a webhook is: the `clientConfig` of admission webhooks and of conversion."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

from kaa.meta import names
from kaa.meta.problems import Path, Problem, invalid, required

__all__ = ["bundle_is_good", "client_config"]

Json = dict[str, Any]


def client_config(config: Json, path: Path) -> Iterator[Problem]:
    """Exactly one of `url` and `service`, each usable."""
    url, service = config.get("url"), config.get("service")
    if (url is None) == (service is None):
        yield required(path, "exactly one of url or service is required")
    elif service is not None:
        yield from _service(service, path / "service")
    else:
        yield from _url(str(url), path / "url")


def bundle_is_good(bundle: str) -> bool:
    """Whether a `caBundle` (PEM in base64) has certificates, and nothing that is none."""
    from cryptography import x509  # heavy, and seldom needed

    try:
        return bool(x509.load_pem_x509_certificates(base64.b64decode(bundle, validate=True)))
    except (binascii.Error, ValueError):
        return False


def _url(url: str, path: Path) -> Iterator[Problem]:
    form = "; desired format: https://host[/path]"
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError as error:
        yield required(path, f"url must be a valid URL: {error}{form}")
        return
    if parts.scheme != "https":
        yield invalid(path, parts.scheme, f"'https' is the only allowed URL scheme{form}")
    user, at, host = parts.netloc.rpartition("@")
    if not host:
        yield invalid(path, host, f"host must be provided{form}")
    if at:
        yield invalid(path, user, "user information is not permitted in the URL")
    if parts.fragment:
        yield invalid(path, parts.fragment, "fragments are not permitted in the URL")
    if parts.query:
        yield invalid(path, parts.query, "query parameters are not permitted in the URL")


def _service(service: Json, path: Path) -> Iterator[Problem]:
    # The original hands the two names over in the wrong order, and so says the one where it means the other.
    if not service.get("namespace"):
        yield required(path / "name", "service name is required")
    if not service.get("name"):
        yield required(path / "namespace", "service namespace is required")
    port = service.get("port", 0)
    wrongs = names.port_number(port)
    if wrongs:
        yield invalid(path / "port", port, "port is not valid: " + ", ".join(wrongs))
    url, here = service.get("path"), path / "path"
    if not url or url == "/":
        return
    if url == "//":
        yield invalid(here, url, "segment[0] may not be empty")
        return
    if not url.startswith("/"):
        yield invalid(here, url, "must start with a '/'")
    for at, step in enumerate(url[1:].removesuffix("/").split("/")):
        if not step:
            yield invalid(here, url, f"segment[{at}] may not be empty")
            continue
        for wrong in names.dns1123_subdomain(step):
            yield invalid(here, url, f"segment[{at}]: {wrong}")
