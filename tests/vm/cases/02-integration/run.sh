#!/bin/bash
# make: site
# files: build/site build/site.img
# The integration suite against the module, which serves the packed sample site, on the guest's loopback.
set -euo pipefail
# shellcheck source=tests/vm/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../../lib.sh"

load site="$kt/site.img"
ulimit -n 4096
ip link set lo up
# What core/ decides is the same on every kernel: a slow one gets of the site only what exercises the engine
tests=${KHTTPD_TESTS:-}
! debug_kernel || tests=${tests:-not test_site or pipelined or make_the_whole or take_turns or resumes}
KHTTPD_HOST=127.0.0.1 KHTTPD_PORT=$port KHTTPD_ENGINE=module KHTTPD_SITE=$kt/site \
	python3 -B -m pytest -q --color=no -p no:cacheprovider --durations=5 -k "$tests" -rs \
	"$here/../integration" | tee "$work/pytest" || fail "the integration suite"
! grep -q ' skipped' "$work/pytest" || fail "the module has all that the suite tests"
ok "the integration suite"
unload
ok "unload after the suite in $unload_ms ms"
check_dmesg 'khttpd: .*(max_conns|limit)|khttpd: .*(invalid|must be)|conn_admit: .* callbacks suppressed'
