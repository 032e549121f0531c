"""Does with MLflow's real client what it is told, one JSON object a line on
standard input, and answers with one a line: {"ok": ...} or {"code", "says"}.

usage: worker.py FOLDER [URL]   (the tracking store and the artifacts go there, or
to the tracking server at the address)
"""

import json
import os
import pathlib
import sys

import mlflow
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException
from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

ITEMS = load_breast_cancer(as_frame=True)


def as_registry(uri):
    """Where the registry is; its credentials may stand in the address."""
    mlflow.set_registry_uri(uri)


def as_user(uri, token):
    """Where everything is, and who asks: what MLFLOW_TRACKING_URI and
    MLFLOW_TRACKING_TOKEN are for."""
    os.environ["MLFLOW_TRACKING_TOKEN"] = token
    mlflow.set_tracking_uri(uri)
    mlflow.set_experiment("cells")


def train(c):
    """Trains and logs a model, and returns where its bytes are."""
    with mlflow.start_run():
        model = make_pipeline(StandardScaler(), LogisticRegression(C=c, max_iter=1000))
        model.fit(ITEMS.data, ITEMS.target)
        logged = mlflow.sklearn.log_model(model, name="model", input_example=ITEMS.data.head(1))
    return mlflow.get_logged_model(logged.model_id).artifact_location


def train_on(c, commit):
    """Trains on a file and logs a model with what it read, one input without an
    address, and returns the run and the logged model."""
    file = pathlib.Path(sys.argv[1]) / "cells.csv"
    ITEMS.frame.to_csv(file, index=False)
    with mlflow.start_run(tags={"mlflow.source.git.commit": commit, "mlflow.source.git.repoURL": "https://git.example/cells"}) as run:
        mlflow.log_input(mlflow.data.from_pandas(ITEMS.frame, source=str(file), name="cells"), context="training")
        mlflow.log_input(mlflow.data.from_pandas(ITEMS.frame.head(10), name="frame"), context="validation")
        mlflow.log_param("C", c)
        model = make_pipeline(StandardScaler(), LogisticRegression(C=c, max_iter=1000)).fit(ITEMS.data, ITEMS.target)
        mlflow.log_metric("accuracy", model.score(ITEMS.data, ITEMS.target))
        logged = mlflow.sklearn.log_model(model, name="model", input_example=ITEMS.data.head(1))
    return {"run": run.info.run_id, "model": f"models:/{logged.model_id}"}


def log_and_register(c, name):
    """As a training script does it in one call."""
    with mlflow.start_run() as run:
        model = LogisticRegression(C=c, max_iter=3000).fit(ITEMS.data, ITEMS.target)
        mlflow.sklearn.log_model(model, name="model", registered_model_name=name)
    (version,) = MlflowClient().search_model_versions(f"name = '{name}' AND run_id = '{run.info.run_id}'")
    return {"version": version.version, "run": run.info.run_id}


def register(source, name):
    version = mlflow.register_model(source, name)
    # It waited until the bytes were read, and answers with what was before.
    version = MlflowClient().get_model_version(name, version.version)
    return {"version": version.version, "status": version.status, "source": version.source}


def alias(name, alias, version):
    MlflowClient().set_registered_model_alias(name, alias, version)


def aliases(name):
    return MlflowClient().get_registered_model(name).aliases


def stage_of(name, version):
    return MlflowClient().get_model_version(name, version).current_stage


def unalias(name, alias):
    MlflowClient().delete_registered_model_alias(name, alias)


def stage(name, version, stage):
    return MlflowClient().transition_model_version_stage(name, version, stage).current_stage


def delete(name, version):
    MlflowClient().delete_model_version(name, version)


def load(uri):
    """Loads a model and returns how many of a hundred items it gets right."""
    model = mlflow.pyfunc.load_model(uri)
    return int((model.predict(ITEMS.data.head(100)) == ITEMS.target.head(100)).sum())


def main():
    folder = pathlib.Path(sys.argv[1])
    if len(sys.argv) > 2:
        mlflow.set_tracking_uri(sys.argv[2])
    else:
        mlflow.set_tracking_uri(f"sqlite:///{folder}/mlflow.db")
        mlflow.create_experiment("cells", artifact_location=(folder / "artifacts").as_uri())
    mlflow.set_experiment("cells")
    # What libraries print is not an answer.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    for line in sys.stdin:
        asked = json.loads(line)
        do = globals()[asked.pop("do")]
        try:
            answer = {"ok": do(**asked)}
        except MlflowException as e:
            answer = {"code": e.error_code, "says": str(e)}
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    main()
