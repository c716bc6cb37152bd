"""Write the table of kinds in `docs/conformance.md` from the registry; what stands outside its markers is left alone.

    python tools/conformance_table.py [--check]

With `--check` nothing is written, and the answer is 1 where the document is out of date.
"""

from __future__ import annotations

import sys
from pathlib import Path

from kaa.kinds.registry import builtin
from kaa.kinds.spec import KindSpec

BEGIN, END = "<!-- kinds: begin (tools/conformance_table.py) -->", "<!-- kinds: end -->"
DOCUMENT = Path(__file__).parent.parent / "docs" / "conformance.md"


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


def table() -> str:
    """The table, sorted as discovery is."""
    lines = ["| API | Kind | Schema | Rules | Acted on |", "|---|---|---|---|---|"]
    for spec in builtin().all():
        subresources = f" ({', '.join(sorted(spec.subresources))})" if spec.subresources else ""
        acted = "yes" if spec.acted_on else "stored, with a warning"
        lines.append(f"| {spec.api_version} | {spec.kind}{subresources} | yes | {rules(spec)} | {acted} |")
    return "\n".join(lines)


def rewritten(text: str) -> str:
    """The document with the table of today."""
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{table()}\n{END}{after}"


if __name__ == "__main__":
    now = DOCUMENT.read_text()
    then = rewritten(now)
    if "--check" in sys.argv:
        sys.exit(0 if now == then else "docs/conformance.md is out of date: run python tools/conformance_table.py")
    DOCUMENT.write_text(then)
