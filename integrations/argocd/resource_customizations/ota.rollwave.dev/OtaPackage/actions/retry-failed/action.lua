-- A request beside the spec: nothing is out of sync with git. The status repeats its value once it was followed.
local os = require("os")
if obj.metadata.annotations == nil then
  obj.metadata.annotations = {}
end
obj.metadata.annotations["ota.rollwave.dev/retry-requested-at"] = os.date("!%Y-%m-%dT%H:%M:%SZ")
return obj
