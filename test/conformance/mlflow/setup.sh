#!/bin/sh
# Makes .conformance/mlflow: one virtual environment with MLflow 2 and one with MLflow 3, each with what logs an ONNX model.
# Older releases of MLflow do not run with SQLAlchemy 2.1.
set -eu
root=$(cd "$(dirname "$0")/../../.." && pwd)
place="$root/.conformance/mlflow"
mkdir -p "$place"
for major in 2 3; do
  home="$place/v$major"
  [ -x "$home/bin/mlflow" ] && continue
  python3 -m venv "$home"
  "$home/bin/pip" install --quiet "mlflow==$major.*" onnx onnxruntime 'sqlalchemy<2.1' 'setuptools<81'
done
