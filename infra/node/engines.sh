#!/bin/sh
# Inside namespaces of its own, lays the engines' files over the machine's and runs a command there:
# engines.sh ROOT COMMAND [ARG ...]. As the first process of its namespace it also takes in what
# daemons leave behind.
set -eu

root=$1
shift
mount -t overlay overlay -o "lowerdir=$root/usr:/usr" /usr
mount -t overlay overlay -o "lowerdir=$root/etc:/etc" /etc
mount -t tmpfs tmpfs /run

"$@" &
command=$!
trap 'kill -s TERM "$command"' TERM INT
code=0
wait "$command" || code=$?
exit "$code"
