#!/bin/bash
# mem: 768
# timeout: 450
# The site is swapped again and again under load: no request fails, none gets bytes of two sites, no memory is lost.
set -euo pipefail
# shellcheck source=tests/vm/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../../lib.sh"

images() { "$tools/sites" show | sed -n 's/^images=//p'; }
one_image() { [ "$(images)" = 1 ]; }
# What images have besides their pages. Free memory says less: processors keep lists of freed pages
used_kb() {
	echo 3 >/proc/sys/vm/drop_caches
	awk '/^(VmallocUsed|Percpu|SUnreclaim):/ { n += $2 } END { print n }' /proc/meminfo
}
# Their pages are charged to who loads them
echo +memory >/sys/fs/cgroup/cgroup.subtree_control
mkdir /sys/fs/cgroup/images
charged() { (echo $BASHPID >/sys/fs/cgroup/images/cgroup.procs && exec "$@"); }
charged_kb() { awk '$1 == "kernel" { print int($2 / 1024) }' /sys/fs/cgroup/images/memory.stat; }

"$tools/sites" make "$work/a" A
"$tools/sites" make "$work/b" B
# Time for thousands of connections on a busy machine
load site="$work/a" idle_timeout_ms=600000
[ "$(fetch $url/small)" = "$(printf 'A%.0s' {1..77})" ] || fail "site= is not served: $(fetch $url/small)"
ok "insmod site=FILE serves it from the first request"

# Caches of sockets and pages are warm before memory is counted
wrk -t 2 -c 64 -d $((2 + slow)) $url/large >/dev/null
"$tools/sites" swap 20 "$work/b" "$work/a" >/dev/null
sleep 1
before=$(used_kb)
swaps=200
! debug_kernel || swaps=40
[ "${KHTTPD_FULL:-}" != 1 ] || swaps=$((1000 / slow))
helper wrk -t 2 -c 64 -d 380 --timeout 60 -s "$here/cases/14-reload/check.lua" $url/ >"$work/wrk"
wrk=$helper
sleep 1
# For some seconds at least, or a slow server has answered from one of them only
swapped=0 end=$((SECONDS + 10))
while [ $swapped -lt $swaps ] || [ $SECONDS -lt $end ]; do
	result=$(charged "$tools/sites" swap 20 "$work/b" "$work/a") || fail "$swapped swaps, and then $result"
	swapped=$((swapped + 20))
done
sleep 1
kill -INT "$wrk" || true
wait "$wrk" || true
result=$(grep '^replies=' "$work/wrk") || fail "wrk: $(cat "$work/wrk")"
[[ $result == *' bad=0 '* && $result == *' errors=0' ]] || fail "$swapped swaps: $result"
[[ $result != *' A=0 '* && $result != *' B=0 '* ]] || fail "only one site was seen: $result"
ok "$swapped swaps under load: $result"
wait_for 10 one_image || fail "$(images) images are in memory"
# An image takes 100 KiB
memory_is_back() { after=$(used_kb) && [ "$after" -lt $((before + 1024)) ]; }
wait_for 20 memory_is_back || fail "$((after - before)) KiB more memory after $swapped swaps"
pages_are_back() { pages=$(charged_kb) && [ "$pages" -ge 100 ] && [ "$pages" -lt 500 ]; }
wait_for 20 pages_are_back || fail "$pages KiB are still charged for $swapped images"
ok "one image is in memory, and nothing of the others: $before KiB before, $after KiB after"

# Six replaced images have a reader each; ten seconds later four may stay: KHTTPD_RETIRED_MAX and _MS
mkfifo "$work/go"
exec 9<>"$work/go"
helper python3 -B "$here/cases/14-reload/slow.py" "$port" <"$work/go" >"$work/slow" 9>&-
slow_readers=$helper
# Less than a reply, so that a reader's connection does not go on to the next image
wmem=$(cat /proc/sys/net/ipv4/tcp_wmem)
echo 4096 16384 65536 >/proc/sys/net/ipv4/tcp_wmem
asked() { [ "$(grep -c asked "$work/slow")" = "$1" ]; }
images_are() { [ "$(images)" = "$1" ]; }
for i in 1 2 3 4 5 6; do
	echo -n x >&9
	wait_for 60 asked $i || fail "reader $i does not begin"
	sleep "$((slow / 4)).5" # until TCP takes no more
	"$tools/sites" swap 1 "$work/b" >/dev/null
done
# A slow kernel may have come here after the ten seconds
debug_kernel || wait_for 10 images_are 7 || fail "$(images) images are in memory: slow readers have lost theirs"
wait_for 30 images_are 5 || fail "$(images) images are in memory: slow readers keep them"
sleep 0.5
exec 9>&-
wait "$slow_readers" || fail "slow readers: $(cat "$work/slow")"
[ "$(tail -n 1 "$work/slow")" = 'cut=2 of 6' ] || fail "slow readers: $(tail -n 1 "$work/slow")"
wait_for 10 one_image || fail "$(images) images are in memory"
echo "$wmem" >/proc/sys/net/ipv4/tcp_wmem
ok "slow readers keep four replaced images in memory, not any number"

n=500
! debug_kernel || n=100
[ "${KHTTPD_FULL:-}" != 1 ] || n=$((10000 / slow))
"$tools/sites" make "$work/few" A 2
broken=$("$tools/sites" broken "$n" 7 "$work/few") || fail "$broken"
[ "$(fetch $url/small)" = "$(printf 'A%.0s' {1..77})" ] || fail "another site is served: $(fetch $url/small)"
ok "$broken"
wait_for 10 one_image || fail "$(images) images are in memory"

# Who may do what
chmod 755 "$work"
as_user() { setpriv --reuid=65534 --regid=65534 --clear-groups "$@"; }
# refused WHY COMMAND...: it fails and says so
refused() {
	! "${@:2}" >"$work/out" 2>&1 || fail "allowed: ${*:2}"
	grep -q "$1" "$work/out" || fail "${*:2}: $(cat "$work/out")"
}
as_user "$tools/sites" show >"$work/out" 2>&1 || fail "an ordinary user cannot see the state: $(cat "$work/out")"
refused 'not allowed' as_user "$tools/sites" swap 1 "$work/b"
refused 'not allowed' as_user "$tools/sites" conns
refused 'not allowed' as_user "$tools/sites" drop
# The kernels that are built for tests have no user namespaces
if [ -e /proc/self/ns/user ]; then
	refused 'not allowed' as_user unshare -Ur "$tools/sites" swap 1 "$work/b"
	refused 'another network namespace' as_user unshare -Urn "$tools/sites" show
	for command in conns drop "swap 1 $work/b"; do
		# shellcheck disable=SC2086
		refused 'not allowed' as_user unshare -Urn "$tools/sites" $command
	done
fi
for command in show conns drop "swap 1 $work/b"; do
	# shellcheck disable=SC2086
	# The reason why a dump cannot begin does not reach user space on 6.1
	refused 'another network namespace\|not allowed' unshare -n "$tools/sites" $command
done
ok "others see state and counters only, other namespaces nothing"

# Connections: each is listed, once
ulimit -n 8192
n=3000
! debug_kernel || n=600
# However long it takes them all to come
set_param first_byte_timeout_ms 600000
set_param header_timeout_ms 600000
mkfifo "$work/hold"
exec 9<>"$work/hold"
helper "$tools/httpc" idle -n $n -f / -t $((120 * slow)) <"$work/hold" >"$work/idle" 9>&-
idle=$helper
wait_for 120 test -s "$work/idle" || fail "no $n connections in time"
"$tools/sites" conns >"$work/listed" || fail "conns: $(cat "$work/listed")"
sort -u "$work/listed" >"$work/unique"
listed=$(wc -l <"$work/unique")
[ "$listed" -ge $n ] || fail "only $listed of $n connections are listed: $(cat "$work/idle"); $("$tools/sites" show)"
[ "$listed" = "$(wc -l <"$work/listed")" ] || fail "connections are listed twice"
exec 9>&-
wait "$idle" || fail "$(cat "$work/idle")"
ok "$n connections are listed, each once"

"$tools/sites" drop >/dev/null || fail "drop"
fetch $url/ | grep -q 'built-in page' || fail "the built-in page is not back"
ok "drop: the built-in page"
if insmod "$ko" port=1 site=/nonexistent 2>/dev/null; then fail "insmod twice"; fi
unload
head -c 1000 "$work/a" >"$work/short"
for bad in /nonexistent /dev/null "$work" "$work/short" /etc/passwd; do
	if insmod "$ko" port=$port site="$bad" 2>/dev/null; then fail "insmod site=$bad"; fi
	! loaded || fail "insmod site=$bad left something"
done
ok "insmod with a bad site= fails and says why: $(dmesg | grep -c 'khttpd: cannot .*site=')"
check_dmesg 'khttpd: (serving|cannot (open|serve))'
