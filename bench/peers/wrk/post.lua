-- POSTs the bodies of a file in turn and prints one JSON line when done.
-- wrk … URL -- BODIES [name=value …]: BODIES holds "LENGTH\n" and so many bytes, again and again.

local requests, turn = {}, 0

function init(args)
  local file = assert(io.open(args[1], "rb"))
  local headers = { ["Content-Type"] = "application/json" }
  for i = 2, #args do
    local name, value = args[i]:match("^([^=]+)=(.*)$")
    headers[name] = value
  end
  while true do
    local length = file:read("*n")
    if not length then break end
    file:read(1)
    requests[#requests + 1] = wrk.format("POST", wrk.path, headers, file:read(length))
  end
  file:close()
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
