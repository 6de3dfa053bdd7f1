#!/bin/sh
# Builds everything twice, the second time from a copy of the commit at another
# place with an empty build cache, and compares the checksums.
#
#	sh packaging/reproducible.sh
#
# GAMELAN_ONE_TARGET=1 builds for Linux on amd64 alone.
set -eu
cd "$(dirname "$0")/.."

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
git -c safe.directory="$PWD" clone -q --no-local "$PWD" "$work/clone"
git -c safe.directory="$PWD" status --porcelain | grep . && {
	echo "reproducible: commit first, the copy has only what is committed" >&2
	exit 1
}

# The cache of goreleaser itself stays: what it builds is compared.
GORELEASER=$(go tool -modfile=tools/release/go.mod -n goreleaser)
export GORELEASER
sh packaging/goreleaser.sh snapshot
(cd "$work/clone" && GOCACHE="$work/cache" sh packaging/goreleaser.sh snapshot)
if ! diff dist/SHA256SUMS "$work/clone/dist/SHA256SUMS"; then
	echo "reproducible: two builds of one commit differ" >&2
	exit 1
fi
cat dist/SHA256SUMS
echo "reproducible: two builds are equal"
