"""A robustness suite for the model of train.py, which stands in the folder that
the environment variable OUT names: pytest --junitxml=… test_robustness.py
"""

import os
import pathlib

import joblib
import numpy as np
import pandas as pd
import pytest

out = pathlib.Path(os.environ["OUT"])
model = joblib.load(out / "model" / "model.joblib")
held = pd.read_csv(out / "data" / "held-out.csv", index_col="item").drop(columns="malignant")
sure = held[np.abs(model.predict_proba(held)[:, 1] - 0.5) > 0.25].head(80)


@pytest.mark.parametrize("item", sure.index)
def test_noise_of_one_per_cent_does_not_change_a_sure_answer(item):
    case = held.loc[[item]]
    noise = np.random.default_rng(item).normal(1, 0.01, (50, case.shape[1]))
    noisy = pd.DataFrame(case.values * noise, columns=case.columns)
    assert (model.predict(noisy) == model.predict(case)[0]).all()


def test_missing_measurement_is_refused():
    case = held.head(1).copy()
    case.iloc[0, 0] = np.nan
    with pytest.raises(ValueError):
        model.predict(case)


def test_measurements_in_another_order_are_refused():
    with pytest.raises(ValueError):
        model.predict(held.head(1)[held.columns[::-1]])


def test_same_case_same_answer():
    assert (model.predict_proba(held) == model.predict_proba(held)).all()
