-- Load for wrk: one prediction per request; prints the latencies as one line of JSON at the end.
-- The argument says for how many milliseconds at most a connection rests after an answer, as a person would.
wrk.method = "POST"
wrk.body = '{"instances": [{"input": "test data"}]}'
wrk.headers["Content-Type"] = "application/json"

init = function(args)
  local longest_rest_ms = tonumber(args[1] or "0")
  if longest_rest_ms > 0 then
    delay = function() return math.random(0, longest_rest_ms) end
  end
end

done = function(summary, latency, requests)
  local failed = summary.errors.connect + summary.errors.read + summary.errors.write
    + summary.errors.status + summary.errors.timeout
  io.write(string.format(
    '\nresult {"p50_ms": %.3f, "p95_ms": %.3f, "p99_ms": %.3f, "requests": %d, "seconds": %.3f, "failed": %d}\n',
    latency:percentile(50) / 1000, latency:percentile(95) / 1000, latency:percentile(99) / 1000,
    summary.requests, summary.duration / 1000000, failed))
end
