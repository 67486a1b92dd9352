#!/bin/sh
# Makes .conformance/talib, a virtual environment with TA-Lib; the wheel brings the C library. Safe to repeat.
set -eu
root=$(cd "$(dirname "$0")/../../.." && pwd)
place="$root/.conformance/talib"
[ -x "$place/bin/python" ] || python3 -m venv "$place"
"$place/bin/pip" install --quiet --disable-pip-version-check TA-Lib==0.8.2 numpy==2.4.6
echo "ready: node test/conformance/talib/run.mjs"
