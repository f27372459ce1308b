#!/bin/bash
# Loaded in a network namespace: served there and only there, even after its deletion, until rmmod.
set -euo pipefail
# shellcheck source=tests/vm/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../../lib.sh"

# A veth pair tells whether the namespace lives: this end vanishes with the other one.
alive() { ip link show kh0 >/dev/null 2>&1; }

ip netns add kh
ip link add kh0 type veth peer name kh1 netns kh
ip addr add 10.99.0.1/24 dev kh0
ip link set kh0 up
ip -n kh addr add 10.99.0.2/24 dev kh1
ip -n kh link set kh1 up
ip -n kh link set lo up
helper ip netns exec kh sleep 600
inside=$helper
ip netns exec kh insmod "$ko" port=$port
ip netns exec kh curl -sf -o /dev/null --max-time 10 "$url/" || fail "not served inside the namespace"
refuses || fail "served outside the namespace"
wait_for 10 serves "http://10.99.0.2:$port/" || fail "not served over the veth pair"
ok "served in the namespace of insmod only"

# The same port can be used outside
python3 -c "import socket; socket.create_server(('::', $port), family=socket.AF_INET6)" || fail "the port is taken outside"
ok "the port is free elsewhere"

ip netns del kh
nsenter -t "$inside" -n curl -sf -o /dev/null --max-time 10 "$url/" ||
	fail "not served to a process that stays in the namespace"
ok "ip netns del leaves a process inside its server"

stop "$inside"
sleep 1
alive || fail "the namespace died although the module serves in it"
httpc fetch -a 10.99.0.2 -n 50 -f / >"$work/fetch" || fail "not served without a process inside: $(cat "$work/fetch")"
ok "the namespace lives without name and process: $(cat "$work/fetch")"

httpc idle -a 10.99.0.2 -n 100 -f / -t 20 <<<"" >"$work/idle" || fail "$(cat "$work/idle")"
unload
wait_for 20 eval '! alive' || fail "the namespace is still there 20 s after rmmod"
ok "rmmod ($unload_ms ms) lets the namespace go"

load
serves || fail "not served in the first namespace"
unload
ok "served again in the first namespace"
! new_dmesg | grep -i unregister_netdevice || fail "a reference on a device is left"
check_dmesg
