"""Room that is being made, and for whom. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from kaa.kinds.views.core import Pod

__all__ = ["Nominations"]


class Nominations:
    """Pods that room is being made for, and where: pods of lower priority must not take it."""

    def __init__(self) -> None:
        self._on: dict[str, dict[str, Pod]] = {}
        self._node: dict[str, str] = {}

    def __bool__(self) -> bool:
        return bool(self._node)

    def set(self, pod: Pod, node: str) -> None:
        """Room is made for the pod there; "" takes it back."""
        old = self._node.pop(pod.uid, "")
        if old:
            del self._on[old][pod.uid]
            if not self._on[old]:
                del self._on[old]
        if node:
            self._node[pod.uid] = node
            self._on.setdefault(node, {})[pod.uid] = pod

    def of(self, uid: str) -> str:
        """Where room is made for a pod, or ""."""
        return self._node.get(uid, "")

    def on(self, node: str) -> Sequence[Pod]:
        """The pods that room is made for on a node."""
        return list(self._on.get(node, {}).values())

    @property
    def nodes(self) -> Sequence[str]:
        """The nodes concerned."""
        return list(self._on)
