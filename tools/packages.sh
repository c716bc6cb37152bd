#!/bin/bash
# Install the Debian packages that are missing: packages.sh venv|run|test|bench ...
# Says nothing and needs no rights when all are there.
set -euo pipefail

declare -A packages=(
  [venv]="python3-venv"
  [run]="containerd runc containernetworking-plugins iptables nftables conntrack iproute2 util-linux busybox-static catatonit"
  [test]="strace procps"
  [bench]="wrk"
)

has_venv() { "${PYTHON:-python3}" -c 'import ensurepip, venv' 2>/dev/null; }

missing=()
for set in "$@"; do
  if [ "$set" = venv ] && has_venv; then continue; fi
  for package in ${packages[$set]}; do
    if ! command -v dpkg-query >/dev/null; then
      echo "This machine has no dpkg: install these yourself: ${packages[$set]}" >&2
      echo "(\`kaa up\` says what is missing.)" >&2
      exit 0
    fi
    status=$(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null || true)
    [ "$status" = installed ] || missing+=("$package")
  done
done
[ ${#missing[@]} -gt 0 ] || exit 0

install="apt-get install -y --no-install-recommends ${missing[*]}"
if [ "$(id -u)" -ne 0 ]; then
  echo "Missing packages. As root: $install" >&2
  exit 1
fi
echo "installing ${missing[*]}"
export DEBIAN_FRONTEND=noninteractive
# The distribution's containerd would start a daemon nobody here uses; packages may ask first, and this says no.
policy=/usr/sbin/policy-rc.d
made=
if [ ! -e "$policy" ]; then
  printf '#!/bin/sh\nexit 101\n' >"$policy"
  chmod +x "$policy"
  made=1
fi
trap '[ -z "$made" ] || rm -f "$policy"' EXIT
$install -qq >/dev/null 2>&1 || {
  # The lists may be older than the archive, or not be there at all.
  apt-get update -qq >/dev/null
  $install -qq >/dev/null
}
