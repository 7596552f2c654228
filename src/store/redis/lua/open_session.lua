local of = redis.call('HMGET', key('device', told.device), 'account', 'epoch', 'revoked_at')
if not of[1] or of[3] ~= '' or told.epoch < tonumber(of[2]) then return {} end
local account = of[1]
local owner = redis.call('HMGET', key('account', account), 'subject', 'disabled', 'organisation', 'generation')
if owner[2] == '1' then return {} end
raise_epoch(told.device, told.epoch)
if told.former then
  local former = redis.call('HGET', key('session', told.former), 'device')
  if former then
    redis.call('DEL', key('session', told.former))
    redis.call('ZREM', key('sessions-of', redis.call('HGET', key('device', former), 'account') or ''), told.former)
    withdraw(told.former_entry)
  end
end
local index = key('sessions-of', account)
redis.call('ZREMRANGEBYSCORE', index, '-inf', NOW)
redis.call('ZADD', index, told.expires_at, told.session)
redis.call('HSET', key('session', told.session), 'device', told.device, 'epoch', told.epoch, 'origin', told.origin,
  'method', told.method, 'signed_in_at', NOW, 'expires_at', told.expires_at, 'idle_seconds', told.idle_seconds,
  'last_used', NOW, 'generation', owner[4], 'organisation_generation', organisation_generation(owner[3]),
  'browser', told.browser)
-- So that nobody has to sweep. Whether a session is over is decided by its values.
redis.call('PEXPIRE', key('session', told.session), told.kept_ms)
audit('signed_in', owner[1], told.device, told.detail)
return account_record(account)
