"""The only door to chance: identifiers, suffixes, jitter.

One generator per process, seedable: a simulated world calls `seed` once and every run is the same run. What must be
unguessable (`token`) never comes from it.
"""

import random
import secrets
import uuid
from collections.abc import Sequence
from typing import TypeVar

__all__ = ["choice", "jitter", "seed", "shuffled", "suffix", "token", "uid"]

# No vowels and no look-alikes, so that generated names spell nothing and read aloud well; the alphabet users know
# from pod names.
_ALPHABET = "bcdfghjklmnpqrstvwxz2456789"
_chance = random.Random()
T = TypeVar("T")


def seed(value: int) -> None:
    """Make everything that follows in this process repeatable."""
    _chance.seed(value)


def uid() -> str:
    """A version 4 UUID, for `metadata.uid`."""
    return str(uuid.UUID(int=_chance.getrandbits(128), version=4))


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
