#!/bin/bash
# make: site
# files: build/site.img
# In the machine of tests/browser/run: serve the sample site until somebody connects to port 8082.
set -euo pipefail
# shellcheck source=tests/vm/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../vm/lib.sh"

load site="$kt/site.img"
serves || fail "the site is not served"
ok "serving"
python3 -c 'import socket; socket.create_server(("", 8082)).accept()'
unload
check_dmesg
