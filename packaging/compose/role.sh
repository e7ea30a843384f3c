#!/bin/sh
# Run once by the database's image, as its superuser: a role for wattproof that is none, and a database which it owns.
# Row-level security is forced, so it holds for the owner too.
set -eu
psql --quiet --no-psqlrc --set ON_ERROR_STOP=1 --username "${POSTGRES_USER:-postgres}" --dbname postgres \
  --set password="$(cat "${SECRETS_FOLDER:-/run/secrets}/PGPASSWORD")" <<'SQL'
CREATE ROLE wattproof LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOBYPASSRLS PASSWORD :'password';
CREATE DATABASE wattproof OWNER wattproof;
SQL
