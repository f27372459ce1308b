#!/bin/bash
# Where IPv6 is off, every address means every IPv4 address, and an IPv6 address is refused.
# append: ipv6.disable=1
# kernels: 6.1 sid debug
set -euo pipefail
# shellcheck source=tests/vm/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../../lib.sh"

v4="http://127.0.0.1:$port/"
[ ! -e /proc/sys/net/ipv6 ] || fail "IPv6 is on"

load shards=3
for _ in 1 2 3 4 5 6; do serves "$v4" || fail "IPv4 is not served without IPv6"; done
unload
load bind=127.0.0.1
serves "$v4" || fail "bind=127.0.0.1 without IPv6"
unload
ok "IPv4 is served where IPv6 is off"

if insmod "$ko" port=$port bind=::1 2>"$work/err"; then fail "bind=::1 without IPv6 is taken"; fi
new_dmesg | grep 'khttpd: .*::1' >/dev/null || fail "nothing says why bind=::1 fails: $(cat "$work/err")"
ok "bind=::1 without IPv6 is refused: $(cat "$work/err")"
check_dmesg 'khttpd: .*::1'
