#!/bin/bash
# mem: 768
# 8,000 idle connections cost memory only, and little; rmmod ends them in seconds.
set -euo pipefail
# shellcheck source=tests/vm/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../../lib.sh"

n=$(times 8000 8000)
! debug_kernel || n=1500
available() { awk '/^MemAvailable/ { print $2 }' /proc/meminfo; }
slab_size() { awk -v name="$1" '$1 == name { print $4 }' /proc/slabinfo; }
established() { ss -Htn state established "dport = :$port" | wc -l; }

# rmmod closes all at once: the kernel shall not take that for an attack
sysctl -qw net.ipv4.tcp_max_orphans=$((4 * n))
load idle_timeout_ms=600000 first_byte_timeout_ms=600000 header_timeout_ms=600000 linger_timeout_ms=600000
httpc fetch -n 4 -f / >/dev/null # caches are warm
sleep 0.3
tasks=$(count_tasks) workers=$(count_workers) before=$(available)
# httpc holds the connections until its standard input ends, that is until we close 9
mkfifo "$work/hold"
exec 9<>"$work/hold"
helper "$tools/httpc" idle -n "$n" -f / -t 120 <"$work/hold" >"$work/idle" 9>&-
idle=$helper
wait_for 120 test -s "$work/idle" || fail "no $n connections in 120 s"
grep -q "complete=$n " "$work/idle" || fail "$(cat "$work/idle")"
wait_for 5 eval "[ \$(established) = $n ]" || {
	ss -Htan "dport = :$port or sport = :$port" | awk '{ print "# " $1 }' | sort | uniq -c
	fail "$(established) connections instead of $n"
}
sleep 0.5
cost=$(((before - $(available)) * 1024 / n))
new_tasks=$(($(count_tasks) - tasks)) new_workers=$(($(count_workers) - workers))
ok "$n idle connections: $(cat "$work/idle")"
# one task is httpc itself
[ $new_tasks -le 1 ] || { ps -eLo comm= | sort | uniq -c | sort -rn | head; fail "$new_tasks new tasks"; }
[ $new_workers -le 8 ] || fail "$new_workers new kworkers"
ok "no task was added ($((new_tasks - 1)) tasks, $new_workers pool workers)"
note "memory: $cost bytes per connection, both ends (a TCP socket each, the client's file)"
note "slab objects: TCPv6 $(slab_size TCPv6), TCP $(slab_size TCP), sock_inode_cache $(slab_size sock_inode_cache)," \
	"khttpd_conn $(slab_size khttpd_conn) bytes"
debug_kernel || [ $cost -le 12288 ] || fail "an idle connection costs $cost bytes"
serves || fail "not served beside $n idle connections"
ok "$cost bytes per idle connection, both ends"
unload
ok "rmmod with $n idle connections took $unload_ms ms"
exec 9>&-
wait "$idle" || fail "httpc idle"
grep -q "closed_by_server=$n" "$work/idle" || fail "clients see: $(tail -n 1 "$work/idle")"
ok "every client saw its connection end"
check_dmesg
