"""What attackers write stays data in logs and headers; what is secret stays out of logs, messages and the disk."""

import base64
import contextlib
import io
import json
import os
import stat
from pathlib import Path

import orjson
import pytest
from tests.security.town import MINE, from_peer, grant, namespaces, rule, with_headers
from tests.server.test_audit import audited, policy, record
from tests.server.world import World, certificate_of, config_map, obj, running

from kaa.base import log
from kaa.base.clock import REAL
from kaa.server.audit.logfile import LogFile, Rotation
from kaa.store.sqlite import SqliteStore

MARKER = "qzx-top-secret-qzx"
ENCODED = base64.b64encode(MARKER.encode()).decode()
EVIL = ["a\nE1123 00:00:00.000 apiserver: forged", "a\r\nX: y", "a\x1b[2J", "a\x00b", "a\u2028b", "a\nb", "\x85c"]


@contextlib.contextmanager
def logged():
    """What this process logs meanwhile, from the least on."""
    into, stream, level = io.StringIO(), log._Sink.stream, log._Sink.level
    log._Sink.stream, log._Sink.level = into, log.DEBUG
    try:
        yield into
    finally:
        log._Sink.stream, log._Sink.level = stream, level


@pytest.mark.parametrize("text", EVIL)
def test_a_line_of_the_log_is_a_line(text: str) -> None:
    with logged() as into:
        log.Logger("apiserver").info("a request", user=text, path=text.replace(" ", ""))
        log.Logger("apiserver").error("failed", error=text, exc=ValueError(text))
    lines = into.getvalue().split("\n")
    begun = [each for each in lines if each and not each.startswith(" ")]
    assert len(begun) == 2 and all(" apiserver: " in each for each in begun), lines
    assert begun[0].startswith("I") and "forged" not in "".join(each[:40] for each in begun)
    assert not any(letter in "".join(begun) for letter in "\x1b\x00\r\x85\u2028")


async def test_events_of_the_audit_log_are_one_line_each(tmp_path: Path) -> None:
    async for log_ in audited(tmp_path, policy({"level": "RequestResponse"})):
        world = log_.world
        for text in EVIL:
            name = text.replace("\x00", "") or "x"
            with contextlib.suppress(ValueError):
                api = from_peer(world, certificate_of(name, (name,)), ("User-Agent", text), ("Audit-ID", text))
                await api.get("/api/v1/namespaces/x%0ay/configmaps/%0d%0aEVIL")
            acting = with_headers(world, world.admin, ("Impersonate-User", name), ("User-Agent", text))
            await acting.get("/version")
        for queue in world.server.auditor.queues:
            await queue.through()
        lines = log_.log.read_bytes().removesuffix(b"\n").split(b"\n")
        events = [orjson.loads(each) for each in lines]
        assert all(event["kind"] == "Event" for event in events)
        assert len([each for each in events if each["requestURI"] == "/version"]) == 2 * len(EVIL)  # two stages each
        assert stat.S_IMODE(log_.log.stat().st_mode) == 0o600


async def test_headers_of_answers_hold_no_others_words(world: World) -> None:
    admin = world.admin
    for text in EVIL:
        body = {**config_map("x"), text: 1, "data": {"k": "v"}}
        answered = await admin.post(f"{MINE}/configmaps?dryRun=All", body)
        for name, value in answered.headers.items():
            assert not any(letter in value for letter in "\r\n\x00\x1b"), (name, value)
        answered = await admin.get(f"/api/v1/namespaces/{text.encode().hex()}/configmaps", headers={"Audit-ID": text})
        assert not any(letter in "".join(answered.headers.values()) for letter in "\r\n\x00\x1b")
    answered = await admin.post(f"{MINE}/configmaps?dryRun=All", {**config_map("x"), "spare": 1})
    assert answered.headers["warning"] == '299 - "unknown field \\"spare\\""'


async def test_secrets_are_in_no_log_message_or_audit_of_metadata(tmp_path: Path) -> None:
    with logged() as into:
        async for log_ in audited(tmp_path, policy({"level": "Metadata"})):
            world = log_.world
            admin = world.admin
            await namespaces(world, "mine")
            at = f"{MINE}/secrets"
            secret = obj("Secret", "s", stringData={"key": MARKER})
            (await admin.post(at, secret)).ok()
            wanted = obj("TokenRequest", "", "authentication.k8s.io/v1", spec={"audiences": []})
            token = (await admin.post(f"{MINE}/serviceaccounts/default/token", wanted)).json["status"]["token"]
            jane = await grant(world, "mine", "jane", rule("create", "secrets"))
            refusals = [
                await admin.post(at, secret), await jane.post(at, secret), await jane.put(f"{at}/s", secret),
                await admin.put(f"{at}/s", {**secret, "metadata": {"name": "s", "resourceVersion": "1"}}),
                await admin.post(at, {**secret, "metadata": {"name": "UPPER"}}),
                await admin.post(at, {**secret, "type": "kubernetes.io/tls"}),
                await admin.merge(f"{at}/s", {"type": "other"}), await jane.get(f"{at}/s"),
                await admin.ask("PATCH", f"{at}/s", [{"op": "test", "path": "/data/key", "value": "x"}],
                                media="application/json-patch+json"),
                await world.with_token(f"{token}x").get("/version"),
                await world.with_token(token).get(f"{at}/s"),
            ]  # fmt: skip
            for answered in refusals:
                assert 400 <= answered.code < 500, answered.body
                assert MARKER not in answered.body.decode() and ENCODED not in answered.body.decode(), answered.body
                assert token not in answered.body.decode()
            assert (await world.with_token(token).get("/version")).code == 200
            (await admin.get(f"{at}/s?watch=1&timeoutSeconds=1&resourceVersion=0"))
            await log_.events(count=10)
            told = log_.log.read_text()
            assert told.count('"resource":"secrets"') >= 8  # they are told of
            for hidden in (MARKER, ENCODED, token, token.rpartition(".")[2]):
                assert hidden not in told
    for hidden in (MARKER, ENCODED, token):
        assert hidden not in into.getvalue()


async def test_a_failure_within_shows_neither_body_nor_token(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    (await world.admin.post(f"{MINE}/secrets", obj("Secret", "s", stringData={"key": MARKER}))).ok()

    async def broken(*_: object, **__: object) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr(world.server.parts.objects, "create", broken)
    with logged() as into:
        body = obj("Secret", "t", stringData={"key": MARKER})
        answered = await with_headers(world, world.admin, ("X-Secret", MARKER)).post(f"{MINE}/secrets", body)
    assert answered.code == 500 and MARKER not in answered.body.decode() and ENCODED not in answered.body.decode()
    assert "a bug" in into.getvalue()
    assert MARKER not in into.getvalue() and ENCODED not in into.getvalue()
    monkeypatch.undo()
    (await world.admin.post(f"{MINE}/secrets", obj("Secret", "t"))).ok(201)


async def test_encrypted_is_encrypted_in_every_file(tmp_path: Path) -> None:
    key = base64.b64encode(bytes(range(32))).decode()
    config = tmp_path / "encryption.yaml"
    providers = [{"aesgcm": {"keys": [{"name": "a", "secret": key}]}}, {"identity": {}}]
    config.write_text(json.dumps({
        "apiVersion": "apiserver.config.k8s.io/v1", "kind": "EncryptionConfiguration",
        "resources": [{"resources": ["secrets"], "providers": providers}]}))  # fmt: skip
    data = tmp_path / "data"
    data.mkdir()
    store = await SqliteStore.open(str(data / "store.db"))
    async for world in running(store, encryption_provider_config=config):
        await namespaces(world, "mine")
        (await world.admin.post(f"{MINE}/secrets", obj("Secret", "s", stringData={"key": MARKER}))).ok()
        (await world.admin.merge(f"{MINE}/secrets/s", {"stringData": {"key": MARKER * 2}})).ok()
        (await world.admin.post(f"{MINE}/configmaps", config_map("plain", key="in-the-clear"))).ok()
        files = [each for each in data.rglob("*") if each.is_file()]
        raw = b"".join(each.read_bytes() for each in files)
        assert b"in-the-clear" in raw  # what is not asked for is not
        assert MARKER.encode() not in raw and ENCODED.encode() not in raw
        assert base64.b64decode((await world.admin.get(f"{MINE}/secrets/s")).json["data"]["key"]).decode() == MARKER * 2


async def test_old_audit_logs_are_their_owner_s_too(tmp_path: Path) -> None:
    file = LogFile(str(tmp_path / "audit.log"), Rotation(size_mb_max=1, compress=True), REAL)
    before = os.umask(0)
    try:
        for _ in range(2):
            await file.write([record("/" + "x" * 100_000)] * 8)
        await file.close()
    finally:
        os.umask(before)
    found = sorted(tmp_path.iterdir())  # noqa: ASYNC240 - a few files
    assert any(each.suffix == ".gz" for each in found)
    assert all(stat.S_IMODE(each.stat().st_mode) == 0o600 for each in found), found
