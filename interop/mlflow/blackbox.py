"""A pytest plugin that points MLflow's own tests at an Imprimatur server, for
scripts/mlflow_blackbox.sh, which gives it the server's address and a token of an
administrator that is contributor of all teams.

Wherever a test would start MLflow's server it gets the address of a team of its
own, which is an empty registry. What cannot pass is listed in DIFFERS with the
reason, and a case of it that passes fails the run, so that the list stays true.
"""

import contextlib
import json
import os
import sys
import threading
import types
import urllib.error
import urllib.request
import uuid
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from unittest.mock import patch

import pytest

URL = os.environ["IMPRIMATUR_URL"]
TOKEN = os.environ["IMPRIMATUR_TOKEN"]


def new_team():
    """Creates a team and returns the address of its registry."""
    team = "t-" + uuid.uuid4().hex[:12]
    request = urllib.request.Request(
        URL + "/api/v1/teams",
        data=json.dumps({"name": team}).encode(),
        headers={"Authorization": "Bearer " + TOKEN, "Content-Type": "application/json"},
    )
    urllib.request.urlopen(request).read()
    return f"{URL}/t/{team}"


@contextlib.contextmanager
def server(*_args, **_kwargs):
    yield new_team()


def server_thread(original):
    """What stands for the class that starts MLflow's server in a thread. Tests of
    tracking get their MLflow server with our registry before it."""

    class ServerThread:
        def __init__(self, app, port):
            tracks = "test_rest_tracking" in os.environ["PYTEST_CURRENT_TEST"]
            self.tracking = original(app, port) if tracks else None

        def __enter__(self):
            registry = new_team()
            if not self.tracking:
                return registry
            self.front = ThreadingHTTPServer(("127.0.0.1", 0), front(registry, self.tracking.__enter__()))
            threading.Thread(target=self.front.serve_forever, daemon=True).start()
            return f"http://127.0.0.1:{self.front.server_port}"

        def __exit__(self, *exc):
            if self.tracking:
                self.front.shutdown()
                self.front.server_close()
                self.tracking.__exit__(*exc)

    return ServerThread


def front(registry, tracking):
    """Sends the registry's calls to our server, signed in, and all others to
    MLflow's: these tests know one address and no token."""

    class Front(BaseHTTPRequestHandler):
        def pass_on(self):
            ours = self.path.startswith(("/api/2.0/mlflow/registered-models", "/api/2.0/mlflow/model-versions"))
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            headers = {"Content-Type": self.headers.get("Content-Type", "")}
            if ours:
                headers["Authorization"] = "Bearer " + TOKEN
            asked = urllib.request.Request(
                (registry if ours else tracking) + self.path, data=body or None, headers=headers, method=self.command
            )
            try:
                answer = urllib.request.urlopen(asked)
            except urllib.error.HTTPError as e:
                answer = e
            said = answer.read()
            self.send_response(answer.status)
            self.send_header("Content-Type", answer.headers.get("Content-Type", ""))
            self.send_header("Content-Length", str(len(said)))
            self.end_headers()
            self.wfile.write(said)

        do_GET = do_POST = do_PATCH = do_DELETE = pass_on

        def log_message(self, *_args):
            pass

    return Front


def pytest_configure(config):
    os.environ["MLFLOW_TRACKING_TOKEN"] = TOKEN
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    import tests.tracking.integration_test_utils as utils

    patch.object(utils, "_init_server", server).start()
    if hasattr(utils, "ServerThread"):
        patch.object(utils, "ServerThread", server_thread(utils.ServerThread)).start()


STORE = "tests/store/model_registry/test_sqlalchemy_store.py"
PROMPTS = "tests/genai/prompts/test_prompts.py"
SOURCES = "tests/tracking/test_rest_tracking.py"
DELIVERY = "tests/webhooks/test_e2e.py"
HOOKS = "tests/store/model_registry/test_rest_store_webhooks.py"

CLOCK = "replaces the clock of MLflow's own process"
INSIDE = "reaches into MLflow's own store"
WORDS = "wants the words of MLflow 3.11, where 3.17 has others"
LOCAL = "wants a local path refused unless it is its run's at the tracking server; here it is read below --models-from, or never"
CACHE = "calls a private function of the client, which has other arguments since MLflow 3.11"

# Cases that cannot pass, with the reason.
DIFFERS = {
    STORE: {
        "test_get_registered_model": CLOCK,
        "test_create_model_version": CLOCK,
        "test_search_registered_model_order_by": CLOCK,
        "test_search_model_versions_pagination": WORDS,
        "test_delete_model_version_redaction": INSIDE,
        "test_parse_search_registered_models_order_by": INSIDE,
        "test_search_model_versions_includes_workspace_predicate": INSIDE,
        "test_search_registered_models_includes_workspace_predicate": INSIDE,
        "test_create_model_version_with_model_id_and_no_run_id": INSIDE,
    },
    PROMPTS: {
        "test_register_prompt_invalidates_latest_cache": CACHE,
        "test_set_prompt_alias_invalidates_alias_cache": CACHE,
        "test_prompt_cache_custom_ttl": CACHE,
        "test_prompt_cache_invalidation": CACHE,
    },
    SOURCES: {
        "test_create_model_version_with_path_source": LOCAL,
        "test_create_model_version_with_file_uri": LOCAL,
        "test_create_model_version_with_non_local_source": "only its last request, " + LOCAL,
    },
}

# Cases that are not for this server, by a part of their name, with the reason.
APART = {
    STORE: {
        "workspace-enabled": "workspaces, which are not spoken here: teams have addresses of their own",
        "webhook": "webhooks have tests of their own",
    },
    SOURCES: {"validation_regex": "starts MLflow's own server with a setting of its environment"},
}


@pytest.hookimpl(wrapper=True)
def pytest_collection(session):
    """Tests that end MLflow's own server by psutil, which need not be installed,
    are imported all the same: that server is not started here."""
    try:
        import psutil  # noqa: F401
    except ImportError:
        with patch.dict(sys.modules, psutil=types.ModuleType("psutil")):
            return (yield)
    return (yield)


def pytest_collection_modifyitems(config, items):
    kept, apart = [], []
    for item in items:
        file = item.nodeid.partition("::")[0]
        if any(part in item.name for part in APART.get(file, {})):
            apart.append(item)
            continue
        kept.append(item)
        if file == STORE:
            item.module.SqlAlchemyStore = rest_store()
        if file == DELIVERY:
            item.module._run_mlflow_server = server
        if file == HOOKS:
            from mlflow.utils.rest_utils import MlflowHostCreds

            item.module.MlflowHostCreds = lambda url: MlflowHostCreds(url, token=TOKEN)
        why = DIFFERS.get(file, {}).get(item.originalname)
        if why:
            item.add_marker(pytest.mark.xfail(reason=why, strict=True))
    items[:] = kept
    config.hook.pytest_deselected(items=apart)


def pytest_terminal_summary(terminalreporter):
    """The table: file, outcome, how many; then why some cannot pass."""
    counts = Counter()
    for outcome in ("passed", "failed", "error", "xfailed", "skipped"):
        for report in terminalreporter.stats.get(outcome, []):
            counts[report.nodeid.partition("::")[0], outcome] += 1
    terminalreporter.section("MLflow's own tests against this server")
    for (file, outcome), n in sorted(counts.items()):
        terminalreporter.write_line(f"{n:5} {outcome:8} {file}")
    for title, reasons in (("cannot pass", DIFFERS), ("not run", APART)):
        for file, named in reasons.items():
            for name, why in named.items():
                terminalreporter.write_line(f"{title}: {file.rpartition('/')[2]} {name}: {why}")


def rest_store():
    """A stand-in for the database's store: it asks the server, and writes what
    comes back as the database's store has it."""
    from mlflow.entities.model_registry import ModelVersion, RegisteredModel
    from mlflow.store.entities.paged_list import PagedList
    from mlflow.store.model_registry.rest_store import RestStore
    from mlflow.utils.rest_utils import MlflowHostCreds

    def plain(r):
        if isinstance(r, list):
            for x in r:
                plain(x)
            if isinstance(r, PagedList):
                r.token = r.token or None
        elif isinstance(r, RegisteredModel):
            r._description = r._description or None
            r._aliases = {k: int(v) for k, v in r._aliases.items()}
            plain(r._latest_version or [])
        elif isinstance(r, ModelVersion):
            r._version = int(r._version)
            r._aliases = list(r._aliases)
            for name in ("_description", "_run_link", "_user_id", "_run_id"):
                setattr(r, name, getattr(r, name) or None)
        return r

    def whole(n):
        """The database takes 1e15 for a page's size, a message of protobuf does not."""
        return int(n) if isinstance(n, float) else n

    class Store(RestStore):
        def __init__(self, _uri=None):
            url = new_team()
            super().__init__(lambda: MlflowHostCreds(url, token=TOKEN))
            self.engine = self

        def dispose(self):
            pass

        def __getattribute__(self, name):
            found = object.__getattribute__(self, name)
            if name.startswith("_") or name in ("get_host_creds", "engine", "dispose") or not callable(found):
                return found
            return lambda *a, **k: plain(found(*map(whole, a), **{name: whole(v) for name, v in k.items()}))

    return Store


@pytest.fixture(autouse=True)
def registry_of_its_own(request):
    """Tests that keep tracking to themselves get our server as their registry."""
    if not request.node.nodeid.startswith(PROMPTS):
        yield
        return
    import mlflow

    request.getfixturevalue("tracking_uri_mock")
    mlflow.set_registry_uri(new_team())
    yield
    mlflow.set_registry_uri(None)
