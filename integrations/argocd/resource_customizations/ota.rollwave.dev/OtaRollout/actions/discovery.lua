local status = obj.status or {}
local failed = 0
for _, stage in ipairs(status.stages or {}) do
  local counts = stage.counts or {}
  failed = failed + (counts.failed or 0) + (counts.timedOut or 0) + (counts.reverted or 0)
end
local paused = status.pausedAt ~= nil
local over = status.phase == "Completed" or status.phase == "Aborted"
return {
  ["refresh"] = {["disabled"] = false},
  ["pause"] = {["disabled"] = paused or over},
  ["resume"] = {["disabled"] = not paused},
  -- A stop rule that has fired is stronger: the spec has to change.
  ["retry-failed"] = {["disabled"] = failed == 0 or status.stoppedBy ~= nil},
}
