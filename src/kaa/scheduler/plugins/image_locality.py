"""Nodes that hold the pod's images already are better, but not so much that they heat up."""

from kaa.scheduler.arrays import Ints, Rows, np
from kaa.scheduler.framework import SCORE_MAX, SKIP, SUCCESS, Cycle, Plugin, Status
from kaa.scheduler.shapes import Shape
from kaa.scheduler.snapshot import Snapshot

__all__ = ["ImageLocality"]

_MEGABYTE = 1024 * 1024
_LEAST = 23 * _MEGABYTE
_MOST_PER_IMAGE = 1000 * _MEGABYTE


class ImageLocality(Plugin):
    """Score: the bytes of the pod's images on the node, each scaled by the share of nodes that hold it."""

    name = "ImageLocality"
    # An image's share of nodes changes the score of all that hold it: not a matter of one node.

    def pre_score(self, cycle: Cycle, feasible: Rows) -> Status:
        """Nothing to do when no node holds any of the images."""
        images = cycle.snapshot.images
        return SUCCESS if any(name in images for name in _images(cycle.shape)) else SKIP

    def score(self, cycle: Cycle, rows: Rows) -> Ints:
        """Sum of the scaled sizes, between 23 MB and 1000 MB per image, mapped to 0..100."""
        snapshot = cycle.snapshot
        version = (snapshot.table.layout, snapshot.images_version)
        known = cycle.shape.memo.get(self.name)
        if known is None or known[0] != version:
            known = cycle.shape.memo[self.name] = (version, _every_score(snapshot, _images(cycle.shape)))
        scores: Ints = known[1][rows]
        return scores


def _every_score(snapshot: Snapshot, names: list[str]) -> Ints:
    table = snapshot.table
    sums = np.zeros(table.size, np.int64)
    for name in names:
        nodes = snapshot.images.get(name, {})
        spread = len(nodes) / table.size
        for node, size in nodes.items():
            sums[table.rows[node]] += int(size * spread)
    most = _MOST_PER_IMAGE * len(names)
    return SCORE_MAX * (np.clip(sums, _LEAST, most) - _LEAST) // (most - _LEAST)


def _images(shape: Shape) -> list[str]:
    found: list[str] | None = shape.memo.get("images")
    if found is None:
        spec = shape.spec
        names = [each.image for each in (*spec.init_containers, *spec.containers)]
        names += [each.image.get("reference", "") for each in spec.volumes if each.image]
        # As nodes report them: with a tag.
        found = [name if name.rfind(":") > name.rfind("/") else f"{name}:latest" for name in names]
        shape.memo["images"] = found
    return found
