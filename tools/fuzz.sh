#!/usr/bin/env bash
# Runs every fuzz target of the module for the time given (default 10s), one
# after another. The targets are found, not listed.
set -euo pipefail
cd "$(dirname "$0")/.."
duration=${1:-10s}

# go test -list prints the targets of a package and then "ok  <package>  <time>".
targets=$(go test -list '^Fuzz' ./... | awk '
	/^Fuzz/ { names[++n] = $1 }
	/^ok/   { for (i = 1; i <= n; i++) print $2, names[i]; n = 0 }
	/^\?/   { n = 0 }')
if [ -z "$targets" ]; then
	echo "fuzz: found no fuzz target; every decoder needs one" >&2
	exit 1
fi
failed=0
while read -r package name; do
	echo "fuzz: $package $name"
	# When the time is up in the middle of an input, the fuzzer may report that
	# as a failure: try such a target once more.
	if ! out=$(go test -run '^$' -fuzz "^$name\$" -fuzztime "$duration" -timeout 10m "$package" 2>&1); then
		if grep -q 'context deadline exceeded' <<<"$out" && ! grep -q 'Failing input' <<<"$out" &&
			out=$(go test -run '^$' -fuzz "^$name\$" -fuzztime "$duration" -timeout 10m "$package" 2>&1); then
			continue
		fi
		echo "$out" >&2
		failed=1
	fi
done <<<"$targets"
exit $failed
