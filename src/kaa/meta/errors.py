"""The one error that becomes a `Status` on the wire, with a constructor for each reason.

Wording, codes and reasons are the API's: clients match on them (`errors.IsNotFound` reads the reason, people read
the message). Source of the facts: the published API conventions and the `Status` schema.
"""

from collections.abc import Iterable
from typing import Any

from kaa.meta.problems import Problem
from kaa.meta.resource import Resource

__all__ = [
    "StatusError",
    "already_exists",
    "bad_request",
    "conflict",
    "expired",
    "forbidden",
    "gone",
    "internal",
    "invalid",
    "method_not_allowed",
    "not_acceptable",
    "not_found",
    "not_found_path",
    "service_unavailable",
    "timeout",
    "too_large",
    "too_many_requests",
    "unauthorized",
    "unsupported_media_type",
]

Json = dict[str, Any]


class StatusError(Exception):
    """A refusal with its HTTP code, reason, message and details. Rendered in one place, by `to_status`."""

    def __init__(self, code: int, reason: str, message: str, details: Json | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.reason = reason
        self.message = message
        self.details = details or {}

    def to_status(self) -> Json:
        """The `Status` object, ready to encode."""
        status: Json = {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": self.message,
        }
        if self.reason:
            status["reason"] = self.reason
        if self.details:
            status["details"] = self.details
        status["code"] = self.code
        return status

    @classmethod
    def from_status(cls, status: Json) -> "StatusError":
        """The error a client reads from a server's answer; tolerant of what is missing."""
        return cls(
            int(status.get("code") or 500),
            str(status.get("reason") or ""),
            str(status.get("message") or "the server gave no message"),
            status.get("details"),
        )

    @property
    def retry_after_seconds(self) -> int:
        """What the server asks a client to wait before trying again; 0 when it says nothing."""
        return int(self.details.get("retryAfterSeconds") or 0)

    def __repr__(self) -> str:
        return f"StatusError({self.code}, {self.reason!r}, {self.message!r})"


def _details(resource: Resource, name: str = "", **more: Any) -> Json:
    details: Json = {}
    if name:
        details["name"] = name
    if resource.group:
        details["group"] = resource.group
    details["kind"] = resource.plural
    details.update(more)
    return details


def not_found(resource: Resource, name: str) -> StatusError:
    """404: no such object."""
    return StatusError(404, "NotFound", f'{resource.qualified} "{name}" not found', _details(resource, name))


def not_found_path() -> StatusError:
    """404: no such path or type; what `kubectl` explains as 'the server doesn't have a resource type'."""
    return StatusError(404, "NotFound", "the server could not find the requested resource", {})


def already_exists(resource: Resource, name: str) -> StatusError:
    """409: create of a name that is taken."""
    return StatusError(409, "AlreadyExists", f'{resource.qualified} "{name}" already exists', _details(resource, name))


def conflict(resource: Resource, name: str, why: str) -> StatusError:
    """409: the write was based on what is no longer so."""
    return StatusError(
        409,
        "Conflict",
        f'Operation cannot be fulfilled on {resource.qualified} "{name}": {why}',
        _details(resource, name),
    )


def invalid(resource: Resource, name: str, problems: Iterable[Problem]) -> StatusError:
    """422 with every problem and its path. `details.kind` is the kind, not the plural, here (as in the original)."""
    found = list(problems)
    listing = ", ".join(str(problem) for problem in found)
    if len(found) > 1:
        listing = f"[{listing}]"
    qualified_kind = f"{resource.kind}.{resource.group}" if resource.group else resource.kind
    details = _details(resource, name)
    details["kind"] = resource.kind
    details["causes"] = [
        {"reason": problem.reason, "message": problem.detail_text, "field": str(problem.path)} for problem in found
    ]
    return StatusError(422, "Invalid", f'{qualified_kind} "{name}" is invalid: {listing}', details)


def bad_request(message: str) -> StatusError:
    """400: the request cannot be understood."""
    return StatusError(400, "BadRequest", message)


def unauthorized(message: str = "Unauthorized") -> StatusError:
    """401: who are you?"""
    return StatusError(401, "Unauthorized", message)


def forbidden(resource: Resource | None, name: str, why: str) -> StatusError:
    """403 by authorization or admission. `resource` is None for a path that is no resource."""
    if resource is None:
        return StatusError(403, "Forbidden", f"forbidden: {why}", {})
    label = f'{resource.qualified} "{name}"' if name else resource.qualified
    return StatusError(403, "Forbidden", f"{label} is forbidden: {why}", _details(resource, name))


def method_not_allowed(resource: Resource, verb: str) -> StatusError:
    """405: the type does not have that verb."""
    return StatusError(
        405,
        "MethodNotAllowed",
        f'{verb} is not supported on resources of kind "{resource.qualified}"',
        _details(resource),
    )


def not_acceptable(accepted: Iterable[str]) -> StatusError:
    """406: none of the forms the client accepts is served."""
    listing = ", ".join(accepted)
    return StatusError(406, "NotAcceptable", f"only the following media types are accepted: {listing}")


def unsupported_media_type(got: str, accepted: Iterable[str]) -> StatusError:
    """415: the body comes in a form that is not read."""
    listing = ", ".join(accepted)
    return StatusError(
        415,
        "UnsupportedMediaType",
        f"the body of the request was in an unknown format - accepted media types include: {listing}",
    )


def expired(message: str) -> StatusError:
    """410: the revision asked for has been compacted; list again."""
    return StatusError(410, "Expired", message)


def gone(message: str) -> StatusError:
    """410 without a way to go on."""
    return StatusError(410, "Gone", message)


def too_large(bytes_max: int) -> StatusError:
    """413: the body is over the limit."""
    return StatusError(413, "RequestEntityTooLarge", f"Request entity too large: limit is {bytes_max}")


def too_many_requests(message: str, retry_after_seconds: int) -> StatusError:
    """429: try again after that many seconds."""
    return StatusError(429, "TooManyRequests", message, {"retryAfterSeconds": retry_after_seconds})


def internal(message: str) -> StatusError:
    """500: ours to mend."""
    return StatusError(500, "InternalError", f"Internal error occurred: {message}", {"causes": [{"message": message}]})


def service_unavailable(message: str) -> StatusError:
    """503: not now."""
    return StatusError(503, "ServiceUnavailable", message)


def timeout(message: str, retry_after_seconds: int = 0) -> StatusError:
    """504: the outcome is unknown; the client should look before it tries again."""
    details = {"retryAfterSeconds": retry_after_seconds} if retry_after_seconds else {}
    return StatusError(504, "Timeout", f"Timeout: {message}", details)
