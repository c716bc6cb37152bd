"""An acknowledged write is on the disk: proved by killing processes, and by replaying only what was synced.

Killing a process shows that the store recovers from any moment and repeats no revision, but not that it syncs: the
kernel keeps what a dead process had written. A loss of power keeps only what was synced. So the second part watches
the system calls of a writing process (strace), keeps for each file an image of what its syncs have made durable, and
at each acknowledgement opens a copy of those images, as a machine would after losing power at that moment, and finds
every acknowledged write. It supposes the worst of the disk: nothing is durable before a sync of its file has ended,
although a real one may have written it (SQLite's checksums cover writes that get there in part).
"""

import os
import random
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

import kaa
from kaa.store.sqlite import SqliteStore

#: Time has to pass: not in the quick part.
pytestmark = pytest.mark.slow

LOAD = str(Path(__file__).with_name("load.py"))
ENVIRONMENT = os.environ | {"PYTHONPATH": str(Path(kaa.__file__).parents[1])}
KILLS = 200


def acknowledged(path: Path) -> list[tuple[str, str, int]]:
    lines = path.read_text().splitlines() if path.exists() else []
    return [(verb, key, int(revision)) for verb, key, revision in (line.split() for line in lines)]


def check_found(acks: list[tuple[str, str, int]], found: dict[str, int]) -> None:
    """Each key is in its last acknowledged state, except that of a writer's commit that was under way at the end.

    A writer has one commit under way, so at most one of its numbered keys may have gone on: to a later revision, or,
    where that commit was a delete, away.
    """
    gone_on: dict[str, list[str]] = {}
    for key, (verb, revision) in {key: (verb, revision) for verb, key, revision in acks}.items():
        at = found.get(key)
        if at == (revision if verb == "put" else None):
            continue
        assert at is None or at > revision, f"{key} is at {at}, and {revision} was acknowledged"
        gone_on.setdefault(key.split("/")[2], []).append(key)
    assert all(len(keys) == 1 and "extra" not in keys[0] for keys in gone_on.values()), f"lost: {gone_on}"


async def test_killed_at_any_moment_it_loses_nothing_acknowledged(tmp_path):
    """200 processes with six writers each, killed 0 to 60 ms after their first look at the store."""
    store_path, acks_path = tmp_path / "store.db", tmp_path / "acks"
    chance = random.Random(20)
    last, kills, total, running = 1, 0, 0, 0
    everything: dict[str, int] = {}
    revisions: dict[int, tuple[int, str]] = {}
    with subprocess.Popen(  # noqa: ASYNC220
        [sys.executable, LOAD, "rounds"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=ENVIRONMENT
    ) as zygote:
        try:
            for number in range(KILLS):
                acks_path.unlink(missing_ok=True)
                zygote.stdin.write(f"{store_path} {acks_path} {number}\n")
                zygote.stdin.flush()
                running = int(zygote.stdout.readline())
                while not os.path.exists(f"{store_path}.lock"):  # noqa: ASYNC240
                    time.sleep(0.001)  # noqa: ASYNC251
                time.sleep(chance.random() * 0.06)  # noqa: ASYNC251
                os.kill(running, signal.SIGKILL)
                assert zygote.stdout.readline() == f"ended {int(signal.SIGKILL)}\n"
                kills, running = kills + 1, 0

                acks = acknowledged(acks_path)
                total += len(acks)
                store = await SqliteStore.open(str(store_path))
                assert store.revision >= last
                for _, key, revision in acks:
                    assert last < revision <= store.revision, "a revision was repeated or lost"
                    # Two ops of one commit share one; two commits never do.
                    owner = (number, key.split("/")[2])
                    assert revisions.setdefault(revision, owner) == owner, "a revision was given twice"
                entries = (await store.range(f"/{number}/")).entries
                found = {e.key: e.mod_revision for e in entries}
                check_found(acks, found)
                everything.update(found)
                last = store.revision
                await store.close()
            store = await SqliteStore.open(str(store_path))
            assert {e.key: e.mod_revision for e in (await store.range("/")).entries} == everything
            await store.close()
        finally:
            if running:
                os.kill(running, signal.SIGKILL)
            zygote.stdin.close()
            zygote.wait()
    assert kills == KILLS
    assert total > KILLS * 10, "the processes were killed before they wrote much: this proved little"


# What a loss of power would leave.

WRITE = re.compile(r'(\d+) +(pwrite64|write)\((\d+)<([^>]*)>, "((?:\\x[0-9a-f]{2})*)"(?:\.\.\.)?, (\d+)(?:, (\d+))?')
SYNC = re.compile(r"(\d+) +(fsync|fdatasync)\((\d+)<([^>]*)>")
CUT = re.compile(r"(\d+) +ftruncate\((\d+)<([^>]*)>, (\d+)")
CREATE = re.compile(r'(\d+) +openat\([^,]*, "([^"]*)", [A-Z_|]*O_CREAT')
RESUMED = re.compile(r"(\d+) +<\.\.\. (\w+) resumed>.*= (-?\d+)")


def plain(text: str) -> bytes:
    """Bytes as strace -xx prints them."""
    return bytes.fromhex(text.replace("\\x", ""))


class Disk:
    """The files of one directory as a disk holds them: what was written, and of it what is durable."""

    def __init__(self) -> None:
        self.durable: dict[str, bytearray] = {}
        self.waiting: dict[str, list[tuple[int, bytes | None]]] = {}  # (offset, data), or (size, None): cut off
        self.ever_synced: dict[str, bytearray] = {}  # all that was written to a file before a sync of it
        self.version = 0

    def write(self, path: str, offset: int, data: bytes | None) -> None:
        self.waiting.setdefault(path, []).append((offset, data))

    def sync(self, path: str, count: int) -> None:
        """The first `count` waiting writes of the file have become durable."""
        image = self.durable.setdefault(path, bytearray())
        synced = self.ever_synced.setdefault(path, bytearray())
        for offset, data in self.waiting.get(path, [])[:count]:
            synced += data or b""
            if data is None:
                del image[offset:]
            else:
                image.extend(bytes(max(0, offset - len(image))))
                image[offset : offset + len(data)] = data
        del self.waiting.get(path, [])[:count]
        self.version += 1

    def after_power_loss(self, store: str, directory: Path) -> dict[str, int]:
        """The entries (key to revision) that are found when only what is durable is left."""
        shutil.rmtree(directory, ignore_errors=True)
        directory.mkdir()
        for path in (store, store + "-wal"):
            if path in self.durable:
                (directory / Path(path).name).write_bytes(self.durable[path])
        db = sqlite3.connect(directory / Path(store).name)
        try:
            assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
            return dict(db.execute("SELECT key, id >> 10 FROM live"))
        except sqlite3.OperationalError:  # not even the tables are there
            return {}
        finally:
            db.close()


class Watched:
    """What the system calls of a load tell, in their order."""

    def __init__(self, trace: Path, store: str, acks: str, scratch: Path) -> None:
        self.lost: list[str] = []  # acknowledged, and not durable at that moment
        self.unordered: list[str] = []  # acknowledged with no sync of the log between its write and the answer
        self.acknowledged: list[tuple[str, str, int]] = []
        self.checkpoints = 0
        self.directory_synced = False
        disk = Disk()
        log = store + "-wal"
        syncing: dict[str, tuple[str, int]] = {}  # thread -> (path, how much was written when its sync began)
        found: tuple[int, dict[str, int]] = (-1, {})
        log_created = False
        for line in trace.read_text().splitlines():
            if match := WRITE.match(line):
                _, call, _, path, data, size, offset = match.groups()
                path, payload = plain(path).decode(), plain(data)
                assert len(payload) == int(size), "strace cut the data"
                if call == "pwrite64":
                    disk.write(path, int(offset), payload)
                elif path == acks:
                    new = [(verb, key, int(rev)) for verb, key, rev in map(str.split, payload.decode().splitlines())]
                    self.acknowledged += new
                    if found[0] != disk.version:
                        found = (disk.version, disk.after_power_loss(store, scratch))
                    if not log_created or not self.directory_synced:
                        self.lost.append("the log itself: its name was not synced")
                    for verb, key, revision in new:
                        at = found[1].get(key)
                        if "/extra/" in key and key.encode() not in disk.ever_synced.get(log, b""):
                            self.unordered.append(key)
                        if at != (revision if verb == "put" else None) and (at is None or at < revision):
                            self.lost.append(f"{verb} {key} {revision}")
            elif match := SYNC.match(line):
                pid, call, _, path = match.groups()
                path = plain(path).decode()
                if "<unfinished" in line:
                    syncing[pid] = (path, len(disk.waiting.get(path, [])))
                else:
                    assert line.endswith("= 0"), line
                    self._synced(disk, path, len(disk.waiting.get(path, [])), store, log_created)
            elif match := RESUMED.match(line):
                pid, call, result = match.groups()
                if call in ("fsync", "fdatasync"):
                    assert result == "0", line
                    path, count = syncing.pop(pid)
                    self._synced(disk, path, count, store, log_created)
            elif match := CUT.match(line):
                disk.write(plain(match[3]).decode(), int(match[4]), None)
            elif match := CREATE.match(line):
                log_created |= plain(match[2]).decode() == log
        self.final = disk.after_power_loss(store, scratch)

    def _synced(self, disk: Disk, path: str, count: int, store: str, log_created: bool) -> None:
        if path == str(Path(store).parent):
            self.directory_synced |= log_created
        else:
            self.checkpoints += path == store
            disk.sync(path, count)


def watch_load(directory: Path, commits: int, *more: str) -> Watched:
    """Run a load under strace and replay it."""
    store, acks, trace = directory / "data" / "store.db", directory / "acks", directory / "trace"
    store.parent.mkdir()
    command = ["strace", "-f", "-y", "-xx", "-s", "10000000", "-o", str(trace)]
    command += ["-e", "trace=openat,write,pwrite64,ftruncate,fsync,fdatasync", "-e", "signal=none"]
    ended = subprocess.run(
        [*command, sys.executable, LOAD, "once", str(store), str(acks), str(commits), *more],
        capture_output=True,
        text=True,
        env=ENVIRONMENT,
    )
    assert ended.returncode == 0, ended.stderr
    watched = Watched(trace, str(store), str(acks), directory / "scratch")
    assert watched.acknowledged == acknowledged(acks), "the trace and the file of acknowledgements differ"
    return watched


def test_each_acknowledged_write_survives_a_loss_of_power(tmp_path):
    """At each acknowledgement, what had been synced by then is opened, and the write is found in it. The load is
    large enough for checkpoints, which move the log into the file and start it over.
    """
    watched = watch_load(tmp_path, 60)
    assert watched.unordered == []
    assert watched.lost == []
    assert len(watched.acknowledged) >= 360
    assert watched.checkpoints >= 2


def test_without_syncs_the_proof_fails(tmp_path):
    """The same load on a store that does not sync: nearly every acknowledgement is found to be a lie."""
    watched = watch_load(tmp_path, 20, "unsynced")
    assert watched.unordered
    assert len(watched.lost) > len(watched.acknowledged) * 0.9
