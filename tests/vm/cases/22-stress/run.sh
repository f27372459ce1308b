#!/bin/bash
# kernels: debug kcsan
# mem: 512
# timeout: 120
# A random crowd of good, broken, slow, half-closed, reset, pipelined and idle clients, more than max_conns lets in,
# while every limit and time-out changes, and rmmod in the middle of it, again and again. Each answer is checked.
# KHTTPD_STRESS_SECONDS (300; 30 with KHTTPD_SHORT=1), KHTTPD_STRESS_SEED (random; printed).
set -euo pipefail
# shellcheck source=tests/vm/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../../lib.sh"

seconds=300
[ "${KHTTPD_SHORT:-}" != 1 ] || seconds=30
seconds=${KHTTPD_STRESS_SECONDS:-$seconds}
seed=${KHTTPD_STRESS_SEED:-$((RANDOM * 32768 + RANDOM))}
RANDOM=$((seed % 32768))
note "KHTTPD_STRESS_SEED=$seed KHTTPD_STRESS_SECONDS=$seconds"
size=600123
clients=150
! debug_kernel || clients=80

pick() { shift $((RANDOM % $#)); echo "$1"; }

# What storm's good clients need is left to them: heads of 256 bytes, bodies of 4 KiB, and seconds to take a reply: twenty,
# or five once the connection was shed
change() {
	case $((RANDOM % 11)) in
	0) set_param first_byte_timeout_ms "$(pick 1 300 1000 3000)" ;;
	1) set_param header_timeout_ms "$(pick 1 100 1000 3000)" ;;
	2) set_param idle_timeout_ms "$(pick 1 20 200 2000)" ;;
	3) set_param send_timeout_ms "$(pick 20000 30000)" ;;
	4) set_param linger_timeout_ms "$(pick 5000 10000)" ;;
	5 | 6) set_param max_conns "$(pick 3 $((clients / 4)) $((clients / 2)) $((clients * 2 / 3)) $((clients - 10)) 65536)" ;;
	7) set_param max_conns_per_ip "$(pick 0 0 0 $((clients / 5)) $((clients / 2)))" ;;
	8) set_param max_requests "$(pick 0 0 1 2 7)" ;;
	9) set_param max_head "$(pick 256 1000 4096 16384)" ;;
	10) set_param max_target "$(pick 100 1000 8192)"; set_param max_body "$(pick 4096 8192 1048576)" ;;
	esac
}

reload() { load debug_large=$size idle_timeout_ms=2000 first_byte_timeout_ms=3000 header_timeout_ms=3000 "$@"; }

# Closing hundreds of connections at once is no attack
sysctl -qw net.ipv4.tcp_max_orphans=4096
reload
helper "$tools/storm" -n "$clients" -t "$seconds" -l $size -s "$seed" -d 100 >"$work/storm"
storm=$helper
end=$((SECONDS + seconds)) next_reload=$((SECONDS + seconds / 6 + 3))
changes=0 reloads=0 slowest=0 full=0
while kill -0 "$storm" 2>/dev/null && [ $SECONDS -lt $end ]; do
	sleep "0.$((RANDOM % 3 + 1))"
	change
	changes=$((changes + 1))
	if [ $SECONDS -ge $next_reload ]; then
		kill -USR1 "$storm"
		sleep 0.1
		unload 30000
		[ $unload_ms -le $slowest ] || slowest=$unload_ms
		reload shards="$(pick 0 1 3)"
		kill -USR2 "$storm"
		reloads=$((reloads + 1))
		next_reload=$((SECONDS + seconds / 6 + RANDOM % 5))
	fi
done
set_param max_conns 65536
set_param max_conns_per_ip 0
status=0
wait "$storm" || status=$?
sed 's/^/# /' "$work/storm"
[ $status = 0 ] || fail "storm, seed $seed: status $status"
grep -qE '^answered=[1-9]' "$work/storm" || fail "nobody was answered"
ok "$clients clients at a time, $seconds s, $changes changes of parameters, seed $seed"
full=$(new_dmesg | grep -c 'max_conns reached' || true)
[ "$full" -ge 1 ] || fail "max_conns was never reached"
[ $reloads -ge 2 ] || fail "only $reloads reloads"
ok "$reloads times rmmod in the middle, $slowest ms at most; max_conns was reached"

# Nothing is wrong with the server afterwards, and again rmmod with clients
"$tools/storm" -n 20 -t 5 -l $size -s "$seed" -d 100 -g >"$work/storm" || { cat "$work/storm"; fail "good clients"; }
ok "good clients afterwards: $(sed -n '/answered=/p' "$work/storm")"
helper "$tools/storm" -n "$clients" -t 600 -l $size -s "$((seed + 1))" >"$work/storm"
storm=$helper
sleep 3
kill -USR1 "$storm"
sleep 0.1
unload 30000
stop "$storm"
! grep WRONG: "$work/storm" || { cat "$work/storm"; fail "rmmod"; }
ok "rmmod in the middle: $unload_ms ms"
[ -z "$(ss -Htln "sport = :$port")" ] || fail "the port is open"
ps -eo ppid=,comm= | awk '$1 == 2 && $2 ~ /^khttpd/' | grep . && fail "a thread is left"
grep '^khttpd' /proc/slabinfo && fail "a slab cache is left"
check_dmesg 'khttpd: (max_conns reached|a peer reached max_conns_per_ip)|callbacks suppressed|TCP: .*(orphan|SYN flooding)'
