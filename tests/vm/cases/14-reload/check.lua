-- SPDX-License-Identifier: MIT OR GPL-2.0
-- Every reply is wholly from one site: as many of one letter as only that site has. Prints what was seen.
local paths = { "/", "/small", "/large" }
local lengths = { [700] = true, [12] = true, [100000] = true }
local threads = {}

function setup(thread)
	table.insert(threads, thread)
end

function init()
	n, bad, seen_a, seen_b = 0, 0, 0, 0
	i = 0
end

function request()
	i = i + 1
	return wrk.format("GET", paths[i % #paths + 1])
end

function response(status, headers, body)
	local first = string.sub(body, 1, 1)
	n = n + 1
	if status ~= 200 or not lengths[#body - string.byte(first)] or body ~= string.rep(first, #body) then
		bad = bad + 1
	elseif first == "A" then
		seen_a = seen_a + 1
	else
		seen_b = seen_b + 1
	end
end

function done(summary)
	local sum = { n = 0, bad = 0, seen_a = 0, seen_b = 0 }
	for _, thread in ipairs(threads) do
		for key in pairs(sum) do
			sum[key] = sum[key] + thread:get(key)
		end
	end
	local e = summary.errors
	io.write(string.format("replies=%d bad=%d A=%d B=%d errors=%d\n", sum.n, sum.bad, sum.seen_a, sum.seen_b,
		e.connect + e.read + e.write + e.status + e.timeout))
end
