-- What `rollwave retry` answers: a verification that failed, and one whose job somebody deleted.
local failed = false
for _, condition in ipairs((obj.status or {}).conditions or {}) do
  if condition.type == "Verified" and (condition.reason == "VerificationFailed" or condition.reason == "JobVanished") then
    failed = true
  end
end
return {
  ["refresh"] = {["disabled"] = false},
  ["retry-failed"] = {["disabled"] = not failed},
}
