-- What `rollwave retry` answers: a verification that failed, one whose job somebody deleted, and one of which nothing tells any more.
local answered = {VerificationFailed = true, JobVanished = true, OutcomeUnresolved = true}
local failed = false
for _, condition in ipairs((obj.status or {}).conditions or {}) do
  if condition.type == "Verified" and answered[condition.reason] then
    failed = true
  end
end
return {
  ["refresh"] = {["disabled"] = false},
  ["retry-failed"] = {["disabled"] = not failed},
}
