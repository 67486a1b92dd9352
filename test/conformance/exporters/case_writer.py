"""Writes what a toolkit exported, and what the toolkit itself answers, for run.mjs to compare."""
import json
import os

import numpy as np

OUT = None  # set by export.py


def plain(values):
    """Nested lists; NaN becomes null, as Sibyl reads and writes it."""
    array = np.asarray(values)
    if array.dtype.kind == "f":
        array = array.astype(np.float64)
        return json.loads(json.dumps(array.tolist()).replace("NaN", "null"))
    return array.tolist()


def folder(name):
    path = os.path.join(OUT, name)
    os.makedirs(path, exist_ok=True)
    return path


def save(name, model):
    """`model` is an ONNX ModelProto."""
    with open(os.path.join(folder(name), "model.onnx"), "wb") as file:
        file.write(model.SerializeToString())


def case(name, toolkit, what, inputs, outputs, prediction=None, features=None, rtol=1e-4, atol=1e-5):
    """`outputs`: what the library answers for `inputs`. `prediction`: what /predict must answer for `features`."""
    document = {
        "name": name, "toolkit": toolkit, "what": what, "rtol": rtol, "atol": atol,
        "inputs": {key: plain(value) for key, value in inputs.items()},
        "outputs": {key: plain(value) for key, value in outputs.items()},
    }
    if prediction is not None:
        document["features"] = features if features is not None else {
            key: plain(np.asarray(value)[0] if np.asarray(value).ndim > 1 and np.asarray(value).shape[1] > 1
                       else np.asarray(value).reshape(-1)[0]) for key, value in inputs.items()}
        document["prediction"] = prediction
    with open(os.path.join(folder(name), "case.json"), "w") as file:
        json.dump(document, file)
    print(name, flush=True)


def label(classes_or_label, probabilities=None):
    value = classes_or_label.item() if hasattr(classes_or_label, "item") else classes_or_label
    answer = {"label": value}
    if probabilities is not None:
        answer["probability"] = float(np.max(probabilities))
    return answer
