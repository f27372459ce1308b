#!/bin/bash
# The guest's half of scripts/bench: starts the engines, drives wrk, reports figures on standard output.
# mem: 768
# timeout: 1500
#
# usage: guest.sh PERIOD "ENGINES" "CASE:REPEATS..."
# Records of fields with tabs between them; other lines are for people:
#   fact NAME VALUE
#   run ENGINE CASE REPEAT REQUESTS MICROSECONDS ERRORS
#   sample ENGINE CASE COUNT TASK SYMBOL      one sample is taken each PERIOD instructions
# With icount a nanosecond is one instruction.
set -euo pipefail
shopt -s extglob
here=$(cd "$(dirname "$0")" && pwd)
period=$1 engines=$2 cases=$3
kt=/kt
work=/run/bench
www=$work/www

fail() { echo "bench: $*" >&2; exit 1; }
record() { local IFS=$'\t'; echo "$*"; }

# --- engines ---------------------------------------------------------------------------------------------
# For each: start_NAME OBJECT, stop_NAME and url_NAME OBJECT, which says nothing if there is no such object.
# OBJECT is "page" or the size of a large object. The tasks that work for an engine are named in scripts/bench.

start_nginx() { nginx -p $work -c "$here/nginx.conf"; }
stop_nginx() {
	nginx -p $work -c "$here/nginx.conf" -s quit 2>/dev/null
	while [ -e $work/nginx.pid ]; do sleep 0.1; done
}
url_nginx() {
	case $1 in
	page) echo http://127.0.0.1:8083/p ;; # a name of one letter: nginx pays for each byte of it
	*) echo "http://127.0.0.1:8084/$1" ;;
	esac
}

start_khttpd() {
	local large=
	[ "$1" = page ] || large="debug_large=$1"
	# shellcheck disable=SC2086
	insmod $kt/khttpd.ko port=8081 $large
}
stop_khttpd() { rmmod khttpd; }
url_khttpd() {
	case $1 in
	page) echo http://127.0.0.1:8081/ ;;
	*) echo http://127.0.0.1:8081/large.bin ;;
	esac
}

start_floor() { insmod $kt/khttpd_floor.ko port=8082 body="$(stat -c %s $www/p)"; }
stop_floor() { rmmod khttpd_floor; }
url_floor() { [ "$1" != page ] || echo http://127.0.0.1:8082/; }

# --- cases -----------------------------------------------------------------------------------------------

object_of() {
	case $1 in
	large100k) echo 102400 ;;
	large1m) echo 1048576 ;;
	*) echo page ;;
	esac
}

wrk_of() { # case, URL: sets the array wrk
	wrk=(wrk -t1 -c32 -d1s -s "$here/report.lua")
	case $1 in
	keepalive|large100k) ;;
	close) wrk+=(-H 'Connection: close') ;;
	pipeline) wrk=(wrk -t1 -c32 -d1s -s "$here/pipeline.lua") ;;
	c1) wrk=(wrk -t1 -c1 -d1s -s "$here/report.lua") ;;
	c256) wrk=(wrk -t1 -c256 -d1s -s "$here/report.lua") ;;
	large1m) wrk=(wrk -t1 -c8 -d2s -s "$here/report.lua") ;;
	*) fail "no case named $1" ;;
	esac
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
	local want got
	want=$(object_of "$2")
	[ "$want" != page ] || want=$(stat -c %s $www/p)
	got=$(curl -sS -m 10 -o /dev/null -w '%{http_code} %{size_download}' "$3") || fail "$1 does not answer $3"
	[ "$got" = "200 $want" ] || fail "$1: $3 gave \"$got\" (status, bytes), not \"200 $want\""
}

mkdir -p $www /var/log/nginx /var/lib/nginx
ulimit -n 8192
read -r clock </sys/devices/system/clocksource/clocksource0/current_clocksource
[ "$clock" = tsc ] || fail "the clock source is $clock, so reading the clock is not cheap for anybody; boot with tsc=reliable"
record fact kernel "$(uname -r)"
record fact wrk "$(wrk -v 2>&1 | sed -n 's/^wrk \(.*\) Copy.*/\1/p')"
record fact nginx "$(nginx -v 2>&1 | sed 's/.*version: //')"
record fact mitigations "$(grep -o 'mitigations=[^ ]*' /proc/cmdline || echo default)"

# Everybody serves a page of the size of khttpd's own
if [[ " $engines " = *" khttpd "* ]]; then
	start_khttpd page
	curl -sSf -m 10 -o $www/p http://127.0.0.1:8081/ || fail "khttpd does not serve its page"
	stop_khttpd
else
	head -c 1024 /dev/zero | tr '\0' x >$www/p
fi
record fact page_bytes "$(stat -c %s $www/p)"
for size in 102400 1048576; do head -c $size /dev/urandom >$www/$size; done

running=
for case in $cases; do
	repeats=${case#*:} case=${case%:*}
	object=$(object_of "$case")
	if [ "$object" != "$running" ]; then
		[ -z "$running" ] || for e in $engines; do "stop_$e"; done
		for e in $engines; do "start_$e" "$object"; done
		sleep 1
		running=$object
	fi
	for e in $engines; do
		url=$("url_$e" "$object")
		[ -z "$url" ] || check "$e" "$case" "$url"
	done
	# In turns, so that nothing that changes with time favours one of them
	for ((i = 1; i <= repeats + 1; i++)); do
		for e in $engines; do
			url=$("url_$e" "$object")
			[ -n "$url" ] || continue
			wrk_of "$case" "$url"
			if [ $i -le "$repeats" ]; then run_wrk "$e" "$case" $i; else sample "$e" "$case"; fi
		done
	done
done
for e in $engines; do "stop_$e"; done
