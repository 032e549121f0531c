#!/usr/bin/env bash
# Runs MLflow's own tests of its registry against a server of ours, and prints how
# many of each file passed and why the others cannot. MLflow's packages come
# without its tests, so it is given a checkout of MLflow's source.
#
# usage: scripts/mlflow_blackbox.sh CHECKOUT [ARGUMENT OF PYTEST...]
set -euo pipefail
[ $# -ge 1 ] && [ -d "$1/tests/store/model_registry" ] || {
    echo "usage: scripts/mlflow_blackbox.sh CHECKOUT [ARGUMENT OF PYTEST...], where CHECKOUT is MLflow's source with its tests" >&2
    exit 2
}
checkout=$(cd "$1" && pwd)
shift
home=$(cd "$(dirname "$0")/.." && pwd)
tools=$("$home/scripts/tools.sh")
work=$(mktemp -d)
server=
# The server writes until it has ended.
trap '[ -z "$server" ] || { kill "$server"; wait "$server" || true; }; rm -rf "$work"' EXIT

(cd "$home" && CGO_ENABLED=0 go build -o "$work/imprimatur" ./cmd/imprimatur)
mkdir "$work/runs"
"$work/imprimatur" serve --data "$work/data" --listen 127.0.0.1:0 --models-from "$work/runs" --allow-target localhost >"$work/said" &
server=$!
until grep -q 'export IMPRIMATUR_TOKEN=' "$work/said"; do
    kill -0 "$server" || exit 1
    sleep 0.1
done
IMPRIMATUR_URL=$(sed -n 's/^Imprimatur serves //p' "$work/said")
IMPRIMATUR_TOKEN=$(sed -n 's/.*export IMPRIMATUR_TOKEN=//p' "$work/said")
export IMPRIMATUR_URL IMPRIMATUR_TOKEN
"$work/imprimatur" principal bind administrator --role contributor --team '*' >/dev/null

# The tests alone: MLflow itself is the one that is installed.
ln -s "$checkout/tests" "$work/tests"
cd "$work"
export MLFLOW_DISABLE_TELEMETRY=true DO_NOT_TRACK=1 GIT_PYTHON_REFRESH=quiet PYTHONDONTWRITEBYTECODE=1
export PYTEST_DISABLE_PLUGIN_AUTOLOAD=1 PYTHONPATH=$home/interop/mlflow:.
"$tools/bin/python" -m pytest -q --tb=short -W ignore -p no:cacheprovider -p blackbox --basetemp "$work/runs/pytest" "$@" \
    tests/tracking/test_model_registry.py \
    tests/tracking/test_client_webhooks.py tests/store/model_registry/test_rest_store_webhooks.py tests/webhooks/test_e2e.py \
    tests/store/model_registry/test_sqlalchemy_store.py \
    tests/genai/prompts/test_prompts.py \
    tests/tracking/test_rest_tracking.py::test_create_model_version_with_{path_source,non_local_source,file_uri,validation_regex}
