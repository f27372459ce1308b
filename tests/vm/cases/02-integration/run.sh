#!/bin/bash
# The integration suite against the module, on the guest's loopback.
set -euo pipefail
# shellcheck source=tests/vm/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../../lib.sh"

load debug_large=3154333
ulimit -n 4096
ip link set lo up
KHTTPD_HOST=127.0.0.1 KHTTPD_PORT=$port KHTTPD_ENGINE=module \
	python3 -B -m pytest -q --color=no -p no:cacheprovider --durations=5 "$here/../integration" ||
	fail "the integration suite"
ok "the integration suite"
unload
ok "unload after the suite in $unload_ms ms"
check_dmesg 'khttpd: .*(max_conns|limit)|khttpd: .*(invalid|must be)|conn_admit: .* callbacks suppressed'
