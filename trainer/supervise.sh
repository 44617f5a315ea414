#!/bin/sh
# Runs the trainer of an image and passes signals on. Where memory ran out, it ends with 79: podman,
# and Slurm with a container in a job, do not tell one kill from another, and the kernel may have
# killed a worker only, after which the trainer fails for reasons of its own.

"$@" &
trainer=$!
trap 'kill -s TERM "$trainer" 2>/dev/null' TERM
trap 'kill -s INT "$trainer" 2>/dev/null' INT

# A signal ends `wait` before the trainer ends.
while :; do
  wait "$trainer"
  code=$?
  kill -0 "$trainer" 2>/dev/null || break
done

# Done, refused, revoked or stopped: these are the trainer's own words.
case $code in 0 | 64 | 75 | 143) exit "$code" ;; esac

# Version 2 of control groups, then version 1: lines of a name and a count.
for counts in /sys/fs/cgroup/memory.events /sys/fs/cgroup/memory/memory.oom_control; do
  [ -r "$counts" ] || continue
  while read -r name count; do
    [ "$name" = oom_kill ] && [ "$count" -gt 0 ] || continue
    echo 'The kernel killed a process of the trainer: its container used up its memory.' >&2
    exit 79
  done <"$counts"
done
exit "$code"
