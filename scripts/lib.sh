# shellcheck shell=bash disable=SC2034
# Shared by the scripts: messages, the cache folder, locks.

top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# Kernels, root file systems and downloads live here, outside the checkout, and are shared by all checkouts.
cache=${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/khttpd
all_kernels="6.1 6.12 sid"
# Built by scripts/setup when somebody asks for them, see scripts/vm.d/
built_kernels="debug kcsan"

say() { printf '%s: %s\n' "${0##*/}" "$*" >&2; }
die() { say "$*"; exit 1; }

# locked NAME COMMAND...: run COMMAND while holding the lock NAME of the cache folder
locked() {
	local name=$1 fd rc=0
	shift
	mkdir -p "$cache"
	exec {fd}>"$cache/.lock-$name"
	flock -n "$fd" || { say "waiting for another $name job ..."; flock "$fd"; }
	"$@" {fd}>&- || rc=$?
	exec {fd}>&-
	return "$rc"
}
