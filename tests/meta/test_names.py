"""Names: what passes, and what is said of what does not."""

import pytest

from kaa.meta import names

LABEL = (
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with "
    "an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is "
    "'[a-z0-9]([-a-z0-9]*[a-z0-9])?')"
)
SUBDOMAIN = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and "
    "end with an alphanumeric character (e.g. 'example.com', regex used for validation is "
    r"'[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
)


@pytest.mark.parametrize(
    ("check", "value", "messages"),
    [
        (names.dns1123_label, "my-name", ()),
        (names.dns1123_label, "My_Name", (LABEL,)),
        (names.dns1123_label, "a\n", (LABEL,)),
        (names.dns1123_label, "", (LABEL,)),
        (names.dns1123_label, "a.b", ("must not contain dots",)),
        (names.dns1123_label, "a" * 63, ()),
        (names.dns1123_label, "a" * 64, ("must be no more than 63 bytes",)),
        (names.dns1123_subdomain, "a.b-c.d", ()),
        (names.dns1123_subdomain, "a..b", (SUBDOMAIN,)),
        (names.dns1123_subdomain, "a" * 254, ("must be no more than 253 bytes",)),
        (names.dns1035_label, "a1", ()),
        (names.wildcard_dns1123_subdomain, "*.example.com", ()),
        (names.qualified_name, "app", ()),
        (names.qualified_name, "example.com/App_1", ()),
        (names.qualified_name, "/a", ("prefix part must be non-empty",)),
        (names.qualified_name, "A/a", (f"prefix part {SUBDOMAIN}",)),
        (names.qualified_name, "a" * 64, ("name part must be no more than 63 bytes",)),
        (names.label_value, "", ()),
        (names.label_value, "My.Value_1", ()),
        (names.c_identifier, "_a1", ()),
        (names.env_var_name, "A.b-c", ()),
        (names.env_var_name, "..a", ("must not start with '..'",)),
        (names.env_var_name_relaxed, "1 odd?", ()),
        (names.env_var_name_relaxed, "", ("environment variable name must be non-empty",)),
        (names.config_map_key, "a.json", ()),
        (names.config_map_key, "..", ("must not be '..'",)),
        (names.http_header_name, "X-A", ()),
        (names.percent, "25%", ()),
        (names.port_name, "http-2", ()),
        (names.port_name, "a" * 16, ("must be no more than 15 bytes",)),
        (names.port_name, "80", ("must contain at least one letter (a-z)",)),
        (
            names.port_name,
            "-A--",
            (
                "must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)",
                "must contain at least one letter (a-z)",
                "must not contain consecutive hyphens",
                "must not begin or end with a hyphen",
            ),
        ),
        (names.path_segment, "..", ("may not be '..'",)),
        (names.path_segment, "a/b%", ("may not contain '/'", "may not contain '%'")),
    ],
)
def test_names(check: names.Callable[[str], tuple[str, ...]], value: str, messages: tuple[str, ...]) -> None:
    assert check(value) == messages


@pytest.mark.parametrize(
    ("check", "value", "start"),
    [
        (names.dns1035_label, "1a", "a DNS-1035 label must consist of"),
        (names.wildcard_dns1123_subdomain, "example.com", "a wildcard DNS-1123 subdomain must start with '*.'"),
        (names.qualified_name, "a/b/c", "a valid label key must consist of alphanumeric characters"),
        (names.label_value, "-a", "a valid label must be an empty string or consist of"),
        (names.c_identifier, "1a", "a valid C identifier must start with"),
        (names.env_var_name, "1a", "a valid environment variable name must consist of alphabetic"),
        (names.env_var_name_relaxed, "a=b", "a valid environment variable name must consist only of printable"),
        (names.config_map_key, "a/b", "a valid config key must consist of"),
        (names.http_header_name, "a b", "a valid HTTP header must consist of"),
        (names.percent, "25", "a valid percent string must be"),
    ],
)
def test_wording(check: names.Callable[[str], tuple[str, ...]], value: str, start: str) -> None:
    (message,) = check(value)
    assert message.startswith(start)


def test_numbers() -> None:
    assert names.port_number(1) == names.port_number(65535) == ()
    assert names.port_number(0) == ("must be between 1 and 65535, inclusive",)
    assert names.in_range(3, 4, 5) == ("must be between 4 and 5, inclusive",)
