"""LightGBM, XGBoost and CatBoost."""
import os

import catboost
import lightgbm
import numpy as np
import onnx
import onnxmltools
import xgboost
from onnxmltools.convert.common.data_types import FloatTensorType
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris

from case_writer import case, folder, label, save

iris, cancer, diabetes = load_iris(), load_breast_cancer(), load_diabetes()
NAMES = np.array(["setosa", "versicolor", "virginica"])
XI, XC, XD = (data.data.astype(np.float32) for data in (iris, cancer, diabetes))
WHICH = [0, 60, 120, 75]


def initial(x):
    return [("input", FloatTensorType([None, x.shape[1]]))]


def classifier(name, toolkit, what, model, x, converted, outputs=("label", "probabilities")):
    if converted is not None:
        save(name, converted)
    rows = x[WHICH]
    p = model.predict_proba(rows)
    predicted = np.asarray(model.predict(rows)).reshape(-1)
    case(name, toolkit, what, {inputs_of(name): rows}, {outputs[0]: predicted, outputs[1]: p}, label(predicted[0], p[0]))


def regressor(name, toolkit, what, model, x, converted, output="variable"):
    if converted is not None:
        save(name, converted)
    rows = x[:4]
    value = np.asarray(model.predict(rows)).reshape(-1, 1)
    case(name, toolkit, what, {inputs_of(name): rows}, {output: value}, {"value": float(value[0, 0])}, rtol=1e-3)


def inputs_of(name):
    return onnx.load(os.path.join(folder(name), "model.onnx")).graph.input[0].name


def main():
    quiet = {"n_estimators": 20, "verbose": -1}
    lgb = lambda model, x, **options: onnxmltools.convert_lightgbm(model, initial_types=initial(x), target_opset=15, **options)
    model = lightgbm.LGBMClassifier(**quiet).fit(XC, cancer.target)
    classifier("lgb_binary_zipmap", "LightGBM", "ZipMap, label declared [1]", model, XC, lgb(model, XC))
    classifier("lgb_binary", "LightGBM", "zipmap=False, label declared [1]", model, XC, lgb(model, XC, zipmap=False))
    model = lightgbm.LGBMClassifier(**quiet).fit(XI, NAMES[iris.target])
    classifier("lgb_text", "LightGBM", "text labels", model, XI, lgb(model, XI))
    model = lightgbm.LGBMRegressor(**quiet).fit(XD, diabetes.target)
    regressor("lgb_regression", "LightGBM", "regression", model, XD, lgb(model, XD))

    xgb = lambda model, x: onnxmltools.convert_xgboost(model, initial_types=initial(x), target_opset=15)
    holes = XC.copy()
    holes[::4, 3] = np.nan
    model = xgboost.XGBClassifier(n_estimators=20).fit(holes, cancer.target)
    classifier("xgb_binary_nan", "XGBoost", "missing values, binary", model, holes, xgb(model, XC))
    model = xgboost.XGBClassifier(n_estimators=10).fit(XI, iris.target)
    classifier("xgb_multi", "XGBoost", "three classes", model, XI, xgb(model, XI))
    model = xgboost.XGBRegressor(n_estimators=20).fit(XD, diabetes.target)
    regressor("xgb_regression", "XGBoost", "regression", model, XD, xgb(model, XD))

    def cat(name, model):
        model.save_model(os.path.join(folder(name), "model.onnx"), format="onnx")

    quiet = {"iterations": 20, "verbose": False, "allow_writing_files": False, "depth": 4}
    model = catboost.CatBoostClassifier(**quiet).fit(XC, cancer.target)
    cat("cat_binary", model)
    classifier("cat_binary", "CatBoost", "ZipMap, binary", model, XC, None)
    model = catboost.CatBoostClassifier(**quiet).fit(XI, NAMES[iris.target])
    cat("cat_text", model)
    classifier("cat_text", "CatBoost", "ZipMap, text labels", model, XI, None)
    model = catboost.CatBoostRegressor(**quiet).fit(XD, diabetes.target)
    cat("cat_regression", model)
    regressor("cat_regression", "CatBoost", "declared [N], answers [N,1]", model, XD, None, "predictions")
