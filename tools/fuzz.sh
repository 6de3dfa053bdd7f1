#!/usr/bin/env bash
# Runs every fuzz target of the module for the time given (default 10s), one
# after another: bash tools/fuzz.sh 10s
# With a number behind it, each day another one of so many shares: bash tools/fuzz.sh 1s 3
# The targets are found, not listed.
set -euo pipefail
cd "$(dirname "$0")/.."
duration=${1:-10s}
shares=${2:-1}
today=$(($(date -u +%s) / 86400 % shares))

# go test -list prints the targets of a package and then "ok  <package>  <time>".
targets=$(go test -list '^Fuzz' ./... | awk '
	/^Fuzz/ { names[++n] = $1 }
	/^ok/   { for (i = 1; i <= n; i++) print $2, names[i]; n = 0 }
	/^\?/   { n = 0 }')
if [ -z "$targets" ]; then
	echo "fuzz: found no fuzz target; every decoder needs one" >&2
	exit 1
fi
targets=$(awk -v shares="$shares" -v today="$today" 'NR % shares == today' <<<"$targets")
failed=0
while read -r package name; do
	echo "fuzz: $package $name"
	# At the end of the time the fuzzer may report its own deadline as a failure
	# (go.dev/issue/75804, mended in Go 1.27): such a target runs again.
	for _ in 1 2 3; do
		# Without minimizing, the time goes into looking: a failing input is
		# written as it was found.
		out=$(go test -run '^$' -fuzz "^$name\$" -fuzztime "$duration" -fuzzminimizetime 0x \
			-timeout 10m "$package" 2>&1) && continue 2
		grep -q 'context deadline exceeded' <<<"$out" || break
		grep -q 'Failing input' <<<"$out" && break
	done
	echo "$out" >&2
	failed=1
done <<<"$targets"
exit $failed
