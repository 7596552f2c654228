-- A session stands on a device, or on an account alone.
local account
if told.device then
  local of = redis.call('HMGET', key('device', told.device), 'account', 'epoch', 'revoked_at')
  if not of[1] or of[3] ~= '' or told.epoch < tonumber(of[2]) then return {} end
  account = of[1]
else
  account = redis.call('GET', key('subject', told.subject))
  if not account then return {} end
end
local owner =
  redis.call('HMGET', key('account', account), 'subject', 'disabled', 'organisation', 'generation', 'minimum_uv')
if owner[2] == '1' or told.uv < tonumber(owner[5]) then return {} end
if told.generation and told.generation < tonumber(owner[4]) then return {} end
if told.device then raise_epoch(told.device, told.epoch) end
if told.former then
  local device, of = session_owner(told.former)
  if device then
    redis.call('DEL', key('session', told.former))
    redis.call('ZREM', key('sessions-of', of or ''), told.former)
    withdraw(told.former_entry)
  end
end
local index = key('sessions-of', account)
redis.call('ZREMRANGEBYSCORE', index, '-inf', NOW)
redis.call('ZADD', index, told.expires_at, told.session)
redis.call('HSET', key('session', told.session), 'device', told.device or '', 'epoch', told.epoch, 'origin', told.origin,
  'method', told.method, 'signed_in_at', NOW, 'expires_at', told.expires_at, 'idle_seconds', told.idle_seconds,
  'last_used', NOW, 'generation', owner[4], 'organisation_generation', organisation_generation(owner[3]),
  'browser', told.browser)
-- Whose it is says the device where there is one.
if not told.device then redis.call('HSET', key('session', told.session), 'account', account) end
-- So that nobody has to sweep. Whether a session is over is decided by its values.
redis.call('PEXPIRE', key('session', told.session), told.kept_ms)
audit('signed_in', owner[1], told.device, told.detail)
return account_record(account)
