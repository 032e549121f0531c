"""Logs the model of train.py and its evaluation by mlflow.models.evaluate to an
MLflow tracking store under OUT, and writes under OUT/evidence

    mlflow-run.json           the run, as MLflow's server answers GET …/mlflow/runs/get
    eval_results_table.json   the evaluation's rows, an artifact of the run

usage: tracked.py OUT
"""

import os
import pathlib
import shutil
import sys

import joblib
import mlflow
import pandas as pd
from mlflow.metrics import MetricValue, make_metric


def right(predictions, targets):
    scores = [float(p == t) for p, t in zip(predictions, targets)]
    return MetricValue(scores=scores, aggregate_results={"mean": sum(scores) / len(scores)})


def main(out: pathlib.Path) -> None:
    mlflow.set_tracking_uri(f"sqlite:///{out}/mlflow.db")
    mlflow.create_experiment("cells", artifact_location=(out / "mlartifacts").as_uri())
    mlflow.set_experiment("cells")
    model = joblib.load(out / "model" / "model.joblib")
    held = pd.read_csv(out / "data" / "held-out.csv", index_col="item")
    with mlflow.start_run() as run:
        mlflow.log_params(model[-1].get_params())
        info = mlflow.sklearn.log_model(model, name="model", input_example=held.drop(columns="malignant").head(1))
        mlflow.models.evaluate(
            info.model_uri, held, targets="malignant", model_type="classifier",
            evaluator_config={"log_explainer": False, "pos_label": 1},
            extra_metrics=[make_metric(eval_fn=right, greater_is_better=True, name="right", version="v1")],
        )

    evidence = out / "evidence"
    evidence.mkdir(exist_ok=True)
    # "mlflow runs describe" of 3.17 fails on a run that evaluated a logged model.
    os.environ["_MLFLOW_SERVER_FILE_STORE"] = mlflow.get_tracking_uri()
    from mlflow.server import app
    answer = app.test_client().get("/api/2.0/mlflow/runs/get", query_string={"run_id": run.info.run_id})
    assert answer.status_code == 200, answer.text
    (evidence / "mlflow-run.json").write_text(answer.text)
    table = mlflow.artifacts.download_artifacts(run_id=run.info.run_id, artifact_path="eval_results_table.json")
    shutil.copy(table, evidence / "eval_results_table.json")


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]).resolve())
