"""Timestamps and durations: exact to the nanosecond, within the years 1 to 9999, written as Go writes them."""

import re
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from functools import lru_cache
from zoneinfo import ZoneInfo

from .errors import EvaluationError

__all__ = [
    "Duration",
    "Timestamp",
    "duration_text",
    "parse_duration",
    "parse_json_date_time",
    "parse_json_duration",
    "parse_timestamp",
    "part_of",
    "timestamp_text",
    "zone",
]  # fmt: skip

NANO = 10**9
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SECONDS_MIN, _SECONDS_MAX = -62135596800, 253402300799
_INT64 = 2**63

_RFC3339 = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)[Tt](\d\d):(\d\d):(\d\d)(?:[.,](\d{1,20}))?([Zz]|[+-]\d\d:\d\d)\Z", re.ASCII
)
#: The forms that OpenAPI's date-time accepts beside RFC 3339: no zone, a zone without a colon, a space for the T.
_LOOSE = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)[Tt ](\d\d):(\d\d)(?::(\d\d)(?:[.,](\d{1,20}))?)?([Zz]|[+-]\d\d:?\d\d)?\Z", re.ASCII
)
_UNITS = {
    "ns": 1, "us": 10**3, "µs": 10**3, "μs": 10**3, "ms": 10**6, "s": NANO, "m": 60 * NANO, "h": 3600 * NANO,
}  # fmt: skip
_LONG_UNITS = _UNITS | {"d": 86400 * NANO, "w": 7 * 86400 * NANO}
_PART = re.compile(r"(\d{0,30})(?:\.(\d{0,30}))?([a-zµμ]+)", re.ASCII | re.IGNORECASE)


@dataclass(frozen=True, slots=True, order=True)
class Timestamp:
    """A moment: nanoseconds since 1970."""

    nano: int
    #: Seconds east of UTC of the zone it was written in, which its text keeps. The same moment elsewhere is equal.
    offset: int = field(default=0, compare=False)

    @property
    def moment(self) -> datetime:
        """The moment in UTC, without what is finer than a microsecond."""
        return _EPOCH + timedelta(microseconds=self.nano // 1000)


@dataclass(frozen=True, slots=True, order=True)
class Duration:
    """A length of time, in nanoseconds; 292 years at most."""

    nano: int


def timestamp(nano: int, offset: int = 0) -> Timestamp:
    """The moment. Raises EvaluationError out of the years that can be written."""
    if not _SECONDS_MIN <= nano // NANO <= _SECONDS_MAX:
        raise EvaluationError("timestamp out of range")
    return Timestamp(nano, offset)


def duration(nano: int) -> Duration:
    """The length of time. Raises EvaluationError where it does not fit."""
    if not -_INT64 <= nano < _INT64:
        raise EvaluationError("duration out of range")
    return Duration(nano)


def _moment(match: re.Match[str] | None, text: str) -> Timestamp:
    if match is None:
        raise EvaluationError(f'parsing time "{text}" as "2006-01-02T15:04:05Z07:00": cannot parse "{text}"')
    year, month, day, hour, minute, second, fraction, offset = match.groups()
    try:
        moment = datetime(int(year), int(month), int(day), int(hour), int(minute), int(second or 0), tzinfo=UTC)
    except ValueError as error:
        raise EvaluationError(f'parsing time "{text}": {error}') from None
    nano = int((moment - _EPOCH).total_seconds()) * NANO + int((fraction or "0")[:9].ljust(9, "0"))
    if offset and offset not in "Zz":
        digits = offset[1:].replace(":", "")
        seconds = int(digits[:2]) * 3600 + int(digits[2:]) * 60
        if seconds >= 86400:
            raise EvaluationError(f'parsing time "{text}": time zone offset out of range')
        east = seconds if offset[0] == "+" else -seconds
        return timestamp(nano - east * NANO, east)
    return timestamp(nano)


def parse_timestamp(text: str) -> Timestamp:
    """RFC 3339, as `timestamp()` reads it."""
    return _moment(_RFC3339.match(text), text)


def parse_json_date_time(text: str, form: str) -> Timestamp:
    """A value of a field of format date or date-time."""
    if form == "date":
        return _moment(_RFC3339.match(text + "T00:00:00Z"), text)
    return _moment(_LOOSE.match(text), text)


def _parse_duration(text: str, units: dict[str, int]) -> Duration:
    bad = EvaluationError(f'time: invalid duration "{text}"')
    body = text[1:] if text[:1] in ("+", "-") else text
    if body == "0":
        return Duration(0)
    if not body or len(text) > 100:
        raise bad
    total = at = 0
    while at < len(body):
        match = _PART.match(body, at)
        if match is None:
            raise bad
        whole, fraction, unit = match.groups()
        if not whole and not fraction:
            raise bad
        scale = units.get(unit)
        if scale is None:
            raise EvaluationError(f'time: unknown unit "{unit}" in duration "{text}"')
        total += int(whole or "0") * scale
        if fraction:
            total += int(fraction) * scale // 10 ** len(fraction)
        at = match.end()
    if total > _INT64 - (text[0] != "-"):
        raise bad
    return Duration(-total if text[0] == "-" else total)


def parse_duration(text: str) -> Duration:
    """Go's form: 1h30m, 1.5s, -3ms."""
    return _parse_duration(text, _UNITS)


_JSON_UNITS = {
    **dict.fromkeys(("ns", "nano", "nanos", "nanosecond", "nanoseconds"), "ns"),
    **dict.fromkeys(("us", "µs", "micro", "micros", "microsecond", "microseconds"), "us"),
    **dict.fromkeys(("ms", "milli", "millis", "millisecond", "milliseconds"), "ms"),
    **dict.fromkeys(("s", "sec", "secs", "second", "seconds"), "s"),
    **dict.fromkeys(("m", "min", "mins", "minute", "minutes"), "m"),
    **dict.fromkeys(("h", "hr", "hrs", "hour", "hours"), "h"),
    **dict.fromkeys(("d", "day", "days"), "d"),
    **dict.fromkeys(("w", "wk", "wks", "week", "weeks"), "w"),
}


def parse_json_duration(text: str) -> Duration:
    """A value of a field of format duration: Go's form, or a number and a long unit such as `3 days`."""
    try:
        return parse_duration(text)
    except EvaluationError:
        match = re.fullmatch(r"([+-]?\d{1,18})\s*([a-zµ]+)", text.strip(), re.ASCII)
        unit = _JSON_UNITS.get(match[2]) if match else None
        if match is None or unit is None:
            raise
        return duration(int(match[1]) * _LONG_UNITS[unit])


def timestamp_text(value: Timestamp) -> str:
    """RFC 3339 in the zone it was written in, with as many digits of the fraction as it has."""
    seconds, nano = divmod(value.nano, NANO)
    try:
        moment = _EPOCH + timedelta(seconds=seconds + value.offset)
    except OverflowError:
        raise EvaluationError("timestamp out of range") from None
    fraction = f".{nano:09d}".rstrip("0") if nano else ""
    hours, minutes = divmod(abs(value.offset) // 60, 60)
    zone_text = f"{'-' if value.offset < 0 else '+'}{hours:02d}:{minutes:02d}" if value.offset else "Z"
    return f"{moment.year:04d}-{moment:%m-%dT%H:%M:%S}{fraction}{zone_text}"


def duration_text(value: Duration) -> str:
    """Seconds, as protobuf writes them: 3723.004s."""
    sign = "-" if value.nano < 0 else ""
    seconds, nano = divmod(abs(value.nano), NANO)
    fraction = f".{nano:09d}".rstrip("0") if nano else ""
    return f"{sign}{seconds}{fraction}s"


@lru_cache(maxsize=64)
def zone(name: str) -> tzinfo:
    """The zone of a name (Europe/Berlin) or an offset (-08:00, 01:00). Raises EvaluationError."""
    match = re.fullmatch(r"([+-]?)(\d\d):(\d\d)", name, re.ASCII)
    if match:
        minutes = int(match[2]) * 60 + int(match[3])
        if minutes < 24 * 60:
            return timezone(timedelta(minutes=-minutes if match[1] == "-" else minutes))
    if name in ("", "UTC"):
        return UTC
    try:
        return ZoneInfo(name)
    except (ValueError, OSError, KeyError):
        raise EvaluationError(f"unknown time zone {name[:100]}") from None


def part_of(value: Timestamp, part: str, name: str = "") -> int:
    """A part of the moment in a zone, by the accessor's name."""
    try:
        moment = value.moment.astimezone(zone(name) if name else UTC)
    except OverflowError:
        raise EvaluationError("timestamp out of range") from None
    match part:
        case "getFullYear":
            return moment.year
        case "getMonth":
            return moment.month - 1
        case "getDate":
            return moment.day
        case "getDayOfMonth":
            return moment.day - 1
        case "getDayOfWeek":
            return moment.isoweekday() % 7
        case "getDayOfYear":
            return moment.timetuple().tm_yday - 1
        case "getHours":
            return moment.hour
        case "getMinutes":
            return moment.minute
        case "getSeconds":
            return moment.second
        case _:
            return value.nano % NANO // 10**6
