"""An operator in kopf, run as its users run it, with admission handlers: its webhooks are ours to ask."""

import asyncio
import base64
import contextlib
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import kopf
import pytest
from kubernetes import client, config
from kubernetes.client.exceptions import ApiException
from tests.server.definitions import definition, version, widget
from tests.server.live import LiveServer

from kaa.cluster.pki import Authority

Json = dict[str, Any]

SECONDS = 30.0
MANAGED = "test.kopf.dev"


@pytest.fixture
def live(tmp_path: Path) -> Iterator[LiveServer]:
    server = LiveServer(tmp_path)
    server.start()
    yield server
    server.stop()


def operator(directory: Path, live: LiveServer) -> kopf.OperatorRegistry:
    """Widgets get a colour, and none may be larger than ten."""
    registry = kopf.OperatorRegistry()
    authority = Authority(directory, "hook-ca", "hooks")
    certificate, key = authority.server_files("hook", "hook", ["localhost", "127.0.0.1"])
    admin = Authority(directory, "ca", "kubernetes").client("operator", ["system:masters"])
    (directory / "operator.crt").write_bytes(admin.certificate)
    (directory / "operator.key").write_bytes(admin.key)

    @kopf.on.login(registry=registry)
    def login(**_: Any) -> kopf.ConnectionInfo:
        return kopf.ConnectionInfo(
            server=f"https://127.0.0.1:{live.server.port}", ca_path=str(directory / "ca.crt"),
            certificate_path=str(directory / "operator.crt"), private_key_path=str(directory / "operator.key"),
        )  # fmt: skip

    @kopf.on.startup(registry=registry)
    def configure(settings: kopf.OperatorSettings, **_: Any) -> None:
        settings.admission.server = kopf.WebhookServer(
            addr="127.0.0.1", host="127.0.0.1", certfile=str(certificate), pkeyfile=str(key), cadata=authority.pem
        )
        settings.admission.managed = MANAGED
        settings.posting.enabled = False

    @kopf.on.mutate("example.com", "v1", "widgets", registry=registry)
    def paint(spec: kopf.Spec, patch: kopf.Patch, warnings: list[str], **_: Any) -> None:
        if "colour" not in spec:
            patch.spec["colour"] = "green"
            warnings.append("painted green")

    @kopf.on.validate("example.com", "v1", "widgets", registry=registry)
    def limit(spec: kopf.Spec, dryrun: bool, **_: Any) -> None:
        if spec.get("size", 0) > 10:
            raise kopf.AdmissionError("too large" + (" to try" if dryrun else ""), code=451)

    return registry


@contextlib.contextmanager
def running(registry: kopf.OperatorRegistry) -> Iterator[None]:
    ready, stop = threading.Event(), threading.Event()

    def run() -> None:
        asyncio.run(kopf.operator(registry=registry, clusterwide=True, ready_flag=ready, stop_flag=stop))

    thread = threading.Thread(target=run, name="kopf")
    thread.start()
    try:
        assert ready.wait(SECONDS)
        yield
    finally:
        stop.set()
        thread.join(SECONDS)
        assert not thread.is_alive()


@pytest.mark.slow
@pytest.mark.timeout(120)
@pytest.mark.filterwarnings("ignore")
def test_admission_handlers(live: LiveServer, tmp_path: Path) -> None:
    config.load_kube_config(str(live.kubeconfig))
    api, definitions = client.CustomObjectsApi(), client.ApiextensionsV1Api()
    hooks = client.AdmissionregistrationV1Api()
    definitions.create_custom_resource_definition(definition(version()))
    where = ("example.com", "v1", "default", "widgets")

    def registered() -> bool:
        names = [
            hook.client_config.ca_bundle
            for found in (hooks.list_mutating_webhook_configuration(), hooks.list_validating_webhook_configuration())
            for each in found.items if each.metadata.name == MANAGED
            for hook in each.webhooks or ()
        ]  # fmt: skip
        return len(names) == 2 and all(base64.b64decode(each) for each in names)

    with running(operator(tmp_path, live)):
        deadline = time.monotonic() + SECONDS
        while not registered():
            assert time.monotonic() < deadline
            time.sleep(0.05)
        made: Json = api.create_namespaced_custom_object(*where, widget("a", size=1))
        assert made["spec"] == {"size": 1, "colour": "green"}
        with pytest.raises(ApiException) as refused:
            api.create_namespaced_custom_object(*where, widget("b", size=11))
        assert refused.value.status == 451
        assert "denied the request: too large" in refused.value.body
        with pytest.raises(ApiException) as refused:
            api.patch_namespaced_custom_object(*where, "a", {"spec": {"size": 12}}, dry_run="All")
        assert "too large to try" in refused.value.body
        api.patch_namespaced_custom_object(*where, "a", {"spec": {"size": 10}})
