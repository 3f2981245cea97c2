-- POSTs the bodies of a file in turn and prints one JSON line when done.
-- wrk … URL -- BODIES [name=value …]: BODIES holds "LENGTH\n" and so many bytes, again and again.
-- Where a header's value has {n}, every request has another number there.

local requests, turn = {}, 0
local DIFFERENT = 1024

local function numbered(headers, n)
  local own = {}
  for name, value in pairs(headers) do
    own[name] = value:gsub("{n}", string.format("%08x", n))
  end
  return own
end

function init(args)
  local file = assert(io.open(args[1], "rb"))
  local headers, copies, bodies = { ["Content-Type"] = "application/json" }, false, {}
  for i = 2, #args do
    local name, value = args[i]:match("^([^=]+)=(.*)$")
    headers[name] = value
    copies = copies or value:find("{n}", 1, true)
  end
  while true do
    local length = file:read("*n")
    if not length then break end
    file:read(1)
    bodies[#bodies + 1] = file:read(length)
  end
  file:close()
  for n = 1, copies and math.max(DIFFERENT, #bodies) or #bodies do
    local body = bodies[(n - 1) % #bodies + 1]
    requests[n] = wrk.format("POST", wrk.path, copies and numbered(headers, n) or headers, body)
  end
end

function request()
  turn = turn % #requests + 1
  return requests[turn]
end

function done(summary, latency, rest)
  local e = summary.errors
  io.write(string.format(
    '\n{"requests":%d,"seconds":%.6f,"bad":%d,"p50_ms":%.4f,"p95_ms":%.4f,"p99_ms":%.4f,"max_ms":%.3f}\n',
    summary.requests, summary.duration / 1e6, e.status + e.connect + e.read + e.write + e.timeout,
    latency:percentile(50) / 1e3, latency:percentile(95) / 1e3, latency:percentile(99) / 1e3,
    latency.max / 1e3))
end
