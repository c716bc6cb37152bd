"""The tour, as `make demo` walks it, with the oldest kubectl supported and with today's."""

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest
from tests.e2e.world import KUBECTLS, Cluster

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]


def tour_module() -> ModuleType:
    path = Path(__file__).parents[2] / "examples" / "tour" / "tour.py"
    spec = importlib.util.spec_from_file_location("tour", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("kubectl", sorted(KUBECTLS))
def test_every_promise_of_the_tour_is_kept(real: Cluster, kubectl: str) -> None:
    lines: list[str] = []
    command = [KUBECTLS[kubectl], f"--kubeconfig={real.home.root / 'kubeconfig'}"]
    tour = tour_module().Tour(command, lines.append)
    try:
        tour.walk()
    except BaseException:
        print("\n".join(lines))
        raise
    kept = [line for line in lines if "✓" in line]
    assert len(kept) >= 25
