"""Images without a registry: layers and manifests made with tarfile and hashlib, as OCI archives.

The same input gives the same bytes, so a digest says what is in an image: times are zero, owners are root, entries are
sorted.
"""

import hashlib
import io
import json
import os
import platform
import re
import stat
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

__all__ = [
    "BuiltImage",
    "File",
    "ImageConfig",
    "ImageError",
    "build_image",
    "layer_of_directory",
    "layer_of_files",
    "normal_name",
    "read_archive",
    "write_archive",
]

LAYER_BYTES_MAX = 1 << 30
_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
_CONFIG = "application/vnd.oci.image.config.v1+json"
_LAYER = "application/vnd.oci.image.layer.v1.tar"
_INDEX = "application/vnd.oci.image.index.v1+json"
_NAME_ANNOTATION = "io.containerd.image.name"
_COMPONENT = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_NAME = re.compile(
    rf"^(?:(?P<host>[A-Za-z0-9.-]+(?::[0-9]+)?)/)?(?P<path>{_COMPONENT}(?:/{_COMPONENT})*)"
    r"(?::(?P<tag>\w[\w.-]{0,127}))?(?P<digest>@sha256:[0-9a-f]{64})?$"
)


class ImageError(ValueError):
    """The image can't be made; the message says why and what to do instead."""


def normal_name(ref: str) -> str:
    """The full name of a short one: `busybox` -> `docker.io/library/busybox:latest`. Raises ImageError."""
    match = _NAME.match(ref)
    if match is None:
        raise ImageError(f"{ref!r} is not an image name; names are lower case, like team/app:v1")
    host, path, tag, digest = match.group("host", "path", "tag", "digest")
    if host is not None and not ("." in host or ":" in host or host == "localhost"):
        host, path = None, f"{host}/{path}"
        if not re.fullmatch(rf"{_COMPONENT}(?:/{_COMPONENT})*", path):
            raise ImageError(f"{ref!r} is not an image name; names are lower case, like team/app:v1")
    host = host or "docker.io"
    if host == "docker.io" and "/" not in path:
        path = f"library/{path}"
    return f"{host}/{path}" + (f":{tag or 'latest'}" if tag or not digest else "") + (digest or "")


def architecture() -> str:
    """This machine's, in the images' words."""
    machine = platform.machine()
    return {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "arm"}.get(machine, machine)


@dataclass(frozen=True)
class File:
    """A file, a directory or a symbolic link of a layer."""

    data: bytes = b""
    mode: int = 0o644
    link: str = ""
    """The target, if it is a symbolic link."""
    directory: bool = False


@dataclass(frozen=True)
class ImageConfig:
    """How a container of it runs, unless the pod says otherwise."""

    entrypoint: Sequence[str] = ()
    cmd: Sequence[str] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    ports: Sequence[str] = ()
    """`8080` or `8080/tcp`."""
    user: str = ""
    workdir: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    stop_signal: str = ""

    def to_wire(self) -> dict[str, Any]:
        """The `config` part of an OCI image configuration; what is not set is left out."""
        wire: dict[str, Any] = {
            "Entrypoint": list(self.entrypoint),
            "Cmd": list(self.cmd),
            "Env": [f"{k}={v}" for k, v in self.env.items()],
            "ExposedPorts": {p if "/" in p else f"{p}/tcp": {} for p in sorted(self.ports)},
            "User": self.user,
            "WorkingDir": self.workdir,
            "Labels": dict(sorted(self.labels.items())),
            "StopSignal": self.stop_signal,
        }
        return {key: value for key, value in wire.items() if value}

    @classmethod
    def from_wire(cls, wire: Mapping[str, Any]) -> "ImageConfig":
        """Of an image that someone else made."""
        return cls(
            entrypoint=tuple(wire.get("Entrypoint") or ()),
            cmd=tuple(wire.get("Cmd") or ()),
            env=dict(item.partition("=")[::2] for item in wire.get("Env") or ()),
            ports=tuple(wire.get("ExposedPorts") or ()),
            user=wire.get("User", ""),
            workdir=wire.get("WorkingDir", ""),
            labels=wire.get("Labels") or {},
            stop_signal=wire.get("StopSignal", ""),
        )


def _digest(data: bytes) -> str:
    return "sha256:" + hashlib.sha256(data).hexdigest()


def _json(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":"), sort_keys=True).encode()


@dataclass(frozen=True)
class BuiltImage:
    """Layers (uncompressed tars, the lowest first) and how to run them."""

    layers: Sequence[bytes]
    config: ImageConfig
    architecture: str = field(default_factory=architecture)

    def with_config(self, **changes: Any) -> "BuiltImage":
        """The same layers, run otherwise."""
        return replace(self, config=replace(self.config, **changes))

    def blobs(self) -> tuple[dict[str, Any], dict[str, bytes]]:
        """The manifest's descriptor, and each blob by its digest."""
        blobs = {_digest(layer): layer for layer in self.layers}
        config = _json(
            {
                "architecture": self.architecture,
                "os": "linux",
                "config": self.config.to_wire(),
                "created": "1970-01-01T00:00:00Z",
                "rootfs": {"type": "layers", "diff_ids": [_digest(layer) for layer in self.layers]},
                "history": [{"created": "1970-01-01T00:00:00Z", "created_by": "kaa"} for _ in self.layers],
            }
        )
        manifest = _json(
            {
                "schemaVersion": 2,
                "mediaType": _MANIFEST,
                "config": {"mediaType": _CONFIG, "digest": _digest(config), "size": len(config)},
                "layers": [{"mediaType": _LAYER, "digest": _digest(x), "size": len(x)} for x in self.layers],
            }
        )
        blobs[_digest(config)] = config
        blobs[_digest(manifest)] = manifest
        return {"mediaType": _MANIFEST, "digest": _digest(manifest), "size": len(manifest)}, blobs

    @property
    def digest(self) -> str:
        """Of the manifest."""
        digest: str = self.blobs()[0]["digest"]
        return digest


# Layers ---------------------------------------------------------------------------------------------------------------


def layer_of_files(files: Mapping[str, File]) -> bytes:
    """A layer of these paths; directories they need are made."""
    entries: dict[str, File] = {}
    for name, file in files.items():
        path = _clean(name)
        for parent in list(Path(path).parents)[:-1]:
            entries.setdefault(str(parent), File(directory=True, mode=0o755))
        entries[path] = file
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for path in sorted(entries):
            _add(tar, path, entries[path])
            if out.tell() > LAYER_BYTES_MAX:
                raise ImageError("the image is over 1 GiB; build it with buildah and load it with `kaa image load`")
    return out.getvalue()


def _clean(name: str) -> str:
    path = os.path.normpath(name.lstrip("/"))
    if path.startswith("..") or path == ".":
        raise ImageError(f"{name!r} is not a path inside the image")
    return path


def _add(tar: tarfile.TarFile, path: str, file: File) -> None:
    info = tarfile.TarInfo(path)
    info.mode = file.mode & 0o7777
    if file.directory:
        info.type = tarfile.DIRTYPE
        tar.addfile(info)
    elif file.link:
        info.type, info.linkname, info.mode = tarfile.SYMTYPE, file.link, 0o777
        tar.addfile(info)
    else:
        info.size = len(file.data)
        tar.addfile(info, io.BytesIO(file.data))


def files_of_directory(directory: Path, into: str = "") -> Iterator[tuple[str, File]]:
    """(path in the image, file) of all that is in a directory, with its modes. Devices and sockets are refused."""
    for top, directories, names in os.walk(directory):
        for name in sorted(directories + names):
            path = Path(top) / name
            mode = path.lstat().st_mode
            inside = os.path.join(into, str(path.relative_to(directory)))
            if stat.S_ISLNK(mode):
                yield inside, File(link=os.readlink(path))
            elif stat.S_ISDIR(mode):
                yield inside, File(directory=True, mode=stat.S_IMODE(mode))
            elif stat.S_ISREG(mode):
                if path.stat().st_size > LAYER_BYTES_MAX:
                    raise ImageError(f"{path} is over 1 GiB; mount it as a volume instead")
                yield inside, File(path.read_bytes(), stat.S_IMODE(mode))
            else:
                raise ImageError(f"{path} is neither a file, a directory nor a symbolic link; leave it out")


def layer_of_directory(directory: Path) -> bytes:
    """The directory's content as a root file system."""
    return layer_of_files(dict(files_of_directory(directory)))


# Images and archives --------------------------------------------------------------------------------------------------


def build_image(
    source: Path | Mapping[str, File], config: ImageConfig | None = None, *, base: BuiltImage | None = None
) -> BuiltImage:
    """An image of one layer (on those of `base`): a directory's content, or files by path. Without `config`, the
    base's. Raises ImageError."""
    layer = layer_of_directory(source) if isinstance(source, Path) else layer_of_files(source)
    return BuiltImage((*(base.layers if base else ()), layer), config or (base.config if base else ImageConfig()))


def write_archive(path: Path, images: Mapping[str, BuiltImage]) -> Path:
    """One OCI archive of images by name; shared layers are written once. `ctr`, `docker` and `podman` load it."""
    blobs: dict[str, bytes] = {}
    manifests = []
    for name, image in images.items():
        descriptor, own = image.blobs()
        blobs.update(own)
        full = normal_name(name)
        tag = full.rpartition(":")[2]
        annotations = {_NAME_ANNOTATION: full, "org.opencontainers.image.ref.name": tag}
        manifests.append(descriptor | {"annotations": annotations})
    files = {f"blobs/sha256/{digest.removeprefix('sha256:')}": File(data) for digest, data in blobs.items()}
    files["index.json"] = File(_json({"schemaVersion": 2, "mediaType": _INDEX, "manifests": manifests}))
    files["oci-layout"] = File(b'{"imageLayoutVersion":"1.0.0"}')
    with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as tar:
        for name in sorted(files):
            _add(tar, name, files[name])
    return path


def read_archive(path: Path) -> dict[str, BuiltImage]:
    """The images of an OCI archive by name, for this machine's architecture. Raises ImageError for what isn't one."""
    try:
        with tarfile.open(path) as tar:
            members = {m.name.removeprefix("./"): m for m in tar.getmembers() if m.isfile()}

            def blob(name: str) -> bytes:
                stream = tar.extractfile(members[name])
                assert stream is not None
                return stream.read()

            def by_digest(digest: str) -> bytes:
                return blob("blobs/" + digest.replace(":", "/"))

            found = {}
            for descriptor in json.loads(blob("index.json"))["manifests"]:
                name = descriptor.get("annotations", {}).get(_NAME_ANNOTATION)
                if name:
                    found[name] = _read_image(json.loads(by_digest(descriptor["digest"])), by_digest)
            return found
    except (KeyError, OSError, tarfile.TarError, json.JSONDecodeError) as error:
        raise ImageError(f"{path} is not an OCI archive ({error!r}); save it as one, with names") from error


def _read_image(manifest: dict[str, Any], by_digest: Any) -> BuiltImage:
    if "manifests" in manifest:
        ours = [m for m in manifest["manifests"] if m.get("platform", {}).get("architecture") == architecture()]
        if not ours:
            raise ImageError(f"the image has nothing for {architecture()}")
        return _read_image(json.loads(by_digest(ours[0]["digest"])), by_digest)
    config = json.loads(by_digest(manifest["config"]["digest"]))
    layers = tuple(_uncompressed(by_digest(layer["digest"])) for layer in manifest["layers"])
    return BuiltImage(layers, ImageConfig.from_wire(config.get("config") or {}), config.get("architecture", ""))


def _uncompressed(layer: bytes) -> bytes:
    if layer[:2] == b"\x1f\x8b":
        import gzip

        return gzip.decompress(layer)
    if layer[:4] == b"\x28\xb5\x2f\xfd":
        raise ImageError("the image's layers are compressed with zstd; save it with gzip or none")
    return layer
