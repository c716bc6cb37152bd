"""Following changes of the configuration file (`--encryption-provider-config-automatic-reload`)."""

import asyncio
import os
from collections.abc import Awaitable, Callable
from pathlib import Path

from kaa.base.clock import Clock
from kaa.base.log import Logger
from kaa.server.encryption.configuration import EncryptionConfig, EncryptionConfigError, load

__all__ = ["FollowedConfig"]

_log = Logger("encryption")
CHECK_SECONDS = 5.0


class FollowedConfig:
    """Asks now and then whether the file has changed, and hands on what it says then.

    A file that can't be used changes nothing: what is in force stays, the error is logged and counted, and the file is
    read again when it changes again. `failures` and `successes` count reloads, for /metrics.
    """

    def __init__(self, path: Path, config: EncryptionConfig, clock: Clock,
                 use: Callable[[EncryptionConfig], Awaitable[None]]) -> None:  # fmt: skip
        self._path, self._clock, self._use = path, clock, use
        self._hash = config.hash
        self._seen = self._stamp()
        self.successes = self.failures = 0

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await self._clock.sleep(CHECK_SECONDS)
            await self.look()

    async def look(self) -> bool:
        """Look at the file once; whether a new configuration is in force."""
        stamp = self._stamp()
        if stamp == self._seen:
            return False
        self._seen = stamp
        try:
            config = await asyncio.to_thread(load, self._path)
            if config.hash == self._hash:
                return False
            if wrong := config.check():
                raise EncryptionConfigError(wrong)
        except EncryptionConfigError as error:
            self.failures += 1
            _log.error("the changed encryption configuration is not used: the one in force stays", error=str(error))
            return False
        await self._use(config)
        self._hash = config.hash
        self.successes += 1
        _log.info("encryption configuration reloaded", hash=config.hash)
        return True

    def _stamp(self) -> tuple[int, int, int] | None:
        try:
            found = os.stat(self._path)
        except OSError:
            return None
        return found.st_mtime_ns, found.st_size, found.st_ino
