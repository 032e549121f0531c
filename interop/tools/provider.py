"""The model of train.py behind a line of text, as a promptfoo provider: it
answers a JSON object of measurements with a class, and everything else with a
refusal. The folder with the model is in the environment variable OUT.
"""

import json
import os
import pathlib

import joblib
import pandas as pd

model = joblib.load(pathlib.Path(os.environ["OUT"]) / "model" / "model.joblib")
features = list(model.feature_names_in_)


def call_api(prompt, options, context):
    try:
        case = json.loads(prompt)
        row = pd.DataFrame([[float(case.pop(f)) for f in features]], columns=features)
        if case:
            raise ValueError(f"unknown measurements {sorted(case)}")
        answer = "malignant" if model.predict(row)[0] == 1 else "benign"
    except (ValueError, KeyError, TypeError, AttributeError) as why:
        return {"output": f"refused: {why}"}
    return {"output": answer}
