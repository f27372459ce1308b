#!/bin/bash
# The guest's half of scripts/bench: starts the engines, drives wrk, reports figures on standard output.
# mem: 768
# timeout: 3600
#
# usage: guest.sh PERIOD "ENGINES" "CASE:REPEATS[:ENGINE,...]..."    without ENGINE: all of ENGINES
# Records of fields with tabs between them; other lines are for people:
#   fact NAME VALUE
#   run ENGINE CASE REPEAT REQUESTS MICROSECONDS ERRORS
#   sample ENGINE CASE COUNT TASK SYMBOL      one sample is taken each PERIOD instructions
# With icount a nanosecond is one instruction. KHTTPD_EPOLL_OPTIONS are further options of khttpd-epoll.
set -euo pipefail
shopt -s extglob
here=$(cd "$(dirname "$0")" && pwd)
period=$1 engines=$2 cases=$3
kt=/kt
work=/run/bench
www=$work/www
nginx_small=10240 # bodies up to this size are read and written, larger ones sent by sendfile

fail() { echo "bench: $*" >&2; exit 1; }
record() { local IFS=$'\t'; echo "$*"; }

# --- engines ---------------------------------------------------------------------------------------------
# For each: start_NAME OBJECT, stop_NAME and url_NAME OBJECT, which says nothing if there is no such object.
# OBJECT is "page", the size of a large object, or site/SIZE/NAME: a body of the packed site (tests/bench/make-site).
# The tasks that work for an engine are named in scripts/bench.

start_nginx() {
	nginx_conf=$here/nginx.conf
	[[ $1 != site/* ]] || nginx_conf=$here/nginx-site.conf
	nginx -p $work -c "$nginx_conf"
}
stop_nginx() {
	nginx -p $work -c "$nginx_conf" -s quit 2>/dev/null
	while [ -e $work/nginx.pid ]; do sleep 0.1; done
}
url_nginx() {
	local size port=8083
	case $1 in
	page) echo http://127.0.0.1:8083/p ;; # a name of one letter: nginx pays for each byte of it
	site/*)
		size=${1%/*} size=${size#site/}
		[ "$size" -le "$nginx_small" ] || port=8084
		[ ! -e "$kt/site/${1##*/}.br" ] || port=$((port + 2))
		echo "http://127.0.0.1:$port/${1##*/}"
		;;
	*) echo "http://127.0.0.1:8084/$1" ;;
	esac
}

start_khttpd() {
	case $1 in
	page) insmod $kt/khttpd.ko port=8081 ;;
	site/*) insmod $kt/khttpd.ko port=8081 site=$kt/site.img ;;
	*) insmod $kt/khttpd.ko port=8081 "debug_large=$1" ;;
	esac
}
stop_khttpd() { rmmod khttpd; }
url_khttpd() {
	case $1 in
	page) echo http://127.0.0.1:8081/ ;;
	site/*) echo "http://127.0.0.1:8081/${1##*/}" ;;
	*) echo http://127.0.0.1:8081/large.bin ;;
	esac
}

start_epoll() {
	local options=(--threads=1 --port=8087)
	# shellcheck disable=SC2206
	options+=(${KHTTPD_EPOLL_OPTIONS:-})
	case $1 in
	page) ;;
	site/*) options+=("--site=$kt/site.img") ;;
	*) options+=("--debug-large=$1") ;;
	esac
	$kt/khttpd-epoll "${options[@]}" 2>$work/epoll.log &
	epoll_pid=$!
	curl -sS --retry 50 --retry-delay 1 --retry-connrefused -o $work/body http://127.0.0.1:8087/ 2>/dev/null ||
		{ cat $work/epoll.log >&2; fail "khttpd-epoll does not start"; }
}
stop_epoll() {
	kill $epoll_pid
	wait $epoll_pid
}
url_epoll() { url_khttpd "$1" | sed s/8081/8087/; }

start_floor() { insmod $kt/khttpd_floor.ko port=8082 body="$(size_of "$1")"; }
stop_floor() { rmmod khttpd_floor; }
url_floor() { echo http://127.0.0.1:8082/; }

# --- cases -----------------------------------------------------------------------------------------------

object_of() { # case
	case $1 in
	large100k) echo 102400 ;;
	large1m) echo 1048576 ;;
	identity12) echo site/12/a ;;
	identity1k) echo site/1024/b ;;
	identity10k) echo site/10240/c ;;
	identity100k) echo site/102400/d ;;
	identity1m) echo site/1048576/e ;;
	br12) echo site/12/f ;;
	br1k) echo site/1024/g ;;
	br10k) echo site/10240/h ;;
	br100k) echo site/102400/i ;;
	br1m) echo site/1048576/j ;;
	*) echo page ;;
	esac
}

size_of() { # object
	case $1 in
	page) stat -c %s $www/p ;;
	site/*) cut -d/ -f2 <<<"$1" ;;
	*) echo "$1" ;;
	esac
}

wrk_of() { # case, URL: sets the array wrk
	wrk=(wrk -t1 -c32 -d1s -s "$here/report.lua")
	case $1 in
	keepalive|large100k|identity1*) ;;
	br1*|plainbr) wrk+=(-H 'Accept-Encoding: br') ;;
	close) wrk+=(-H 'Connection: close') ;;
	pipeline) wrk=(wrk -t1 -c32 -d1s -s "$here/pipeline.lua") ;;
	c1) wrk=(wrk -t1 -c1 -d1s -s "$here/report.lua") ;;
	c256) wrk=(wrk -t1 -c256 -d1s -s "$here/report.lua") ;;
	large1m) ;;
	*) fail "no case named $1" ;;
	esac
	[[ $1 != *1m ]] || wrk[2]=-c8
	wrk+=("$2")
}

# --- measuring -------------------------------------------------------------------------------------------

run_wrk() { # engine, case, repeat, command in front of wrk...
	local line requests us errors
	"${@:4}" "${wrk[@]}" >$work/wrk.log 2>&1 || { cat $work/wrk.log >&2; fail "wrk failed"; }
	line=$(grep '^totals ' $work/wrk.log) || { cat $work/wrk.log >&2; fail "wrk gave no totals"; }
	read -r _ requests us errors <<<"$line"
	# Connections of closed sockets wait a minute, which takes no time here: nothing else runs
	[ "$2" != close ] || sleep 61
	record run "$1" "$2" "$3" "$requests" "$us" "$errors"
}

# Where the time goes, by task and symbol
sample() { # engine, case
	local count task symbol
	run_wrk "$1" "$2" sampled perf record -q -B -a -e cpu-clock -c "$period" -o $work/perf.data --
	perf report -i $work/perf.data --stdio -q -g none -F sample,comm,symbol -t '|' >$work/report 2>$work/perf.log ||
		{ cat $work/perf.log >&2; fail "perf report failed"; }
	while IFS='|' read -r count task symbol; do
		[ -z "$symbol" ] || record sample "$1" "$2" "${count// /}" "${task%%+( )}" "$symbol"
	done <$work/report
}

check() { # engine, case, URL: the right answer before any figure is believed
	local want got name fields=()
	want=$(size_of "$(object_of "$2")")
	[[ $2 != br1* ]] || fields=(-H 'Accept-Encoding: br')
	got=$(curl -sS -m 10 "${fields[@]}" -D $work/head -o $work/body -w '%{http_code} %{size_download}' "$3") ||
		fail "$1 does not answer $3"
	[ "$got" = "200 $want" ] || fail "$1: $3 gave \"$got\" (status, bytes), not \"200 $want\""
	[ "$1" != floor ] || return 0
	name=$(object_of "$2")
	case $2 in
	identity1*) cmp -s $work/body "$kt/site/${name##*/}" || fail "$1: $3 gave other bytes" ;;
	br1*)
		cmp -s $work/body "$kt/site/${name##*/}.br" || fail "$1: $3 gave other bytes"
		grep -qi '^content-encoding: br' $work/head || fail "$1: $3 does not say that it is brotli"
		grep -qi '^vary: accept-encoding' $work/head || fail "$1: $3 does not say that it varies"
		;;
	esac
}

mkdir -p $www /var/log/nginx /var/lib/nginx
ulimit -n 12000
read -r clock </sys/devices/system/clocksource/clocksource0/current_clocksource
[ "$clock" = tsc ] || fail "the clock source is $clock, so reading the clock is not cheap for anybody; boot with tsc=reliable"
record fact kernel "$(uname -r)"
record fact wrk "$(wrk -v 2>&1 | sed -n 's/^wrk \(.*\) Copy.*/\1/p')"
record fact nginx "$(nginx -v 2>&1 | sed 's/.*version: //')"
record fact mitigations "$(grep -o 'mitigations=[^ ]*' /proc/cmdline || echo default)"

# Everybody serves a page of the size of khttpd's own
head -c 1024 /dev/zero | tr '\0' x >$www/p
for e in khttpd epoll; do
	[[ " $engines " = *" $e "* ]] || continue
	"start_$e" page
	curl -sSf -m 10 -o $www/p "$("url_$e" page)" || fail "$e does not serve its page"
	"stop_$e"
	break
done
record fact page_bytes "$(stat -c %s $www/p)"
for size in 102400 1048576; do head -c $size /dev/urandom >$www/$size; done
[ ! -d $kt/site ] || cp -r $kt/site $work/

running=
for case in $cases; do
	IFS=: read -r case repeats only <<<"$case"
	only=${only:-${engines// /,}}
	object=$(object_of "$case")
	if [ "$object" != "$running" ]; then
		[ -z "$running" ] || for e in $engines; do "stop_$e"; done
		for e in $engines; do "start_$e" "$object"; done
		sleep 1
		running=$object
	fi
	for e in ${only//,/ }; do check "$e" "$case" "$("url_$e" "$object")"; done
	# In turns, so that nothing that changes with time favours one of them
	for ((i = 1; i <= repeats + 1; i++)); do
		for e in ${only//,/ }; do
			wrk_of "$case" "$("url_$e" "$object")"
			if [ $i -le "$repeats" ]; then run_wrk "$e" "$case" $i; else sample "$e" "$case"; fi
		done
	done
done
for e in $engines; do "stop_$e"; done
