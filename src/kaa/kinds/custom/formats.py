"""The named formats of strings in a custom resource's schema. Formats that are not named here are not checked, and
warned of when a definition brings them.

The list is that of apiextensions.k8s.io/v1.
"""

from __future__ import annotations

import base64
import binascii
import ipaddress
import re
from collections.abc import Callable
from datetime import date, datetime
from urllib.parse import urlsplit

from kaa.meta import names

__all__ = ["FORMATS", "check_of", "recognized"]

_HEX = re.compile(r"[0-9a-fA-F]{24}\Z")
_EMAIL = re.compile(r"[^@\s]+@[^@\s.]+(\.[^@\s.]+)*\Z")
_HOSTNAME = re.compile(r"(?=.{1,253}\Z)[a-zA-Z0-9]([a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?(\.[a-zA-Z0-9]([a-zA-Z0-9-]{0,61}"
                       r"[a-zA-Z0-9])?)*\.?\Z")  # fmt: skip
_MAC = re.compile(r"([0-9a-fA-F]{2}([:-])[0-9a-fA-F]{2}(\2[0-9a-fA-F]{2}){4})\Z")
_UUID = r"[0-9a-f]{8}-?[0-9a-f]{4}-?%s[0-9a-f]{3}-?%s[0-9a-f]{3}-?[0-9a-f]{12}\Z"
_HEX_COLOR = re.compile(r"#?([0-9a-fA-F]{3}|[0-9a-fA-F]{6})\Z")
_RGB_COLOR = re.compile(r"rgb\(\s*(25[0-5]|2[0-4]\d|1?\d?\d)\s*,\s*(25[0-5]|2[0-4]\d|1?\d?\d)\s*,\s*"
                        r"(25[0-5]|2[0-4]\d|1?\d?\d)\s*\)\Z")  # fmt: skip
_SSN = re.compile(r"\d{3}[- ]?\d{2}[- ]?\d{4}\Z")
_LONG_NAME = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*\Z")
_DURATION = re.compile(
    r"[+-]?(\d+(\.\d*)?|\.\d+)(ns|us|µs|ms|s|m|h|d|w)((\d+(\.\d*)?|\.\d+)(ns|us|µs|ms|s|m|h|d|w))*\Z"
)
_DATE_TIME = re.compile(r"\d{4}-\d{2}-\d{2}[Tt ]\d{2}:\d{2}:\d{2}(\.\d+)?([Zz]|[+-]\d{2}:\d{2})?\Z")


def _uuid(version: str, variant: str = "[0-9a-f]") -> Callable[[str], bool]:
    pattern = re.compile(_UUID % (version, variant), re.IGNORECASE)
    return lambda value: pattern.match(value) is not None


def _matches(pattern: re.Pattern[str]) -> Callable[[str], bool]:
    return lambda value: pattern.match(value) is not None


def _tries(parse: Callable[[str], object]) -> Callable[[str], bool]:
    def check(value: str) -> bool:
        try:
            parse(value)
        except ValueError:
            return False
        return True

    return check


def _uri(value: str) -> bool:
    try:
        parts = urlsplit(value)
    except ValueError:
        return False
    return value.startswith("/") or bool(parts.scheme)


def _byte(value: str) -> bool:
    try:
        base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        return False
    return True


def _date_time(value: str) -> bool:
    if not _DATE_TIME.match(value):
        return False
    try:
        datetime.fromisoformat(value[:19].replace("t", "T").replace(" ", "T"))
    except ValueError:
        return value[17:19] == "60"
    return True


def _isbn(length: int) -> Callable[[str], bool]:
    def check(value: str) -> bool:
        digits = value.replace("-", "").replace(" ", "")
        if len(digits) != length or not digits[:-1].isdigit():
            return False
        if length == 10:
            last = 10 if digits[-1] in "xX" else int(digits[-1]) if digits[-1].isdigit() else -1
            return last >= 0 and (sum((10 - at) * int(d) for at, d in enumerate(digits[:-1])) + last) % 11 == 0
        return digits.isdigit() and sum(int(d) * (1, 3)[at % 2] for at, d in enumerate(digits)) % 10 == 0

    return check


def _credit_card(value: str) -> bool:
    digits = value.replace("-", "").replace(" ", "")
    if not digits.isdigit() or not 12 <= len(digits) <= 19:
        return False
    doubled = [int(d) * (1 + at % 2) for at, d in enumerate(reversed(digits))]
    return sum(d - 9 if d > 9 else d for d in doubled) % 10 == 0


FORMATS: dict[str, Callable[[str], bool]] = {
    "bsonobjectid": _matches(_HEX),
    "uri": _uri,
    "email": _matches(_EMAIL),
    "hostname": _matches(_HOSTNAME),
    "ipv4": _tries(ipaddress.IPv4Address),
    "ipv6": _tries(ipaddress.IPv6Address),
    "cidr": lambda value: "/" in value and _tries(lambda text: ipaddress.ip_network(text, strict=False))(value),
    "mac": _matches(_MAC),
    "uuid": _uuid("[0-9a-f]"),
    "uuid3": _uuid("3"),
    "uuid4": _uuid("4", "[89ab]"),
    "uuid5": _uuid("5", "[89ab]"),
    "isbn": lambda value: _isbn(10)(value) or _isbn(13)(value),
    "isbn10": _isbn(10),
    "isbn13": _isbn(13),
    "creditcard": _credit_card,
    "ssn": _matches(_SSN),
    "hexcolor": _matches(_HEX_COLOR),
    "rgbcolor": _matches(_RGB_COLOR),
    "byte": _byte,
    "password": lambda value: True,
    "date": _tries(date.fromisoformat),
    "duration": _matches(_DURATION),
    "datetime": _date_time,
    "k8sshortname": lambda value: not list(names.dns1123_label(value)),
    "k8slongname": lambda value: len(value) <= 253 and _LONG_NAME.match(value) is not None,
}


def check_of(name: str) -> Callable[[str], bool] | None:
    """Whether a string has a format; None for formats that are not checked. Hyphens in a name do not count. Formats of
    numbers (int32, double) say how they are meant, and are not checked either: as in the original."""
    return FORMATS.get(name.replace("-", ""))


def recognized(name: str) -> bool:
    """Whether a format is one that is checked."""
    return name.replace("-", "") in FORMATS
