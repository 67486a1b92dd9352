#!/bin/sh
# Makes a virtual environment with Feast, its Redis store and OpenLineage's client, outside the repository.
set -eu
place=${SIBYL_FEAST:-$HOME/.cache/sibyl/feast}
[ -x "$place/bin/feast" ] && exit 0
mkdir -p "$(dirname "$place")"
python3 -m venv "$place"
"$place/bin/pip" install --quiet 'feast[redis]==0.66.*' 'openlineage-python==1.*'
command -v redis-server >/dev/null || apt-get install -y redis-server
