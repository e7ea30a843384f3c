#!/bin/sh
# Secrets that are mounted as files become variables: /run/secrets/NEBIUS_API_KEY is NEBIUS_API_KEY. Names that no
# environment variable could have in capitals are left alone.
set -eu
for file in "${SECRETS_FOLDER:-/run/secrets}"/*; do
  name=${file##*/}
  case $name in
    "" | *[!A-Z0-9_]* | [0-9]*) continue ;;
  esac
  [ -r "$file" ] || { echo "wattproof: the secret $name cannot be read by user $(id -u)" >&2; exit 2; }
  export "$name=$(cat "$file")"
done
exec wattproof "$@"
