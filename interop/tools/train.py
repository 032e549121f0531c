"""Trains a small classifier on the breast-cancer data that comes with
scikit-learn, and writes under the folder OUT:

    model/model.joblib, model/config.json   the model
    data/train.csv, data/held-out.csv       its data, never overlapping

usage: train.py OUT
"""

import json
import pathlib
import sys

import joblib
import sklearn
from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler


def main(out: pathlib.Path) -> None:
    (out / "model").mkdir(parents=True, exist_ok=True)
    (out / "data").mkdir(exist_ok=True)
    frame = load_breast_cancer(as_frame=True).frame
    # The data set calls benign 1; what the model looks for is malignancy.
    frame["malignant"] = 1 - frame.pop("target")
    train, held = train_test_split(frame, test_size=0.4, random_state=7, stratify=frame["malignant"])
    features = [c for c in frame.columns if c != "malignant"]
    model = make_pipeline(StandardScaler(), LogisticRegression(C=0.5, max_iter=1000))
    model.fit(train[features], train["malignant"])

    joblib.dump(model, out / "model" / "model.joblib")
    config = {"kind": "LogisticRegression", "scikit-learn": sklearn.__version__, "features": features, "positive": "malignant"}
    (out / "model" / "config.json").write_text(json.dumps(config, indent=1))
    train.to_csv(out / "data" / "train.csv", index_label="item")
    held.to_csv(out / "data" / "held-out.csv", index_label="item")


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]))
