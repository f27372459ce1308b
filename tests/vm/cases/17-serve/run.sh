#!/bin/bash
# make: site epoll
# files: build/khttpctl build/khttpd-epoll
# khttpctl serve: takes the module where it can and khttpd-epoll where it cannot, says why, and leaves all as it was.
set -euo pipefail
# shellcheck source=tests/vm/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../../lib.sh"

ctl() { "$kt/khttpctl" "$@"; }
of() { ctl status --json | python3 -c 'import json, sys; d = json.load(sys.stdin); print(eval(sys.argv[1]))' "$1"; }
said=$work/said
# serve COMMAND...: in the background, until it serves; SIGINT is not ignored as it would be there
serve() {
	: >"$said"
	helper env --default-signal=INT "$@" 2>"$said"
	wait_for 20 says 'serving ' || fail "$* does not serve: $(cat "$said")"
}
# says TEXT [TIMES]: a line of the running one has it
says() { [ "$(grep -cF -- "$1" "$said")" -ge "${2:-1}" ]; }
must_say() { wait_for 20 says "$@" || fail "it does not say \"$1\": $(cat "$said")"; }
# ends [SIGNAL]: it does, with status 0 and without another word
ends() {
	local before status=0
	before=$(cat "$said")
	kill -"${1:-INT}" "$helper"
	wait "$helper" || status=$?
	[ $status = 0 ] || fail "the end has status $status: $(cat "$said")"
	[ "$(cat "$said")" = "$before" ] || fail "the end is said: $(cat "$said")"
}
# refuses_to STATUS TEXT COMMAND...: it ends by itself, in one line
refuses_to() {
	local status=0
	timeout $((slow * 30)) "${@:3}" 2>"$said" || status=$?
	[ "$status" = "$1" ] || fail "${*:3}: status $status instead of $1: $(cat "$said")"
	grep -qF -- "$2" "$said" || fail "${*:3} does not say \"$2\": $(cat "$said")"
	[ "$(wc -l <"$said")" = 1 ] || fail "${*:3} says more than one line: $(cat "$said")"
}
as_user=(setpriv --reuid=65534 --regid=65534 --clear-groups)
shows() { [ "$(fetch "$1" 2>/dev/null)" = "$2" ]; }
must_show() { wait_for 20 shows "$@" || fail "$1 shows $(fetch "$1" 2>&1) instead of $2"; }
nobody_serves() { [ -z "$(ss -Hltn "sport = :$port or sport = :8090")" ] && ! pgrep -x khttpd-epoll >/dev/null; }

www=$work/www
chmod 755 "$work"
mkdir "$www" "$work/theirs"
echo one >"$www/index.html"
echo theirs >"$work/theirs/index.html"
cp "$kt/khttpctl" "$kt/khttpd-epoll" /usr/local/bin/ # where an ordinary user may run them, and without a module beside

# --- not loaded, and not to be had

serve "${as_user[@]}" khttpctl serve "$www"
says "on http://127.0.0.1:$port/ by khttpd-epoll: the module is not loaded, and only root can load it" || fail "$(cat "$said")"
must_show $url/ one
ends
nobody_serves || fail "somebody still serves"
serve khttpctl serve "$www"
says 'by khttpd-epoll: the module is not loaded, and there is none' || fail "$(cat "$said")"
ends TERM
refuses_to 1 '--engine=kernel: the module is not loaded, and there is none' khttpctl serve -e kernel "$www"
mkdir "$work/bad"
cp "$kt/khttpctl" "$kt/khttpd-epoll" "$work/bad/"
LC_ALL=C sed 's/ mod_unload/ mod_unloaX/' "$ko" >"$work/bad/khttpd.ko"
refuses_to 1 'it was built for another kernel' "$work/bad/khttpctl" serve -e kernel "$www"
chown 65534 "$work/bad/khttpd.ko"
refuses_to 1 'there is none' "$work/bad/khttpctl" serve -e kernel "$www"
chown 0 "$work/bad/khttpd.ko"
serve "$work/bad/khttpctl" serve --watch "$www"
says 'by khttpd-epoll: the module cannot be loaded: it was built for another kernel' || fail "$(cat "$said")"
echo two >"$www/index.html"
must_show $url/ two
ends
nobody_serves || fail "somebody still serves"
! loaded || fail "the module is loaded"
ok "without the module khttpd-epoll serves, and the reason is said"

# --- not loaded, but at hand

serve "$kt/khttpctl" serve -p 8090 --bind 127.0.0.1 "$www"
says "serving $www on http://127.0.0.1:8090/ by khttpd.ko: it is loaded until this ends" || fail "$(cat "$said")"
must_show http://127.0.0.1:8090/ two
[ "$(of 'd["listen"]["bind"], d["listen"]["port"], d["site"]["name"]')" = "('127.0.0.1', 8090, 'www')" ] || fail "$(ctl status)"
ends
! loaded || fail "the module stays loaded"
nobody_serves || fail "somebody still serves"
ok "a module beside khttpctl is loaded, and unloaded in the end"

printf '/a /b 399\n' >"$www/_redirects"
refuses_to 1 "$www/_redirects:1: " "$kt/khttpctl" serve "$www"
rm "$www/_redirects"
helper python3 -c 'import socket, time
s = socket.create_server(("", 8081)); time.sleep(1000)'
wait_for 20 eval '! nobody_serves' || fail "cannot occupy the port"
refuses_to 1 "khttpctl: cannot listen on :: port $port: Address already in use" "$kt/khttpctl" serve "$www"
stop "$helper"
! loaded || fail "the module is loaded"
ok "a bad site and a port in use load no module"

serve "$kt/khttpctl" serve "$www"
rmmod khttpd
must_say 'somebody has unloaded the module'
status=0
wait "$helper" || status=$?
[ $status = 1 ] || fail "status $status"
# Nor is one that took its place meanwhile unloaded: neither if we learn of it, nor if the end comes with that
for late in '' yes; do
	serve "$kt/khttpctl" serve "$www"
	kill -STOP "$helper"
	[ -z "$late" ] || kill "$helper"
	rmmod khttpd
	insmod "$ko" port=$port
	kill -CONT "$helper"
	must_say 'somebody has unloaded the module'
	wait "$helper" || true
	loaded || fail "their module is unloaded"
	unload
done
ok "a module that goes is the end"

# An error that ends khttpctl (poll() has more descriptors than it may) does not leave the module behind
serve setsid "$kt/khttpctl" serve "$www" # SIGHUP is to be no end
prlimit --pid "$helper" --nofile=3:3
kill -HUP "$helper"
wait "$helper" && fail "status 0"
says 'poll()' || fail "$(cat "$said")"
! loaded || fail "the module stays loaded"
ok "an error unloads the module, too"

# The process that reads the site is killed, as without memory it would be
mkdir "$work/large"
for ((i = 0; i < 40; i++)); do head -c 3000000 /dev/urandom | base64 >"$work/large/$i.txt"; done
: >"$said"
helper "$kt/khttpctl" serve "$work/large" 2>"$said"
reads() { pgrep -x -P "$helper" khttpctl >/dev/null; }
wait_for 20 reads || fail "nobody reads the site: $(cat "$said")"
sleep 0.3
pkill -KILL -x -P "$helper" khttpctl
must_say 'reading the site was ended by signal 9 (Killed)'
status=0
wait "$helper" || status=$?
[ $status = 1 ] || fail "status $status"
rm -r "$work/large"
ok "a reader of the site that is killed is said"

# As on a machine where it is installed: modprobe knows more, here a limit
release=$(uname -r)
mount -t tmpfs tmp "/usr/lib/modules/$release"
cp "$ko" "/usr/lib/modules/$release/"
touch "/usr/lib/modules/$release/"modules.{order,builtin,builtin.modinfo}
depmod -a
echo 'options khttpd max_head=9000 port=8090' >/etc/modprobe.d/khttpd.conf
serve khttpctl serve "$www"
says 'on http://127.0.0.1:8090/ by khttpd.ko: it is loaded until this ends' || fail "$(cat "$said")"
[ "$(param max_head)" = 9000 ] || fail "max_head is $(param max_head)"
ends
serve khttpctl serve -p $port "$www"
says "on http://127.0.0.1:$port/ by khttpd.ko" || fail "$(cat "$said")"
ends TERM
helper python3 -c 'import socket, time
s = socket.create_server(("", 8081)); time.sleep(1000)'
wait_for 20 eval '! nobody_serves' || fail "cannot occupy the port"
refuses_to 1 "khttpctl: cannot listen on :: port $port: Address already in use" khttpctl serve -p $port "$www"
stop "$helper"
# Somebody is faster than modprobe: then it is not for us to replace their site, nor to unload their module
mkdir "$work/real"
ln -s "$(readlink -f /sbin/modprobe)" "$work/real/modprobe"
cat >"$work/modprobe" <<END
#!/bin/sh
case " \$* " in
*" -n "*) ;;
*) insmod "$ko" port=$port && "$kt/khttpctl" load -q "$work/theirs" ;;
esac
exec "$work/real/modprobe" "\$@"
END
chmod +x "$work/modprobe"
cp -d /sbin/modprobe "$work/link"
rm -f /sbin/modprobe
cp "$work/modprobe" /sbin/modprobe
refuses_to 1 "port $port is the module's, and the module serves the site \"theirs\", which --engine=kernel would replace" \
	khttpctl serve -p $port "$www"
loaded || fail "their module is unloaded"
shows $url/ theirs || fail "their site is gone"
rm /sbin/modprobe
mv "$work/link" /sbin/modprobe
unload
umount "/usr/lib/modules/$release"
! loaded || fail "the module stays loaded"
ok "one that modprobe knows is loaded with the options of modprobe.d"

# --- loaded already

load
serve "$kt/khttpctl" serve --watch "$www"
says "on http://127.0.0.1:$port/ by khttpd.ko: it was loaded already" || fail "$(cat "$said")"
page() { head -c 50000 /dev/zero | tr '\0' "$1"; echo; }
page A >"$www/index.html"
must_show $url/ "$(page A)"
python3 - "$port" >"$work/count" 2>"$work/client" <<'END' &
# On one connection, until somebody wants the end: each reply is there, whole and of its time
import http.client, signal, sys
over = []
signal.signal(signal.SIGTERM, lambda *_: over.append(1))
c, n, seen = http.client.HTTPConnection("127.0.0.1", int(sys.argv[1]), timeout=60), 0, []
while not over:
    c.request("GET", "/")
    reply = c.getresponse()
    body = reply.read()
    assert reply.status == 200 and len(body) == 50001, (reply.status, len(body))
    assert len(set(body)) == 2, set(body)
    if body[:1] not in seen[-1:]:
        seen.append(body[:1])
        print("seen", seen[-1].decode(), file=sys.stderr, flush=True)
    n += 1
    sock = c.sock
assert c.sock is sock
print(n, "replies,", b"".join(seen).decode())
END
client=$!
helpers+=("$client")
sees() { grep -qx "seen $1" "$work/client"; }
wait_for 30 sees A || fail "the client: $(cat "$work/client")"
for letter in B C D E; do
	page $letter >"$work/page"
	mv "$work/page" "$www/index.html"
	must_show $url/ "$(page $letter)"
	wait_for 10 sees $letter || fail "the client: $(cat "$work/client")"
done
swaps=$(grep -c 'the changed site is served' "$said")
[ "$swaps" -le 6 ] || fail "5 changes: $(cat "$said")"
mkdir -p "$www/a/b"
echo deep >"$www/a/b/c"
must_show $url/a/b/c deep
swaps=$(grep -c 'the changed site is served' "$said")
printf '/a /b 399\n' >"$www/_redirects"
must_say 'the old site goes on'
says "$www/_redirects:1: " || fail "$(cat "$said")"
must_show $url/a/b/c deep
rm "$www/_redirects"
must_say 'the changed site is served' $((swaps + 1))
says 'the changed site is served, 2 files, in ' 2 || fail "the number of files: $(cat "$said")"
kill "$client"
wait "$client" || fail "the client: $(cat "$work/client")"
[[ "$(cat "$work/count")" == *' replies, '*ABCDE ]] || fail "the client: $(cat "$work/count")"
ok "changes are swapped in; a client saw $(cat "$work/count") and no error"

kill -HUP "$helper"
must_say 'the changed site is served' $((swaps + 2))
ends
[ "$(of 'd["site"]["builtin"]')" = True ] || fail "$(ctl status)"
fetch $url/ | grep -q 'built-in page' || fail "the built-in page is not back"
ok "in the end the built-in page is back, and the module stays"

serve "$kt/khttpctl" serve --bind 0:0::0 --port $port --engine kernel "$www"
says "serving $www on http://127.0.0.1:$port/ by khttpd.ko" || fail "$(cat "$said")"
ctl load -q "$work/theirs"
ends
shows $url/ theirs || fail "a site that somebody has loaded meanwhile is gone"
ctl unload
serve "$kt/khttpctl" serve "$www"
ctl load -q "$work/theirs"
kill -HUP "$helper"
status=0
wait "$helper" || status=$?
[ $status = 1 ] || fail "status $status"
says 'somebody has loaded the site "theirs", which --engine=kernel would replace' || fail "$(cat "$said")"
shows $url/ theirs || fail "a site that somebody has loaded meanwhile is replaced"
ok "a site that somebody else has loaded meanwhile stays"

# Theirs is there: it is not for us to replace it, unless somebody says so
refuses_to 1 "port $port is the module's, and the module serves the site \"theirs\", which --engine=kernel would replace" \
	"$kt/khttpctl" serve "$www"
serve "$kt/khttpctl" serve --port 8090 --bind 127.0.0.1 "$www"
says "by khttpd-epoll: the module listens on port $port" || fail "$(cat "$said")"
must_show http://127.0.0.1:8090/ "$(page E)"
ends
refuses_to 1 "--engine=kernel: the module listens on port $port" "$kt/khttpctl" serve --port 8090 --engine kernel "$www"
refuses_to 1 "--engine=kernel: the module listens on ::" "$kt/khttpctl" serve --bind 127.0.0.1 --engine kernel "$www"
serve "${as_user[@]}" khttpctl serve -p 8090 "$www"
says 'by khttpd-epoll: the module is loaded, but only root can change what it serves' || fail "$(cat "$said")"
ends
shows $url/ theirs || fail "their site is gone"
serve unshare --net sh -c 'ip link set lo up; exec "$@"' sh "$kt/khttpctl" serve "$www"
says 'by khttpd-epoll: the module refuses: khttpd serves in another network namespace' || fail "$(cat "$said")"
ends
shows $url/ theirs || fail "their site is gone"
serve "$kt/khttpctl" serve --engine kernel "$www"
must_show $url/ "$(page E)"
ends
[ "$(of 'd["site"]["builtin"]')" = True ] || fail "$(ctl status)"
ok "a site of somebody else is replaced only for --engine=kernel"

echo 1000 >/sys/module/khttpd/parameters/max_site_bytes
refuses_to 1 "port $port is the module's, and the module refuses: the file is larger than max_site_bytes" \
	"$kt/khttpctl" serve "$www"
unload
ok "an image that the module refuses is said"

# As with lockdown: not to be undone, so it comes last
echo 1 >/proc/sys/kernel/modules_disabled
serve "$kt/khttpctl" serve "$www"
says 'by khttpd-epoll: the module cannot be loaded: this kernel lets nobody do so now' || fail "$(cat "$said")"
must_show $url/ "$(page E)"
ends
refuses_to 1 '--engine=kernel: the module cannot be loaded: this kernel lets nobody' "$kt/khttpctl" serve -e kernel "$www"
nobody_serves || fail "somebody still serves"
ok "where nobody may load modules khttpd-epoll serves"
# 6.12 says so when what is below an overlay, here modprobe, is put somewhere else
check_dmesg 'khttpd: (version magic|cannot listen on)|evm: overlay not supported'
