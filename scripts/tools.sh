#!/usr/bin/env bash
# Installs the evaluation tools that interop/tools runs, at the versions of its
# lock files, into a folder of the user's cache, and prints that folder: its bin/,
# put first on the PATH, has python, node, pytest and promptfoo. Quick when they
# are there. Needs Python 3.11 or later; Node.js comes as a Python package.
set -euo pipefail
locks=$(cd "$(dirname "$0")/../interop/tools" && pwd)

fail() {
    echo "tools: $*" >&2
    exit 1
}

as_root() {
    if [ "$(id -u)" -eq 0 ]; then
        "$@"
    elif command -v sudo >/dev/null; then
        sudo "$@"
    else
        fail "'$*' must run as root, and there is no sudo: run 'make setup' as root once."
    fi
}

# Debian keeps apart what a virtual environment needs.
have_python() {
    command -v python3 >/dev/null && python3 -c 'import ensurepip, venv' 2>/dev/null
}
if ! have_python && command -v apt-get >/dev/null; then
    echo "tools: installing Python" >&2
    as_root apt-get update -q </dev/null >&2
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -qy --no-install-recommends python3 python3-venv </dev/null >&2
fi
have_python || fail "the tests run real evaluation tools and need python3, 3.11 or later, with its modules venv and ensurepip: install it with this machine's package manager."
python=$(python3 -c 'import sys; print(sys.executable, *sys.version_info[:3]); sys.exit(sys.version_info < (3, 11))') ||
    fail "python3 is $python, and 3.11 or later is needed."

key=$({ cat "$locks"/requirements.txt "$locks"/package{,-lock}.json && echo "$python $(uname -m)"; } | sha256sum | cut -c1-16)
cache=${XDG_CACHE_HOME:-${HOME:?tools: set HOME or XDG_CACHE_HOME, where the tools are kept}/.cache}/imprimatur-tests
folder=$cache/$key
if [ ! -e "$folder/ready" ]; then
    mkdir -p "$cache" || fail "cannot make the folder $cache: let XDG_CACHE_HOME name one that can be written."
    # One installs, another waits for it; what was left half done is begun anew.
    exec 9>"$folder.lock"
    flock 9
fi
if [ ! -e "$folder/ready" ]; then
    echo "tools: installing scikit-learn, Evidently, MLflow, pytest, promptfoo and axe into $folder; this takes some minutes and 2 GB" >&2
    rm -rf "$folder"
    python3 -m venv "$folder"
    "$folder/bin/pip" install -q --disable-pip-version-check --no-deps --require-hashes -r "$locks/requirements.txt" >&2 ||
        fail "pip could not install the packages of interop/tools/requirements.txt."
    cp "$locks"/package.json "$locks"/package-lock.json "$folder"
    # The native database of promptfoo is optional to npm and named outright in
    # package.json, for either processor; --force passes over the other one. npm
    # ci would demand that even what is left out be listed for all systems.
    (cd "$folder" && PATH=$folder/bin:$PATH npm install --force --omit=optional --ignore-scripts --no-audit --no-fund --loglevel=error >&2) ||
        fail "npm could not install the packages of interop/tools/package-lock.json."
    ln -s ../node_modules/promptfoo/dist/src/entrypoint.js "$folder/bin/promptfoo"
    touch "$folder/ready"
fi
echo "$folder"
