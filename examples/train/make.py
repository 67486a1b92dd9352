"""Trains and packages the models of this repository.

usage: python make.py [--into FOLDER] [package ...]      e.g. python make.py momentum-1.3.0
"""
import argparse
import time
from pathlib import Path

import breast_cancer
import fraud_detection
import fraud_transactions
import momentum

REPOSITORY = Path(__file__).resolve().parents[2]
DEMO, BENCH = REPOSITORY / "examples" / "models", REPOSITORY / "test" / "bench" / "models"

PACKAGES = {
    "momentum-1.2.3": (momentum.build_1_2_3, DEMO),
    "momentum-1.3.0": (momentum.build_1_3_0, DEMO),
    "fraud_detection-2.0.0": (fraud_detection.build, DEMO),
    "breast_cancer-1.0.0": (breast_cancer.build, DEMO),
    "fraud_transactions-3.1.0": (fraud_transactions.build, BENCH),
}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--into", type=Path, help="write all packages below this folder instead of over the kept ones")
    parser.add_argument("packages", nargs="*", metavar="package", help=", ".join(PACKAGES))
    options = parser.parse_args()
    unknown = set(options.packages) - set(PACKAGES)
    if unknown:
        parser.error(f"unknown: {', '.join(sorted(unknown))}; there are {', '.join(PACKAGES)}")
    for name in options.packages or PACKAGES:
        build, home = PACKAGES[name]
        begun = time.perf_counter()
        folder = build(options.into or home)
        print(f"{name:26} {time.perf_counter() - begun:5.1f} s  {folder}")


if __name__ == "__main__":
    main()
