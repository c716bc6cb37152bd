"""Pods and what is seen of them, in few words."""

from typing import Any

import orjson

from kaa.kinds.views import Pod
from kaa.kinds.views.base import decoder
from kaa.kubelet.memo import Memo
from kaa.kubelet.names import container_hash
from kaa.kubelet.seen import ContainerSeen, PodSeen, SandboxSeen

NOW = 1_800_000_000.0


def pod(*containers: dict[str, Any], init: tuple[dict[str, Any], ...] = (), **spec: Any) -> Pod:
    """A pod `web` of these containers ({"name": ..., ...}; the image is `i` unless given)."""
    metadata = {"name": "web", "namespace": "default", "uid": "u1", "generation": 1, **spec.pop("metadata", {})}
    status = spec.pop("status", {})
    obj = {
        "metadata": metadata,
        "spec": {
            "containers": [{"image": "i", **each} for each in containers or ({"name": "web"},)],
            "initContainers": [{"image": "i", **each} for each in init],
            **spec,
        },
        "status": status,
    }
    return decoder(Pod).decode(orjson.dumps(obj))


class Seen:
    """`Seen(pod).sandbox().running("web").exited("init", 0)`."""

    def __init__(self, of: Pod) -> None:
        self.pod = of
        self.made = PodSeen()
        self.memo = Memo(started_at=NOW - 100)

    def sandbox(self, ready: bool = True, attempt: int = 0) -> "Seen":
        ips = ("10.0.0.5",) if ready else ()
        self.made.put_sandbox(SandboxSeen(f"s{attempt}", attempt, ready, ips, NOW - 90))
        return self

    def _put(self, name: str, state: str, attempt: int, **fields: Any) -> "Seen":
        spec = self.pod.spec
        everyone = (*spec.init_containers, *spec.containers, *spec.ephemeral_containers)
        container = next(c for c in everyone if c.name == name)
        sandbox = self.made.sandbox
        fields.setdefault("hash", container_hash(container))
        self.made.put(
            ContainerSeen(
                f"{name}-{attempt}", name, attempt, sandbox.id if sandbox else "", state, NOW - 80, NOW - 80, **fields
            )
        )
        return self

    def running(self, name: str, attempt: int = 0, started: bool = True, **fields: Any) -> "Seen":
        if started:
            self.memo.startup_passed.add(f"{name}-{attempt}")
        return self._put(name, "running", attempt, **fields)

    def exited(self, name: str, code: int, attempt: int = 0, ago: float = 1.0, **fields: Any) -> "Seen":
        reason = fields.pop("reason", "Completed" if code == 0 else "Error")
        return self._put(name, "exited", attempt, exit_code=code, finished_at=NOW - ago, reason=reason, **fields)
