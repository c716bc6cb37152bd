"""Files that `kaa up` is given for the API server: checked, remembered, and passed on at every start."""

from pathlib import Path
from typing import Any

import pytest
from tests.cluster.test_settings import parsed

from kaa.cluster.home import ClusterState, Home
from kaa.cluster.settings import ServerOptions, UpOptions
from kaa.cluster.up import UpFailed, _server_arguments, up


def arguments(home: Home, **options: str) -> dict[str, str]:
    made = _server_arguments(home, ClusterState("abcdef", containers=False, options=options))
    return dict(each.partition("=")[::2] for each in made[1:])


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, {}),
        ({"audit_policy_file": "/p"}, {"--audit-policy-file": "/p", "--audit-log-path": "{logs}/audit.log"}),
        ({"audit_policy_file": "/p", "audit_log_path": "/l"},
         {"--audit-policy-file": "/p", "--audit-log-path": "/l"}),
        ({"encryption_provider_config": "/e"},
         {"--encryption-provider-config": "/e", "--encryption-provider-config-automatic-reload": "true"}),
    ],
)  # fmt: skip
def test_what_is_remembered_is_passed_on(tmp_path: Path, options: dict[str, str], expected: dict[str, str]):
    home = Home(tmp_path)
    found = arguments(home, **options)
    wanted = {name: value.format(logs=home.logs) for name, value in expected.items()}
    assert {name: value for name, value in found.items() if "audit" in name or "encryption" in name} == wanted
    server: Any = parsed(ServerOptions, *(f"{name}={value}" for name, value in found.items()))
    assert server.encryption_provider_config_automatic_reload is ("encryption_provider_config" in options)


@pytest.mark.parametrize("name", ["encryption_provider_config", "audit_policy_file"])
def test_a_file_that_is_not_there(tmp_path: Path, name: str):
    options: Any = {"simulated": 1, name: tmp_path / "none.yaml"}
    with pytest.raises(UpFailed, match=f"--{name.replace('_', '-')} .*none.yaml: there is no such file"):
        up(Home(tmp_path / "home"), UpOptions(**options), lambda what, seconds: None)
