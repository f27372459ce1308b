#!/bin/bash
# kernels: debug
# append: kmemleak=on log_buf_len=8M slub_debug=A;-,kmemleak_object thash_entries=256
# timeout: 600
# Allocations fail, one after the other and then at random: in insmod, in accept threads and workers, in rmmod. Each
# outcome is a clean error or a served request, nothing is left or lost, and the module always unloads.
# KHTTPD_FAULTS="load=1 request=64": only these steps, see faults.py.
set -euo pipefail
# shellcheck source=tests/vm/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../../lib.sh"

debug=/sys/kernel/debug
leaks=$debug/kmemleak
tracing=/sys/kernel/tracing
full=0
[ "${KHTTPD_FULL:-}" != 1 ] || full=1
pick() { if [ $full = 1 ]; then echo "$1"; else echo "$2"; fi; }

# The kernel explains some failures with a stack, which looks like a fault on the console. The log is read in the end.
echo 4 >/proc/sys/kernel/printk
for f in failslab fail_page_alloc; do
	[ -d $debug/$f ] || fail "no $debug/$f"
	echo Y >$debug/$f/task-filter
	echo N >$debug/$f/ignore-gfp-wait
	echo 0 >$debug/$f/probability
	echo 1 >$debug/$f/interval
	echo 0 >$debug/$f/verbose
done
echo N >$debug/fail_page_alloc/ignore-gfp-highmem
echo 0 >$debug/fail_page_alloc/min-order
# kmemleak allocates as often as everybody else together, and stops for ever when that fails too often. So the kernel
# was booted with slub_debug=A: failures in all caches but its own.
echo Y >$debug/failslab/cache-filter
[ "$(cat /sys/kernel/slab/{kmalloc-64,kmemleak_object}/failslab | xargs)" = "1 0" ] || fail "slub_debug=A has no effect"

# A workqueue that is left can be seen nowhere, so they are counted
# shellcheck disable=SC2016
echo 'r:made alloc_workqueue result=$retval' >$tracing/kprobe_events
echo 'p:gone destroy_workqueue' >>$tracing/kprobe_events
echo 'result != 0' >$tracing/events/kprobes/made/filter
echo 1 >$tracing/events/kprobes/enable
workqueues() { grep -c " $1: " $tracing/trace || true; }

# In a network namespace of its own, whose veth pair tells whether anything holds on to it
ns_alive() { ip link show kf0 >/dev/null 2>&1; }
ip netns add kf
ip link add kf0 type veth peer name kf1 netns kf
ip -n kf link set lo up
echo clear >$leaks

steps="load=$(pick 1 10) unload params accept site=$(pick 100 15) fragmented request=$(pick 64 800)"
steps+=" reload=$(pick 200 12) storm=$(pick 30 4)"
# Not ip netns exec: it hides debugfs
# shellcheck disable=SC2086
nsenter --net=/run/netns/kf python3 -B "$here/cases/21-fault-injection/faults.py" ${KHTTPD_FAULTS:-$steps} ||
	fail "with allocations that fail"
ok "each outcome was a clean error or a served request"

made=$(workqueues made) gone=$(workqueues gone)
[ "$made" -ge 2 ] && [ "$made" = "$gone" ] || fail "$made workqueues were made, $gone destroyed"
ok "$made workqueues were made and destroyed"
ip netns del kf
wait_for 20 eval '! ns_alive' || {
	ss -Htane
	fail "the network namespace is still referenced"
}
ok "the network namespace is gone"
sleep 6
echo scan >$leaks
echo scan >$leaks
# Not ours: in 6.1 kmem_cache_create() loses the cache's name when its part in sysfs cannot be made
awk '/^unreferenced/ { if (!known) printf "%s", object; object = ""; known = 0 }
	{ object = object $0 "\n" }
	/ sysfs_slab_add\+/ { known = 1 }
	END { if (!known) printf "%s", object }' $leaks >"$work/leaks"
if [ -s "$work/leaks" ]; then
	head -n 100 "$work/leaks" | sed 's/^/# /'
	fail "$(grep -c '^unreferenced' "$work/leaks") objects were lost"
fi
ok "kmemleak has nothing to report"
# The log is full of what the kernel says of each failed allocation, with a stack; but of real faults it says nothing
splat='BUG:|WARNING:|Oops|KASAN:|UBSAN:|INFO: |possible (circular|recursive) lock|inconsistent lock|suspicious RCU'
splat+='|sleeping function|refcount_t:|list_(add|del) corruption|ODEBUG|Bad page|unregister_netdevice'
! new_dmesg | grep -E "$splat" || fail "the kernel reported a fault"
ok "the kernel reported no fault"
mark_dmesg
load
serves || fail "not served in the end"
unload
check_dmesg
