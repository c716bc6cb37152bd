"""Images made without a registry: names, bytes, and the part of a Dockerfile that is understood."""

import io
import tarfile
from pathlib import Path

import pytest

from kaa.cluster.builtin_images import PAUSE, builtin_images
from kaa.cluster.imagefile import build_from_directory
from kaa.cluster.images import (
    BuiltImage,
    File,
    ImageConfig,
    ImageError,
    build_image,
    layer_of_directory,
    normal_name,
    read_archive,
    write_archive,
)


@pytest.mark.parametrize(
    ("short", "full"),
    [
        ("busybox", "docker.io/library/busybox:latest"),
        ("busybox:1.36", "docker.io/library/busybox:1.36"),
        ("kaa/demo:v1", "docker.io/kaa/demo:v1"),
        ("localhost/app", "localhost/app:latest"),
        ("localhost:5000/a/b:c", "localhost:5000/a/b:c"),
        ("registry.k8s.io/pause:3.10.1", PAUSE),
        ("docker.io/nginx", "docker.io/library/nginx:latest"),
        ("a@sha256:" + "0" * 64, "docker.io/library/a@sha256:" + "0" * 64),
    ],
)
def test_names(short: str, full: str) -> None:
    assert normal_name(short) == full


@pytest.mark.parametrize("name", ["", "Upper", "a b", "a:", "x/Y", "-a", "a//b", "a:b:c"])
def test_what_is_no_name(name: str) -> None:
    with pytest.raises(ImageError):
        normal_name(name)


def entries(layer: bytes) -> dict[str, tarfile.TarInfo]:
    with tarfile.open(fileobj=io.BytesIO(layer)) as tar:
        return {member.name: member for member in tar.getmembers()}


def test_a_directory_becomes_the_root_and_twice_the_same_bytes(tmp_path: Path) -> None:
    for number in (1, 2):
        top = tmp_path / str(number)
        (top / "bin").mkdir(parents=True)
        (top / "bin" / "run").write_bytes(b"x" * number * 0 + b"hello")
        (top / "bin" / "run").chmod(0o755)
        (top / "link").symlink_to("bin/run")
    first, second = layer_of_directory(tmp_path / "1"), layer_of_directory(tmp_path / "2")
    assert first == second
    found = entries(first)
    assert list(found) == ["bin", "bin/run", "link"]
    assert (found["bin/run"].mode, found["bin/run"].uid, found["bin/run"].mtime) == (0o755, 0, 0)
    assert found["link"].linkname == "bin/run"


def test_an_archive_reads_back(tmp_path: Path) -> None:
    base = build_image({"a": File(b"1")}, ImageConfig(env={"A": "1"}, cmd=("a",)))
    app = build_image({"b/c": File(b"2")}, base=base).with_config(entrypoint=("b",), ports=("80",), user="7")
    path = write_archive(tmp_path / "x.tar", {"base": base, "team/app:v1": app})
    read = read_archive(path)
    assert set(read) == {"docker.io/library/base:latest", "docker.io/team/app:v1"}
    back = read["docker.io/team/app:v1"]
    assert back.layers == app.layers
    assert back.config.entrypoint == ("b",)
    assert back.config.env == {"A": "1"}
    assert back.digest == build_image({"b/c": File(b"2")}, app.config, base=base).digest
    assert path.read_bytes() == write_archive(tmp_path / "y.tar", {"base": base, "team/app:v1": app}).read_bytes()


def test_what_is_no_archive(tmp_path: Path) -> None:
    (tmp_path / "x.tar").write_bytes(b"no")
    with pytest.raises(ImageError, match="not an OCI archive"):
        read_archive(tmp_path / "x.tar")


def test_paths_outside_of_the_image_are_refused() -> None:
    with pytest.raises(ImageError):
        build_image({"../x": File(b"")})


def test_builtin_images() -> None:
    images = builtin_images()
    busybox = images["docker.io/library/busybox:1.36"]
    assert busybox is images["docker.io/library/busybox:latest"]
    assert {"bin/sh", "bin/busybox", "tmp", "etc/passwd"} <= set(entries(busybox.layers[0]))
    assert entries(busybox.layers[0])["tmp"].mode == 0o1777
    one, two = images["docker.io/kaa/demo:v1"], images["docker.io/kaa/demo:v2"]
    assert one.layers == two.layers
    assert one.digest != two.digest
    assert images[PAUSE].config.entrypoint == ("/pause", "-P")


# Dockerfile ---------------------------------------------------------------------------------------------------------

BASE = build_image({"bin/sh": File(b"sh", 0o755)}, ImageConfig(env={"PATH": "/bin"}, cmd=("sh",), workdir="/srv"))


def find(name: str) -> BuiltImage:
    if name != "busybox":
        raise ImageError(f"{name} is not at this machine")
    return BASE


def build(top: Path, text: str) -> BuiltImage:
    (top / "Dockerfile").write_text(text)
    return build_from_directory(top, find)


def test_dockerfile(tmp_path: Path) -> None:
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "a").write_text("1")
    (tmp_path / "b.sh").write_text("2")
    image = build(
        tmp_path,
        """# a comment
FROM busybox
WORKDIR app
COPY src lib/
COPY --chmod=755 b.sh /bin/
COPY . /all
ENV A=1 B="two words"
ENV OLD style
LABEL team=x \\
      more=y
EXPOSE 80 81/udp
USER 7:8
STOPSIGNAL SIGINT
ENTRYPOINT ["/bin/b.sh"]
CMD ["x"]
""",
    )
    found = entries(image.layers[1])
    assert image.layers[0] == BASE.layers[0]
    assert {"srv/app/lib/a", "bin/b.sh", "all/src/a", "all/b.sh"} <= set(found)
    assert "all/Dockerfile" not in found
    assert found["bin/b.sh"].mode == 0o755
    assert image.config == ImageConfig(
        entrypoint=("/bin/b.sh",),
        cmd=("x",),
        env={"PATH": "/bin", "A": "1", "B": "two words", "OLD": "style"},
        ports=("80", "81/udp"),
        user="7:8",
        workdir="/srv/app",
        labels={"team": "x", "more": "y"},
        stop_signal="SIGINT",
    )


def test_shell_form_and_scratch(tmp_path: Path) -> None:
    assert build(tmp_path, "FROM scratch\nCMD serve --now\n").config.cmd == ("/bin/sh", "-c", "serve --now")


def test_without_a_dockerfile_the_directory_is_the_root(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("1")
    assert list(entries(build_from_directory(tmp_path, find).layers[0])) == ["x"]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("FROM busybox\nRUN apt-get update", "line 2: RUN is not supported"),
        ("FROM busybox\nADD x /", "use COPY"),
        ("FROM busybox AS b", "no AS"),
        ("FROM busybox\nFROM busybox", "several FROM"),
        ("FROM other", "other is not at this machine"),
        ("COPY a b", "first instruction must be FROM"),
        ("", "no FROM"),
        ("FROM busybox\nCOPY gone /", "no such file"),
        ("FROM busybox\nCOPY ../x /", "outside"),
        ("FROM busybox\nCOPY --from=b x /", "--from=b is not supported"),
        ("FROM busybox\nFLY away", "FLY is not an instruction"),
        ("FROM busybox\nCMD [x]", "JSON"),
    ],
)
def test_what_is_refused_is_refused_by_name(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(ImageError) as caught:
        build(tmp_path, text)
    assert says in str(caught.value)
