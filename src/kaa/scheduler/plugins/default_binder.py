"""Writes the binding."""

from kaa.client.client import Client
from kaa.kinds.views.core import Pod
from kaa.scheduler.framework import SUCCESS, Cycle, Plugin, Status

__all__ = ["DefaultBinder"]


class DefaultBinder(Plugin):
    """Bind: POST of a Binding to the pod's `binding` subresource."""

    name = "DefaultBinder"

    def __init__(self, client: Client | None = None) -> None:
        """Without a client (simulations of decisions only) it must not be asked to bind."""
        self._client = client

    async def bind(self, cycle: Cycle, node: str) -> Status:
        """Raises what the API raises."""
        assert self._client is not None
        pod = cycle.pod
        await self._client.create(
            Pod.resource,
            {
                "apiVersion": "v1",
                "kind": "Binding",
                "metadata": {"name": pod.name, "namespace": pod.namespace, "uid": pod.uid},
                "target": {"kind": "Node", "name": node},
            },
            namespace=pod.namespace,
            name=pod.name,
            subresource="binding",
        )
        return SUCCESS
