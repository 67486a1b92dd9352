"""scikit-learn through skl2onnx: with and without ZipMap, texts, one input per column, fixed batch, doubles."""
import numpy as np
from skl2onnx import convert_sklearn, to_onnx
from skl2onnx.common.data_types import DoubleTensorType, FloatTensorType, StringTensorType
from sklearn.compose import ColumnTransformer
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
import pandas as pd

from case_writer import case, label, save

iris = load_iris()
X = iris.data.astype(np.float32)
NAMES = np.array(["setosa", "versicolor", "virginica"])
ROWS = X[[0, 60, 120, 75, 140]]
FLOATS = [("X", FloatTensorType([None, 4]))]
TOOL = "scikit-learn"


def classifier(name, model, what, probability="output_probability", rows=ROWS, initial=FLOATS, **options):
    save(name, convert_sklearn(model, initial_types=initial, target_opset=17, **options))
    p = model.predict_proba(rows)
    predicted = model.predict(rows)
    outputs = {"output_label" if probability == "output_probability" else "label": predicted, probability: p}
    case(name, TOOL, what, {"X": rows}, outputs, label(predicted[0], p[0]))


def main():
    logistic = LogisticRegression(max_iter=500).fit(X, iris.target)
    classifier("sk_zipmap_int", logistic, "ZipMap, integer labels")
    texts = LogisticRegression(max_iter=500).fit(X, NAMES[iris.target])
    classifier("sk_zipmap_text", texts, "ZipMap, text labels")
    ids = np.array([-7, 40, 2000000])
    classifier("sk_zipmap_ids", LogisticRegression(max_iter=500).fit(X, ids[iris.target]), "ZipMap, labels that do not count")
    forest = RandomForestClassifier(20, max_depth=4, random_state=0).fit(X, NAMES[iris.target])
    off = {"options": {id(forest): {"zipmap": False}}}
    classifier("sk_text", forest, "no ZipMap, text labels", "probabilities", **off)
    pipeline = make_pipeline(StandardScaler(), LogisticRegression(max_iter=500)).fit(X, iris.target)
    off = {"options": {id(pipeline): {"zipmap": False}}}
    classifier("sk_int", pipeline, "no ZipMap, integer labels", "probabilities", **off)
    columns(logistic)
    one_input_per_column()
    tfidf()
    missing()
    regression()
    fixed(texts)


def columns(model):
    save("sk_zipmap_columns", convert_sklearn(model, initial_types=FLOATS, target_opset=17, options={id(model): {"zipmap": "columns"}}))
    p = model.predict_proba(ROWS)
    case("sk_zipmap_columns", TOOL, "zipmap='columns': an output per class", {"X": ROWS},
         {"output_label": model.predict(ROWS), **{f"i{k}": p[:, k] for k in range(3)}})


def one_input_per_column():
    cancer = load_breast_cancer()
    frame = pd.DataFrame({"radius": cancer.data[:, 0].astype(np.float32), "texture": cancer.data[:, 1].astype(np.float32),
                          "grade": np.where(cancer.data[:, 2] > 90, "höch", "low")})
    model = make_pipeline(
        ColumnTransformer([("n", StandardScaler(), ["radius", "texture"]), ("c", OneHotEncoder(handle_unknown="ignore"), ["grade"])]),
        LogisticRegression()).fit(frame, np.where(cancer.target == 1, "benign", "malignant"))
    types = [("radius", FloatTensorType([None, 1])), ("texture", FloatTensorType([None, 1])), ("grade", StringTensorType([None, 1]))]
    save("sk_per_column", convert_sklearn(model, initial_types=types, target_opset=17))
    rows = frame.iloc[[0, 100, 300, 500]].copy()
    rows.iloc[3, 2] = "unheard of"
    p = model.predict_proba(rows)
    case("sk_per_column", TOOL, "one input per column, texts, ZipMap", {c: rows[[c]].to_numpy() for c in rows.columns},
         {"output_label": model.predict(rows), "output_probability": p}, label(model.predict(rows)[0], p[0]))


def tfidf():
    texts = ["a good film", "GOOD and Great", "bad, very bad", "awful", "great ÉTUDE", "bad étude"]
    kinds = np.array(["pos", "pos", "neg", "neg", "pos", "neg"])
    model = make_pipeline(TfidfVectorizer(), LogisticRegression()).fit(texts, kinds)
    initial = [("text", StringTensorType([None, 1]))]

    def one(name, what, rows, names, options):
        save(name, convert_sklearn(model, initial_types=initial, target_opset=17, options=options))
        p = model.predict_proba(rows[:, 0])
        predicted = model.predict(rows[:, 0])
        case(name, TOOL, what, {"text": rows}, {names[0]: predicted, names[1]: p}, label(predicted[0], p[0]), rtol=1e-3)

    plain = np.array([["A GREAT film"], ["Bad, awful"], ["nothing known"]])
    one("sk_tfidf", "Tfidf texts, locale en_US, ZipMap", plain, ("output_label", "output_probability"), None)
    # What the runtime calls a word is ASCII unless the pattern says otherwise.
    words = {TfidfVectorizer: {"tokenexp": r"[\p{L}\p{N}_]{2,}"}, id(model): {"zipmap": False}}
    letters = np.array([["A GREAT ÉTUDE"], ["Bad Étude, awful"], ["étude"]])
    one("sk_tfidf_letters", "Tfidf texts with other letters, tokenexp", letters, ("label", "probabilities"), words)


def missing():
    holes = X.copy()
    holes[::3, 1] = np.nan
    model = HistGradientBoostingClassifier(max_iter=10, random_state=0).fit(holes, iris.target)
    rows = holes[[0, 3, 61, 120]]
    classifier("sk_hist_nan", model, "histogram boosting, missing values", "output_probability", rows=rows)


def regression():
    data = load_diabetes()
    model = Ridge().fit(data.data, data.target)
    rows = data.data[:3]
    save("sk_ridge_double", convert_sklearn(model, initial_types=[("X", DoubleTensorType([None, 10]))], target_opset=17))
    value = model.predict(rows).reshape(-1, 1)
    case("sk_ridge_double", TOOL, "regression in FP64", {"X": rows}, {"variable": value}, {"value": float(value[0, 0])}, rtol=1e-6)
    # to_onnx takes the sample's own shape as the input's, and what it is called when nobody says.
    save("sk_to_onnx", to_onnx(model, rows.astype(np.float32)[:1], target_opset=17))
    case("sk_to_onnx", TOOL, "to_onnx with a sample of one row", {"X": rows}, {"variable": value}, {"value": float(value[0, 0])}, rtol=1e-3)


def fixed(model):
    for batch in (1, 3):
        name = f"sk_batch_{batch}"
        save(name, convert_sklearn(model, initial_types=[("X", FloatTensorType([batch, 4]))], target_opset=17))
        p = model.predict_proba(ROWS)
        case(name, TOOL, f"exported for batches of {batch}, asked about 5 rows", {"X": ROWS},
             {"output_label": model.predict(ROWS), "output_probability": p}, label(model.predict(ROWS)[0], p[0]))
