-- Health of trimtab.dev/OptimizationRun. A change that did not help and was undone is a run that has done its work.
local hs = {status = "Progressing", message = "waits for the operator"}
if obj.status == nil or obj.status.phase == nil then
  return hs
end
local phase, timeline = obj.status.phase, obj.status.timeline
hs.message = phase
if timeline ~= nil and #timeline > 0 and timeline[#timeline].reason ~= nil then
  hs.message = phase .. ": " .. timeline[#timeline].reason
end
if phase == "AwaitingApproval" then
  hs.status = "Suspended"
elseif phase == "Failed" then
  hs.status = "Degraded"
elseif phase == "Succeeded" or phase == "RolledBack" or phase == "Rejected" or phase == "Superseded"
  or phase == "Cancelled" then
  hs.status = "Healthy"
end
return hs
