-- Lets wrk send a body, or ask one path after the other, and prints what it measured as one line of JSON.
--
--   wrk … -s wrk.lua URL [-- METHOD BODY-FILE]
--   WRK_PATHS=FILE wrk … -s wrk.lua URL            a path a line, which take turns
--   WRK_AUTHORIZATIONS=FILE wrk … -s wrk.lua URL   an Authorization header a line, which take turns

function init(args)
  if args[1] then
    local file = assert(io.open(args[2], "rb"))
    wrk.method = args[1]
    wrk.body = file:read("*a")
    wrk.headers["Content-Type"] = "application/json"
    file:close()
  end
end

-- Requests that are made of the lines of a file, and take turns.
local function in_turns(file, format)
  local requests, turn = {}, 0
  function request()
    if turn == 0 then
      for line in io.lines(file) do
        requests[#requests + 1] = format(line)
      end
    end
    turn = turn % #requests + 1
    return requests[turn]
  end
end

local paths, authorizations = os.getenv("WRK_PATHS"), os.getenv("WRK_AUTHORIZATIONS")
if paths then
  in_turns(paths, function(path) return wrk.format(nil, path) end)
elseif authorizations then
  in_turns(authorizations, function(value) return wrk.format(nil, nil, {Authorization = value}) end)
end

function done(summary, latency)
  local errors = summary.errors
  io.write(string.format(
    '{"requests":%d,"secs":%.6f,"p50_us":%.1f,"p99_us":%.1f,"refused":%d,"broken":%d,"timeouts":%d}\n',
    summary.requests, summary.duration / 1e6, latency:percentile(50), latency:percentile(99),
    errors.status, errors.connect + errors.read + errors.write, errors.timeout))
end
