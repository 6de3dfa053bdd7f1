#!/usr/bin/env bash
# What has to be green before a commit: make check.
set -euo pipefail
cd "$(dirname "$0")/.."

tool() { go tool -modfile=tools/go.mod "$@"; }

unformatted=$(tool gofumpt -l .)
[ -z "$unformatted" ] || {
	echo "not formatted (make fmt):" $unformatted >&2
	exit 1
}
go vet ./...
go tool -modfile=tools/golangci/go.mod golangci-lint run ./...
go -C tools run ./protogen -check
go -C tools run ./conformance -check
go -C tools run ./inversions -check
go -C tools run ./api -check
go -C tools run ./licences -check
go -C tools run ./prose -check
go test -race -timeout 15m ./...
bash tools/fuzz.sh 2s
