"""How to reach a cluster: kubeconfig files, and what a pod finds in its file system.

What Kaa does not do with a kubeconfig is refused by its field's name when the context that uses it is loaded: exec
plugins, auth providers and proxies. Other contexts of the same file stay usable.
"""

import base64
import binascii
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from kaa.base.clock import REAL, Clock
from kaa.client.client import Client
from kaa.http.api import Header
from kaa.http.tls import TlsClient

__all__ = ["Access", "ConfigError", "in_cluster", "load_kubeconfig", "open_client"]

Json = dict[str, Any]
_SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
_TOKEN_SECONDS = 60.0  # how long a token read from a file is used before the file is read again


class ConfigError(Exception):
    """A kubeconfig cannot be used; the text says which file and field, and what to do."""


@dataclass(frozen=True)
class Access:
    """One cluster and one identity in it."""

    #: Base URL, such as https://10.0.0.1:6443
    server: str
    #: The CA of the server's certificate, PEM; None for the system's.
    ca_pem: bytes | None = None
    #: Client certificate and key, PEM, when given as data.
    certificate_pem: bytes | None = None
    key_pem: bytes | None = None
    #: The same as files, which are read at each new connection, because they rotate.
    certificate_file: str = ""
    key_file: str = ""
    #: Bearer token; a token file goes before it, and is read again every minute.
    token: str = ""
    token_file: str = ""
    username: str = ""
    password: str = ""
    #: The name to check the server's certificate for, where it is not the URL's.
    tls_server_name: str = ""
    #: Check nothing. For experiments.
    insecure: bool = False
    #: The namespace commands use by default.
    namespace: str = "default"
    #: Act as somebody else: Impersonate-* headers.
    impersonate: Sequence[Header] = field(default_factory=tuple)


def open_client(access: Access, *, clock: Clock = REAL, user_agent: str = "kaa", **options: Any) -> Client:
    """A client with connections of its own. Nothing is sent yet."""
    from kaa.http.call import Caller  # late: reading a kubeconfig needs no HTTP machinery

    tls: TlsClient | None = None
    if access.server.startswith("https:"):
        source = None
        if access.certificate_file:
            certificate_file, key_file = Path(access.certificate_file), Path(access.key_file or access.certificate_file)

            def source() -> tuple[bytes, bytes]:
                return certificate_file.read_bytes(), key_file.read_bytes()

        tls = TlsClient(
            ca_pem=access.ca_pem,
            certificate_pem=access.certificate_pem,
            key_pem=access.key_pem,
            server_name=access.tls_server_name or None,
            insecure=access.insecure,
            certificate_source=source,
        )
    transport = Caller(access.server, tls=tls, headers=_Identity(access, clock).headers, user_agent=user_agent)
    return Client(transport, clock=clock, user_agent="", **options)


class _Identity:
    """The headers of an identity; a token file is read again every minute, and kept while it cannot be read."""

    def __init__(self, access: Access, clock: Clock) -> None:
        self._clock = clock
        self._file = Path(access.token_file) if access.token_file else None
        self._read_again_at = float("-inf")
        self._fixed: tuple[Header, ...] = tuple(access.impersonate)
        self._headers: tuple[Header, ...] = self._fixed
        if access.token:
            self._headers = (("authorization", f"Bearer {access.token}"), *self._fixed)
        elif access.username and self._file is None:
            pair = base64.b64encode(f"{access.username}:{access.password}".encode()).decode()
            self._headers = (("authorization", f"Basic {pair}"), *self._fixed)

    def headers(self) -> Sequence[Header]:
        if self._file is not None and (now := self._clock.monotonic()) >= self._read_again_at:
            self._read_again_at = now + _TOKEN_SECONDS
            try:
                token = self._file.read_text().strip()
            except OSError:
                token = ""  # while it is being replaced, the last one is as good as any
            if token:
                self._headers = (("authorization", f"Bearer {token}"), *self._fixed)
        return self._headers


def in_cluster(root: Path = _SERVICE_ACCOUNT, environ: Mapping[str, str] | None = None) -> Access:
    """The cluster this pod runs in, as its service account. Raises ConfigError outside of a pod."""
    env = os.environ if environ is None else environ
    host, port = env.get("KUBERNETES_SERVICE_HOST", ""), env.get("KUBERNETES_SERVICE_PORT", "")
    if not host or not port:
        raise ConfigError("not in a cluster: KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT must be set")
    token_file = root / "token"
    if not token_file.exists():
        raise ConfigError(f"not in a cluster: {token_file} is not there (does the pod mount its token?)")
    ca_file, namespace_file = root / "ca.crt", root / "namespace"
    host = f"[{host}]" if ":" in host else host
    return Access(
        server=f"https://{host}:{port}",
        ca_pem=ca_file.read_bytes() if ca_file.exists() else None,
        token_file=str(token_file),
        namespace=namespace_file.read_text().strip() if namespace_file.exists() else "default",
    )


def load_kubeconfig(path: str | Path = "", context: str = "") -> Access:
    """One context of a kubeconfig; the current one when `context` is "".

    With no path, the files of $KUBECONFIG (the first to name a thing wins), else ~/.kube/config. Raises ConfigError.
    """
    if path:
        paths = [Path(path)]
    elif os.environ.get("KUBECONFIG"):
        paths = [Path(each) for each in os.environ["KUBECONFIG"].split(os.pathsep) if each]
    else:
        paths = [Path.home() / ".kube" / "config"]
    found = [file for file in paths if file.exists()]
    if not found:
        listing = ", ".join(str(file) for file in paths)
        raise ConfigError(f"no kubeconfig at {listing}: start a cluster, or name a file with KUBECONFIG")
    documents = [(file, _read(file)) for file in found]
    context = context or next((doc["current-context"] for _, doc in documents if doc.get("current-context")), "")
    if not context:
        raise ConfigError(f"{found[0]}: no current-context is set: choose one with `kubectl config use-context`")
    _, chosen = _named(documents, "contexts", "context", context)
    cluster_file, cluster = _named(documents, "clusters", "cluster", chosen.get("cluster", ""))
    user_name = chosen.get("user", "")
    user_file, user = _named(documents, "users", "user", user_name) if user_name else (cluster_file, {})
    return _access(cluster_file, cluster, user_file, user, chosen.get("namespace") or "default")


def _access(cluster_file: Path, cluster: Json, user_file: Path, user: Json, namespace: str) -> Access:
    _refuse(user_file, user, "exec", "credential plugins are not run: use a token, tokenFile or client certificate")
    _refuse(user_file, user, "auth-provider", "it is gone from Kubernetes too: use a token or client certificate")
    _refuse(cluster_file, cluster, "proxy-url", "proxies are not supported: connect directly")
    server = cluster.get("server", "")
    if not server.startswith(("https://", "http://")):
        raise ConfigError(f"{cluster_file}: clusters[].cluster.server must be an http(s) URL, not {server!r}")
    insecure = bool(cluster.get("insecure-skip-tls-verify"))
    ca_pem = _data_or_file(cluster_file, cluster, "certificate-authority")
    if insecure and ca_pem is not None:
        raise ConfigError(f"{cluster_file}: certificate-authority and insecure-skip-tls-verify exclude each other")
    # A certificate given as data wins over a file, as in kubectl; files may rotate, so they are not read here.
    certificate = _data(user_file, user, "client-certificate")
    key = _data(user_file, user, "client-key")
    certificate_file = "" if certificate else _resolved(user_file, user.get("client-certificate", ""))
    key_file = "" if key else _resolved(user_file, user.get("client-key", ""))
    if certificate and key_file:
        key, key_file = _contents(Path(key_file)), ""
    elif certificate_file and key:
        certificate, certificate_file = _contents(Path(certificate_file)), ""
    if bool(certificate or certificate_file) != bool(key or key_file):
        raise ConfigError(f"{user_file}: client-certificate and client-key go together, one is missing")
    return Access(
        server=server.rstrip("/"),
        ca_pem=ca_pem,
        certificate_pem=certificate,
        key_pem=key,
        certificate_file=certificate_file,
        key_file=key_file,
        token=user.get("token", ""),
        token_file=_resolved(user_file, user.get("tokenFile", "")),
        username=user.get("username", ""),
        password=user.get("password", ""),
        tls_server_name=cluster.get("tls-server-name", ""),
        insecure=insecure,
        namespace=namespace,
        impersonate=tuple(_impersonation(user)),
    )


def _impersonation(user: Json) -> list[Header]:
    headers: list[Header] = []
    if user.get("as"):
        headers.append(("impersonate-user", user["as"]))
    if user.get("as-uid"):
        headers.append(("impersonate-uid", user["as-uid"]))
    headers += [("impersonate-group", group) for group in user.get("as-groups") or ()]
    for name, values in (user.get("as-user-extra") or {}).items():
        headers += [(f"impersonate-extra-{name}", value) for value in values]
    return headers


def _read(path: Path) -> Json:
    try:
        document = yaml.safe_load(path.read_text())
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigError(f"{path}: cannot be read: {error}") from error
    if document is None:
        return {}
    if not isinstance(document, dict):
        raise ConfigError(f"{path}: not a kubeconfig: it must be a YAML mapping")
    return document


def _named(documents: list[tuple[Path, Json]], listing: str, part: str, name: str) -> tuple[Path, Json]:
    for path, document in documents:
        for each in document.get(listing) or ():
            if each.get("name") == name:
                return path, each.get(part) or {}
    known = sorted(each.get("name", "") for _, document in documents for each in document.get(listing) or ())
    files = ", ".join(str(path) for path, _ in documents)
    raise ConfigError(f"{files}: no {part} named {name!r}; there are: {', '.join(known) or 'none'}")


def _refuse(path: Path, part: Json, name: str, instead: str) -> None:
    if part.get(name):
        raise ConfigError(f"{path}: {name!r} is not supported: {instead}")


def _resolved(base: Path, name: str) -> str:
    """File names in a kubeconfig are relative to the file."""
    return str(base.parent / name) if name else ""


def _contents(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from error


def _data(path: Path, part: Json, name: str) -> bytes | None:
    text = part.get(f"{name}-data")
    if not text:
        return None
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise ConfigError(f"{path}: {name}-data is not base64: {error}") from error


def _data_or_file(path: Path, part: Json, name: str) -> bytes | None:
    data = _data(path, part, name)
    if data is None and part.get(name):
        data = _contents(Path(_resolved(path, part[name])))
    return data
