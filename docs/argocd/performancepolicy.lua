-- Health of trimtab.dev/PerformancePolicy. What is wrong with the workload or its metrics is told by the policy's other
-- conditions, and is no fault of the policy: it stays Healthy.
local hs = {status = "Progressing", message = "waits for the operator's first look"}
if obj.status == nil or obj.status.conditions == nil then
  return hs
end
if obj.status.observedGeneration ~= obj.metadata.generation then
  hs.message = "waits for the operator to see the change"
  return hs
end
local told = {}
for _, condition in ipairs(obj.status.conditions) do
  told[condition.type] = condition
end
local ready, stalled = told["Ready"], told["Stalled"]
if stalled ~= nil and stalled.status == "True" then
  hs.status, hs.message = "Degraded", stalled.reason .. ": " .. stalled.message
elseif ready == nil then
  return hs
elseif ready.status ~= "True" then
  hs.message = ready.reason .. ": " .. ready.message
elseif obj.spec.paused then
  hs.status, hs.message = "Suspended", ready.message
else
  hs.status, hs.message = "Healthy", ready.message
end
return hs
