"""What a request asks for, read off its method and path; and who asks."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from kaa.http.api import Request
from kaa.meta import errors
from kaa.meta.selectors import SelectorError, parse_fields

__all__ = ["ANONYMOUS", "RequestInfo", "User", "parse", "refusal"]


@dataclass(frozen=True, slots=True)
class User:
    """An authenticated identity. Authorization sees nothing else of the caller."""

    name: str
    groups: tuple[str, ...] = ()
    uid: str = ""
    extra: Mapping[str, tuple[str, ...]] = field(default_factory=dict, hash=False)
    #: Who has asked to be taken for this user; None where nobody has. For audit, never for decisions.
    impersonator: "User | None" = field(default=None, compare=False)


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
    #: What a list, watch or collection is restricted to, as it was asked: authorizers may allow only a part.
    field_selector: str = ""
    label_selector: str = ""


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
    watching = False
    if rest[0] == "watch" and len(rest) > 1:
        # The old form of a watch: /api/v1/watch/namespaces/NAMESPACE/pods/NAME.
        watching, rest = True, rest[1:]
        if rest[0] == "namespaces" and len(rest) > 2:
            namespace, rest = rest[1], rest[2:]
    resource = rest[0]
    name = rest[1] if len(rest) > 1 else ""
    subresource = rest[2] if len(rest) > 2 else ""
    tail = "/".join(rest[3:])
    if subresource == "proxy" and len(path) > 1 and path.endswith("/") and not tail.endswith("/"):
        tail += "/"
    verb = _VERBS.get(request.method, request.method.lower())
    if watching:
        verb = "watch" if verb == "get" else verb
    elif not name and not subresource:
        if verb == "get":
            verb = "watch" if "watch" in request.query and _watching(request) else "list"
        elif verb == "delete":
            verb = "deletecollection"
        if "Selector" in request.query and verb in ("list", "watch", "deletecollection"):
            fields = request.param("fieldSelector")
            if "metadata.name" in fields:
                # What is restricted to one name is allowed by rules that name it.
                name = _selected_name(fields)
            return RequestInfo(verb, path, True, group, version, resource, subresource, namespace, name, tail,
                               fields, request.param("labelSelector"))  # fmt: skip
    return RequestInfo(verb, path, True, group, version, resource, subresource, namespace, name, tail)


def _watching(request: Request) -> bool:
    """`watch` is on unless it says "false" or "0": the API reads switches of a query so."""
    values = request.params.get("watch")
    return values is not None and values[0].lower() not in ("false", "0")


def _selected_name(text: str) -> str:
    """The one name a field selector leaves, or ""."""
    try:
        name = parse_fields(text).exact("metadata.name") or ""
    except SelectorError:
        return ""  # the verb says what is wrong with it
    return "" if name in (".", "..") or "/" in name or "%" in name else name


def refusal(user: User, info: RequestInfo, reason: str) -> errors.StatusError:
    """403 in the words that users of RBAC know."""
    tail = f": {reason}" if reason else ""
    if not info.is_resource:
        return errors.forbidden(None, "", f'User "{user.name}" cannot {info.verb} path "{info.path}"{tail}')
    resource = f"{info.resource}/{info.subresource}" if info.subresource else info.resource
    where = f' in the namespace "{info.namespace}"' if info.namespace else " at the cluster scope"
    qualified = f"{info.resource}.{info.group}" if info.group else info.resource
    label = f'{qualified} "{info.name}"' if info.name else qualified
    details: dict[str, Any] = {"kind": info.resource}
    if info.name:
        details["name"] = info.name
    if info.group:
        details["group"] = info.group
    return errors.StatusError(
        403,
        "Forbidden",
        f'{label} is forbidden: User "{user.name}" cannot {info.verb} resource "{resource}" '
        f'in API group "{info.group}"{where}{tail}',
        details,
    )
