#!/bin/bash
# timeout: 200
# Replies arrive although packets are lost: closed sockets must go on retransmitting.
set -euo pipefail
# shellcheck source=tests/vm/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../../lib.sh"

loss() {
	tc qdisc replace dev kl0 root netem loss "$1" limit 100000
	tc -n kl qdisc replace dev kl1 root netem loss "$1" limit 100000
}

modprobe -q sch_netem || { skip "this kernel has no sch_netem"; exit 0; }
ip netns add kl
ip link add kl0 type veth peer name kl1 netns kl
ip addr add 10.98.0.1/24 dev kl0
ip link set kl0 up
ip -n kl addr add 10.98.0.2/24 dev kl1
ip -n kl link set kl1 up
# Large sends stay one packet for netem otherwise, and hardly any would be lost
ethtool -K kl0 tso off gso off >/dev/null 2>&1 || note "gso of kl0 stays on"
load debug_large=4000000
wait_for 10 ip netns exec kl curl -sf -o /dev/null --max-time 5 "http://10.98.0.1:$port/" || fail "no connection"

# try LOSS CLIENTS GOAL [OPTION]...
try() {
	loss "$1"
	ip netns exec kl "$tools/httpc" fetch -a 10.98.0.1 -n "$2" -g "$3" -c 300 -s 20480 -t 60 "${@:4}" >"$work/fetch" ||
		fail "$1 loss ${*:4}: $(cat "$work/fetch")"
	ok "$1 loss ${*:4}: $(cat "$work/fetch")"
}

# The server's socket lives on until the client has closed, or is an orphan as soon as the reply is on its way,
# because the client has closed its side (-e) or waiting for that is over. Orphans are what loses replies when
# their timers are stopped.
try 15% 300 290
try 15% 300 290 -e
n=$(times 3000 1000)
try 1% "$n" $((n - 1)) -e
set_param linger_timeout_ms 1
try 15% 300 290

loss 15%
unload
ok "rmmod with lost packets under way: $unload_ms ms"
ip netns del kl
check_dmesg
