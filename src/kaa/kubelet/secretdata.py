"""Reading `data` of secrets and `binaryData` of config maps, and credentials for registries out of secrets."""

import base64
import binascii
import re
from collections.abc import Iterable
from typing import Any

import orjson

from kaa.kinds.views import Secret
from kaa.kubelet.cri.api import Auth

__all__ = ["credentials", "secret_bytes"]

_DOCKER_HOSTS = {"docker.io", "index.docker.io", "registry-1.docker.io"}


def secret_bytes(value: str) -> bytes:
    """The bytes of a base64 value; what is not base64 (the API server would have refused it) counts as empty."""
    try:
        return base64.b64decode(value)
    except (binascii.Error, ValueError):
        return b""


def registry_of(image: str) -> tuple[str, str]:
    """(host, path) of an image reference: `nginx` is `docker.io`, `library/nginx`."""
    name = image.split("@", 1)[0]
    first, slash, rest = name.partition("/")
    if not slash or not ("." in first or ":" in first or first == "localhost"):
        host, path = "docker.io", name if slash else f"library/{name}"
    else:
        host, path = first, rest
    return host, re.sub(r":[\w.-]+$", "", path)


def credentials(image: str, secrets: Iterable[Secret]) -> list[Auth]:
    """Those that may fit the image's registry, the most specific first; from dockerconfigjson and dockercfg secrets."""
    host, path = registry_of(image)
    found: list[tuple[int, Auth]] = []
    for secret in secrets:
        entries: dict[str, Any] = {}
        try:
            if secret.type == "kubernetes.io/dockerconfigjson":
                entries = orjson.loads(secret_bytes(secret.data.get(".dockerconfigjson", ""))).get("auths") or {}
            elif secret.type == "kubernetes.io/dockercfg":
                entries = orjson.loads(secret_bytes(secret.data.get(".dockercfg", "")))
        except (orjson.JSONDecodeError, AttributeError):
            continue
        for server, entry in entries.items():
            bare = re.sub(r"^https?://", "", server).rstrip("/")
            bare = re.sub(r"/v[12]$", "", bare)
            server_host, _, server_path = bare.partition("/")
            same = server_host == host or (server_host in _DOCKER_HOSTS and host in _DOCKER_HOSTS)
            if server_host.startswith("*."):
                same = host.endswith(server_host[1:])
            if (
                not same
                or not isinstance(entry, dict)
                or (server_path and not f"{path}/".startswith(f"{server_path}/"))
            ):
                continue
            found.append((len(bare), _auth(server, entry)))
    return [auth for _, auth in sorted(found, key=lambda each: -each[0])]


def _auth(server: str, entry: dict[str, Any]) -> Auth:
    username, password = str(entry.get("username") or ""), str(entry.get("password") or "")
    if entry.get("auth") and not username:
        username, _, password = secret_bytes(str(entry["auth"])).decode("utf-8", "replace").partition(":")
    return Auth(
        username=username,
        password=password,
        server_address=server,
        identity_token=str(entry.get("identitytoken") or ""),
        registry_token=str(entry.get("registrytoken") or ""),
    )
