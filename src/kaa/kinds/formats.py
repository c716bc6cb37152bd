"""Single values that several groups write down: domains, paths, addresses, driver names, conditions.

Each check yields the problems of one value at its path, in the original's wording and order.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import Any

from kaa.kinds.metadata import annotation_sizes, labels
from kaa.meta import names
from kaa.meta.problems import Path, Problem, duplicate, forbidden_field, invalid, not_supported, required, too_long

__all__ = [
    "address",
    "cidr",
    "conditions",
    "driver_name",
    "each_wrong",
    "fully_qualified_domain",
    "fully_qualified_name",
    "joined_wrong",
    "label_name",
    "node_name",
    "of_nothing",
    "parsed_cidr",
    "reference",
    "regex_text",
    "template_metadata",
]

Json = dict[str, Any]
Check = Callable[[str], Iterable[str]]
Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def each_wrong(check: Check, value: str, path: Path) -> Iterator[Problem]:
    """One problem per sentence."""
    for wrong in check(value):
        yield invalid(path, value, wrong)


def joined_wrong(check: Check, value: str, path: Path) -> Iterator[Problem]:
    """One problem for all sentences."""
    wrongs = list(check(value))
    if wrongs:
        yield invalid(path, value, ",".join(wrongs))


def label_name(value: str, path: Path) -> Iterator[Problem]:
    """A key of a label."""
    yield from each_wrong(names.qualified_name, value, path)


def regex_text(message: str, shape: str, *examples: str) -> str:
    """How the API says that a text does not fit a regular expression."""
    listing = " or ".join(f"'{example}', " for example in examples)
    start = "e.g. " if examples else ""
    return f"{message} ({start}{listing}regex used for validation is '{shape}')"


def of_nothing(problem: Problem) -> Problem:
    """The same, where the value is an empty list or map: that is shown as a bare null, a missing pointer as a word."""
    return replace(problem, detail_text=problem.detail_text.replace('"null"', "null", 1))


# -- domains


def fully_qualified_name(value: str, path: Path) -> Iterator[Problem]:
    """At least three segments: the name of a webhook."""
    if not value:
        yield required(path)
        return
    wrongs = list(joined_wrong(names.dns1123_subdomain, value, path))
    yield from wrongs
    if not wrongs and value.count(".") < 2:
        yield invalid(path, value, "should be a domain with at least three segments separated by dots")


def fully_qualified_domain(value: str, path: Path) -> Iterator[Problem]:
    """At least two segments, of which each is a label; a dot may close it."""
    if not value:
        yield required(path)
        return
    value = value.removesuffix(".")
    wrongs = list(joined_wrong(names.dns1123_subdomain, value, path))
    if wrongs:
        yield from wrongs
        return
    if "." not in value:
        yield invalid(path, value, "should be a domain with at least two segments separated by dots")
        return
    for label in value.split("."):
        wrongs = list(joined_wrong(names.dns1123_label, label, path))
        if wrongs:
            yield from wrongs
            return


def driver_name(value: str, path: Path) -> Iterator[Problem]:
    """The name of a CSI or device driver."""
    if not value:
        yield required(path)
    if len(value.encode()) > 63:
        yield too_long(path, 63)
    for wrong in names.dns1123_subdomain(value.lower()):
        yield invalid(path, value, wrong)


def node_name(value: str, path: Path) -> Iterator[Problem]:
    """The name of a node."""
    yield from each_wrong(names.dns1123_subdomain, value, path)


def reference(found: Json, path: Path) -> Iterator[Problem]:
    """An object named by group, kind and name, without a version."""
    if found.get("apiGroup") is not None:
        yield from each_wrong(names.dns1123_subdomain, found["apiGroup"], path / "apiGroup")
    for field in ("kind", "name"):
        if not found.get(field):
            yield required(path / field)
        else:
            yield from each_wrong(names.path_segment, found[field], path / field)


# -- addresses

_NOT_AN_IP = "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"
_NOT_A_CIDR = "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)"
_ZEROS = re.compile(r"(?:(?<=^)|(?<=[.:]))0+(?=\d+(?:\.|$))")


def _without_zeros(value: str) -> str:
    """`010.1.2.3` as the old parsers of the original read it: decimal."""
    head, colon, tail = value.rpartition(":")
    return head + colon + _ZEROS.sub("", tail) if "." in tail else value


def address(value: str, path: Path) -> Iterator[Problem]:
    """An IP address that every parser reads alike: no leading zeros, no IPv4 inside IPv6."""
    try:
        ip = ipaddress.ip_address(value)
        if "%" in value:
            raise ValueError
    except ValueError:
        try:
            ipaddress.ip_address(_without_zeros(value))
        except ValueError:
            yield invalid(path, value, _NOT_AN_IP)
        else:
            yield invalid(path, value, _NOT_AN_IP if "%" in value else "must not have leading 0s")
        return
    if ip.version == 6 and ip.ipv4_mapped is not None:
        yield invalid(path, value, "must not be an IPv4-mapped IPv6 address")


def parsed_cidr(value: str) -> Network | None:
    """The range a text stands for, read as leniently as the original does; None where it is none."""
    host, slash, bits = value.partition("/")
    if not slash or not bits.isdecimal() or "%" in value:
        return None
    try:
        return ipaddress.ip_network(f"{_without_zeros(host)}/{int(bits)}", strict=False)
    except ValueError:
        return None


def cidr(value: str, path: Path) -> Iterator[Problem]:
    """An address range that every parser reads alike, with no bits set behind the prefix."""
    network = parsed_cidr(value)
    if network is None:
        yield invalid(path, value, _NOT_A_CIDR)
        return
    host, _, bits = value.partition("/")
    if _without_zeros(host) != host or bits != str(int(bits)):
        yield invalid(path, value, "must not have leading 0s in IP or prefix length")
    elif network.version == 6 and network.network_address.ipv4_mapped is not None:
        yield invalid(path, value, "must not have an IPv4-mapped IPv6 address")
    elif ipaddress.ip_address(host) != network.network_address:
        yield invalid(path, value, "must not have bits set beyond the prefix length")


# -- conditions

_REASON = "[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?"
_REASON_TEXT = regex_text(
    "a condition reason must start with alphabetic character, optionally followed by a string of alphanumeric "
    "characters or '_,:', and must end with an alphanumeric character or '_'",
    _REASON,
    "my_name",
    "MY_NAME",
    "MyName",
    "ReasonA,ReasonB",
    "ReasonA:ReasonB",
)


def conditions(found: Iterable[Json] | None, path: Path) -> Iterator[Problem]:
    """Conditions of the common form (`metav1.Condition`)."""
    seen: set[str] = set()
    for at, each in enumerate(found or ()):
        here = path[at]
        kind = each.get("type", "")
        if kind in seen:
            yield duplicate(here / "type", kind)
        seen.add(kind)
        yield from label_name(kind, here / "type")
        if each.get("status") not in ("True", "False", "Unknown"):
            yield not_supported(here / "status", each.get("status", ""), ("True", "False", "Unknown"))
        if each.get("observedGeneration", 0) < 0:
            yield invalid(
                here / "observedGeneration", each["observedGeneration"], "must be greater than or equal to zero"
            )
        if not each.get("lastTransitionTime"):
            yield required(here / "lastTransitionTime", "must be set")
        reason = each.get("reason", "")
        if not reason:
            yield required(here / "reason", "must be set")
        else:
            if not re.fullmatch(_REASON, reason):
                yield invalid(here / "reason", reason, _REASON_TEXT)
            if len(reason) > 1024:
                yield too_long(here / "reason", 1024)
        if len(each.get("message", "")) > 32 * 1024:
            yield too_long(here / "message", 32 * 1024)


def template_metadata(meta: Json, path: Path) -> Iterator[Problem]:
    """Metadata of a template: labels and annotations, and nothing else."""
    yield from annotation_sizes(meta.get("annotations") or {}, path / "annotations")
    yield from labels(meta.get("labels") or {}, path / "labels")
    for field in sorted(meta):
        if field not in ("annotations", "labels") and meta[field] not in (None, "", [], {}, 0):
            yield forbidden_field(path / field, "cannot be set")
