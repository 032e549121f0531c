#!/usr/bin/env python3
"""Writes drift/testdata/evidently.json: what Evidently's own reports say of
samples that are easy to get wrong. The Go tests hold package drift to it.

    python3 -m venv venv && venv/bin/pip install 'evidently==0.7.23' 'pandas<3' scipy
    venv/bin/python scripts/drift_table.py > drift/testdata/evidently.json
"""

import json
import sys
import warnings

import evidently
import numpy as np
import pandas as pd
import scipy
from evidently import DataDefinition, Dataset, Report
from evidently.metrics import ValueDrift
from scipy import stats

warnings.filterwarnings("ignore")
rng = np.random.default_rng(20240229)


def numbers(values):
    return [float(v) for v in np.round(np.asarray(values, dtype=float), 4)]


def normal(n, mean=0.0, sd=1.0):
    return numbers(rng.normal(mean, sd, n))


NUMERIC = {
    "no drift": (normal(400), normal(400)),
    "quarter-sd shift": (normal(500), normal(500, 0.25)),
    "one-sd shift": (normal(300), normal(300, 1.0)),
    "far apart": (normal(100), normal(100, 50)),
    "wider": (normal(300), normal(300, 0, 3)),
    "unequal n": (normal(611), normal(97, 0.1)),
    "very unequal n": (normal(1500), normal(7)),
    "tiny n": (normal(25), normal(3)),
    "ties": (numbers(rng.integers(0, 40, 400) / 4), numbers(rng.integers(0, 44, 300) / 4)),
    "values on edges": (numbers(range(32)), numbers(range(0, 32, 2))),
    "20 distinct": (numbers(np.tile(np.arange(20), 9)), numbers(rng.integers(0, 22, 150))),
    "21 distinct": (numbers(np.tile(np.arange(21), 9)), numbers(rng.integers(0, 22, 150))),
    "two values": (numbers([0] * 60 + [1] * 40), numbers([0] * 30 + [1] * 50)),
    "value missing in current": (numbers([0, 1, 2] * 20), numbers([0, 1] * 25)),
    "value new in current": (numbers([0, 1] * 30), numbers([0, 1, 2] * 20)),
    "constant": (numbers([3] * 50), numbers([3] * 30)),
    "constant and moved": (numbers([3] * 50), numbers([3.0005] * 30)),
    "small scale": (numbers(rng.normal(0, 0.0004, 200)), numbers(rng.normal(0.0004, 0.0004, 200))),
    "empty bins": (numbers(list(rng.normal(0, 1, 200)) + [1000.0]), normal(200)),
    "heavy tail": (numbers(rng.lognormal(0, 2, 500)), numbers(rng.lognormal(0.3, 2, 500))),
    "least share under 1e-4": (numbers(list(rng.integers(0, 15, 11000)) + [99.0]), numbers(rng.integers(0, 15, 900))),
    "identical": (normal(60),) * 2,
    "with NaN and infinities": (
        normal(200) + [float("nan")] * 20 + [float("inf")],
        normal(150, 0.2) + [float("nan")] * 40 + [float("-inf")] * 2,
    ),
}

CATEGORICAL = {
    "no drift": (list(rng.choice(list("abc"), 300)), list(rng.choice(list("abc"), 200))),
    "shifted": (list("a" * 50 + "b" * 30 + "c" * 20), list("a" * 30 + "b" * 30 + "c" * 40)),
    "new category": (list("a" * 50 + "b" * 30), list("a" * 30 + "b" * 30 + "z" * 2)),
    "lost category": (list("a" * 50 + "b" * 30 + "c"), list("a" * 30 + "b" * 30)),
    "one category": (list("a" * 50), list("a" * 20)),
    "many categories": (
        [f"k{v}" for v in rng.geometric(0.1, 900)],
        [f"k{v}" for v in rng.geometric(0.12, 700)],
    ),
    "missing": (list("a" * 50 + "b" * 30) + [None] * 9, list("a" * 30 + "b" * 40) + [None] * 30),
}


def report(reference, current, kind, method):
    definition = DataDefinition(**{f"{kind}_columns": ["x"]})
    sets = [Dataset.from_pandas(pd.DataFrame({"x": s}), data_definition=definition) for s in (current, reference)]
    result = Report([ValueDrift(column="x", method=method)]).run(*sets)
    value = float(json.loads(result.json())["metrics"][0]["value"])
    return value if np.isfinite(value) else None


def text(v):
    return "" if v is None else str(v)


def sample(values):
    """JSON has no NaN and no infinities."""
    return [v if np.isfinite(v) else str(v) for v in values]


def kolmogorov():
    """P-values of the Kolmogorov-Smirnov test alone, from the sizes on."""
    rows = []
    for n, m in [(5, 5), (7, 3), (50, 50), (64, 48), (100, 101), (400, 400), (2000, 1999), (10000, 10000)]:
        for share in (0.2, 0.5, 0.8, 1.2, 1.7, 2.5):
            d = share * ((n + m) / (n * m)) ** 0.5
            lcm = np.lcm(n, m)
            h = max(1, round(d * lcm))
            if h <= lcm:
                ok, d, p = stats._stats_py._attempt_exact_2kssamp(n, m, int(np.gcd(n, m)), h / lcm, "two-sided")
                if ok:
                    rows.append({"n": n, "m": m, "d": float(d), "p": float(p)})
    for n, m in [(20000, 5), (12000, 10), (11000, 60), (20000, 140), (20000, 143), (12000, 300), (20000, 20000), (300000, 250000)]:
        for share in (0.1, 0.3, 0.4, 0.5, 0.7, 0.9, 1.2, 1.48, 1.49, 2.01, 3.0):
            d = share * ((n + m) / (n * m)) ** 0.5
            if d < 1:
                p = stats.kstwo.sf(d, np.round(n * m / (n + m)))
                rows.append({"n": n, "m": m, "d": float(d), "p": float(p)})
    return rows


def main():
    table = {"evidently": evidently.__version__, "scipy": scipy.__version__, "numeric": [], "categorical": []}
    for name, (reference, current) in NUMERIC.items():
        row = {"name": name, "reference": sample(reference), "current": sample(current)}
        for method in ("psi", "jensenshannon", "wasserstein", "ks"):
            row[method] = report(reference, current, "numerical", method)
        table["numeric"].append(row)
    for name, (reference, current) in CATEGORICAL.items():
        row = {"name": name, "reference": [text(v) for v in reference], "current": [text(v) for v in current]}
        for method in ("psi", "jensenshannon", "chisquare"):
            row[method] = report(reference, current, "categorical", method)
        table["categorical"].append(row)
    table["kolmogorov"] = kolmogorov()
    # One case a line, so that a change shows in a diff as what it is.
    lines = [f' "{k}": {json.dumps(v)}' if isinstance(v, str) else
             f' "{k}": [\n  ' + ",\n  ".join(json.dumps(row, separators=(",", ":")) for row in v) + "\n ]"
             for k, v in table.items()]
    sys.stdout.write("{\n" + ",\n".join(lines) + "\n}\n")


if __name__ == "__main__":
    main()
