local failed = false
for _, condition in ipairs((obj.status or {}).conditions or {}) do
  if condition.type == "Verified" and condition.reason == "VerificationFailed" then
    failed = true
  end
end
return {
  ["refresh"] = {["disabled"] = false},
  ["retry-failed"] = {["disabled"] = not failed},
}
