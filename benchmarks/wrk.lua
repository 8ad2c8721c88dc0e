-- Lets wrk send a body, and prints what it measured as one line of JSON.
--
--   wrk … -s wrk.lua URL [-- METHOD BODY-FILE]

function init(args)
  if args[1] then
    local file = assert(io.open(args[2], "rb"))
    wrk.method = args[1]
    wrk.body = file:read("*a")
    wrk.headers["Content-Type"] = "application/json"
    file:close()
  end
end

function done(summary, latency)
  local errors = summary.errors
  io.write(string.format(
    '{"requests":%d,"secs":%.6f,"p50_us":%.1f,"p99_us":%.1f,"refused":%d,"broken":%d,"timeouts":%d}\n',
    summary.requests, summary.duration / 1e6, latency:percentile(50), latency:percentile(99),
    errors.status, errors.connect + errors.read + errors.write, errors.timeout))
end
