"""fraud_detection 2.0.0: two features, small enough to call by hand; LightGBM."""
import lightgbm
import numpy as np
from sklearn.metrics import accuracy_score, log_loss, roc_auc_score

import classifier
import package_writer as writer

NAMES = ("feature1", "feature2")
ROWS, TRAINING_ROWS, ROUNDS = 6000, 4500, 60
SETTINGS = {"objective": "binary", "num_leaves": 15, "learning_rate": 0.1, "min_data_in_leaf": 20,
            "seed": 1, "num_threads": 1, "deterministic": True, "verbose": -1}


def cases():
    rng = np.random.default_rng(20)
    first, second = rng.gamma(2.0, 1.0, ROWS), rng.normal(2.0, 1.5, ROWS)
    X = np.column_stack([first, second]).astype(np.float32)
    logit = 1.4 * (X[:, 0] - 3) + 0.8 * np.sin(X[:, 1] * 1.5) + 0.3 * X[:, 0] * (X[:, 1] > 3)
    return X, (rng.random(ROWS) < 1 / (1 + np.exp(-logit))).astype(int)


def build(root):
    X, y = cases()
    X_test, y_test = X[TRAINING_ROWS:], y[TRAINING_ROWS:]
    X, y = X[:TRAINING_ROWS], y[:TRAINING_ROWS]
    booster = lightgbm.train(SETTINGS, lightgbm.Dataset(X, y, feature_name=list(NAMES)), num_boost_round=ROUNDS)
    score = booster.predict(X_test)
    features, baseline = writer.describe(NAMES, X)
    manifest = classifier.manifest(
        "fraud_detection", "2.0.0", "lightgbm", NAMES, ("legitimate", "fraud"),
        description="Two-feature fraud score, small enough to send by hand.", training_date="2024-01-15T00:00:00Z",
        features=features, baseline=baseline,
        metrics=writer.metrics(accuracy=accuracy_score(y_test, score > 0.5), auc=roc_auc_score(y_test, score),
                               log_loss=log_loss(y_test, score)),
        decision=classifier.decide(positive_class="fraud", threshold=0.5),
        training_data={"rows": TRAINING_ROWS, "source": "synthetic: gamma and normal features, logistic risk"},
    )
    rows = np.vstack([np.array([[1.0, 2.0]], np.float32), X_test[:47]])
    # The converter declares `label` as [1] although it has a value a row. It stays so: a server meets such files.
    return writer.write_package(root, classifier.from_lightgbm(booster, len(NAMES), "fraud_detection"), manifest,
                                classifier.lightgbm_golden(booster, rows, atol=1e-6),
                                native=("lightgbm", "model.txt", booster.model_to_string()))
