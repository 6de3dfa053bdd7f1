#!/usr/bin/env bash
# Compiles what later steps of .ci/run need, on what processor time the others leave: many
# tests wait. A step takes over what is not done when its turn comes, and says what fails.
cd "$(dirname "$0")/.."
go tool -modfile=tools/golangci/go.mod golangci-lint version
INSTALL_RUST=1 bash tests/interop/build.sh
go tool -modfile=tools/release/go.mod goreleaser --version
