"""Exports a model of every kind into the folder given, beside what its toolkit answers."""
import importlib
import sys

import case_writer

if __name__ == "__main__":
    case_writer.OUT = sys.argv[1]
    for kit in sys.argv[2:] or ["sklearn", "trees", "keras", "torch"]:
        importlib.import_module(f"export_{kit}").main()
