#!/bin/sh
# Makes .conformance/exporters, a virtual environment with the toolkits (about 6 GB). Safe to repeat.
set -eu
cd "$(dirname "$0")/../../.."
venv=.conformance/exporters
[ -x "$venv/bin/python" ] || python3 -m venv "$venv"
"$venv/bin/pip" install --quiet --disable-pip-version-check -r test/conformance/exporters/requirements.txt
echo "ready: node test/conformance/exporters/run.mjs"
