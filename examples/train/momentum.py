"""momentum 1.2.3 (gradient boosting) and 1.3.0 (random forest): buy, hold or sell, from four indicators; scikit-learn."""
import numpy as np
from sklearn.ensemble import GradientBoostingClassifier, RandomForestClassifier
from sklearn.metrics import accuracy_score, f1_score, log_loss
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import classifier
import package_writer as writer
import prices

NAMES = ("price", "volume", "rsi", "macd")
CLASSES = ("SELL", "HOLD", "BUY")
LIMITS = {
    "price": {"min": 0, "max": 1e7},
    "volume": {"min": 0, "max": 1e13},
    "rsi": {"min": 0, "max": 100},
    "macd": {"default": 0.0},  # flat momentum: the answer says that the default was used
}
TRAINING_PATHS, ALL_PATHS = 60, 80


def stack(pairs):
    return tuple(np.concatenate(side) for side in zip(*pairs))


def build(root, version, estimator, seed, training_date, description):
    pairs = prices.dataset(seed, ALL_PATHS)
    (X, y), (X_test, y_test) = stack(pairs[:TRAINING_PATHS]), stack(pairs[TRAINING_PATHS:])
    pipeline = make_pipeline(StandardScaler(), estimator).fit(X, y)
    probabilities = pipeline.predict_proba(X_test)
    chosen = probabilities.argmax(axis=1)
    features, baseline = writer.describe(NAMES, X, LIMITS)
    manifest = classifier.manifest(
        "momentum", version, "scikit-learn", NAMES, CLASSES,
        description=description, training_date=training_date, features=features, baseline=baseline,
        metrics=writer.metrics(accuracy=accuracy_score(y_test, chosen), f1_macro=f1_score(y_test, chosen, average="macro"),
                               log_loss=log_loss(y_test, probabilities)),
        decision=classifier.decide(field="signal"),
        training_data={"rows": len(X), "source": "synthetic price paths: geometric Brownian motion with regimes"},
    )
    rows = X_test[np.random.default_rng(7).permutation(len(X_test))[:48]]
    return writer.write_package(root, classifier.from_sklearn(pipeline, len(NAMES)), manifest,
                                classifier.sklearn_golden(pipeline, rows, atol=1e-6))


def build_1_2_3(root):
    return build(root, "1.2.3", GradientBoostingClassifier(n_estimators=60, max_depth=3, learning_rate=0.1, random_state=0),
                 seed=123, training_date="2024-01-10T00:00:00Z",
                 description="Momentum signal from price, volume, RSI(14) and MACD(12,26): gradient boosting on scaled features.")


def build_1_3_0(root):
    return build(root, "1.3.0", RandomForestClassifier(n_estimators=80, max_depth=7, min_samples_leaf=10, random_state=1),
                 seed=130, training_date="2024-03-04T00:00:00Z",
                 description="Momentum signal, retrained on a newer window as a random forest; same inputs and classes as 1.2.3.")
