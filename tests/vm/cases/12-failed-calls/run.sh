#!/bin/bash
# kernels: 6.1 debug
# module: tests/vm/failcall
# timeout: 300
# Each kernel function that loading needs fails, at each of its calls: insmod has that error, one line says why, and
# nothing is left behind. Then the ones that an accepted connection needs.
set -euo pipefail
# shellcheck source=tests/vm/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../../lib.sh"

# failing FUNCTION VALUE SKIP TIMES COMM: until failed_calls
failing() { insmod "$kt/failcall.ko" function="$1" value="$2" skip="$3" times="$4" comm="$5" || fail "failcall.ko $1"; }
# how many calls there were
failed_calls() {
	cat /sys/module/failcall/parameters/seen
	rmmod failcall
}

# Loaded in a network namespace of its own, whose veth pair tells whether anything holds on to it.
ns_alive() { ip link show kf0 >/dev/null 2>&1; }
ns_add() {
	ip netns add kf
	ip link add kf0 type veth peer name kf1 netns kf
	ip -n kf link set lo up
}
ns_del() {
	ip netns del kf
	wait_for 20 eval '! ns_alive' || fail "$1: the network namespace is still referenced"
}
threads() { ps -eo ppid=,comm= | awk '$1 == 2 && $2 ~ /^khttpd/'; }
caches() { grep '^khttpd' /proc/slabinfo || true; }

nothing_left() {
	local left
	! loaded || fail "$1: the module stayed"
	left=$(threads; caches; ip netns exec kf ss -Htan "sport = :$port"; grep -F '[khttpd]' /proc/vmallocinfo || true)
	[ -z "$left" ] || fail "$1: left behind: $left"
}

# insmod_fails FUNCTION VALUE ERRNO-TEXT LOG-REGEX PARAMETER...: at its first call, its second, ... until it succeeds
insmod_fails() {
	local function=$1 value=$2 text=$3 line=$4 n=0 lines seen
	shift 4
	while :; do
		mark_dmesg
		failing "$function" "$value" $n 1 insmod
		if ip netns exec kf insmod "$ko" port=$port "$@" 2>"$work/err"; then
			seen=$(failed_calls)
			[ "$seen" = $n ] || fail "insmod succeeded although call $((n + 1)) of $seen to $function returned $value"
			ip netns exec kf curl -sf -o /dev/null --max-time 20 "$url/" || fail "not served after $function did not fail"
			unload
			nothing_left "rmmod"
			break
		fi
		n=$((n + 1))
		[ "$(failed_calls)" -ge $n ] || fail "insmod failed, but not at call $n of $function: $(cat "$work/err")"
		grep -q "$text" "$work/err" || fail "call $n of $function returned $value: $(cat "$work/err")"
		lines=$(new_dmesg | grep 'khttpd: ' | grep -vcE 'taints kernel|verification failed' || true)
		if [ "$lines" != 1 ]; then bad+=("call $n of $function returned $value: $lines lines in the log, not 1"); fi
		if ! new_dmesg | grep -E "khttpd: .*$line" >/dev/null; then bad+=("call $n of $function: no line says $line"); fi
		nothing_left "call $n of $function"
		[ $n -lt 50 ] || fail "$function fails for ever"
	done
	ns_del "$function"
	ns_add
	[ $n -ge 1 ] || fail "insmod does not call $function: this tests nothing"
	ok "$function failed at each of its $n calls (value $value): $text"
}

ns_add
bad=()
# Three shards: the first listener is made differently, and the others can fail when some are there already
insmod_fails __sock_create -23 'Too many open files in system' 'cannot listen.*-23' shards=3
insmod_fails kernel_bind -98 'Address already in use' "cannot listen.*$port.*in use" shards=3
insmod_fails kernel_bind -13 'Permission denied' 'cannot listen.*-13' shards=3
insmod_fails kernel_listen -105 'No buffer space available' 'cannot listen.*-105' shards=3
insmod_fails kthread_create_on_node -12 'Cannot allocate memory' 'cannot start thread.*-12' shards=3
insmod_fails alloc_workqueue 0 'Cannot allocate memory' '(memory|workqueue|-12)' shards=1
insmod_fails kmem_cache_create 0 'Cannot allocate memory' '(memory|-12)' shards=1
insmod_fails __sock_create -97 'Address family not supported' 'cannot listen.*-97' bind=0.0.0.0

# Without IPv6 at the first call only, the server shall fall back to IPv4 and load
mark_dmesg
failing __sock_create -97 0 1 insmod
ip netns exec kf insmod "$ko" port=$port shards=1 || fail "no fall-back to IPv4"
[ "$(failed_calls)" = 2 ] || fail "not two calls of __sock_create"
ip netns exec kf curl -sf -o /dev/null --max-time 20 "http://127.0.0.1:$port/" || fail "not served over IPv4 alone"
unload
nothing_left "IPv4 alone"
ok "where IPv6 sockets cannot be had, IPv4 is served"

# Accept fails while the server runs. It backs off and goes on; only a listener that was shut ends its shard.
load shards=1
for value in -12 -23 -24 -105 -103 -4; do
	mark_dmesg
	failing kernel_accept "$value" 0 5 khttpd/
	# The accept that waits now was called before
	for _ in 1 2 3; do serves || fail "not served although accept only failed five times with $value"; done
	[ "$(failed_calls)" -ge 6 ] || fail "accept did not fail with $value"
	[ -z "$(new_dmesg | grep khttpd: || true)" ] || fail "accept failing with $value is logged"
done
ok "accept that fails with ENOMEM, ENFILE, EMFILE, ENOBUFS, ECONNABORTED or EINTR is tried again"
mark_dmesg
failing kernel_accept -22 0 1 khttpd/
serves || fail "the waiting accept"
wait_for 10 eval '[ -z "$(threads)" ]' || fail "the thread goes on although its listener was shut"
failed_calls >/dev/null
[ "$(new_dmesg | grep -c 'khttpd: .*shut down from outside')" = 1 ] || fail "no line says that a shard ended"
unload
ok "accept that fails with EINVAL ends its thread with one line, and the module unloads"
ns_del end
[ ${#bad[@]} = 0 ] || { printf '# %s\n' "${bad[@]}"; fail "an error is not explained in one line"; }
ok "each failed insmod says why in one line"
mark_dmesg
load
serves || fail "not served in the end"
unload
check_dmesg
