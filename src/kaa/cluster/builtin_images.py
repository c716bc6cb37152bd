"""The images a cluster brings along, made from two static programs of the machine: pause, busybox, and a web server to
try things with."""

import subprocess
from collections.abc import Mapping
from pathlib import Path

from kaa.cluster.images import BuiltImage, File, ImageConfig, ImageError, build_image, normal_name
from kaa.cluster.preflight import find_program, is_static

__all__ = ["PAUSE", "builtin_images", "find_builtin"]

PAUSE = "registry.k8s.io/pause:3.10.1"
BUSYBOX_TAGS = ("latest", "1.36", "1.35")
DEMO_VERSIONS = ("v1", "v2", "v3")
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

_DEMO_SERVER = r"""#!/bin/sh
# Serves HTTP on $PORT: one process per connection, all of them ended in order.
# The l's are nc's backlog; with the usual two of them a burst of connections is refused for a second.
exec 3>&1
export MAIN=$$
hostname=$(hostname)
export POD_NAME=${POD_NAME:-$hostname}
code=
lll=llllllllllllllllllllllllllllllll
nc -$lll$lll$lll$lll -p "${PORT:=8080}" -e /demo/handle &
listener=$!
handlers() {
  for cmdline in /proc/[0-9]*/cmdline; do
    read -r line <"$cmdline" 2>/dev/null
    case $line in */demo/handle*) return 0 ;; esac
  done 2>/dev/null
  return 1
}
finish() {
  trap '' TERM INT USR1 USR2
  echo "demo $DEMO_VERSION: ending after the requests in flight"
  # Those who were told about this pod a moment ago still arrive.
  usleep 200000
  kill "$listener" 2>/dev/null
  tries=0
  while handlers && [ $((tries += 1)) -lt 200 ]; do usleep 50000; done
  exit "$1"
}
trap 'finish 0' TERM INT
trap 'finish 1' USR1
trap 'finish 0' USR2
echo "demo $DEMO_VERSION: serving on port $PORT"
while kill -0 "$listener" 2>/dev/null; do wait "$listener"; done
echo "demo $DEMO_VERSION: could not listen on port $PORT" >&2
exit 1
"""

_DEMO_HANDLER = r"""#!/bin/sh
# One connection: nc gives it as standard input and output; 3 is the container's log.
trap '' TERM
read -r -t 10 method target _ || exit 0
length=0
cr=$(printf '\r')
while read -r -t 10 header && [ "$header" != "$cr" ] && [ -n "$header" ]; do
  case $header in
  [Cc]ontent-[Ll]ength:*) length=${header#*:}; length=${length%"$cr"}; length=$((length)) ;;
  esac
done
[ "$length" -gt 0 ] && head -c "$length" >/dev/null
path=${target%%\?*}
status='200 OK'
body="$DEMO_VERSION $POD_NAME"
leave=
case $path in
/healthz) body=ok ;;
/readyz) if [ -e /tmp/unready ]; then status='503 Service Unavailable' body=unready; else body=ok; fi ;;
/version) body=$DEMO_VERSION ;;
/hostname) body=$POD_NAME ;;
/exit) body=ending leave=USR1 ;;
/exit/0) body=ending leave=USR2 ;;
/slow) usleep "${SLOW_MICROSECONDS:-1000000}" ;;
esac
[ "$method" = HEAD ] && shown= || shown="$body
"
printf 'HTTP/1.1 %s\r\nContent-Type: text/plain\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s' \
  "$status" $((${#body} + 1)) "$shown"
echo "$method $target ${status%% *}" >&3
[ -z "$leave" ] || kill -s "$leave" "$MAIN"
"""


def _program(name: str, package: str) -> bytes:
    found = find_program(name)
    if found is None or not is_static(Path(found)):
        raise ImageError(f"a static {name} is needed for the built-in images; run: apt-get install -y {package}")
    return Path(found).read_bytes()


def pause_image() -> BuiltImage:
    """What holds a pod's namespaces and reaps its orphans."""
    return build_image(
        {"pause": File(_program("catatonit", "catatonit"), 0o755)},
        ImageConfig(entrypoint=("/pause", "-P"), user="65535:65535", env={"PATH": _PATH}),
    )


def busybox_image() -> BuiltImage:
    """A shell and the usual small programs."""
    program = find_program("busybox") or ""
    data = _program("busybox", "busybox-static")
    applets = subprocess.run([program, "--list"], capture_output=True, text=True, timeout=10, check=True).stdout.split()
    files = {f"bin/{applet}": File(link="busybox") for applet in applets}
    files |= {
        "bin/busybox": File(data, 0o755),
        "etc/passwd": File(b"root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/home:/bin/false\n"),
        "etc/group": File(b"root:x:0:\nnobody:x:65534:\n"),
        "etc/nsswitch.conf": File(b"hosts: files dns\n"),
        "tmp": File(directory=True, mode=0o1777),
        "root": File(directory=True, mode=0o700),
        "home": File(directory=True, mode=0o755),
        "var/run": File(directory=True, mode=0o755),
        "usr/bin/env": File(link="/bin/env"),
    }
    return build_image(files, ImageConfig(cmd=("sh",), env={"PATH": _PATH}))


def demo_image(version: str, base: BuiltImage) -> BuiltImage:
    """A web server on port 8080 that says its version and pod."""
    files = {"demo/serve": File(_DEMO_SERVER.encode(), 0o755), "demo/handle": File(_DEMO_HANDLER.encode(), 0o755)}
    config = ImageConfig(
        entrypoint=("/demo/serve",), env={"PATH": _PATH, "DEMO_VERSION": version, "PORT": "8080"}, ports=("8080/tcp",)
    )
    return build_image(files, config, base=base)


def builtin_images() -> Mapping[str, BuiltImage]:
    """All of them by name. Raises ImageError when the machine lacks a program."""
    busybox = busybox_image()
    images = {PAUSE: pause_image()}
    images |= {f"docker.io/library/busybox:{tag}": busybox for tag in BUSYBOX_TAGS}
    images |= {f"docker.io/kaa/demo:{version}": demo_image(version, busybox) for version in DEMO_VERSIONS}
    return images


def find_builtin(name: str) -> BuiltImage | None:
    """A built-in image by any of its names' spellings."""
    return builtin_images().get(normal_name(name))
