"""Where a webhook is: the `clientConfig` of admission webhooks and of conversion."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

from kaa.meta.problems import Path, Problem, invalid, required

__all__ = ["client_config"]

Json = dict[str, Any]
_FORM = "; desired format: https://host[/path]"


def client_config(config: Json, path: Path) -> Iterator[Problem]:
    """Exactly one of `url` and `service`, each usable."""
    url, service = config.get("url"), config.get("service")
    if (url is None) == (service is None):
        yield required(path, "exactly one of url or service is required")
    if url is not None:
        yield from _url(url, path / "url")
    if service is not None:
        yield from _service(service, path / "service")


def _url(url: str, path: Path) -> Iterator[Problem]:
    try:
        parts = urlsplit(url)
        host = parts.hostname
        _ = parts.port
    except ValueError as error:
        yield required(path, f"url must be a valid URL: {error}{_FORM}")
        return
    if parts.scheme != "https":
        yield invalid(path, url, f"'https' is the only allowed URL scheme{_FORM}")
    if not host:
        yield invalid(path, url, f"host must be specified{_FORM}")
    if parts.username is not None or parts.password is not None:
        yield invalid(path, url, "user information is not permitted in the URL")
    if parts.fragment:
        yield invalid(path, url, "fragments are not permitted in the URL")
    if parts.query:
        yield invalid(path, url, "query parameters are not permitted in the URL")


def _service(service: Json, path: Path) -> Iterator[Problem]:
    if not service.get("name"):
        yield required(path / "name", "service name is required")
    if not service.get("namespace"):
        yield required(path / "namespace", "service namespace is required")
    port = service.get("port", 443)
    if not 1 <= port <= 65535:
        yield invalid(path / "port", port, "port is not valid: must be between 1 and 65535, inclusive")
    text = service.get("path")
    if text is None:
        return
    if not text.startswith("/"):
        yield invalid(path / "path", text, "must start with a '/'")
    for step in text.strip("/").split("/") if text != "/" else ():
        if not step:
            yield invalid(path / "path", text, "segment[0] may not be empty")
            break
