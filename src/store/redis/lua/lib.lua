-- What the scripts of the store share; it is sent in front of each.
-- KEYS[1]: the prefix of every key. ARGV: the time in seconds by the caller's clock, the channel of the hints, and what the
-- operation is told, as JSON.
-- A script runs alone, but it is not rolled back: whatever may refuse is looked at before the first write.
-- Numbers stay below 2^53, up to which Lua's are exact.
local PREFIX, NOW, CHANNEL = KEYS[1], tonumber(ARGV[1]), ARGV[2]
local told = cjson.decode(ARGV[3])

local EPOCH_MAX = 9007199254740991
local LOG, LOG_KEPT_SECONDS = PREFIX .. 'log', 24 * 3600
-- The oldest entries of the audit record go where there are more: all of this is in the server's memory.
local AUDIT_KEPT, AUDIT_KEPT_OF_ONE = 1000000, 1000

local function key(kind, name)
  return PREFIX .. kind .. ':' .. name
end

local function audit(what, subject, device, detail)
  local entry = redis.call('XADD', PREFIX .. 'audit', 'MAXLEN', '~', AUDIT_KEPT, '*', 'at', NOW, 'what', what,
    'subject', subject or '', 'device', device or '', 'detail', detail or '')
  if subject then
    redis.call('LPUSH', key('audit-of', subject), entry)
    redis.call('LTRIM', key('audit-of', subject), 0, AUDIT_KEPT_OF_ONE - 1)
  end
end

local function trim_log()
  -- One look at the oldest where nothing is to be dropped, and it is quick where much is.
  local looked_at = 1
  while true do
    local old = {}
    for _, entry in ipairs(redis.call('XRANGE', LOG, '-', '+', 'COUNT', looked_at)) do
      if tonumber(entry[2][2]) >= NOW - LOG_KEPT_SECONDS then break end
      old[#old + 1] = entry[1]
    end
    if #old > 0 then redis.call('XDEL', LOG, unpack(old)) end
    if #old < looked_at then return end
    looked_at = 100
  end
end

-- Writes an entry of the log of withdrawals. Its ids count up by one: a reader sees where one is missing.
local function withdraw(entry)
  redis.call('XADD', LOG, '0-*', 'at', NOW, 'entry', entry)
  trim_log()
  redis.call('PUBLISH', CHANNEL, '{"hint":"log_grew"}')
end

-- Ends those of an account's sessions of which `over(device, epoch)` says so.
local function end_sessions(account, over)
  local index = key('sessions-of', account)
  for _, session in ipairs(redis.call('ZRANGE', index, 0, -1)) do
    local of = redis.call('HMGET', key('session', session), 'device', 'epoch')
    if not of[1] or over(of[1], tonumber(of[2])) then
      redis.call('DEL', key('session', session))
      redis.call('ZREM', index, session)
    end
  end
end

-- Ends all of an account's sessions: one entry of the log, however many there are.
local function withdraw_account(account, subject, reason)
  local below = redis.call('HINCRBY', key('account', account), 'generation', 1)
  end_sessions(account, function() return true end)
  withdraw(cjson.encode({ what = 'account', subject = subject, below = below, reason = reason }))
end

local function organisation_generation(organisation)
  return tonumber(redis.call('HGET', PREFIX .. 'organisations', organisation) or 0)
end

-- Whether the epoch rose. `told` holds what is recorded of it.
local function raise_epoch(device, epoch)
  local of = redis.call('HMGET', key('device', device), 'account', 'epoch')
  if not of[1] or epoch <= tonumber(of[2]) then return false end
  local owner = redis.call('HMGET', key('account', of[1]), 'subject', 'organisation')
  -- It went to a higher epoch, so whatever its organisation asked for until now is done.
  redis.call('HSET', key('device', device), 'epoch', epoch,
    'organisation_generation', organisation_generation(owner[2]))
  audit('epoch_raised', owner[1], device, told.epoch_detail)
  end_sessions(of[1], function(of_device, at) return of_device == device and at < epoch end)
  withdraw(told.epoch_entry)
  return true
end

-- Asks an account's devices to go to the next epoch, where `asked(device)` says so.
local function ask_devices(account, asked)
  for _, device in ipairs(redis.call('LRANGE', key('devices-of', account), 0, -1)) do
    local of = redis.call('HMGET', key('device', device), 'epoch', 'revoked_at', 'organisation_generation')
    local epoch = tonumber(of[1])
    if of[2] == '' and epoch < EPOCH_MAX and asked(tonumber(of[3])) then
      redis.call('HSET', key('device', device), 'asked_epoch', epoch + 1)
    end
  end
end

local function account_record(account)
  return redis.call('HGETALL', key('account', account))
end

-- Makes an account under the subject that is told, and returns that.
local function make_account()
  local account, subject = told.account, told.fresh_subject
  redis.call('HSET', key('account', account), 'account', account, 'subject', subject, 'disabled', '0',
    'minimum_uv', '0', 'organisation', '', 'generation', 0, 'created_at', NOW, 'updated_at', NOW, 'name', told.name,
    'avatar', told.avatar)
  redis.call('SET', key('subject', subject), account)
  redis.call('ZADD', PREFIX .. 'accounts', 0, account)
  return subject
end

-- A device, its account, and the generation of that one's organisation.
local function device_record(device)
  local account = redis.call('HGET', key('device', device), 'account')
  if not account then return false end
  local organisation = redis.call('HGET', key('account', account), 'organisation')
  return { redis.call('HGETALL', key('device', device)), account_record(account), organisation_generation(organisation) }
end

-- A session's device, '' where it has none, and its account; nothing where there is no such session.
local function session_owner(session)
  local of = redis.call('HMGET', key('session', session), 'device', 'account')
  if not of[1] then return nil end
  if of[1] == '' then return '', of[2] end
  return of[1], redis.call('HGET', key('device', of[1]), 'account')
end

-- A session, and what it stands on. The device is empty where it has none.
local function session_record(session)
  local device, account = session_owner(session)
  local of
  if device == '' then
    local organisation = redis.call('HGET', key('account', account), 'organisation')
    of = organisation and { {}, account_record(account), organisation_generation(organisation) }
  else
    of = device and device_record(device)
  end
  return of and { session, redis.call('HGETALL', key('session', session)), unpack(of) }
end

-- An account's subject and whether it is disabled; nothing where there is none.
local function account_standing(account)
  local of = redis.call('HMGET', key('account', account), 'subject', 'disabled')
  return of[1] or nil, of[2] == '1'
end

-- Writes what another system says of a person.
local function write_identity(account, subject)
  local identity = key('identity', told.identity)
  if redis.call('HSETNX', identity, 'linked_at', NOW) == 1 then
    redis.call('HSET', identity, 'account', account, 'connector', told.connector, 'tenant', told.tenant, 'id', told.id)
    redis.call('SADD', key('identities-of', account), told.identity)
    audit('identity_linked', subject, nil, told.detail)
  end
  redis.call('HSET', identity, 'details', told.details)
end
