"""Encryption at rest: what lies in the store, which key wrote it, and what becomes of values whose key is gone."""

import asyncio
import base64
import os
from pathlib import Path
from typing import Any

import pytest
import yaml
from cryptography.hazmat.primitives import padding
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from nacl.secret import SecretBox
from tests.server.world import CM, config_map, obj, running

from kaa.base.clock import Clock
from kaa.kinds.registry import builtin
from kaa.server.encryption import EncryptedStore, EncryptionConfigError, load
from kaa.server.encryption.configuration import parse
from kaa.server.encryption.transformers import AesCbc, AesGcm, Identity, Keyed, Secretbox, Transformer, Untransformable
from kaa.server.unreadable import Unreadable
from kaa.store import Put, Store
from kaa.store.factory import open_store
from kaa.store.memory import MemoryStore
from kaa.testing.store_contract import ManualClock, StoreContract

Json = dict[str, Any]
SECRETS = "/api/v1/namespaces/default/secrets"
KEY1, KEY2 = (base64.b64encode(bytes([n]) * 32).decode() for n in (1, 2))
PLAIN = "correct-horse-battery-staple"


def keyed(provider: str, *keys: tuple[str, str]) -> Json:
    return {provider: {"keys": [{"name": name, "secret": secret} for name, secret in keys]}}


def document(*entries: tuple[list[str], list[Json]]) -> Json:
    return {"apiVersion": "apiserver.config.k8s.io/v1", "kind": "EncryptionConfiguration",
            "resources": [{"resources": names, "providers": providers} for names, providers in entries]}  # fmt: skip


def write(path: Path, *entries: tuple[list[str], list[Json]]) -> Path:
    path.write_text(yaml.safe_dump(document(*entries)))
    return path


def secret(name: str, text: str = PLAIN) -> Json:
    return obj("Secret", name, stringData={"password": text})


# --- the store's contract holds with encryption in between


class EverythingEncrypted(EncryptedStore):
    """The keys of the contract are no resources' keys."""

    def _of(self, key: str) -> Transformer:
        return self._config.transformers[("*", "*")]


class TestEncryptedStore(StoreContract):
    async def open(self, path: Path, clock: Clock, *, history: int) -> Store:
        config = parse(yaml.safe_dump(document((["*.*"], [keyed("aesgcm", ("key1", KEY1))]))).encode())
        return EverythingEncrypted(MemoryStore(clock, history_events_max=history), config, builtin())


# --- one value


SEALERS = [("aesgcm", AesGcm), ("aescbc", AesCbc), ("secretbox", Secretbox)]


@pytest.mark.parametrize("value", [b"", b"x", bytes(15), bytes(16), os.urandom(70_000)], ids=len)
@pytest.mark.parametrize(("name", "sealer"), SEALERS)
def test_what_is_sealed_opens_again(name: str, sealer: Any, value: bytes):
    made = sealer(bytes(range(32)))
    first, second = made.seal(value, b"/k"), made.seal(value, b"/k")
    assert first != second
    assert made.open(first, b"/k") == made.open(second, b"/k") == value


def test_stored_forms_are_those_of_others():
    """What other implementations of the same forms make opens: a vector of the GCM specification (test case 14),
    CBC with PKCS#7 by another way, libsodium's own box."""
    key = bytes(range(32))
    gcm = bytes.fromhex("cea7403d4d606b6e074ec5d3baf39d18d0d1c8a799996bf0265b98b5d48ab919")
    assert AesGcm(bytes(32)).open(bytes(12) + gcm, b"") == bytes(16)
    padder, cipher = padding.PKCS7(128).padder(), Cipher(algorithms.AES(key), modes.CBC(bytes(16))).encryptor()
    body = cipher.update(padder.update(b"fifteen letters") + padder.finalize()) + cipher.finalize()
    assert AesCbc(key).open(bytes(16) + body, b"") == b"fifteen letters"
    assert Secretbox(key).open(bytes(SecretBox(key).encrypt(b"boxed")), b"") == b"boxed"


@pytest.mark.parametrize(
    ("sealer", "data", "message"),
    [
        (AesGcm, bytes(11), "the stored data was shorter than the required size"),
        (AesGcm, bytes(40), "cipher: message authentication failed"),
        (AesCbc, bytes(15), "the stored data was shorter than the required size"),
        (AesCbc, bytes(17), "the stored data is not a multiple of the block size"),
        (AesCbc, bytes(16), "invalid PKCS7 data (empty or not padded)"),
        (Secretbox, bytes(39), "the stored data was shorter than the required size"),
        (Secretbox, bytes(60), "output array was not large enough for encryption"),
    ],
)
def test_what_cannot_be_opened(sealer: Any, data: bytes, message: str):
    with pytest.raises(Untransformable) as error:
        sealer(bytes(32)).open(data, b"/k")
    assert str(error.value) == message


def test_a_value_moved_to_another_key_does_not_open():
    made = AesGcm(bytes(32))
    with pytest.raises(Untransformable):
        made.open(made.seal(b"x", b"/registry/secrets/a/x"), b"/registry/secrets/b/x")


def test_providers_in_order():
    old, new = AesGcm(bytes(32)), AesGcm(bytes([1]) * 32)
    before = Transformer([Keyed("k8s:enc:aesgcm:v1:", "AES", [("a", old)])])
    rotating = Transformer([Keyed("k8s:enc:aesgcm:v1:", "AES", [("b", new), ("a", old)]), Identity()])
    stored = before.seal(b"v", "/k")
    assert stored.startswith(b"k8s:enc:aesgcm:v1:a:")
    assert rotating.open(stored, "/k") == b"v"
    assert rotating.stale(stored)
    assert not rotating.stale(rotating.seal(b"v", "/k"))
    assert rotating.open(b"plain", "/k") == b"plain"
    assert rotating.stale(b"plain")
    # The same name, another key: each is tried.
    renamed = Transformer([Keyed("k8s:enc:aesgcm:v1:", "AES", [("a", new), ("a", old)])])
    assert renamed.open(stored, "/k") == b"v"
    away = Transformer([Identity(), Keyed("k8s:enc:aesgcm:v1:", "AES", [("a", old)])])
    assert away.open(stored, "/k") == b"v"
    assert away.stale(stored)
    assert away.seal(b"v", "/k") == b"v"
    assert not away.stale(b"v")
    for transformer, data, message in (
        (Transformer([Keyed("k8s:enc:aesgcm:v1:", "AES", [("b", new)])]), stored,
         "no matching key was found for the provided AES transformer"),
        (Transformer([Keyed("k8s:enc:secretbox:v1:", "Secretbox", [("b", new)])]),
         b"k8s:enc:secretbox:v1:other:", "no matching key was found for the provided Secretbox transformer"),
        (Transformer([Keyed("k8s:enc:secretbox:v1:", "Secretbox", [("b", new)])]), stored, "no matching prefix found"),
        (before, b"plain", "no matching prefix found"),
    ):  # fmt: skip
        with pytest.raises(Untransformable) as error:
            transformer.open(data, "/k")
        assert str(error.value) == message


# --- the file


def test_which_resources():
    one, two, three = (keyed("aesgcm", (name, KEY1)) for name in ("one", "two", "three"))
    config = parse(yaml.safe_dump(document(
        (["secrets", "deployments.apps"], [one]), (["*.apps", "*."], [two]), (["*.*"], [three]),
    )).encode())  # fmt: skip

    def writes(group: str, plural: str) -> str:
        return config.of(group, plural).seal(b"", "/k").split(b":")[4].decode()

    assert [writes(*each) for each in (
        ("", "secrets"), ("apps", "deployments"), ("apps", "daemonsets"), ("", "configmaps"),
        ("batch", "jobs"), ("example.com", "widgets"),
    )] == ["one", "one", "two", "two", "three", "three"]  # fmt: skip


def test_an_entry_that_another_masks_adds_nothing():
    config = parse(yaml.safe_dump(document(
        (["*."], [keyed("aesgcm", ("one", KEY1))]), (["secrets"], [keyed("aesgcm", ("two", KEY2))]),
    )).encode())  # fmt: skip
    assert config.of("", "secrets").seal(b"", "/k").startswith(b"k8s:enc:aesgcm:v1:one:")


GOOD = [keyed("aesgcm", ("key1", KEY1))]
SHORT = base64.b64encode(b"12345").decode()


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ([], "resources: Required value: at least one resources is required"),
        ([([], GOOD)], "resources[0].resources: Required value: at least one resources[0].resources is required"),
        ([(["secrets"], [])],
         "resources[0].providers: Required value: at least one resources[0].providers is required"),
        ([(["Secrets"], GOOD)],
         'resources[0].resources[0]: Invalid value: "Secrets": resource name should not contain capital letters'),
        ([(["*"], GOOD)], 'resources[0].resources[0]: Invalid value: "*": use \'*.\' to encrypt all the resources from '
                          "core API group or *.* to encrypt all resources"),
        ([(["secrets.*"], GOOD)], 'resources[0].resources[0]: Invalid value: "secrets.*": encrypting the same resource '
                                  "across groups is not supported"),
        ([(["events.events.k8s.io"], GOOD)],
         "resources[0].resources[0]: Invalid value: \"events.events.k8s.io\": '*.events.k8s.io' objects are stored "
         "using the 'events' API group in etcd. Use 'events' instead in the config file"),
        ([(["serviceipallocations"], GOOD)], 'resources[0].resources[0]: Invalid value: "serviceipallocations": '
                                             "resources which do not have REST API/s cannot be encrypted"),
        ([(["ingresses.extensions"], GOOD)], 'resources[0].resources[0]: Invalid value: "ingresses.extensions": '
                                             "'extensions' group has been removed and cannot be used for encryption"),
        ([(["secrets", "secrets"], GOOD)], 'resources[0].resources: Invalid value: ["secrets","secrets"]: the same '
                                           "resource cannot be specified multiple times"),
        ([(["secrets", "*."], GOOD)],
         'resources[0].resources: Invalid value: ["secrets","*."]: using overlapping resources such as \'secrets\' and '
         "'*.' in the same resource list is not allowed as they will be masked"),
        ([(["secrets"], [{"aesgcm": GOOD[0]["aesgcm"], "identity": {}}])],
         'resources[0].providers[0]: Invalid value: "REDACTED": more than one provider specified in a single element, '
         "should split into different list elements"),
        ([(["secrets"], [{}])],
         'resources[0].providers[0]: Invalid value: "REDACTED": provider does not contain any of the expected '
         "providers: KMS, AESGCM, AESCBC, Secretbox, Identity"),
        ([(["secrets"], [{"kms": {"name": "vault", "endpoint": "unix:///x", "apiVersion": "v2"}}])],
         'resources[0].providers[0].kms: Invalid value: "REDACTED": kms is not served by this release: use aesgcm or '
         "secretbox with a key in this file"),
        ([(["secrets"], [{"aescbc": {"keys": []}}])],
         "resources[0].providers[0].aescbc.keys: Required value: at least one keys is required"),
        ([(["secrets"], [keyed("aesgcm", ("", KEY1))])],
         "resources[0].providers[0].aesgcm.keys[0].name: Required value: name is a mandatory field for a key"),
        ([(["secrets"], [keyed("aesgcm", ("a", ""))])],
         "resources[0].providers[0].aesgcm.keys[0].secret: Required value: secret is a mandatory field for a key"),
        ([(["secrets"], [keyed("aesgcm", ("a", "&&"))])],
         'resources[0].providers[0].aesgcm.keys[0].secret: Invalid value: "REDACTED": secrets must be base64 encoded'),
        ([(["secrets"], [keyed("secretbox", ("a", SHORT))])],
         'resources[0].providers[0].secretbox.keys[0].secret: Invalid value: "REDACTED": secret is not of the expected '
         "length, got 5, expected one of [32]"),
        ([(["secrets"], [keyed("aescbc", ("a", SHORT))])],
         'resources[0].providers[0].aescbc.keys[0].secret: Invalid value: "REDACTED": secret is not of the expected '
         "length, got 5, expected one of [16 24 32]"),
    ],
)  # fmt: skip
def test_a_file_with_a_mistake(tmp_path: Path, entries: Any, message: str):
    path = write(tmp_path / "enc.yaml", *entries)
    with pytest.raises(EncryptionConfigError) as error:
        load(path)
    assert str(error.value) == f'invalid encryption provider configuration file "{path}": {message}'


def test_files_that_are_none(tmp_path: Path):
    path = tmp_path / "enc.yaml"
    for content, words in (
        (None, "error opening encryption provider configuration file"),
        ("", "is empty"),
        (f"secret: [{KEY1}", "it is not YAML (line"),
        ("kind: Pod\napiVersion: v1\n", "write kind EncryptionConfiguration"),
        (yaml.safe_dump({**document((["secrets"], GOOD)), "resource": []}), "unknown field"),
    ):
        if content is not None:
            path.write_text(content)
        with pytest.raises(EncryptionConfigError) as error:
            load(path)
        assert words in str(error.value)
        assert KEY1 not in str(error.value)


# --- a server with it


async def test_the_file_of_the_store_holds_no_plaintext(tmp_path: Path):
    config = write(tmp_path / "enc.yaml", (["secrets"], [keyed("aesgcm", ("key1", KEY1)), {"identity": {}}]),
                   (["*.example.com"], [keyed("secretbox", ("key1", KEY1))]))  # fmt: skip
    url = f"sqlite:{tmp_path / 'store.db'}"
    async for world in running(await open_store(url), encryption_provider_config=config):
        api = world.admin
        (await api.post(SECRETS, secret("s"))).ok(201)
        (await api.post(CM, config_map("c", word="plainly-visible"))).ok(201)
        (await api.merge(f"{SECRETS}/s", {"stringData": {"more": "another-secret-word"}})).ok(200)
        stored = (await world.server.store.get("/registry/secrets/default/s")).value
        assert stored.startswith(b"k8s:enc:aesgcm:v1:key1:")
        assert (await api.get(f"{SECRETS}/s")).json["data"]["password"] == base64.b64encode(PLAIN.encode()).decode()
    contents = b"".join(each.read_bytes() for each in tmp_path.glob("store.db*"))  # noqa: ASYNC240 - a few pages
    hidden = [PLAIN, "another-secret-word"]
    for word in hidden:
        for form in (word.encode(), base64.b64encode(word.encode()).rstrip(b"=")[:-1]):
            assert form not in contents
    assert b"plainly-visible" in contents
    # A restart reads it all; watchers and lists see it plain.
    async for world in running(await open_store(url), account=False, encryption_provider_config=config):
        listed = (await world.admin.get(SECRETS)).ok()
        assert [each["metadata"]["name"] for each in listed["items"]] == ["s"]
        async with await world.admin.watch(SECRETS, resourceVersion="0") as watch:
            assert (await watch.next())["object"]["data"]["password"] == base64.b64encode(PLAIN.encode()).decode()


async def test_custom_resources_are_encrypted_too(tmp_path: Path):
    config = write(tmp_path / "enc.yaml", (["widgets.example.com"], [keyed("secretbox", ("key1", KEY1))]))
    definition = obj("CustomResourceDefinition", "widgets.example.com", "apiextensions.k8s.io/v1", spec={
        "group": "example.com", "scope": "Namespaced",
        "names": {"plural": "widgets", "singular": "widget", "kind": "Widget", "listKind": "WidgetList"},
        "versions": [{"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": {
            "type": "object", "x-kubernetes-preserve-unknown-fields": True}}}],
    })  # fmt: skip
    store = MemoryStore()
    async for world in running(store, encryption_provider_config=config):
        path = "/apis/example.com/v1/namespaces/default/widgets"
        (await world.admin.post("/apis/apiextensions.k8s.io/v1/customresourcedefinitions", definition)).ok(201)
        for _ in range(100):
            answered = await world.admin.post(path, obj("Widget", "w", "example.com/v1", spec={"a": 1}))
            if answered.code == 201:
                break
            await asyncio.sleep(0.02)
        assert (await world.admin.get(f"{path}/w")).ok()["spec"] == {"a": 1}
        stored = (await store.get("/registry/example.com/widgets/default/w")).value
        assert stored.startswith(b"k8s:enc:secretbox:v1:key1:")


async def test_a_key_is_exchanged_and_what_it_wrote_is_written_anew(tmp_path: Path):
    path = tmp_path / "enc.yaml"
    write(path, (["secrets"], [keyed("aesgcm", ("key1", KEY1))]))
    store = MemoryStore()
    settings: Json = {"encryption_provider_config": path, "encryption_provider_config_automatic_reload": True}
    async for world in running(store, **settings):
        api = world.admin
        made = (await api.post(SECRETS, secret("s"))).ok(201)
        (await api.post(CM, config_map("c"))).ok(201)
        same = (await api.put(f"{SECRETS}/s", made)).ok(200)
        assert same["metadata"]["resourceVersion"] == made["metadata"]["resourceVersion"]

        write(path, (["secrets"], [keyed("secretbox", ("key2", KEY2)), keyed("aesgcm", ("key1", KEY1))]))
        assert await world.server.encryption_config.look()
        # As `kubectl get secrets -A -o json | kubectl replace -f -` does: nothing changes but where it is written.
        for item in (await api.get("/api/v1/secrets")).ok()["items"]:
            item |= {"kind": "Secret", "apiVersion": "v1"}
            where = f"/api/v1/namespaces/{item['metadata']['namespace']}/secrets/{item['metadata']['name']}"
            written = (await api.put(where, item)).ok(200)
            assert int(written["metadata"]["resourceVersion"]) > int(item["metadata"]["resourceVersion"])
            assert written["data"] == item["data"]
        assert (await store.get("/registry/secrets/default/s")).value.startswith(b"k8s:enc:secretbox:v1:key2:")
        again = (await api.put(f"{SECRETS}/s", written)).ok(200)
        assert again["metadata"]["resourceVersion"] == written["metadata"]["resourceVersion"]

        # A broken file changes nothing, and is counted.
        path.write_text("kind: Nonsense")
        assert not await world.server.encryption_config.look()
        (await api.post(SECRETS, secret("t"))).ok(201)
        metrics = (await api.get("/metrics")).body.decode()
        name = "apiserver_encryption_config_controller_automatic_reloads_total"
        assert f'{name}{{status="success"}} 1' in metrics
        assert f'{name}{{status="failure"}} 1' in metrics
        assert (await api.get("/healthz/encryption-at-rest")).code == 200
    # The old key is not needed any more.
    write(path, (["secrets"], [keyed("secretbox", ("key2", KEY2))]))
    async for world in running(_reopened(store), account=False, encryption_provider_config=path):
        assert (await world.admin.get(SECRETS)).names == ["s", "t"]


def _reopened(store: MemoryStore) -> MemoryStore:
    store._closed = False
    return store


async def test_a_key_that_is_missing(tmp_path: Path):
    """Only what it encrypted can't be read; errors say so, and a key that comes back mends it."""
    path = tmp_path / "enc.yaml"
    write(path, (["secrets"], [keyed("aesgcm", ("key1", KEY1))]))
    store = MemoryStore()
    async for world in running(store, encryption_provider_config=path):
        (await world.admin.post(SECRETS, secret("lost"))).ok(201)
    write(path, (["secrets"], [keyed("aesgcm", ("key2", KEY2))]))
    settings: Json = {"encryption_provider_config": path, "encryption_provider_config_automatic_reload": True}
    async for world in running(_reopened(store), account=False, **settings):
        api = world.admin
        found = await api.get(f"{SECRETS}/lost")
        why = "no matching key was found for the provided AES transformer"
        assert (found.code, found.reason, found.message) == (500, "InternalError", f"Internal error occurred: {why}")
        (await api.post(SECRETS, secret("kept"))).ok(201)
        (await api.get(f"{SECRETS}/kept")).ok()
        listed = f'Internal error occurred: unable to transform key "/registry/secrets/default/lost": {why}'
        for answered in (await api.get(SECRETS), await api.get("/api/v1/secrets"), await api.delete(SECRETS)):
            assert (answered.code, answered.message) == (500, listed)
        assert (await api.get("/api/v1/namespaces/kube-system/secrets")).code == 200
        assert (await api.delete(f"{SECRETS}/lost")).code == 500
        assert (await api.merge(f"{SECRETS}/lost", {"data": {}})).code == 500
        async with await api.watch(SECRETS, resourceVersion="0") as watch:
            event = await watch.next()
            assert (event["type"], event["object"]["message"]) == ("ERROR", listed)
        write(path, (["secrets"], [keyed("aesgcm", ("key2", KEY2), ("key1", KEY1))]))
        kept = (await api.get(f"{SECRETS}/kept")).ok()["metadata"]["resourceVersion"]
        async with await api.watch(SECRETS, resourceVersion=kept) as watch:
            assert await watch.quiet()
            assert await world.server.encryption_config.look()
            event = await watch.next()
            assert (event["type"], event["object"]["metadata"]["name"]) == ("ADDED", "lost")
        assert (await api.get(SECRETS)).names == ["kept", "lost"]
    # Without any configuration encrypted values are recognised all the same.
    async for world in running(_reopened(store), account=False):
        found = await world.admin.get(f"{SECRETS}/lost")
        assert found.message == "Internal error occurred: identity transformer tried to read encrypted data"
        assert (await world.admin.get(CM)).code == 200


async def test_a_list_of_long_ago_is_opened_too(tmp_path: Path):
    path = write(tmp_path / "enc.yaml", (["secrets"], [keyed("aescbc", ("key1", KEY1))]))
    async for world in running(encryption_provider_config=path):
        api = world.admin
        made = (await api.post(SECRETS, secret("s"))).ok(201)
        (await api.delete(f"{SECRETS}/s")).ok()
        old = await api.get(SECRETS, resourceVersion=made["metadata"]["resourceVersion"], resourceVersionMatch="Exact")
        assert old.ok()["items"][0]["data"] == made["data"]


async def test_the_largest_value(tmp_path: Path):
    path = write(tmp_path / "enc.yaml", (["configmaps"], [keyed("aesgcm", ("key1", KEY1))]))
    async for world in running(encryption_provider_config=path):
        made = (await world.admin.post(CM, config_map("big", a="x" * 1_000_000))).ok(201)
        assert (await world.admin.get(f"{CM}/big")).json == made


async def test_events_hand_on_the_very_bytes_of_the_writer():
    """The watch cache tells a writer's own event by the identity of its bytes, and so spares decoding it."""
    config = parse(yaml.safe_dump(document((["secrets"], GOOD))).encode())
    store = EncryptedStore(MemoryStore(ManualClock()), config, builtin())
    seen: list[Any] = []
    store.on_apply(seen.extend)
    value = b'{"kind":"Secret"}'
    await store.commit(Put("/registry/secrets/a/b", value))
    assert seen[0].value is value
    assert not store._writing
    await store._inner.commit(Put("/registry/secrets/a/c", b"k8s:enc:aesgcm:v1:key9:zzz"))
    assert isinstance(seen[1].value, Unreadable)
    await store.close()
