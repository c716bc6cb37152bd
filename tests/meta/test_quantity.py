"""Quantities: the original's table of forms, and the laws numbers keep."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kaa.meta import quantity
from kaa.meta.quantity import QuantityError, parse


@pytest.mark.parametrize(
    ("text", "canonical", "value", "milli"),
    [
        ("0", "0", 0, 0),
        ("0Mi", "0", 0, 0),
        ("1", "1", 1, 1000),
        ("100m", "100m", 1, 100),
        ("1000m", "1", 1, 1000),
        ("1.5", "1500m", 2, 1500),
        ("0.5", "500m", 1, 500),
        (".5", "500m", 1, 500),
        ("1.", "1", 1, 1000),
        ("1.G", "1G", 10**9, 10**12),
        ("1024Mi", "1Gi", 2**30, 2**30 * 1000),
        ("1536Mi", "1536Mi", 1536 * 2**20, 1536 * 2**20 * 1000),
        ("0.5Gi", "512Mi", 2**29, 2**29 * 1000),
        ("0.5Ki", "512", 512, 512000),
        ("1Ki", "1Ki", 1024, 1024000),
        ("0.0001Ki", "102400u", 1, 103),
        ("128974848", "128974848", 128974848, 128974848000),
        ("129e6", "129e6", 129_000_000, 129_000_000_000),
        ("129M", "129M", 129_000_000, 129_000_000_000),
        ("128974848000m", "128974848", 128974848, 128974848000),
        ("1e3", "1e3", 1000, 1000000),
        ("1E3", "1e3", 1000, 1000000),
        ("1e-3", "1e-3", 1, 1),
        ("12E", "12E", 12 * 10**18, 12 * 10**21),
        ("100E", "100E", 10**20, 10**23),
        ("1000k", "1M", 10**6, 10**9),
        ("1n", "1n", 1, 1),
        ("0.1n", "1n", 1, 1),
        ("-1.5", "-1500m", -2, -1500),
        ("-1Mi", "-1Mi", -(2**20), -(2**20) * 1000),
        ("+1", "1", 1, 1000),
        (" 1 ", "1", 1, 1000),
        ("100Ei", "9223372036854775807", 2**63 - 1, (2**63 - 1) * 1000),
        (2, "2", 2, 2000),
        (0.25, "250m", 1, 250),
        (1e22, "10e21", 10**22, 10**25),
    ],
)
def test_forms(text: str | int | float, canonical: str, value: int, milli: int) -> None:
    got = parse(text)
    assert str(got) == canonical
    assert (got.value, got.milli) == (value, milli)
    assert (quantity.value(text), quantity.milli(text)) == (value, milli)
    assert parse(canonical) == got


@pytest.mark.parametrize("text", ["", "1.1.M", "1+1.0M", "aoeu", "0x1", "1 Gi", "1Gi ago", "-3.01e-x", "1_0", "٣"])
def test_not_a_quantity(text: str) -> None:
    with pytest.raises(QuantityError) as caught:
        parse(text)
    assert str(caught.value) == (
        "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"
    )


@pytest.mark.parametrize("text", ["1i", "0.1mi", "-3.01i", "-3.01e-", "1gi", "1ki", "1mm", "1K", "1e"])
def test_no_such_suffix(text: str) -> None:
    with pytest.raises(QuantityError):
        parse(text)


def test_an_absurd_exponent_is_refused_quickly() -> None:
    with pytest.raises(QuantityError):
        parse("1e1000000000")
    assert parse("1e-1000000000").nano == 1
    with pytest.raises(QuantityError):
        parse("9" * 5000)
    with pytest.raises(QuantityError):
        parse(True)


def test_sums_keep_the_form_of_the_left_side() -> None:
    assert str(parse("1Gi") + parse("1024Mi")) == "2Gi"
    assert str(parse("0") + parse("1Gi")) == "1Gi"
    assert str(parse("1Gi") - parse("1Gi")) == "0"
    assert str(parse("1") - parse("100m")) == "900m"
    assert parse("1Ki") == parse("1024") and hash(parse("1Ki")) == hash(parse("1024"))
    assert parse("1") < parse("1001m") <= parse("2")
    assert max(parse("1M"), parse("1Mi")) == parse("1Mi")


@given(st.integers(-(10**15), 10**15), st.sampled_from(["n", "u", "m", "", "k", "M", "Ki", "Mi", "e3", "e-3"]))
def test_canonical_text_means_the_same(number: int, suffix: str) -> None:
    got = parse(f"{number}{suffix}")
    again = parse(str(got))
    assert again == got and str(again) == str(got)


@given(st.integers(-(10**12), 10**12), st.integers(-(10**12), 10**12))
def test_arithmetic(left: int, right: int) -> None:
    a, b = parse(f"{left}m"), parse(f"{right}m")
    assert (a + b).milli == left + right
    assert (a - b).milli == left - right
    assert (a < b) == (left < right)
