#!/bin/sh
# Makes the secrets of compose.yaml, once: sh infra/compose/secrets.sh [FOLDER]. Nothing that exists
# is replaced, because Postgres keeps the passwords that it was made with.
set -eu
folder=${1:-$(dirname "$0")/secrets}
if [ -e "$folder" ]; then
  echo "$folder is there already; nothing was changed" >&2
  exit 1
fi
random() { od -An -N24 -tx1 /dev/urandom | tr -d ' \n'; }
owner=$(random)
service=$(random)
mkdir -m 700 "$folder"
cd "$folder"
printf '%s' "$owner" > owner_password
printf '%s' "$service" > service_password
printf 'postgres://counterweight_owner:%s@postgres:5432/counterweight' "$owner" > owner_url
printf 'postgres://counterweight:%s@postgres:5432/counterweight' "$service" > service_url
printf 'cw_%s' "$(random)" > admin_token
# The folder keeps others of this machine out; in a container another user has to read them.
chmod 444 ./*
echo "made in $folder: the admin's token is in admin_token"
