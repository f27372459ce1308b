#!/bin/bash
# Signals sent to the server's threads do nothing, and rmmod still works.
set -euo pipefail
# shellcheck source=tests/vm/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../../lib.sh"

threads() { ps -eo pid=,ppid=,comm= | awk '$2 == 2 && $3 ~ /^khttpd/ { print $1 }'; }

load
list=$(threads)
[ "$(wc -w <<<"$list")" -ge 1 ] || { ps -eo pid,ppid,comm; fail "no kthread is named khttpd*"; }
for round in 1 2 3; do
	for pid in $list; do
		for signal in KILL TERM INT HUP STOP; do kill -s $signal "$pid"; done
	done
	serves || fail "not served after signals, round $round"
done
[ "$(threads)" = "$list" ] || fail "the threads are not the same: $list, now $(threads)"
httpc fetch -n 100 -f / >"$work/fetch" || fail "$(cat "$work/fetch")"
ok "$(wc -w <<<"$list") threads ignore signals: $(cat "$work/fetch")"
for pid in $list; do kill -9 "$pid"; done
unload
ok "rmmod after kill -9"
load
serves || fail "not served after a reload"
for pid in $(threads); do kill -9 "$pid"; done
unload
ok "rmmod right after kill -9 of fresh threads"
check_dmesg
