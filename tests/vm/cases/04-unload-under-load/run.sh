#!/bin/bash
# insmod, wrk with 200 connections, rmmod in the middle of the load; again and again.
set -euo pipefail
# shellcheck source=tests/vm/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../../lib.sh"

cycles=$(times 50 12)
served=0 slowest=0
for ((i = 1; i <= cycles; i++)); do
	target=/ large=0
	[ $((i % 5)) != 0 ] || target=/large.bin large=1500000 # page references in flight
	load debug_large=$large linger_timeout_ms=600000 send_timeout_ms=600000
	helper wrk -t 2 -c 200 -d $((5 * slow)) "$url$target" >"$work/wrk" 2>&1
	wrk=$helper
	sleep "0.$((15 + i * 7 % 20))"
	unload
	[ $unload_ms -le $slowest ] || slowest=$unload_ms
	kill -INT "$wrk" || true # gone when it came too late to connect
	wait "$wrk" || true
	n=$(awk '/requests in/ { print $1 }' "$work/wrk")
	served=$((served + ${n:-0}))
done
[ $served -gt $((cycles * 20)) ] || fail "only $served requests were served in $cycles cycles"
ok "$cycles cycles, $served requests served, slowest rmmod $slowest ms"
load
serves || fail "not served after $cycles cycles"
unload
ok "served after the cycles"
check_dmesg
