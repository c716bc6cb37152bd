"""`kaa image`: images without a registry."""

import asyncio
from collections.abc import Coroutine
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from kaa.cli import show
from kaa.cluster.home import Home

if TYPE_CHECKING:
    from kaa.cluster.image_store import ImageStore

__all__ = ["image"]

T = TypeVar("T")


@click.group(help="Load, build and list images, without a registry.")
def image() -> None:
    pass


def _store() -> "ImageStore":
    from kaa.cluster.node import node_of

    home = Home()
    state = home.load()
    if state is None:
        raise click.ClickException(f"there is no cluster in {home.root}; run: kaa up")
    if not state.containers:
        raise click.ClickException("this cluster has simulated nodes only: they take any image")
    node = node_of(home, state)
    if node.containerd.running() is None:
        raise click.ClickException("the cluster's containerd does not run; run: kaa up")
    return node.images


def _run(work: Coroutine[Any, Any, T]) -> T:
    from kaa.cluster.images import ImageError
    from kaa.kubelet.cri.api import RuntimeFailed

    try:
        return asyncio.run(work)
    except (ImageError, RuntimeFailed) as error:
        raise click.ClickException(str(error)) from error


@image.command(help="Load an archive: what `docker save`, `podman save` or `buildah push oci-archive:` writes.")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
def load(file: Path) -> int:
    for name in _run(_store().load(file.absolute())):
        print(name)
    return 0


@image.command(
    help="Build the image of a directory: by its Dockerfile (FROM, COPY, ENV, CMD and the like; nothing is run), or "
    "its content as the root file system."
)
@click.argument("directory", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("-t", "--tag", required=True, metavar="NAME", help="The image's name, such as team/app:v1.")
def build(directory: Path, tag: str) -> int:
    made = _run(_store().build(directory.absolute(), tag))
    print(f"{tag} {made.digest}")
    return 0


@image.command(name="list", help="The images that pods can use without a registry.")
def list_() -> int:
    found = _run(_store().list())
    rows = sorted((name, each.id[:19], show.size(each.size)) for each in found for name in each.repo_tags)
    show.table(("IMAGE", "ID", "SIZE"), rows)
    return 0


@image.command(help="Forget an image.")
@click.argument("name")
def remove(name: str) -> int:
    _run(_store().remove(name))
    return 0
