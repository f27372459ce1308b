-- wrk: 16 requests at a time
local batch

function init()
	batch = string.rep(wrk.format(), 16)
end

function request()
	return batch
end

dofile((debug.getinfo(1, "S").source:sub(2):match("^(.*/)") or "") .. "report.lua")
