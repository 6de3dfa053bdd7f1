#!/bin/sh
# Writes what the archives and packages hold beside the program, with the command
# itself: completions and manual pages. Then it builds the tool that writes the
# SBOMs. The result depends on the commit alone.
set -eu
cd "$(dirname "$0")/.."
# For this machine, whatever the release is built for.
unset GOOS GOARCH

out=packaging/generated
rm -rf $out
mkdir -p $out/completions $out/man
CGO_ENABLED=0 go build -trimpath -buildvcs=false -o $out/gamelan ./cmd/gamelan
for shell in bash zsh fish; do
	$out/gamelan completion $shell >$out/completions/gamelan.$shell
done
$out/gamelan man --dir $out/man
for page in $out/man/*; do
	gzip -9 -n <"$page" >"$page.gz"
done
go build -C tools -buildvcs=false -o "../$out/sbom" ./sbom
