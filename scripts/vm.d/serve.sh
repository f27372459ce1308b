#!/bin/bash
# In the machine of "make run": load khttpd and serve until the machine is stopped. Argument: the port on the host.
set -euo pipefail
insmod /kt/khttpd.ko port=8081
curl -fsS -o /dev/null http://127.0.0.1:8081/
echo "khttpd serves http://127.0.0.1:$1/ from Linux $(uname -r). Ctrl-C stops it."
sleep infinity
