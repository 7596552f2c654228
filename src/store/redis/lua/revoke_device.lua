local of = redis.call('HMGET', key('device', told.device), 'account', 'revoked_at')
if of[1] ~= told.account or of[2] ~= '' then return 0 end
redis.call('HSET', key('device', told.device), 'revoked_at', NOW)
local subject = redis.call('HGET', key('account', told.account), 'subject')
audit('device_revoked', subject, told.device, told.detail)
end_sessions(told.account, function(device) return device == told.device end)
withdraw(told.entry)
return 1
