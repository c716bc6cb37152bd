"""Who the parts of a cluster are: their certificates and kubeconfigs, made when they are missing.

Whoever comes first makes them, under a lock: `kaa up`, or an API server that was started by itself.
"""

import fcntl
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from kaa.client.config import Access
from kaa.client.kubeconfig import write
from kaa.cluster.pki import Authority

__all__ = ["ServerFiles", "ensure_admin", "ensure_node", "ensure_parts", "ensure_server", "renew", "server_names"]

CA, CA_NAME = "ca", "kubernetes"


@dataclass(frozen=True)
class ServerFiles:
    """What an API server needs."""

    ca: Path
    certificate: Path
    key: Path
    token_key: Path
    kubelet_client: tuple[Path, Path]
    admin: tuple[Path, Path]


@contextmanager
def _locked(directory: Path) -> Iterator[None]:
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    descriptor = os.open(directory / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def server_names(addresses: Sequence[str], api_ip: str, more: Sequence[str] = ()) -> list[str]:
    """What the API server's certificate holds."""
    service = "kubernetes.default"
    own = ["localhost", "kubernetes", service, f"{service}.svc", f"{service}.svc.cluster.local"]
    return list(dict.fromkeys([*own, "127.0.0.1", api_ip, *addresses, *more]))


def _admin_files(authority: Authority) -> tuple[Path, Path]:
    """The administrator's certificate and key."""
    return authority.client_files("admin", "kubernetes-admin", ["system:masters"])


def ensure_server(directory: Path, names: Sequence[str]) -> ServerFiles:
    """The API server's own certificates."""
    from kaa.cluster.pki import load_or_make_key

    with _locked(directory):
        authority = Authority(directory, CA, CA_NAME)
        certificate, key = authority.server_files("apiserver", "kube-apiserver", names)
        token_key = directory / "sa.key"
        load_or_make_key(token_key)
        # Kubelets know it by its name. It has no rights at the API server: a node whose status gives the server's own
        # address as its own gets the server to ask itself, and nothing from it.
        client = authority.client_files("apiserver-kubelet-client", "kube-apiserver-kubelet-client")
        return ServerFiles(authority.certificate_path, certificate, key, token_key, client, _admin_files(authority))


def renew(directory: Path) -> list[str]:
    """Make anew what nears its end; the names of the files, without their endings."""
    with _locked(directory):
        return Authority(directory, CA, CA_NAME).renew()


def ensure_parts(directory: Path, server: str) -> dict[str, Path]:
    """Kubeconfigs by part: `controllers`, `scheduler`, `simulated`, in the directory of the certificates."""
    parts = {
        "controllers": ("system:kube-controller-manager", ()),
        "scheduler": ("system:kube-scheduler", ()),
        "simulated": ("kaa:simulated-nodes", ()),
    }
    with _locked(directory):
        authority = Authority(directory, CA, CA_NAME)
        return {
            part: _kubeconfig(directory, part, server, authority, authority.client_files(part, user, groups))
            for part, (user, groups) in parts.items()
        }


def ensure_node(directory: Path, server: str, node_name: str, addresses: Sequence[str]) -> tuple[Path, Path, Path]:
    """A node's kubeconfig, and the certificate and key of its endpoint."""
    with _locked(directory):
        authority = Authority(directory, CA, CA_NAME)
        client = authority.client_files(f"node-{node_name}", f"system:node:{node_name}", ["system:nodes"])
        serving = authority.server_files(
            f"node-{node_name}-serving", f"system:node:{node_name}", list(dict.fromkeys([node_name, *addresses]))
        )
        return _kubeconfig(directory, f"node-{node_name}", server, authority, client), *serving


def ensure_admin(directory: Path, server: str, path: Path) -> Path:
    """The administrator's kubeconfig, written where it is wanted. What others have put into the file stays."""
    with _locked(directory):
        authority = Authority(directory, CA, CA_NAME)
        certificate, key = _admin_files(authority)
        if not _fresh(path, server, certificate, authority.certificate_path):
            pair = certificate.read_bytes(), key.read_bytes()
            write(path, "kaa", Access(server, authority.pem, certificate_pem=pair[0], key_pem=pair[1]))
    return path


def _fresh(path: Path, server: str, *sources: Path) -> bool:
    """It says what it would say if it were written now (writing YAML costs more than all the rest)."""
    try:
        written = path.stat().st_mtime
        return all(each.stat().st_mtime <= written for each in sources) and f" {server}\n" in path.read_text()
    except OSError:
        return False


def _kubeconfig(directory: Path, name: str, server: str, authority: Authority, files: tuple[Path, Path]) -> Path:
    path = directory / f"{name}.kubeconfig"
    certificate, key = files
    if _fresh(path, server, authority.certificate_path):
        return path
    write(path, "kaa", Access(server, authority.pem, certificate_file=str(certificate), key_file=str(key)))
    return path
