#!/usr/bin/env bash
# Runs every fuzz target of the tree for FUZZTIME (default 60s) each.
#
# A fuzz step that fuzzes nothing stays green for years, so this one compares
# the targets that go lists with those that stand in the sources, and wants to
# see each target's engine report progress.
#
# The engine handles the coverage counters of all that a test binary links, which
# for a package above the store are 300 KB and take far longer than the target.
# Minimising what is interesting would eat all the time, so it is tried once.
set -euo pipefail
cd "$(dirname "$0")/.."

fuzztime=${FUZZTIME:-60s}
log=$(mktemp)
trap 'rm -f "$log"' EXIT

written=$(grep -rhoE '^func Fuzz[A-Za-z0-9_]*' --include='*_test.go' --exclude-dir=testdata . | sed 's/^func //' | sort || true)
packages=$(go list ./...)
targets=()
listed=""
for package in $packages; do
    names=$(go test -list '^Fuzz' "$package")
    names=$(grep '^Fuzz' <<<"$names" || true)
    for name in $names; do
        targets+=("$package $name")
        listed+="$name"$'\n'
    done
done
listed=$(sort <<<"${listed%$'\n'}")

if [ -z "$written" ]; then
    echo "fuzz: there is no fuzz target in the tree." >&2
    exit 1
fi
if [ "$written" != "$listed" ]; then
    echo "fuzz: go lists other targets (>) than the sources hold (<); a build tag or another module hides them:" >&2
    diff <(echo "$written") <(echo "$listed") >&2 || true
    exit 1
fi

failed=0
for target in "${targets[@]}"; do
    read -r package name <<<"$target"
    echo "=== $name ($package, $fuzztime)"
    if ! go test -run '^$' -fuzz "^$name\$" -fuzztime "$fuzztime" -fuzzminimizetime 1x "$package" 2>&1 | tee "$log"; then
        failed=$((failed + 1))
    elif ! grep -q '^fuzz: elapsed' "$log"; then
        echo "fuzz: $name ended without having fuzzed." >&2
        failed=$((failed + 1))
    fi
done
echo "fuzz: ${#targets[@]} targets for $fuzztime each, $failed failed"
[ "$failed" -eq 0 ]
