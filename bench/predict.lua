-- Load for wrk: one prediction per request; prints the latencies as one line of JSON at the end.
wrk.method = "POST"
wrk.body = '{"instances": [{"input": "test data"}]}'
wrk.headers["Content-Type"] = "application/json"

done = function(summary, latency, requests)
  local failed = summary.errors.connect + summary.errors.read + summary.errors.write
    + summary.errors.status + summary.errors.timeout
  io.write(string.format(
    '\nresult {"p50_ms": %.3f, "p95_ms": %.3f, "p99_ms": %.3f, "requests": %d, "seconds": %.3f, "failed": %d}\n',
    latency:percentile(50) / 1000, latency:percentile(95) / 1000, latency:percentile(99) / 1000,
    summary.requests, summary.duration / 1000000, failed))
end
