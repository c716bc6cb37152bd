"""Writes docs/reference.md from the settings classes of the source: `python tools/reference.py [--check]`.

A settings class is a dataclass whose name ends in Settings or Limits, or one that is a command's options. Each field
has a paragraph: a `#:` comment above it, a string below it, or the second argument of `setting(...)`. A field without
one is an error.
"""

import ast
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TARGET = ROOT / "docs" / "reference.md"
SUFFIXES = ("Settings", "Limits")
COMMANDS = {
    "UpOptions": "kaa up",
    "DownOptions": "kaa down",
    "ServerOptions": "kaa server",
    "ControllersOptions": "kaa controllers",
    "AgentOptions": "kaa agent",
    "SimulatedOptions": "kaa simulated-nodes",
}
HEAD = """# Reference: every setting

Made from the source by `python tools/reference.py`; a test fails when it is not up to date, or when a setting has no
paragraph.

## Environment

| Variable | Meaning |
|---|---|
| `KAA_HOME` | The cluster's directory; several stand side by side. Default: `~/.kaa`. |
| `KAA_LOG_LEVEL` | `debug`, `info` (default), `warning` or `error`, for every process of Kaa. |
| `KUBECONFIG` | The cluster for commands that take `--kubeconfig`, when that is not given. |
"""


class Undocumented(Exception):
    """A setting without a paragraph."""


@dataclass
class Field:
    """One setting."""

    name: str
    type: str
    default: str
    text: str


@dataclass
class SettingsClass:
    """One settings class of the source."""

    module: str
    name: str
    text: str
    fields: list[Field]


def classes() -> Iterator[SettingsClass]:
    """All of them, in the order of their modules. Raises Undocumented."""
    for path in sorted((ROOT / "src" / "kaa").rglob("*.py")):
        source = path.read_text()
        module = ".".join(path.relative_to(ROOT / "src").with_suffix("").parts).removesuffix(".__init__")
        for node in ast.parse(source).body:
            if isinstance(node, ast.ClassDef) and _is_settings(node):
                yield SettingsClass(
                    module, node.name, _one_line(ast.get_docstring(node) or ""), list(_fields(node, source, module))
                )


def _is_settings(node: ast.ClassDef) -> bool:
    named = node.name.endswith(SUFFIXES) or node.name in COMMANDS
    return named and any("dataclass" in ast.unparse(each) for each in node.decorator_list)


def _fields(node: ast.ClassDef, source: str, module: str) -> Iterator[Field]:
    lines = source.splitlines()
    above = ""
    for position, each in enumerate(node.body):
        if not isinstance(each, ast.AnnAssign) or not isinstance(each.target, ast.Name):
            continue
        name = each.target.id
        if name.startswith("_") or "ClassVar" in ast.unparse(each.annotation):
            continue
        following = node.body[position + 1] if position + 1 < len(node.body) else None
        text, default = "", ast.unparse(each.value) if each.value is not None else ""
        if isinstance(each.value, ast.Call) and ast.unparse(each.value.func) == "setting":
            default, text = ast.unparse(each.value.args[0]), ast.literal_eval(each.value.args[1])
        elif isinstance(following, ast.Expr) and isinstance(following.value, ast.Constant):
            text = str(following.value.value)
        else:
            text = _comment_above(lines, each.lineno)
            # One comment may stand for a few fields below it, such as a pair of bounds.
            text, above = text or above, text or above
        if not text.strip():
            raise Undocumented(f"{module}.{node.name}.{name} has no paragraph: add one (see tools/reference.py)")
        yield Field(name, ast.unparse(each.annotation), _default(default), _one_line(text))


def _comment_above(lines: list[str], number: int) -> str:
    found: list[str] = []
    for line in reversed(lines[: number - 1]):
        if not line.strip().startswith("#:"):
            break
        found.insert(0, line.strip().removeprefix("#:").strip())
    return " ".join(found)


def _default(text: str) -> str:
    if text.startswith("field(default_factory="):
        inner = text.removeprefix("field(default_factory=").removesuffix(")")
        return {"dict": "{}", "list": "[]", "tuple": "()"}.get(inner, f"{inner}()")
    if text.startswith("field(default="):
        return text.removeprefix("field(default=").removesuffix(")")
    return text


def _one_line(text: str) -> str:
    return " ".join(text.split())


def render() -> str:
    """The document."""
    found = list(classes())
    parts = [HEAD, "## Commands\n\nEvery `kaa COMMAND --help` says the same.\n"]
    for each in sorted((c for c in found if c.name in COMMANDS), key=lambda c: list(COMMANDS).index(c.name)):
        parts.append(f"### {COMMANDS[each.name]}\n\n{each.text}\n\n| Option | Default | Meaning |\n|---|---|---|")
        for field in each.fields:
            flag = "--" + field.name.replace("_", "-")
            parts.append(f"| `{flag}` | {_code(field.default)} | {_cell(field.text)} |")
        parts.append("")
    parts.append("## Settings of the parts\n\nFor those who put parts together themselves.\n")
    for each in found:
        if each.name in COMMANDS:
            continue
        parts.append(f"### `{each.module}.{each.name}`\n\n{each.text}\n\n| Field | Type | Default | Meaning |")
        parts.append("|---|---|---|---|")
        for field in each.fields:
            parts.append(f"| `{field.name}` | `{_cell(field.type)}` | {_code(field.default)} | {_cell(field.text)} |")
        parts.append("")
    return "\n".join(parts).rstrip() + "\n"


def _code(text: str) -> str:
    return "" if text in ("", "''", "None", "()", "Path('')") else f"`{_cell(text)}`"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def main() -> int:
    """Write it, or with --check say whether it is up to date."""
    try:
        text = render()
    except Undocumented as error:
        print(error, file=sys.stderr)
        return 1
    if "--check" in sys.argv:
        if not TARGET.exists() or TARGET.read_text() != text:
            print("docs/reference.md is not up to date: run python tools/reference.py", file=sys.stderr)
            return 1
        return 0
    TARGET.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
