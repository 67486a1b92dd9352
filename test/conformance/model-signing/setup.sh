#!/bin/sh
# Makes .conformance/model-signing: a Python environment with the OpenSSF tool. Needs python3 and a package index.
set -eu
cd "$(dirname "$0")/../../.."
environment=.conformance/model-signing
[ -x "$environment/bin/model_signing" ] && exit 0
python3 -m venv "$environment"
# pyOpenSSL: the tool imports it, and takes it for granted that another of its dependencies brings it.
"$environment/bin/pip" install --quiet --disable-pip-version-check 'model-signing==1.1.1' 'pyOpenSSL==26.4.0'
