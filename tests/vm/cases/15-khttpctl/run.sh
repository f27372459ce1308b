#!/bin/bash
# make: site
# files: build/site build/site.img build/khttpctl
# khttpctl with the module: load files and folders, and what it shows is what happened. Bad input changes nothing.
set -euo pipefail
# shellcheck source=tests/vm/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../../lib.sh"

ctl() { "$kt/khttpctl" "$@"; }
# of COMMAND EXPRESSION: of the JSON d that khttpctl COMMAND prints
of() { "$kt/khttpctl" "$1" --json | python3 -c 'import json, sys; d = json.load(sys.stdin); print(eval(sys.argv[1]))' "$2"; }
# refused STATUS TEXT COMMAND...: it ends so, says that on standard error, and nothing on standard output
refused() {
	local status=0
	"${@:3}" >"$work/out" 2>"$work/err" || status=$?
	[ $status = "$1" ] || fail "${*:3}: status $status instead of $1: $(cat "$work/err")"
	grep -qE -- "$2" "$work/err" || fail "${*:3} does not say \"$2\": $(cat "$work/err")"
	[ ! -s "$work/out" ] || fail "${*:3} prints something although it fails: $(head -n 3 "$work/out")"
}
as_user() { setpriv --reuid=65534 --regid=65534 --clear-groups "$@"; }
is_sample() { fetch $url/robots.txt | cmp -s - "$kt/site/www/robots.txt"; }

cp "$kt/khttpctl" /usr/local/bin/khttpctl # where an ordinary user may run it
for command in load status stats metrics conns unload; do
	args=()
	[ $command != load ] || args=("$kt/site.img")
	refused 1 'khttpd.ko is not loaded' khttpctl $command "${args[@]}"
done
refused 64 'no command' khttpctl reload
refused 64 'nothing to load' khttpctl load
refused 64 'Too many arguments' khttpctl status surplus
ok "without the module each command says so"

load
[[ "$(ctl status)" == *'the built-in page'* ]] || fail "status: $(ctl status)"
[ "$(of status 'd["site"]["builtin"], d["listen"]["port"], d["images"]')" = "(True, $port, 1)" ] || fail "$(ctl status --json)"
[ "$(of status 'd["parameters"]["max_head"]')" = "$(param max_head)" ] || fail "max_head in $(ctl status --json)"
set_param max_head 9000
[ "$(of status 'd["parameters"]["max_head"]')" = 9000 ] || fail "max_head in $(ctl status --json)"
ok "status: $(ctl status | head -n 2 | tr '\n' ';')"

begin=$(date +%s)
ctl load "$kt/site.img" || fail "load FILE"
is_sample || fail "the site is not served"
shown='d["site"]["name"], d["site"]["bytes"], d["site"]["hosts"], d["site"]["digest"], d["site"]["builtin"]'
digest=$("$kt/khttpctl" inspect "$kt/site.img" | awk '/^digest:/ { print $2 }')
[ "$(of status "$shown")" = "('sample', $(stat -c %s "$kt/site.img"), 3, '$digest', False)" ] || fail "$(ctl status --json)"
[ "$(of status "$begin <= d['site']['since'] <= $(date +%s)")" = True ] || fail "since: $(ctl status --json)"
ok "load FILE: $(ctl status | sed -n 's/^site: //p')"

mkdir -p "$work/my-site/sub" "$work/other"
echo one >"$work/my-site/index.html"
echo other >"$work/other/index.html"
ctl load "$work/my-site" --host "other.example=$work/other" >"$work/out" 2>&1 </dev/null || fail "load DIR: $(cat "$work/out")"
[ "$(fetch $url/)" = one ] || fail "the folder is not served: $(fetch $url/)"
[ "$(fetch -H 'Host: other.example' $url/)" = other ] || fail "the other host is not served"
[ "$(of status 'd["site"]["name"]')" = my-site ] || fail "$(ctl status --json)"
echo two >"$work/my-site/index.html"
ctl load --quiet "$work/my-site" >"$work/quiet"
[ ! -s "$work/quiet" ] || fail "--quiet is not: $(cat "$work/quiet")"
[ "$(fetch $url/)" = two ] || fail "the changed folder is not served: $(fetch $url/)"
ok "load DIR: $(head -n 1 "$work/out")"

# Whatever is wrong, the old site stays
printf '/a /b\n/x /y 399\n' >"$work/my-site/_redirects"
refused 1 "$work/my-site/_redirects:2: " khttpctl load "$work/my-site"
head -c 100000 "$kt/site.img" >"$work/short"
refused 1 'short: cannot be used: it is cut short' khttpctl load "$work/short"
cp "$kt/site.img" "$work/bad"
printf X | dd of="$work/bad" bs=1 seek=200000 conv=notrunc status=none
refused 1 'bad: cannot be used: the checksum of its content' khttpctl load "$work/bad"
cp "$kt/site.img" "$work/newer"
printf '\377' | dd of="$work/newer" bs=1 seek=8 conv=notrunc status=none
refused 1 'newer: cannot be used: it has another version' khttpctl load "$work/newer"
refused 1 'No such file' khttpctl load "$work/nothing"
refused 1 'cannot be used: it is not a site image' khttpctl load "$kt/khttpctl"
echo 3000000 >/sys/module/khttpd/parameters/max_site_bytes
refused 1 'refuses: .*max_site_bytes' khttpctl load "$kt/site.img"
echo $((1 << 30)) >/sys/module/khttpd/parameters/max_site_bytes
refused 1 'not allowed.*root' as_user khttpctl unload
refused 1 'not allowed.*root' as_user khttpctl conns --json
[ "$(fetch $url/)" = two ] || fail "the site changed: $(fetch $url/)"
[ "$(as_user khttpctl status)" = "$(ctl status)" ] || fail "status for an ordinary user: $(as_user khttpctl status)"
ok "bad sites and people are refused with the reason; the old site stays"

# Counters: what was asked for, no more and no less. curl's own count of bytes includes heads.
ctl load "$kt/site.img"
of stats d >"$work/before"
bytes=0
for target in / / /docs /nowhere "/large.bin -H Range:bytes=5-99" "/ -I" "/ -X POST" "/ -H If-None-Match:*"; do
	# shellcheck disable=SC2086
	n=$(curl -s -o "$work/body" -w '%{size_header} %{size_download}' --max-time 60 $url$target)
	bytes=$((bytes + ${n% *} + ${n#* }))
done
of stats d >"$work/after"
python3 - "$work/before" "$work/after" $bytes >"$work/out" <<'END' || fail "counters: $(cat "$work/out")"
import ast, sys
a, b = (ast.literal_eval(open(f).read()) for f in sys.argv[1:3])
replies = {k: v - a["replies"].get(k, 0) for k, v in b["replies"].items() if v != a["replies"].get(k, 0)}
got = replies, b["accepted"] - a["accepted"], b["bytes"] - a["bytes"]
want = {"200": 3, "301": 1, "404": 1, "206": 1, "405": 1, "304": 1}, 8, int(sys.argv[3])
print(f"{got} instead of {want}")
sys.exit(got != want)
END
ok "stats count each reply and byte: 8 replies, $bytes bytes"

python3 - "$kt/khttpctl" >"$work/out" <<'END' || fail "metrics: $(cat "$work/out")"
# OpenMetrics: families are declared before their samples and are not interrupted; the end is marked
import json, re, subprocess, sys
def run(*a): return subprocess.run([sys.argv[1], *a], capture_output=True, text=True, check=True).stdout
text, stats, state = run("metrics"), json.loads(run("stats", "--json")), json.loads(run("status", "--json"))
assert text.endswith("\n# EOF\n") and text.count("# EOF") == 1, "no end"
types, values, seen, family = {}, {}, [], None
for line in text.splitlines()[:-1]:
    if m := re.fullmatch(r"# (TYPE|HELP|UNIT) ([a-z_]+) (.+)", line):
        if m[2] != family:
            assert m[2] not in seen, f"{m[2]} is interrupted"
            family = m[2]
            seen.append(family)
        if m[1] == "TYPE":
            types[family] = m[3]
        if m[1] == "UNIT":
            assert family.endswith("_" + m[3]), line
        continue
    m = re.fullmatch(r'([a-z_]+)(\{[a-z_]+="[^"\\\n]*"(?:,[a-z_]+="[^"\\\n]*")*\})? ([0-9]+)', line)
    assert m, line
    assert m[1] == family + {"counter": "_total", "gauge": "", "info": "_info"}[types[family]], line
    assert m[1] + (m[2] or "") not in values, line
    values[m[1] + (m[2] or "")] = int(m[3])
assert values["khttpd_site_bytes"] == state["site"]["bytes"]
assert values["khttpd_sent_bytes_total"] == stats["bytes"]
assert values["khttpd_sites_loaded_total"] == stats["sites"]
assert values["khttpd_connections_accepted_total"] == stats["accepted"] > 0
for code, n in stats["replies"].items():
    assert values[f'khttpd_replies_total{{code="{code}"}}'] == n, code
assert any('digest="%s"' % state["site"]["digest"] in v for v in values)
print(len(values), "values of", len(types), "families")
END
ok "metrics are OpenMetrics and agree with stats: $(cat "$work/out")"

# None of them ends before it is seen, slow as the kernel may be
for name in first_byte header idle send linger; do set_param ${name}_timeout_ms 120000; done
KHTTPCTL=$kt/khttpctl KHTTPD_PORT=$port python3 -B - >"$work/out" 2>&1 <<'END' || fail "conns: $(cat "$work/out")"
# A connection in each state, each with what it did
import json, os, socket, subprocess, time
port = int(os.environ["KHTTPD_PORT"])
def run(*a): return subprocess.run([os.environ["KHTTPCTL"], *a], capture_output=True, text=True, check=True).stdout
def connect(address, data=b"", read=False):
    s = socket.create_connection((address, port), 20)
    if data:
        s.sendall(data)
    return s, len(s.recv(65536)) if read else 0
get = b"GET /%s HTTP/1.1\r\nHost: x\r\n\r\n"
open_ = {"first": connect("127.0.0.1"), "head": connect("::1", get[:20]), "idle": connect("127.0.0.2", get % b"robots.txt", True),
         "send": connect("127.0.0.1", get % b"large.bin"), "linger": connect("::1", b"BREW / HTTP/1.1\r\n\r\n", True)}
names = {s.getsockname()[:2]: state for state, (s, n) in open_.items()}
end = time.monotonic() + 60
while True:
    listed = {(c["address"], c["port"]): c for c in map(json.loads, run("conns", "--json").splitlines())}
    got = {name: c["state"] for name, c in listed.items()}
    if got == names or time.monotonic() > end:
        break
    time.sleep(0.2)
assert got == names, f"{got} instead of {names}"
of = {c["state"]: c for c in listed.values()}
assert {s: c["requests"] for s, c in of.items()} == {"first": 0, "head": 0, "idle": 1, "send": 1, "linger": 1}, of
assert of["idle"]["bytes"] == open_["idle"][1] and of["linger"]["bytes"] == open_["linger"][1], of
assert of["first"]["bytes"] == 0 and of["send"]["bytes"] > 65536, of
assert all(0 <= c["quiet_ms"] <= c["age_ms"] < 120000 for c in of.values()), of
assert json.loads(run("status", "--json"))["connections"] == 5
lines = run("conns").splitlines()
assert len(lines) == 6 and lines[0].split()[:2] == ["PEER", "STATE"], lines
for (address, n), state in names.items():
    peer = f"[{address}]:{n}" if ":" in address else f"{address}:{n}"
    assert any(line.split()[:2] == [peer, state] for line in lines), (peer, state, lines)
print("\n".join(lines[1:]))
END
sed 's/^/# /' "$work/out"
ok "conns shows each connection as it is"

ctl unload
fetch $url/ | grep -q 'built-in page' || fail "the built-in page is not back"
[ "$(of status 'd["site"]["builtin"]')" = True ] || fail "$(ctl status --json)"
ok "unload: the built-in page"
unload
check_dmesg 'khttpd: serving'
