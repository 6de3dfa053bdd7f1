#!/usr/bin/env bash
# Builds the program that measures iroh, from crates.io: about four minutes on two cores, with
# Rust 1.91 or newer. It is kept outside the tree, where the bench looks for it.
set -euo pipefail
cd "$(dirname "$0")"
CARGO_TARGET_DIR=${XDG_CACHE_HOME:-$HOME/.cache}/gamelan/bench-iroh exec cargo build --release --locked
