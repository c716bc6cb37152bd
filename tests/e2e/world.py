"""A cluster started by `kaa up`, as its user sees it: by its command line and by kubectl."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from kaa.cluster.down import leftovers
from kaa.cluster.home import Home
from kaa.cluster.preflight import preflight

KAA = [sys.executable, "-m", "kaa"]
KUBECTLS = {
    "1.32": str(Path(sys.prefix) / "kubectl-1.32" / "kubectl"),
    "today": str(Path(sys.prefix) / "bin" / "kubectl"),
}


class Cluster:
    """One cluster, by its command line."""

    def __init__(self, root: Path) -> None:
        self.home = Home(root)
        self.environment = {**os.environ, "KAA_HOME": str(root)}

    def kaa(self, *words: str, check: bool = True) -> str:
        done = subprocess.run(
            [*KAA, *words], env=self.environment, capture_output=True, text=True, timeout=120, check=False
        )
        assert not check or done.returncode == 0, f"kaa {' '.join(words)}: {done.stdout}{done.stderr}"
        return done.stdout if check else done.stdout + done.stderr

    def kubectl(self, *words: str) -> str:
        return self.kaa("kubectl", *words)

    def until(self, wanted: str, *words: str, seconds: float = 60.0) -> None:
        deadline = time.monotonic() + seconds
        while (found := self.kaa("kubectl", *words, check=False).strip()) != wanted:
            assert time.monotonic() < deadline, f"kubectl {' '.join(words)} gives {found!r}, not {wanted!r}"
            time.sleep(0.05)

    def pids(self) -> dict[str, int]:
        return {path.stem: int(path.read_text().split()[0]) for path in self.home.pids.glob("*.pid")}


@contextmanager
def running(root: Path) -> Iterator[Cluster]:
    """A cluster of its own, gone without a trace at the end. Fails, not skips, where containers cannot run."""
    missing = preflight()
    assert not missing, "; ".join(map(str, missing))
    cluster = Cluster(root)
    try:
        cluster.kaa("up")
        state = cluster.home.load()
        assert state is not None
        yield cluster
    finally:
        cluster.kaa("down", "--delete", "--grace=2", check=False)
    assert leftovers(cluster.home, state) == []
