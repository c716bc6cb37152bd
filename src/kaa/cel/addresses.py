"""Addresses, networks and URLs (Kubernetes' libraries ip, cidr and urls)."""

import ipaddress
import re
from dataclasses import dataclass
from typing import Any, ClassVar
from urllib.parse import parse_qsl

from .errors import EvaluationError
from .formatting import quote
from .functions import Registry

__all__ = ["REGISTRY", "request_uri_problem"]

REGISTRY = Registry()
_declare = REGISTRY.declare
IP = REGISTRY.type("net.IP")
CIDR = REGISTRY.type("net.CIDR")
URL = REGISTRY.type("kubernetes.URL")

_Address = ipaddress.IPv4Address | ipaddress.IPv6Address
_Network = ipaddress.IPv4Network | ipaddress.IPv6Network
_TEXT_MAX = 64


@dataclass(frozen=True, slots=True)
class _IP:
    cel_type: ClassVar[str] = "net.IP"
    address: _Address

    @property
    def cel_size(self) -> int:
        return self.address.max_prefixlen // 8


@dataclass(frozen=True, slots=True)
class _CIDR:
    cel_type: ClassVar[str] = "net.CIDR"
    address: _Address
    prefix: int

    @property
    def cel_size(self) -> int:
        return self.address.max_prefixlen // 8

    @property
    def network(self) -> _Network:
        return ipaddress.ip_network((self.address, self.prefix), strict=False)


def _parse_ip(text: str) -> _IP:
    bad = EvaluationError(f"IP Address {quote(text[:_TEXT_MAX])} parse error during conversion from string: "
                          f"ParseAddr({quote(text[:_TEXT_MAX])}): unable to parse IP")  # fmt: skip
    if len(text) > _TEXT_MAX:
        raise bad
    if "%" in text:
        raise EvaluationError(f'IP address {quote(text)} with zone value is not allowed')  # fmt: skip
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        raise bad from None
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        raise EvaluationError(f'IPv4-mapped IPv6 address {quote(text)} is not allowed')  # fmt: skip
    return _IP(address)


def _parse_cidr(text: str) -> _CIDR:
    address, slash, prefix = text.partition("/")
    bad = EvaluationError(
        f"network address parse error during conversion from string: netip.ParsePrefix({quote(text[:_TEXT_MAX])}): "
        + ("no '/'" if not slash else "unable to parse")
    )
    if not slash or not prefix.isascii() or not prefix.isdigit() or (len(prefix) > 1 and prefix[0] == "0"):
        raise bad
    try:
        ip = _parse_ip(address)
    except EvaluationError:
        raise bad from None
    if len(prefix) > 3 or int(prefix) > ip.address.max_prefixlen:
        raise bad
    return _CIDR(ip.address, int(prefix))


def _is(parse: Any) -> Any:
    def run(text: str) -> bool:
        try:
            parse(text)
        except EvaluationError:
            return False
        return True

    return run


def _contains_ip(cidr: _CIDR, ip: _IP) -> bool:
    return ip.address.version == cidr.address.version and ip.address in cidr.network


def _contains_cidr(cidr: _CIDR, other: _CIDR) -> bool:
    return other.prefix >= cidr.prefix and _contains_ip(cidr, _IP(other.address))


def _global_unicast(ip: _IP) -> bool:
    # As Go's IsGlobalUnicast: private addresses are; only what is of no one host is not.
    address = ip.address
    broadcast = address.version == 4 and int(address) == 2**32 - 1
    return not (
        address.is_unspecified or address.is_loopback or address.is_multicast or address.is_link_local or broadcast
    )


def _link_local_multicast(ip: _IP) -> bool:
    address = ip.address
    if address.version == 4:
        return int(address) >> 8 == 0xE00000
    return int(address) >> 112 & 0xFF0F == 0xFF02


def _masked(cidr: _CIDR) -> _CIDR:
    return _CIDR(cidr.network.network_address, cidr.prefix)


_declare("ip(string) -> net.IP", _parse_ip, cost="parse")
_declare("isIP(string) -> bool", _is(_parse_ip), cost="parse")
_declare("ip.isCanonical(string) -> bool", lambda text: str(_parse_ip(text).address) == text, cost="parse2")
_declare("<net.IP>.family() -> int", lambda ip: ip.address.version)
_declare("<net.IP>.isUnspecified() -> bool", lambda ip: ip.address.is_unspecified)
_declare("<net.IP>.isLoopback() -> bool", lambda ip: ip.address.is_loopback)
_declare("<net.IP>.isLinkLocalMulticast() -> bool", _link_local_multicast)
_declare("<net.IP>.isLinkLocalUnicast() -> bool", lambda ip: ip.address.is_link_local)
_declare("<net.IP>.isGlobalUnicast() -> bool", _global_unicast)
_declare("string(net.IP) -> string", lambda ip: str(ip.address))
_declare("cidr(string) -> net.CIDR", _parse_cidr, cost="parse")
_declare("isCIDR(string) -> bool", _is(_parse_cidr), cost="parse")
_declare("<net.CIDR>.containsIP(net.IP) -> bool", _contains_ip, cost="contains_ip")
_declare(
    "<net.CIDR>.containsIP(string) -> bool", lambda cidr, text: _contains_ip(cidr, _parse_ip(text)), cost="contains_ip"
)
_declare("<net.CIDR>.containsCIDR(net.CIDR) -> bool", _contains_cidr, cost="contains_cidr")
_declare(
    "<net.CIDR>.containsCIDR(string) -> bool",
    lambda cidr, text: _contains_cidr(cidr, _parse_cidr(text)),
    cost="contains_cidr",
)
_declare("<net.CIDR>.ip() -> net.IP", lambda cidr: _IP(cidr.address))
_declare("<net.CIDR>.masked() -> net.CIDR", _masked)
_declare("<net.CIDR>.prefixLength() -> int", lambda cidr: cidr.prefix)
_declare("string(net.CIDR) -> string", lambda cidr: f"{cidr.address}/{cidr.prefix}")

# -- URLs: an absolute URI or an absolute path (Go's url.ParseRequestURI)

_URL = re.compile(r"(?:([A-Za-z][A-Za-z0-9+.-]*):)?(?://([^/?#]*))?([^?]*)(?:\?(.*))?\Z", re.DOTALL)
_AUTHORITY = re.compile(r"(?:(.*)@)?(\[[^\]]*\]|[^:\[\]]*)(?::([0-9]*))?\Z", re.DOTALL)
_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")
_UNSAFE = re.compile(r"[^A-Za-z0-9\-._~!$&'()*+,;=:@/%]")


@dataclass(frozen=True, slots=True)
class _Url:
    cel_type: ClassVar[str] = "kubernetes.URL"
    scheme: str
    host: str
    path: str
    query: str


def _parse_url(text: str) -> _Url:
    bad = f"URL parse error during conversion from string: parse {quote(text[:200])}: "
    if not text:
        raise EvaluationError('URL parse error during conversion from string: parse "": empty url')
    if any(c < " " or c == "\x7f" for c in text):
        raise EvaluationError(f"{bad}net/url: invalid control character in URL")
    match = _URL.match(text)
    if match is None:
        raise EvaluationError(f"{bad}invalid URI for request")
    scheme, authority, path, query = match.groups()
    if not scheme and not text.startswith("/"):
        raise EvaluationError(f"{bad}invalid URI for request")
    if scheme and authority is None and not path.startswith("/"):
        raise EvaluationError(f"{bad}invalid URI for request")
    if not scheme:
        # Without a scheme two slashes start a path, not a host.
        authority, path = None, text.partition("?")[0]
    if escape := _ESCAPE.search(path):
        raise EvaluationError(f"{bad}invalid URL escape {quote(path[escape.start() : escape.start() + 3])}")
    host = ""
    if authority:
        parts = _AUTHORITY.match(authority)
        if parts is None or any(c in ' <>"^`{}|\\' for c in authority):
            raise EvaluationError(f"{bad}invalid character in host name")
        host = authority.rpartition("@")[2]
    return _Url((scheme or "").lower(), host, path, query or "")


def _escaped_path(url: _Url) -> str:
    return _UNSAFE.sub(lambda m: "".join(f"%{b:02X}" for b in m.group().encode()), url.path)


def _hostname(url: _Url) -> str:
    match = _AUTHORITY.match(url.host)
    return (match[2].strip("[]") if match else "") or ""


def _port(url: _Url) -> str:
    match = _AUTHORITY.match(url.host)
    return (match[3] if match else "") or ""


def _query(url: _Url) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for key, value in parse_qsl(url.query, keep_blank_values=True, max_num_fields=100_000):
        found.setdefault(key, []).append(value)
    return found


_declare("url(string) -> kubernetes.URL", _parse_url, cost="scan")
_declare("isURL(string) -> bool", _is(_parse_url))
_declare("<kubernetes.URL>.getScheme() -> string", lambda url: url.scheme)
_declare("<kubernetes.URL>.getHost() -> string", lambda url: url.host)
_declare("<kubernetes.URL>.getHostname() -> string", _hostname)
_declare("<kubernetes.URL>.getPort() -> string", _port)
_declare("<kubernetes.URL>.getEscapedPath() -> string", _escaped_path)
_declare("<kubernetes.URL>.getQuery() -> map(string, list(string))", _query)


def request_uri_problem(text: str) -> str:
    """Why a text is no URI; "" where it is one."""
    try:
        _parse_url(text)
    except EvaluationError as error:
        return str(error).partition("from string: ")[2]
    return ""
