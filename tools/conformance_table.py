"""Write the tables of `docs/conformance.md`; what stands outside their markers is left alone.

    python tools/conformance_table.py [--check]

The table of kinds is made from the registry. The table of behaviours is made from the tests: one that proves a
behaviour of the original's conformance list says so with `@pytest.mark.conformance("its name")`, and the names are
checked against the list (`conformance_behaviours.txt`). With `--check` nothing is written, and the answer is 1 where
the document is out of date.
"""

from __future__ import annotations

import ast
import sys
from collections import Counter, defaultdict
from pathlib import Path

from kaa.kinds.registry import builtin
from kaa.kinds.spec import KindSpec

ROOT = Path(__file__).parent.parent
DOCUMENT = ROOT / "docs" / "conformance.md"
BEHAVIOURS = Path(__file__).parent / "conformance_behaviours.txt"


def rules(spec: KindSpec) -> str:
    """What a kind has beyond its schema."""
    found = [
        word
        for word, hook in (
            ("defaults", spec.rules.default),
            ("validation", spec.rules.validate),
            ("updates", spec.rules.validate_update),
            ("table", spec.rules.cells),
        )
        if hook is not None
    ]
    return ", ".join(found) or "none of its own"


def kinds() -> str:
    """The table of kinds, sorted as discovery is."""
    lines = ["| API | Kind | Schema | Rules | Acted on |", "|---|---|---|---|---|"]
    for spec in builtin().all():
        subresources = f" ({', '.join(sorted(spec.subresources))})" if spec.subresources else ""
        acted = "yes" if spec.acted_on else "stored, with a warning"
        lines.append(f"| {spec.api_version} | {spec.kind}{subresources} | yes | {rules(spec)} | {acted} |")
    return "\n".join(lines)


def marked() -> dict[str, list[str]]:
    """What the tests prove: behaviour -> `tests/file.py::test`."""
    found: dict[str, list[str]] = defaultdict(list)
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                continue
            for decorator in node.decorator_list:
                if isinstance(decorator, ast.Call) and ast.unparse(decorator.func) == "pytest.mark.conformance":
                    for argument in decorator.args:
                        name = ast.literal_eval(argument)
                        found[name].append(f"{path.relative_to(ROOT)}::{node.name}")
    return found


def behaviours() -> str:
    """How many of each group are proven, and by which test. Raises SystemExit for a name that is not on the list."""
    listed = [tuple(line.split("\t")) for line in BEHAVIOURS.read_text().splitlines()]
    proven = marked()
    unknown = sorted(set(proven) - {name for _, name in listed})
    if unknown:
        sys.exit(
            "these marks are no names of the conformance list: " + "; ".join(f"{n} ({proven[n][0]})" for n in unknown)
        )
    totals = Counter(group for group, _ in listed)
    done = Counter(group for group, name in listed if name in proven)
    lines = ["| Group | Proven | Of |", "|---|---|---|"]
    lines += [f"| {group} | {done[group]} | {total} |" for group, total in sorted(totals.items())]
    lines += ["", "| Behaviour | Test |", "|---|---|"]
    for group, name in listed:
        if name in proven:
            lines.append(f"| {group}: {name} | {', '.join(f'`{test}`' for test in proven[name])} |")
    return "\n".join(lines)


TABLES = {"kinds": kinds, "behaviours": behaviours}


def rewritten(text: str) -> str:
    """The document with the tables of today."""
    for name, made in TABLES.items():
        begin, end = f"<!-- {name}: begin (tools/conformance_table.py) -->", f"<!-- {name}: end -->"
        before, _, rest = text.partition(begin)
        _, _, after = rest.partition(end)
        text = f"{before}{begin}\n{made()}\n{end}{after}"
    return text


if __name__ == "__main__":
    now = DOCUMENT.read_text()
    then = rewritten(now)
    if "--check" in sys.argv:
        sys.exit(0 if now == then else "docs/conformance.md is out of date: run python tools/conformance_table.py")
    DOCUMENT.write_text(then)
