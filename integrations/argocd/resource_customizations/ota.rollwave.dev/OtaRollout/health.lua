-- Conditions go by kstatus; an object that nobody has looked at has observedGeneration -1.
-- Only the base functions are used: argocd-cm gives a script no libraries.
local hs = {status = "Progressing", message = "Waiting for the controller"}
if obj.status == nil or obj.status.observedGeneration ~= obj.metadata.generation then
  return hs
end
if obj.status.message ~= nil then
  hs.message = obj.status.message
end
local is = {}
for _, condition in ipairs(obj.status.conditions or {}) do
  is[condition.type] = condition.status == "True"
end
if is.Stalled then
  hs.status = "Degraded"
elseif is.Suspended then
  -- By a person who asked for it: spec.suspend, or a pause.
  hs.status = "Suspended"
elseif is.Ready then
  hs.status = "Healthy"
end
return hs
