#!/usr/bin/env python3
"""Writes statistics/testdata/table.json: what the Go package must agree with.

Needs scipy, statsmodels and scikit-learn:

    python3 -m venv /tmp/statistics && /tmp/statistics/bin/pip install scipy statsmodels scikit-learn
    /tmp/statistics/bin/python scripts/statistics_table.py

Every value comes from one of those libraries, or, where none has the method,
from the definition solved by a general optimiser: not from the closed forms
that the Go package uses. The bootstrap is recomputed from the words of the
package comment alone, with ChaCha8Rand (c2sp.org/chacha8rand) written out.
"""

import json
import math
import pathlib
import struct
import warnings

import numpy as np
import scipy
import sklearn
import sklearn.metrics as metrics
import statsmodels
import statsmodels.api as sm
from scipy import optimize, special, stats
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import confint_proportions_2indep, proportion_confint, test_proportions_2indep

warnings.simplefilter("ignore")
cases = []
random = np.random.default_rng(20240917)


def case(function, want, *numbers, lists=(), labels=(), tolerance=1e-9):
    """Appends a case; numbers, lists of numbers and lists of labels are the arguments."""
    want = [float(w) for w in np.atleast_1d(want)]
    assert all(math.isfinite(w) for w in want), (function, numbers, want)
    cases.append({
        "function": function,
        "numbers": [float(x) for x in numbers],
        "lists": [[float(x) for x in v] for v in lists],
        "labels": [[str(x) for x in v] for v in labels],
        "want": want,
        "tolerance": tolerance,
    })


LEVELS = [0.8, 0.9, 0.95, 0.99, 0.999, 0.975, 0.6827]
COUNTS = [(0, 1), (1, 1), (0, 2), (1, 2), (0, 50), (50, 50), (13, 50), (49, 50), (1, 299), (0, 299), (81, 263),
          (15, 148), (7, 10), (999, 1000), (500_000, 10**6), (0, 10**6), (10**6, 10**6), (1, 10**6), (999_000, 10**6)]


def distributions():
    for x in [-37, -8.2, -6, -1.96, -0.5, 0, 1e-9, 0.3, 1, 1.6448536, 2.5, 5.9, 8.5]:
        case("NormalCDF", stats.norm.cdf(x), x)
    for p in [1e-12, 1e-6, 0.001, 0.025, 0.1, 0.5, 0.50001, 0.8, 0.95, 0.975, 0.9999]:
        case("NormalQuantile", stats.norm.ppf(p), p)
    for a, b, x in [(1, 1, 0.3), (0.5, 0.5, 0.1), (2.5, 7, 0.4), (30, 2, 0.95), (100, 100, 0.5), (1e-3, 4, 0.2),
                    (500_000, 500_001, 0.5001), (20_000, 980_001, 0.0201), (1, 10**6, 3e-6), (10**6, 1, 0.999999),
                    (3, 900_000, 1e-5), (15.5, 16.5, 0.48), (1e5, 2e5, 0.3333)]:
        case("IncompleteBeta", stats.beta.cdf(x, a, b), a, b, x)
        for p in [0.001, 0.025, 0.5, 0.9]:
            if a > 0.1:
                case("IncompleteBetaInverse", stats.beta.ppf(p, a, b), a, b, p)
    for freedom in [1, 2, 3, 9, 19, 99, 1000]:
        for p in [0.001, 0.5, 0.95, 0.99, 0.999]:
            x = stats.chi2.ppf(p, freedom)
            case("ChiSquareQuantile", x, p, freedom)
            case("ChiSquareSurvival", stats.chi2.sf(x * 1.1, freedom), x * 1.1, freedom)
    for freedom in [1, 2, 4, 9, 29, 199, 10**5]:
        for p in [0.001, 0.3, 0.5, 0.501, 0.9, 0.975, 0.9995]:
            case("StudentQuantile", stats.t.ppf(p, freedom), p, freedom)
    for s, n, p in [(0, 1, 0.5), (3, 10, 0.5), (10, 10, 0.3), (0, 300, 0.01), (5, 300, 0.01), (250, 300, 0.8),
                    (500_100, 10**6, 0.5), (990, 10**6, 0.001), (2, 10**6, 1e-6), (1, 20, 0.0), (19, 20, 1.0)]:
        case("BinomialAtMost", stats.binom.cdf(s, n, p), s, n, p)
        case("BinomialAtLeast", stats.binom.sf(s - 1, n, p), s, n, p)


def single_proportions():
    for i, (s, n) in enumerate(COUNTS):
        for level in {0.95, LEVELS[i % len(LEVELS)]}:
            case("Wilson", proportion_confint(s, n, 1 - level, "wilson"), s, n, level)
            case("ClopperPearson", proportion_confint(s, n, 1 - level, "beta"), s, n, level)
    for mean, error, level in [(0, 1, 0.95), (-3.5, 0.02, 0.9), (1e6, 125, 0.99), (0.5, 1e-9, 0.6827)]:
        case("MeanInterval", stats.norm.interval(level, mean, error), mean, error, level)


def constrained_paired(b, c, n, delta):
    """The likelihood of (second only, first only, neither or both) maximised where p_c - p_b = delta."""
    def loss(q):
        return -(special.xlogy(b, q) + special.xlogy(c, q + delta) + special.xlogy(n - b - c, 1 - 2 * q - delta))
    low, high = max(0, -delta), (1 - delta) / 2
    q = refine(loss, low, high)
    return q, q + delta


def refine(loss, low, high):
    """Minimises a convex function: a bounded search, then the zero of its slope, whose place is sharper."""
    if high <= low:
        return low
    best = optimize.minimize_scalar(loss, bounds=(low, high), method="bounded", options={"xatol": 1e-13}).x
    width = max(min(best - low, high - best), 0) / 2
    if width > 1e-9:
        step = width / 50

        def slope(q):
            return (loss(q + step) - loss(q - step) - (loss(q + 2 * step) - loss(q - 2 * step)) / 8) / step
        try:
            found = optimize.brentq(slope, best - width / 2, best + width / 2, xtol=1e-15)
            best = min((best, found), key=loss)
        except ValueError:
            pass
    return min((best, low, high), key=loss)


def paired_z(b, c, n, delta):
    pb, pc = constrained_paired(b, c, n, delta)
    variance = (pb + pc - delta**2) / n
    difference = (c - b) / n - delta
    return 0.0 if difference == 0 else difference / math.sqrt(variance)


PAIRS = [(0, 0, 10), (0, 0, 1000), (1, 0, 10), (0, 1, 10), (5, 5, 100), (40, 60, 5000), (60, 40, 5000), (3, 0, 50),
         (0, 7, 50), (10, 0, 10), (0, 10, 10), (12, 2, 50), (1, 7, 21), (25, 28, 618), (107, 132, 1144), (1, 0, 1),
         (30_000, 29_500, 10**6)]


def paired():
    for b, c in [(0, 0), (1, 0), (0, 5), (5, 5), (10, 3), (3, 10), (40, 60), (700, 610), (10, 100_000)]:
        case("McNemarExact", mcnemar([[0, b], [c, 0]], exact=True).pvalue, b, c)
        case("McNemarExact", stats.binomtest(b, b + c, 0.5).pvalue if b + c else 1, b, c)
    for b, c, n in PAIRS:
        for margin in [1e-4, 0.01, 0.05, 0.2, -0.03]:
            if n == 10**6 and margin > 0.01:
                continue
            z = paired_z(b, c, n, -margin)
            case("NonInferiority", [z, stats.norm.sf(z)], b, c, n, margin, tolerance=1e-6)
        for level in [0.9, 0.95]:
            critical, d = stats.norm.isf((1 - level) / 2), (c - b) / n
            low = -1.0 if b == n else optimize.brentq(lambda t: paired_z(b, c, n, t) - critical, -1 + 1e-9, d, xtol=1e-13)
            high = 1.0 if c == n else optimize.brentq(lambda t: paired_z(b, c, n, t) + critical, d, 1 - 1e-9, xtol=1e-13)
            case("Tango", [low, high], b, c, n, level, tolerance=1e-6)


SAMPLES = [(56, 70, 48, 80), (9, 10, 3, 10), (6, 7, 2, 7), (5, 56, 0, 29), (0, 10, 0, 20), (10, 10, 0, 10),
           (10, 10, 20, 20), (900, 1000, 870, 1000), (1, 1, 0, 1), (999, 1000, 1000, 1000), (400, 500, 81, 100),
           (500_000, 10**6, 499_000, 10**6), (5, 10**6, 3, 900_000)]


def restricted_z(s1, n1, s2, n2, delta, factor=1.0):
    """Both proportions of two independent samples by maximum likelihood where p1 - p2 = delta."""
    def loss(p):
        return -(special.xlogy(s1, p + delta) + special.xlogy(n1 - s1, 1 - p - delta) +
                 special.xlogy(s2, p) + special.xlogy(n2 - s2, 1 - p))
    p2 = refine(loss, max(0, -delta), min(1, 1 - delta))
    p1 = min(max(p2 + delta, 0), 1)
    difference = s1 / n1 - s2 / n2 - delta
    variance = factor * (p1 * (1 - p1) / n1 + p2 * (1 - p2) / n2)
    return 0.0 if difference == 0 else difference / math.sqrt(variance)


def cubic_z(s1, n1, s2, n2, delta):
    """The same by the cubic of Miettinen and Nurminen (1985), equation 9, whose middle root is the likeliest p2.

    statsmodels 0.15.0 has this cubic with count0 in L1 where the paper has n0, and so disagrees, away from
    delta = 0, with the optimiser, with the paper and with the intervals that Newcombe (1998) published.
    """
    n, s = n1 + n2, s1 + s2
    coefficients = [n, (n1 + 2 * n2) * delta - n - s, (n2 * delta - n - 2 * s2) * delta + s, s2 * delta * (1 - delta)]
    p2 = sorted(np.roots(coefficients).real)[1]
    p1 = p2 + delta
    return (s1 / n1 - s2 / n2 - delta) / math.sqrt(p1 * (1 - p1) / n1 + p2 * (1 - p2) / n2)


def independent():
    for s1, n1, s2, n2 in SAMPLES:
        for level in [0.95, 0.9]:
            case("Newcombe", confint_proportions_2indep(s1, n1, s2, n2, "newcomb", "diff", 1 - level),
                 s1, n1, s2, n2, level)
        for margin in [0.01, 0.1, 1e-5, -0.02]:
            z = restricted_z(s1, n1, s2, n2, -margin)
            case("FarringtonManning", [z, stats.norm.sf(z)], s1, n1, s2, n2, margin, tolerance=1e-6)
            z = cubic_z(s1, n1, s2, n2, -margin)
            if 0 < s1 < n1 and 0 < s2 < n2 and n1 <= 1000:
                case("FarringtonManning", [z, stats.norm.sf(z)], s1, n1, s2, n2, margin)
        if 0 < s1 + s2 < n1 + n2:
            library = test_proportions_2indep(s1, n1, s2, n2, 0, "score", "diff", "larger", correction=False)
            case("FarringtonManning", [library.statistic, library.pvalue], s1, n1, s2, n2, 0)
        for level in [0.95, 0.8]:
            critical, d = stats.norm.isf((1 - level) / 2), s1 / n1 - s2 / n2
            factor = (n1 + n2) / (n1 + n2 - 1)
            low = -1.0 if d == -1 else optimize.brentq(
                lambda t: restricted_z(s1, n1, s2, n2, t, factor) - critical, -1 + 1e-9, d, xtol=1e-13)
            high = 1.0 if d == 1 else optimize.brentq(
                lambda t: restricted_z(s1, n1, s2, n2, t, factor) + critical, d, 1 - 1e-9, xtol=1e-13)
            case("MiettinenNurminen", [low, high], s1, n1, s2, n2, level, tolerance=1e-6)


def multiple():
    for p in [[0.01], [0.5, 0.5], [0.01, 0.04, 0.03, 0.005], [0, 1, 0.2], [0.2, 0.01, 0.01, 0.9, 0.04],
              list(random.random(40)), list(random.random(200) ** 3), list(np.round(random.random(30), 1))]:
        case("Holm", multipletests(p, method="holm")[1], lists=[p])
        case("BenjaminiHochberg", multipletests(p, method="fdr_bh")[1], lists=[p])


def sizes():
    def first(enough, near):
        n = max(1, near - 50)
        assert n == 1 or not enough(n)
        while not enough(n):
            n += 1
        return n
    for limit in [0.5, 0.05, 0.02, 0.01, 0.005, 0.001, 1e-5]:
        for level in [0.95, 0.99, 0.5]:
            near = int(math.log(1 - level) / math.log(1 - limit))
            case("ItemsForNoFailure", first(lambda n: stats.beta.ppf(level, 1, n) <= limit, near), limit, level)
    for s, n, limit, level in [(0, 1, 0.05, 0.95), (0, 1, 0.01, 0.95), (1, 50, 0.05, 0.95), (1, 4, 0.26, 0.9),
                               (3, 1000, 0.004, 0.99), (0, 1, 1e-4, 0.999)]:
        z = stats.norm.isf((1 - level) / 2)
        near = int(z * z * limit * (1 - limit) / (limit - s / n) ** 2)

        def upper(m):
            return proportion_confint(m * s / n, m, 1 - level, "wilson")[1]
        want = first(lambda m: upper(m) <= limit, near)
        case("ItemsForUpperBound", want, s / n, limit, level)
        case("ItemsForLowerBound", want, 1 - s / n, 1 - limit, level)


def clustered():
    for n, k, binary in [(40, 8, True), (200, 50, True), (500, 500, False), (300, 10, False), (9, 2, True)]:
        clusters = np.concatenate([np.arange(k), random.integers(0, k, n - k)])
        values = random.normal(size=k)[clusters] + random.normal(size=n)
        if binary:
            values = (values > 0).astype(float)
        fit = sm.OLS(values, np.ones(n)).fit()
        robust = fit.get_robustcov_results("cluster", groups=clusters, use_correction=False, df_correction=False)
        naive = sm.OLS(values, np.ones(n)).fit(cov_type="HC0")
        case("ClusteredMean", [values.mean(), robust.bse[0], (robust.bse[0] / naive.bse[0]) ** 2],
             lists=[values, clusters])


def classification():
    names = np.array(["cat", "dog", "eel", "fox"])
    for n, classes in [(1, 1), (10, 2), (100, 3), (500, 4), (7, 4), (60, 2)]:
        truth = names[random.integers(0, classes, n)]
        predicted = np.where(random.random(n) < 0.6, truth, names[random.integers(0, min(classes + 1, 4), n)])
        shared = [truth, predicted]
        case("Accuracy", metrics.accuracy_score(*shared), labels=shared)
        case("Confusion", metrics.confusion_matrix(*shared).ravel(), labels=shared)
        for average in ["macro", "weighted"]:
            p, r, f, _ = metrics.precision_recall_fscore_support(*shared, average=average, zero_division=0)
            case(average, [p, r, f], labels=shared)
        for label in sorted(set(truth) | set(predicted)):
            scores = [m(*shared, labels=[label], average="macro", zero_division=0)
                      for m in (metrics.precision_score, metrics.recall_score, metrics.f1_score)]
            case("Class", scores, labels=[*shared, [label]])
    for n, ties in [(2, False), (20, True), (300, False), (300, True), (2000, True)]:
        truth = np.concatenate([[0, 1], random.integers(0, 2, n - 2)])
        score = 1 / (1 + np.exp(-(truth + random.normal(size=n) - 0.5)))
        if ties:
            score = np.round(score, 1)
        case("ROCAUC", metrics.roc_auc_score(truth, score), lists=[truth, score])
        case("Brier", metrics.brier_score_loss(truth, score), lists=[truth, score])
        case("LogLoss", metrics.log_loss(truth, score, labels=[0, 1]), lists=[truth, *np.c_[1 - score, score]])
    case("LogLoss", metrics.log_loss([0, 1], [[0, 1], [0, 1]], labels=[0, 1]), lists=[[0, 1], [0, 1], [0, 1]])
    rows = random.dirichlet([1, 2, 3], 30)
    truth = random.integers(0, 3, 30)
    case("LogLoss", metrics.log_loss(truth, rows, labels=[0, 1, 2]), lists=[truth, *rows])
    for truth, predicted in [(random.normal(size=50), random.normal(size=50)), ([3, 3, 3], [3, 3, 3]),
                             ([3, 3, 3], [3, 2, 3]), ([1, 2, 3], [1, 2, 3]), (np.arange(1000.0), np.arange(1000) + 0.1)]:
        case("MeanAbsoluteError", metrics.mean_absolute_error(truth, predicted), lists=[truth, predicted])
        case("RootMeanSquaredError", metrics.root_mean_squared_error(truth, predicted), lists=[truth, predicted])
        case("R2", metrics.r2_score(truth, predicted), lists=[truth, predicted])


def chacha8rand(seed):
    """Yields the 64-bit words of c2sp.org/chacha8rand."""
    def quarter(x, a, b, c, d):
        for p, q, r, turn in ((a, b, d, 16), (c, d, b, 12), (a, b, d, 8), (c, d, b, 7)):
            x[p] = (x[p] + x[q]) & 0xFFFFFFFF
            v = x[r] ^ x[p]
            x[r] = (v << turn | v >> (32 - turn)) & 0xFFFFFFFF
    while True:
        key = struct.unpack("<8I", seed)
        output = b""
        for group in range(0, 16, 4):
            blocks = []
            for counter in range(group, group + 4):
                x = [0x61707865, 0x3320646E, 0x79622D32, 0x6B206574, *key, counter, 0, 0, 0]
                for _ in range(4):
                    for columns in ((0, 4, 8, 12), (1, 5, 9, 13), (2, 6, 10, 14), (3, 7, 11, 15),
                                    (0, 5, 10, 15), (1, 6, 11, 12), (2, 7, 8, 13), (3, 4, 9, 14)):
                        quarter(x, *columns)
                for i in range(8):
                    x[4 + i] = (x[4 + i] + key[i]) & 0xFFFFFFFF
                blocks.append(x)
            for word in range(16):
                output += struct.pack("<4I", *(block[word] for block in blocks))
        yield from struct.unpack("<124Q", output[:992])
        seed = output[992:]


def bootstrap(seed, k, draws, statistic):
    words = chacha8rand(seed)
    return sorted(statistic([next(words) * k >> 64 for _ in range(k)]) for _ in range(draws))


def percentile(values, level):
    out = int(len(values) * (1 - level) / 2 + 1e-9)
    return values[out], values[len(values) - 1 - out]


def bootstraps():
    for seed, k, draws, level in [(bytes(range(32)), 20, 400, 0.95), (bytes(32), 7, 200, 0.9), (b"\xff" * 32, 50, 100, 0.8)]:
        a, b = random.integers(0, 5, k), random.integers(5, 9, k)
        values = bootstrap(seed, k, draws, lambda picks: sum(a[i] for i in picks) / sum(b[i] for i in picks))
        case("BootstrapRatio", percentile(values, level), draws, level, lists=[seed, a, b])
        n = 3 * k
        clusters = np.concatenate([np.arange(k), random.integers(0, k, n - k)])
        truth = random.integers(0, 2, n)
        score = np.round(truth + random.normal(size=n), 1)

        def area(picks):
            items = np.concatenate([np.flatnonzero(clusters == c) for c in picks])
            return metrics.roc_auc_score(truth[items], score[items])

        def f1(picks):
            items = np.concatenate([np.flatnonzero(clusters == c) for c in picks])
            return metrics.f1_score(truth[items], score[items] > 0.5)
        case("BootstrapAUC", percentile(bootstrap(seed, k, draws, area), level), draws, level,
             lists=[seed, truth, score, clusters])
        case("BootstrapF1", percentile(bootstrap(seed, k, draws, f1), level), draws, level,
             lists=[seed, truth, score > 0.5, clusters])


def main():
    for group in (distributions, single_proportions, paired, independent, multiple, sizes, clustered,
                  classification, bootstraps):
        group()
    table = {
        "made_by": f"scripts/statistics_table.py with scipy {scipy.__version__}, statsmodels "
                   f"{statsmodels.__version__}, scikit-learn {sklearn.__version__}",
        "cases": cases,
    }
    path = pathlib.Path(__file__).parent.parent / "statistics" / "testdata" / "table.json"
    path.parent.mkdir(exist_ok=True)
    lines = ",\n".join(json.dumps(c, allow_nan=False) for c in table["cases"])
    path.write_text('{"made_by": %s, "cases": [\n%s\n]}\n' % (json.dumps(table["made_by"]), lines))
    print(f"{len(cases)} cases in {path}")


if __name__ == "__main__":
    main()
