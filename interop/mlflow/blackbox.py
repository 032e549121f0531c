"""A pytest plugin that points MLflow's own tests at an Imprimatur server.

Give it with -p blackbox, from a checkout of MLflow's source whose tests are to be
run with an installed MLflow of about the same version:

    IMPRIMATUR_URL=http://127.0.0.1:8420 IMPRIMATUR_TOKEN=... \
        pytest -p blackbox tests/tracking/test_model_registry.py

The token is that of a principal that is administrator and contributor of all
teams. Wherever a test would start MLflow's server it gets the address of a team
of its own, which is an empty registry.
"""

import contextlib
import json
import os
import urllib.request
import uuid
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


class ServerThread:
    def __init__(self, app, port):
        pass

    def __enter__(self):
        return new_team()

    def __exit__(self, *_exc):
        pass


def pytest_configure(config):
    os.environ["MLFLOW_TRACKING_TOKEN"] = TOKEN
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    import tests.tracking.integration_test_utils as utils

    patch.object(utils, "_init_server", server).start()
    if hasattr(utils, "ServerThread"):
        patch.object(utils, "ServerThread", ServerThread).start()


def pytest_collection_modifyitems(items):
    if os.environ.get("IMPRIMATUR_STORE"):
        for module in {item.module for item in items}:
            if hasattr(module, "SqlAlchemyStore"):
                module.SqlAlchemyStore = rest_store()


def rest_store():
    """A stand-in for the database's store, for tests/store/model_registry/
    test_sqlalchemy_store.py -k workspace-disabled with IMPRIMATUR_STORE=1: it asks
    the server, and writes what comes back as the database's store has it."""
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
            return lambda *a, **k: plain(found(*a, **k))

    return Store


@pytest.fixture(autouse=True)
def registry_of_its_own(request):
    """With IMPRIMATUR_REGISTRY=1, tests that keep tracking to themselves, such as
    tests/genai/prompts, get our server as their registry."""
    if not os.environ.get("IMPRIMATUR_REGISTRY"):
        yield
        return
    import mlflow

    request.getfixturevalue("tracking_uri_mock")
    mlflow.set_registry_uri(new_team())
    yield
    mlflow.set_registry_uri(None)
