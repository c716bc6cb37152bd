"""Settings, and the command line that is derived from them."""

import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from kaa.cli.derive import flag_name, from_options, settings_options
from kaa.cluster.settings import (
    AgentOptions,
    ControllersOptions,
    DownOptions,
    ServerOptions,
    SimulatedOptions,
    UpOptions,
)

ROOT = Path(__file__).resolve().parents[2]
ALL = (UpOptions, DownOptions, ServerOptions, ControllersOptions, AgentOptions, SimulatedOptions)


def parsed(cls: type, *words: str) -> object:
    """What a command with these options makes of its words; raises for a usage error."""
    got: list[object] = []

    @click.command()
    @settings_options(cls)
    def command(**options: object) -> None:
        got.append(from_options(cls, options))

    result = CliRunner().invoke(command, list(words), standalone_mode=False)
    if result.exception is not None:
        raise result.exception
    return got[0]


@pytest.mark.parametrize("cls", ALL)
def test_no_words_give_the_defaults(cls: type) -> None:
    assert parsed(cls) == cls()


@pytest.mark.parametrize("cls", ALL)
def test_every_option_has_its_paragraph(cls: type) -> None:
    for each in fields(cls):
        assert each.metadata["help"].endswith((".", ")")), flag_name(each.name)


@pytest.mark.parametrize(
    ("words", "name", "value"),
    [
        (["--secure-port=7443"], "secure_port", 7443),
        (["--authorization-mode", "RBAC"], "authorization_mode", ("RBAC",)),
        (["--disable-admission-plugins=A, B"], "disable_admission_plugins", ("A", "B")),
        (["--anonymous-auth=false"], "anonymous_auth", False),
        (["--anonymous-auth"], "anonymous_auth", True),
        (["--token-auth-file=/t.csv"], "token_auth_file", Path("/t.csv")),
        (["--store", "memory:"], "store", "memory:"),
    ],
)
def test_words_of_the_server(words: list[str], name: str, value: object) -> None:
    assert getattr(parsed(ServerOptions, *words), name) == value


@pytest.mark.parametrize("words", [["--secure-port=x"], ["--anonymous-auth=maybe"], ["--no-such-option"]])
def test_what_is_not_understood_is_refused(words: list[str]) -> None:
    with pytest.raises(click.UsageError):
        parsed(ServerOptions, *words)


def test_the_reference_is_up_to_date() -> None:
    """Run `python tools/reference.py` when this fails."""
    done = subprocess.run(
        [sys.executable, str(ROOT / "tools" / "reference.py"), "--check"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_help_needs_nothing_that_is_slow() -> None:
    code = (
        "import sys; from kaa.cli.main import main; main(['--help']); "
        "slow = {'asyncio', 'ssl', 'cryptography', 'grpc', 'numpy', 'uvloop', 'rich', 'yaml'} & set(sys.modules); "
        "sys.exit(', '.join(slow) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "kubectl" in done.stdout
