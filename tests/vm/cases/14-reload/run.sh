#!/bin/bash
# mem: 768
# timeout: 300
# The site is swapped again and again under load: no request fails, none gets bytes of two sites, no memory is lost.
set -euo pipefail
# shellcheck source=tests/vm/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../../lib.sh"

images() { "$tools/sites" show | sed -n 's/^images=//p'; }
one_image() { [ "$(images)" = 1 ]; }
free_kb() {
	sync
	echo 3 >/proc/sys/vm/drop_caches
	awk '/^MemAvailable/ { print $2 }' /proc/meminfo
}

"$tools/sites" make "$work/a" A
"$tools/sites" make "$work/b" B
load site="$work/a"
[ "$(fetch $url/small)" = "$(printf 'A%.0s' {1..77})" ] || fail "site= is not served: $(fetch $url/small)"
ok "insmod site=FILE serves it from the first request"

# Caches of sockets and pages are warm before memory is counted
wrk -t 2 -c 64 -d $((3 * slow)) $url/large >/dev/null
"$tools/sites" swap 20 "$work/b" "$work/a" >/dev/null
sleep 1
before=$(free_kb)
swaps=$(times 1000 100)
helper wrk -t 2 -c 64 -d 250 --timeout 60 -s "$here/cases/14-reload/check.lua" $url/ >"$work/wrk"
wrk=$helper
sleep 1
swapped=$("$tools/sites" swap "$swaps" "$work/b" "$work/a") || fail "$swapped"
sleep 1
kill -INT "$wrk"
wait "$wrk" || true
result=$(grep '^replies=' "$work/wrk") || fail "wrk: $(cat "$work/wrk")"
[[ $result == *' bad=0 '* && $result == *' errors=0' ]] || fail "$swapped: $result"
[[ $result != *' A=0 '* && $result != *' B=0 '* ]] || fail "only one site was seen: $result"
ok "$swapped under load: $result"
wait_for 10 one_image || fail "$(images) images are in memory"
after=$(free_kb)
# An image takes 100 KiB
[ "$after" -gt $((before - 6144)) ] || fail "$((before - after)) KiB less memory after $swaps swaps"
ok "one image is in memory, memory is back to where it was: $before KiB, $after KiB"

n=$(times 10000 500)
broken=$("$tools/sites" broken "$n" 7 "$work/a") || fail "$broken"
[ "$(fetch $url/small)" = "$(printf 'A%.0s' {1..77})" ] || fail "another site is served: $(fetch $url/small)"
ok "$broken"
wait_for 10 one_image || fail "$(images) images are in memory"

# Who may do what
as_user() { setpriv --reuid=65534 --regid=65534 --clear-groups "$@"; }
as_user "$tools/sites" show >/dev/null || fail "an ordinary user cannot see the state"
if as_user "$tools/sites" swap 1 "$work/b" >"$work/out"; then fail "an ordinary user can swap the site"; fi
if as_user "$tools/sites" conns >"$work/out"; then fail "an ordinary user can list connections"; fi
for command in "show" "conns" "swap 1 $work/b"; do
	# shellcheck disable=SC2086
	if as_user unshare -Urn "$tools/sites" $command >"$work/out" 2>&1; then
		fail "root of another namespace can: $command"
	fi
	note "unshare -Urn, $command: $(tail -n 1 "$work/out")"
done
if as_user unshare -Ur "$tools/sites" swap 1 "$work/b" >"$work/out"; then fail "root of a user namespace can swap"; fi
ok "others see state and counters only, other namespaces nothing"

# Connections: all of them are listed, once, while they come and go
mkfifo "$work/stdin"
httpc idle -n 3000 <"$work/stdin" >"$work/idle" 2>&1 &
idle=$!
exec 9>"$work/stdin"
established() { [ "$(ss -Htn state established "sport = :$port" | wc -l)" -ge 3000 ]; }
if wait_for 15 established; then
	listed=$("$tools/sites" conns) || fail "conns: $listed"
	[ "$(echo "$listed" | sort -u | wc -l)" -ge 3000 ] || fail "only $(echo "$listed" | sort -u | wc -l) of 3000 are listed"
	[ "$(echo "$listed" | wc -l)" = "$(echo "$listed" | sort -u | wc -l)" ] || fail "some are listed twice"
	ok "3000 connections are listed, each once"
else
	skip "3000 connections did not come in time"
fi
exec 9>&-
wait $idle 2>/dev/null || true

"$tools/sites" drop >/dev/null || fail "drop"
fetch $url/ | grep -q 'built-in page' || fail "the built-in page is not back"
ok "drop: the built-in page"
if insmod "$ko" port=1 site=/nonexistent 2>/dev/null; then fail "insmod twice"; fi
unload 5000
head -c 1000 "$work/a" >"$work/short"
for bad in /nonexistent /dev/null "$work" "$work/short" /etc/passwd; do
	if insmod "$ko" port=$port site="$bad" 2>/dev/null; then fail "insmod site=$bad"; fi
	! loaded || fail "insmod site=$bad left something"
done
ok "insmod with a bad site= fails and says why: $(dmesg | grep -c 'khttpd: cannot .*site=')"
check_dmesg 'khttpd: (serving|cannot (open|serve))'
