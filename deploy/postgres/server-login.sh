#!/bin/sh
# Runs once, when the postgres image makes a new database: the login that the server uses for its requests. It owns
# nothing; the migrations give its groups what they need.
set -eu
psql --set ON_ERROR_STOP=1 --set password="$POSTGRES_SERVER_PASSWORD" --username "$POSTGRES_USER" --dbname "$POSTGRES_DB" <<'SQL'
CREATE ROLE sibyl_server LOGIN PASSWORD :'password';
SQL
