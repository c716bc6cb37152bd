"""Secrets of type kubernetes.io/service-account-token: filled in with a token, marked when used, gone with the account.

The original's controller manager does this, with a copy of the signing key. Here the server does: the key never leaves
it.
"""

import asyncio
import base64
from typing import Any

from kaa.base.clock import format_seconds
from kaa.base.log import Logger
from kaa.base.tasks import Scope
from kaa.http.api import Request
from kaa.meta.errors import StatusError
from kaa.server.authn.serviceaccounts import ServiceAccountTokens
from kaa.server.cache import Cached, Change
from kaa.server.call import Call, Parts
from kaa.server.request import RequestInfo, User
from kaa.server.verbs import deletions, writes

__all__ = ["LegacyTokens"]

Json = dict[str, Any]
_log = Logger("apiserver")
TYPE = "kubernetes.io/service-account-token"
MARK = b'"type":"kubernetes.io/service-account-token"'
NAME, UID = "kubernetes.io/service-account.name", "kubernetes.io/service-account.uid"
LAST_USED = "kubernetes.io/legacy-token-last-used"
SELF = User("system:apiserver", ("system:masters", "system:authenticated"))
#: Secrets that wait to be looked at; beyond it all are looked at anew.
WAITING_MAX = 10_000


class LegacyTokens:
    """Follows secrets and accounts. `start` begins, `close` ends."""

    def __init__(self, parts: Parts, tokens: ServiceAccountTokens, root_ca: bytes) -> None:
        secrets, accounts = (parts.registry.get("", "v1", each) for each in ("secrets", "serviceaccounts"))
        assert secrets is not None
        assert accounts is not None
        self._parts, self._tokens, self._root_ca = parts, tokens, root_ca
        self._secrets, self._accounts = secrets, accounts
        #: Keys of secrets to look at, and days to write down.
        self._waiting: dict[str, str] = {}
        self._wake = asyncio.Event()
        self._scope = Scope("legacy-tokens")
        parts.objects.of(secrets).on_change(self._secret_changed)
        parts.objects.of(accounts).on_change(self._account_changed)
        tokens.legacy_used = self._used

    def start(self) -> None:
        """Look at what stands, and go on."""
        for entry in self._parts.objects.of(self._secrets).objects.values():
            self._note(entry)
        self._scope.spawn(self._run(), name="run", eternal=True)

    async def close(self) -> None:
        """End it."""
        await self._scope.close()

    def _note(self, entry: Cached, day: str = "") -> None:
        if MARK in entry.wire and len(self._waiting) < WAITING_MAX:
            self._waiting[entry.key] = day or self._waiting.get(entry.key, "")
            self._wake.set()

    def _secret_changed(self, change: Change) -> None:
        if change.new is not None:
            self._note(change.new)

    def _account_changed(self, change: Change) -> None:
        # A secret may come before its account; and it goes after it.
        if change.new is None or change.old is None:
            account = change.new or change.old
            assert account is not None
            for entry in self._parts.objects.of(self._secrets).in_namespace(account.namespace):
                self._note(entry)

    def _used(self, entry: Cached) -> None:
        day = format_seconds(self._parts.clock.now())[:10]
        if entry.labels.get(LAST_USED) != day:
            self._note(entry, day)

    async def _run(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._waiting:
                key = next(iter(self._waiting))
                day = self._waiting.pop(key)
                try:
                    await self._look(key, day)
                except StatusError as error:
                    if error.code not in (404, 409):
                        _log.warning("a token secret could not be brought up to date", secret=key, error=error.message)

    async def _look(self, key: str, day: str) -> None:
        entry = self._parts.objects.of(self._secrets).get(key)
        if entry is None or MARK not in entry.wire:
            return
        secret = entry.decode()
        if secret.get("type") != TYPE or secret["metadata"].get("deletionTimestamp"):
            return
        annotations = secret["metadata"].get("annotations") or {}
        found = self._parts.objects.find(self._accounts, entry.namespace, annotations.get(NAME, ""))
        account = found.decode() if found is not None else None
        if account is None or annotations.get(UID, account["metadata"]["uid"]) != account["metadata"]["uid"]:
            await self._delete(entry)
            return
        wanted = self._wanted(secret, account)
        if day and (secret["metadata"].get("labels") or {}).get(LAST_USED) != day:
            wanted.setdefault("metadata", {}).setdefault("labels", {})[LAST_USED] = day
        if wanted:
            await self._write(entry, wanted)

    def _wanted(self, secret: Json, account: Json) -> Json:
        """What a secret lacks: token, authority, namespace, and its account's UID."""
        data, meta = secret.get("data") or {}, secret["metadata"]
        wanted: Json = {}
        add: dict[str, str] = {}
        if self._root_ca and data.get("ca.crt") != base64.b64encode(self._root_ca).decode():
            add["ca.crt"] = base64.b64encode(self._root_ca).decode()
        if data.get("namespace") != base64.b64encode(meta["namespace"].encode()).decode():
            add["namespace"] = base64.b64encode(meta["namespace"].encode()).decode()
        if not data.get("token"):
            token = self._tokens.issue_legacy(account, meta["name"])
            add["token"] = base64.b64encode(token.encode()).decode()
        if add:
            wanted["data"] = add
        if UID not in (meta.get("annotations") or {}):
            wanted["metadata"] = {"annotations": {UID: account["metadata"]["uid"]}}
        return wanted

    def _call(self, entry: Cached, method: str, verb: str) -> Call:
        resource = self._secrets.resource
        info = RequestInfo(verb, "", True, "", "v1", "secrets", "", entry.namespace, entry.name)
        request = Request(
            method, resource.path(entry.namespace, entry.name), headers={"user-agent": "tokens-controller"}
        )
        return Call(request, info, SELF, self._secrets, self._parts)

    async def _write(self, entry: Cached, wanted: Json) -> None:
        def change(secret: Json) -> Json:
            secret["data"] = {**(secret.get("data") or {}), **wanted.get("data", {})}
            for part, values in wanted.get("metadata", {}).items():
                secret["metadata"][part] = {**(secret["metadata"].get(part) or {}), **values}
            return secret

        await writes.change_object(self._call(entry, "PUT", "update"), change)

    async def _delete(self, entry: Cached) -> None:
        await deletions.delete(self._call(entry, "DELETE", "delete"))
