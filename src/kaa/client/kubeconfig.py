"""Writing kubeconfig files: one cluster's entry is put in or taken out, everything else in the file stays."""

import base64
import os
from pathlib import Path
from typing import Any

import yaml

from kaa.client.config import Access, ConfigError

__all__ = ["forget", "write"]

Json = dict[str, Any]
_LISTS = ("clusters", "contexts", "users")


def write(path: Path, name: str, access: Access, *, make_current: bool = True) -> None:
    """Put the cluster, user and context `name` into the file, which is made if need be (mode 0600).

    Certificates and keys go in as data; the file is replaced in one step, so a reader never sees half of it.
    """
    document = _load(path)
    cluster: Json = {"server": access.server}
    if access.ca_pem is not None:
        cluster["certificate-authority-data"] = _text(access.ca_pem)
    if access.tls_server_name:
        cluster["tls-server-name"] = access.tls_server_name
    if access.insecure:
        cluster["insecure-skip-tls-verify"] = True
    user: Json = {}
    if access.certificate_pem is not None and access.key_pem is not None:
        user["client-certificate-data"] = _text(access.certificate_pem)
        user["client-key-data"] = _text(access.key_pem)
    elif access.certificate_file:
        user["client-certificate"] = str(Path(access.certificate_file).absolute())
        user["client-key"] = str(Path(access.key_file).absolute())
    if access.token_file:
        user["tokenFile"] = str(Path(access.token_file).absolute())
    elif access.token:
        user["token"] = access.token
    elif access.username:
        user["username"], user["password"] = access.username, access.password
    context: Json = {"cluster": name, "user": name}
    if access.namespace != "default":
        context["namespace"] = access.namespace
    _put(document, "clusters", name, {"cluster": cluster})
    _put(document, "users", name, {"user": user})
    _put(document, "contexts", name, {"context": context})
    if make_current or not document.get("current-context"):
        document["current-context"] = name
    _save(path, document)


def forget(path: Path, name: str) -> bool:
    """Take the cluster, user and context `name` out; False when none was there. A file left empty stays, empty."""
    if not path.exists():
        return False
    document = _load(path)
    found = False
    for listing in _LISTS:
        kept = [each for each in document.get(listing) or [] if each.get("name") != name]
        found = found or len(kept) != len(document.get(listing) or [])
        document[listing] = kept
    if document.get("current-context") == name:
        document["current-context"] = ""
        found = True
    if found:
        _save(path, document)
    return found


def _load(path: Path) -> Json:
    document: Any = None
    if path.exists():
        try:
            document = yaml.safe_load(path.read_text())
        except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
            raise ConfigError(f"{path}: cannot be read, so it is left alone: {error}") from error
    if document is None:
        document = {}
    if not isinstance(document, dict):
        raise ConfigError(f"{path}: not a kubeconfig, so it is left alone: move it away first")
    return {"apiVersion": "v1", "kind": "Config", "preferences": {}, **document}


def _put(document: Json, listing: str, name: str, entry: Json) -> None:
    kept = [each for each in document.get(listing) or [] if each.get("name") != name]
    document[listing] = [*kept, {"name": name, **entry}]


def _save(path: Path, document: Json) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    target = path.resolve()  # a link stays a link
    draft = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            yaml.safe_dump(document, file, sort_keys=False)
        draft.replace(target)
    finally:
        draft.unlink(missing_ok=True)


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()
