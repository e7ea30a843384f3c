#!/bin/sh
# Draw the secrets of compose.yaml into ./secrets. What is there already stays: other keys would begin other logs.
set -eu
cd "$(dirname "$0")"
umask 077
mkdir -p secrets
for name in WATTPROOF_ISSUER_KEY WATTPROOF_LOG_KEY WATTPROOF_INSTANCE_SECRET WATTPROOF_HTTP_TOKEN PGPASSWORD \
  postgres_password; do
  [ -e "secrets/$name" ] && continue
  openssl rand -base64 32 | tr '+/' '-_' | tr -d '=\n' >"secrets/$name"
  chmod 444 "secrets/$name"
  echo "secrets/$name"
done
