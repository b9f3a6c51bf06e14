#!/usr/bin/env bash
# Makes the databases and roles of all services, or brings them up to date: run it again after a new service or a changed
# password. It connects as a superuser by libpq's own variables (PGHOST, PGUSER, PGPASSWORD) and reads the passwords of
# the roles from SERVICE_DB_PASSWORD, SERVICE_DB_MIGRATE_PASSWORD and AUDIT_DB_PASSWORD.
set -euo pipefail
cd "$(dirname "$0")"
export PGOPTIONS=--client-min-messages=warning

run() { psql --no-psqlrc --quiet --tuples-only --set ON_ERROR_STOP=1 --dbname postgres "$@"; }

run --file server.sql
for service in order inventory email; do
  run --set service="$service" --file service.sql
done
