"""Compares the held-out data with the training data by Evidently, by the
population stability index of every feature, and writes under OUT/evidence

    drift.json          a snapshot, the format of 0.7 and later
    drift-legacy.json   a report, the format of 0.6 and before
    drift-expected.json Evidently's own values: the greatest index, how many drifted

usage: drifted.py OUT
"""

import json
import pathlib
import sys

import pandas as pd
from evidently import Dataset, DataDefinition, Report
from evidently.legacy.metric_preset import DataDriftPreset as LegacyDrift
from evidently.legacy.report import Report as LegacyReport
from evidently.metrics import RowCount
from evidently.presets import DataDriftPreset


def main(out: pathlib.Path) -> None:
    def read(name: str) -> pd.DataFrame:
        return pd.read_csv(out / "data" / name, index_col="item").drop(columns="malignant")

    reference, current = read("train.csv"), read("held-out.csv")
    evidence = out / "evidence"
    evidence.mkdir(exist_ok=True)

    shape = DataDefinition(numerical_columns=list(reference.columns))
    report = Report([RowCount(), DataDriftPreset(method="psi", threshold=0.25)])
    snapshot = report.run(Dataset.from_pandas(current, shape), Dataset.from_pandas(reference, shape))
    snapshot.save_json(str(evidence / "drift.json"))

    value = {m["metric_name"]: m["value"] for m in snapshot.dict()["metrics"]}
    expected = {
        "psi": max(v for name, v in value.items() if name.startswith("ValueDrift(")),
        "drifted": next(v["count"] for name, v in value.items() if name.startswith("DriftedColumnsCount(")),
    }
    (evidence / "drift-expected.json").write_text(json.dumps(expected))

    legacy = LegacyReport([LegacyDrift(stattest="psi", stattest_threshold=0.25)])
    legacy.run(reference_data=reference, current_data=current)
    legacy.save_json(str(evidence / "drift-legacy.json"))


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]))
