"""Compares the held-out data with the training data by Evidently, and writes
under OUT/evidence

    drift.json           a snapshot, the format of 0.7 and later: Kolmogorov and
                         Smirnov's test of every feature
    drift-shifted.json   the same of data whose sizes were measured in other units
    drift-legacy.json    a report, the format of 0.6 and before: the population
                         stability index of every feature
    drift-expected.json  Evidently's own values: the least p, the greatest index,
                         and how many features drifted

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
    report = Report([RowCount(), DataDriftPreset(method="ks", threshold=0.05)])

    def compare(with_: pd.DataFrame, name: str):
        snapshot = report.run(Dataset.from_pandas(with_, shape), Dataset.from_pandas(reference, shape))
        snapshot.save_json(str(evidence / name))
        return snapshot

    snapshot = compare(current, "drift.json")
    compare(current.assign(**{c: current[c] * 1.5 for c in ("mean radius", "mean perimeter")}), "drift-shifted.json")

    legacy = LegacyReport([LegacyDrift(stattest="psi", stattest_threshold=0.25)])
    legacy.run(reference_data=reference, current_data=current)
    legacy.save_json(str(evidence / "drift-legacy.json"))

    new = {m["metric_name"]: m["value"] for m in snapshot.dict()["metrics"]}
    old = legacy.as_dict()["metrics"][1]["result"]
    (evidence / "drift-expected.json").write_text(json.dumps({
        "ks": min(v for name, v in new.items() if name.startswith("ValueDrift(")),
        "ks_drifted": next(v["count"] for name, v in new.items() if name.startswith("DriftedColumnsCount(")),
        "psi": max(column["drift_score"] for column in old["drift_by_columns"].values()),
        "psi_drifted": old["number_of_drifted_columns"],
    }))


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]))
