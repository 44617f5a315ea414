#!/bin/sh
# Run by the image of Postgres when its data folder is made: the role that the service works as. It
# owns nothing; `migrate` grants it what a service needs. psql reads the password, no log shows it.
set -eu
export SERVICE_PASSWORD_FILE="${SERVICE_PASSWORD_FILE:-/run/secrets/service_password}"
PGOPTIONS='-c log_statement=none' psql --no-psqlrc --quiet --set ON_ERROR_STOP=1 \
  --username "$POSTGRES_USER" --dbname "$POSTGRES_DB" <<'SQL'
\set password `cat "$SERVICE_PASSWORD_FILE"`
create role counterweight login password :'password';
SQL
