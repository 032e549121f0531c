#!/usr/bin/env bash
# Installs what the tests need beside Go: the evaluation tools (scripts/tools.sh),
# MCP servers (scripts/mcp.sh, which stands on them), PostgreSQL's server programs, of which the tests start clusters of their own,
# and Chromium, which the tests of pages drive. Does nothing where they are present.
set -euo pipefail

"$(dirname "$0")/mcp.sh" >/dev/null

have_initdb() {
    compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null || command -v initdb >/dev/null
}

have_chromium() {
    command -v "${CHROMIUM:-chromium}" >/dev/null
}

if have_initdb && have_chromium; then
    exit 0
fi

if ! command -v apt-get >/dev/null; then
    echo "setup: the tests need PostgreSQL's server programs (initdb, postgres; version 15 or later) and Chromium: install them with this machine's package manager and put initdb and chromium on the PATH." >&2
    exit 1
fi

as_root() {
    if [ "$(id -u)" -eq 0 ]; then
        "$@"
    elif command -v sudo >/dev/null; then
        sudo "$@"
    else
        echo "setup: '$*' must run as root, and there is no sudo: run 'make setup' as root once." >&2
        exit 1
    fi
}

as_root apt-get update -q </dev/null

if ! have_chromium; then
    echo "setup: installing Chromium"
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -qy --no-install-recommends chromium </dev/null
fi

if have_initdb; then
    exit 0
fi

# The package would start a server of its own; the tests have no use for it. A
# drop-in, because a changed createcluster.conf makes dpkg ask questions.
drop_in=/etc/postgresql-common/createcluster.d/no-main-cluster.conf
if [ ! -e "$drop_in" ]; then
    as_root mkdir -p "$(dirname "$drop_in")"
    echo "create_main_cluster = false" | as_root tee "$drop_in" >/dev/null
fi

echo "setup: installing PostgreSQL's server programs"
# The version of Debian 12; elsewhere, whichever the distribution has.
if apt-cache show postgresql-15 >/dev/null 2>&1; then
    package=postgresql-15
else
    package=postgresql
fi
as_root env DEBIAN_FRONTEND=noninteractive apt-get install -qy --no-install-recommends "$package" </dev/null

if ! have_initdb; then
    echo "setup: $package is installed, and yet there is no /usr/lib/postgresql/*/bin/initdb." >&2
    exit 1
fi
