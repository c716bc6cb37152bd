"""`100m`, `2Gi`, `1e3`: exact numbers with a suffix, as resources are counted.

A quantity is exact down to a nano-unit; smaller amounts are rounded away from zero, so that asking for a little is
never asking for nothing. Its text form is canonical: the largest suffix with which the number is whole.
"""

import re
from dataclasses import dataclass, field
from functools import lru_cache, total_ordering
from typing import Literal

__all__ = ["Format", "Quantity", "QuantityError", "milli", "parse", "value"]

Format = Literal["DecimalSI", "BinarySI", "DecimalExponent"]

NANO = 10**9
_MILLION = 10**6
_INT64_MAX = 2**63 - 1
#: Longer texts are no quantity anyone means; the bound keeps big-number arithmetic cheap.
_TEXT_LENGTH_MAX = 128
_EXPONENT_MAX = 64

_SHAPE = re.compile(r"([+-]?)([0-9]*)(?:\.([0-9]*))?([eEinumkKMGTP]*[-+]?[0-9]*)\Z")
_DECIMAL = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_BINARY = {"Ki": 10, "Mi": 20, "Gi": 30, "Ti": 40, "Pi": 50, "Ei": 60}
_DECIMAL_BY_EXPONENT = {exponent: suffix for suffix, exponent in _DECIMAL.items()}
_BINARY_BY_KIBI = ("", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei")

_WRONG_FORMAT = "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"
_WRONG_NUMBER = "unable to parse numeric part of quantity"
_WRONG_SUFFIX = "unable to parse quantity's suffix"


class QuantityError(ValueError):
    """The text is no quantity; the message is the API's."""


def _up(nano: int, unit: int) -> int:
    """Whole units, rounded away from zero."""
    return -(-nano // unit) if nano >= 0 else nano // unit


@total_ordering
@dataclass(frozen=True, slots=True, eq=False)
class Quantity:
    """An exact amount. Two quantities are equal when their amounts are, however they are written (`1Ki` == `1024`)."""

    #: The amount in nano-units.
    nano: int = 0
    #: How the text form counts: powers of ten by letter, powers of two, or an exponent.
    format: Format = "DecimalSI"
    _text: list[str] = field(default_factory=list, repr=False)

    @property
    def value(self) -> int:
        """Whole units, rounded up (away from zero)."""
        return _up(self.nano, NANO)

    @property
    def milli(self) -> int:
        """Thousandths, rounded up (away from zero)."""
        return _up(self.nano, _MILLION)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Quantity) and self.nano == other.nano

    def __lt__(self, other: "Quantity") -> bool:
        return self.nano < other.nano

    def __hash__(self) -> int:
        return hash(self.nano)

    def __bool__(self) -> bool:
        return self.nano != 0

    def __add__(self, other: "Quantity") -> "Quantity":
        """The sum, in the form of the left side, unless that is zero."""
        return Quantity(self.nano + other.nano, self.format if self.nano else other.format)

    def __sub__(self, other: "Quantity") -> "Quantity":
        """The difference, in the form of the left side, unless that is zero."""
        return Quantity(self.nano - other.nano, self.format if self.nano else other.format)

    def __neg__(self) -> "Quantity":
        return Quantity(-self.nano, self.format)

    def __str__(self) -> str:
        if not self._text:
            self._text.append(_canonical(self.nano, self.format))
        return self._text[0]


def _canonical(nano: int, form: Format) -> str:
    if nano == 0:
        return "0"
    if form == "BinarySI":
        whole, rest = divmod(nano, NANO)
        # Below 1024 there is no binary suffix to use, and fractions have none either.
        if rest == 0 and abs(whole) >= 1024:
            kibi = 0
            while kibi < 6 and whole % 1024 == 0:
                whole //= 1024
                kibi += 1
            return f"{whole}{_BINARY_BY_KIBI[kibi]}"
    exponent = -9
    while nano % 1000 == 0 and (exponent < 18 or form == "DecimalExponent"):
        nano //= 1000
        exponent += 3
    if form == "DecimalExponent":
        return f"{nano}e{exponent}" if exponent else str(nano)
    return f"{nano}{_DECIMAL_BY_EXPONENT[exponent]}"


def _parse(text: str) -> Quantity:
    match = _SHAPE.match(text) if 0 < len(text) <= _TEXT_LENGTH_MAX else None
    if match is None:
        raise QuantityError(_WRONG_FORMAT)
    sign, whole, fraction, suffix = match.groups()
    fraction = fraction or ""
    form: Format = "DecimalSI"
    base, exponent = 10, 0
    if suffix in _DECIMAL:
        exponent = _DECIMAL[suffix]
    elif suffix in _BINARY:
        form, base, exponent = "BinarySI", 2, _BINARY[suffix]
    elif len(suffix) > 1 and suffix[0] in "eE":
        try:
            exponent = int(suffix[1:])
        except ValueError:
            raise QuantityError(_WRONG_SUFFIX) from None
        form = "DecimalExponent"
    else:
        raise QuantityError(_WRONG_SUFFIX)
    if not whole and not fraction:
        # A bare suffix counts none of it; a sign or a point alone is no number.
        if not suffix or sign:
            raise QuantityError(_WRONG_NUMBER if not suffix else _WRONG_FORMAT)
        return Quantity(0, form)
    digits = int(f"{whole}{fraction}")
    if digits == 0:
        return Quantity(0, form)
    if base == 2:
        nano = _up(digits * 2**exponent * NANO, 10 ** len(fraction))
        nano = min(nano, _INT64_MAX * NANO)
        if nano < NANO:
            form = "DecimalSI"
    else:
        scale = exponent - len(fraction) + 9
        if scale > _EXPONENT_MAX:
            raise QuantityError(f"{_WRONG_NUMBER}: the exponent is too large")
        if scale >= 0:
            nano = digits * 10**scale
        elif -scale > _TEXT_LENGTH_MAX:
            nano = 1
        else:
            nano = _up(digits, 10**-scale)
    return Quantity(-nano if sign == "-" else nano, form)


_parse_text = lru_cache(maxsize=16384)(_parse)


def parse(text: str | int | float) -> Quantity:
    """The quantity a text or JSON number stands for. Raises QuantityError. Results are shared: they are immutable."""
    if type(text) is str:
        return _parse_text(text.strip())
    if isinstance(text, bool) or not isinstance(text, int | float):
        raise QuantityError(_WRONG_FORMAT)
    return _parse_text(str(text))


@lru_cache(maxsize=16384)
def _milli(text: str | int | float) -> int:
    return parse(text).milli


@lru_cache(maxsize=16384)
def _value(text: str | int | float) -> int:
    return parse(text).value


def milli(text: str | int | float) -> int:
    """Thousandths, rounded up: what CPU is counted in. Raises QuantityError."""
    return _milli(text)


def value(text: str | int | float) -> int:
    """Whole units, rounded up: what memory is counted in. Raises QuantityError."""
    return _value(text)
