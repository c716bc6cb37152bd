#!/bin/bash
# A first pod on a cluster that is up: run it, wait until it is running, show its log.
set -euo pipefail
kaa=$1
k() { "$kaa" kubectl "$@"; }

k delete pod hello --ignore-not-found --now --wait=true >/dev/null 2>&1
start=$(date +%s%N)
k run hello --image=busybox:1.36 -- \
  sh -c 'trap "exit 0" TERM; echo "hello from pod $(hostname), kernel $(uname -r)"; sleep 1000000 & wait' >/dev/null
k wait --for=jsonpath='{.status.phase}'=Running pod/hello --timeout=60s >/dev/null
echo "pod hello is Running ($((($(date +%s%N) - start) / 1000000)) ms after kubectl run was started). Its log:"
for _ in $(seq 50); do
  log=$(k logs hello 2>/dev/null || true)
  [ -z "$log" ] || break
  sleep 0.05
done
echo "  $log"
