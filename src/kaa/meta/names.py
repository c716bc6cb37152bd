"""What may be a name, a label, a key or a port: each check answers with what is wrong, in the API's wording.

An empty answer means the text is fine. Lengths count bytes of UTF-8, as the wire does.
"""

import re
from collections.abc import Callable
from functools import lru_cache

__all__ = [
    "c_identifier",
    "config_map_key",
    "dns1035_label",
    "dns1123_label",
    "dns1123_subdomain",
    "dns1123_subdomain_underscore",
    "env_var_name",
    "env_var_name_relaxed",
    "http_header_name",
    "in_range",
    "label_value",
    "path_segment",
    "percent",
    "port_name",
    "port_number",
    "qualified_name",
    "wildcard_dns1123_subdomain",
]

Messages = tuple[str, ...]

_LABEL = "[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_SUBDOMAIN = rf"{_LABEL}(\.{_LABEL})*"
_QUALIFIED = "([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]"


def _rule(shape: str, message: str, *examples: str) -> Callable[[str], str]:
    """A check against one regular expression; "" when it fits. The shape is part of the message users read."""
    fits = re.compile(rf"(?:{shape})\Z").match
    listing = " or ".join(f"'{example}', " for example in examples)
    text = f"{message} (e.g. {listing}regex used for validation is '{shape}')"
    return lambda value: "" if fits(value) else text


def _size(value: str) -> int:
    return len(value) if value.isascii() else len(value.encode())


def _too_long(length_max: int) -> str:
    return f"must be no more than {length_max} bytes"


_dns1123_label = _rule(
    _LABEL,
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end "
    "with an alphanumeric character",
    "my-name",
    "123-abc",
)
_dns1123_subdomain = _rule(
    _SUBDOMAIN,
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start "
    "and end with an alphanumeric character",
    "example.com",
)
_LABEL_UNDERSCORE = "_?[a-z0-9]([-_a-z0-9]*[a-z0-9])?"
_dns1123_subdomain_underscore = _rule(
    rf"{_LABEL_UNDERSCORE}(\.{_LABEL_UNDERSCORE})*",
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '_', '-' or '.', and must "
    "start and end with an alphanumeric character",
    "example.com",
)
_wildcard = _rule(
    rf"\*\.{_SUBDOMAIN}",
    "a wildcard DNS-1123 subdomain must start with '*.', followed by a valid DNS subdomain, which must consist of "
    "lower case alphanumeric characters, '-' or '.' and end with an alphanumeric character",
    "*.example.com",
)
_dns1035_label = _rule(
    "[a-z]([-a-z0-9]*[a-z0-9])?",
    "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, "
    "and end with an alphanumeric character",
    "my-name",
    "abc-123",
)
_qualified = _rule(
    _QUALIFIED,
    "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character",
    "MyName",
    "my.name",
    "123-abc",
)
_label_value = _rule(
    f"({_QUALIFIED})?",
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start "
    "and end with an alphanumeric character",
    "MyValue",
    "my_value",
    "12345",
)
_c_identifier = _rule(
    "[A-Za-z_][A-Za-z0-9_]*",
    "a valid C identifier must start with alphabetic character or '_', followed by a string of alphanumeric "
    "characters or '_'",
    "my_name",
    "MY_NAME",
    "MyName",
)
_env_var = _rule(
    "[-._a-zA-Z][-._a-zA-Z0-9]*",
    "a valid environment variable name must consist of alphabetic characters, digits, '_', '-', or '.', and must not "
    "start with a digit",
    "my.env-name",
    "MY_ENV.NAME",
    "MyEnvName1",
)
_config_key = _rule(
    "[-._a-zA-Z0-9]+",
    "a valid config key must consist of alphanumeric characters, '-', '_' or '.'",
    "key.name",
    "KEY_NAME",
    "key-name",
)
_header = _rule("[-A-Za-z0-9]+", "a valid HTTP header must consist of alphanumeric characters or '-'", "X-Header-Name")
_percent = _rule("[0-9]+%", "a valid percent string must be a numeric string followed by an ending '%'", "1%", "93%")
_port_charset = re.compile(r"[-a-z0-9]+\Z")
_has_letter = re.compile("[a-z]")


@lru_cache(maxsize=8192)
def dns1123_label(value: str) -> Messages:
    """A label of a DNS name: namespaces, containers, most things that become one part of a host name."""
    found = []
    if _size(value) > 63:
        found.append(_too_long(63))
    if wrong := _dns1123_label(value):
        found.append(wrong if _dns1123_subdomain(value) else "must not contain dots")
    return tuple(found)


@lru_cache(maxsize=8192)
def dns1123_subdomain(value: str) -> Messages:
    """A DNS name: what most objects are called."""
    return _check(value, 253, _dns1123_subdomain)


def dns1123_subdomain_underscore(value: str) -> Messages:
    """A DNS name whose labels may hold underscores: what a resolver searches."""
    return _check(value, 253, _dns1123_subdomain_underscore)


def wildcard_dns1123_subdomain(value: str) -> Messages:
    """`*.example.com`: a host of an Ingress."""
    return _check(value, 253, _wildcard)


@lru_cache(maxsize=8192)
def dns1035_label(value: str) -> Messages:
    """A label that starts with a letter: Services."""
    return _check(value, 63, _dns1035_label)


@lru_cache(maxsize=16384)
def qualified_name(value: str) -> Messages:
    """`app`, `example.com/app`: keys of labels and annotations, names of extended resources."""
    prefix, slash, name = value.partition("/")
    if "/" in name:
        return (
            f"a valid label key {_qualified('')} with an optional DNS subdomain prefix and '/' "
            "(e.g. 'example.com/MyName')",
        )
    found = []
    if not slash:
        name = value
    elif not prefix:
        found.append("prefix part must be non-empty")
    else:
        found += [f"prefix part {wrong}" for wrong in dns1123_subdomain(prefix)]
    if not name:
        found.append("name part must be non-empty")
    elif _size(name) > 63:
        found.append(f"name part {_too_long(63)}")
    if wrong := _qualified(name):
        found.append(f"name part {wrong}")
    return tuple(found)


@lru_cache(maxsize=16384)
def label_value(value: str) -> Messages:
    """The value of a label; may be empty."""
    return _check(value, 63, _label_value)


def c_identifier(value: str) -> Messages:
    """An identifier as C knows it."""
    return _check(value, 0, _c_identifier)


def env_var_name(value: str) -> Messages:
    """The name of an environment variable, in the strict form."""
    return _check(value, 0, _env_var) + _changes_directory(value)


@lru_cache(maxsize=8192)
def env_var_name_relaxed(value: str) -> Messages:
    """The name of an environment variable as containers accept it: printable ASCII without `=`."""
    if not value:
        return ("environment variable name must be non-empty",)
    if not value.isascii() or not value.isprintable() or "=" in value:
        return ("a valid environment variable name must consist only of printable ASCII characters other than '='",)
    return ()


def config_map_key(value: str) -> Messages:
    """A key of a ConfigMap or Secret: it becomes a file name."""
    return _check(value, 253, _config_key) + _changes_directory(value)


def http_header_name(value: str) -> Messages:
    """The name of an HTTP header."""
    return _check(value, 0, _header)


def percent(value: str) -> Messages:
    """`25%`."""
    return _check(value, 0, _percent)


@lru_cache(maxsize=4096)
def port_name(value: str) -> Messages:
    """The name of a port: an IANA service name."""
    found = []
    if _size(value) > 15:
        found.append(_too_long(15))
    if not _port_charset.match(value):
        found.append("must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)")
    if not _has_letter.search(value):
        found.append("must contain at least one letter (a-z)")
    if "--" in value:
        found.append("must not contain consecutive hyphens")
    if value[:1] == "-" or value[-1:] == "-":
        found.append("must not begin or end with a hyphen")
    return tuple(found)


def in_range(value: int, lowest: int, highest: int) -> Messages:
    """A number between two others, both included."""
    return () if lowest <= value <= highest else (f"must be between {lowest} and {highest}, inclusive",)


def port_number(value: int) -> Messages:
    """1 to 65535."""
    return in_range(value, 1, 65535)


def path_segment(value: str, *, prefix: bool = False) -> Messages:
    """A name that stands in a URL path; `prefix` checks the start of a name still to be completed."""
    if not prefix and value in (".", ".."):
        return (f"may not be '{value}'",)
    return tuple(f"may not contain '{each}'" for each in "/%" if each in value)


def _check(value: str, length_max: int, rule: Callable[[str], str]) -> Messages:
    wrong = rule(value)
    if length_max and _size(value) > length_max:
        return (_too_long(length_max), wrong) if wrong else (_too_long(length_max),)
    return (wrong,) if wrong else ()


def _changes_directory(value: str) -> Messages:
    if value in (".", ".."):
        return (f"must not be '{value}'",)
    return ("must not start with '..'",) if value.startswith("..") else ()
