#!/usr/bin/env bash
# Builds the Tari nodes that the tests in this folder talk to, from crates.io:
#
#	bash tests/interop/build.sh            # both
#	bash tests/interop/build.sh 6.2.0      # one
#	GAMELAN_TARI_1_7=/path/to/tari bash tests/interop/build.sh 1.7.0-pre.3
#
# The last one is not published: it is built from a source tree of Tari at that tag.
#
# Needs Rust 1.93 or newer, a C compiler and protoc; the last two are installed
# with apt where it exists, Rust with its installer when INSTALL_RUST=1 says so
# (.ci/run does). From nothing the two take about five minutes on two cores; what
# is built is kept outside the tree, in CARGO_TARGET_DIR (default
# $XDG_CACHE_HOME/gamelan/interop, ~/.cache/gamelan/interop), where the tests
# look for it. JOBS bounds the compilers at work side by side.
set -euo pipefail
cd "$(dirname "$0")/rust"

releases=("$@")
[ $# -gt 0 ] || releases=(6.2.0 1.0.0-rc.5)
target=${CARGO_TARGET_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/gamelan/interop}
mkdir -p "$target"

fail() {
	echo "interop: $*" >&2
	exit 1
}

apt_install() {
	command -v apt-get >/dev/null || fail "$* are needed; install them and run this again"
	echo "interop: install $*"
	local sudo=""
	[ "$(id -u)" = 0 ] || sudo=sudo
	$sudo apt-get update -qq
	$sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@"
}

# rust prints the minor version of Rust 1.x, or nothing.
rust() { rustc --version 2>/dev/null | sed -n 's/^rustc 1\.\([0-9]*\).*/\1/p' || true; }

# install_rust asks rustup for a release that is known to do, and gets rustup
# first if there is none.
install_rust() {
	local toolchain=1.95.0 dir
	echo "interop: install Rust $toolchain"
	if ! command -v rustup >/dev/null; then
		command -v curl >/dev/null || apt_install curl ca-certificates
		dir=$(mktemp -d)
		curl -fsSL -o "$dir/rustup-init" "https://static.rust-lang.org/rustup/dist/$(uname -m)-unknown-linux-gnu/rustup-init"
		chmod +x "$dir/rustup-init"
		"$dir/rustup-init" -y -q --profile minimal --no-modify-path --default-toolchain none
		rm -r "$dir"
	fi
	rustup toolchain install "$toolchain" --profile minimal
	export RUSTUP_TOOLCHAIN=$toolchain
}

command -v cargo >/dev/null || PATH=$PATH:${CARGO_HOME:-$HOME/.cargo}/bin
minor=$(rust)
if [ "${INSTALL_RUST:-}" = 1 ] && [ "${minor:-0}" -lt 93 ]; then
	install_rust
	minor=$(rust)
fi
[ -n "$minor" ] || fail "no Rust on the PATH; install it from https://rustup.rs and run this again"
[ "$minor" -ge 93 ] || fail "Rust 1.$minor is too old, 1.93 is needed; run rustup update and this again"

missing=()
command -v cc >/dev/null || missing+=(gcc libc6-dev)
# Debian's protoc comes without the definitions that every .proto may import.
protoc_works() {
	local dir=$(mktemp -d) result=0
	echo 'syntax = "proto3"; import "google/protobuf/timestamp.proto";' >"$dir/probe.proto"
	protoc -I "$dir" -o /dev/null "$dir/probe.proto" 2>/dev/null || result=1
	rm -r "$dir"
	return $result
}
protoc_works || missing+=(protobuf-compiler libprotobuf-dev)
[ ${#missing[@]} -eq 0 ] || apt_install "${missing[@]}"

# from_tree makes a project for crates of the source tree GAMELAN_TARI_1_7, in $target.
from_tree() {
	local project=$target/$1/project tree=${GAMELAN_TARI_1_7:-} crate manifest words=(-e "s|@src@|$PWD/src|")
	[ -f "$tree/Cargo.lock" ] || fail "$1 is not published; set GAMELAN_TARI_1_7 to the absolute path of a source tree of Tari at the tag v$1"
	for crate in tari_comms tari_comms_dht tari_comms_rpc_macros tari_storage tari_shutdown; do
		manifest=$(grep -rlx --include=Cargo.toml "name = \"$crate\"" "$tree" | head -n 1)
		[ -n "$manifest" ] || fail "$tree has no crate $crate"
		words+=(-e "s|@$crate@|$(dirname "$manifest")|")
	done
	mkdir -p "$project"
	cp "$tree/Cargo.lock" "$project/Cargo.lock"
	sed "${words[@]}" "tari-$1.toml" >"$project/Cargo.toml"
}

for release in "${releases[@]}"; do
	locked=(--locked)
	if [ -f "tari-$release.toml" ]; then
		from_tree "$release"
		manifest=$target/$release/project/Cargo.toml
		locked=() # the tree's lock file lacks the project itself
	else
		[ -d "tari-$release" ] || fail "no such release: $release; there are: $(ls -d tari-* | sed 's/^tari-//; s/\.toml$//' | xargs)"
		manifest=tari-$release/Cargo.toml
	fi
	begin=$SECONDS
	echo "interop: build the Tari node $release"
	# Each release has dependencies of its own: a target folder for each.
	CARGO_TARGET_DIR=$target/$release nice -n 10 \
		cargo build --manifest-path "$manifest" --release "${locked[@]}" -j "${JOBS:-2}"
	# The tests run a copy: a build that fails halfway leaves the last good one.
	cp "$target/$release/release/tari-peer" "$target/tari-peer-$release.new"
	mv "$target/tari-peer-$release.new" "$target/tari-peer-$release"
	echo "interop: $target/tari-peer-$release, after $((SECONDS - begin))s"
done
