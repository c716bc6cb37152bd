"""docs/security.md names tests that exist, and every test of this directory."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
NAMED = re.compile(r"`(tests/[\w/]+\.py)::(test_\w+)`")


def named_in(path: Path) -> set[str]:
    return set(re.findall(r"^(?:async )?def (test_\w+)", path.read_text(), re.MULTILINE))


def test_every_attack_has_its_test() -> None:
    named = NAMED.findall((ROOT / "docs" / "security.md").read_text())
    assert len(named) > 60
    missing = [f"{path}::{name}" for path, name in named if name not in named_in(ROOT / path)]
    assert not missing


def test_every_test_has_its_attack() -> None:
    text = (ROOT / "docs" / "security.md").read_text()
    here = {
        name for path in Path(__file__).parent.glob("test_*.py") if path != Path(__file__) for name in named_in(path)
    }
    # The last of these is the honest twin of all the others.
    assert here - set(re.findall(r"::(test_\w+)", text)) == {"test_one_of_each_sample_is_left_alone_by_all_this"}
