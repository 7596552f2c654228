local ticket = redis.call('HMGET', key('ticket', told.ticket), 'subject', 'expires_at')
redis.call('DEL', key('ticket', told.ticket))
local account = ticket[1] and redis.call('GET', key('subject', ticket[1]))
if not account or NOW >= tonumber(ticket[2]) then return { 'ticket', {} } end
local of = redis.call('HMGET', key('account', account), 'disabled', 'organisation')
if of[1] == '1' then return { 'disabled', {} } end
if redis.call('EXISTS', key('key', told.key_id)) == 1 then return { 'duplicate_key', {} } end
redis.call('HSET', key('device', told.device), 'device', told.device, 'key_id', told.key_id, 'jwk', told.jwk,
  'account', account, 'name', told.name, 'epoch', 0, 'asked_epoch', 0, 'enrolled_at', NOW, 'revoked_at', '',
  'organisation_generation', organisation_generation(of[2]))
redis.call('SET', key('key', told.key_id), told.device)
redis.call('RPUSH', key('devices-of', account), told.device)
audit('device_enrolled', ticket[1], told.device, told.name)
return { 'enrolled', account_record(account) }
