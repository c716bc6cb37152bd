"""Addresses that another machine could reach: what endpoints and external addresses may be."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator

from kaa.kinds import checks
from kaa.meta.problems import Path, Problem, invalid

__all__ = ["non_special_ip"]


def non_special_ip(value: str, path: Path) -> Iterator[Problem]:
    """Neither the machine itself nor what only its own link knows."""
    if not checks.is_ip(value):
        yield invalid(path, value, "must be a valid IP address")
        return
    ip = ipaddress.ip_address(value)
    if ip.is_unspecified:
        yield invalid(path, value, f"may not be unspecified ({value})")
    if ip.is_loopback:
        yield invalid(path, value, "may not be in the loopback range (127.0.0.0/8, ::1/128)")
    if ip.is_link_local:
        yield invalid(path, value, "may not be in the link-local range (169.254.0.0/16, fe80::/10)")
    if ip.is_multicast and ip in _LINK_LOCAL[ip.version]:
        yield invalid(path, value, "may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)")


_LINK_LOCAL = {4: ipaddress.ip_network("224.0.0.0/24"), 6: ipaddress.ip_network("ff02::/16")}
