"""Computes reference.json anew, by other means than the Go code: the splits
from their description, the model with scikit-learn, the metrics with
scikit-learn or by the definitions. Needs scikit-learn 1.9.1 (with numpy).

    python demo/testdata/reference.py > demo/testdata/reference.json
"""

import hashlib
import json
import pathlib

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import brier_score_loss, log_loss, roc_auc_score

SEED, L2 = 1995, 0.01
FILE = pathlib.Path(__file__).parent.parent / "data" / "wdbc.csv"
QUANTITIES = ["radius", "texture", "perimeter", "area", "smoothness", "compactness", "concavity",
              "concave-points", "symmetry", "fractal-dimension"]
NAMES = [f"{q}-{s}" for s in ("mean", "error", "worst") for q in QUANTITIES]


def draw(purpose, row, column):
    h = hashlib.sha256(f"{SEED}/{purpose}/{row}/{column}".encode()).digest()
    return (int.from_bytes(h[:8], "big") >> 11) / 2**53


def noisy(x, purpose, row, most):
    return [float(f"{v * (1 + most * (2 * draw(purpose, row, j) - 1)):.5e}") for j, v in enumerate(x)]


def digest(rows):
    lines = ["id," + ",".join(NAMES) + ",malignant\n"]
    for name, x, y in rows:
        lines.append(",".join([name] + [np.format_float_positional(v, trim="-") for v in x] + [str(y)]) + "\n")
    return "sha256:" + hashlib.sha256("".join(lines).encode()).hexdigest()


def splits():
    rows = []
    for i, line in enumerate(FILE.read_text().splitlines()[1:]):
        *x, target = line.split(",")
        rows.append((f"wdbc-{i + 1:03d}", [float(v) for v in x], 1 - int(target)))
    held = set()
    for y in (1, 0):
        ordered = sorted((i for i, r in enumerate(rows) if r[2] == y), key=lambda i: draw("split", i, 0))
        held |= set(ordered[: round(0.4 * len(ordered))])
    train = [r for i, r in enumerate(rows) if i not in held]
    holdout = [rows[i] for i in sorted(held)]
    shifted, intake = [], []
    for i in sorted(held):
        name, x, y = rows[i]
        scaled = [v * 1.05 if n.startswith("texture-") else v for n, v in zip(NAMES, x)]
        shifted.append((name, noisy(scaled, "shift-noise", i, 0.02), y))
    for i in range(len(train)):
        _, x, y = train[int(draw("intake-pick", i, 0) * len(train))]
        intake.append((f"intake-{i + 1:03d}", noisy(x, "intake-jitter", i, 0.03), y))
    return {"train": train, "holdout": holdout, "shifted-holdout": shifted, "new-clinic-intake": intake}


def delong(p, y):
    """The definition, pair by pair."""
    beats = lambda a, b: (a > b) + 0.5 * (a == b)
    wins = np.array([[beats(a, b) for b in p[y == 0]] for a in p[y == 1]])
    v10, v01 = wins.mean(axis=1), wins.mean(axis=0)
    return float(np.sqrt(v10.var(ddof=1) / len(v10) + v01.var(ddof=1) / len(v01)))


def ece(p, y):
    bins = np.minimum((p * 10).astype(int), 9)
    return float(sum(abs((p[bins == b] - y[bins == b]).sum()) for b in range(10)) / len(p))


def psi(train, before, after):
    cuts = np.quantile(train, np.arange(1, 10) / 10, method="inverted_cdf")
    share = lambda x: (np.bincount(np.searchsorted(cuts, x, side="left"), minlength=10) + 0.5) / (len(x) + 5)
    p, q = share(before), share(after)
    return float(((q - p) * np.log(q / p)).sum())


def main():
    data = splits()
    X = {k: np.array([x for _, x, _ in rows]) for k, rows in data.items()}
    Y = {k: np.array([y for *_, y in rows]) for k, rows in data.items()}
    mean, scale = X["train"].mean(axis=0), X["train"].std(axis=0)
    fit = LogisticRegression(C=1 / (L2 * len(X["train"])), tol=1e-12, max_iter=100_000)
    fit.fit((X["train"] - mean) / scale, Y["train"])

    def scored(name):
        return fit.predict_proba((X[name] - mean) / scale)[:, 1]

    p, y, q = scored("holdout"), Y["holdout"], scored("shifted-holdout")
    print(json.dumps({
        "digests": {k: digest(rows) for k, rows in data.items()},
        "weights": fit.coef_[0].tolist(),
        "bias": float(fit.intercept_[0]),
        "metrics": {
            "roc_auc": roc_auc_score(y, p),
            "roc_auc_stderr": delong(p, y),
            "brier": brier_score_loss(y, p),
            "brier_stderr": float(((p - y) ** 2).std(ddof=1) / np.sqrt(len(y))),
            "log_loss": log_loss(y, p),
            "expected_calibration_error": ece(p, y),
            "psi_max": max(psi(X["train"][:, j], X["holdout"][:, j], X["shifted-holdout"][:, j]) for j in range(30)),
            "shifted_roc_auc": roc_auc_score(Y["shifted-holdout"], q),
            "shifted_roc_auc_stderr": delong(q, Y["shifted-holdout"]),
        },
    }, indent=2))


main()
