"""What the classifiers of this folder share: one `features` tensor in, `label` and `probabilities` out."""
import lightgbm
import numpy as np
import onnxmltools
import skl2onnx
import sklearn
from onnxmltools.convert.common.data_types import FloatTensorType as LightGbmFloats
from skl2onnx.common.data_types import FloatTensorType as SklearnFloats

import package_writer as writer

LABEL, PROBABILITIES = "label", "probabilities"


def from_sklearn(pipeline, columns):
    return skl2onnx.to_onnx(pipeline, initial_types=[("features", SklearnFloats([None, columns]))],
                            options={id(pipeline): {"zipmap": False}}, target_opset={"": 17, "ai.onnx.ml": 3})


def from_lightgbm(booster, columns, name):
    """`name` becomes the graph's name; left out, the converter makes up another one every time."""
    return onnxmltools.convert_lightgbm(booster, name=name, initial_types=[("features", LightGbmFloats([None, columns]))],
                                        zipmap=False, target_opset=15)


def decide(field=None, **rule):
    """The manifest's `decision`: which output says what, the answer's own field name, the threshold of a binary model."""
    return {**({"field": field} if field else {}), "label_output": LABEL, "probability_output": PROBABILITIES, **rule}


def manifest(name, version, toolkit, names, classes, **facts):
    """The manifest in one order of members; `toolkit` is scikit-learn or lightgbm, `facts` what is particular to a model."""
    framework, exporter = {
        "scikit-learn": (("scikit-learn", sklearn), ("skl2onnx", skl2onnx)),
        "lightgbm": (("LightGBM", lightgbm), ("onnxmltools", onnxmltools)),
    }[toolkit]
    native = {"native": {"format": "lightgbm", "files": ["model.txt"]}} if toolkit == "lightgbm" else {}
    return {
        "name": name, "version": version, "task": "classification",
        "framework": {"name": framework[0], "version": framework[1].__version__},
        "exporter": {"name": exporter[0], "version": exporter[1].__version__},
        **native,
        "description": facts["description"], "training_date": facts["training_date"], "metrics": facts["metrics"],
        "inputs": [{"name": "features", "datatype": "FP32", "shape": [-1, len(names)], "columns": list(names)}],
        "features": facts["features"],
        "outputs": [{"name": LABEL, "datatype": "INT64", "shape": [-1]},
                    {"name": PROBABILITIES, "datatype": "FP32", "shape": [-1, len(classes)]}],
        "classes": list(classes),
        "decision": facts["decision"],
        "training_data": facts["training_data"],
        "baseline": facts["baseline"],
    }


def sklearn_golden(pipeline, rows, atol):
    outputs = {LABEL: pipeline.predict(rows).astype(np.int64), PROBABILITIES: pipeline.predict_proba(rows)}
    return "scikit-learn predict and predict_proba", 1e-5, atol, writer.golden_samples(rows, outputs)


def lightgbm_golden(booster, rows, atol):
    score = booster.predict(rows)
    outputs = {LABEL: (score > 0.5).astype(np.int64), PROBABILITIES: np.column_stack([1 - score, score])}
    native = {"prediction": score, "raw": booster.predict(rows, raw_score=True)}
    return ("LightGBM Booster.predict; label is 1 where the score exceeds 0.5", 1e-5, atol,
            writer.golden_samples(rows, outputs, native))
