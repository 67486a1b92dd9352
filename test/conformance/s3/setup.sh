#!/bin/sh
# Builds .conformance/s3/versitygw, an S3 server that keeps objects in a folder, from its published Go module.
set -eu
root=$(cd "$(dirname "$0")/../../.." && pwd)
place="$root/.conformance/s3"
[ -x "$place/versitygw" ] && exit 0
mkdir -p "$place"
GOBIN="$place" go install github.com/versity/versitygw/cmd/versitygw@v1.8.0
