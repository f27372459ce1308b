#!/bin/bash
# What a look-up costs in instructions, for sites of several sizes: counted by callgrind, so that two runs give the same
# on any machine. Usage: lookup.sh PROGRAM OUTPUT.md
set -euo pipefail

[ $# = 2 ] || { echo "usage: lookup.sh PROGRAM OUTPUT.md" >&2; exit 2; }
program=$1 output=$2
tmp=$(mktemp -d "${TMPDIR:-/tmp}/lookup.XXXXXX")
trap 'rm -rf "$tmp"' EXIT

# Mean of column $2 (1: instructions, 2: cache misses) of function $1, with what it calls; $3 calls
mean() {
	awk -v name=":$1 " -v column="$2" -v calls="$3" '
		index($0, name) { gsub(/,/, ""); printf "%.1f", $column / calls; found = 1; exit }
		END { exit !found }' "$tmp/counts"
}

{
	echo "# What a look-up costs"
	echo
	echo "\`make bench-lookup\` at commit $(git rev-parse --short HEAD), $(cc --version | head -n 1), -O2,"
	echo "$(valgrind --version). Instructions, and reads that miss a simulated cache of 8 MiB (its L1: 32 KiB), each the"
	echo "mean of 20,000 calls all over the site, with cold caches. A page has a path of 34 bytes and one variant. \"Reply\" is"
	echo "\`khttpd_reply_plan()\` for a plain keep-alive GET: host, look-up, head and body slice."
	echo
	echo "| pages | image | longest bucket | found | not found | reply | cache misses: found | not found | reply |"
	echo "| ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |"
	for n in 10 10000 1000000; do
		echo "# $n pages" >&2
		nice "$program" make "$n" "$tmp/image"
		# Counting begins with the look-ups, or the check of the image would take minutes
		nice valgrind -q --tool=callgrind --callgrind-out-file="$tmp/callgrind" --instr-atstart=no \
			--collect-atstart=no --toggle-collect=count_hit --toggle-collect=count_miss \
			--toggle-collect=count_reply --cache-sim=yes --I1=32768,8,64 --D1=32768,8,64 \
			--LL=8388608,16,64 "$program" run "$tmp/image" >"$tmp/facts" 2>"$tmp/log" ||
			{ cat "$tmp/log" >&2; exit 1; }
		read -r pages kib chain calls <"$tmp/facts"
		callgrind_annotate --inclusive=yes --threshold=100 --show-percs=no --auto=no --show=Ir,DLmr \
			"$tmp/callgrind" 2>/dev/null | sed 's/ \. / 0 /g' >"$tmp/counts"
		row="| $pages | $kib KiB | $chain |"
		for column in 1 2; do
			for what in hit miss reply; do
				value=$(mean "count_$what" "$column" "$calls")
				row+=" $value |"
			done
		done
		echo "$row"
	done
} >"$tmp/table"
mv "$tmp/table" "$output"
cat "$output"
