"""Lines and tables for people: with colour on a terminal, plain elsewhere."""

import sys
from collections.abc import Sequence
from pathlib import Path

__all__ = ["age", "fail", "size", "step", "table"]


def step(what: str, seconds: float) -> None:
    """One thing that is done, and how long it took."""
    if sys.stdout.isatty():
        print(f"\x1b[32m✓\x1b[0m {what} \x1b[2m{seconds:.2f}s\x1b[0m", flush=True)
    else:
        print(f"{what} ({seconds:.2f}s)", flush=True)


def fail(message: str) -> int:
    """An error, on standard error; the exit status."""
    red, normal = ("\x1b[31m", "\x1b[0m") if sys.stderr.isatty() else ("", "")
    print(f"{red}error:{normal} {message}", file=sys.stderr, flush=True)
    return 1


def table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """On a terminal as wide as it is; elsewhere aligned columns, one line a row."""
    if sys.stdout.isatty():
        from rich.console import Console
        from rich.table import Table

        made = Table(*columns, box=None, pad_edge=False, header_style="bold")
        for row in rows:
            made.add_row(*row)
        Console().print(made)
        return
    widths = [max(len(str(row[n])) for row in (columns, *rows)) for n in range(len(columns))]
    for row in (columns, *rows):
        print("   ".join(str(cell).ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def age(seconds: float) -> str:
    """`42s`, `7m`, `3h12m`, `5d`."""
    whole = int(seconds)
    if whole < 120:
        return f"{whole}s"
    if whole < 7200:
        return f"{whole // 60}m"
    if whole < 172_800:
        return f"{whole // 3600}h{whole % 3600 // 60}m"
    return f"{whole // 86_400}d"


def size(count: int) -> str:
    """`48.2 MB`."""
    return f"{count / 1e6:.1f} MB"


def follow(path: Path, lines: int) -> None:
    """Print the last lines of a log and what is added to it, until interrupted."""
    import threading

    pause = threading.Event()
    with path.open(errors="replace") as file:
        text = file.read()
        print("\n".join(text.splitlines()[-lines:]), flush=True)
        while True:
            more = file.read()
            if more:
                print(more, end="", flush=True)
            elif path.exists() and path.stat().st_size < file.tell():
                file.seek(0)  # it was begun anew
            else:
                pause.wait(0.2)
