"""Selectors of devices are compiled when they are written, and may not cost too much."""

import pytest

from kaa.kinds.resource.expressions import selects_devices
from kaa.meta.problems import Path

GOOD = (
    "device.driver == 'gpu.example.com'",
    "device.attributes['gpu.example.com'].model == 'a100' && device.allowMultipleAllocations",
    "device.attributes['gpu.example.com'].model.matches('^a[0-9]+$')",
    "device.capacity['gpu.example.com'].memory.isGreaterThan(quantity('40Gi'))",
    "'gpu.example.com' in device.attributes",
)
BAD = {
    "device.color == 'x'": "undefined field 'color'",
    "device.driver": "must evaluate to bool",
    "driver == 'x'": "undeclared reference to 'driver'",
    "device.attributes.all(a, device.attributes.all(b, device.attributes.all(c, device.attributes.all(d, a != d))))":
        "Forbidden: too complex, exceeds cost limit",
}  # fmt: skip


@pytest.mark.parametrize("expression", GOOD)
def test_good(expression: str) -> None:
    assert list(selects_devices(expression, Path("cel"))) == []


@pytest.mark.parametrize("expression", BAD)
def test_bad(expression: str) -> None:
    (problem,) = selects_devices(expression, Path("cel"))
    assert BAD[expression] in str(problem)
