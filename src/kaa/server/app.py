"""The handler: what is asked, who asks, may they, and the room that answers.

Reads that find everything at hand are answered without a task; whatever waits returns a coroutine, which is bounded in
number. Errors become `Status` objects here and nowhere else.
"""

from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from inspect import isawaitable
from typing import Protocol

from kaa.base.log import Logger
from kaa.http.api import Answer, Request
from kaa.kinds.spec import KindSpec
from kaa.meta import errors
from kaa.server import forms
from kaa.server.call import Call, Parts
from kaa.server.request import RequestInfo, User, parse, refusal
from kaa.server.verbs import deletions, patches, reads, watches, writes

__all__ = ["Application", "Authenticate", "Authorize", "Decision", "Impersonate", "Limits"]

_log = Logger("apiserver")

#: Verbs that are for one object, and so need its name in the path.
NAMED = ("get", "update", "patch", "delete")

#: Verbs that are counted each; all that clients make up besides counts as one.
COUNTED = frozenset({"get", "list", "watch", "create", "update", "patch", "delete", "deletecollection", "post", "put",
                     "head"})  # fmt: skip

IMPERSONATE = "impersonate-"

Answering = Answer | Awaitable[Answer]
Verb = Callable[[Call], Answering]


@dataclass(frozen=True, slots=True)
class Decision:
    """An authorizer's answer. `reason` tells an auditor why.

    Neither allowed nor denied is no opinion: others are asked, and if none allows, the answer is no.
    """

    allowed: bool
    reason: str = ""
    #: No, and nobody else is asked.
    denied: bool = False
    #: What went wrong on the way, for reviews; it decides nothing by itself.
    error: str = ""


class Authenticate(Protocol):
    """Finds out who asks; raises 401 when that cannot be told."""

    def __call__(self, request: Request) -> User | Awaitable[User]: ...


class Impersonate(Protocol):
    """Finds out whom a request wants to be taken for; raises when its user may not."""

    def __call__(self, request: Request, user: User, authorize: "Authorize") -> Awaitable[User]: ...


class Authorize(Protocol):
    """Decides whether a user may do what is asked."""

    def __call__(self, user: User, info: RequestInfo) -> Decision | Awaitable[Decision]: ...


@dataclass(frozen=True)
class Limits:
    """How much the server takes on at once; beyond it clients are asked to come again (429)."""

    #: Requests that wait for something, such as a commit.
    waiting_max: int = 2000


class Application:
    """The API as a handler of requests. `routes` are the paths that are no resources, exact or by first segment."""

    def __init__(self, parts: Parts, authenticate: Authenticate, authorize: Authorize,
                 limits: Limits = Limits(), impersonate: Impersonate | None = None) -> None:  # fmt: skip
        self.parts = parts
        self.limits = limits
        self._authenticate = authenticate
        self._authorize = authorize
        self._impersonate = impersonate
        self._waiting = 0
        #: Paths outside the resources: exact ("/version") or a prefix that ends in a slash ("/openapi/").
        self.routes: dict[str, Callable[[Request, User], Answering]] = {}
        #: Subresources with handlers of their own: ("pods", "binding"); ("*", "scale") is for every kind.
        self.subresources: dict[tuple[str, str], Verb] = {}
        #: Kinds of which nothing is kept, answered on create: "subjectaccessreviews.authorization.k8s.io".
        self.reviews: dict[str, Verb] = {}
        #: Requests answered, by verb: for /metrics.
        self.counts: dict[str, int] = {}

    def __call__(self, request: Request) -> Answering:
        """Answer one request; never raises."""
        try:
            info = parse(request)
            if request.trail is not None:
                request.trail.info = info
            user = self._authenticate(request)
            if isawaitable(user):
                return self._wait(self._after_authentication(request, info, user), request)
            if _impersonates(request):
                return self._wait(self._taken_for_another(request, info, user), request)
            decision = self._authorize(user, info)
            if isawaitable(decision):
                return self._wait(self._after_authorization(request, info, user, decision), request)
            if request.trail is not None:
                request.trail.decided(user, decision)
            if not decision.allowed:
                raise refusal(user, info, decision.reason)
            answer = self.dispatch(request, info, user)
        except errors.StatusError as error:
            return forms.render_status(error, request.headers.get("accept", ""))
        except Exception as error:
            return _broken(request, error)
        if isawaitable(answer):
            return self._wait(answer, request)
        return answer

    async def _after_authentication(self, request: Request, info: RequestInfo, coming: Awaitable[User]) -> Answer:
        user = await coming
        if _impersonates(request):
            return await self._taken_for_another(request, info, user)
        return await self._after_authorization(request, info, user, self._authorize(user, info))

    async def _taken_for_another(self, request: Request, info: RequestInfo, user: User) -> Answer:
        if self._impersonate is None:
            raise errors.forbidden(None, "", "impersonation is not served here")
        other = await self._impersonate(request, user, self._authorize)
        # Nobody behind this sees who asked, nor passes it on to a node.
        request.headers = {name: value for name, value in request.headers.items() if not name.startswith(IMPERSONATE)}
        return await self._after_authorization(request, info, other, self._authorize(other, info))

    async def _after_authorization(self, request: Request, info: RequestInfo, user: User,
                                   coming: Decision | Awaitable[Decision]) -> Answer:  # fmt: skip
        decision = await coming if isawaitable(coming) else coming
        if request.trail is not None:
            request.trail.decided(user, decision)
        if not decision.allowed:
            raise refusal(user, info, decision.reason)
        answer = self.dispatch(request, info, user)
        return await answer if isawaitable(answer) else answer

    def _wait(self, coming: Awaitable[Answer], request: Request) -> Answering:
        if self._waiting >= self.limits.waiting_max:
            if isinstance(coming, Coroutine):
                coming.close()
            return forms.render_status(
                errors.too_many_requests("the server has too many requests waiting, please try again later", 1)
            )
        return self._guarded(coming, request)

    async def _guarded(self, coming: Awaitable[Answer], request: Request) -> Answer:
        self._waiting += 1
        try:
            return await coming
        except errors.StatusError as error:
            return forms.render_status(error, request.headers.get("accept", ""))
        except Exception as error:
            return _broken(request, error)
        finally:
            self._waiting -= 1

    def dispatch(self, request: Request, info: RequestInfo, user: User) -> Answering:
        """The answer to a request that may be made. Raises StatusError."""
        verb = info.verb if info.verb in COUNTED else "other"
        self.counts[verb] = self.counts.get(verb, 0) + 1
        if not info.is_resource:
            return self._route(request, info, user)
        spec = self.parts.registry.get(info.group, info.version, info.resource)
        if spec is None or (info.namespace and not spec.namespaced and _misplaced(info)):
            raise errors.not_found_path()
        call = Call(request, info, user, spec, self.parts)
        if request.trail is not None:
            call.audit = request.trail.annotations
        if spec.deprecation:
            call.warnings.append(spec.deprecation)
        if info.subresource:
            return self._subresource(call, spec)
        if info.verb not in spec.verbs and not (info.verb == "get" and spec.storable):
            raise errors.method_not_allowed(spec.resource, info.verb)
        if bool(info.name) != (info.verb in NAMED) and info.verb in (*NAMED, "create"):
            raise errors.method_not_allowed(spec.resource, info.verb)
        match info.verb:
            case "get":
                return reads.get(call)
            case "list":
                return reads.list_objects(call)
            case "watch":
                return watches.watch(call)
            case "create":
                review = self.reviews.get(spec.resource.qualified)
                if review is not None:
                    return review(call)
                if not spec.storable:
                    raise errors.StatusError(
                        501, "NotImplemented",
                        f"{spec.resource.qualified} is not served by this release: see docs/conformance.md",
                    )  # fmt: skip
                return writes.create(call)
            case "update":
                return writes.update(call)
            case "patch":
                return patches.patch_object(call)
            case "delete":
                return deletions.delete(call)
            case "deletecollection":
                return deletions.delete_collection(call)
            case _:
                raise errors.method_not_allowed(spec.resource, info.verb)

    def _subresource(self, call: Call, spec: KindSpec) -> Answering:
        info = call.info
        known = spec.subresources.get(info.subresource)
        if known is None:
            raise errors.not_found_path()
        handler = self.subresources.get((spec.resource.qualified, info.subresource))
        handler = handler or self.subresources.get(("*", info.subresource))
        if handler is not None:
            return handler(call)
        if info.subresource != "status" and info.subresource not in spec.rules.subwrites:
            raise errors.StatusError(
                501, "NotImplemented",
                f"{spec.resource.qualified}/{info.subresource} is not served by this release: see docs/conformance.md",
            )  # fmt: skip
        match info.verb:
            case "get":
                return reads.get(call)
            case "update":
                return writes.update(call)
            case "patch":
                return patches.patch_object(call)
            case _:
                raise errors.method_not_allowed(spec.resource, info.verb)

    def _route(self, request: Request, info: RequestInfo, user: User) -> Answering:
        path = info.path
        handler = self.routes.get(path) or self.routes.get(path.rstrip("/"))
        if handler is None:
            end = path.find("/", 1)
            handler = self.routes.get(path[: end + 1]) if end > 0 else None
        if handler is None:
            raise errors.not_found_path()
        return handler(request, user)


def _impersonates(request: Request) -> bool:
    for name in request.headers:  # noqa: SIM110 - a generator would cost more than all the rest of this
        if name.startswith(IMPERSONATE):
            return True
    return False


def _misplaced(info: RequestInfo) -> bool:
    """Something of the whole cluster, asked for inside a namespace: rights in a namespace must not reach it there.
    A Namespace itself is asked for "inside" itself, but not among the things in another, or in itself."""
    if info.resource != "namespaces" or info.group:
        return True
    return info.path.split("/")[5:6] == ["namespaces"] or info.name != info.namespace


def _broken(request: Request | None, error: Exception) -> Answer:
    if request is not None and request.trail is not None:
        request.trail.panicked(error)
    _log.error("a request failed", request=repr(request), error=repr(error), exc=error)
    return forms.render_status(errors.internal(f"{type(error).__name__}: {error}"))
