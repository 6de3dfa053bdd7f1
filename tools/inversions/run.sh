#!/usr/bin/env bash
# Applies each inversion to a copy of the commit and runs the tests it names:
# every one must fail. With arguments only those, such as: run.sh comms-31 v-9
set -euo pipefail
cd "$(dirname "$0")/../.."

patches=$PWD/tools/inversions
copy=$(mktemp -d)
trap 'git worktree remove --force "$copy"' EXIT
git worktree add --quiet --detach "$copy" HEAD

[ $# -gt 0 ] || set -- $(cd "$patches" && ls *.patch | sort -V)
wrong=0
complain() {
	echo "inversions: $*" >&2
	wrong=$((wrong + 1))
}

for name; do
	patch=$patches/${name%.patch}.patch
	git -C "$copy" checkout --quiet .
	if ! git -C "$copy" apply "$patch"; then
		complain "$name does not apply any more: invert the rule anew, and write the patch with git diff"
		continue
	fi
	grep '^Fails: ' "$patch" | while read -r _ pkg test; do echo "$pkg $test"; done | sort | awk '
		$1 != pkg { if (pkg) print pkg, tests; pkg = $1; tests = $2; next }
		{ tests = tests "|" $2 }
		END { print pkg, tests }' >"$copy.tests"
	while read -r pkg tests; do
		out=$(cd "$copy" && go test -vet=off -count=1 -timeout 5m -run "^($tests)\$" "$pkg" 2>&1 </dev/null) || true
		if grep -q '\[\(build\|setup\) failed\]' <<<"$out"; then
			complain "$name does not compile in $pkg"
			continue
		fi
		for test in ${tests//|/ }; do
			# A test that does not end, or that panics, takes those after it along.
			grep -q "^--- FAIL: $test\b\|^panic: " <<<"$out" || complain "$name: $test in $pkg passes, want it to fail"
		done
	done <"$copy.tests"
	rm "$copy.tests"
	echo "$(sed -n 's/^Item: //p' "$patch"): done"
done
[ $wrong = 0 ] || {
	echo "inversions: $wrong complaints" >&2
	exit 1
}
