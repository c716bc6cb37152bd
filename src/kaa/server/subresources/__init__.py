"""What is behind a second name of an object: `scale`, `binding`, `eviction`, `finalize`, and streams to its node.

Each module has handlers of the shape `(call) -> answer`; `register` puts them into an application.
"""

from kaa.server.app import Application
from kaa.server.subresources import eviction, pods, scale
from kaa.server.subresources.connect import connecting
from kaa.server.subresources.nodes import NodeStreams

__all__ = ["register"]


def register(app: Application, streams: NodeStreams) -> None:
    """Serve every subresource this release has, beyond `status`."""
    app.subresources["*", "scale"] = scale.handle
    app.subresources["pods", "binding"] = pods.bind
    app.reviews["bindings"] = pods.bind_by_name
    app.subresources["pods", "eviction"] = eviction.evict
    app.subresources["pods", "resize"] = pods.resize
    app.subresources["pods", "log"] = streams.log
    app.subresources["pods", "exec"] = connecting(streams.upgrade)
    app.subresources["pods", "attach"] = connecting(streams.upgrade)
    app.subresources["pods", "portforward"] = connecting(streams.upgrade)
    app.subresources["pods", "proxy"] = connecting(streams.proxy_pod)
    app.subresources["services", "proxy"] = connecting(streams.proxy_service)
    app.subresources["nodes", "proxy"] = connecting(streams.proxy_node)
