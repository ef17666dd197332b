#!/bin/sh
# Fetch onnxruntime_c_api.h, and the headers of the C++ API, from Debian's libonnxruntime-dev: through
# apt, which checks signatures, in directories of its own, from the mirror this machine uses, without
# root.
#
#   debian_header.sh DIRECTORY VERSION SHA256
set -eu
destination=$1 version=$2 sha256=$3
command -v apt-get >/dev/null && command -v dpkg-deb >/dev/null
keyring=/usr/share/keyrings/debian-archive-keyring.gpg
test -r "$keyring"

room=$(mktemp -d)
trap 'rm -rf "$room"' EXIT
mkdir -p "$room/lists/partial" "$room/cache/archives/partial" "$room/state"
: >"$room/state/status"
mirror=$(cat /etc/apt/sources.list /etc/apt/sources.list.d/* 2>/dev/null |
    grep -v '^#' | grep -o 'https\?://[^ ]*/debian/\?\( \|$\)' | head -n 1 | tr -d ' ' || true)
cat >"$room/debian.sources" <<SOURCES
Types: deb
URIs: ${mirror:-http://deb.debian.org/debian}
Suites: trixie
Components: main
Signed-By: $keyring
SOURCES

cd "$room"
set -- -o Dir::Etc::sourceparts=/dev/null -o "Dir::Etc::sourcelist=$room/debian.sources" \
    -o "Dir::State::Lists=$room/lists" -o "Dir::Cache=$room/cache" \
    -o "Dir::State::status=$room/state/status" -o Acquire::Languages=none \
    -o Acquire::http::Timeout=10 -o Acquire::Retries=1
apt-get "$@" -qq update
apt-get "$@" -qq download "libonnxruntime-dev=$version"
package=$(ls libonnxruntime-dev_*.deb)
echo "$sha256  $package" | sha256sum --check --quiet || {
    # Another machine type has another package around the same header.
    test "$(dpkg --print-architecture)" != amd64
}
dpkg-deb -x "$package" files
header=$(find files -name onnxruntime_c_api.h)
cp "$(dirname "$header")"/onnxruntime_*.h "$destination/"
