"""The API with an audit: the same handler, and a trail of each request."""

from collections.abc import Awaitable
from inspect import isawaitable
from typing import Any

from kaa.http.api import Answer, Request
from kaa.meta.errors import StatusError
from kaa.server.app import Application, Authenticate
from kaa.server.audit.auditor import Auditor
from kaa.server.audit.trail import Trail
from kaa.server.call import Parts
from kaa.server.request import User

__all__ = ["AuditedApplication"]


class AuditedApplication(Application):
    """An `Application` that tells an `Auditor` of what it does. A server without a policy does not have one."""

    def __init__(self, auditor: Auditor, parts: Parts, authenticate: Authenticate, *more: Any, **options: Any) -> None:
        super().__init__(parts, self._authenticating(authenticate), *more, **options)
        self.auditor = auditor

    def __call__(self, request: Request) -> Answer | Awaitable[Answer]:
        trail = self.auditor.begin(request)
        answer = super().__call__(request)
        if isawaitable(answer):
            return self._end_later(trail, answer)
        return self.auditor.end(trail, answer)

    async def _end_later(self, trail: Trail, coming: Awaitable[Answer]) -> Answer:
        answer = self.auditor.end(trail, await coming)
        return await answer if isawaitable(answer) else answer

    def _authenticating(self, authenticate: Authenticate) -> Authenticate:
        def known(request: Request) -> User | Awaitable[User]:
            trail: Trail = request.trail
            try:
                user = authenticate(request)
            except StatusError as error:
                self.auditor.unknown(trail, error)
                raise
            if isawaitable(user):
                return later(trail, user)
            self.auditor.known(trail, user)
            return user

        async def later(trail: Trail, coming: Awaitable[User]) -> User:
            try:
                user = await coming
            except StatusError as error:
                self.auditor.unknown(trail, error)
                raise
            self.auditor.known(trail, user)
            return user

        return known
