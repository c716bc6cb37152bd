"""The only door to chance: identifiers, suffixes, jitter.

One generator per process, seedable: a simulated world calls `seed` once and every run is the same run. What must be
unguessable (`token`) never comes from it.
"""

import random
import secrets
from collections.abc import Sequence
from typing import TypeVar

__all__ = ["choice", "jitter", "seed", "shuffled", "suffix", "token", "uid"]

# No vowels and no look-alikes, so that generated names spell nothing and read aloud well; the alphabet users know
# from pod names.
_ALPHABET = "bcdfghjklmnpqrstvwxz2456789"
_chance = random.Random()
# What of 128 bits is chance in a UUID of version 4 (RFC 9562, 5.4), and what says the version and the variant.
_UUID_VERSION = (4 << 76) | (0b10 << 62)
_UUID_FREE = ~((0xF << 76) | (0b11 << 62)) & ((1 << 128) - 1)
T = TypeVar("T")


def seed(value: int) -> None:
    """Make everything that follows in this process repeatable."""
    _chance.seed(value)


def uid() -> str:
    """A version 4 UUID, for `metadata.uid`."""
    # As str(uuid.UUID(int=..., version=4)), in a third of the time: each object and each audited request has one.
    digits = f"{(_chance.getrandbits(128) & _UUID_FREE) | _UUID_VERSION:032x}"
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def suffix(length: int = 5) -> str:
    """A random tail for a generated name."""
    return "".join(_chance.choices(_ALPHABET, k=length))


def token(length_bytes: int = 24) -> str:
    """An unguessable URL-safe secret, from the operating system; not affected by `seed`."""
    return secrets.token_urlsafe(length_bytes)


def jitter(value: float, fraction: float = 0.1) -> float:
    """`value` plus up to `fraction` of it, so that many waiters do not wake at once."""
    return value * (1.0 + _chance.random() * fraction)


def choice(items: Sequence[T]) -> T:
    """One of the items."""
    return _chance.choice(items)


def shuffled(items: Sequence[T]) -> list[T]:
    """A new list in random order."""
    return _chance.sample(items, len(items))
