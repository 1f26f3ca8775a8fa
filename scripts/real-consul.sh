#!/usr/bin/env bash
# Prints the path of a real Consul binary, for the demo, the tests and the benchmarks that need one.
#
#   1. $CONSUL_BIN, where it is set;
#   2. `consul` on PATH;
#   3. Debian's own build of Consul 1.8.7 (bullseye), fetched from the mirror that apt uses here, checked
#      by apt against Debian's archive key, and unpacked into a cache directory. Nothing is installed and
#      no root is needed.
#
# Environment: CONSUL_BIN            use this binary and look no further
#              GRAPEVINE_CACHE_DIR   where to unpack (default: ${XDG_CACHE_HOME:-~/.cache}/grapevine)
#              GRAPEVINE_DEBIAN_MIRROR  a Debian mirror, where apt's own sources name none
#
# Exit code 0: the path is on stdout. 1: no binary can be had; stderr says what to do.
set -euo pipefail

fail() {
  printf 'real-consul: %s\n' "$1" >&2
  printf 'real-consul: install Consul and put it on PATH, or set CONSUL_BIN to a consul binary.\n' >&2
  exit 1
}

if [ -n "${CONSUL_BIN:-}" ]; then
  [ -x "$CONSUL_BIN" ] || fail "CONSUL_BIN is set to '$CONSUL_BIN', which is not an executable file"
  printf '%s\n' "$CONSUL_BIN"
  exit 0
fi
if on_path=$(command -v consul 2>/dev/null); then
  printf '%s\n' "$on_path"
  exit 0
fi

cache="${GRAPEVINE_CACHE_DIR:-${XDG_CACHE_HOME:-${HOME:-/tmp}/.cache}/grapevine}/consul-1.8.7"
binary="$cache/root/usr/bin/consul"
if [ -x "$binary" ]; then
  printf '%s\n' "$binary"
  exit 0
fi

for tool in apt-get dpkg-deb flock; do
  command -v "$tool" >/dev/null 2>&1 || fail "no consul on PATH, and no $tool to fetch Debian's package with"
done
keyring=/usr/share/keyrings/debian-archive-keyring.gpg
[ -r "$keyring" ] || fail "no consul on PATH, and no Debian archive key at $keyring to check a download with"

# apt's sources come in two formats; either names the mirror that works from this machine.
debian_mirror() {
  if [ -n "${GRAPEVINE_DEBIAN_MIRROR:-}" ]; then
    printf '%s\n' "$GRAPEVINE_DEBIAN_MIRROR"
    return
  fi
  {
    cat /etc/apt/sources.list.d/*.sources 2>/dev/null | sed -n 's/^URIs:[[:space:]]*//p' | tr -s ' ' '\n'
    cat /etc/apt/sources.list /etc/apt/sources.list.d/*.list 2>/dev/null |
      sed -n 's/^deb[[:space:]]\{1,\}\(\[[^]]*\][[:space:]]*\)\{0,1\}\([^[:space:]]*\).*/\2/p'
  } | grep -m 1 '/debian/\{0,1\}$' || true
}
mirror=$(debian_mirror)
[ -n "$mirror" ] || fail "no consul on PATH, and apt's sources name no Debian mirror (GRAPEVINE_DEBIAN_MIRROR can)"

mkdir -p "$cache"
exec 9>"$cache/lock"
flock 9 # Whoever comes second waits here, and then finds the binary in place.
if [ ! -x "$binary" ]; then
  work=$(mktemp -d "$cache/fetch.XXXXXX")
  trap 'rm -rf "$work"' EXIT
  mkdir -p "$work/lists/partial" "$work/archives/partial" "$work/deb"
  printf 'deb [signed-by=%s] %s bullseye main\n' "$keyring" "$mirror" >"$work/sources.list"
  apt=(apt-get -q
    -o "Dir::Etc::SourceList=$work/sources.list" -o Dir::Etc::SourceParts=/dev/null
    -o "Dir::State::Lists=$work/lists" -o "Dir::Cache::archives=$work/archives"
    -o Dir::Cache::pkgcache= -o Dir::Cache::srcpkgcache=
    -o "APT::Sandbox::User=$(id -un)" -o Acquire::Languages=none -o Acquire::Check-Valid-Until=false)
  log="$cache/fetch.log"
  if ! { "${apt[@]}" update && cd "$work/deb" && "${apt[@]}" download consul; } >"$log" 2>&1; then
    tail -n 5 "$log" >&2
    fail "Debian's package could not be fetched from $mirror (whole log: $log)"
  fi
  dpkg-deb -x "$work"/deb/consul_*.deb "$work/root" || fail "Debian's package could not be unpacked"
  [ -x "$work/root/usr/bin/consul" ] || fail "Debian's package holds no usr/bin/consul"
  rm -rf "$cache/root"
  mv "$work/root" "$cache/root" # One rename: a caller that does not lock sees all of it or nothing.
fi
printf '%s\n' "$binary"
