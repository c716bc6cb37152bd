"""What a request asks for, read off its method and path; and who asks."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from kaa.http.api import Request

__all__ = ["ANONYMOUS", "RequestInfo", "User", "parse"]


@dataclass(frozen=True, slots=True)
class User:
    """An authenticated identity. Authorization sees nothing else of the caller."""

    name: str
    groups: tuple[str, ...] = ()
    uid: str = ""
    extra: Mapping[str, tuple[str, ...]] = field(default_factory=dict, hash=False)


ANONYMOUS = User("system:anonymous", ("system:unauthenticated",))


@dataclass(frozen=True, slots=True)
class RequestInfo:
    """What is asked: a verb on a resource, or on a bare path. The words are those of RBAC rules and audit.

    `namespace` is "" for what has none and for all namespaces. For the namespace object itself it is its name, so
    that a role in a namespace can grant access to it.
    """

    verb: str
    path: str
    is_resource: bool = False
    group: str = ""
    version: str = ""
    resource: str = ""
    subresource: str = ""
    namespace: str = ""
    name: str = ""
    #: What follows the subresource: the path a proxied request goes on with.
    rest: str = ""


_VERBS = {"POST": "create", "GET": "get", "HEAD": "get", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}


def parse(request: Request) -> RequestInfo:
    """Read the method and path. A path that is no resource's keeps its lower-case method as its verb."""
    path = request.path
    parts = path.split("/")  # parts[0] is empty: paths start with a slash
    if len(parts) > 3 and parts[1] == "api":
        group, version, rest = "", parts[2], parts[3:]
    elif len(parts) > 4 and parts[1] == "apis":
        group, version, rest = parts[2], parts[3], parts[4:]
    else:
        return RequestInfo(request.method.lower(), path)
    if rest and rest[-1] == "":
        rest = rest[:-1]
    if not rest:
        return RequestInfo(request.method.lower(), path)
    namespace = ""
    if rest[0] == "namespaces" and len(rest) > 1 and not group:
        # /namespaces/NAME[/status|/finalize] is the namespace itself; with anything else after it, a place.
        namespace = rest[1]
        if len(rest) > 2 and rest[2] not in ("status", "finalize"):
            rest = rest[2:]
    elif rest[0] == "namespaces" and len(rest) > 2:
        namespace = rest[1]
        rest = rest[2:]
    resource = rest[0]
    name = rest[1] if len(rest) > 1 else ""
    subresource = rest[2] if len(rest) > 2 else ""
    tail = "/".join(rest[3:])
    if subresource == "proxy" and len(path) > 1 and path.endswith("/") and not tail.endswith("/"):
        tail += "/"
    verb = _VERBS.get(request.method, request.method.lower())
    if not name and not subresource:
        if verb == "get":
            watching = request.query and request.param("watch") in ("1", "true", "True")
            verb = "watch" if watching else "list"
        elif verb == "delete":
            verb = "deletecollection"
    return RequestInfo(verb, path, True, group, version, resource, subresource, namespace, name, tail)
