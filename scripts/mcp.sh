#!/usr/bin/env bash
# Installs the MCP servers and the protocol's conformance suite that the tests of
# gateway/mcp run, at the versions of interop/mcp's lock file, into a folder of the
# user's cache, and prints that folder: its bin/ has node, and node_modules/.bin the
# programs. Quick when they are there.
set -euo pipefail
locks=$(cd "$(dirname "$0")/../interop/mcp" && pwd)
tools=$("$(dirname "$0")/tools.sh")

key=$({ cat "$locks"/package{,-lock}.json && echo "$tools"; } | sha256sum | cut -c1-16)
cache=${XDG_CACHE_HOME:-${HOME:?mcp: set HOME or XDG_CACHE_HOME, where the servers are kept}/.cache}/imprimatur-tests
folder=$cache/mcp-$key
if [ ! -e "$folder/ready" ]; then
    mkdir -p "$cache"
    # One installs, another waits for it; what was left half done is begun anew.
    exec 9>"$folder.lock"
    flock 9
fi
if [ ! -e "$folder/ready" ]; then
    echo "mcp: installing MCP servers and the conformance suite into $folder; this takes a quarter of a minute and 70 MB" >&2
    rm -rf "$folder"
    mkdir -p "$folder"
    cp "$locks"/package.json "$locks"/package-lock.json "$folder"
    (cd "$folder" && PATH=$tools/bin:$PATH npm ci --ignore-scripts --no-audit --no-fund --loglevel=error >&2) || {
        echo "mcp: npm could not install the packages of interop/mcp/package-lock.json." >&2
        exit 1
    }
    ln -s "$tools/bin" "$folder/bin"
    touch "$folder/ready"
fi
echo "$folder"
