"""Checks many kinds share: numbers, selectors, ports, percentages, immutability; in the original's wording."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from kaa.kinds.metadata import labels
from kaa.meta import names
from kaa.meta.problems import Path, Problem, forbidden_field, invalid, not_supported, required, too_long

__all__ = [
    "amount",
    "domain_prefixed_path",
    "immutable",
    "int_or_percent",
    "ip_address",
    "label_selector",
    "non_negative",
    "one_of",
    "port_name_or_number",
    "scaled",
    "selector_matches",
    "signer_name",
]

Json = dict[str, Any]

IMMUTABLE = "field is immutable"
NON_NEGATIVE = "must be greater than or equal to 0"


def non_negative(obj: Mapping[str, Any], name: str, path: Path) -> Iterator[Problem]:
    """A number that may be absent, but not below 0."""
    value = obj.get(name)
    if value is not None and value < 0:
        yield invalid(path / name, value, NON_NEGATIVE)


def immutable(new: Mapping[str, Any], old: Mapping[str, Any], name: str, path: Path) -> Iterator[Problem]:
    """A field that keeps the value it was created with."""
    if new.get(name) != old.get(name):
        yield invalid(path / name, new.get(name), IMMUTABLE)


def one_of(
    obj: Mapping[str, Any], name: str, allowed: Iterable[str], path: Path, *, needed: bool = False
) -> Iterator[Problem]:
    """A word out of a closed set."""
    value = obj.get(name)
    if not value:
        if needed:
            yield required(path / name)
    elif value not in allowed:
        yield not_supported(path / name, value, allowed)


def port_name_or_number(value: Any, path: Path) -> Iterator[Problem]:
    """A port given by number or by a container port's name."""
    if isinstance(value, str):
        wrongs: Iterable[str] = names.port_name(value)
    else:
        wrongs = names.port_number(value)
    for wrong in wrongs:
        yield invalid(path, value, wrong)


def int_or_percent(value: Any, path: Path) -> Iterator[Problem]:
    """A count, or a percentage of one."""
    if isinstance(value, str):
        for wrong in names.percent(value):
            yield invalid(path, value, wrong)
    elif value < 0:
        yield invalid(path, value, NON_NEGATIVE)


def not_over_100_percent(value: Any, path: Path) -> Iterator[Problem]:
    """A percentage of at most all."""
    if isinstance(value, str) and not names.percent(value) and int(value[:-1]) > 100:
        yield invalid(path, value, "must not be greater than 100%")


def amount(value: Any) -> int:
    """The number in front of a percent sign, or the count; 0 for what is neither."""
    if isinstance(value, str):
        digits = value.removesuffix("%")
        return int(digits) if digits.isdecimal() and digits.isascii() else 0
    return int(value)


def scaled(value: Any, total: int, *, up: bool) -> int:
    """The count an int-or-percent stands for; 0 where it is absent or no percentage."""
    if isinstance(value, str):
        if names.percent(value):
            return 0
        percent = int(value[:-1]) * total
        return -(-percent // 100) if up else percent // 100
    return int(value or 0)


_OPERATORS = ("In", "NotIn", "Exists", "DoesNotExist")


def label_selector(selector: Mapping[str, Any] | None, path: Path) -> Iterator[Problem]:
    """A `LabelSelector`: keys, values, operators and how many values each wants."""
    if not selector:
        return
    found = selector.get("matchLabels")
    if found:
        yield from labels(found, path / "matchLabels")
    for at, each in enumerate(selector.get("matchExpressions") or ()):
        here = path / "matchExpressions"
        here = here[at]
        operator = each.get("operator", "")
        values = each.get("values") or ()
        if operator in ("In", "NotIn"):
            if not values:
                yield required(here / "values", "must be specified when `operator` is 'In' or 'NotIn'")
        elif operator in ("Exists", "DoesNotExist"):
            if values:
                yield forbidden_field(
                    here / "values", "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"
                )
        else:
            yield invalid(here / "operator", operator, "not a valid selector operator")
        for wrong in names.qualified_name(each.get("key", "")):
            yield invalid(here / "key", each.get("key", ""), wrong)
        for place, value in enumerate(values):
            for wrong in names.label_value(value):
                yield invalid((here / "values")[place], value, wrong)


def signer_name(value: str, path: Path) -> Iterator[Problem]:
    """Who signs certificates: a domain of two parts or more, and a name within it."""
    if not value:
        yield required(path)
        return
    domain, slash, rest = value.partition("/")
    if not slash or "/" in rest:
        yield invalid(path, value, "must be a fully qualified domain and path of the form 'example.com/signer-name'")
        return
    if len(domain) > 253:
        yield too_long(path, 253)
    parts = domain.split(".")
    yield from _first_wrong(domain, parts, names.dns1123_label, path)
    if len(parts) < 2:
        yield invalid(path, domain, "should be a domain with at least two segments separated by dots")
    yield from _first_wrong(rest, rest.split("."), names.dns1123_subdomain, path)
    # A domain, a slash, and a namespace and a name joined by a dot.
    if len(value) > 571:
        yield too_long(path, 571)


def _first_wrong(whole: str, parts: list[str], check: Callable[[str], Iterable[str]], path: Path) -> Iterator[Problem]:
    for part in parts:
        wrongs = list(check(part))
        for wrong in wrongs:
            yield invalid(path, whole, f'validating label "{part}": {wrong}')
        if wrongs:
            return


_URL_PATH = "[A-Za-z0-9/\\-._~%!$&'()*+,;=:]+"
_URL_PATH_FITS = re.compile(_URL_PATH + r"\Z").match


def domain_prefixed_path(value: str, path: Path) -> Iterator[Problem]:
    """`acme.io/foo`: a domain and a path within it."""
    if not value:
        yield required(path)
        return
    host, slash, rest = value.partition("/")
    if not slash or not host or not rest:
        yield invalid(path, value, 'must be a domain-prefixed path (such as "acme.io/foo")')
        return
    for wrong in names.dns1123_subdomain(host):
        yield invalid(path, host, wrong)
    if not _URL_PATH_FITS(rest):
        yield invalid(path, rest, f"Invalid path (regex used for validation is '{_URL_PATH}')")


def is_empty(selector: Mapping[str, Any] | None) -> bool:
    """Whether a selector selects everything."""
    return not selector or (not selector.get("matchLabels") and not selector.get("matchExpressions"))


def selector_matches(selector: Mapping[str, Any], found: Mapping[str, str]) -> bool:
    """Whether a `LabelSelector` matches a set of labels. Malformed expressions match nothing."""
    for key, value in (selector.get("matchLabels") or {}).items():
        if found.get(key) != value:
            return False
    for each in selector.get("matchExpressions") or ():
        key, operator, values = each.get("key"), each.get("operator"), each.get("values") or ()
        holds = {
            "In": key in found and found[key] in values,
            "NotIn": key not in found or found[key] not in values,
            "Exists": key in found,
            "DoesNotExist": key not in found,
        }.get(operator, False)
        if not holds:
            return False
    return True


def ip_address(value: str, path: Path) -> Iterator[Problem]:
    """An IPv4 or IPv6 address."""
    if not is_ip(value):
        yield invalid(path, value, "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)")


def is_ip(value: str) -> bool:
    """Whether a text is an IPv4 or IPv6 address."""
    try:
        ipaddress.ip_address(value)
    except ValueError:
        return False
    return "%" not in value


def cidr(value: str, path: Path) -> Iterator[Problem]:
    """An address range."""
    try:
        if "/" not in value:
            raise ValueError
        ipaddress.ip_network(value, strict=False)
    except ValueError:
        yield invalid(path, value, "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)")
