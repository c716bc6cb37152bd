"""Bootstrap tokens end in time, and sign what who joins reads."""

import base64

from tests.controllers.world import world

from kaa.base.clock import REAL, format_seconds
from kaa.controllers.bootstraptokens import detached_signature
from kaa.kinds.views.core import ConfigMap, Secret
from kaa.meta.errors import StatusError


def secret(ident: str, **data: str) -> dict:
    values = {"token-id": ident, "token-secret": "0123456789abcdef", "usage-bootstrap-signing": "true",
              **{name.replace("_", "-"): value for name, value in data.items()}}  # fmt: skip
    return {"metadata": {"name": f"bootstrap-token-{ident}", "namespace": "kube-system"},
            "type": "bootstrap.kubernetes.io/token", "stringData": values}  # fmt: skip


def test_a_signature_holds_no_content() -> None:
    content = "Hello from the other side. I must have called a thousand times."
    made = detached_signature(content, "joshua", "my voice is my passcode")
    # The example of the original's own tests (bootstrap/jws).
    assert made == "eyJhbGciOiJIUzI1NiIsImtpZCI6Impvc2h1YSJ9..VShe2taLd-YTrmWuRkcL_8QTNDHYxQIEBsAYYiIj1_8"


async def test_an_expired_token_is_taken_away() -> None:
    async with world() as w:
        soon = format_seconds(REAL.now() + 2)
        await w.client.create(Secret.resource, secret("aaaaaa", expiration="2020-01-01T00:00:00Z"))
        await w.client.create(Secret.resource, secret("bbbbbb", expiration=soon))
        await w.client.create(Secret.resource, secret("cccccc", expiration="2100-01-01T00:00:00Z"))
        await w.client.create(Secret.resource, secret("dddddd"))
        await w.client.create(
            Secret.resource, {**secret("eeeeee", expiration="2020-01-01T00:00:00Z"), "type": "Opaque"}
        )

        async def gone(ident: str) -> bool:
            try:
                await w.client.get_json(Secret.resource, f"bootstrap-token-{ident}", "kube-system")
            except StatusError as error:
                return error.code == 404
            return False

        await w.until(lambda: gone("aaaaaa"))
        await w.until(lambda: gone("bbbbbb"))
        for ident in ("cccccc", "dddddd", "eeeeee"):
            assert not await gone(ident), ident


async def test_the_cluster_s_introduction_is_signed_by_each_token() -> None:
    async with world() as w:
        await w.client.create(Secret.resource, secret("aaaaaa"))
        await w.client.create(Secret.resource, secret("bbbbbb", usage_bootstrap_signing="false"))
        body = {"metadata": {"name": "cluster-info", "namespace": "kube-public"}, "data": {"kubeconfig": "Hello"}}
        await w.client.create(ConfigMap.resource, body)

        async def data() -> dict:
            return (await w.client.get_json(ConfigMap.resource, "cluster-info", "kube-public"))["data"]

        async def signed(*idents: str) -> bool:
            found = await data()
            wanted = {f"jws-kubeconfig-{each}": detached_signature(found["kubeconfig"], each, "0123456789abcdef")
                      for each in idents}  # fmt: skip
            return {key: value for key, value in found.items() if key != "kubeconfig"} == wanted

        await w.until(lambda: signed("aaaaaa"))
        await w.client.create(Secret.resource, secret("cccccc"))
        await w.until(lambda: signed("aaaaaa", "cccccc"))
        await w.client.patch(ConfigMap.resource, "cluster-info", {"data": {"kubeconfig": "Hello again"}},
                             namespace="kube-public")  # fmt: skip
        await w.until(lambda: signed("aaaaaa", "cccccc"))
        await w.client.delete(Secret.resource, "bootstrap-token-aaaaaa", namespace="kube-system")
        await w.until(lambda: signed("cccccc"))
        assert base64.b64decode(
            (await w.client.get_json(Secret.resource, "bootstrap-token-cccccc", "kube-system"))["data"]["token-id"]
        ) == b"cccccc"  # fmt: skip
