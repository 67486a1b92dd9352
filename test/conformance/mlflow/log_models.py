"""Logs and registers an ONNX model three times, and prints what it became. Arguments: tracking URI, ONNX file, name."""

import json
import sys

import mlflow
import mlflow.onnx
import onnx
from mlflow.tracking import MlflowClient

uri, file, name = sys.argv[1:4]
mlflow.set_tracking_uri(uri)
mlflow.set_experiment("sibyl-" + name)
client = MlflowClient()
model = onnx.load(file)
key = "name" if int(mlflow.__version__.split(".")[0]) >= 3 else "artifact_path"
versions = []
for number in range(3):
    with mlflow.start_run() as run:
        info = mlflow.onnx.log_model(model, **{key: "model"}, pip_requirements=["onnx"])
        # The last one by the URI of the run, which some releases store differently.
        source = info.model_uri if number < 2 else f"runs:/{run.info.run_id}/model"
        version = mlflow.register_model(source, name)
        versions.append({"version": version.version, "run": run.info.run_id, "logged": getattr(info, "model_id", None)})
client.set_registered_model_alias(name, "champion", "2")
client.transition_model_version_stage(name, "2", "Production")
client.transition_model_version_stage(name, "1", "Staging")
print(json.dumps({"mlflow": mlflow.__version__, "versions": versions}))
