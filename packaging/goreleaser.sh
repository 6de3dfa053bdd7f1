#!/bin/sh
# Runs goreleaser, of the version that tools/release/go.mod pins. Everything it
# makes is in dist/.
#
#	sh packaging/goreleaser.sh snapshot    of any commit
#	sh packaging/goreleaser.sh release     of the commit with the release's tag
#
# GAMELAN_ONE_TARGET=1 packs for Linux on amd64 alone. docs/release.md says what
# is done before a release, and how to compare two of them.
set -eu
cd "$(dirname "$0")/.."

# goreleaser and go read the commit, also when another user owns the clone.
export GIT_CONFIG_COUNT=1 GIT_CONFIG_KEY_0=safe.directory GIT_CONFIG_VALUE_0="$PWD"
# The Go modules are those of go.sum, and the toolchain is the one that runs.
export GOFLAGS=-mod=readonly

GAMELAN_VERSION=$(sed -n 's/^const Version = "\(.*\)"$/\1/p' internal/version/version.go)
export GAMELAN_VERSION
goreleaser() { ${GORELEASER:-go tool -modfile=tools/release/go.mod goreleaser} "$@"; }

case "${1-}" in
snapshot)
	goreleaser release --snapshot --clean
	exit
	;;
release) ;;
*)
	echo "goreleaser.sh: say snapshot or release" >&2
	exit 2
	;;
esac
tag=$(git describe --exact-match --tags 2>/dev/null || echo none)
if [ "$tag" != "v$GAMELAN_VERSION" ]; then
	echo "release: internal/version/version.go says $GAMELAN_VERSION, and the tag of this commit is $tag; both must agree (make snapshot needs no tag)" >&2
	exit 1
fi
goreleaser release --clean --skip=publish
