"""Files: logs, volumes that change all at once, subPaths, SPDY on the wire."""

import asyncio
import gzip
import os
from pathlib import Path

import pytest
from tests.kubelet.builders import pod

from kaa.base.clock import REAL
from kaa.http.api import LOCAL_PEER
from kaa.http.connection import memory_pair
from kaa.http.spdy import DICTIONARY, SpdySession, SpdyStream
from kaa.kubelet.downward import PodFacts
from kaa.kubelet.errors import VolumeFailed
from kaa.kubelet.logrotate import rotate
from kaa.kubelet.logs import LogOptions, last_lines, read_logs, tail_offset
from kaa.kubelet.mounts.atomic import File, write_atomically
from kaa.kubelet.mounts.kernel import open_beneath
from kaa.kubelet.mounts.payload import files_of
from kaa.simulated.runtime import SimulatedRuntime


def line(text: str, stream: str = "stdout", tag: str = "F", second: int = 1) -> bytes:
    return f"2026-01-01T00:00:{second:02d}.5Z {stream} {tag} {text}\n".encode()


def append(path: Path, data: bytes) -> None:
    with open(path, "ab") as file:
        file.write(data)


def listing(directory: Path) -> list[Path]:
    return list(directory.iterdir())


async def read(path: Path, running: bool = False, **options: object) -> str:
    chunks = [c async for c in read_logs(path, LogOptions(**options), REAL, lambda: running)]  # type: ignore[arg-type]
    return b"".join(chunks).decode()


async def test_log_options(tmp_path: Path) -> None:
    path = tmp_path / "0.log"
    path.write_bytes(
        line("one") + line("two", "stderr", second=2) + line("thr", tag="P", second=3) + line("ee", second=4)
        + b"garbage\n"
    )  # fmt: skip
    assert await read(path) == "one\ntwo\nthree\n"
    assert await read(path, stream="stderr") == "two\n"
    assert await read(path, tail_lines=3) == "three\n"
    assert await read(path, tail_lines=0) == ""
    assert await read(path, bytes_max=5) == "one\nt"
    assert await read(path, since=1767225602.0) == "two\nthree\n"
    # The time stands once before a line that came in pieces.
    assert (await read(path, timestamps=True)).splitlines()[2] == "2026-01-01T00:00:03.5Z three"
    assert last_lines(path, 80, 6) == "three\n"


def test_tail_over_many_blocks(tmp_path: Path) -> None:
    path = tmp_path / "big"
    path.write_bytes(b"".join(b"%06d %s\n" % (i, b"x" * 100) for i in range(5000)))
    with open(path, "rb") as file:
        for lines in (1, 10, 1000, 4999, 5000, 9999):
            file.seek(tail_offset(file, lines))
            assert len(file.readlines()) == min(lines, 5000)


async def test_follow_over_rotation_until_the_end(tmp_path: Path) -> None:
    path = tmp_path / "0.log"
    path.write_bytes(line("a"))
    running = True
    got: list[bytes] = []

    async def follow() -> None:
        async for chunk in read_logs(path, LogOptions(follow=True), REAL, lambda: running):
            got.append(chunk)

    task = asyncio.create_task(follow())
    await asyncio.sleep(0.05)
    append(path, line("b"))
    os.rename(path, tmp_path / "0.log.1")
    path.write_bytes(line("c"))
    await asyncio.sleep(0.3)
    append(path, line("last"))
    running = False
    await asyncio.wait_for(task, 5)
    assert b"".join(got) == b"a\nb\nc\nlast\n"


async def test_rotation_keeps_so_many_files(tmp_path: Path) -> None:
    path = tmp_path / "0.log"
    for index in range(4):
        path.write_bytes(f"{index}".encode())

        class Runtime(SimulatedRuntime):
            async def reopen_log(self, container_id: str) -> None:
                path.write_bytes(b"new")

        await rotate(Runtime(), "c", path, REAL, 3)
        for each in listing(tmp_path):
            if each.suffix != ".gz" and "-" in each.name and "0.log.2" in each.name:
                os.rename(each, tmp_path / f"0.log.2026-{index}")
    found = sorted(listing(tmp_path))
    assert len(found) == 3
    assert found[0].name == "0.log"
    compressed = next(p for p in found if p.suffix == ".gz")
    assert gzip.decompress(compressed.read_bytes()) == b"2"


def test_atomic_writer(tmp_path: Path) -> None:
    assert write_atomically(tmp_path, {"a": File(b"1"), "d/b": File(b"2", 0o600)}, REAL)
    assert (tmp_path / "a").read_text() == "1"
    assert (tmp_path / "d/b").stat().st_mode & 0o777 == 0o600
    first = os.readlink(tmp_path / "..data")
    assert not write_atomically(tmp_path, {"a": File(b"1"), "d/b": File(b"2", 0o600)}, REAL)
    assert os.readlink(tmp_path / "..data") == first
    assert write_atomically(tmp_path, {"c": File(b"3")}, REAL)
    assert sorted(p.name for p in tmp_path.iterdir() if not p.name.startswith("..")) == ["c"]
    assert not (tmp_path / first).exists()
    for bad in ("/x", "a/../../x", "..x", ""):
        with pytest.raises(ValueError):
            write_atomically(tmp_path, {bad: File(b"")}, REAL)


def test_payload_refusals() -> None:
    class Nothing:
        def config_map(self, name: str) -> None: ...
        def secret(self, name: str) -> None: ...

    def files(volume: dict[str, object]) -> dict[str, File]:
        of = pod(volumes=[{"name": "v", **volume}])
        return files_of(of, of.spec.volumes[0], Nothing(), PodFacts(), {})

    assert files({"configMap": {"name": "c", "optional": True}}) == {}
    for volume, message in (
        ({"configMap": {"name": "c"}}, 'configmap "c" not found'),
        ({"secret": {"secretName": "s"}}, 'secret "s" not found'),
        ({"projected": {"sources": [{"clusterTrustBundle": {"path": "x"}}]}},
         "projected volume source clusterTrustBundle is not supported by this node"),
    ):  # fmt: skip
        with pytest.raises(VolumeFailed) as caught:
            files(volume)
        assert caught.value.message == message


def test_sub_path_cannot_leave_its_volume(tmp_path: Path) -> None:
    volume = tmp_path / "v"
    volume.mkdir()
    (volume / "evil").symlink_to("/etc")
    (volume / "inner").mkdir()
    (volume / "fine").symlink_to("inner")
    for bad in ("evil", "evil/passwd", "a/../../x"):
        with pytest.raises(OSError):
            open_beneath(volume, bad, create=True)
    for good in ("fine", "made/deep"):
        os.close(open_beneath(volume, good, create=True))
    assert (volume / "made/deep").is_dir()


async def test_spdy_both_sides() -> None:
    assert len(DICTIONARY) == 1423
    left, right = memory_pair(LOCAL_PEER, LOCAL_PEER)
    opened: list[SpdyStream] = []
    server = SpdySession(right, client=False, on_stream=opened.append)
    client = SpdySession(left)
    one = await client.open({"streamType": "stdin"})
    two = await client.open({"streamType": "stdout", "x": "y" * 500})
    assert [s.headers["streamtype"] for s in opened] == ["stdin", "stdout"]
    assert opened[1].headers["x"] == "y" * 500
    payload = b"z" * 200_000
    await one.write(payload)
    one.finish()
    assert await opened[0].read_all() == payload
    await opened[1].write(b"out")
    opened[1].finish()
    assert await two.read_all() == b"out"
    two.abort()
    await client.close()
    await server.closed()
    await server.close()
