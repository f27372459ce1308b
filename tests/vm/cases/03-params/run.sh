#!/bin/bash
# Parameters: bad values and a port in use fail with the right error and one clear line; run-time changes work.
set -euo pipefail
# shellcheck source=tests/vm/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../../lib.sh"

# must_fail ERROR-TEXT LOG-REGEX PARAMETER...: insmod fails so, and says so in one line
must_fail() {
	local text=$1 line=$2 lines
	shift 2
	mark_dmesg
	if insmod "$ko" "$@" 2>"$work/err"; then
		fail "insmod took $*"
	fi
	grep -q "$text" "$work/err" || fail "insmod $*: $(cat "$work/err"), expected: $text"
	# Besides what the kernel says about every module and every bad value
	lines=$(new_dmesg | grep 'khttpd: ' | grep -vcE 'taints kernel|verification failed|invalid for parameter' || true)
	[ "$lines" = 1 ] || { new_dmesg; fail "insmod $*: $lines lines in the log instead of one"; }
	new_dmesg | grep -E "khttpd: .*$line" >/dev/null || { new_dmesg; fail "insmod $*: its line does not name $line"; }
	! loaded || fail "the module stayed after insmod $* had failed"
}

for bad in port=0 port=65536 port=-1 port=abc port= bind=nonsense bind=1.2.3 bind=1.2.3.4.5 bind=::g 'bind=' \
	backlog=0 backlog=-1 shards=-1 shards=100000 shards=x max_head=255 max_head=65537 max_conns=0 \
	max_conns=-5 max_target=0 idle_timeout_ms=0 header_timeout_ms=abc first_byte_timeout_ms=0 \
	send_timeout_ms=-1 max_body=1x max_site_bytes=; do
	must_fail 'Invalid parameters' "${bad%%=*}" "$bad"
done
ok "a bad value fails with EINVAL and one line that names the parameter"

must_fail 'assign requested address' '192\.0\.2\.1|bind|port' bind=192.0.2.1
ok "an address that is not ours cannot be bound"

cat >"$work/occupy.py" <<'PY'
import socket, sys, time
s = socket.socket(socket.AF_INET6 if sys.argv[1] == "6" else socket.AF_INET)
if "reuseport" in sys.argv:
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
if "reuseaddr" in sys.argv:
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
s.bind(("::" if sys.argv[1] == "6" else "127.0.0.1", 8081))
s.listen()
time.sleep(60)
PY
listening() { [ -n "$(ss -Hltn "sport = :$port")" ]; }
for how in "6 plain" "6 reuseport" "4 reuseport" "4 reuseaddr"; do
	# shellcheck disable=SC2086
	helper python3 "$work/occupy.py" $how
	wait_for 10 listening || fail "cannot occupy the port ($how)"
	must_fail 'Address already in use' "$port" port=$port
	must_fail 'Address already in use' "$port" port=$port shards=2
	stop "$helper"
	wait_for 10 eval '! listening' || fail "the port is still in use"
done
ok "a port in use is EADDRINUSE, also when its user set SO_REUSEPORT"

mark_dmesg
load
if insmod "$ko" port=8082 2>/dev/null; then fail "a second insmod"; fi
serves || fail "not served"
unload
ok "a second insmod does not disturb the first"

modinfo -p "$ko" >"$work/modinfo"
all=(port bind backlog shards site debug_large first_byte_timeout_ms header_timeout_ms idle_timeout_ms send_timeout_ms \
	linger_timeout_ms max_conns max_conns_per_ip max_requests max_head max_target max_body max_site_bytes)
for p in "${all[@]}"; do
	grep -qE "^$p:.{15,}" "$work/modinfo" || fail "modinfo -p has no text for $p: $(cat "$work/modinfo")"
done
[ "$(wc -l <"$work/modinfo")" = ${#all[@]} ] || fail "modinfo -p does not show ${#all[@]} parameters: $(cat "$work/modinfo")"
ok "modinfo -p explains every parameter"

load idle_timeout_ms=1234 max_conns=77
[ "$(param idle_timeout_ms) $(param max_conns)" = "1234 77" ] || fail "parameters given to insmod"
set_param max_requests 2
[ "$(param max_requests)" = 2 ] || fail "max_requests is $(param max_requests) after writing 2"
fetch -D "$work/head" -o /dev/null -o /dev/null -o /dev/null "$url/" "$url/" "$url/" || fail "three requests"
[ "$(grep -ci '^connection: close' "$work/head")" = 1 ] || fail "max_requests=2 written at run time does not count"
if echo 80 2>/dev/null >/sys/module/khttpd/parameters/port; then fail "port can be written"; fi
unload
ok "parameters can be changed at run time"

for p in 1 65535; do
	insmod "$ko" port=$p && serves "http://127.0.0.1:$p/" && unload || fail "port=$p"
done
insmod "$ko" port=$port shards=1 backlog=1 && serves && unload || fail "shards=1 backlog=1"
insmod "$ko" port=$port shards=7 && serves && unload || fail "shards=7 with $(nproc) CPUs"
ok "the ends of the ranges work"
check_dmesg 'khttpd: '
