#!/bin/bash
# A CPU goes away and comes back under load; no request fails.
set -euo pipefail
# shellcheck source=tests/vm/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../../lib.sh"

cpu=/sys/devices/system/cpu/cpu1/online
[ -w $cpu ] || { skip "CPU 1 cannot go offline here"; exit 0; }

load debug_large=2000000
for target in / /large.bin; do
	helper wrk -t 1 -c 50 -d 4 --timeout 20 "$url$target" >"$work/wrk" 2>&1
	wrk=$helper
	sleep 0.7
	echo 0 >$cpu
	httpc fetch -n 100 -f / >"$work/fetch" || fail "new connections with CPU 1 offline: $(cat "$work/fetch")"
	ok "CPU 1 offline: $(cat "$work/fetch")"
	sleep 0.7
	echo 1 >$cpu
	httpc fetch -n 100 -f / >"$work/fetch" || fail "new connections with CPU 1 back: $(cat "$work/fetch")"
	wait "$wrk" || fail "wrk: $(cat "$work/wrk")"
	! grep -E 'Socket errors|Non-2xx' "$work/wrk" || fail "requests failed: $(cat "$work/wrk")"
	ok "CPU 1 back, $target: $(awk '/requests in/' "$work/wrk")"
done
httpc fetch -n 200 -s 40000 >"$work/fetch" || fail "$(cat "$work/fetch")"
ok "served afterwards: $(cat "$work/fetch")"

# Loaded with one CPU only, then the second one comes
unload
echo 0 >$cpu
load
echo 1 >$cpu
httpc fetch -n 100 -f / >"$work/fetch" || fail "loaded with one CPU: $(cat "$work/fetch")"
echo 0 >$cpu
unload
echo 1 >$cpu
ok "load with one CPU, unload with one CPU"
check_dmesg 'smpboot|CPU ?1|kvm-clock|microcode|IRQ|x86|masked|NMI|APIC|TSC|Spectre'
