-- wrk: exact totals on one line, for tests/bench/guest.sh
function done(summary)
	local e = summary.errors
	io.write(string.format("totals %d %d %d\n", summary.requests, summary.duration,
		e.connect + e.read + e.write + e.status + e.timeout))
end
