"""Evaluates the model of train.py on the held-out data with scikit-learn, and
writes under OUT/evidence what teams commonly write:

    items.csv                    item, label, prediction, score
    predictions.csv              y_true, y_pred, y_score
    classification_report.json   classification_report(output_dict=True)
    confusion_matrix.json        {"labels": …, "matrix": …}
    expected.json                scikit-learn's own values of the metrics, to compare with

usage: score.py OUT
"""

import json
import pathlib
import sys

import joblib
import pandas as pd
from sklearn import metrics


def main(out: pathlib.Path) -> None:
    held = pd.read_csv(out / "data" / "held-out.csv", index_col="item")
    model = joblib.load(out / "model" / "model.joblib")
    truth = held.pop("malignant")
    predicted = model.predict(held)
    score = model.predict_proba(held)[:, 1]

    evidence = out / "evidence"
    evidence.mkdir(exist_ok=True)
    items = pd.DataFrame({"item": held.index, "label": truth.values, "prediction": predicted, "score": score})
    items.to_csv(evidence / "items.csv", index=False)
    rows = pd.DataFrame({"y_true": truth.values, "y_pred": predicted, "y_score": score})
    rows.to_csv(evidence / "predictions.csv", index=False)

    def write(name: str, value: object) -> None:
        (evidence / name).write_text(json.dumps(value, indent=1))

    write("classification_report.json", metrics.classification_report(truth, predicted, output_dict=True))
    labels = [0, 1]
    matrix = metrics.confusion_matrix(truth, predicted, labels=labels)
    write("confusion_matrix.json", {"labels": labels, "matrix": matrix.tolist()})
    write("expected.json", {
        "accuracy": metrics.accuracy_score(truth, predicted),
        "precision": metrics.precision_score(truth, predicted),
        "recall": metrics.recall_score(truth, predicted),
        "specificity": metrics.recall_score(truth, predicted, pos_label=0),
        "f1": metrics.f1_score(truth, predicted),
        "roc_auc": metrics.roc_auc_score(truth, score),
        "brier": metrics.brier_score_loss(truth, score),
        "log_loss": metrics.log_loss(truth, score),
    })


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]))
