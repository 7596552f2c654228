local account = key('account', told.account)
local before = redis.call('HMGET', account, 'subject', 'organisation', 'disabled')
if not before[1] then return {} end
local organisation = told.changes.organisation or before[2]
local moved = organisation ~= before[2]
if organisation ~= '' then redis.call('HSETNX', PREFIX .. 'organisations', organisation, 0) end
if moved then
  -- What the former organisation asked of the devices stays asked; the numbers of the new one are another count.
  local former, new = organisation_generation(before[2]), organisation_generation(organisation)
  ask_devices(told.account, function(seen) return seen < former end)
  for _, device in ipairs(redis.call('LRANGE', key('devices-of', told.account), 0, -1)) do
    redis.call('HSET', key('device', device), 'organisation_generation', new)
  end
end
for field, value in pairs(told.changes) do redis.call('HSET', account, field, value) end
redis.call('HSET', account, 'updated_at', NOW)
audit('account_changed', before[1], nil, told.detail)
if told.changes.disabled == '1' and before[3] ~= '1' then
  ask_devices(told.account, function() return true end)
  withdraw_account(told.account, before[1], 'disabled')
elseif moved then
  withdraw_account(told.account, before[1], 'ended')
end
return account_record(told.account)
