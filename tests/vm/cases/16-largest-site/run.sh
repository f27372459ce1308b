#!/bin/bash
# long
# kernels: 6.1
# mem: 2560
# timeout: 450
# make: build/khttpctl build/largest.tar
# files: build/khttpctl build/largest.tar
# A site as large as the limit allows, 1 GiB: packed, loaded and served to its last byte, by khttpctl and by site=.
# What memory or limit does not suffice for is refused, and costs nothing.
set -euo pipefail
# shellcheck source=tests/vm/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../../lib.sh"

ctl() { "$kt/khttpctl" "$@"; }
of() { ctl status --json | python3 -c 'import json, sys; d = json.load(sys.stdin); print(eval(sys.argv[1]))' "$1"; }

# As make-image made it
size=$(((1 << 30) - 65536))
at=(0 5000 $((size / 2)) $((size - 65537)) $((size - 8)))
tar -C "$work" -xf "$kt/largest.tar"
bytes=$(stat -c %s "$work/image")
[ "$bytes" -le $((1 << 30)) ] || fail "an image of $bytes bytes tests something else"

# refused TEXT COMMAND...
refused() {
	! "${@:2}" >"$work/out" 2>&1 || fail "allowed: ${*:2}"
	grep -q "$1" "$work/out" || fail "${*:2}: $(cat "$work/out")"
}
served_to_its_end() {
	local i
	[ "$(fetch $url/)" = small ] || fail "/ is not served"
	for i in "${at[@]}"; do
		[ "$(fetch -r "$i-$((i + 7))" $url/large.bin)" = "$(printf '%08x' "$i")" ] || fail "byte $i is not served"
	done
	[ "$(fetch --head $url/large.bin | tr -d '\r' | sed -n 's/^Content-Length: //p')" = $size ] || fail "another size"
}

load
begin=$SECONDS
ctl load "$work/image" >"$work/out" 2>&1 || fail "khttpctl load: $(cat "$work/out")"
[ "$(of 'd["site"]["bytes"]')" = "$bytes" ] || fail "status: $(ctl status)"
served_to_its_end
ok "$bytes bytes are loaded in $((SECONDS - begin)) s and served to the last one"
free_kb() { awk '/^MemAvailable/ { print $2 }' /proc/meminfo; }
mkdir /sys/fs/cgroup/small
echo +memory >/sys/fs/cgroup/cgroup.subtree_control
echo $((256 << 20)) >/sys/fs/cgroup/small/memory.max
poor() { (echo $BASHPID >/sys/fs/cgroup/small/cgroup.procs && exec "$@"); }
before=$(free_kb)
refused 'not enough memory' poor "$tools/sites" swap 1 "$work/image"
served_to_its_end
memory_is_back() { after=$(free_kb) && [ "$after" -gt $((before - 32768)) ]; }
wait_for 20 memory_is_back || fail "$before KiB were free, and after a site was refused $after"
ok "a site for which the memory does not suffice is refused, and the old one stays"

ctl unload >"$work/out" 2>&1 || fail "unload: $(cat "$work/out")"
gone() { [ "$(free_kb)" -gt $((before + (900 << 10))) ]; }
wait_for 20 gone || fail "$before KiB were free, and after unload $(free_kb)"
unload
cp --sparse=always "$work/image" "$work/longer"
truncate -s $(((1 << 30) + 1)) "$work/longer"
! insmod "$ko" port=$port site="$work/longer" 2>"$work/err" || fail "a site of more than max_site_bytes is accepted"
dmesg | grep -q 'longer.*larger than max_site_bytes' || fail "the log does not say why: $(dmesg | tail -n 3)"
load site="$work/image"
served_to_its_end
unload
ok "site= takes it as well, and one byte more than max_site_bytes is refused"
check_dmesg 'khttpd: .*larger than max_site_bytes'
