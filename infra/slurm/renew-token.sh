#!/bin/sh
# Writes a fresh token of one user where the service reads it, in one step, so that it never reads
# half of one. For cron on a machine with Slurm's commands: renew-token.sh USER FILE [SECONDS]
set -eu

user=$1
file=$2
seconds=${3:-172800}

umask 077
fresh=$(mktemp "$file.XXXXXX")
trap 'rm -f "$fresh"' EXIT
said=$(scontrol token username="$user" lifespan="$seconds")
case $said in
  SLURM_JWT=?*) printf '%s\n' "${said#SLURM_JWT=}" > "$fresh" ;;
  *) echo "scontrol gave no token; the one in $file stays" >&2; exit 1 ;;
esac
mv "$fresh" "$file"
