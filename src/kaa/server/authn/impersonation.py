"""Being taken for another: `Impersonate-User`, `-Group`, `-Uid`, `-Extra-KEY`, each checked against the asker's rights.

Wording and order are the original's impersonation filter. The listener joins a header that is sent several times by
", ", so a group whose name holds a comma and a space cannot be asked for; every part is checked for itself, so that
nothing is gained by writing one.
"""

from urllib.parse import unquote

from kaa.http.api import Request
from kaa.meta import errors
from kaa.server.app import Authorize, Decision
from kaa.server.request import RequestInfo, User, refusal

__all__ = ["PREFIX", "impersonate"]

PREFIX = "impersonate-"
EXTRA = "impersonate-extra-"
ANONYMOUS, AUTHENTICATED, UNAUTHENTICATED = "system:anonymous", "system:authenticated", "system:unauthenticated"
ACCOUNT = "system:serviceaccount:"
AUTHENTICATION = "authentication.k8s.io"


async def impersonate(request: Request, user: User, authorize: Authorize) -> User:
    """Whom the request is to be taken for. Raises 403 where the asker may not, 500 where it makes no sense."""
    headers = request.headers
    name = headers.get("impersonate-user", "")
    groups = _values(headers.get("impersonate-group"))
    uid = headers.get("impersonate-uid", "")
    extra: dict[str, list[str]] = {}
    for header, value in headers.items():
        if header.startswith(EXTRA):
            extra[unquote(header[len(EXTRA) :])] = _values(value)
    if not name:
        if not (groups or uid or extra):
            return user  # a header that is empty, or one of no meaning
        raise errors.StatusError(500, "InternalError", _senseless(request, groups, extra, uid))
    asked: list[RequestInfo] = []
    account = _account(name)
    if account is not None:
        asked.append(RequestInfo("impersonate", "", True, "", "", "serviceaccounts", "", *account))
    else:
        asked.append(RequestInfo("impersonate", "", True, "", "", "users", name=name))
    asked += [RequestInfo("impersonate", "", True, "", "", "groups", name=group) for group in groups]
    asked += [
        RequestInfo("impersonate", "", True, AUTHENTICATION, "v1", "userextras", key, name=value)
        for key, values in extra.items()
        for value in values
    ]
    if uid:
        asked.append(RequestInfo("impersonate", "", True, AUTHENTICATION, "v1", "uids", name=uid))
    for info in asked:
        decision = authorize(user, info)
        decided = decision if isinstance(decision, Decision) else await decision
        if not decided.allowed:
            raise refusal(user, info, decided.reason)
    if not groups and account is not None:
        groups = ["system:serviceaccounts", f"system:serviceaccounts:{account[0]}"]
    if name == ANONYMOUS:
        if UNAUTHENTICATED not in groups:
            groups.append(UNAUTHENTICATED)
    elif AUTHENTICATED not in groups and UNAUTHENTICATED not in groups:
        groups.append(AUTHENTICATED)
    return User(name, tuple(groups), uid, {key: tuple(values) for key, values in extra.items()}, user)


def _values(header: str | None) -> list[str]:
    return [each for each in (part.strip() for part in header.split(", ")) if each] if header else []


def _account(name: str) -> tuple[str, str] | None:
    """Namespace and name of a service account's user name."""
    if not name.startswith(ACCOUNT):
        return None
    parts = name[len(ACCOUNT) :].split(":")
    return (parts[0], parts[1]) if len(parts) == 2 and all(parts) else None


def _senseless(request: Request, groups: list[str], extra: dict[str, list[str]], uid: str) -> str:
    """The original shows its object references here, field by field."""
    shown = [f"{{Group  {group}    }}" for group in groups]
    shown += [
        f"{{UserExtra  {value}  {AUTHENTICATION}/v1  {key}}}" for key, values in extra.items() for value in values
    ]
    if uid:
        shown.append(f"{{UID  {uid}  {AUTHENTICATION}/v1  }}")
    path = f"{request.raw_path}?{request.query}" if request.query else request.raw_path
    return f'Internal Server Error: "{path}": requested [{" ".join(shown)}] without impersonating a user'
