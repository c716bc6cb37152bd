"""How one value is encrypted and opened. Stored forms are the original's, byte for byte, so that either can read them:

- aesgcm: 12 bytes nonce, then ciphertext and tag; the storage key is authenticated with it.
- aescbc: 16 bytes IV, then ciphertext padded by PKCS#7; nothing is authenticated (which is why it is discouraged).
- secretbox: 24 bytes nonce, then the box (XSalsa20 and Poly1305); the storage key is not authenticated.
"""

import os
from collections.abc import Sequence
from typing import Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

__all__ = [
    "ENCRYPTED",
    "IDENTITY_MISREAD",
    "AesCbc",
    "AesGcm",
    "Identity",
    "Keyed",
    "Secretbox",
    "Transformer",
    "Untransformable",
]

#: What every encrypted value begins with.
ENCRYPTED = b"k8s:enc:"
IDENTITY_MISREAD = "identity transformer tried to read encrypted data"
_TOO_SHORT = "the stored data was shorter than the required size"


class Untransformable(Exception):
    """A stored value that cannot be opened; the text is the original's."""


class Sealer(Protocol):
    """Encrypts with one key. `key_name` is where the value is kept in the store."""

    def seal(self, value: bytes, key_name: bytes) -> bytes: ...

    def open(self, data: bytes, key_name: bytes) -> bytes:
        """Raises Untransformable."""
        ...


class AesGcm:
    """AES in Galois counter mode, with a random nonce: a key is good for some four billion writes."""

    NONCE = 12

    def __init__(self, key: bytes) -> None:
        self._aead = AESGCM(key)

    def seal(self, value: bytes, key_name: bytes) -> bytes:
        nonce = os.urandom(self.NONCE)
        return nonce + self._aead.encrypt(nonce, value, key_name)

    def open(self, data: bytes, key_name: bytes) -> bytes:
        if len(data) < self.NONCE:
            raise Untransformable(_TOO_SHORT)
        try:
            return self._aead.decrypt(data[: self.NONCE], data[self.NONCE :], key_name)
        except InvalidTag as error:
            raise Untransformable("cipher: message authentication failed") from error


class AesCbc:
    """AES in cipher block chaining mode."""

    BLOCK = 16

    def __init__(self, key: bytes) -> None:
        self._algorithm = algorithms.AES(key)

    def seal(self, value: bytes, key_name: bytes) -> bytes:
        iv = os.urandom(self.BLOCK)
        padding = self.BLOCK - len(value) % self.BLOCK
        encryptor = Cipher(self._algorithm, modes.CBC(iv)).encryptor()
        return iv + encryptor.update(value + bytes((padding,)) * padding) + encryptor.finalize()

    def open(self, data: bytes, key_name: bytes) -> bytes:
        if len(data) < self.BLOCK:
            raise Untransformable(_TOO_SHORT)
        iv, body = data[: self.BLOCK], data[self.BLOCK :]
        if len(body) % self.BLOCK:
            raise Untransformable("the stored data is not a multiple of the block size")
        decryptor = Cipher(self._algorithm, modes.CBC(iv)).decryptor()
        padded = decryptor.update(body) + decryptor.finalize()
        padding = padded[-1] if padded else 0
        if not 0 < padding <= len(padded):
            raise Untransformable("invalid PKCS7 data (empty or not padded)")
        if padded[-padding:] != bytes((padding,)) * padding:
            raise Untransformable("invalid padding on input")
        return padded[:-padding]


class Secretbox:
    """XSalsa20 and Poly1305."""

    NONCE, OVERHEAD = 24, 16

    def __init__(self, key: bytes) -> None:
        from nacl.bindings import crypto_secretbox, crypto_secretbox_open  # late: few servers need libsodium
        from nacl.exceptions import CryptoError

        self._key, self._box, self._unbox, self._error = key, crypto_secretbox, crypto_secretbox_open, CryptoError

    def seal(self, value: bytes, key_name: bytes) -> bytes:
        nonce = os.urandom(self.NONCE)
        return nonce + bytes(self._box(value, nonce, self._key))

    def open(self, data: bytes, key_name: bytes) -> bytes:
        if len(data) < self.NONCE + self.OVERHEAD:
            raise Untransformable(_TOO_SHORT)
        try:
            return bytes(self._unbox(data[self.NONCE :], data[: self.NONCE], self._key))
        except self._error as error:
            # Any failure of opening is told by the original in these words.
            raise Untransformable("output array was not large enough for encryption") from error


class Provider(Protocol):
    """One entry of a list of providers."""

    #: What values written by it begin with; "" for values that are stored as they are.
    prefix: bytes
    #: What values written now begin with: the prefix, and the name of the first key.
    written: bytes

    def seal(self, value: bytes, key_name: bytes) -> bytes: ...

    def open(self, data: bytes, key_name: bytes) -> bytes: ...


class Identity:
    """Values as they are; encrypted ones are refused."""

    prefix = written = b""

    def seal(self, value: bytes, key_name: bytes) -> bytes:
        return value

    def open(self, data: bytes, key_name: bytes) -> bytes:
        if data.startswith(ENCRYPTED):
            raise Untransformable(IDENTITY_MISREAD)
        return data


class Keyed:
    """Several keys of one provider, by name: the first writes, the one that a value names reads it."""

    def __init__(self, prefix: str, what: str, keys: Sequence[tuple[str, Sealer]]) -> None:
        self.prefix = prefix.encode()
        self._what = what
        self._keys = [(f"{name}:".encode(), sealer) for name, sealer in keys]
        first, self._sealer = self._keys[0]
        self.written = self.prefix + first

    def seal(self, value: bytes, key_name: bytes) -> bytes:
        return self.written + self._sealer.seal(value, key_name)

    def open(self, data: bytes, key_name: bytes) -> bytes:
        rest = data[len(self.prefix) :]
        wrong: list[str] = []
        for name, sealer in self._keys:
            if rest.startswith(name):
                try:
                    return sealer.open(rest[len(name) :], key_name)
                except Untransformable as error:
                    # Two keys may have the same name while one is exchanged for the other.
                    wrong.append(str(error))
        raise Untransformable(_all(wrong) or f"no matching key was found for the provided {self._what} transformer")


class Transformer:
    """The providers for some resources, in the order of the file."""

    def __init__(self, providers: Sequence[Provider]) -> None:
        self._providers = tuple(providers)
        self._writes = self._providers[0]

    def seal(self, value: bytes, key: str) -> bytes:
        """As it is to be stored under `key`."""
        return self._writes.seal(value, key.encode())

    def open(self, data: bytes, key: str) -> bytes:
        """What was stored under `key`. Raises Untransformable."""
        wrong: list[str] = []
        for provider in self._providers:
            if not data.startswith(provider.prefix):
                continue
            try:
                return provider.open(data, key.encode())
            except Untransformable as error:
                if provider.prefix:  # what is encrypted may be another provider's further down
                    wrong.append(str(error))
        raise Untransformable(_all(wrong) or "no matching prefix found")

    def stale(self, data: bytes) -> bool:
        """Whether another provider or key wrote it than the one that writes now."""
        written = self._writes.written
        return not data.startswith(written) if written else data.startswith(ENCRYPTED)


def _all(wrong: Sequence[str]) -> str:
    """Several errors as the original shows them."""
    distinct = list(dict.fromkeys(wrong))
    return distinct[0] if len(distinct) == 1 else f"[{', '.join(distinct)}]" if distinct else ""
