"""Turns a trained model into a Sibyl package: model.onnx, sibyl.json, golden.json and the native file where there is one.

Everything that the packages of this folder have in common is decided here, so that a training script only says what is
particular to its model.
"""
import json
import math
from pathlib import Path

import numpy as np
import onnx
from onnx import version_converter

OPSET = 17
PERCENTILES = (1, 5, 25, 50, 75, 95, 99)


def rounded(number, digits=6):
    """Figures meant for people (metrics, baselines) keep only the digits that say something."""
    return float(f"{float(number):.{digits}g}")


def metrics(**figures):
    return {name: rounded(figure, 4) for name, figure in figures.items()}


def json_ready(value):
    """Arrays become lists. A float32 turns into the double of the same value, so every reader sees the same number; NaN is null."""
    if isinstance(value, dict):
        return {str(key): json_ready(member) for key, member in value.items()}
    if isinstance(value, np.ndarray):
        return json_ready(value.tolist())
    if isinstance(value, (list, tuple)):
        return [json_ready(member) for member in value]
    if isinstance(value, np.generic):
        return json_ready(value.item())
    if isinstance(value, float) and math.isnan(value):
        return None
    return value


def to_json(value, **options):
    return json.dumps(json_ready(value), ensure_ascii=False, allow_nan=False, **options)


def describe(names, table, limits=None):
    """Returns the manifest's `features` and `baseline`.

    `limits` says what a request may send (min, max, default). What training saw only goes into the baseline: it is a fact
    for drift monitoring and must not refuse a caller. A feature is nullable exactly where training had gaps.
    """
    features, baseline = [], {}
    for name, column in zip(names, table.T):
        column = np.asarray(column, dtype=np.float64)
        gaps = np.isnan(column)
        seen = column[~gaps]
        features.append({"name": name, "datatype": "FP32", "nullable": bool(gaps.any()), **(limits or {}).get(name, {})})
        baseline[name] = {
            "min": rounded(seen.min()), "max": rounded(seen.max()), "mean": rounded(seen.mean()), "std": rounded(seen.std()),
            "quantiles": {f"p{p}": rounded(np.quantile(seen, p / 100)) for p in PERCENTILES},
        }
        if gaps.any():
            baseline[name]["missing"] = rounded(gaps.mean())
    return features, baseline


def tidy(model):
    """The same model on opset 17, without the exporter's notes, in a file version that older runtimes read too."""
    default = [entry for entry in model.opset_import if entry.domain == ""]
    if default and default[0].version < OPSET:
        model = version_converter.convert_version(model, OPSET)
    # Converters write the opsets in no fixed order and some of them twice; a build should give the same file every time.
    versions = {entry.domain: entry.version for entry in model.opset_import}
    del model.opset_import[:]
    model.opset_import.extend(onnx.helper.make_opsetid(domain, versions[domain]) for domain in sorted(versions))
    model.ir_version = min(max(model.ir_version, 8), 10)
    model.doc_string = model.graph.doc_string = ""
    for node in model.graph.node:
        node.doc_string = ""
        del node.metadata_props[:]
    onnx.checker.check_model(model, full_check=True)
    return model


def free_first_dimension(output):
    """For converters that declare a per-row output as [1]: the first dimension becomes a batch."""
    first = output.type.tensor_type.shape.dim[0]
    first.Clear()
    first.dim_param = "batch"


def golden_samples(rows, outputs, native=None, singles=16):
    """Sixteen samples of one row and one of all the remaining rows, so that a replay meets both batch sizes."""
    parts = {"inputs": {"features": rows}, "outputs": outputs, **({"native": native} if native else {})}
    cuts = [slice(row, row + 1) for row in range(singles)] + [slice(singles, len(rows))]
    return [{part: {name: tensor[cut] for name, tensor in tensors.items()} for part, tensors in parts.items()} for cut in cuts]


def write_package(root, model, manifest, golden, native=None):
    """Writes `<root>/<name>-<version>`; `golden` is (source, rtol, atol, samples), `native` is (format, file name, text)."""
    folder = Path(root) / f"{manifest['name']}-{manifest['version']}"
    folder.mkdir(parents=True, exist_ok=True)
    onnx.save_model(tidy(model), str(folder / "model.onnx"))
    if native:
        (folder / native[1]).write_text(native[2], encoding="utf-8")

    (folder / "sibyl.json").write_text(to_json(manifest, indent=2) + "\n", encoding="utf-8")

    source, rtol, atol, samples = golden
    head = to_json({"source": source, "tolerance": {"rtol": rtol, "atol": atol}})[:-1]
    lines = ",\n".join("  " + to_json(sample) for sample in samples)
    (folder / "golden.json").write_text(f'{head}, "samples": [\n{lines}\n]}}\n', encoding="utf-8")
    return folder
