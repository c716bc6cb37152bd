"""Connections (exec, attach, port-forward, proxies) are admitted before they are made: operation CONNECT.

What is admitted are the connection's options, as the API's own kinds have them (PodExecOptions, ...).
"""

from collections.abc import Awaitable, Callable
from inspect import isawaitable
from typing import Any

from kaa.http.api import Answer
from kaa.meta import errors
from kaa.server.call import Call

__all__ = ["connecting", "options_of"]

Json = dict[str, Any]
Handler = Callable[[Call], Any]


def connecting(handler: Handler) -> Handler:
    """The handler behind admission. Where nobody wants to see connections, it is called as it is."""

    def handle(call: Call) -> Any:
        if call.info.verb not in ("get", "create") and call.info.subresource != "proxy":
            return handler(call)
        if not call.parts.admission.handles(call.spec, call.info.subresource, "CONNECT"):
            return handler(call)
        return _admitted(call, handler)

    return handle


async def _admitted(call: Call, handler: Callable[[Call], Answer | Awaitable[Answer]]) -> Answer:
    options = options_of(call)
    before = dict(options)
    attributes = call.attributes("CONNECT", options, None)
    await call.parts.admission.mutate(attributes)
    if options != before:
        raise errors.StatusError(
            501, "NotImplemented", f"admission changed the {before['kind']} of this connection: options of connections "
            "are not changed by this release, let webhooks and policies refuse instead",
        )  # fmt: skip
    await call.parts.admission.validate(attributes)
    answer = handler(call)
    return await answer if isawaitable(answer) else answer


def options_of(call: Call) -> Json:
    """The query as the subresource's kind of options."""
    subresource = call.info.subresource
    group, version, kind = call.spec.subresources[subresource].kind
    api_version = f"{group}/{version}" if group else version
    options: Json = {"kind": kind, "apiVersion": api_version}
    for name, read in _FIELDS.get(kind, {}).items():
        values = call.request.params.get(name) or []
        if name == "path" and subresource == "proxy" and call.info.rest:
            values = [f"/{call.info.rest}"]
        if values:
            options[name] = read(values)
    return options


def _text(values: list[str]) -> str:
    return values[0]


def _truth(values: list[str]) -> bool:
    return values[0].lower() not in ("false", "0")


def _numbers(values: list[str]) -> list[int]:
    found = []
    for each in ",".join(values).split(","):
        try:
            found.append(int(each))
        except ValueError as error:
            raise errors.bad_request(f'strconv.ParseInt: parsing "{each[:40]}": invalid syntax') from error
    return found


_STREAMS: dict[str, Callable[[list[str]], Any]] = {
    "stdin": _truth, "stdout": _truth, "stderr": _truth, "tty": _truth, "container": _text,
}  # fmt: skip
#: These kinds are only ever queries: no published schema has them.
_FIELDS: dict[str, dict[str, Callable[[list[str]], Any]]] = {
    "PodExecOptions": {**_STREAMS, "command": list},
    "PodAttachOptions": _STREAMS,
    "PodPortForwardOptions": {"ports": _numbers},
    "PodProxyOptions": {"path": _text},
    "ServiceProxyOptions": {"path": _text},
    "NodeProxyOptions": {"path": _text},
}
