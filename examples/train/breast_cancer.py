"""breast_cancer 1.0.0: real data (Wisconsin, 569 cases) and a positive class that is not the last one; scikit-learn."""
import numpy as np
from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, f1_score, log_loss, roc_auc_score
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import classifier
import package_writer as writer


def build(root):
    data = load_breast_cancer()
    names = [name.replace(" ", "_") for name in data.feature_names]
    X, X_test, y, y_test = train_test_split(data.data.astype(np.float32), data.target, test_size=0.25, random_state=5,
                                            stratify=data.target)
    pipeline = make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000)).fit(X, y)
    probabilities = pipeline.predict_proba(X_test)
    chosen = probabilities.argmax(axis=1)
    features, baseline = writer.describe(names, X, {name: {"min": 0} for name in names})  # measurements: never negative
    manifest = classifier.manifest(
        "breast_cancer", "1.0.0", "scikit-learn", names, data.target_names,
        description="Malignant or benign, from 30 measurements of cell nuclei in a fine-needle aspirate.",
        training_date="2024-01-12T00:00:00Z", features=features, baseline=baseline,
        metrics=writer.metrics(accuracy=accuracy_score(y_test, chosen), f1=f1_score(y_test, chosen, pos_label=0),
                               auc=roc_auc_score(y_test, probabilities[:, 1]), log_loss=log_loss(y_test, probabilities)),
        # Missing a malignant case costs more than a second look, hence the low threshold.
        decision=classifier.decide(positive_class="malignant", threshold=0.3),
        training_data={"rows": len(X), "source": "Breast Cancer Wisconsin (Diagnostic), bundled with scikit-learn"},
    )
    return writer.write_package(root, classifier.from_sklearn(pipeline, len(names)), manifest,
                                classifier.sklearn_golden(pipeline, X_test[:48], atol=2e-6))
