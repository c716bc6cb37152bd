"""Tokens from a file: `token,user,uid,"group1,group2"` a line, as `--token-auth-file` takes them."""

import csv
import hashlib
from pathlib import Path

from kaa.server.request import User

__all__ = ["StaticTokens", "TokenFileError"]


class TokenFileError(ValueError):
    """The file cannot be used; the text names the line."""


class StaticTokens:
    """Users by token. Tokens are kept hashed, so that looking one up does not compare secrets byte by byte."""

    def __init__(self, users: dict[str, User]) -> None:
        self._users = {_digest(token): user for token, user in users.items()}

    @classmethod
    def from_file(cls, path: Path) -> "StaticTokens":
        """Read the file; raises TokenFileError."""
        users: dict[str, User] = {}
        with path.open(newline="") as file:
            for number, row in enumerate(csv.reader(file), 1):
                if not row or row[0].startswith("#"):
                    continue
                if len(row) < 3 or not row[0] or not row[1]:
                    raise TokenFileError(
                        f'{path}:{number}: write token,user,uid and optionally "group1,group2"; got {len(row)} columns'
                    )
                groups = tuple(each.strip() for each in row[3].split(",") if each.strip()) if len(row) > 3 else ()
                users[row[0]] = User(row[1], (*groups, "system:authenticated"), row[2])
        return cls(users)

    def __call__(self, token: str) -> User | None:
        """The user of a token, or None."""
        return self._users.get(_digest(token))


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
