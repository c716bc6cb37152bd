"""Stored values that can't be read: encrypted with what this server does not have."""

__all__ = ["Unreadable", "why_unreadable"]

#: What a server without a configuration says of an encrypted value, in the original's words.
ENCRYPTED = b"k8s:enc:"
WITHOUT_CONFIG = "identity transformer tried to read encrypted data"


class Unreadable(bytes):
    """Stands for a value that can't be read; `reason` says why. It holds no bytes."""

    reason: str

    def __new__(cls, reason: str) -> "Unreadable":
        made = super().__new__(cls, b"")
        made.reason = reason
        return made


def why_unreadable(stored: bytes) -> str:
    """Why a stored value is no object."""
    if isinstance(stored, Unreadable):
        return stored.reason
    return WITHOUT_CONFIG if stored.startswith(ENCRYPTED) else "the stored value is not an object of this server's"
