-- Conditions go by kstatus; an object that nobody has looked at has observedGeneration -1.
-- Only the base functions are used: argocd-cm gives a script no libraries.
local hs = {status = "Progressing", message = "Waiting for the controller"}
if obj.status == nil or obj.status.observedGeneration ~= obj.metadata.generation then
  return hs
end
if obj.status.message ~= nil then
  hs.message = obj.status.message
end
for _, condition in ipairs(obj.status.conditions or {}) do
  if condition.type == "Stalled" and condition.status == "True" then
    hs.status = "Degraded"
    return hs
  end
  if condition.type == "Ready" and condition.status == "True" then
    hs.status = "Healthy"
  end
end
return hs
