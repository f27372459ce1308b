#!/bin/bash
# kernels: debug
# append: kmemleak=on
# Nothing that khttpd allocates is lost: all kinds of traffic, images, unload; then kmemleak has nothing to report.
# KHTTPD_SHORT=1 leaves the integration suite out.
set -euo pipefail
# shellcheck source=tests/vm/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../../lib.sh"

leaks=/sys/kernel/debug/kmemleak
[ -w $leaks ] || fail "no $leaks: not booted with kmemleak=on?"
# An object counts when two scans in a row miss it; those younger than five seconds are left alone
scan() {
	sleep 6
	echo scan >$leaks
	echo scan >$leaks
}

modprobe kmemleak-test
scan
grep -q '^unreferenced object' $leaks || fail "kmemleak does not notice what its own test module loses"
ok "kmemleak works: $(grep -c '^unreferenced' $leaks) objects of its test module"
echo clear >$leaks # those, and what the kernel itself has lost until now
mark_dmesg
load debug_large=1500000
ulimit -n 4096
if [ "${KHTTPD_SHORT:-}" != 1 ]; then
	KHTTPD_HOST=127.0.0.1 KHTTPD_PORT=$port KHTTPD_ENGINE=module KHTTPD_PATIENCE=120 \
		python3 -B -m pytest -q --color=no -p no:cacheprovider --durations=3 \
		-k 'not 1000_concurrent' "$here/../integration" || fail "the integration suite"
	ok "the integration suite"
fi
crowd=$("$tools/storm" -n 40 -t 20 -l 1500000 -d 100) || fail "storm: $crowd"
ok "a crowd of all kinds: $(grep answered= <<<"$crowd")"
set_param max_conns 50
wrk -t 2 -c 100 -d 5 $url/ >"$work/wrk" 2>&1 # half of them are shed again and again
note "$(awk '/requests in/' "$work/wrk")"
set_param max_conns 200
wrk -t 2 -c 100 -d 5 -H 'Connection: close' $url/ >"$work/wrk" 2>&1
note "$(awk '/requests in/' "$work/wrk")"
helper wrk -t 2 -c 60 -d 600 $url/large.bin >"$work/wrk" 2>&1
wrk=$helper
sleep 3
unload
kill -INT "$wrk" || true
wait "$wrk" || true
ok "wrk with shed, closed and cut connections, unloaded in $unload_ms ms"
"$tools/sites" make "$work/a" A
"$tools/sites" make "$work/b" B
"$tools/sites" make "$work/few" A 2
load site="$work/a"
helper wrk -t 2 -c 40 -d 600 --timeout 60 $url/large >"$work/wrk" 2>&1
wrk=$helper
sleep 1
"$tools/sites" swap 20 "$work/b" "$work/a" || fail "swaps"
"$tools/sites" broken 60 7 "$work/few" || fail "broken images"
"$tools/sites" conns >/dev/null || fail "conns"
"$tools/sites" drop || fail "drop"
"$tools/sites" swap 1 "$work/a" || fail "a swap"
unload
kill -INT "$wrk" || true
wait "$wrk" || true
ok "images that were swapped under load, refused, dropped, and one that was served in the end"
for _ in 1 2 3; do
	if insmod "$ko" port=$port site="$work/wrk" 2>/dev/null; then fail "insmod with a site that is no image"; fi
	if insmod "$ko" port=$port bind=192.0.2.1 2>/dev/null; then fail "insmod with an address that is not ours"; fi
	if insmod "$ko" port=0 2>/dev/null; then fail "insmod port=0"; fi
done
load shards=7
serves || fail "not served"
unload
ok "insmod that fails, insmod with more shards than processors"

scan
cp $leaks "$work/leaks"
if [ -s "$work/leaks" ]; then
	sed 's/^/# /' "$work/leaks"
	fail "$(grep -c '^unreferenced' "$work/leaks") objects were lost"
fi
ok "kmemleak has nothing to report"
check_dmesg 'kmemleak: |callbacks suppressed|khttpd: .*(max_conns|limit)|khttpd: .*(invalid|must be|refused|bind|address|cannot (serve|listen))'
