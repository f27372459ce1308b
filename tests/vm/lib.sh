# shellcheck shell=bash
# Helpers of the guest scripts in tests/vm/cases: load and unload, TAP lines, waiting, a clean kernel log.
# A case says: . "$(dirname "${BASH_SOURCE[0]}")/../../lib.sh"
# shellcheck disable=SC2034,SC2009,SC2001

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
kt=${KT:-/kt}
ko=$kt/khttpd.ko
tools=$kt/vm-tools
port=8081
url=http://127.0.0.1:$port
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
tap_n=0
helpers=()

# A kernel with KASAN or KCSAN is ten times slower and counts memory differently.
debug_kernel() { [[ $(uname -r) == *-khttpd-* ]]; }
slow=1
! debug_kernel || slow=10

# KCSAN holds up a processor at every so many accesses, for so many microseconds, for another one to race with it. Here
# processors are emulated and have to wait for each other: hold up longer.
kcsan=/sys/module/kcsan/parameters
[ ! -d $kcsan ] || { echo 1500 >$kcsan/skip_watch && echo 500 >$kcsan/udelay_task; }

work=$(mktemp -d)

# ok TEXT: the step before it worked (a step that does not ends the script)
ok() { tap_n=$((tap_n + 1)); echo "ok $tap_n - $*"; }
note() { echo "# $*"; }
fail() { echo "not ok $((tap_n + 1)) - $*"; exit 1; }
skip() { tap_n=$((tap_n + 1)); echo "ok $tap_n - # SKIP $*"; }

# The kernel's counts of the lines that ran. It keeps those of an unloaded module, and only then has those of its exit.
save_coverage() {
	! loaded || rmmod khttpd
	mkdir -p "$kt/out/gcov"
	(cd /sys/kernel/debug/gcov && find . -name '*.gcda' -exec cp --parents {} "$kt/out/gcov/" \;)
}

on_exit() {
	local rc=$? pid
	set +e
	for pid in "${helpers[@]}"; do kill -9 "$pid" 2>/dev/null; done
	[ -z "${KHTTPD_COVERAGE:-}" ] || save_coverage
	if [ $rc = 0 ]; then
		echo "1..$tap_n"
	else
		echo "Bail out! status $rc at line ${fail_line:-?}; end of the kernel log:"
		dmesg | tail -n 25 | sed 's/^/# /'
	fi
	rm -rf "$work"
	exit $rc
}
trap on_exit EXIT
trap 'fail_line="${BASH_LINENO[*]} ($BASH_COMMAND)"' ERR
set -E

# helper COMMAND...: run in the background, its pid in $helper; ended with the script at the latest
helper() {
	"$@" <&0 &
	helper=$!
	helpers+=("$helper")
}

# stop PID: end a helper and wait for it
stop() {
	kill -9 "$1" 2>/dev/null || true
	wait "$1" 2>/dev/null || true
}

# wait_for SECONDS COMMAND...: until it is true; a slow kernel gets ten times as long
wait_for() {
	local end=$((SECONDS + slow * $1 + 1))
	shift
	until "$@"; do
		[ $SECONDS -lt $end ] || return 1
		sleep 0.05
	done
}

now_ms() { echo $(($(date +%s%N) / 1000000)); }

# times FULL SHORT: loop counts and sizes; full ones on the stock 6.1 and with KHTTPD_FULL=1
times() {
	if [ "${KHTTPD_FULL:-}" = 1 ]; then
		echo "$1"
	elif [[ $(uname -r) == 6.1.* ]] && ! debug_kernel && [ "${KHTTPD_SHORT:-}" != 1 ]; then
		echo "$1"
	else
		echo "$2"
	fi
}

loaded() { [ -d /sys/module/khttpd ]; }

# load PARAMETER...: insmod, must work
load() { insmod "$ko" port=$port "$@" || fail "insmod khttpd.ko port=$port $*"; }

# unload [MS]: rmmod, must work within that time (20000, ten times that on a slow kernel); the time it took in
# $unload_ms. It takes a second or two: what this finds is one that waits for some time-out of ours.
unload() {
	local begin limit=$((slow * ${1:-20000}))
	begin=$(now_ms)
	timeout $((slow * 60)) rmmod khttpd || fail "rmmod khttpd (status $?)"
	unload_ms=$(($(now_ms) - begin))
	! loaded || fail "khttpd is still there after rmmod"
	[ $unload_ms -le $limit ] || fail "rmmod took $unload_ms ms, more than $limit"
}

# fetch URL [CURL-OPTION]...: the body, or an error
fetch() { curl --globoff --silent --show-error --fail --noproxy '*' --max-time $((slow * 20)) "$@"; }
serves() { fetch "${1:-$url/}" >/dev/null 2>&1; }
refuses() { ! serves "$@"; }

# httpc COMMAND OPTION...: our own load client, see tests/vm/tools/httpc.c
httpc() { "$tools/httpc" "$@"; }

param() { cat "/sys/module/khttpd/parameters/$1"; }
set_param() { echo "$2" >"/sys/module/khttpd/parameters/$1"; }

# Every task but the workqueues' own pool, which breathes
count_tasks() { ps -eLo comm= | grep -vc '^kworker/'; }
count_workers() { ps -eLo comm= | grep -c '^kworker/' || true; }

# What the kernel may say while a case runs. Lines of ours: one at load, one at unload, warnings about limits.
expected_log='khttpd: (loading out-of-tree module taints kernel|module verification failed)'
expected_log+='|khttpd: (loaded|unloaded|listening|serving|stopped)'
expected_log+='|random: crng init done|netem: version|drop_caches: |clocksource: |hrtimer: interrupt took|sched_clock: '
expected_log+='|workqueue: .* hogged CPU|systemd|audit: |perf: interrupt took too long'
# The last: with coverage, at the first load
expected_log+='|IPv6: ADDRCONF\(NETDEV_|link (is|becomes) (ready|up|down)|Link (UP|DOWN)|version magic: 0x'

# mark_dmesg: forget what the log has so far
mark_dmesg() { dmesg_from=$(dmesg --kernel | wc -l); }
new_dmesg() { dmesg --kernel | tail -n "+$((dmesg_from + 1))" | awk -f "$here/kcsan.awk"; }
dmesg_from=0

# check_dmesg [REGEX]: nothing but the expected lines (and REGEX) since the mark
check_dmesg() {
	local bad
	bad=$(new_dmesg | grep -vE "$expected_log${1:+|$1}" || true)
	[ -z "$bad" ] || { sed 's/^/# /' <<<"$bad"; fail "unexpected lines in the kernel log"; }
	ok "the kernel log is clean"
}

# The kernel cannot load these by itself: its modprobe would run in the initramfs
modprobe -qa tcp_diag inet_diag veth || true

case_name=$(basename "$(dirname "$(readlink -f "$0")")")
echo "# $case_name on $(uname -r)"
mark_dmesg
