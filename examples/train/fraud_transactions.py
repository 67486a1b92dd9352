"""fraud_transactions 3.1.0: 200 trees of depth 6 on 30 features, eight of them with gaps; LightGBM. The model of the bench."""
import lightgbm
import numpy as np
from sklearn.metrics import accuracy_score, average_precision_score, log_loss, roc_auc_score

import classifier
import package_writer as writer

NAMES = ("amount", "hour", "day_of_week", "merchant_risk", "distance_km", "velocity_1h", "velocity_24h", "account_age_days",
         "balance", "failed_pins", "device_age_days", "chip_ratio", "country_risk", "night_share",
         *(f"v{number}" for number in range(1, 17)))
GAPS = [NAMES.index(name) for name in ("merchant_risk", "distance_km", "failed_pins", "device_age_days", "v3", "v7", "v12", "v16")]
ROWS, TRAINING_ROWS, ROUNDS = 16000, 12000, 200
SETTINGS = {"objective": "binary", "max_depth": 6, "num_leaves": 48, "learning_rate": 0.05, "min_data_in_leaf": 25,
            "feature_fraction": 0.8, "bagging_fraction": 0.8, "bagging_freq": 1,
            "seed": 3, "num_threads": 1, "deterministic": True, "verbose": -1}


def draw(rng, rows):
    """The order of the draws is part of the recipe: with another one the model is a different model."""
    table = rng.standard_normal((rows, len(NAMES)))
    column = {name: table[:, index] for index, name in enumerate(NAMES)}  # views: writing to them fills the table
    column["amount"][:] = np.exp(3.2 + 1.1 * column["amount"])
    column["hour"][:] = rng.integers(0, 24, rows)
    column["day_of_week"][:] = rng.integers(0, 7, rows)
    column["merchant_risk"][:] = rng.beta(2, 8, rows)
    column["distance_km"][:] = rng.exponential(12, rows)
    column["velocity_1h"][:] = rng.poisson(0.8, rows)
    column["velocity_24h"][:] = column["velocity_1h"] + rng.poisson(4, rows)
    column["account_age_days"][:] = rng.gamma(2, 500, rows)
    column["balance"][:] = np.exp(7 + column["balance"])
    column["failed_pins"][:] = rng.poisson(0.2, rows)
    column["device_age_days"][:] = rng.gamma(1.5, 150, rows)
    table[:, 11:14] = rng.beta(3, 3, (rows, 3))  # chip_ratio, country_risk, night_share
    return table, column


def risk(column):
    return (-4.6 + 0.7 * np.log(column["amount"] / 25) + 7 * column["merchant_risk"] + 0.03 * column["distance_km"]
            + 0.5 * column["velocity_1h"] + 0.9 * column["failed_pins"] + 1.2 * (column["hour"] < 5)
            - 0.001 * column["account_age_days"] + 1.5 * column["country_risk"] + 0.6 * column["v1"] * column["v2"]
            + 0.5 * np.sin(2 * column["v3"]) + 0.4 * (column["v4"] > 1) * column["amount"] / 40 - 0.5 * column["v5"])


def cases():
    rng = np.random.default_rng(31)
    table, column = draw(rng, ROWS)
    logit = risk(column)
    holes = rng.random((ROWS, len(GAPS))) < 0.08
    logit += 0.8 * holes[:, GAPS.index(NAMES.index("distance_km"))]  # a missing distance is itself a little suspicious
    X = table.astype(np.float32)
    X[:, GAPS] = np.where(holes, np.nan, X[:, GAPS])
    return X, (rng.random(ROWS) < 1 / (1 + np.exp(-logit))).astype(int)


def build(root):
    X, y = cases()
    X_test, y_test = X[TRAINING_ROWS:], y[TRAINING_ROWS:]
    X, y = X[:TRAINING_ROWS], y[:TRAINING_ROWS]
    booster = lightgbm.train(SETTINGS, lightgbm.Dataset(X, y, feature_name=list(NAMES)), num_boost_round=ROUNDS)
    model = classifier.from_lightgbm(booster, len(NAMES), "fraud_transactions")
    writer.free_first_dimension(model.graph.output[0])
    score = booster.predict(X_test)
    features, baseline = writer.describe(NAMES, X)
    manifest = classifier.manifest(
        "fraud_transactions", "3.1.0", "lightgbm", NAMES, ("legitimate", "fraud"),
        description="Card-transaction fraud score: 200 trees of depth 6 on 30 features; "
                    "NaN means missing in the nullable features.",
        training_date="2024-02-20T00:00:00Z", features=features, baseline=baseline,
        metrics=writer.metrics(accuracy=accuracy_score(y_test, score > 0.5), auc=roc_auc_score(y_test, score),
                               average_precision=average_precision_score(y_test, score), log_loss=log_loss(y_test, score)),
        decision=classifier.decide(positive_class="fraud", threshold=0.35),
        training_data={"rows": TRAINING_ROWS, "source": "synthetic card transactions"},
    )
    rows = X_test[:48].copy()
    rows[np.ix_([1, 20], GAPS)] = np.nan  # once alone and once in the batch, everything that may be missing is
    return writer.write_package(root, model, manifest, classifier.lightgbm_golden(booster, rows, atol=2e-6),
                                native=("lightgbm", "model.txt", booster.model_to_string()))
