#!/bin/bash
# The module loads, serves its page and unloads, and the kernel has nothing to say about it.
# timeout: 60
set -euo pipefail
# shellcheck source=tests/vm/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../../lib.sh"

modinfo "$ko" >"$work/modinfo"
grep -q '^license: *Dual MIT/GPL$' "$work/modinfo" || fail "licence"
ok "the licence is Dual MIT/GPL"

load
ok "insmod khttpd.ko port=$port"
fetch -D "$work/head" -o "$work/page" $url/
grep -q '^HTTP/1.1 200 ' "$work/head" || fail "status: $(head -n 1 "$work/head")"
grep -qi '^Content-Type: text/html' "$work/head" || fail "the page is not HTML"
grep -qi '^Server: khttpd' "$work/head" || fail "no Server field"
grep -q '</html>' "$work/page" || fail "the page is not whole"
ok "the built-in page comes from the module"
[ "$(curl -sS -o /dev/null -w '%{http_code}' $url/nothing-here)" = 404 ] || fail "an unknown path is not 404"
ok "an unknown path is 404"
fetch -o /dev/null "http://[::1]:$port/"
ok "served over IPv6 as well"

unload
ok "rmmod in $unload_ms ms"
refuses || fail "the port still answers"
ss -Htln "sport = :$port" | grep . && fail "the port is still open"
ok "the port is closed"
check_dmesg
