"""What a machine lacks is said with the command that mends it."""

from pathlib import Path

import pytest

from kaa.cluster import preflight as checks
from kaa.cluster.preflight import Missing
from kaa.cluster.up import _what_is_missing


def test_each_missing_program_is_named_with_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "find_program", lambda name: None)
    monkeypatch.setattr(checks, "plugin_dir", lambda: None)
    said = {missing.what: missing.mend_command for missing in checks.preflight()}
    assert said["containerd"] == "apt-get install -y containerd"
    assert said["nft"] == "apt-get install -y nftables"
    assert said["a static busybox"] == "apt-get install -y busybox-static"
    assert said["the CNI plugins (bridge, host-local, portmap, loopback)"].endswith("containernetworking-plugins")


def test_not_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks.os, "geteuid", lambda: 1000)
    assert "sudo" in str(next(m for m in checks.preflight() if m.what == "root"))


def test_static_or_not(tmp_path: Path) -> None:
    (tmp_path / "script").write_text("#!/bin/sh\n")
    assert not checks.is_static(tmp_path / "script")
    assert not checks.is_static(tmp_path / "gone")
    assert not checks.is_static(Path("/bin/ls"))


def test_what_is_missing_is_told_with_one_command_that_mends_it() -> None:
    missing = [
        Missing("runc", "it starts containers", "apt-get install -y runc"),
        Missing("root", "links need it", "Run the same command with sudo."),
        Missing("ctr", "it loads images", "apt-get install -y containerd"),
    ]
    said = _what_is_missing(missing)
    assert "apt-get install -y containerd runc" in said
    assert "Run the same command with sudo." in said
    assert "--simulated" in said
