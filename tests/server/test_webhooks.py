"""How the server asks webhooks: by URL and by service, trusted by their CA, bounded in time."""

from pathlib import Path
from typing import Any

import pytest
from tests.server.hooks import hook, host_address, slow
from tests.server.world import SERVICES, World, obj

from kaa.server.webhooks import NoEndpoints, WebhookError, WebhookTimedOut

Json = dict[str, Any]


async def test_by_url(world: World, tmp_path: Path) -> None:
    async with hook(tmp_path, lambda question: {"said": question["word"]}) as there:
        answer = await world.server.parts.webhooks.ask(there.client_config(), {"word": "x"}, timeout_seconds=5)
        assert answer == {"said": "x"}
        assert there.asked == [{"word": "x"}]


async def test_a_certificate_of_another_authority_is_refused(world: World, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    async with hook(tmp_path, dict) as there, hook(tmp_path / "other", dict) as other:
        config = {**there.client_config(), "caBundle": other.ca_bundle}
        with pytest.raises(WebhookError, match="x509: certificate signed by unknown authority"):
            await world.server.parts.webhooks.ask(config, {}, timeout_seconds=5)
        assert there.asked == []


async def test_a_slow_hook_is_not_waited_for(world: World, tmp_path: Path) -> None:
    async with hook(tmp_path, lambda _: slow(5, {})) as there:
        with pytest.raises(WebhookTimedOut, match="context deadline exceeded"):
            await world.server.parts.webhooks.ask(there.client_config(), {}, timeout_seconds=0.2)


async def test_an_answer_that_is_none_is_an_error(world: World, tmp_path: Path) -> None:
    def broken(_: Json) -> Json:
        raise RuntimeError("no idea")

    async with hook(tmp_path, broken) as there:
        with pytest.raises(
            WebhookError, match=r"an error on the server .*no idea.* has prevented the request from succeeding"
        ):
            await world.server.parts.webhooks.ask(there.client_config(), {}, timeout_seconds=5)


async def test_by_service(world: World, tmp_path: Path) -> None:
    """The service's ready endpoint is called, and its certificate must be that of the service."""
    ask, post = world.server.parts.webhooks.ask, world.admin.post
    async with hook(tmp_path, lambda _: {"by": "service"}, ("hook.default.svc",), "0.0.0.0") as there:
        config = there.service_config("default", "hook")
        with pytest.raises(NoEndpoints, match='service "hook" not found'):
            await ask(config, {}, timeout_seconds=5)
        ports = [{"name": "https", "port": 443, "targetPort": there.port}]
        (await post(SERVICES, obj("Service", "hook", spec={"ports": ports}))).ok()
        with pytest.raises(NoEndpoints, match="no endpoints available"):
            await ask(config, {}, timeout_seconds=5)
        labels = {"kubernetes.io/service-name": "hook"}
        piece = obj("EndpointSlice", "hook-1", "discovery.k8s.io/v1", labels=labels, addressType="IPv4",
                    ports=[{"name": "https", "port": there.port}],
                    endpoints=[{"addresses": [host_address()]}])  # fmt: skip
        (await post("/apis/discovery.k8s.io/v1/namespaces/default/endpointslices", piece)).ok()
        assert await ask(config, {}, timeout_seconds=5) == {"by": "service"}
        with pytest.raises(NoEndpoints, match="no service port 8443"):
            await ask(there.service_config("default", "hook", port=8443), {}, timeout_seconds=5)


async def test_another_name_than_the_services_is_not_trusted(world: World, tmp_path: Path) -> None:
    async with hook(tmp_path, lambda _: {}, ("hook.default.svc",)) as there:
        far = obj("Service", "far", spec={"type": "ExternalName", "externalName": "localhost"})
        (await world.admin.post(SERVICES, far)).ok()
        config = there.service_config("default", "far", port=there.port)
        with pytest.raises(WebhookError, match="tls: failed to verify certificate: x509: Hostname mismatch"):
            await world.server.parts.webhooks.ask(config, {}, timeout_seconds=5)
