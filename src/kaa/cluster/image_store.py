"""The images at a node's containerd: load an archive, list, remove; through containerd's own client `ctr`."""

import asyncio
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from kaa.base.clock import REAL, Clock
from kaa.cluster.imagefile import bases_of, build_from_directory
from kaa.cluster.images import BuiltImage, ImageError, normal_name, read_archive, write_archive
from kaa.cluster.preflight import find_program
from kaa.kubelet.cri import api
from kaa.kubelet.cri.grpc import GrpcRuntime

__all__ = ["ImageStore"]

LOAD_SECONDS_MAX = 300.0
VISIBLE_SECONDS_MAX = 10.0
_NAMESPACE = "k8s.io"


class ImageStore:
    """The images of one containerd, as pods see them."""

    def __init__(self, socket: str, snapshotter: str = "overlayfs", clock: Clock = REAL) -> None:
        self._socket = socket
        self._snapshotter = snapshotter
        self._clock = clock

    async def load(self, archive: Path) -> list[str]:
        """Import an OCI or docker archive; the names that are now known. Returns when pods can use them.

        Raises ImageError.
        """
        before = await self._names()
        output = await self._ctr("images", "import", "--snapshotter", self._snapshotter, str(archive))
        loaded = [line.split()[1] for line in output.splitlines() if line.startswith("unpacking ")]
        names = loaded or sorted(await self._names() - before)
        await self._wait_visible(names)
        return names

    async def load_images(self, images: Mapping[str, BuiltImage]) -> list[str]:
        """Load images built here, in one archive."""
        with tempfile.TemporaryDirectory(prefix="kaa-images-") as directory:
            archive = await asyncio.to_thread(write_archive, Path(directory) / "images.tar", images)
            await self.load(archive)
        names = [normal_name(name) for name in images]
        await self._wait_visible(names)
        return names

    async def missing(self, names: Sequence[str]) -> list[str]:
        """Which of them are not there yet."""
        known = await self._names()
        return [name for name in names if normal_name(name) not in known]

    async def list(self) -> Sequence[api.Image]:
        """What pods can use."""
        runtime = GrpcRuntime(self._socket)
        try:
            return await runtime.list_images()
        finally:
            await runtime.close()

    async def remove(self, name: str) -> None:
        """Forget an image; its layers go with the next collection. Idempotent."""
        runtime = GrpcRuntime(self._socket)
        try:
            await runtime.remove_image(name)
        finally:
            await runtime.close()

    async def export(self, name: str) -> BuiltImage:
        """An image to build another on. Raises ImageError."""
        full = normal_name(name)
        with tempfile.TemporaryDirectory(prefix="kaa-images-") as directory:
            path = Path(directory) / "image.tar"
            await self._ctr("images", "export", str(path), full)
            images = await asyncio.to_thread(read_archive, path)
        if full not in images:
            raise ImageError(f"{name} could not be read back from containerd")
        return images[full]

    async def build(self, directory: Path, name: str) -> BuiltImage:
        """Build a directory (see `kaa.cluster.imagefile`) on the images of this store, and load it under this name.

        Raises ImageError.
        """
        normal_name(name)
        bases = {base: await self.export(base) for base in await asyncio.to_thread(bases_of, directory)}
        image = await asyncio.to_thread(build_from_directory, directory, bases.__getitem__)
        await self.load_images({name: image})
        return image

    async def _names(self) -> set[str]:
        return {tag for image in await self.list() for tag in image.repo_tags}

    async def _wait_visible(self, names: Sequence[str]) -> None:
        # containerd's CRI learns of an import by an event, a moment after ctr has ended.
        deadline = self._clock.monotonic() + VISIBLE_SECONDS_MAX
        runtime = GrpcRuntime(self._socket)
        try:
            for name in names:
                while await runtime.image_status(name) is None:
                    if self._clock.monotonic() > deadline:
                        raise ImageError(f"{name} was imported, and containerd's CRI does not show it")
                    await self._clock.sleep(0.005)
        finally:
            await runtime.close()

    async def _ctr(self, *argv: str) -> str:
        program = find_program("ctr")
        if program is None:
            raise ImageError("ctr is not installed; run: apt-get install -y containerd")
        process = await asyncio.create_subprocess_exec(
            *(program, "--address", self._socket, "--namespace", _NAMESPACE, *argv),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            out, err = await asyncio.wait_for(process.communicate(), LOAD_SECONDS_MAX)
        except BaseException:
            if process.returncode is None:
                process.kill()
                await process.wait()
            raise
        if process.returncode != 0:
            raise ImageError(f"ctr {' '.join(argv[:2])}: {err.decode(errors='replace').strip()}")
        return out.decode(errors="replace")
