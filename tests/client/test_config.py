"""Kubeconfig files, read and written; the credentials of a pod."""

import base64
from pathlib import Path

import pytest
import yaml

from kaa.base.clock import Clock
from kaa.client import kubeconfig
from kaa.client.config import Access, ConfigError, _Identity, in_cluster, load_kubeconfig


def document(user: dict, cluster: dict | None = None) -> dict:  # type: ignore[type-arg]
    return {
        "current-context": "main",
        "contexts": [
            {"name": "main", "context": {"cluster": "c", "user": "u", "namespace": "team"}},
            {"name": "plain", "context": {"cluster": "c", "user": "nobody"}},
        ],
        "clusters": [{"name": "c", "cluster": {"server": "https://10.0.0.1:6443/", **(cluster or {})}}],
        "users": [{"name": "u", "user": user}, {"name": "nobody", "user": {}}],
    }


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "config"


def save(path: Path, content: dict) -> Path:  # type: ignore[type-arg]
    path.write_text(yaml.safe_dump(content))
    return path


def b64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def test_data_and_files(path: Path) -> None:
    (path.parent / "ca.crt").write_text("CA")
    (path.parent / "me.key").write_text("KEY")
    user = {"client-certificate-data": b64("CERT"), "client-key": "me.key", "as": "jane", "as-groups": ["dev", "ops"]}
    access = load_kubeconfig(save(path, document(user, {"certificate-authority": "ca.crt", "tls-server-name": "api"})))
    assert (access.server, access.namespace, access.ca_pem) == ("https://10.0.0.1:6443", "team", b"CA")
    assert (access.certificate_pem, access.key_pem, access.tls_server_name) == (b"CERT", b"KEY", "api")
    assert list(access.impersonate) == [
        ("impersonate-user", "jane"), ("impersonate-group", "dev"), ("impersonate-group", "ops"),
    ]  # fmt: skip
    both_files = {"client-certificate": "me.crt", "client-key": "me.key"}
    access = load_kubeconfig(save(path, document(both_files)))
    assert (access.certificate_file, access.key_file) == (str(path.parent / "me.crt"), str(path.parent / "me.key"))


@pytest.mark.parametrize(
    ("user", "cluster", "says"),
    [
        ({"exec": {"command": "aws"}}, {}, "'exec' is not supported"),
        ({"auth-provider": {"name": "gcp"}}, {}, "'auth-provider' is not supported"),
        ({}, {"proxy-url": "http://p"}, "'proxy-url' is not supported"),
        ({}, {"server": "10.0.0.1"}, r"clusters\[\].cluster.server must be"),
        ({"client-key-data": b64("K")}, {}, "go together"),
        ({"client-certificate-data": "!", "client-key-data": b64("K")}, {}, "client-certificate-data is not base64"),
        ({}, {"insecure-skip-tls-verify": True, "certificate-authority-data": b64("CA")}, "exclude each other"),
        ({}, {"certificate-authority": "nowhere.crt"}, "nowhere.crt: cannot be read"),
    ],
)
def test_what_cannot_be_used_is_named(path: Path, user: dict, cluster: dict, says: str) -> None:  # type: ignore[type-arg]
    with pytest.raises(ConfigError, match=says):
        load_kubeconfig(save(path, document(user, cluster)))


def test_contexts(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save(path, document({"exec": {"command": "aws"}}))
    assert load_kubeconfig(path, "plain").namespace == "default"  # another context's exec plugin does no harm
    with pytest.raises(ConfigError, match="no context named 'other'; there are: main, plain"):
        load_kubeconfig(path, "other")
    first = save(tmp_path / "first", {"current-context": "plain", "contexts": []})
    monkeypatch.setenv("KUBECONFIG", f"{first}:{tmp_path / 'missing'}:{path}")
    assert load_kubeconfig().token == ""
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "missing"))
    with pytest.raises(ConfigError, match="no kubeconfig at"):
        load_kubeconfig()
    path.write_text("- a\n- b\n")
    with pytest.raises(ConfigError, match="must be a YAML mapping"):
        load_kubeconfig(path)


class StillClock(Clock):
    at = 0.0

    def monotonic(self) -> float:
        return self.at


def test_tokens_rotate(tmp_path: Path) -> None:
    clock, file = StillClock(), tmp_path / "token"
    file.write_text("one\n")
    identity = _Identity(Access("https://x", token_file=str(file)), clock)
    assert identity.headers() == (("authorization", "Bearer one"),)
    file.write_text("two")
    assert identity.headers() == (("authorization", "Bearer one"),)
    clock.at = 61
    assert identity.headers() == (("authorization", "Bearer two"),)
    file.unlink()
    clock.at = 200
    assert identity.headers() == (("authorization", "Bearer two"),)
    basic = _Identity(Access("https://x", username="a", password="b"), clock)
    assert basic.headers() == (("authorization", f"Basic {b64('a:b')}"),)


def test_in_cluster(tmp_path: Path) -> None:
    env = {"KUBERNETES_SERVICE_HOST": "fd00::1", "KUBERNETES_SERVICE_PORT": "443"}
    with pytest.raises(ConfigError, match="KUBERNETES_SERVICE_HOST"):
        in_cluster(tmp_path, {})
    with pytest.raises(ConfigError, match="does the pod mount its token"):
        in_cluster(tmp_path, env)
    for name, text in (("token", "t"), ("ca.crt", "CA"), ("namespace", "team\n")):
        (tmp_path / name).write_text(text)
    access = in_cluster(tmp_path, env)
    assert (access.server, access.ca_pem, access.namespace) == ("https://[fd00::1]:443", b"CA", "team")


def test_written_files_are_read_back_and_others_are_left_alone(path: Path) -> None:
    save(path, document({"token": "t"}))
    mine = Access("https://127.0.0.1:6443", ca_pem=b"CA", certificate_pem=b"CERT", key_pem=b"KEY", namespace="team")
    kubeconfig.write(path, "kaa", mine)
    assert path.stat().st_mode & 0o777 == 0o600
    assert load_kubeconfig(path) == mine
    kubeconfig.write(path, "kaa", Access("https://127.0.0.1:7443", token="x"))
    assert load_kubeconfig(path).server == "https://127.0.0.1:7443"
    assert load_kubeconfig(path, "main").token == "t"
    assert kubeconfig.forget(path, "kaa") and not kubeconfig.forget(path, "kaa")
    with pytest.raises(ConfigError, match="no current-context"):
        load_kubeconfig(path)
    assert load_kubeconfig(path, "main").token == "t"
    assert list(path.parent.iterdir()) == [path]
    kubeconfig.write(path.parent / "deep" / "new", "kaa", mine, make_current=False)
    assert load_kubeconfig(path.parent / "deep" / "new") == mine  # the only one there is


def test_a_file_that_is_no_kubeconfig_is_not_overwritten(path: Path) -> None:
    path.write_text("[1, 2]")
    with pytest.raises(ConfigError, match="left alone"):
        kubeconfig.write(path, "kaa", Access("https://x"))
    assert path.read_text() == "[1, 2]"
