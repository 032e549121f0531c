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
