"""Replays golden samples through ONNX Runtime and prints the largest difference of each package; exits 1 on a miss.

usage: python verify.py [FOLDER ...] [--golden FOLDER]

Without folders: every package of this repository. `--golden` takes the samples from another folder's packages of the same
names, which answers whether freshly trained models still give the kept packages' answers.
"""
import argparse
import json
import sys
from pathlib import Path

import numpy as np
import onnxruntime

from make import BENCH, DEMO

NUMPY_TYPES = {"tensor(float)": np.float32, "tensor(int64)": np.int64}


class Miss(Exception):
    pass


def largest_difference(name, got, wanted, tolerance):
    wanted = np.asarray(wanted)
    if got.shape != wanted.shape:
        raise Miss(f"{name} has shape {got.shape}, wanted {wanted.shape}")
    if wanted.dtype.kind == "i":
        if not np.array_equal(got, wanted):
            raise Miss(f"{name} differs in {int((got != wanted).sum())} of {wanted.size} values")
        return 0.0
    difference = np.abs(got.astype(np.float64) - wanted)
    if not (difference <= tolerance["atol"] + tolerance["rtol"] * np.abs(wanted)).all():  # NaN is a miss as well
        raise Miss(f"{name} is off by {np.nanmax(difference):.3g}")
    return float(difference.max())


def replay(package, golden_folder):
    golden = json.loads((golden_folder / "golden.json").read_text("utf-8"))
    session = onnxruntime.InferenceSession(str(package / "model.onnx"), providers=["CPUExecutionProvider"])
    outputs = [output.name for output in session.get_outputs()]
    worst = 0.0
    for sample in golden["samples"]:
        # null becomes NaN: numpy reads None that way for floats
        feeds = {i.name: np.array(sample["inputs"][i.name], dtype=NUMPY_TYPES[i.type]) for i in session.get_inputs()}
        answers = dict(zip(outputs, session.run(outputs, feeds)))
        for name, wanted in sample["outputs"].items():
            worst = max(worst, largest_difference(name, answers[name], wanted, golden["tolerance"]))
    return len(golden["samples"]), worst


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="*", type=Path, help="folders of packages")
    parser.add_argument("--golden", type=Path, help="folder of packages whose golden samples are used")
    options = parser.parse_args()
    packages = sorted(file.parent for folder in options.folders or (DEMO, BENCH) for file in folder.glob("*/sibyl.json"))
    if not packages:
        parser.error("no packages there")
    onnxruntime.set_default_logger_severity(3)  # fraud_detection declares its label as [1]; a warning a run says so
    missed = replayed = 0
    for package in packages:
        golden_folder = options.golden / package.name if options.golden else package
        if not (golden_folder / "golden.json").exists():
            continue
        try:
            samples, worst = replay(package, golden_folder)
            print(f"ok    {package.name:26} {samples} samples, max |difference| {worst:.2g}")
        except Miss as miss:
            missed += 1
            print(f"MISS  {package.name:26} {miss}")
        replayed += 1
    print(f"{replayed - missed} of {replayed} packages answer as they should")
    return 1 if missed or not replayed else 0


if __name__ == "__main__":
    sys.exit(main())
