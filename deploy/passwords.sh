#!/bin/sh
# Writes .env with two new database passwords beside docker-compose.yml; an existing file is left as it is.
set -eu
cd "$(dirname "$0")/.."
if [ -e .env ]; then
  echo '.env exists and was left as it is' >&2
  exit 1
fi
umask 077
word() { od -An -N24 -tx1 /dev/urandom | tr -d ' \n'; }
printf 'POSTGRES_MIGRATOR_PASSWORD=%s\nPOSTGRES_SERVER_PASSWORD=%s\n' "$(word)" "$(word)" > .env
echo 'wrote .env'
