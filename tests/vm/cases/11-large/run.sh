#!/bin/bash
# mem: 768
# Bodies sent by page reference: slow readers cost no copies, and their pages outlive the module.
set -euo pipefail
# shellcheck source=tests/vm/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../../lib.sh"

free_kb() { awk '/^MemFree/ { print $2 }' /proc/meminfo; }
tcp_pages() { awk '$1 == "TCP:" { print $NF }' /proc/net/sockstat; }

# All slow readers have their first 64 KiB and wait; the server has sent what it will send.
settled() {
	local a b
	a=$(ss -Htn "sport = :$port" | awk '{ s += $3 } END { print s + 0 }')
	sleep 0.4
	b=$(ss -Htn "sport = :$port" | awk '{ s += $3 } END { print s + 0 }')
	[ "$a" = "$b" ] && [ "$a" -gt 0 ]
}

# What the clients' receive queues may hold, so that it is our limit that shows
sysctl -qw net.ipv4.tcp_mem='100000 100000 100000'
n=100
! debug_kernel || n=40
load debug_large=6000123 send_timeout_ms=120000
httpc fetch -n 8 >"$work/fetch" || fail "$(cat "$work/fetch")"
ok "whole bodies: $(cat "$work/fetch")"

sync
echo 3 >/proc/sys/vm/drop_caches
before=$(free_kb)
helper "$tools/httpc" slow -n "$n" -b 65536 -t 120 -w "$work/go" >"$work/slow"
slow=$helper
wait_for 30 settled || fail "the server does not stop sending to readers that do not read"
used=$(((before - $(free_kb)) / n))
# TCP counts what its queues hold, both ends; most of that are pages that exist once
queued=$(($(tcp_pages) * 4 / n))
note "$n readers that wait: $used KiB each, $queued KiB in the queues of both ends"
[ $queued -ge 64 ] || fail "the queues hold only $queued KiB: this tests nothing"
[ $queued -le 1024 ] || fail "the queues of a slow reader hold $queued KiB"
debug_kernel || [ $((used * 2)) -le $queued ] || fail "a slow reader costs $used KiB, so pages are copied"
ok "a slow reader costs $used KiB for $queued KiB in its queues"
serves || fail "not served beside $n slow readers"
ok "others are served meanwhile"
touch "$work/go"
wait "$slow" || fail "slow readers: $(cat "$work/slow")"
ok "slow readers get every byte: $(cat "$work/slow")"

# rmmod with replies in flight; what the clients still read must be what was sent, although the
# server's pages have been given back and written over.
rm "$work/go"
n=$(times 30 15)
helper "$tools/httpc" slow -n "$n" -t 60 -w "$work/go" >"$work/slow"
slow=$helper
wait_for 30 settled || fail "the server does not stop sending"
unload
ok "rmmod with $n large replies in flight took $unload_ms ms"
mkdir "$work/fill"
mount -t tmpfs -o size=$(($(free_kb) / 2))k none "$work/fill"
dd if=/dev/zero of="$work/fill/x" bs=1M 2>/dev/null || true # until it is full
note "$(du -m "$work/fill/x" | cut -f1) MiB of memory written over"
touch "$work/go"
wait "$slow" || true
grep -q ' wrong_bytes=0 bad_head=0 ' "$work/slow" || fail "pages changed under a reader: $(cat "$work/slow")"
grep -q ' unfinished=0 ' "$work/slow" || fail "readers were left hanging: $(cat "$work/slow")"
umount "$work/fill"
ok "nobody read a byte that was not sent: $(cat "$work/slow")"
check_dmesg
