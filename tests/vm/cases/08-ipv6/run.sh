#!/bin/bash
# IPv6, IPv4 and what bind= and net.ipv6.bindv6only make of them.
set -euo pipefail
# shellcheck source=tests/vm/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../../lib.sh"

v4="http://127.0.0.1:$port/" v6="http://[::1]:$port/"

load
serves "$v4" && serves "$v6" || fail "the default does not serve both"
httpc fetch -a ::1 -n 50 -f / >"$work/fetch" || fail "$(cat "$work/fetch")"
ok "both by default: $(cat "$work/fetch")"
unload

load bind=::1
serves "$v6" && refuses "$v4" || fail "bind=::1"
unload
load bind=127.0.0.1
serves "$v4" && refuses "$v6" && refuses "http://127.0.0.2:$port/" || fail "bind=127.0.0.1"
unload
load bind=0.0.0.0
serves "$v4" && serves "http://127.0.0.2:$port/" && refuses "$v6" || fail "bind=0.0.0.0"
unload
ok "bind= picks one family or address"

old=$(sysctl -n net.ipv6.bindv6only)
sysctl -qw net.ipv6.bindv6only=1
load
serves "$v4" && serves "$v6" || fail "net.ipv6.bindv6only=1 took IPv4 away"
unload
sysctl -qw net.ipv6.bindv6only="$old"
ok "net.ipv6.bindv6only=1 changes nothing"

load shards=4
for _ in 1 2 3 4 5 6 7 8; do serves "$v4" && serves "$v6" || fail "shards=4"; done
unload
ok "all shards serve both"
check_dmesg
