"""The fixtures of the client cases: a real MlflowClient on an empty registry."""

import pytest
from mlflow import MlflowClient

import blackbox


@pytest.fixture
def url():
    return blackbox.new_team()


@pytest.fixture
def client(url):
    return MlflowClient(url, url)
