#!/bin/bash
# timeout: 400
# Replies arrive although packets are lost, also those that outlive the module.
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

try 15% 300 290
try 15% 300 290 -e
n=$(times 3000 1000)
try 1% "$n" $((n - 1)) -e

# A socket stays in the server's hands until its peer has all: only rmmod makes orphans, and they are what loses
# replies when their timers are stopped. So: all clients are let in, all replies get lost, the module goes, and then
# only timers can bring the replies.
unload
port=8082 # nothing of the clients above is left here
load debug_large=4000000
tc -n kl qdisc del dev kl1 root
tc qdisc replace dev kl0 root netem delay 2500ms limit 100000
count() { ss -Htn state "$1" "sport = :$port" | wc -l; }
let_in() { [ "$(count syn-recv)" = 100 ]; }
answered() { [ "$(count fin-wait-1)" = 100 ]; }
states() { ss -Hant "sport = :$port" | awk '{ print $1 }' | sort | uniq -c | xargs; }
helper ip netns exec kl "$tools/httpc" fetch -a 10.98.0.1 -p $port -n 100 -g 100 -c 100 -s 20480 -t 60 >"$work/fetch"
wait_for 2 let_in || fail "not all have come: $(states)"
tc qdisc change dev kl0 root netem delay 2500ms loss 100% limit 100000
wait_for 20 answered || fail "not all were answered: $(states)"
unload
tc qdisc del dev kl0 root
ok "rmmod with all replies lost: $unload_ms ms"
wait "$helper" || fail "after rmmod: $(cat "$work/fetch")"
ok "the replies arrive without the module: $(cat "$work/fetch")"
ip netns del kl
check_dmesg
